"""
Circuit breakers: what a refused account, or an outage, keeps from being sent.

Both are closed while all is well. Open, they let one request at a time through
as a probe, and the first that is accepted closes them. A batch meets both, a
call only the account's: the outage of one call is that call's error.
"""

from __future__ import annotations

import enum

import attrs

from ..errors import ApiError, ModelsLabError
from .timeouts import Timeouts


@attrs.define(eq=False, repr=False)
class AccountBreaker:
    """
    Opens when the service refuses the account: its key, credit or plan.

    While it is open every call fails at once with that refusal; the first
    that comes *pause* seconds after the last one may take the probe.

    What changes: the refusal that opened it, when it was last heard, and
    whether a probe is under way.
    """

    pause: float
    error: ApiError | None = None
    probing: bool = False
    _refused_at: float = 0.0

    def blocked_by(self, now: float) -> ApiError | None:
        """
        What a call that comes now fails with; None: it may go on.
        """
        due = not self.probing and now - self._refused_at >= self.pause
        return None if due else self.error

    def take_probe(self) -> bool:
        """
        Go on as the probe, if there is one to take; nobody else does then.

        Who took it reports with `refused`, `accepted` or `return_probe`.
        """
        taken = self.error is not None and not self.probing
        self.probing = self.probing or taken
        return taken

    def refused(self, error: ApiError, now: float) -> None:
        """
        The account was refused: open.
        """
        self.error, self._refused_at, self.probing = error, now, False

    def accepted(self) -> None:
        """
        The account is good: close.
        """
        self.error, self.probing = None, False

    def return_probe(self) -> None:
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


@attrs.define(eq=False, repr=False)
class OutageBreaker:
    """
    Opens before an outage burns a batch.

    It takes as many unknown outcomes in a row as there are slots, 20 equal
    refusals in a row, or 20 items in a row that could not be sent or met 503.
    Open, it lets one item at a time through, and an item that meets the same
    trouble then is asked for again: no more of them fail.

    What changes: the trouble that is repeated and how often it was, since
    when it is open, and when the next probe may go.
    """

    timeouts: Timeouts
    most: int = 20
    error: ModelsLabError | None = attrs.field(default=None, init=False)
    _trouble: tuple[Trouble, str] | None = attrs.field(
        default=None, init=False
    )
    _repeated: int = attrs.field(default=0, init=False)
    _opened_at: float | None = attrs.field(default=None, init=False)
    _probes: int = attrs.field(default=0, init=False)
    _next_probe: float = attrs.field(default=0.0, init=False)
    _held_until: float = attrs.field(default=0.0, init=False)
    #: Whether it was open when its news was last taken.
    _was_open: bool = attrs.field(default=False, init=False)

    def take_news(self) -> bool | None:
        """
        Whether it has opened, or closed (False), since this was last asked;
        None: neither.
        """
        if self._was_open == self.is_open:
            return None
        self._was_open = self.is_open
        return self._was_open

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    def accepted(self) -> None:
        """
        An item was accepted: close.
        """
        self._trouble, self._repeated, self._probes = None, 0, 0
        self._opened_at = self.error = None

    def failed(
        self,
        trouble: Trouble,
        error: ModelsLabError,
        now: float,
        *,
        slots: int,
        words: str = "",
    ) -> bool:
        """
        An item met *trouble*; *words* tell one refusal from another.

        Returns:
            Whether it is an outage's, and not the item's own.
        """
        same = (trouble, words) == self._trouble
        if self.is_open:
            longest = self.timeouts.outage_probe_longest
            first = self.timeouts.outage_probe_first
            pause = first * 2.0 ** min(self._probes, 30)
            self._next_probe = now + min(longest, pause)
            self._probes += 1
            self.error = error if same else self.error
            return same
        self.error = error
        self._trouble = (trouble, words)
        self._repeated = self._repeated + 1 if same else 1
        most = slots if trouble is Trouble.UNKNOWN else self.most
        if self._repeated >= most:
            self._opened_at, self._probes = now, 1
            self._next_probe = now + self.timeouts.outage_probe_first
        return False

    def hold_until(self, time: float) -> None:
        """
        Ask for nothing until then: a ban, which no acceptance ends.
        """
        self._held_until = max(self._held_until, time)

    def pause(self, now: float) -> float:
        """
        Seconds until the next item may be asked for; 0: now.
        """
        until = self._held_until
        if self.is_open:
            until = max(until, self._next_probe)
        return max(0.0, until - now)

    def take_probe(self, now: float) -> None:
        """
        An item goes, while open as the probe: no other until it has reported.
        """
        if self.is_open:
            self._next_probe = now + self.timeouts.outage_probe_longest

    def exhausted(self, now: float) -> bool:
        """
        Whether it has been open for so long that the batch should stop.
        """
        return self._opened_at is not None and (
            now - self._opened_at >= self.timeouts.outage
        )
