"""
One request, from the queue to its record.

A submission runs in a task of the client's own.  Whoever waits for it may go
at any time: before it is sent it is taken out of the queue; after that it goes
on, because it may be paid for.  How it ended is a value: a job, an error, or
`Withdrawn`.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random

from typing import Protocol, TypeAlias

import attrs

from .._policy.breakers import OutageBreaker
from .._policy.retry import RetryBudget, RetryPolicy
from .._policy.tickets import Ticket
from .._policy.verdicts import SubmitVerdict, judge_submit
from .._protocol.decode import decode
from .._protocol.encode import encode
from .._protocol.refusals import refusal_error
from .._protocol.replies import (
    CallResult,
    Cut,
    Processing,
    Refusal,
    Reply,
    Success,
    Unsent,
)
from ..errors import (
    ClientClosedError,
    ConfigurationError,
    GenerationFailedError,
    JobUnfinishedError,
    ModelsLabError,
    OutcomeUnknownError,
)
from ..events import CallRetried, OutcomeUnknown, QueueFull
from ..results import Generation, JobState, Receipt
from ..specs import Spec
from .attempts import Attempts
from .http import SessionPool
from .job import Job, TakeUp, Watch, finished
from .poller import Poller
from .runtime import Runtime
from .slot_queue import SlotQueue
from .waiters import Waiters, afresh


_log = logging.getLogger("modelslab_async")


class Record(Protocol):
    """
    Where a request is written down, step by step; a batch's journal.

    Each is on disk when it returns.  None of them raises once the request
    has left: what was paid for must not be lost to a full disk.
    """

    async def submitting(self, track_id: str) -> None:
        """
        The next thing that happens is the first byte.
        """

    async def accepted(self, receipt: Receipt) -> None:
        """
        It runs, and is billed.
        """

    async def done(self, generation: Generation) -> None:
        """
        The links to its pictures are known, at once or in the end.
        """

    async def planned(self) -> None:
        """
        It was not taken, and may be sent again.
        """

    async def unknown(self, error: OutcomeUnknownError) -> None:
        """
        It left, and no verdict came.
        """

    async def failed(self, error: ModelsLabError) -> None:
        """
        It was refused for what it is, or its job failed.
        """

    async def stored(self, files: tuple[str, ...]) -> None:
        """
        Its pictures are files of these names.
        """


class Unwritten:
    """
    The record of a call: calls don't survive their process.
    """

    async def submitting(self, track_id: str) -> None: ...

    async def accepted(self, receipt: Receipt) -> None: ...

    async def done(self, generation: Generation) -> None: ...

    async def planned(self) -> None: ...

    async def unknown(self, error: OutcomeUnknownError) -> None: ...

    async def failed(self, error: ModelsLabError) -> None: ...

    async def stored(self, files: tuple[str, ...]) -> None: ...


UNWRITTEN: Record = Unwritten()


@attrs.frozen
class Withdrawn:
    """
    A request that was taken out of the queue: the service has not taken it,
    and it is not sent again.
    """


#: How a request can end.
SubmissionEnd: TypeAlias = Job | ModelsLabError | Withdrawn


@attrs.define(eq=False)
class Submission:
    """
    One request on its way.

    What changes: where it is.

    Attributes:
        job: What comes of it; without an id until the service has answered.

        sent: It may be at the service now: it can't be taken back.

        asked: It has left at least once, whatever came of it.

        end: What came of it; None while it is under way.
    """

    job: Job
    watch: Watch
    spec: Spec
    priority: int
    record: Record
    attempts: Attempts
    #: Its place in the queue, or its slot, until it is accepted.
    ticket: Ticket | None = attrs.field(default=None, init=False)
    sent: bool = attrs.field(default=False, init=False)
    asked: bool = attrs.field(default=False, init=False)
    withdrawn: bool = attrs.field(default=False, init=False)
    end: SubmissionEnd | None = attrs.field(default=None, init=False)
    task: asyncio.Task[None] = attrs.field(init=False)
    _in_slot: bool = attrs.field(default=False, init=False)
    _entering: Waiters = attrs.field(factory=Waiters, init=False)
    ending: Waiters = attrs.field(factory=Waiters, init=False)

    @property
    def track_id(self) -> str:
        """
        The name of the request.
        """
        return self.attempts.track_id

    def withdraw(self) -> None:
        """
        Take it out of the queue, or see that it does not come back there.
        """
        self.withdrawn = True
        if not self.sent and self.end is None:
            self.task.cancel()

    async def entered(self) -> None:
        """
        Wait until it first holds a slot, or never will.
        """
        if not self._in_slot and self.end is None:
            await self._entering.wait()

    async def ended(self, timeout: float | None = None) -> bool:
        """
        Wait for its end; False if *timeout* seconds are over before.

        It goes on when whoever waits goes away.
        """
        return self.end is not None or await self.ending.wait(timeout)

    def enter(self) -> None:
        """
        It holds a slot.
        """
        if not self._in_slot:
            self._in_slot = True
            self._entering.wake()

    def finish(self, end: SubmissionEnd) -> None:
        """
        Nothing more will come of it.
        """
        self.end = end
        self._entering.wake()
        self.ending.wake()


@attrs.define(eq=False, repr=False)
class Submitter:
    """
    The requests of a client that are waiting in the queue or under way.

    What changes: which those are.
    """

    runtime: Runtime
    pool: SessionPool
    queue: SlotQueue
    poller: Poller
    policy: RetryPolicy
    budget: RetryBudget
    take_up: TakeUp
    under_way: dict[Submission, None] = attrs.field(factory=dict, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    # For whoever asks

    def start(
        self,
        spec: Spec,
        *,
        priority: int,
        record: Record = UNWRITTEN,
        breaker: OutageBreaker | None = None,
    ) -> Submission:
        """
        Put a request into the queue.

        Raises:
            ClientClosedError: The client was closed.
        """
        runtime = self.runtime
        runtime.check()
        if self._closed:
            raise ClientClosedError
        track_id = spec.track_id or new_track_id()
        watch = Watch(
            Receipt(None, spec.endpoint.name, track_id),
            spec,
            runtime,
            context=contextvars.copy_context() if runtime.observers else None,
        )
        job = watch.job = Job(watch, self.take_up)
        attempts = Attempts(
            track_id, self.policy, self.budget, runtime.timeouts, breaker
        )
        one = Submission(job, watch, spec, priority, record, attempts)
        self.under_way[one] = None
        one.task = runtime.loop.create_task(self._run(one))
        one.task.add_done_callback(lambda _: self._over(one))
        return one

    def jobs(self) -> tuple[Job, ...]:
        """
        The jobs of requests that may be at the service, and got no answer.
        """
        return tuple(
            one.job for one in self.under_way if one.sent and one.end is None
        )

    async def generate(
        self, spec: Spec, timeout: float | None, priority: int
    ) -> Generation:
        """
        Ask for pictures, and wait for them; see `ModelsLab.generate`.
        """
        started, tries = self.runtime.now(), 0
        while True:
            one = self.start(spec, priority=priority)
            try:
                await self._wait(one, one.watch.over, started, timeout)
                return one.watch.outcome()
            except GenerationFailedError:
                # Each is a new job to pay for: only if the user said so.
                if tries >= self.policy.resubmit_failed:
                    raise
                tries += 1

    async def submit(
        self, spec: Spec, timeout: float | None, priority: int
    ) -> Job:
        """
        Ask for pictures, and wait until the request was accepted.
        """
        one = self.start(spec, priority=priority)
        await self._wait(one, one.ending, self.runtime.now(), timeout)
        if isinstance(one.end, ModelsLabError):
            raise afresh(one.end) from one.end.__cause__
        if isinstance(one.end, Job):
            return one.end
        raise ClientClosedError

    async def _wait(
        self,
        one: Submission,
        what: Waiters,
        started: float,
        timeout: float | None,
    ) -> None:
        """
        Wait until *timeout* seconds after *started*.

        Raises:
            JobUnfinishedError: They are over; *sent* says whether the request
                may have reached the service.

            OutcomeUnknownError: They are over, and a request that had left
                got no verdict.
        """
        left = timeout
        if timeout is not None:
            left = max(0.0, timeout - (self.runtime.now() - started))
        try:
            if await what.wait(left):
                return
        except asyncio.CancelledError:
            self._leave(one)
            raise
        taken_out = self._leave(one)
        if taken_out and one.attempts.unknown:
            raise OutcomeUnknownError(one.track_id, "cancelled", "gave up")
        waited = self.runtime.now() - started
        raise JobUnfinishedError(
            one.job.id, one.track_id, waited, not taken_out
        )

    def _leave(self, one: Submission) -> bool:
        """
        Take the request out of the queue; False if it is too late for that.
        """
        if one.sent or one.end is not None:
            return False
        one.task.cancel()
        return True

    async def close(self) -> None:
        """
        Send the queue away, wait for what is under way, then give it up.
        """
        self._closed = True
        for one in tuple(self.under_way):
            if not one.sent:
                one.task.cancel()
        await self._settle(self.runtime.timeouts.close)
        for one in tuple(self.under_way):
            one.task.cancel()
        await self._settle(None)

    async def _settle(self, timeout: float | None) -> None:
        tasks = [one.task for one in self.under_way]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)

    # From the queue to the record

    async def _run(self, one: Submission) -> None:
        end: SubmissionEnd = Withdrawn()
        try:
            end = await self._see_in(one)
        except ModelsLabError as error:
            end = error
        except asyncio.CancelledError:
            if one.attempts.unknown:
                end = OutcomeUnknownError(one.track_id, "cancelled", "gave up")
            raise
        except Exception as exc:  # noqa: BLE001 - others go on
            _log.critical("a request died of a bug", exc_info=True)
            end = ModelsLabError(f"a bug: {exc!r}")
            end.__cause__ = exc
        finally:
            if one.ticket is not None:
                self.queue.release(one.ticket)
                self.queue.leave(one.ticket)
            if one.end is None:
                self._give_up(one, end)

    def _over(self, one: Submission) -> None:
        self.under_way.pop(one, None)
        if one.end is None:
            # Cancelled before it began.
            self._give_up(one, Withdrawn())

    def _give_up(self, one: Submission, end: SubmissionEnd) -> None:
        """
        It came to nothing: those who wait hear why.
        """
        if isinstance(end, ModelsLabError):
            error = end
        elif self._closed:
            error = ClientClosedError()
        else:
            error = JobUnfinishedError(None, one.track_id, 0.0, sent=False)
        one.finish(end)
        self.poller.end(one.watch, error, JobState.LOST)

    async def _see_in(self, one: Submission) -> SubmissionEnd:
        while True:
            if one.ticket is None:
                one.ticket = self.queue.join(one.priority)
            await self.queue.enter(one.ticket)
            one.enter()
            pause = self._held_back(one, one.ticket)
            if pause == 0:
                again = await self._try(one, one.ticket)
                if again is None:
                    return one.job
                if one.withdrawn:
                    return Withdrawn()
                pause = again
            if pause > 0:
                await asyncio.sleep(pause)

    def _held_back(self, one: Submission, ticket: Ticket) -> float:
        """
        How long an outage, or a ban, keeps the batch from asking.
        """
        breaker, now = one.attempts.breaker, self.runtime.now()
        if breaker is None:
            return 0.0
        pause = breaker.pause(now)
        if pause == 0:
            breaker.take_probe(now)
            return 0.0
        self.queue.release(ticket)
        if breaker.error and breaker.exhausted(now):
            raise afresh(breaker.error)
        return pause

    async def _try(self, one: Submission, ticket: Ticket) -> float | None:
        """
        Send it once; give how long to wait before the next try, None if it
        was accepted.
        """
        try:
            await one.record.submitting(one.track_id)
        except asyncio.CancelledError:
            await one.record.planned()
            raise
        heard: CallResult | None = None
        one.sent = True
        if one.attempts.began is None:
            one.attempts.began = self.runtime.now()
        try:
            heard = await self._exchange(one)
            one.asked = one.asked or not isinstance(heard, Unsent)
            row = judge_submit(heard)
            if row is SubmitVerdict.ACCEPTED and isinstance(
                heard, Processing | Success
            ):
                await self._accept(one, ticket, heard)
                return None
            return await self._not_accepted(one, ticket, row, heard)
        except ConfigurationError:
            # No key could be had: nothing left.
            if heard is None:
                await one.record.planned()
            raise
        except asyncio.CancelledError:
            if heard is None:
                words = "our own task was cancelled"
                self._unknown(
                    one, OutcomeUnknownError(one.track_id, "cancelled", words)
                )
            raise
        finally:
            one.sent = False

    async def _exchange(self, one: Submission) -> CallResult:
        call = encode(
            one.spec, base_url=self.pool.base_url, track_id=one.track_id
        )
        reply = await self.pool.submit(call)
        if not isinstance(reply, Reply):
            return reply
        try:
            return decode(reply)
        except Exception as exc:  # noqa: BLE001 - what is paid is not lost
            _log.critical("an answer died of a bug", exc_info=True)
            return Cut(f"a bug: {exc!r}", begun=True)

    async def _accept(
        self, one: Submission, ticket: Ticket, answer: Processing | Success
    ) -> None:
        eta = answer.eta if isinstance(answer, Processing) else None
        receipt = Receipt(
            answer.id,
            one.spec.endpoint.name,
            one.track_id,
            answer.fetch_result,
            eta,
            answer.seed,
            answer.expected_urls,
            answer.meta_json,
        )
        end = message = None
        if isinstance(answer, Processing):
            message = answer.message
        elif answer.images:
            end = finished(receipt, answer)
        try:
            # Nothing else is done with the answer before it is kept.
            if end is None:
                await one.record.accepted(receipt)
            else:
                await one.record.done(end)
        except Exception:  # noqa: BLE001 - what is paid is not lost
            _log.critical("job %s is not recorded", answer.id, exc_info=True)
        finally:
            # Also where we are cancelled: its id is known.
            one.ticket = None
            self.queue.accepted(ticket)
            self.poller.accept(one.watch, receipt, ticket, end, message)
            one.finish(one.job)
        self.budget.earn()
        if one.attempts.breaker is not None:
            one.attempts.breaker.accepted()

    async def _not_accepted(
        self,
        one: Submission,
        ticket: Ticket,
        row: SubmitVerdict,
        heard: CallResult,
    ) -> float:
        """
        Give the slot back, write it down, and see how to go on.
        """
        attempts = one.attempts
        attempts.slots = self.queue.slots.limit
        if row is SubmitVerdict.CUT or row is SubmitVerdict.UNKNOWN:
            return await self._no_verdict(one, ticket, heard)
        if row is SubmitVerdict.QUEUE_FULL:
            self.runtime.stats.refusals += 1
            limit = heard.limit if isinstance(heard, Refusal) else None
            if self.runtime.observers:
                one.watch.tell(QueueFull(one.track_id, limit))
            self.queue.refused(ticket, limit)
            await one.record.planned()
            return 0.0
        if row is SubmitVerdict.ACCOUNT and not isinstance(
            heard, Unsent | Cut
        ):
            error = refusal_error(heard)
            # First, or the slot given back would let one more in.
            self.queue.shut(error)
            self.queue.release(ticket)
            await one.record.planned()
            raise error
        self.queue.release(ticket)
        if row is not SubmitVerdict.REFUSED:
            await one.record.planned()
        try:
            pause = attempts.pause(row, heard, self.runtime.now())
        except ModelsLabError as final:
            if row is SubmitVerdict.REFUSED:
                await one.record.failed(final)
            raise
        if self.runtime.observers:
            one.watch.tell(
                CallRetried(one.track_id, row.name, attempts.unsent, pause)
            )
        return pause

    async def _no_verdict(
        self, one: Submission, ticket: Ticket, heard: CallResult
    ) -> float:
        """
        Sent, and nobody knows: it may run, and be billed.
        """
        # The slot stays with the request that may run.  What has run longest
        # is likely to be over; it comes back then.
        most = self.runtime.timeouts.unknown_slot
        usual = min(self.poller.usual or most, most)
        self.runtime.loop.call_later(usual, self.queue.release, ticket)
        self.queue.leave(ticket)
        one.ticket = None
        error = one.attempts.no_verdict(heard)
        self._unknown(one, error)
        await one.record.unknown(error)
        pause = one.attempts.after_unknown(error, self.runtime.now())
        await one.record.planned()
        return pause

    def _unknown(self, one: Submission, error: OutcomeUnknownError) -> None:
        one.attempts.unknown += 1
        stats = self.runtime.stats
        stats.unknown += 1
        stats.unknown_ids.append(one.track_id)
        _log.warning("%s", error)
        if self.runtime.observers:
            one.watch.tell(OutcomeUnknown(one.track_id, error.reason))


def new_track_id() -> str:
    """
    18 random decimal digits: some pages of the service type it an integer.
    """
    return str(random.randrange(10**17, 10**18))
