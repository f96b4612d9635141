"""
The jobs of a client from their acceptance to their end: what each answer to a
poll means for its job, by the second table of `_policy.verdicts`.

A job holds its slot until its end is known, also when nobody waits for it any
more.  Two jobs of one id share one watch.
"""

from __future__ import annotations

import json
import logging
import random

from contextvars import copy_context

import attrs

from .._policy.polling import Pace, TokenBucket
from .._policy.retry import RetryBudget, backoff
from .._policy.tickets import Ticket
from .._policy.verdicts import PollVerdict, judge_poll
from .._protocol.refusals import refusal_error
from .._protocol.replies import (
    CallResult,
    Processing,
    Refusal,
    Success,
    Unreadable,
)
from ..errors import (
    GenerationFailedError,
    JobNotFoundError,
    JobUnfinishedError,
    ModelsLabError,
)
from ..events import JobAccepted, JobFinished, JobPolled
from ..results import Generation, Image, JobState, Receipt
from .http import SessionPool
from .job import Job, Watch, finished, named, packed
from .poll_loop import PollLoop
from .runtime import Runtime
from .slot_queue import SlotQueue


_log = logging.getLogger("modelslab_async")


#: How often a success without a picture is asked again, and an unknown id.
_EMPTY, _LOST = 3, 3


