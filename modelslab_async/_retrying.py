"""
Here lives whether to try again: what each answer means for what we do next.

Two tables, tested from top to bottom, and total: `after_submit` for requests
that cost money, `after_poll` for questions that cost none.  They only say
which row it is; `_submits` and `_jobs` play the row out.

Beside them: how long all the waits of ours are (`Waits`), how often we try
(`RetryPolicy`), what keeps a sick service from being hammered
(`RetryBudget`), what an account's no closes (`Door`) and what keeps an outage
from burning a batch (`Brake`).  Time and dice are arguments here.
"""

from __future__ import annotations

import enum
import math

from typing import Any

import attrs

from .answers import (
    Processing,
    Refusal,
    Success,
    Told,
    Topic,
    Unreadable,
)
from .errors import ApiError, ConfigurationError, ModelsLabError


@attrs.frozen(kw_only=True)
class Waits:
    """
    Every wait of ours, in seconds.

    Attributes:
        speed:
            What all have been divided by; polling divides its own by it.
    """

    speed: float = 1.0
    #: TCP, TLS and proxy handshake.
    connect: float = 10.0
    #: Silence of a poll, and how long a poll may take in all.
    poll: float = 30.0
    #: Silence of a submit: longer than any gateway (Cloudflare: 100 to 120 s),
    #: so that the verdict comes from the service.
    submit_read: float = 170.0
    submit: float = 180.0
    #: Silence of a download.
    file_read: float = 30.0
    #: How long a finished picture's link may be missing, and between looks.
    late_link: float = 120.0
    late_first: float = 0.5
    late_most: float = 8.0
    #: Backoff of what may be repeated: first and longest.
    retry_first: float = 0.5
    retry_most: float = 8.0
    #: A model that has to be loaded first, try by try.
    loading: tuple[float, ...] = (10.0, 30.0, 60.0, 120.0)
    #: The same-request filter, where it does not say.
    same_request: float = 30.0
    #: A ban without a number, and how long a call or a batch waits for one.
    ban: float = 30.0
    ban_call: float = 120.0
    ban_batch: float = 3600.0
    #: After a no to the account: until a probe, and between polls.
    account: float = 30.0
    #: How long an unknown job is asked for.
    not_found: float = 30.0
    #: How long a submit without a verdict keeps its slot, at most.
    unknown_slot: float = 120.0
    #: Between probes under the brake, and until a batch gives up.
    brake_first: float = 5.0
    brake_most: float = 30.0
    brake: float = 1800.0
    #: Between tries of a write that must not be lost.
    insist: float = 1.0
    #: How long leaving waits for submits under way.
    leave: float = 10.0
    #: The line for slots: a place gains 1 for each of these; jitter of a
    #: closed line; how long an unanswered probe keeps it closed.
    ageing: float = 5.0
    reopen_first: float = 1.0
    reopen_most: float = 30.0
    probe: float = 5.0

    def faster(self, times: float, *, silence: float = 0.0) -> Waits:
        """
        All waits divided by *times*, for a simulator that runs as fast.

        Args:
            times: Above 0.

            silence: Seconds that the network may be silent all the same: a
                simulator that runs faster draws its pictures no faster.

        Raises:
            ConfigurationError: *times* is no number above 0.
        """
        if not (math.isfinite(times) and times > 0):
            msg = f"speed must be a number above 0, not {times!r}"
            raise ConfigurationError(msg)
        waits: dict[str, Any] = {
            name: tuple(one / times for one in wait)
            if isinstance(wait, tuple)
            else wait / times
            for name, wait in attrs.asdict(self, recurse=False).items()
        }
        for name in _SILENCES:
            waits[name] = max(waits[name], min(silence, getattr(self, name)))
        return Waits(**waits | {"speed": self.speed * times})


#: How long the network, and a machine under load, may take.
_SILENCES = (
    "connect",
    "poll",
    "submit_read",
    "submit",
    "file_read",
    "late_link",
)


@attrs.frozen
class RetryPolicy:
    """
    How often we try again, and what may be bought twice.

    Attributes:
        attempts: Tries of a request that never left, at least 1.

        patience: Seconds within which those tries are made.

        budget:
            Tokens that retries are paid from; each costs 10, each call that
            needs none gives 1 back: in the long run one call in ten may be a
            retry.

        resubmit_unknown:
            How often a request whose outcome is unknown is sent again.  It
            may be billed each time: of such requests 97 % had really been
            paid for (measured by killing processes).

        resubmit_failed:
            How often a job that the service failed is asked for anew; each is
            a new job to pay for.

    Raises:
        ConfigurationError: A number is too small.
    """

    attempts: int = 5
    patience: float = 60.0
    budget: float = 100.0
    resubmit_unknown: int = 0
    resubmit_failed: int = 0

    def __attrs_post_init__(self) -> None:
        wrong = [
            f"{name} must be at least {least}, not {value!r}"
            for name, value, least in (
                ("attempts", self.attempts, 1),
                ("patience", self.patience, 0),
                ("budget", self.budget, 0),
                ("resubmit_unknown", self.resubmit_unknown, 0),
                ("resubmit_failed", self.resubmit_failed, 0),
            )
            if not value >= least
        ]
        if wrong:
            raise ConfigurationError("RetryPolicy: " + "; ".join(wrong))


