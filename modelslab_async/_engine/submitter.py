"""
The requests of a client: started here, waited for here, and closed here.

A submission runs in a task of the client's own.  Whoever waits for it may go
at any time: before it is sent it is taken out of the queue; after that it goes
on, because it may be paid for.  How it ended is a value: a job, an error, or
`Withdrawn`.
"""

from __future__ import annotations

import asyncio
import contextvars
import random

import attrs

from .._policy.retry import RetryPolicy
from ..errors import (
    ClientClosedError,
    GenerationFailedError,
    JobUnfinishedError,
    ModelsLabError,
    OutcomeUnknownError,
)
from ..results import Generation, JobState, Receipt
from ..specs import Spec
from .attempts import Attempts
from .bells import Bells
from .job import Job, TakeUp, Watch
from .poller import Poller
from .receipts import with_handle
from .runtime import Runtime, forked
from .sender import Sender, bug
from .submission import (
    UNWRITTEN,
    Lane,
    Record,
    Submission,
    SubmissionEnd,
    Withdrawn,
)
from .waiters import Waiters, afresh


@attrs.define(eq=False, repr=False)
class Submitter:
    """
    The requests of a client that are waiting in the queue or under way.

    What changes: which those are.
    """

    runtime: Runtime
    poller: Poller
    bells: Bells
    sender: Sender
    policy: RetryPolicy
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
        policy: RetryPolicy | None = None,
        lane: Lane | None = None,
    ) -> Submission:
        """
        Put a request into the queue.

        Args:
            spec: What to ask for.

            priority: Place in the queue, lower first.

            record: Where it is written down.

            policy: Another one than the client's.

            lane: What it shares with others of its batch.

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
            track_id,
            policy or self.policy,
            self.sender.budget,
            runtime.timeouts,
            None if lane is None else lane.breaker,
        )
        one = Submission(job, watch, spec, priority, record, attempts, lane)
        self.under_way[one] = None
        one.task = runtime.loop.create_task(self.sender.run(one))
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
        failed: GenerationFailedError | None = None
        while True:
            try:
                one = self.start(spec, priority=priority)
                await self._wait(one, one.watch.over, started, timeout)
                return one.watch.outcome()
            except GenerationFailedError as error:
                # Each is a new job to pay for: only if the user said so.
                if tries >= self.policy.resubmit_failed:
                    raise
                tries += 1
                failed = error
            except (JobUnfinishedError, ClientClosedError) as error:
                if failed is None or getattr(error, "sent", False):
                    raise
                # Not that nothing was asked for: one was, and paid.
                raise failed from error

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
        error = JobUnfinishedError(
            one.job.id, one.track_id, waited, not taken_out
        )
        raise with_handle(error, one.job.receipt)

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
        # Nobody waits for a ring any more.
        self.bells.close()
        for one in tuple(self.under_way):
            if not one.sent:
                one.task.cancel()
        await self._settle(self.runtime.timeouts.close)
        for one in tuple(self.under_way):
            one.task.cancel()
        await self._settle(None)

    def leave_to_parent(self) -> None:
        """
        In a forked child: whoever waits hears that nothing comes.
        """
        self._closed = True
        for one in tuple(self.under_way):
            one.task.cancel()
            one.watch.wake(forked())
            one.ending.wake(forked())

    async def _settle(self, timeout: float | None) -> None:
        tasks = [one.task for one in self.under_way]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)

    def _over(self, one: Submission) -> None:
        """
        Its task is done: if it came to nothing, those who wait hear why.
        """
        self.under_way.pop(one, None)
        if one.end is not None:
            return
        end: SubmissionEnd = Withdrawn()
        if not one.task.cancelled():
            died = one.task.exception()
            end = one.task.result() if died is None else bug(died)
        elif one.attempts.unknown:
            end = OutcomeUnknownError(one.track_id, "cancelled", "gave up")
        if isinstance(end, ModelsLabError):
            error = end
        elif self._closed:
            error = ClientClosedError()
        else:
            error = JobUnfinishedError(None, one.track_id, 0.0, sent=False)
        unknown = isinstance(error, OutcomeUnknownError)
        one.finish(end)
        self.poller.end(
            one.watch, error, JobState.LOST if unknown else JobState.FAILED
        )


def new_track_id() -> str:
    """
    18 random decimal digits: some pages of the service type it an integer.
    """
    return str(10**17 + random.getrandbits(59))
