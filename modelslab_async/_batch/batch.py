"""
Many generations: lazy, bounded, and resumable.

A batch is entered with ``async with`` and iterated, or awaited for a list. It
begins at its first use: its journal is opened, and a feeder pulls the input.
It ends when the input is used up and every item has come to its end, when it
is left, or when its client is closed; then its page is written and its
journal closed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time

from collections.abc import (
    AsyncIterable,
    Callable,
    Generator,
    Iterable,
    Sized,
)
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from .._engine.job import named
from .._engine.waiters import to_its_end
from .._output.folder import OutputFolder, make_private
from .._policy.breakers import OutageBreaker
from .._rooms import Rooms
from ..errors import (
    ClientClosedError,
    DownloadError,
    JournalError,
    ModelsLabError,
)
from ..journal import Identity, Journal, State
from ..results import JSON, JobState
from ..specs import Spec
from .feeder import Feeder
from .item import BatchJournal
from .outcome import (
    BatchOptions,
    BatchProgress,
    Outcome,
    OutcomeQueue,
    Tally,
)
from .run import Run


_log = logging.getLogger("modelslab_async")


#: Seconds between looks at status and page; they have pauses of their own.
_LOOK = 1.0


#: Unknown outcomes that ``status.json`` names, at most.
_UNKNOWN = 500


class Batch:
    """
    Many generations; see `ModelsLab.batch()`.
    """

    def __init__(
        self,
        open_rooms: Callable[[], Rooms],
        specs: Iterable[Spec] | AsyncIterable[Spec],
        options: BatchOptions,
    ) -> None:
        self._lifetime = BatchLifetime(open_rooms, specs, options)
        #: Of those who await it, with their items' positions.
        self._taken: list[tuple[int, Outcome]] = []

    def __repr__(self) -> str:
        now = self.progress
        return (
            f"<Batch {now.done} done, {now.failed} failed, "
            f"{now.in_flight} in flight>"
        )

    async def __aenter__(self) -> Self:
        try:
            await self._lifetime.begin()
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
        async with self:
            while True:
                try:
                    self._taken.append(await self._take())
                except StopAsyncIteration:
                    break
        return list(self.outcomes)

    async def _take(self) -> tuple[int, Outcome]:
        pair = await self._lifetime.take()
        if pair is None:
            raise StopAsyncIteration
        return pair

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """
        Of an awaited batch: those so far, in the order of the input.
        """
        self._taken.sort(key=lambda pair: pair[0])
        return tuple(outcome for _, outcome in self._taken)

    @property
    def progress(self) -> BatchProgress:
        """
        How it stands now.
        """
        return self._lifetime.progress()

    @property
    def stopped(self) -> ModelsLabError | None:
        """
        The error that stopped it early, or None.
        """
        return self._lifetime.stopped

    def stop(self, error: ModelsLabError | None = None) -> None:
        """
        Ask for nothing more; what is paid for still comes.
        """
        self._lifetime.stop(error)

    async def aclose(self) -> None:
        """
        Leave: ask for nothing more, wait up to 10 s for requests under way.

        One WARNING names each paid, unfinished job; the client goes on
        watching them, and a journal takes them up again.  May be called again.
        """
        await self._lifetime.aclose()


@attrs.define(eq=False)
class BatchLifetime:
    """
    A batch from its first use to its end.

    What changes: how far it is.
    """

    open_rooms: Callable[[], Rooms]
    specs: Iterable[Spec] | AsyncIterable[Spec]
    options: BatchOptions
    total: int | None = attrs.field(init=False)
    tally: Tally = attrs.field(factory=Tally, init=False)
    outcomes: OutcomeQueue = attrs.field(init=False)
    _run: Run | None = attrs.field(default=None, init=False)
    _feeder: Feeder | None = attrs.field(default=None, init=False)
    _storage: _Storage | None = attrs.field(default=None, init=False)
    _opening: asyncio.Future[None] | None = attrs.field(
        default=None, init=False
    )
    _leaving: asyncio.Future[None] | None = attrs.field(
        default=None, init=False
    )
    _started: float = attrs.field(default=0.0, init=False)
    _over: bool = attrs.field(default=False, init=False)

    @total.default
    def _known(self) -> int | None:
        return len(self.specs) if isinstance(self.specs, Sized) else None

    @outcomes.default
    def _empty(self) -> OutcomeQueue:
        return OutcomeQueue(self.options.ordered)

    @property
    def stopped(self) -> ModelsLabError | None:
        """
        The error that stopped it early, or None.
        """
        return None if self._run is None else self._run.stopped

    def progress(self) -> BatchProgress:
        """
        How it stands now.
        """
        run = self._run
        if run is None or run.feeding is None:
            return self.tally.progress(self.total, 0.0, 0, 0)
        in_flight = sum(item.left for item in run.items.values())
        waiting = len(run.items) - in_flight
        elapsed = run.rooms.runtime.now() - self._started
        return self.tally.progress(self.total, elapsed, in_flight, waiting)

    async def take(self) -> tuple[int, Outcome] | None:
        """
        The next outcome and its item's position; None at the end.

        Raises:
            BaseException: What the caller's own iterable raised.
        """
        if not self._over:
            await self.begin()
        pair = await self.outcomes.take()
        if pair is not None:
            return pair
        await self.aclose()
        feeder = self._feeder
        if feeder is not None and feeder.broken is not None:
            broken, feeder.broken = feeder.broken, None
            raise broken
        return None

    # The beginning

    async def begin(self) -> None:
        """
        Open it, if that has not been done.

        Raises:
            ClientClosedError: It is over.

            JournalError: The journal, or the folder, cannot be used.
        """
        if self._over:
            raise ClientClosedError("the batch is over; make a new one")
        if self._opening is None:
            rooms = self.open_rooms()
            rooms.batches.add(self)
            self._run = run = Run(
                rooms,
                self.options,
                self.outcomes,
                self.tally,
                OutageBreaker(rooms.runtime.timeouts),
            )
            self._opening = asyncio.ensure_future(self._open(run))
        # Whoever comes second waits for the first; a cancelled first one
        # leaves no half of a journal behind.
        await asyncio.shield(self._opening)

    async def _open(self, run: Run) -> None:
        self._storage = storage = _Storage(run)
        try:
            await storage.open()
            if run.stopping:
                raise ClientClosedError
        except BaseException:
            self._over = True
            run.rooms.batches.discard(self)
            await storage.aclose(self._facts)
            raise
        storage.keep(self._facts)
        items = self.options.items
        keys = None if items is None else iter(items)
        self._feeder = Feeder(run, self.specs, keys)
        self._started = run.rooms.runtime.now()
        run.feeding = asyncio.ensure_future(self._feeder.feed())
        run.feeding.add_done_callback(lambda _: run.end_if_over())

    # The end

    def stop(self, error: ModelsLabError | None = None) -> None:
        """
        Ask for nothing more; what is paid for still comes.
        """
        if self._run is None:
            self._over = True
        else:
            self._run.stop(error)

    async def aclose(self) -> None:
        """
        Leave it; see `Batch.aclose`.
        """
        if self._leaving is None:
            self._leaving = asyncio.ensure_future(self._leave())
        await to_its_end(self._leaving)

    async def _leave(self) -> None:
        if self._opening is not None:
            await asyncio.wait({self._opening})
        run, storage = self._run, self._storage
        if self._over or run is None or run.feeding is None:
            self._over = True
            self.outcomes.end()
            return
        run.stop()
        await run.answered()
        left = [
            item.job
            for item in run.items.values()
            if item.job is not None
            and item.accepted
            and item.job.state is JobState.PROCESSING
        ]
        tasks = [run.feeding, *run.items]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        if left:
            _log.warning(
                "left a batch with %d unfinished: %s", len(left), named(left)
            )
        self._over = True
        run.rooms.batches.discard(self)
        if run.stopped is not None:
            _log.warning(
                "the batch stopped early, its outcomes are not all: %s",
                run.stopped,
            )
        if storage is not None:
            await storage.aclose(self._facts)
        self.outcomes.end()

    def _facts(self) -> dict[str, JSON]:
        """
        How it stands, for ``status.json``.
        """
        facts: dict[str, JSON] = attrs.asdict(self.progress())
        stopped = self.stopped
        return facts | {
            "running": not self._over,
            "stopped": None if stopped is None else str(stopped),
        }


#: How a batch stands, as JSON.
Facts = Callable[[], dict[str, JSON]]


@attrs.define(eq=False)
class _Storage:
    """
    The journal and the folder of a batch: opened, looked after, closed.

    What changes: what is open.
    """

    run: Run
    #: Ours to close, where it is not the caller's.
    _opened: Journal | None = attrs.field(default=None, init=False)
    _keeper: asyncio.Task[None] | None = attrs.field(default=None, init=False)

    async def open(self) -> None:
        """
        Raises:
            JournalError: The journal, or the folder, cannot be used.
        """
        run, rooms, options = self.run, self.run.rooms, self.run.options
        journal = await self._journal()
        if journal is not None:
            ours = rooms.options
            run.journal = BatchJournal(
                journal, ours.key, ours.timeouts.journal_retry, run.stop
            )
            key = run.journal.snapshot()
            await journal.begin(
                Identity(ours.origin, key.reveal, ours.run),
                new_key=options.new_key,
            )
        if options.output is not None:
            run.folder = await OutputFolder.open(
                options.output, rooms.downloads
            )

    async def _journal(self) -> Journal | None:
        options = self.run.options
        path = options.journal
        if path is None and options.output is not None:
            path = options.output / "journal.sqlite"
        if options.output is not None:
            disk = self.run.rooms.downloads.disk
            await make_private(options.output, disk)
        if not isinstance(path, str | os.PathLike):
            return path
        # Here, for the sake of those who only want a picture or two.
        from ..journal import SqliteJournal

        self._opened = await SqliteJournal.open(Path(path))
        return self._opened

    def keep(self, facts: Facts) -> None:
        """
        Let those who look at the folder see how it goes.
        """
        if self.run.folder is not None:
            self._keeper = asyncio.ensure_future(
                self._keep(self.run.folder, facts)
            )

    async def _keep(self, folder: OutputFolder, facts: Facts) -> None:
        while True:
            await self._refresh(folder, facts)
            await asyncio.sleep(_LOOK)

    async def _refresh(
        self, folder: OutputFolder, facts: Facts, *, final: bool = False
    ) -> None:
        try:
            await folder.refresh(
                facts() | await self._more_facts(), final=final
            )
        except (DownloadError, JournalError) as error:
            # Pictures are kept where they can be; a page can be made anew.
            _log.warning("%s", error)

    async def _more_facts(self) -> dict[str, JSON]:
        slots = self.run.rooms.queue.slots
        facts: dict[str, JSON] = {
            "pid": os.getpid(),
            "at": time.time(),
            "slots": slots.limit,
            "slots_held": slots.held,
        }
        if self.run.journal is not None:
            journal = self.run.journal.journal
            counts = await journal.counts()
            facts["states"] = {
                state.name.lower(): number for state, number in counts.items()
            }
            oldest = await journal.oldest()
            if oldest is not None:
                facts["oldest_age"] = time.time() - oldest
            page = await journal.entries({State.UNKNOWN}, limit=_UNKNOWN)
            facts["unknown"] = [entry.track_id for entry in page]
        return facts

    async def aclose(self, facts: Facts) -> None:
        """
        Write what is late, the status and the page; close the journal.
        """
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        if self.run.journal is not None:
            await self.run.journal.settle()
        if self.run.folder is not None:
            await self._refresh(self.run.folder, facts, final=True)
        if self._opened is not None:
            await self._opened.aclose()