def backoff(tries: int, waits: Waits, dice: float) -> float:
    """
    Seconds before the next try: full jitter, so that crowds come apart.
    """
    return dice * min(
        waits.retry_most, waits.retry_first * 2.0 ** min(tries, 30)
    )


@attrs.frozen
class Unsent:
    """
    A request that never left this machine.

    *hopeless*: a bad certificate or a proxy that wants a password; trying
    again would give the same.
    """

    reason: str
    hopeless: bool = False


@attrs.frozen
class Cut:
    """
    A request that left, and whose answer did not come whole.

    *begun*: some of the answer had come.
    """

    reason: str
    begun: bool = False


class AfterSubmit(enum.Enum):
    """
    The rows of the table for submits, in the order of their tests.
    """

    NOT_SENT = enum.auto()
    CUT = enum.auto()
    ACCEPTED = enum.auto()
    SAME_REQUEST = enum.auto()
    BAN = enum.auto()
    QUEUE_FULL = enum.auto()
    ACCOUNT = enum.auto()
    LOADING = enum.auto()
    UNAVAILABLE = enum.auto()
    REDIRECT = enum.auto()
    REFUSED = enum.auto()
    UNKNOWN = enum.auto()


#: Cloudflare's codes for an origin that was never reached.
_NEVER_REACHED = frozenset({521, 523, 525, 526, 530})
_ACCOUNT = frozenset({Topic.KEY, Topic.CREDIT, Topic.PLAN})


def after_submit(heard: Told | Unsent | Cut) -> AfterSubmit:
    """
    Which row of the table an answer to a submit is.

    A status word of the service's own wins over the HTTP code.
    """
    match heard:
        case Unsent():
            return AfterSubmit.NOT_SENT
        case Cut():
            return AfterSubmit.CUT
        case Success(id=job_id, images=images) if job_id or images:
            return AfterSubmit.ACCEPTED
        case Processing(id=str()):
            return AfterSubmit.ACCEPTED
    http = heard.http
    refused = isinstance(heard, Refusal)
    topics = heard.topics if isinstance(heard, Refusal) else frozenset()
    spoken = not isinstance(heard, Unreadable) and (
        not isinstance(heard, Refusal) or heard.word is not None
    )
    if Topic.SAME_REQUEST in topics and http < 500:
        return AfterSubmit.SAME_REQUEST
    if Topic.BAN in topics or (http == 429 and not spoken):
        return AfterSubmit.BAN
    if Topic.QUEUE in topics or http == 429:
        return AfterSubmit.QUEUE_FULL
    if http in {401, 402} or (http < 500 and topics & _ACCOUNT):
        return AfterSubmit.ACCOUNT
    if Topic.LOADING in topics and http < 500:
        return AfterSubmit.LOADING
    if (http == 503 and spoken) or http in _NEVER_REACHED:
        return AfterSubmit.UNAVAILABLE
    if 300 <= http < 400:
        return AfterSubmit.REDIRECT
    if (400 <= http < 500 and http != 408) or (
        refused and spoken and http < 500
    ):
        return AfterSubmit.REFUSED
    return AfterSubmit.UNKNOWN


_LATER = frozenset({408, 425, 429})


class AfterPoll(enum.Enum):
    """
    The rows of the table for polls, in the order of their tests.
    """

    DONE = enum.auto()
    EMPTY = enum.auto()
    NOT_FOUND = enum.auto()
    ACCOUNT = enum.auto()
    FAILED = enum.auto()
    AGAIN = enum.auto()


def after_poll(heard: Told | Unsent | Cut) -> AfterPoll:
    """
    Which row of the table an answer to a poll is.
    """
    match heard:
        case Success(images=images):
            return AfterPoll.DONE if images else AfterPoll.EMPTY
        case Refusal(http=http, topics=topics, word=word):
            if Topic.NOT_FOUND in topics:
                return AfterPoll.NOT_FOUND
            if http in {401, 402} or (http < 500 and topics & _ACCOUNT):
                return AfterPoll.ACCOUNT
            if http < 500 and (
                word == "failed"
                or (
                    word == "error"
                    and Topic.TRANSIENT not in topics
                    # Codes that say "later", whatever the words: a paid job
                    # is not failed by being asked for too often.
                    and http not in _LATER
                )
            ):
                return AfterPoll.FAILED
            return AfterPoll.AGAIN
        case Unreadable(http=401 | 402):
            return AfterPoll.ACCOUNT
        case _:
            return AfterPoll.AGAIN


