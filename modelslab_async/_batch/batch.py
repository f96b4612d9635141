"""
Here live many jobs: lazy, bounded, and resumable.

A batch pulls items only when there is room, holds one place in the line at a
time, and gives each item's `Outcome` as it comes: a failed item is an
outcome, not an exception.

With a journal each step is on disk before the next one is taken (`_Written`),
and a start goes on where the last run ended: what was accepted is taken up at
once, whatever the input says; all else when its item is pulled.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
import warnings

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Sized,
)
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from .._engine.api_key import ApiKey
from .._engine.job import Job, named
from .._engine.submitter import UNWRITTEN, Record, Submission, Withdrawn
from .._engine.waiters import to_its_end
from .._output.folder import OutputFolder, make_private
from .._policy.breakers import OutageBreaker
from .._protocol.rows import read_spec, spec_json, written
from .._rooms import Rooms
from ..errors import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    GenerationFailedError,
    JobNotFoundError,
    JournalError,
    ModelsLabError,
    OutcomeUnknownError,
    PaymentRequiredError,
)
from ..journal import (
    Accepted,
    Done,
    Entry,
    Failed,
    Identity,
    Journal,
    Planned,
    Request,
    Start,
    State,
    Step,
    Stored,
    Submitting,
    Unknown,
    on_start,
)
from ..results import JSON, Receipt
from ..results import Generation as Pictures
from ..specs import Spec
from .outcome import BatchOptions, BatchProgress, Outcome


_log = logging.getLogger("modelslab_async")


#: Items of the journal that are read at once.
_CHUNK = 500


#: Items that are looked up in the journal at once, at most: there is one wait
#: for the disk for each such page.
_PAGE = 500


NO_PICTURES = Pictures(None, None, ())
UNREADABLE = ModelsLabError("it is not written down why")


#: Seconds between looks at status and page; they have pauses of their own.
_LOOK = 1.0


@attrs.define(eq=False)
class _Item:
    """
    One item on its way from the input to its outcome.

    *position* is its place in this run's input; None for what is left over
    from an earlier run, and has not been met in the input of this one.
    """

    position: int | None
    index: int
    spec: Spec
    key: str | None = None
    record: Record = UNWRITTEN
    submission: Submission | None = None
    job: Job | None = None
    receipt: Receipt | None = None

    @property
    def asked(self) -> bool:
        """
        Whether there is anything to tell of it.
        """
        return self.submission is None or self.submission.asked

    @property
    def withdrawn(self) -> bool:
        """
        Whether it was refused, and then not asked for again.
        """
        one = self.submission
        return one is not None and isinstance(one.end, Withdrawn)

    def outcome(
        self,
        generation: Pictures | None = None,
        error: ModelsLabError | None = None,
        paths: tuple[Path, ...] = (),
    ) -> Outcome:
        """
        What came of it in this run.
        """
        job = self.job
        if job is None and self.submission is not None:
            job = self.submission.job
        return Outcome(
            self.index,
            self.spec,
            self.key,
            None if job is None else job.track_id,
            None if job is None else job.id,
            generation,
            error,
            paths,
        )

    def known(
        self,
        entry: Entry,
        generation: Pictures | None = None,
        error: ModelsLabError | None = None,
        paths: tuple[Path, ...] = (),
    ) -> Outcome:
        """
        What came of it in an earlier run.
        """
        return Outcome(
            self.index,
            self.spec,
            self.key,
            entry.track_id,
            entry.job_id,
            generation,
            error,
            paths,
        )


@attrs.define(eq=False)
class _Written:
    """
    The record of one item in a journal.

    Once a request has left, a journal that cannot be written stops the batch
    and loses nothing: what could not be written is tried again, in its order,
    until it succeeds.

    What changes: *late*, the steps that are not written yet.
    """

    batch: Batch
    journal: Journal
    index: int
    late: deque[Step] = attrs.field(factory=deque, init=False)
    written: Pictures | None = attrs.field(default=None, init=False)
    entry: Entry | None = attrs.field(default=None, init=False)

    async def submitting(self, track_id: str) -> None:
        await self.batch.see_key(self.journal)
        await self.journal.move(self.index, Submitting(track_id))

    async def accepted(self, receipt: Receipt) -> None:
        if await self._move(Accepted(receipt, time.time())) is None:
            self._shout(receipt.id, receipt.track_id)

    async def planned(self) -> None:
        await self._move(Planned())

    async def unknown(self, error: OutcomeUnknownError) -> None:
        await self._move(Unknown(error))

    async def failed(self, error: ModelsLabError) -> None:
        await self._move(Failed(error))

    async def done(self, generation: Pictures) -> None:
        # A job that was done at once is written down with its answer.
        if generation is self.written:
            return
        self.written = generation
        if await self._move(Done(generation, time.time())) is None:
            self._shout(generation.id, generation.track_id)

    async def stored(self, files: tuple[str, ...]) -> None:
        self.entry = await self._move(Stored(files, time.time()))

    def _shout(self, job_id: str | None, track_id: str | None) -> None:
        _log.critical(
            "job %s (track_id %s) is paid and cannot be written down",
            job_id,
            track_id,
        )

    async def _move(self, step: Step) -> Entry | None:
        """
        Give None where it has to be written later.
        """
        if not self.late:
            try:
                return await self.journal.move(self.index, step)
            except ClientClosedError:
                # The batch was left; the next start finds out.
                return None
            except JournalError as error:
                self.batch.stop(error)
                self.batch.write_later(self)
        self.late.append(step)
        return None

    async def catch_up(self) -> None:
        """
        Write what is late.

        Raises:
            JournalError: It still cannot be written.
        """
        while self.late:
            await self.journal.move(self.index, self.late[0])
            self.late.popleft()


class Batch:
    """
    Many generations; see `ModelsLab.batch()`.

    Attributes:
        stopped: The error that stopped it early, or None.
    """

    def __init__(
        self,
        rooms: Callable[[], Rooms],
        specs: Iterable[Spec] | AsyncIterable[Spec],
        options: BatchOptions,
    ) -> None:
        self.stopped: ModelsLabError | None = None
        self._rooms_now = rooms
        self._rooms: Rooms | None = None
        self._specs = specs
        self._options = options
        self._total = len(specs) if isinstance(specs, Sized) else None
        self._keys = None if options.items is None else iter(options.items)
        self._opening: asyncio.Future[None] | None = None
        self._leaving: asyncio.Future[None] | None = None
        self._journal: Journal | None = None
        #: Ours to close, where it is not the caller's.
        self._opened_journal: Journal | None = None
        self._folder: OutputFolder | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._key: ApiKey | None = None
        self._feeder: asyncio.Task[None] | None = None
        self._tasks: dict[asyncio.Task[None], _Item] = {}
        self._writes: set[asyncio.Task[None]] = set()
        #: What was accepted in an earlier run, by index, while it is watched.
        self._resumed: dict[int, _Item] = {}
        self._brake: OutageBreaker | None = None
        #: Outcomes that nobody has taken yet, with their items' positions.
        self._ready: deque[tuple[int, Outcome]] = deque()
        #: Those that wait for an earlier one, where order is wanted.
        self._early: dict[int, Outcome | None] = {}
        self._next = 0
        self._pulled = 0
        self._inside = 0
        #: How many were known when they were last looked up, twice over.
        self._page = 0
        self._news: asyncio.Future[None] | None = None
        self._space: asyncio.Future[None] | None = None
        self._stopping = False
        self._over = False
        self._broken: BaseException | None = None
        self._done = self._failed = self._images = self._fresh = 0
        #: Those that ended before the input came to them, if it ever does.
        self._elsewhere: set[int] = set()
        self._asked_jobs = self._asked_images = 0
        self._full = False
        self._started = 0.0

    def __repr__(self) -> str:
        return (
            f"<Batch {self._done} done, {self._failed} failed, "
            f"{len(self._tasks)} under way>"
        )

    # For whoever reads

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            # Nobody will leave what was not entered.
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        """
        Give the next outcome.

        Raises:
            BaseException: What the caller's own iterable raised, as it is,
                after the outcomes of all that was asked for.
        """
        _, outcome = await self._take()
        return outcome

    def __await__(self) -> Generator[object, None, list[Outcome]]:
        return self._gather().__await__()

    async def _gather(self) -> list[Outcome]:
        found: list[tuple[int, Outcome]] = []
        async with self:
            while True:
                try:
                    found.append(await self._take())
                except StopAsyncIteration:
                    break
        found.sort(key=lambda pair: pair[0])
        return [outcome for _, outcome in found]

    async def _take(self) -> tuple[int, Outcome]:
        if not self._over:
            await self._begin()
        while not self._ready:
            if self._finished:
                if self._early:
                    # Those between were not asked for.
                    self._flush()
                    continue
                await self.aclose()
                broken, self._broken = self._broken, None
                if broken is not None:
                    raise broken
                raise StopAsyncIteration
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        pair = self._ready.popleft()
        self._leave_room()
        return pair

    @property
    def _finished(self) -> bool:
        fed = self._feeder is None or self._feeder.done()
        return self._over or (fed and not self._tasks)

    @property
    def progress(self) -> BatchProgress:
        """
        How it stands now.
        """
        elapsed = 0.0
        if self._rooms is not None:
            elapsed = self._rooms.runtime.now() - self._started
        ended = self._done + self._failed
        flying = sum(item.asked for item in self._tasks.values())
        rate = self._fresh / elapsed if elapsed > 0 else 0.0
        left = None
        if self._total is not None and rate > 0:
            left = max(0, self._total - ended) / rate
        return BatchProgress(
            total=self._total,
            done=self._done,
            failed=self._failed,
            in_flight=flying,
            waiting=len(self._tasks) - flying,
            finished_elsewhere=len(self._elsewhere),
            images=self._images,
            elapsed=elapsed,
            rate=rate,
            time_left=left,
        )

    def stop(self, error: ModelsLabError | None = None) -> None:
        """
        Ask for nothing more; what is paid for still comes.
        """
        if self.stopped is None:
            self.stopped = error
        if self._stopping:
            return
        self._stopping = True
        if self._feeder is not None:
            self._feeder.cancel()
        for item in self._tasks.values():
            if item.submission is not None:
                item.submission.withdraw()

    async def aclose(self) -> None:
        """
        Leave: ask for nothing more, wait up to 10 s for requests under way.

        One WARNING names each paid, unfinished job; the client goes on
        watching them, and a journal takes them up again.  May be called again.
        """
        if self._leaving is None:
            self._leaving = asyncio.ensure_future(self._leave())
        await to_its_end(self._leaving)

    async def _leave(self) -> None:
        if self._opening is not None:
            await asyncio.wait({self._opening})
        rooms = self._rooms
        if self._over or rooms is None:
            self._over = True
            return
        self.stop()
        await self._submits_end(rooms.runtime.timeouts.close)
        left = [
            item.job
            for item in self._tasks.values()
            if item.job is not None and item.job.state == "processing"
        ]
        tasks = [task for task in (self._feeder, *self._tasks) if task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if left:
            _log.warning(
                "left a batch with %d unfinished: %s", len(left), named(left)
            )
        await self._end()

    async def _submits_end(self, timeout: float) -> None:
        under_way = [
            item.submission.task
            for item in self._tasks.values()
            if item.submission is not None
        ]
        if under_way:
            await asyncio.wait(under_way, timeout=timeout)
            # Their items see it too before they are counted as left.
            await asyncio.sleep(0)

    # The beginning and the end

    async def _begin(self) -> None:
        if self._over:
            raise ClientClosedError("the batch is over; make a new one")
        if self._opening is None:
            rooms = self._rooms_now()
            rooms.batches.add(self)
            self._opening = asyncio.ensure_future(self._open(rooms))
        # Whoever comes second waits for the first; a cancelled first one
        # leaves no half of a journal behind.
        await asyncio.shield(self._opening)

    async def _open(self, rooms: Rooms) -> None:
        options, ours = self._options, rooms.options
        try:
            self._journal = await self._journal_of(rooms, options)
            if self._journal is not None:
                self._key = rooms.pool.key.snapshot()
                await self._journal.begin(
                    Identity(ours.origin, self._key.reveal, ours.run),
                    new_key=options.new_key,
                )
            if options.output is not None:
                self._folder = await OutputFolder.open(
                    options.output, rooms.downloads
                )
            if self._stopping:
                raise ClientClosedError
        except BaseException:
            self._over = True
            rooms.batches.discard(self)
            await self._shut()
            raise
        self._rooms = rooms
        self._started = rooms.runtime.now()
        self._brake = OutageBreaker(rooms.runtime.timeouts)
        self._feeder = rooms.runtime.loop.create_task(self._feed(rooms))
        self._feeder.add_done_callback(lambda _: self._wake())
        if self._folder is not None:
            self._keeper = rooms.runtime.loop.create_task(
                self._keep(self._folder)
            )

    async def _keep(self, folder: OutputFolder) -> None:
        """
        Let those who look at the folder see how it goes.
        """
        while True:
            await self._refresh(folder)
            await asyncio.sleep(_LOOK)

    async def _refresh(
        self, folder: OutputFolder, *, final: bool = False
    ) -> None:
        try:
            await folder.refresh(await self._facts(), final=final)
        except (DownloadError, JournalError) as error:
            # Pictures are kept where they can be; a page can be made anew.
            _log.warning("%s", error)

    async def _facts(self) -> dict[str, JSON]:
        """
        What ``status.json`` says.
        """
        facts: dict[str, JSON] = attrs.asdict(self.progress)
        facts["running"] = not self._over
        facts["pid"] = os.getpid()
        facts["at"] = time.time()
        facts["stopped"] = None if self.stopped is None else str(self.stopped)
        if self._rooms is not None:
            facts["slots"] = self._rooms.queue.slots.limit
            facts["slots_held"] = self._rooms.queue.slots.held
        if self._journal is not None:
            counts = await self._journal.counts()
            facts["states"] = {
                state.name.lower(): number for state, number in counts.items()
            }
            oldest = await self._journal.oldest()
            if oldest is not None:
                facts["oldest_age"] = time.time() - oldest
            page = await self._journal.entries({State.UNKNOWN}, limit=_CHUNK)
            facts["unknown"] = [entry.track_id for entry in page]
        return facts

    async def _journal_of(
        self, rooms: Rooms, options: BatchOptions
    ) -> Journal | None:
        path = options.journal
        if path is None and options.output is not None:
            path = options.output / "journal.sqlite"
        if options.output is not None:
            await make_private(options.output, rooms.downloads.disk)
        if not isinstance(path, str | os.PathLike):
            return path
        # Here, for the sake of those who only want a picture or two.
        from ..journal import SqliteJournal

        self._opened_journal = await SqliteJournal.open(Path(path))
        return self._opened_journal

    async def see_key(self, journal: Journal) -> None:
        """
        Write down a key that was rotated while the batch runs.
        """
        rooms = self._rooms
        if rooms is not None and not rooms.pool.key.same(self._key):
            self._key = rooms.pool.key.snapshot()
            await journal.rotate_key(self._key.reveal)

    def write_later(self, written: _Written) -> None:
        """
        Try writes again that must not be lost, until they succeed.
        """
        if self._rooms is None:
            return
        task = asyncio.ensure_future(self._insist(self._rooms, written))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _insist(self, rooms: Rooms, written: _Written) -> None:
        pause = rooms.runtime.timeouts.journal_retry
        while written.late:
            await asyncio.sleep(pause)
            with contextlib.suppress(JournalError):
                await written.catch_up()

    async def _end(self) -> None:
        """
        All is told: write the page, close the journal.
        """
        self._over = True
        if self._rooms is not None:
            self._rooms.batches.discard(self)
        if self.stopped is not None:
            _log.warning(
                "the batch stopped early, its outcomes are not all: %s",
                self.stopped,
            )
        await self._shut()
        self._wake()

    async def _shut(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        rooms = self._rooms
        if rooms is not None and self._writes:
            # What is paid and not written down has one more chance.
            pause = rooms.runtime.timeouts.journal_retry
            await asyncio.wait(self._writes, timeout=2 * pause)
            for write in tuple(self._writes):
                write.cancel()
        if self._folder is not None:
            await self._refresh(self._folder, final=True)
        if self._opened_journal is not None:
            await self._opened_journal.aclose()

    # From the input into the line

    async def _feed(self, rooms: Rooms) -> None:
        """
        Pull items when there is room, and see each where it belongs.
        """
        try:
            await self._resume_all(rooms)
            source = self._pull(rooms)
            try:
                async for items in source:
                    await self._sort(rooms, items)
                    if self._stopping or self._full:
                        return
            finally:
                await source.aclose()
            await self._finish_left(rooms)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        except ClientClosedError as error:
            self.stop(error)
        except Exception as exc:  # noqa: BLE001
            # A journal that does not fit, or a bug: the reader gets it.
            self._broken = exc
            self.stop(exc if isinstance(exc, ModelsLabError) else None)

    async def _pull(self, rooms: Rooms) -> AsyncGenerator[list[_Item], None]:
        """
        Give the input as there is room for it: one by one, or, where they
        are looked up in a journal, as many as there is room for, and more
        while all of them are known.
        """
        source = _source(self._specs)
        while self._broken is None:
            space = await self._room(rooms)
            space = 1 if self._journal is None else max(space, self._page)
            found: list[_Item] = []
            try:
                while len(found) < space:
                    spec = source()
                    if isinstance(spec, Awaitable):
                        spec, space = await spec, 1
                    found.append(self._item(spec))
            except (StopIteration, StopAsyncIteration):
                if not found:
                    return
            except Exception as exc:  # noqa: BLE001
                # The caller's own; it comes out after what was paid for.
                self._broken = exc
            if found:
                yield found

    def _item(self, spec: Spec) -> _Item:
        if not isinstance(spec, Spec):
            raise ConfigurationError(
                f"a batch takes specs, not {type(spec).__name__}"
            )
        key = None
        if self._keys is not None:
            try:
                key = next(self._keys)
            except StopIteration:
                reason = "items: fewer than there are specs"
                raise ConfigurationError(reason) from None
        item = _Item(self._pulled, self._pulled, spec, key)
        self._pulled += 1
        return item

    async def _room(self, rooms: Rooms) -> int:
        """
        Wait until fewer are in flight, or finished and not taken, than what
        keeps all slots and downloads busy; give how many more may come.
        """
        while True:
            most = (
                2 * rooms.queue.slots.limit
                + rooms.options.network.max_downloads
            )
            if self._inside < most:
                return most - self._inside
            self._space = rooms.runtime.loop.create_future()
            await self._space

    def _leave_room(self) -> None:
        self._inside -= 1
        if self._space is not None and not self._space.done():
            self._space.set_result(None)

    async def _sort(self, rooms: Rooms, items: list[_Item]) -> None:
        """
        See each item where it belongs.
        """
        journal = self._journal
        if journal is None:
            for item in items:
                self._inside += 1
                if not self._stopping and self._within_bounds(item.spec):
                    await self._enter(rooms, item)
                else:
                    self._give(item, None)
            return
        entries = await journal.plan(
            [Request(*written(item.spec), item.key) for item in items]
        )
        fresh = self._asked_jobs
        for item, entry in zip(items, entries, strict=True):
            await self._room(rooms)
            self._inside += 1
            item.index = entry.index
            item.record = _Written(self, journal, entry.index)
            await self._go_on(rooms, journal, item, entry)
        known = self._asked_jobs == fresh
        self._page = min(_PAGE, 2 * len(items)) if known else 0

    async def _go_on(
        self, rooms: Rooms, journal: Journal, item: _Item, entry: Entry
    ) -> None:
        """
        Do with an item what its entry in the journal asks for.
        """
        options = self._options
        self._elsewhere.discard(entry.index)
        resumed = self._resumed.get(entry.index)
        if resumed is not None:
            resumed.position, resumed.key = item.position, item.key
            return
        saves = options.output is not None
        if entry.state is State.ACCEPTED or (
            entry.state is State.DONE and saves
        ):
            # It may have gone on since it was looked up.
            entry = await journal.get(entry.index)
        match on_start(
            entry,
            output=saves,
            resubmit_unknown=options.resubmit_unknown,
            resubmit_failed=options.resubmit_failed,
        ):
            case Start.GIVE:
                outcome = await self._given(item, entry)
                self._give(item, outcome, fresh=False)
            case Start.REPORT:
                outcome = item.known(entry, error=entry.error or UNREADABLE)
                self._give(item, outcome, fresh=False)
            case Start.POLL:
                self._resume(rooms, item, entry)
            case Start.DOWNLOAD:
                self._spawn(rooms, item, self._save(rooms, item, entry))
            case _ if self._stopping or self._full:
                self._give(item, None)
            case _ if not self._within_bounds(item.spec):
                self._give(item, None)
            case Start.PLAN:
                await journal.move(entry.index, Planned())
                await self._enter(rooms, item)
            case Start.SUBMIT:
                await self._enter(rooms, item)

    async def _given(self, item: _Item, entry: Entry) -> Outcome:
        generation = entry.generation or NO_PICTURES
        paths: tuple[Path, ...] = ()
        if self._folder is not None:
            await self._folder.mend(entry, generation)
            paths = self._folder.paths(entry.files)
        return item.known(entry, generation, paths=paths)

    def _within_bounds(self, spec: Spec) -> bool:
        """
        Whether one more may be asked for; counts it if so.
        """
        options = self._options
        images = self._asked_images + (spec.pictures)
        jobs = self._asked_jobs + 1
        if (options.max_jobs is not None and jobs > options.max_jobs) or (
            options.max_images is not None and images > options.max_images
        ):
            self._full = True
            return False
        self._asked_jobs, self._asked_images = jobs, images
        return True

    async def _enter(self, rooms: Rooms, item: _Item) -> None:
        """
        See an item into the line; a batch holds one place there at a time.
        """
        submission = self._submission(rooms, item)
        self._spawn(rooms, item, self._see_through(rooms, item))
        # Nobody else waits for it: that it is cancelled with us does no harm.
        await submission.entered()

    def _submission(self, rooms: Rooms, item: _Item) -> Submission:
        item.submission = rooms.submitter.start(
            item.spec,
            priority=self._options.priority,
            record=item.record,
            breaker=self._brake,
        )
        return item.submission

    def _spawn(
        self,
        rooms: Rooms,
        item: _Item,
        work: Coroutine[object, object, Outcome | None],
    ) -> None:
        async def see() -> None:
            outcome = await work
            self._resumed.pop(item.index, None)
            self._give(item, outcome)

        task = rooms.runtime.loop.create_task(see())
        self._tasks[task] = item
        task.add_done_callback(self._seen)

    def _seen(self, task: asyncio.Task[None]) -> None:
        item = self._tasks.pop(task)
        self._resumed.pop(item.index, None)
        if not task.cancelled() and task.exception() is not None:
            bug = task.exception()
            _log.critical("an item of a batch died of a bug", exc_info=bug)
            self._broken = self._broken or bug
            self._give(item, None)
        self._wake()

    # What an earlier run left

    async def _resume_all(self, rooms: Rooms) -> None:
        """
        Take up what was accepted: it ran when it was last seen.
        """
        async for entry in self._left({State.ACCEPTED}):
            self._resume(rooms, self._old(entry), entry)

    async def _finish_left(self, rooms: Rooms) -> None:
        """
        Save what is done and has left the input.
        """
        if self._options.output is None:
            return
        async for entry in self._left({State.DONE}):
            item = self._old(entry)
            if entry.index not in self._resumed:
                outcome = await self._save(rooms, item, entry)
                self._give(item, outcome)

    async def _left(self, states: set[State]) -> AsyncGenerator[Entry, None]:
        last = -1
        while self._journal is not None:
            page = await self._journal.entries(
                states, after=last, limit=_CHUNK, unseen=True
            )
            for entry in page:
                last = entry.index
                yield entry
            if not page:
                return

    def _old(self, entry: Entry) -> _Item:
        with warnings.catch_warnings():
            # It was told when the item was first asked for.
            warnings.simplefilter("ignore")
            spec = read_spec(json.loads(entry.spec))
        item = _Item(None, entry.index, spec, entry.key)
        if self._journal is not None:
            item.record = _Written(self, self._journal, entry.index)
        return item

    def _resume(self, rooms: Rooms, item: _Item, entry: Entry) -> None:
        # The client may watch it still, for a batch that was left.
        item.job = rooms.resume(_told(entry, item.spec), item.spec)
        self._resumed[entry.index] = item
        self._spawn(rooms, item, self._see_through(rooms, item))

    async def _save(
        self, rooms: Rooms, item: _Item, entry: Entry
    ) -> Outcome | None:
        generation = entry.generation or NO_PICTURES
        if generation.id is not None:
            item.receipt = attrs.evolve(
                _told(entry, item.spec), id=generation.id
            )
        return await self._kept(rooms, item, generation)

    # From the line to an outcome

    async def _see_through(self, rooms: Rooms, item: _Item) -> Outcome | None:
        tries = 0
        while True:
            outcome = await self._outcome(rooms, item)
            again = (
                outcome is not None
                and isinstance(outcome.error, GenerationFailedError)
                and tries < rooms.options.retry.resubmit_failed
                and not self._stopping
            )
            if not again:
                return outcome
            tries += 1
            await item.record.planned()
            if self._stopping:
                return outcome
            self._submission(rooms, item)

    async def _outcome(self, rooms: Rooms, item: _Item) -> Outcome | None:
        try:
            one = item.submission
            if one is not None:
                await one.ended()
                if isinstance(one.end, ModelsLabError):
                    raise one.end
                if isinstance(one.end, Job):
                    item.job = one.end
            if item.job is None:
                return None
            generation = await item.job.result()
        except ModelsLabError as error:
            if item.job is not None and isinstance(
                error, GenerationFailedError | JobNotFoundError
            ):
                await item.record.failed(error)
            self._after(rooms, item, error)
            if item.withdrawn or not item.asked:
                return None
            return item.outcome(error=error)
        await item.record.done(generation)
        return await self._kept(rooms, item, generation)

    async def _kept(
        self, rooms: Rooms, item: _Item, generation: Pictures
    ) -> Outcome:
        """
        Save the pictures, where the batch does.
        """
        folder = self._folder
        if folder is None:
            return item.outcome(generation)

        gone = False

        async def fresh() -> Pictures:
            nonlocal gone
            receipt = item.receipt
            if item.job is not None:
                receipt = item.job.receipt
            if receipt is None or receipt.id is None:
                return generation
            try:
                links = await rooms.renew(generation, receipt)
            except (GenerationFailedError, JobNotFoundError):
                gone = True
                raise
            await item.record.done(links)
            return links

        try:
            saved = await folder.keep(
                generation, _prefix(item, generation), fresh
            )
            await item.record.stored(tuple(one.path.name for one in saved))
            if isinstance(item.record, _Written) and item.record.entry:
                await folder.tell(item.record.entry, generation, saved)
        except DownloadError as error:
            if error.disk:
                self.stop(error)
            elif gone:
                await item.record.failed(error)
            return item.outcome(error=error)
        paths = tuple(one.path for one in saved)
        for path in paths:
            rooms.runtime.observers.saved(
                generation.track_id, generation.id, str(path)
            )
        return item.outcome(generation, paths=paths)

    def _after(self, rooms: Rooms, item: _Item, error: ModelsLabError) -> None:
        """
        Whether an item's error ends the asking.
        """
        breaker = self._brake
        now = rooms.runtime.now()
        if isinstance(
            error, AuthenticationError | PaymentRequiredError | JournalError
        ):
            self.stop(error)
        elif breaker is not None and breaker.exhausted(now):
            self.stop(breaker.error)
        elif not item.asked and not isinstance(error, ClientClosedError):
            self.stop(error)

    # To whoever reads

    def _give(
        self, item: _Item, outcome: Outcome | None, *, fresh: bool = True
    ) -> None:
        if item.position is None:
            if outcome is not None and outcome.error is None:
                self._elsewhere.add(item.index)
            return
        if outcome is None:
            pass
        elif outcome.error is None:
            self._done += 1
            self._fresh += fresh
            self._images += len(outcome.unwrap().images)
        else:
            self._failed += 1
            self._fresh += fresh
            if self._folder is not None:
                self._folder.failed(
                    outcome.index,
                    spec_json(outcome.spec),
                    outcome.error,
                    outcome.item,
                    outcome.job_id,
                    outcome.track_id,
                )
            most = self._options.max_failures
            if fresh and most is not None and self._failed >= most:
                self.stop(outcome.error)
        if not self._options.ordered:
            self._put(item.position, outcome)
            return
        self._early[item.position] = outcome
        while self._next in self._early:
            self._put(self._next, self._early.pop(self._next))
            self._next += 1

    def _flush(self) -> None:
        early, self._early = self._early, {}
        for position in sorted(early):
            self._put(position, early[position])

    def _put(self, position: int, outcome: Outcome | None) -> None:
        if outcome is None:
            self._leave_room()
        else:
            self._ready.append((position, outcome))
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


def _source(
    specs: Iterable[Spec] | AsyncIterable[Spec],
) -> Callable[[], Spec | Awaitable[Spec]]:
    """
    What gives the next of any iterable, at once or in a while.
    """
    if isinstance(specs, AsyncIterable):
        return aiter(specs).__anext__
    return iter(specs).__next__


def _told(entry: Entry, spec: Spec) -> Receipt:
    return entry.receipt or Receipt(
        entry.job_id, spec.endpoint.name, entry.track_id
    )


def _prefix(item: _Item, generation: Pictures) -> str:
    given = item.spec.given_seed
    seed = given if generation.seed is None else generation.seed
    return f"{item.index:06d}-{'x' if seed is None else seed}"