@attrs.define(eq=False, repr=False)
class Poller:
    """
    Every job of a client that was accepted and has not ended.

    What changes: which jobs are watched, and what is known of each.

    Attributes:
        usual: Seconds that a job took lately; None before the first.
    """

    runtime: Runtime
    pool: SessionPool
    queue: SlotQueue
    budget: RetryBudget
    job_timeout: float
    pace: Pace
    usual: float | None = attrs.field(default=None, init=False)
    _loop: PollLoop = attrs.field(init=False)
    #: By id; where a service gives one twice, the later by its track_id too.
    _watched: dict[str, Watch] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        schedule, runtime = self.pace.schedule, self.runtime
        self._loop = PollLoop(
            runtime,
            TokenBucket(schedule.budget * runtime.timeouts.speed),
            self._ask,
            self._hear,
            self._stumbled,
            schedule.shortest,
        )

    def jobs(self) -> tuple[Job, ...]:
        """
        Every job that is watched, also those that nobody waits for.
        """
        watched = self._watched.values()
        return tuple(watch.job for watch in watched if watch.job)

    def find(self, job_id: str | None) -> Job | None:
        """
        The job of this id, while it is watched.
        """
        watch = self._watched.get(job_id or "")
        return None if watch is None else watch.job

    # From acceptance to a watch

    def accept(
        self,
        watch: Watch,
        receipt: Receipt,
        ticket: Ticket,
        end: Generation | None = None,
        message: str | None = None,
    ) -> None:
        """
        The service took the request: watch the job to its end.

        Args:
            watch: The job's, so far without an id.

            receipt: What the service told.

            ticket: The slot that the job holds from now on.

            end: Its pictures, where they came at once.

            message: The service's words.
        """
        now = self.runtime.now()
        watch.receipt, watch.ticket = receipt, ticket
        watch.eta, watch.message = receipt.eta, message
        self.runtime.stats.accepted += 1
        if self.runtime.observers:
            watch.tell(JobAccepted(receipt.track_id, receipt.id, receipt.eta))
        if end is None:
            self._start(watch, now)
        else:
            watch.since = now
            self.end(watch, end)

    def resume(self, watch: Watch) -> Watch:
        """
        Take up a job that ran when it was last seen: it holds a slot at once.
        """
        watch = self.take_up(watch)
        if watch.ticket is None:
            watch.ticket = self.queue.adopt()
        return watch

    def take_up(self, watch: Watch, now: bool = False) -> Watch:
        """
        See that a job is watched here.

        Args:
            watch: Of the job.

            now: Ask for it without waiting for its turn.

        Returns:
            The watch that its id has here; it knows what both knew.

        Raises:
            ClientClosedError, WrongLoopError: See `Runtime.check`.
        """
        self.runtime.check()
        known = self._watched.get(watch.receipt.id or "", watch)
        if known is not watch:
            known.learn(watch.receipt)
            known.spec = known.spec or watch.spec
            watch = known
        if self.runtime.observers and watch.context is None:
            watch.context = copy_context()
        # Without an id its request is under way, and will be heard of.
        if watch.receipt.id is not None:
            if not self._watches(watch):
                self._start(watch, self.runtime.now(), first=0.0)
            elif now and not watch.inquiry.under_way:
                self._plan(watch, self.runtime.now(), 0.0)
        return watch

    def _start(
        self, watch: Watch, now: float, first: float | None = None
    ) -> None:
        watch.runtime, watch.since = self.runtime, now
        watch.end, watch.state = None, JobState.PROCESSING
        key = watch.receipt.id or ""
        if self._watched.setdefault(key, watch) is not watch:
            self._watched[f"{key} {watch.receipt.track_id}"] = watch
        self._plan(watch, now, first)

    def _watches(self, watch: Watch) -> bool:
        """
        Whether the job was accepted or taken up here, and has not ended.
        """
        accepted = watch.receipt.id is not None
        here = watch.runtime is self.runtime
        return accepted and here and watch.end is None

    def _plan(
        self, watch: Watch, now: float, pause: float | None = None
    ) -> None:
        """
        Ask for the job after *pause* seconds, or on schedule.
        """
        if pause is None:
            pause = self._pause(watch, now)
        end = watch.since + self.job_timeout
        self._loop.plan(watch, max(now, min(now + pause, end)))

    def _pause(self, watch: Watch, now: float) -> float:
        speed, guess = self.runtime.timeouts.speed, watch.receipt.eta
        try:
            pause = self.pace.pause(
                watch.kind(),
                eta=None if guess is None else guess * speed,
                waited=(now - watch.since) * speed,
                dice=random.random(),
            )
        except Exception:  # noqa: BLE001 - a paid job is not left unasked
            _log.critical("the schedule died of a bug", exc_info=True)
            pause = self.pace.schedule.longest
        return pause / speed

    async def _ask(self, watch: Watch) -> CallResult:
        spec = watch.spec
        return await watch.inquiry.ask(
            watch.receipt,
            self.pool,
            self.runtime.stats,
            large=spec is not None and spec.inline,
        )

    # What a poll said: the table, played out

    def _hear(self, watch: Watch, heard: CallResult | None) -> None:
        if not self._watches(watch):
            return
        if heard is None:
            self._again(watch, None)
            return
        now = self.runtime.now()
        row = judge_poll(heard)
        if self.runtime.observers:
            receipt, polls = watch.receipt, watch.inquiry.polls
            watch.tell(
                JobPolled(
                    receipt.track_id, receipt.id, polls, now - watch.since
                )
            )
        if isinstance(heard, Processing | Refusal):
            watch.message = heard.message
        elif isinstance(heard, Success):
            watch.message = None
        if row is not PollVerdict.NOT_FOUND:
            watch.inquiry.missing = 0
        match row, heard:
            case PollVerdict.AGAIN, Processing():
                self._runs(watch, heard, now)
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
                self.queue.shut(error)
                watch.wake(error)
                if not self._late(watch, now):
                    self._plan(watch, now, self.runtime.timeouts.account_probe)
            case _:
                self._again(watch, heard)

    def _runs(self, watch: Watch, answer: Processing, now: float) -> None:
        """
        The service works on it: ask again on schedule.
        """
        if watch.ticket is None:
            watch.ticket = self.queue.adopt()
        watch.inquiry.fails = 0
        watch.elapsed = now - watch.since
        if answer.eta is not None:
            watch.eta = answer.eta
        if answer.expected_urls and not watch.receipt.expected_urls:
            self._learn_urls(watch, answer.expected_urls)
        self.budget.earn()
        watch.wake_news()
        if not self._late(watch, now):
            self._plan(watch, now)

    def _done(self, watch: Watch, answer: Success, now: float) -> None:
        speed, guess = self.runtime.timeouts.speed, watch.receipt.eta
        elapsed = now - watch.since
        if guess is not None or watch.spec is not None:
            self.pace.learn(
                watch.kind(),
                eta=None if guess is None else guess * speed,
                after=watch.elapsed * speed,
                by=elapsed * speed,
            )
        self.usual = _smooth(self.usual, elapsed)
        self.budget.earn()
        self.end(watch, finished(watch.receipt, answer))

    def _empty(self, watch: Watch, answer: Success) -> None:
        """
        Done, but where? After three more looks, where it was said to be.
        """
        watch.inquiry.empty += 1
        if answer.expected_urls:
            self._learn_urls(watch, answer.expected_urls)
        urls = watch.receipt.expected_urls
        if watch.inquiry.empty <= _EMPTY:
            self._again(watch, answer)
        elif urls:
            images = tuple(Image(index, url) for index, url in enumerate(urls))
            answer = attrs.evolve(answer, images=images)
            self.end(watch, finished(watch.receipt, answer))
        else:
            words = "the service says that it is done, and gives no picture"
            self._failed(watch, words, b"null")

    @staticmethod
    def _learn_urls(watch: Watch, urls: tuple[str, ...]) -> None:
        watch.receipt = attrs.evolve(watch.receipt, expected_urls=urls)

    def _failed(self, watch: Watch, words: str, raw_json: bytes) -> None:
        receipt, raw = watch.receipt, json.loads(raw_json)
        self.end(
            watch,
            GenerationFailedError(receipt.id, receipt.track_id, words, raw),
        )

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
        elif inquiry.other_name(receipt):
            self._plan(watch, now, 0.0)
        else:
            error = JobNotFoundError(receipt.id, receipt.track_id)
            self.end(watch, error, JobState.LOST)

    def _again(self, watch: Watch, heard: CallResult | None) -> None:
        """
        That said nothing of the job: ask again, backing off.
        """
        now, timeouts = self.runtime.now(), self.runtime.timeouts
        watch.wake_news()
        if self._late(watch, now):
            return
        fails = watch.inquiry.fails
        pause = backoff(fails, timeouts, 1.0 - random.random() / 2)
        if not self.budget.spend():
            pause = max(pause, timeouts.retry_longest)
        if isinstance(heard, Refusal | Unreadable) and heard.retry_after:
            pause = max(pause, min(heard.retry_after, timeouts.ban_call))
        watch.inquiry.fails += 1
        self._plan(watch, now, pause)

    def _late(self, watch: Watch, now: float) -> bool:
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
        error = JobUnfinishedError(receipt.id, receipt.track_id, waited)
        self.end(watch, error, JobState.UNFINISHED)
        return True

    # The end

    def end(
        self,
        watch: Watch,
        end: Generation | ModelsLabError,
        state: JobState = JobState.FAILED,
    ) -> None:
        """
        A job is over, or its request came to nothing: free its slot, tell all
        who wait.
        """
        if isinstance(end, Generation):
            state = JobState.SUCCEEDED
        now, receipt = self.runtime.now(), watch.receipt
        if watch.ticket is not None:
            ticket, watch.ticket = watch.ticket, None
            if state is JobState.UNFINISHED:
                self.queue.release(ticket)
            else:
                self.queue.finished(ticket)
        if state is JobState.SUCCEEDED:
            self.runtime.stats.succeeded += 1
        elif state is not JobState.UNFINISHED and receipt.id is not None:
            self.runtime.stats.failed += 1
        for key in (receipt.id or "", f"{receipt.id} {receipt.track_id}"):
            if self._watched.get(key) is watch:
                del self._watched[key]
                break
        watch.end, watch.state, watch.job = end, state, None
        watch.elapsed = now - watch.since if watch.since else 0.0
        watch.inquiry.over()
        if self.runtime.observers:
            watch.tell(
                JobFinished(
                    receipt.track_id,
                    receipt.id,
                    state,
                    watch.inquiry.polls,
                    watch.elapsed,
                )
            )
        watch.wake()

    def close(self) -> None:
        """
        Stop asking; those who wait get `JobUnfinishedError` with the id.
        """
        self._loop.close()
        left = self.jobs()
        if left:
            _log.warning(
                "closed with %d unfinished: %s", len(left), named(left)
            )
        now = self.runtime.now()
        for watch in tuple(self._watched.values()):
            receipt = watch.receipt
            # It may be taken up again, in another queue.
            watch.ticket = None
            watch.wake(
                JobUnfinishedError(
                    receipt.id, receipt.track_id, now - watch.since
                )
            )

    async def join(self) -> None:
        """
        Wait until nothing of the loop runs any more.
        """
        await self._loop.join()

    def _stumbled(self) -> None:
        for watch in tuple(self._watched.values()):
            receipt = watch.receipt
            watch.wake(JobUnfinishedError(receipt.id, receipt.track_id))


def _smooth(before: float | None, now: float) -> float:
    return now if before is None else 0.8 * before + 0.2 * now
