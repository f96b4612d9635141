"""
What an answer to a poll means for its job: the second table of
`_policy.verdicts`, played out.
"""

from __future__ import annotations

import json
import logging
import random

from collections.abc import Callable

import attrs

from .._policy.retry import RetryBudget, backoff
from .._policy.verdicts import PollVerdict, judge_poll
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
    JobNotFoundError,
    ModelsLabError,
    TransportError,
)
from ..results import Generation, Image, JobState
from .job import Watch
from .pacer import Pacer
from .receipts import finished, packed, with_handle
from .runtime import Runtime
from .slot_queue import SlotQueue
from .telling import tell_poll_retried, tell_polled
from .waits import Waited, trouble


_log = logging.getLogger("modelslab_async")


#: How often a success without a picture is asked again, and an unknown id.
_EMPTY, _LOST = 3, 3


@attrs.define(eq=False, repr=False)
class Hearing:
    """
    Hears the answers to polls.

    What changes: nothing of its own.

    Attributes:
        plan: Asks for a job again at so many seconds on the loop's clock, or
            after a pause, None for the schedule's.

        end: Ends a job.
    """

    runtime: Runtime
    queue: SlotQueue
    budget: RetryBudget
    pacer: Pacer
    job_timeout: float
    plan: Callable[[Watch, float, float | None], None]
    end: Callable[[Watch, Generation | ModelsLabError, JobState], None]

    def hear(
        self,
        watch: Watch,
        heard: CallResult | None,
        asked: float | None = None,
    ) -> None:
        """
        Do what an answer to what was *asked* then calls for; None: the
        question hung, or died of a bug.
        """
        if heard is None:
            self._again(watch, None)
            return
        now = self.runtime.now()
        named = getattr(heard, "id", None)
        # Most name none, or the one that the submit's answer did.
        known = named is None or named == watch.receipt.id
        names = () if known else watch.names()
        row = judge_poll(heard, names)
        tell_polled(watch, row, asked, now)
        if row is PollVerdict.AGAIN and isinstance(heard, Processing):
            self._runs(watch, heard, now)
            return
        if row is PollVerdict.OTHER_JOB:
            pass
        elif isinstance(heard, Refusal):
            watch.message = heard.message
        elif isinstance(heard, Success):
            watch.message = None
        if row is not PollVerdict.NOT_FOUND:
            watch.inquiry.missing = 0
        match row, heard:
            case PollVerdict.DONE, Success():
                self._done(watch, heard, now)
            case PollVerdict.EMPTY, Success():
                self._empty(watch, heard)
            case PollVerdict.FAILED, Refusal():
                self._failed(watch, heard.message, heard.raw_json)
            case PollVerdict.NOT_FOUND, _:
                self._not_found(watch, now)
            case PollVerdict.ACCOUNT, Refusal() | Unreadable():
                error = refusal_error(heard)
                self.queue.shut(error, watch.redact(error))
                error.job_id = watch.receipt.id
                with_handle(error, watch.receipt)
                self._note_wait(watch, Waited.ACCOUNT, f"the account: {error}")
                watch.wake(error)
                if not self._end_if_late(watch, now):
                    self.plan(watch, now, self.runtime.timeouts.account_probe)
            case _:
                self._again(watch, heard)

    def _runs(self, watch: Watch, answer: Processing, now: float) -> None:
        """
        The service works on it: ask again on schedule.
        """
        if watch.ticket is None:
            watch.ticket = self.queue.adopt()
        watch.message = answer.message
        watch.inquiry.missing = watch.inquiry.fails = 0
        if watch.job is not None:
            self.runtime.waits.end(watch.job)
        watch.elapsed = now - watch.since
        if answer.eta is not None:
            watch.eta = answer.eta
        if answer.expected_urls and not watch.receipt.expected_urls:
            watch.expect(answer.expected_urls)
        self.budget.earn()
        watch.wake_news()
        if not self._end_if_late(watch, now):
            self.plan(watch, now, None)

    def _done(self, watch: Watch, answer: Success, now: float) -> None:
        self.pacer.learn(watch, now)
        self.budget.earn()
        self._finish(watch, answer)

    def _finish(self, watch: Watch, answer: Success) -> None:
        self.end(watch, finished(watch.receipt, answer), JobState.SUCCEEDED)

    def _empty(self, watch: Watch, answer: Success) -> None:
        """
        Done, but where? After three more looks, where it was said to be.
        """
        watch.inquiry.empty += 1
        if answer.expected_urls:
            watch.expect(answer.expected_urls)
        urls = watch.receipt.expected_urls
        if watch.inquiry.empty <= _EMPTY:
            self._again(watch, answer)
        elif urls:
            images = tuple(Image(index, url) for index, url in enumerate(urls))
            answer = attrs.evolve(answer, images=images)
            self._finish(watch, answer)
        else:
            words = "the service says that it is done, and gives no picture"
            self._failed(watch, words, answer.raw_json)

    def _failed(self, watch: Watch, words: str, raw_json: bytes) -> None:
        receipt, raw = watch.receipt, json.loads(raw_json)
        error = GenerationFailedError(receipt.id, receipt.track_id, words, raw)
        self.end(watch, with_handle(error, receipt), JobState.FAILED)

    def _not_found(self, watch: Watch, now: float) -> None:
        """
        Unknown to the service; right after a submit that may pass.
        """
        inquiry, receipt = watch.inquiry, watch.receipt
        inquiry.missing += 1
        if inquiry.missing == 1:
            inquiry.missing_since = now
        long = now - inquiry.missing_since >= self.runtime.timeouts.not_found
        if inquiry.missing < _LOST or not long:
            self._again(watch, None)
        elif inquiry.turn_elsewhere(receipt):
            self.plan(watch, now, 0.0)
        else:
            error = JobNotFoundError(receipt.id, receipt.track_id)
            self.end(watch, with_handle(error, receipt), JobState.LOST)

    def _again(self, watch: Watch, heard: CallResult | None) -> None:
        """
        That said nothing of the job: ask again, backing off.
        """
        now, timeouts = self.runtime.now(), self.runtime.timeouts
        watch.wake_news()
        if self._end_if_late(watch, now):
            return
        fails = watch.inquiry.fails
        pause = backoff(fails, timeouts, 1.0 - random.random() / 2)
        if not self.budget.spend():
            pause = max(pause, timeouts.retry_longest)
        if isinstance(heard, Refusal | Unreadable) and heard.retry_after:
            pause = max(pause, min(heard.retry_after, timeouts.ban_call))
        watch.inquiry.fails += 1
        self._tell_again(watch, heard, pause)
        self.plan(watch, now, pause)

    def _tell_again(
        self, watch: Watch, heard: CallResult | None, pause: float
    ) -> None:
        """
        Say why a poll is repeated, where that is known.
        """
        error: ModelsLabError
        match heard:
            case Unsent(reason=reason) | Cut(reason=reason):
                error = TransportError(reason, sent=False)
            case Refusal() | Unreadable():
                error = refusal_error(heard)
            case _:
                return
        self._note_wait(watch, *trouble(error))
        tell_poll_retried(watch, error, pause)

    def _note_wait(self, watch: Watch, reason: Waited, words: str) -> None:
        if watch.job is not None:
            self.runtime.waits.begin(watch.job, reason, watch.redact(words))

    def _end_if_late(self, watch: Watch, now: float) -> bool:
        """
        End the watch of a job that outlives *job_timeout*.
        """
        waited, receipt = now - watch.since, watch.receipt
        if waited < self.job_timeout:
            return False
        _log.warning(
            "job %s is unfinished after %.0f s; its handle is %s",
            receipt.id,
            waited,
            packed(receipt),
        )
        self.end(watch, watch.unfinished(now), JobState.UNFINISHED)
        return True
