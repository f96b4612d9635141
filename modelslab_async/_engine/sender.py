"""
A request's way from the queue to its end: sent, written down, accepted, or
sent again.
"""

from __future__ import annotations

import asyncio
import logging

from collections.abc import Mapping
from functools import partial

import attrs

from .._policy.retry import RetryBudget
from .._policy.tickets import Ticket
from .._policy.verdicts import SubmitVerdict, judge_submit
from .._protocol.decode import decode
from .._protocol.encode import encode
from .._protocol.job_ids import job_number
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
    AuthenticationError,
    ModelsLabError,
    OutcomeUnknownError,
    PaymentRequiredError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from .attempts import excerpt_of
from .bells import Bells
from .http import SessionPool
from .on_demand import OnDemand
from .poller import Poller
from .receipts import acceptance, finished
from .runtime import Runtime
from .slot_queue import SlotQueue
from .submission import (
    NO_FILES,
    NOT_YET,
    Placed,
    Submission,
    SubmissionEnd,
    Withdrawn,
)
from .telling import (
    held_in_words,
    row_in_words,
    tell_outage,
    tell_queue_full,
    tell_queued,
    tell_retried,
    tell_submitted,
    tell_unknown,
)
from .waiters import afresh
from .waits import trouble


_log = logging.getLogger("modelslab_async")


_NO_VERDICT = frozenset({SubmitVerdict.CUT, SubmitVerdict.UNKNOWN})


