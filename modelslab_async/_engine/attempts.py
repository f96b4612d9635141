"""
The tries of one request: what follows from each that was not accepted, by the
first table of `_policy.verdicts`.
"""

from __future__ import annotations

import json
import random

import attrs

from .._policy.breakers import OutageBreaker, Trouble
from .._policy.retry import RetryBudget, RetryPolicy, backoff
from .._policy.timeouts import Timeouts
from .._policy.verdicts import SubmitVerdict
from .._protocol.answer_text import read_torn
from .._protocol.refusals import refusal_error
from .._protocol.replies import (
    CallResult,
    Cut,
    Processing,
    Refusal,
    Success,
    Unreadable,
    Unsent,
)
from ..errors import (
    GenerationFailedError,
    InvalidRequestError,
    ModelsLabError,
    OutcomeUnknownError,
    Phase,
    ProtocolError,
    ServerError,
    TransportError,
)
from ..results import JSON


@attrs.define(eq=False, repr=False)
class Attempts:
    """
    How often one request met each row of the table.

    What changes: those numbers, and the breaker that many requests share.

    Attributes:
        breaker: A batch's: it waits where a call would fail.

        slots: How many there are, as far as is known now.

        began: When the first try left, or tried to.

        tries: How many there were, whatever came of them.
    """

    track_id: str
    policy: RetryPolicy
    budget: RetryBudget
    timeouts: Timeouts
    breaker: OutageBreaker | None = None
    slots: int = 1
    began: float | None = None
    tries: int = 0
    unsent: int = 0
    loading: int = 0
    same: int = 0
    unavailable: int = 0
    unknown: int = 0
    banned: float = 0.0

    def start(self, now: float) -> None:
        """
        The next try begins.
        """
        self.tries += 1
        if self.began is None:
            self.began = now

    def count(
        self, row: SubmitVerdict, heard: CallResult, now: float
    ) -> float:
        """
        Count an answer that took nothing; give the seconds until the next try.

        Args:
            row: Any but `ACCEPTED`, `QUEUE_FULL`, `ACCOUNT` and those
                without a verdict.

            heard: What was answered.

            now: Seconds.

        Raises:
            ModelsLabError: There is none; the request ends with it.
        """
        match row, heard:
            case SubmitVerdict.NOT_SENT, Unsent():
                return self._not_sent(heard, now)
            case SubmitVerdict.SAME_REQUEST, Refusal():
                return self._same_request(heard)
            case SubmitVerdict.BAN, Refusal() | Unreadable():
                return self._ban(heard, now)
            case SubmitVerdict.LOADING, Refusal():
                return self._loading(heard, now)
            case SubmitVerdict.UNAVAILABLE, _:
                return self._unavailable(heard, now)
        return self._refused(self._final(row, heard), heard, now)

    def no_verdict(self, heard: CallResult) -> OutcomeUnknownError:
        """
        Sent, and nobody knows: it may run, and be billed.
        """
        phase: Phase = "verdict"
        if isinstance(heard, Cut):
            phase = "reading" if heard.begun else "waiting"
        raw: JSON = None
        if isinstance(heard, Cut):
            raw = read_torn(heard.came) or None
        elif not isinstance(heard, Unsent):
            raw = json.loads(heard.raw_json) or None
        error = OutcomeUnknownError(
            self.track_id, phase, excerpt_of(heard), raw
        )
        if isinstance(heard, Cut):
            error.__cause__ = TransportError(heard.reason, sent=True)
        else:
            words = f"HTTP {_http(heard)} without a verdict"
            error.__cause__ = ProtocolError(words, excerpt_of(heard))
        return error

    def count_unknown(self, error: OutcomeUnknownError, now: float) -> float:
        """
        Count a request without a verdict; give the seconds until it is sent
        again though it may run, where the user said so.

        Raises:
            OutcomeUnknownError: It is not.
        """
        if self.unknown <= self.policy.resubmit_unknown:
            return backoff(self.unknown, self.timeouts, random.random())
        self._trouble(Trouble.UNKNOWN, error, now)
        raise error

    def _not_sent(self, heard: Unsent, now: float) -> float:
        error = TransportError(heard.reason, sent=False)
        self.unsent += 1
        if heard.hopeless:
            return self._refused(error, heard, now)
        if self.breaker is not None:
            self._trouble(Trouble.UNREACHED, error, now)
            return backoff(self.unsent, self.timeouts, random.random())
        pause = backoff(self.unsent - 1, self.timeouts, random.random())
        began = now if self.began is None else self.began
        late = now + pause - began > self.policy.patience
        if self.unsent >= self.policy.attempts or late:
            raise error
        return pause

    def _same_request(self, heard: Refusal) -> float:
        pause = heard.retry_after or self.timeouts.same_request
        self.same += 1
        if self.breaker is not None:
            return min(pause, self.timeouts.ban_batch)
        if self.same > 1 or pause > self.timeouts.ban_call:
            raise refusal_error(heard)
        return pause

    def _ban(self, heard: Refusal | Unreadable, now: float) -> float:
        pause = heard.retry_after or self.timeouts.ban
        self.banned += pause
        if self.breaker is None:
            if self.banned > self.timeouts.ban_call:
                raise refusal_error(heard)
        else:
            pause = min(pause, self.timeouts.ban_batch)
            self.breaker.hold_until(now + pause)
        return pause

    def _loading(self, heard: Refusal, now: float) -> float:
        pauses = self.timeouts.model_loading
        if self.loading >= len(pauses):
            error = ServerError(heard.http, heard.message, heard.code)
            return self._refused(error, heard, now)
        self.loading += 1
        return pauses[self.loading - 1]

    def _unavailable(self, heard: CallResult, now: float) -> float:
        error = ServerError(_http(heard), excerpt_of(heard))
        self.unavailable += 1
        if self.breaker is not None:
            self._trouble(Trouble.UNREACHED, error, now)
        elif self.unavailable >= self.policy.attempts or (
            not self.budget.spend()
        ):
            raise error
        pause = backoff(self.unavailable, self.timeouts, random.random())
        answer = heard.retry_after if isinstance(heard, Refusal) else None
        return max(pause, min(answer or 0.0, self.timeouts.ban_call))

    def _final(self, row: SubmitVerdict, heard: CallResult) -> ModelsLabError:
        """
        The error of a request that is refused for what it is.
        """
        if row is SubmitVerdict.REDIRECT:
            return ProtocolError(
                "the service sent us elsewhere, which an API call does not "
                "follow",
                excerpt_of(heard),
            )
        if isinstance(heard, Refusal) and heard.word == "failed" and heard.id:
            return GenerationFailedError(
                heard.id,
                self.track_id,
                heard.message,
                json.loads(heard.raw_json),
            )
        if isinstance(heard, Refusal | Unreadable):
            return refusal_error(heard)
        return InvalidRequestError(_http(heard), excerpt_of(heard))

    def _refused(
        self, error: ModelsLabError, heard: CallResult, now: float
    ) -> float:
        """
        Seconds until the next try of a batch that all are refused alike.

        Raises:
            ModelsLabError: That *error*, where it is this request's own.
        """
        words = _in_common(heard)
        if not self._trouble(Trouble.REFUSED, error, now, words):
            raise error
        return self.timeouts.outage_probe_first

    def _trouble(
        self,
        trouble: Trouble,
        error: ModelsLabError,
        now: float,
        words: str = "",
    ) -> bool:
        breaker = self.breaker
        return breaker is not None and breaker.failed(
            trouble, error, now, slots=self.slots, words=words
        )


def _in_common(heard: CallResult) -> str:
    """
    What equal refusals have in common: a page that is not the service's tells
    the time, or a number of its own.
    """
    if isinstance(heard, Unreadable):
        return f"HTTP {heard.http}"
    return excerpt_of(heard)


def _http(heard: CallResult) -> int:
    return 0 if isinstance(heard, Unsent | Cut) else heard.http


def excerpt_of(heard: CallResult) -> str:
    """
    What was answered, or why nothing was, in words.
    """
    match heard:
        case Unsent(reason=reason) | Cut(reason=reason):
            return reason
        case Refusal(message=words) | Unreadable(excerpt=words):
            return f"HTTP {heard.http}: {words}"
        case Success(http=http) | Processing(http=http):
            return f"HTTP {http}: accepted without an id"
