"""
The jobs of a client, from their acceptance to their end.

A job holds its slot until its end is known, also when nobody waits for it any
more.  Two jobs of one id share one watch.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextvars import copy_context
from functools import partial

import attrs

from .._policy.retry import RetryBudget
from .._policy.tickets import Ticket
from .._protocol.replies import CallResult
from ..errors import (
    GenerationFailedError,
    ModelsLabError,
    OutcomeUnknownError,
)
from ..results import Generation, JobState, Receipt
from .hearing import Hearing
from .http import SessionPool
from .job import Job, Watch
from .pacer import Pacer
from .poll_loop import PollLoop
from .runtime import Runtime, forked
from .slot_queue import SlotQueue
from .telling import tell_accepted, tell_finished, tell_resumed
from .watches import Watches


#: Seconds between two polls that rings of one job ask for, at least.
_RINGS_APART = 0.25


@attrs.define(eq=False, repr=False)
class Poller:
    """
    Every job of a client that was accepted and has not ended.

    What changes: which jobs are watched, and what is known of each.
    """

    runtime: Runtime
    pool: SessionPool
    queue: SlotQueue
    budget: RetryBudget
    job_timeout: float
    pacer: Pacer
    _loop: PollLoop = attrs.field(init=False)
    _hearing: Hearing = attrs.field(init=False)
    _watched: Watches = attrs.field(factory=Watches, init=False)

    def __attrs_post_init__(self) -> None:
        self._loop = PollLoop(
            self.runtime,
            self.pacer.pace.schedule,
            lambda: self.queue.slots.held,
            self._ask,
            self._hear,
            self._stumbled,
        )
        self._hearing = Hearing(
            self.runtime,
            self.queue,
            self.budget,
            self.pacer,
            self.job_timeout,
            self._plan,
            self.end,
        )

    @property
    def usual(self) -> float | None:
        """
        Seconds that a job took lately; None before the first.
        """
        return self.pacer.usual

    def jobs(self) -> tuple[Job, ...]:
        """
        Every job that is watched, also those that nobody waits for.
        """
        watched = self._watched.all()
        return tuple(watch.job for watch in watched if watch.job)

    def find(self, job_id: str | None) -> Job | None:
        """
        The job of this id, while it is watched.
        """
        watch = self._watched.find(job_id)
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
        tell_accepted(watch, ticket, now)
        if end is None:
            watch.inquiry.early = True
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
        known = self._watched.find(watch.receipt.id)
        if known is not None and known is not watch:
            known.learn(watch.receipt)
            if known.inquiry.bell is None and watch.inquiry.bell is not None:
                known.inquiry.bell = watch.inquiry.bell
                known.inquiry.bell.heard = partial(self._rung, known)
            known.spec = known.spec or watch.spec
            watch = known
        if self.runtime.observers and watch.context is None:
            watch.context = copy_context()
        # Without an id its request is under way, and will be heard of.
        if watch.receipt.id is not None:
            if watch not in self._watched:
                self._start(watch, self.runtime.now(), first=0.0)
                tell_resumed(watch)
            elif now and not self._loop.asks(watch):
                self._plan(watch, self.runtime.now(), 0.0)
        return watch

    def _start(
        self, watch: Watch, now: float, first: float | None = None
    ) -> None:
        watch.runtime, watch.since = self.runtime, now
        watch.end, watch.state = None, JobState.PROCESSING
        self._watched.add(watch)
        if watch.inquiry.bell is not None:
            watch.inquiry.bell.heard = partial(self._rung, watch)
        self._plan(watch, now, first)

    def _rung(self, watch: Watch) -> None:
        """
        Ask for a job whose bell has rung, at once.

        An answer that is under way may be older than the ring; it plans then.
        """
        if watch in self._watched and not self._loop.asks(watch):
            self._plan(watch, self.runtime.now())

    def ask_as_without_bells(self) -> None:
        """
        Bells do not ring: plan anew what waits for one.
        """
        now = self.runtime.now()
        for watch in self._watched.all():
            if watch.inquiry.bell is not None and not self._loop.asks(watch):
                self._plan(watch, now)

    def _plan(
        self, watch: Watch, now: float, pause: float | None = None
    ) -> None:
        """
        Ask for the job after *pause* seconds, or on schedule.
        """
        bell = watch.inquiry.bell
        if bell is not None and bell.pending:
            pause = bell.answer(
                now, _RINGS_APART / self.runtime.timeouts.speed
            )
        elif pause is None:
            pause = self.pacer.pause(watch, now)
        end = watch.since + self.job_timeout
        self._loop.plan(watch, max(now, min(now + pause, end)))

    def _ask(self, watch: Watch) -> Awaitable[CallResult]:
        return watch.inquiry.ask(
            watch.receipt, self.pool, self.runtime.stats, watch.spec
        )

    def _hear(self, watch: Watch, heard: CallResult | None) -> None:
        if watch in self._watched:
            told = self.runtime.observers.functions
            asked = self._loop.asked_at(watch) if told else None
            self._hearing.hear(watch, heard, asked)

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
        if watch.job is not None:
            self.runtime.waits.end(watch.job)
        ticket, watch.ticket = watch.ticket, None
        if ticket is not None:
            if state is JobState.UNFINISHED:
                self.queue.release(ticket)
            else:
                self.queue.finished(ticket)
        again = watch.inquiry.again
        if state is JobState.SUCCEEDED:
            self.runtime.stats.succeeded += not again
        elif state is not JobState.UNFINISHED and receipt.id is not None:
            self.runtime.stats.failed += not again
        self._end_bell(watch, end)
        self._watched.remove(watch)
        watch.end, watch.state, watch.job = end, state, None
        watch.inquiry.close()
        tell_finished(watch, end, state, ticket, now)
        watch.elapsed = now - watch.since if watch.since else 0.0
        watch.wake()

    def _end_bell(
        self, watch: Watch, end: Generation | ModelsLabError
    ) -> None:
        if watch.inquiry.bell is None:
            return
        unknown = isinstance(end, OutcomeUnknownError)
        watch.inquiry.bell.take_down(
            noticed=watch in self._watched
            and isinstance(end, Generation | GenerationFailedError),
            track_id=watch.receipt.track_id if unknown else None,
        )

    def close(self) -> None:
        """
        Stop asking; those who wait get `JobUnfinishedError` with the id.
        """
        self._loop.close()
        now = self.runtime.now()
        for watch in self._watched.all():
            end = watch.unfinished(now)
            tell_finished(watch, end, JobState.UNFINISHED, watch.ticket, now)
            # It may be taken up again, in another queue.
            watch.ticket = None
            watch.wake(end)

    def leave_to_parent(self) -> None:
        """
        In a forked child: ask for nothing; those who wait hear why.
        """
        self._loop.close()
        for watch in self._watched.all():
            watch.wake(forked())

    def stop(self) -> None:
        """
        Ask for nothing more: the event loop is about to end.
        """
        self._loop.close()

    async def join(self) -> None:
        """
        Wait until nothing of the loop runs any more.
        """
        await self._loop.join()

    def _stumbled(self) -> None:
        now = self.runtime.now()
        for watch in self._watched.all():
            watch.wake(watch.unfinished(now))