@attrs.define(eq=False)
class RetryBudget:
    """
    Tokens that retries are paid from, shared by all calls of a client.

    What changes: *left*, at most *capacity*.
    """

    capacity: float
    left: float = attrs.field(
        default=attrs.Factory(lambda self: self.capacity, takes_self=True)
    )

    def spend(self, cost: float = 10.0) -> bool:
        """
        Pay for one retry; False, and nothing paid, where too little is left.
        """
        if self.left < cost:
            return False
        self.left -= cost
        return True

    def earn(self, amount: float = 1.0) -> None:
        """
        Put back what a call gives that went well.
        """
        self.left = min(self.capacity, self.left + amount)


@attrs.define(eq=False)
class Door:
    """
    What a no to the account (key, credit, plan) closes.

    While it is closed every call fails at once with the account's own error;
    the first that comes *pause* seconds after the last no is let through as
    a probe, and its acceptance opens the door.

    What changes: the error that closed it, when the last no was heard, and
    whether a probe is under way.
    """

    pause: float
    error: ApiError | None = None
    probing: bool = False
    _since: float = 0.0

    def closed(self, now: float) -> ApiError | None:
        """
        The error to fail with, or None: come in.

        After the pause one caller is let in as a probe; it has to report
        with `refused`, `accepted` or `undecided`.
        """
        if self.error is None:
            return None
        if not self.probing and now - self._since >= self.pause:
            self.probing = True
            return None
        return self.error

    def refused(self, error: ApiError, now: float) -> None:
        """
        The account was refused: close.
        """
        self.error, self._since, self.probing = error, now, False

    def accepted(self) -> None:
        """
        The account is good: open.
        """
        self.error, self.probing = None, False

    def undecided(self) -> None:
        """
        The probe came back without a word about the account.
        """
        self.probing = False


class Trouble(enum.Enum):
    """
    What can go wrong for many items of a batch in a row.
    """

    #: Sent, and no verdict came.
    UNKNOWN = enum.auto()
    #: The same refusal again.
    REFUSED = enum.auto()
    #: Not sent, or met 503.
    UNREACHED = enum.auto()


@attrs.define(eq=False)
class Brake:
    """
    Keeps an outage from burning a batch.

    On after as many unknown outcomes in a row as there are slots, 20 equal
    refusals in a row, or 20 items in a row that could not be sent or met 503.
    While it is on, one item at a time is let through as a probe; the first
    good answer lets it go.

    What changes: the row of troubles, and since when the brake is on.
    """

    waits: Waits
    most: int = 20
    _kind: tuple[Trouble, str] | None = None
    _row: int = 0
    _since: float | None = None
    _probes: int = 0
    _next: float = 0.0
    _held: float = 0.0
    error: ModelsLabError | None = None

    @property
    def on(self) -> bool:
        return self._since is not None

    def good(self) -> None:
        """
        An item was accepted: let go.
        """
        self._kind, self._row, self._since, self._probes = None, 0, None, 0
        self.error = None

    def bad(
        self,
        trouble: Trouble,
        error: ModelsLabError,
        now: float,
        *,
        slots: int,
        words: str = "",
    ) -> None:
        """
        An item met *trouble*; *words* tell one refusal from another.
        """
        self.error = error
        kind = (trouble, words)
        if self.on:
            pause = self.waits.brake_first * 2.0 ** min(self._probes, 30)
            self._next = now + min(self.waits.brake_most, pause)
            self._probes += 1
            return
        self._row = self._row + 1 if kind == self._kind else 1
        self._kind = kind
        most = slots if trouble is Trouble.UNKNOWN else self.most
        if self._row >= most:
            self._since, self._probes = now, 1
            self._next = now + self.waits.brake_first

    def hold(self, until: float) -> None:
        """
        Ask for nothing until then: a ban.
        """
        self._held = max(self._held, until)

    def pause(self, now: float) -> float:
        """
        Seconds until the next item may be asked for; 0: now.
        """
        until = max(self._held, self._next) if self.on else self._held
        return max(0.0, until - now)

    def probing(self, now: float) -> None:
        """
        An item goes as a probe: no other before it has reported.
        """
        if self.on:
            self._next = now + self.waits.brake_most

    def spent(self, now: float) -> bool:
        """
        Whether it has been on for so long that the batch should stop.
        """
        return self._since is not None and (
            now - self._since >= self.waits.brake
        )
