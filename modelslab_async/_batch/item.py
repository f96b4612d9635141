"""
One item of a batch, and its record in the journal.

A request is on disk before it leaves, and its answer before anything else is
done with it. Once it has left, a journal that cannot be written loses
nothing: what is late is tried again, in its order, until it succeeds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import warnings

from collections import deque
from collections.abc import Callable
from pathlib import Path

import attrs

from .._engine.api_key import ApiKey
from .._engine.job import Job
from .._engine.receipts import unfinished
from .._engine.submission import UNWRITTEN, Record, Submission, Withdrawn
from .._engine.waiters import to_its_end
from .._protocol.rows import read_spec
from ..errors import (
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    JobError,
    JournalError,
    ModelsLabError,
    OutcomeUnknownError,
    SpecError,
)
from ..journal import (
    Accepted,
    Done,
    Entry,
    Failed,
    IllegalMove,
    Journal,
    Planned,
    State,
    Step,
    Stored,
    Submitting,
    Unknown,
)
from ..results import Generation, JobState, Receipt
from ..specs import Spec
from .outcome import FailedOutcome, FinishedOutcome, Outcome


_log = logging.getLogger("modelslab_async")


# What is written down.


@attrs.define(eq=False)
class BatchJournal:
    """
    The journal of a running batch, and what it could not take yet.

    What changes: the key that it knows, and which writes are tried again.
    """

    journal: Journal
    key: ApiKey
    #: Seconds between tries.
    pause: float
    #: Told of a journal that cannot be written.
    refused: Callable[[JournalError], None]
    _known: ApiKey | None = attrs.field(default=None, init=False)
    _retries: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)

    def note_key(self) -> ApiKey:
        """
        Note the key as it is now, which the journal is about to be told.
        """
        self._known = self.key.snapshot()
        return self._known

    def rotated(self) -> ApiKey | None:
        """
        The key as it is now, where the journal knows another.

        Raises:
            ConfigurationError: There is none now.
        """
        return None if self.key.same(self._known) else self.key.snapshot()

    async def see_key(self, rotated: ApiKey) -> None:
        """
        Write down a key that was rotated while the batch runs.
        """
        self._known = rotated
        await self.journal.rotate_key(rotated.reveal)

    def retry(self, record: JournalRecord) -> None:
        """
        Try what is late again until it is written.
        """
        task = asyncio.ensure_future(self._retry(record))
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)

    async def _retry(self, record: JournalRecord) -> None:
        while record.late:
            await asyncio.sleep(self.pause)
            await record.catch_up()

    async def settle(self) -> None:
        """
        Give what is late one more chance, then give it up.
        """
        if self._retries:
            await asyncio.wait(self._retries, timeout=2 * self.pause)
            for retry in tuple(self._retries):
                retry.cancel()


@attrs.define(eq=False)
class JournalRecord:
    """
    The record of one item in the journal of its batch.

    What changes: *late*, the steps that are not written yet.
    """

    item: Item
    journal: BatchJournal
    late: deque[Step] = attrs.field(factory=deque, init=False)
    _lost: bool = attrs.field(default=False, init=False)
    _done: Generation | None = attrs.field(default=None, init=False)

    async def submitting(
        self, track_id: str, bell: str | None, mark: str | None
    ) -> None:
        """
        Raises:
            JournalError: It is not written: nothing may leave.

            ConfigurationError: There is no key now.
        """
        if self.item.fault is not None:
            raise self.item.fault
        step = Submitting(track_id, bell, mark, time.time())
        rotated = self.journal.rotated()
        try:
            if rotated is not None:
                await self.journal.see_key(rotated)
            if isinstance(self.item.before, Planned):
                await self._move(step)
            else:
                # Both or none, or nobody knows what to go back to.
                steps = asyncio.ensure_future(self._again(step))
                await to_its_end(steps)
        except JournalError as error:
            self.journal.refused(error)
            raise
        except ClientClosedError:
            raise
        except Exception as exc:
            # Also an error of ours: it says nothing of the service here.
            raise _fault(self.item, exc) from exc

    async def accepted(self, receipt: Receipt) -> None:
        if not await self._write(Accepted(receipt, time.time())):
            self._shout(receipt.id, receipt.track_id)

    async def planned(self) -> None:
        await self._write(self.item.before)

    async def unknown(self, error: OutcomeUnknownError) -> None:
        await self._write(Unknown(error, time.time()))

    async def failed(self, error: ModelsLabError) -> None:
        await self._write(Failed(error))

    async def done(self, generation: Generation) -> None:
        # A job that was done at once is written down with its answer.
        if generation is self._done:
            return
        at_once = self.item.job is None or not self.item.accepted
        self._done = generation
        written = await self._write(Done(generation, time.time()))
        if at_once and not written:
            self._shout(generation.id, generation.track_id)

    async def stored(self, files: tuple[str, ...]) -> None:
        await self._write(Stored(files, time.time()))

    async def catch_up(self) -> None:
        """
        Write what is late; nothing is raised where it still cannot be.
        """
        while self.late:
            try:
                await self._move(self.late[0])
            except JournalError:
                return
            except Exception as exc:  # noqa: BLE001 - a journal of one's own
                self._foreign(exc)
                return
            self.late.popleft()
        if not self._lost:
            self.item.fault = None

    async def _write(self, step: Step) -> bool:
        """
        Write a step, now or later; whether it is written.
        """
        if not self.late and not self._lost:
            try:
                await self._move(step)
            except ClientClosedError:
                # The batch was left; the next start finds out.
                return False
            except JournalError as error:
                self.journal.refused(error)
            except Exception as exc:  # noqa: BLE001 - a journal of one's own
                self._foreign(exc)
            else:
                return True
            self.journal.retry(self)
        if not self._lost:
            self.late.append(step)
        return False

    async def _again(self, step: Submitting) -> None:
        await self._move(Planned())
        await self._move(step)

    async def _move(self, step: Step) -> None:
        self.item.entry = await self.journal.journal.move(
            self.item.index, step
        )

    def _foreign(self, exc: Exception) -> None:
        """
        What no journal should raise: this item's, and nobody else's.
        """
        if self.item.fault is None:
            _log.critical(
                "item %d cannot be written down", self.item.index, exc_info=exc
            )
        self.item.fault = _fault(self.item, exc)
        if isinstance(exc, IllegalMove):
            # Nor could anything that comes after it be written.
            self._lost = True
            self.late.clear()

    def _shout(self, job_id: str | None, track_id: str | None) -> None:
        _log.critical(
            "job %s (track_id %s) is paid and cannot be written down",
            job_id,
            track_id,
        )


def _fault(item: Item, exc: Exception) -> JournalError:
    error = JournalError(
        "unwritable", f"item {item.index} cannot be written down: {exc!r}"
    )
    error.__cause__ = exc
    return error


def came_before(
    entry: Entry | None, error: ModelsLabError
) -> Failed | Unknown:
    """
    The step that led to where an item is that is asked for again.
    """
    if not isinstance(error, OutcomeUnknownError):
        return Failed(error)
    if entry is None or entry.track_id is None:
        return Unknown(error)
    # The later request has a bell of its own; this one's may still ring.
    request = Submitting(
        entry.track_id, entry.bell, entry.mark, entry.asked_at
    )
    return Unknown(error, entry.unknown_at, request)


def left_over(journal: BatchJournal, entry: Entry) -> Item | None:
    """
    An item of an earlier run, or request, which the input may come to or not.
    """
    try:
        with warnings.catch_warnings():
            # It was told when the item was first asked for.
            warnings.simplefilter("ignore")
            spec = read_spec(json.loads(entry.spec))
    except (SpecError, ValueError) as error:
        _log.warning(
            "item %d of an earlier run waits for its place in the input: %s",
            entry.index,
            error,
        )
        return None
    item = Item(None, entry.index, spec, entry.key, entry)
    item.record = JournalRecord(item, journal)
    return item


# From a plan to an outcome.


@attrs.define(eq=False)
class Item:
    """
    One item on its way from the input to its outcome.

    What changes: how far it is.

    Attributes:
        position: Its place in this run's input; None for what is left over
            from an earlier run, and has not been met in the input of this
            one.

        entry: As the journal has it, where there is one.

        before: What it goes back to where a request for it is not taken:
            planned, or what came of an earlier one, which is not asked for
            again without the user's word.

        failures: How often it was bought again in this run as its job failed;
            *unknowns* as nobody knows what came of it.

        fault: Why it cannot be written down, where that is its own affair.
    """

    position: int | None
    index: int
    spec: Spec
    key: str | None = None
    entry: Entry | None = None
    record: Record = UNWRITTEN
    submission: Submission | None = None
    job: Job | None = None
    generation: Generation | None = None
    before: Planned | Failed | Unknown = attrs.field(factory=Planned)
    failures: int = 0
    unknowns: int = 0
    fault: JournalError | None = None

    @property
    def left(self) -> bool:
        """
        Whether a request for it has left, in this run or an earlier one.
        """
        one = self.submission
        return one is None or one.sent or one.asked

    @property
    def in_flight(self) -> bool:
        """
        Whether a request for it, or its job, is with the service now.
        """
        one = self.submission
        return one is None or one.sent or self.accepted

    @property
    def accepted(self) -> bool:
        """
        Whether the service has taken it.
        """
        one = self.submission
        return one is None or isinstance(one.end, Job)

    @property
    def runs(self) -> bool:
        """
        Whether its job is under way, or may be.
        """
        job = self.job
        return (
            job is not None
            and self.in_flight
            and job.state is JobState.PROCESSING
        )

    @property
    def journalled(self) -> bool:
        """
        Whether its journal knows as much of its job as we do.
        """
        entry, job = self.entry, self.job
        return (
            entry is not None
            and entry.state is not State.PLANNED
            and job is not None
            and entry.job_id == job.id
        )

    @property
    def withdrawn(self) -> bool:
        """
        Whether the service has not taken it, and it is not sent again.
        """
        one = self.submission
        return one is not None and isinstance(one.end, Withdrawn)

    def outcome(
        self,
        generation: Generation | None = None,
        error: ModelsLabError | None = None,
        paths: tuple[Path, ...] = (),
    ) -> Outcome:
        """
        What came of it.
        """
        track_id = job_id = None
        if self.job is not None:
            track_id, job_id = self.job.track_id, self.job.id
        elif self.entry is not None:
            track_id, job_id = self.entry.track_id, self.entry.job_id
        if isinstance(error, JobError):
            # One that failed at once was never a job of ours to watch.
            job_id = job_id or error.job_id
        told = (self.index, self.spec, self.key, track_id, job_id)
        if generation is not None:
            return FinishedOutcome(*told, generation, None, paths)
        if error is None:
            error = ConfigurationError("an outcome of nothing")
        return FailedOutcome(*told, None, error, paths)

    def interrupted(self) -> Outcome | None:
        """
        What there is to tell of it when its batch is left.
        """
        job, one = self.job, self.submission
        if self.generation is not None:
            reason = "the batch was left before it was saved"
            return self.outcome(error=DownloadError(reason, self.generation))
        if job is not None and self.accepted:
            return self.outcome(error=unfinished(job.receipt))
        if one is not None and one.sent:
            reason = "the batch was left before it was answered"
            error = OutcomeUnknownError(one.track_id, "waiting", reason)
            return self.outcome(error=error)
        if (
            one is not None
            and one.attempts.unknown
            and isinstance(one.end, OutcomeUnknownError)
        ):
            return self.outcome(error=one.end)
        if self.failures + self.unknowns and not isinstance(
            self.before, Planned
        ):
            # It was paid for, and came to nothing; that is to be told.
            return self.outcome(error=self.before.error)
        return None
