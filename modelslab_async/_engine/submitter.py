"""
Here lives one request, from the line to its record: the first table of
`_retrying`, played out.

A submission runs in a task of the client's own.  Whoever waits for it may go
at any time: before it is sent it is taken out of the line; after that it goes
on, because it may be paid for.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import random

from typing import Protocol

import attrs

from .._policy.breakers import OutageBreaker, Trouble
from .._policy.retry import RetryBudget, RetryPolicy, backoff
from .._policy.tickets import Ticket
from .._policy.timeouts import Timeouts
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
    Unreadable,
    Unsent,
)
from ..errors import (
    ClientClosedError,
    ConfigurationError,
    GenerationFailedError,
    InvalidRequestError,
    JobUnfinishedError,
    ModelsLabError,
    OutcomeUnknownError,
    Phase,
    ProtocolError,
    ServerError,
    TransportError,
)
from ..events import CallRetried, Event, Observers, OutcomeUnknown, QueueFull
from ..specs import Spec
from .http import SessionPool
from .poller import Counts, Home, Job, Jobs
from .slot_queue import SlotQueue, afresh


_log = logging.getLogger("modelslab_async")


class Record(Protocol):
    """
    Where a submission is written down, step by step; a batch's journal.

    Each is on disk when it returns.  None of them raises once the request
    has left: what was paid for must not be lost to a full disk.
    """

    async def submitting(self, track_id: str) -> None:
        """
        The next thing that happens is the first byte.
        """

    async def accepted(self, answer: Processing | Success, job: Job) -> None:
        """
        It runs, and is billed.
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
        It was refused for what it is.
        """


class _Unwritten:
    """
    The record of a call: calls don't survive their process.
    """

    async def submitting(self, track_id: str) -> None: ...

    async def accepted(
        self, answer: Processing | Success, job: Job
    ) -> None: ...

    async def planned(self) -> None: ...

    async def unknown(self, error: OutcomeUnknownError) -> None: ...

    async def failed(self, error: ModelsLabError) -> None: ...


UNWRITTEN: Record = _Unwritten()


def new_track_id() -> str:
    """
    18 random decimal digits: some pages of the service type it an integer.
    """
    return str(random.randrange(10**17, 10**18))


@attrs.define(eq=False)
class Submission:
    """
    One request on its way.

    What changes: where it is.

    Attributes:
        sent: It may be at the service: it can't be taken back.

        asked: It has left at least once, whatever came of it.

        recalled: It is not sent again.
    """

    spec: Spec
    priority: int
    job: Job
    record: Record = UNWRITTEN
    #: A batch's: it waits where a call would fail.
    breaker: OutageBreaker | None = None
    sent: bool = attrs.field(default=False, init=False)
    asked: bool = attrs.field(default=False, init=False)
    recalled: bool = attrs.field(default=False, init=False)
    #: Done when it first holds a slot, or never will.
    entered: asyncio.Future[None] = attrs.field(
        factory=lambda: asyncio.get_running_loop().create_future(), init=False
    )
    task: asyncio.Task[Job] = attrs.field(init=False)
    #: How often each row of the table was met.
    tries: int = attrs.field(default=0, init=False)
    loads: int = attrs.field(default=0, init=False)
    same: int = attrs.field(default=0, init=False)
    unavailable: int = attrs.field(default=0, init=False)
    unknowns: int = attrs.field(default=0, init=False)
    banned: float = attrs.field(default=0.0, init=False)
    #: It was let in to see whether the account is good again.
    probe: bool = attrs.field(default=False, init=False)
    began: float = attrs.field(default=0.0, init=False)

    @property
    def track_id(self) -> str:
        return str(self.job.track_id)

    def recall(self) -> None:
        """
        Take it out of the line, or see that it does not come back there.
        """
        self.recalled = True
        if not self.sent:
            self.task.cancel()


@attrs.define(eq=False, repr=False)
class Submits:
    """
    The requests of a client that are waiting in line or under way.

    What changes: which those are.
    """

    pool: SessionPool
    jobs: Jobs
    queue: SlotQueue
    policy: RetryPolicy
    budget: RetryBudget
    timeouts: Timeouts
    observers: Observers
    counts: Counts
    home: Home
    _under_way: set[Submission] = attrs.field(
        factory=set, init=False, repr=False
    )
    _closed: bool = attrs.field(default=False, init=False)

    # For whoever asks

    def start(
        self,
        spec: Spec,
        *,
        priority: int,
        track_id: str | None = None,
        record: Record = UNWRITTEN,
        breaker: OutageBreaker | None = None,
    ) -> Submission:
        """
        Put a request into the line.

        Raises:
            ClientClosedError: The client was closed.

            ApiError: The account was refused lately.
        """
        self.jobs.check()
        if self._closed:
            raise ClientClosedError
        job = Job(
            self.home,
            spec.endpoint,
            track_id=track_id or spec.track_id or new_track_id(),
            spec=spec,
            context=contextvars.copy_context() if self.observers else None,
        )
        submission = Submission(spec, priority, job, record, breaker)
        submission.task = self.jobs.loop.create_task(self._run(submission))
        self._under_way.add(submission)
        submission.task.add_done_callback(lambda _: self._over(submission))
        return submission

    async def wait(self, submission: Submission, timeout: float | None) -> Job:
        """
        Wait until the request was accepted.

        Raises:
            JobUnfinishedError: *timeout* seconds are over; *sent* says
                whether the request may have reached the service.

            OutcomeUnknownError: They are over, or the client was closed, and
                a request that had left got no verdict.

            ModelsLabError: What came of it.
        """
        loop = self.jobs.loop
        started = loop.time()
        task = submission.task
        try:
            await asyncio.wait({task}, timeout=timeout)
        except asyncio.CancelledError:
            self._leave(submission)
            raise
        if not task.done():
            left = self._leave(submission)
            if left and submission.unknowns:
                raise _given_up(submission)
            raise JobUnfinishedError(
                None, submission.track_id, loop.time() - started, not left
            )
        if not task.cancelled():
            return task.result()
        if submission.unknowns:
            raise _given_up(submission)
        raise ClientClosedError

    def _leave(self, submission: Submission) -> bool:
        """
        Take the request out of the line; False if it is too late for that.
        """
        if submission.sent or submission.task.done():
            return False
        submission.task.cancel()
        return True

    async def close(self) -> None:
        """
        Send the line away, wait for what is under way, then give it up.
        """
        self._closed = True
        for submission in tuple(self._under_way):
            if not submission.sent:
                submission.task.cancel()
        await self._settle(self.timeouts.close)
        for submission in tuple(self._under_way):
            submission.task.cancel()
        await self._settle(None)

    async def _settle(self, timeout: float | None) -> None:
        tasks = [submission.task for submission in self._under_way]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)

    def _over(self, submission: Submission) -> None:
        self._under_way.discard(submission)
        _done(submission.entered)
        if not submission.task.cancelled():
            # Seen, also where nobody waits any more; unknown outcomes have
            # been logged where they were met.
            submission.task.exception()

    # From the line to the record

    async def _run(self, one: Submission) -> Job:
        self._pass(one)
        ticket = self.queue.join(one.priority)
        try:
            while True:
                await self.queue.turn(ticket)
                _done(one.entered)
                pause = self._braked(one, ticket)
                if pause == 0:
                    again = await self._try(one, ticket)
                    if again is None:
                        return one.job
                    pause = again
                    if one.recalled:
                        raise ClientClosedError("it is not asked for again")
                if pause > 0:
                    await asyncio.sleep(pause)
                self._pass(one)
                if one.unknowns:
                    # The old place stays with the request that may run.
                    ticket = self.queue.join(one.priority)
                else:
                    self.queue.rejoin(ticket)
        except ModelsLabError as error:
            self.jobs.lose(one.job, error)
            raise
        except asyncio.CancelledError:
            if one.job.id is None:
                self.jobs.lose(one.job, _given_up(one))
            raise
        finally:
            self.queue.slots.leave(ticket)
            if one.probe:
                self.queue.account.return_probe()

    def _pass(self, one: Submission) -> None:
        """
        Go through the account's door; the probe may come back to the line.
        """
        account = self.queue.account
        if one.probe and account.probing:
            return
        if (error := self.queue.blocked_by()) is not None:
            raise afresh(error)
        one.probe = account.take_probe()

    def _braked(self, one: Submission, ticket: Ticket) -> float:
        """
        How long an outage, or a ban, keeps the batch from asking.
        """
        breaker, now = one.breaker, self.jobs.loop.time()
        pause = 0.0 if breaker is None else breaker.pause(now)
        if breaker is not None and pause == 0:
            breaker.take_probe(now)
        if pause > 0:
            self.queue.release(ticket)
            if (
                breaker is not None
                and breaker.error
                and breaker.exhausted(now)
            ):
                raise afresh(breaker.error)
        return pause

    async def _try(self, one: Submission, ticket: Ticket) -> float | None:
        """
        Send it once; give how long to wait before the next try, None if it
        was accepted.
        """
        job, kept = one.job, False
        try:
            await one.record.submitting(one.track_id)
            one.sent = True
            self.jobs.begin(job, ticket)
            if one.tries == 0:
                one.began = self.jobs.loop.time()
            try:
                heard = await self._send(one)
            except ConfigurationError:
                # No key could be had: nothing left.
                self.queue.release(ticket)
                await one.record.planned()
                raise
            one.asked = one.asked or not isinstance(heard, Unsent)
            if not isinstance(heard, Unsent | Cut | Refusal | Unreadable) and (
                judge_submit(heard) is SubmitVerdict.ACCEPTED
            ):
                try:
                    # Nothing else is done with the answer before it is kept.
                    await one.record.accepted(heard, job)
                finally:
                    # Also where we are cancelled: its id is known.
                    kept = True
                    self.queue.accepted(ticket)
                    self.jobs.accept(job, heard)
                self.budget.earn()
                if one.breaker is not None:
                    one.breaker.accepted()
                return None
            return await self._refused(one, ticket, heard)
        except asyncio.CancelledError:
            if one.sent and not kept:
                self._unknown(one, "cancelled", "our own task was cancelled")
            if not kept:
                self.queue.release(ticket)
            if not one.sent:
                await one.record.planned()
            raise
        except ModelsLabError:
            if not one.sent:
                self.queue.release(ticket)
            raise
        finally:
            if not kept:
                one.sent = False
                self.jobs.forget(job)

    async def _send(self, one: Submission) -> CallResult:
        call = encode(
            one.spec, base_url=self.pool.base_url, track_id=one.track_id
        )
        reply = await self.pool.submit(call)
        return decode(reply) if isinstance(reply, Reply) else reply

    async def _refused(
        self, one: Submission, ticket: Ticket, heard: CallResult
    ) -> float:
        """
        Play out the rows in which it was not accepted.
        """
        row = judge_submit(heard)
        if row is SubmitVerdict.CUT or row is SubmitVerdict.UNKNOWN:
            return await self._no_verdict(one, ticket, heard)
        if row is SubmitVerdict.QUEUE_FULL:
            self.counts.refusals += 1
            limit = heard.limit if isinstance(heard, Refusal) else None
            if self.observers:
                self._tell(one, QueueFull(one.track_id, limit))
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
        match row, heard:
            case SubmitVerdict.NOT_SENT, Unsent():
                pause = self._not_sent(one, heard)
            case SubmitVerdict.SAME_REQUEST, Refusal():
                pause = self._same_request(one, heard)
            case SubmitVerdict.BAN, Refusal() | Unreadable():
                pause = self._ban(one, heard)
            case SubmitVerdict.LOADING, Refusal():
                pause = self._loading(one, heard)
            case SubmitVerdict.UNAVAILABLE, _:
                pause = self._unavailable(one, heard)
            case SubmitVerdict.REDIRECT, _:
                raise ProtocolError(
                    "the service sent us elsewhere, which an API call does "
                    "not follow",
                    _excerpt(heard),
                )
            case _:
                final = self._final(one, heard)
                await one.record.failed(final)
                raise final
        if self.observers:
            self._tell(
                one, CallRetried(one.track_id, row.name, one.tries, pause)
            )
        return pause

    def _not_sent(self, one: Submission, heard: Unsent) -> float:
        error = TransportError(heard.reason, sent=False)
        now = self.jobs.loop.time()
        one.tries += 1
        if heard.hopeless:
            raise error
        if one.breaker is not None:
            self._brake(one, Trouble.UNREACHED, error)
            return backoff(one.tries, self.timeouts, random.random())
        pause = backoff(one.tries - 1, self.timeouts, random.random())
        late = now + pause - one.began > self.policy.patience
        if one.tries >= self.policy.attempts or late:
            raise error
        return pause

    def _same_request(self, one: Submission, heard: Refusal) -> float:
        one.same += 1
        if one.breaker is None and one.same > 1:
            raise refusal_error(heard)
        return heard.retry_after or self.timeouts.same_request

    def _ban(self, one: Submission, heard: Refusal | Unreadable) -> float:
        pause = heard.retry_after or self.timeouts.ban
        one.banned += pause
        if one.breaker is None:
            if one.banned > self.timeouts.ban_call:
                raise refusal_error(heard)
        else:
            pause = min(pause, self.timeouts.ban_batch)
            one.breaker.hold_until(self.jobs.loop.time() + pause)
        return pause

    def _loading(self, one: Submission, heard: Refusal) -> float:
        if one.loads >= len(self.timeouts.model_loading):
            raise ServerError(heard.http, heard.message, heard.code)
        pause = self.timeouts.model_loading[one.loads]
        one.loads += 1
        return pause

    def _unavailable(self, one: Submission, heard: CallResult) -> float:
        error = ServerError(_http(heard), _excerpt(heard))
        one.unavailable += 1
        if one.breaker is not None:
            self._brake(one, Trouble.UNREACHED, error)
        elif one.unavailable >= self.policy.attempts or (
            not self.budget.spend()
        ):
            raise error
        pause = backoff(one.unavailable, self.timeouts, random.random())
        answer = heard.retry_after if isinstance(heard, Refusal) else None
        return max(pause, min(answer or 0.0, self.timeouts.ban_call))

    def _final(self, one: Submission, heard: CallResult) -> ModelsLabError:
        """
        The error of a request that is refused for what it is.
        """
        error: ModelsLabError
        if isinstance(heard, Refusal) and heard.word == "failed" and heard.id:
            error = GenerationFailedError(
                heard.id,
                one.track_id,
                heard.message,
                json.loads(heard.raw_json),
            )
        elif isinstance(heard, Refusal | Unreadable):
            error = refusal_error(heard)
        else:
            error = InvalidRequestError(_http(heard), _excerpt(heard))
        self._brake(one, Trouble.REFUSED, error, str(error))
        return error

    async def _no_verdict(
        self, one: Submission, ticket: Ticket, heard: CallResult
    ) -> float:
        """
        Sent, and nobody knows: it may run, and be billed.
        """
        # What has run longest is likely to be over; the slot comes back then.
        usual = self.jobs.usual or self.timeouts.unknown_slot
        self.jobs.loop.call_later(
            min(usual, self.timeouts.unknown_slot), self.queue.release, ticket
        )
        phase: Phase = "verdict"
        if isinstance(heard, Cut):
            phase = "reading" if heard.begun else "waiting"
        error = self._unknown(one, phase, _excerpt(heard))
        await one.record.unknown(error)
        if one.unknowns <= self.policy.resubmit_unknown:
            await one.record.planned()
            return backoff(one.unknowns, self.timeouts, random.random())
        self._brake(one, Trouble.UNKNOWN, error)
        if isinstance(heard, Cut):
            raise error from TransportError(heard.reason, sent=True)
        raise error from ProtocolError(
            f"HTTP {_http(heard)} without a verdict", _excerpt(heard)
        )

    def _unknown(
        self, one: Submission, phase: Phase, reason: str
    ) -> OutcomeUnknownError:
        one.unknowns += 1
        self.counts.unknown += 1
        self.counts.unknown_ids.append(one.track_id)
        error = OutcomeUnknownError(one.track_id, phase, reason)
        _log.warning("%s", error)
        if self.observers:
            self._tell(one, OutcomeUnknown(one.track_id, reason))
        return error

    def _brake(
        self,
        one: Submission,
        trouble: Trouble,
        error: ModelsLabError,
        words: str = "",
    ) -> None:
        if one.breaker is not None:
            one.breaker.failed(
                trouble,
                error,
                self.jobs.loop.time(),
                slots=self.queue.slots.limit,
                words=words,
            )

    def _tell(self, one: Submission, event: Event) -> None:
        self.jobs.tell(one.job, event)


def _given_up(one: Submission) -> ModelsLabError:
    """
    What those hear who wait for the job of a cancelled submission.
    """
    if one.unknowns:
        return OutcomeUnknownError(one.track_id, "cancelled", "gave up")
    return JobUnfinishedError(None, one.track_id, 0.0, sent=False)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _http(heard: CallResult) -> int:
    return 0 if isinstance(heard, Unsent | Cut) else heard.http


def _excerpt(heard: CallResult) -> str:
    match heard:
        case Unsent(reason=reason) | Cut(reason=reason):
            return reason
        case Refusal(message=words) | Unreadable(excerpt=words):
            return f"HTTP {heard.http}: {words}"
        case Success(http=http) | Processing(http=http):
            return f"HTTP {http}: accepted without an id"