@attrs.define(eq=False, repr=False)
class Sender:
    """
    Sends requests when there are slots, and plays out what is answered.

    What changes: nothing of its own.
    """

    runtime: Runtime
    pool: SessionPool
    queue: SlotQueue
    poller: Poller
    budget: RetryBudget
    bells: Bells
    on_demand: OnDemand

    async def run(self, one: Submission) -> SubmissionEnd:
        """
        Bring a request to its end; cancelled, its slot is free all the same.
        """
        try:
            return await self._see_in(one)
        except ModelsLabError as error:
            return error
        except Exception as exc:  # noqa: BLE001 - others go on
            _log.critical("a request died of a bug", exc_info=True)
            return bug(exc)
        finally:
            self.runtime.waits.end(one.job)
            if one.ticket is not None:
                self.queue.release(one.ticket)
                self.queue.leave(one.ticket)

    async def _see_in(self, one: Submission) -> SubmissionEnd:
        placed = NOT_YET if one.spec.uploads else NO_FILES
        while True:
            if placed.until <= self.runtime.now():
                placed = await self._upload(one)
            if one.ticket is None:
                one.ticket = self.queue.join(one.priority)
                tell_queued(one.watch, one.priority)
            await self.queue.enter(one.ticket, one.job, patient=one.patient)
            one.enter()
            pause = self._hold_back(one, one.ticket)
            if placed.until <= self.runtime.now():
                # It queued for a day.
                self.queue.release(one.ticket)
            elif pause == 0:
                again = await self._try(one, one.ticket, placed.urls)
                if again is None:
                    return one.job
                if one.withdrawn:
                    return Withdrawn()
                pause = again
            if pause > 0:
                await asyncio.sleep(pause)

    async def _upload(self, one: Submission) -> Placed:
        """
        See that its local files are where the service can fetch them.

        Before it queues: an upload takes no slot.
        """
        attempts, began = one.attempts, self.runtime.now()
        while True:
            try:
                place = self.on_demand.uploads.place
                return await one.in_turn(partial(place, one.spec))
            except (AuthenticationError, PaymentRequiredError) as error:
                self.queue.shut(error, one.watch.redact(error))
                raise
            except (TransportError, ServerError, RateLimitedError) as error:
                breaker, now = attempts.breaker, self.runtime.now()
                if breaker is None or breaker.exhausted(now):
                    raise
                heard = Unsent(str(error))
                self.runtime.waits.begin(one.job, *trouble(error), began)
                pause = attempts.count(SubmitVerdict.NOT_SENT, heard, now)
                tell_outage(one.watch, breaker)
                await asyncio.sleep(pause)

    def _hold_back(self, one: Submission, ticket: Ticket) -> float:
        """
        Give the slot back where an outage, or a ban, keeps the batch from
        asking; give for how many seconds it does, 0: go on.
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
        one.note_wait(*held_in_words(breaker))
        return pause

    async def _try(
        self, one: Submission, ticket: Ticket, urls: Mapping[str, str]
    ) -> float | None:
        """
        Send it once; give how long to wait before the next try, None if it
        was accepted.
        """
        recorded = settled = False
        if one.spec.webhook is None and one.bell is None:
            one.watch.inquiry.bell = self.bells.hang()
        try:
            await one.write_down(self.runtime.stats.highest_id)
            recorded = True
            one.attempts.start(self.runtime.now())
            tell_submitted(one.watch, one.attempts.tries, ticket)
            heard = await self._exchange(one, urls)
            settled = True
            one.asked = one.asked or not isinstance(heard, Unsent)
            # Also what never left can't be taken back while it is recorded.
            one.sent = True
            row = judge_submit(heard)
            answer = None
            if isinstance(heard, Processing | Success) and (
                row is SubmitVerdict.ACCEPTED
            ):
                answer = heard
            elif row in _NO_VERDICT:
                answer = await self._told(one, heard)
            if answer is not None:
                await self._accept(one, ticket, answer)
                return None
            try:
                return await self._not_accepted(one, ticket, row, heard)
            finally:
                if one.attempts.breaker is not None:
                    tell_outage(one.watch, one.attempts.breaker)
        except BaseException as exc:
            if not settled and one.sent:
                # Cancelled, for nothing else comes out of an exchange.
                one.asked = True
                words = "our own task was cancelled"
                self._unknown(
                    one, OutcomeUnknownError(one.track_id, "cancelled", words)
                )
            elif not settled and (
                recorded or isinstance(exc, asyncio.CancelledError)
            ):
                # Nothing left: no key could be had, say.
                await one.record.planned()
            raise
        finally:
            one.sent = False

    async def _exchange(
        self, one: Submission, urls: Mapping[str, str]
    ) -> CallResult:
        call = encode(
            one.spec,
            base_url=self.pool.base_url,
            track_id=one.track_id,
            urls=urls,
            webhook=None if one.bell is None else one.bell.url,
        )
        reply = await self.pool.submit(call, one.leaving)
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
        receipt = acceptance(one.spec.endpoint, one.track_id, answer)
        stats = self.runtime.stats
        stats.highest_id = max(stats.highest_id, job_number(answer.id) or 0)
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
            tell_outage(one.watch, one.attempts.breaker)

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
        if row in _NO_VERDICT:
            return await self._no_verdict(one, ticket, heard)
        if row is SubmitVerdict.QUEUE_FULL:
            self.runtime.stats.refusals += 1
            limit = heard.limit if isinstance(heard, Refusal) else None
            tell_queue_full(one.watch, limit, self.queue.slots.held - 1)
            self.queue.refused(ticket, limit)
            await one.record.planned()
            return 0.0
        if row is SubmitVerdict.ACCOUNT and not isinstance(
            heard, Unsent | Cut
        ):
            error = refusal_error(heard)
            # First, or the slot given back would let one more in.
            self.queue.shut(error, one.watch.redact(error))
            self.queue.release(ticket)
            await one.record.planned()
            raise error
        self.queue.release(ticket)
        if row is not SubmitVerdict.REFUSED:
            await one.record.planned()
        try:
            pause = attempts.count(row, heard, self.runtime.now())
        except ModelsLabError as final:
            if row is SubmitVerdict.REFUSED:
                await one.record.failed(final)
            raise
        if row is SubmitVerdict.REFUSED:
            await one.record.planned()
        said = excerpt_of(heard)
        one.note_wait(*row_in_words(row, said, one.watch))
        tell_retried(one.watch, row, attempts.tries, pause, said)
        return pause

    async def _told(
        self, one: Submission, heard: CallResult
    ) -> Processing | Success | None:
        """
        What a request without a verdict became, where its bell tells.
        """
        if one.bell is None:
            return None
        try:
            return await self.on_demand.verification.by_bell(
                one.bell, one.spec, one.track_id
            )
        except asyncio.CancelledError:
            self._unknown(one, one.attempts.no_verdict(heard))
            raise
        except Exception:  # noqa: BLE001 - it is unknown then
            _log.critical("a bell died of a bug", exc_info=True)
            return None

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
        if one.bell is not None:
            # It was held for as long while its bell was waited for.
            usual = 0.0
        self.runtime.loop.call_later(usual, self.queue.release, ticket)
        self.queue.leave(ticket)
        one.ticket = None
        error = one.attempts.no_verdict(heard)
        self._unknown(one, error)
        await one.record.unknown(error)
        pause = one.attempts.count_unknown(error, self.runtime.now())
        if one.bell is not None:
            # The next one is another request, with a bell of its own.
            one.bell.take_down(track_id=one.track_id)
            one.watch.inquiry.bell = None
        await one.record.planned()
        return pause

    def _unknown(self, one: Submission, error: OutcomeUnknownError) -> None:
        if self.runtime.inherited:
            return
        one.attempts.unknown += 1
        self.runtime.stats.count_unknown(one.track_id)
        _log.warning("%s", one.watch.redact(error))
        tell_unknown(one.watch, error)


def bug(exc: BaseException) -> ModelsLabError:
    """
    The end of a request that met what nobody foresaw.
    """
    error = ModelsLabError(f"a bug: {exc!r}")
    error.__cause__ = exc
    return error
