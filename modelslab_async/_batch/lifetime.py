"""
A batch from its first use to its end.

Its journal is opened, and a feeder pulls the input.  It ends when the input
is used up and every item has come to its end, when it is left, or when its
client is closed; then its page is written and its journal closed.
"""

from __future__ import annotations

import asyncio
import logging

from collections.abc import AsyncIterable, Callable, Iterable, Sized
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from .._engine.runtime import forked
from .._engine.submission import Lane, Submission
from .._engine.waiters import to_its_end
from .._policy.breakers import OutageBreaker
from .._rooms import Rooms
from ..errors import (
    ClientClosedError,
    JournalError,
    ModelsLabError,
    WrongLoopError,
)
from ..results import JSON
from ..specs import Spec
from .feeder import Feeder
from .options import BatchOptions
from .outcome import BatchProgress, Outcome, OutcomeQueue, Tally
from .run import Run
from .storage import Storage


_log = logging.getLogger("modelslab_async")


#: A task of its own, once it was begun.
_Work: TypeAlias = "asyncio.Future[None] | None"


@attrs.define(eq=False)
class BatchLifetime:
    """
    A batch from its first use to its end.

    What changes: how far it is.
    """

    open_rooms: Callable[[], Rooms]
    specs: Iterable[Spec] | AsyncIterable[Spec]
    options: BatchOptions
    tally: Tally = attrs.field(init=False)
    outcomes: OutcomeQueue = attrs.field(init=False)
    _run: Run | None = attrs.field(default=None, init=False)
    _feeder: Feeder | None = attrs.field(default=None, init=False)
    _storage: Storage | None = attrs.field(default=None, init=False)
    _opening: _Work = attrs.field(default=None, init=False)
    _leaving: _Work = attrs.field(default=None, init=False)
    #: Requests under way still write to the journal of what was left.
    _lingering: _Work = attrs.field(default=None, init=False)
    _started: float = attrs.field(default=0.0, init=False)
    #: Whoever leaves it names what is paid.
    _quiet: bool = attrs.field(default=False, init=False)
    #: It waits for another batch, and has opened nothing yet.
    _queues: bool = attrs.field(default=False, init=False)
    _over: bool = attrs.field(default=False, init=False)

    @tally.default
    def _nothing(self) -> Tally:
        specs = self.specs
        return Tally(len(specs) if isinstance(specs, Sized) else None)

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
            return self.tally.progress()
        return self.tally.progress(
            run.rooms.runtime.now() - self._started,
            *run.in_flight_and_waiting,
            cut_short=run.feeding.done() and not run.exhausted,
            waiting_for=run.waiting_for,
        )

    async def take(self) -> tuple[int, Outcome] | None:
        """
        The next outcome and its item's position; None at the end.

        Raises:
            BaseException: What the caller's own iterable raised.
        """
        _check_loop(self._run)
        self.outcomes.want()
        try:
            if not self._over:
                await self.begin()
            elif self._opening is not None:
                # Why it never began is told each time, not an empty batch.
                await _opened(self._opening)
            pair = await self.outcomes.take()
        finally:
            self._unwant()
        if pair is not None:
            return pair
        await self.leave()
        if self._feeder is not None:
            self._feeder.raise_broken()
        return None

    def reader_gone(self) -> None:
        """
        Somebody does not iterate any more; from any thread, at any time.
        """
        if self._run is not None:
            self._run.rooms.runtime.soon(self._unwant)

    def forget(self) -> None:
        """
        Nobody can read any more: leave it; from any thread, at any time.
        """
        if self._run is not None and self._leaving is None:
            self._run.rooms.runtime.soon(self._start_to_leave)

    def _unwant(self) -> None:
        if self.outcomes.unwant() and self._run is not None:
            self._run.pause()

    # The beginning

    async def begin(self, *, named: bool = False) -> None:
        """
        Open it, if that has not been done.

        Args:
            named: Keep what was paid for, for `break_off`.

        Raises:
            ClientClosedError: It is over.

            JournalError: The journal, or the folder, cannot be used.
        """
        if self._over:
            raise ClientClosedError("the batch is over; make a new one")
        if self._run is not None and self._run.paid is None and named:
            self._run.paid = {}
        if self._opening is None:
            rooms = self.open_rooms()
            rooms.batches.add(self)
            self._run = run = Run(
                rooms,
                self.options,
                self.outcomes,
                self.tally,
                Lane(OutageBreaker(rooms.runtime.timeouts)),
                {} if named else None,
            )
            self._opening = asyncio.ensure_future(self._open(run))
            self._opening.add_done_callback(_seen)
        await _opened(self._opening)

    async def _open(self, run: Run) -> None:
        self._storage = storage = Storage(run, self._facts)
        try:
            if isinstance(self.options.place, Path):
                disk = run.rooms.downloads.disk
                run.options = await disk.run(self.options.absolute)
            self._queues = True
            for other in tuple(run.rooms.batches):
                if other is not self:
                    await other.make_way(run.options.place)
            self._queues = False
            await storage.open()
            if run.stopping:
                raise ClientClosedError
        except BaseException:
            self._over = True
            run.rooms.batches.discard(self)
            await storage.aclose()
            raise
        storage.keep()
        self._started = run.rooms.runtime.now()
        self._feeder = Feeder(run, self.specs)
        self._feeder.start()

    # The end

    def stop(self, error: ModelsLabError | None = None) -> None:
        """
        Ask for nothing more; what is paid for still comes.
        """
        if self._run is None:
            self._over = True
            # Who reads all the same waits for nothing.
            self.outcomes.end()
        else:
            self._run.stop(error)

    async def leave(self) -> None:
        """
        Leave it; see `Batch.aclose`.
        """
        if self._run is None:
            self.stop()
        if _is_gone(self._run):
            return
        self.note_waiter(asyncio.current_task())
        await to_its_end(self._start_to_leave())

    async def aclose(self) -> None:
        """
        Leave it, and wait until nothing more is written for it.
        """
        await self.leave()
        if self._lingering is not None:
            await to_its_end(self._lingering)

    async def make_way(self, place: object) -> None:
        """
        Another batch needs our journal, if *place* is that: see it written.

        Raises:
            JournalError: We are at work there.
        """
        run = self._run
        if run is None or place is None or run.options.place != place:
            return
        if self.outcomes.ended:
            # It is finished, and nobody has looked yet.
            await self.leave()
        if self._leaving is None:
            raise JournalError(
                "locked", "another batch of this client is at work there"
            )
        await asyncio.wait({self._leaving})
        # It is known only now.
        if self._lingering is not None:
            await asyncio.wait({self._lingering})

    def note_waiter(self, task: asyncio.Task[Any] | None) -> None:
        """
        A task is about to wait for our end: we must not wait for its.
        """
        if self._feeder is not None:
            self._feeder.note_waiter(task)

    def leave_to_parent(self) -> None:
        """
        In a forked child: whoever reads hears that nothing comes.
        """
        self._over = True
        if self._feeder is not None:
            self._feeder.broken = forked()
        for room in (self._storage, self._run):
            if room is not None:
                room.leave_to_parent()
        for task in (self._opening, self._leaving, self._lingering):
            if task is not None:
                task.cancel()

    async def break_off(self) -> None:
        """
        Leave it; one WARNING names all that was paid for.
        """
        self._quiet = True
        try:
            await self.leave()
        finally:
            if self._run is not None:
                self._run.name_paid()

    def _start_to_leave(self) -> asyncio.Future[None]:
        if self._leaving is None:
            self._leaving = asyncio.ensure_future(self._leave())
        return self._leaving

    async def _leave(self) -> None:
        if self._opening is not None:
            if self._queues:
                self._opening.cancel()
            await asyncio.wait({self._opening})
        run, feeder, storage = self._run, self._feeder, self._storage
        if self._over or run is None or feeder is None or storage is None:
            self._over = True
            self.outcomes.end()
            return
        under_way: list[Submission] = []
        try:
            run.stop()
            await feeder.gone()
            under_way = await run.end(quiet=self._quiet)
        finally:
            # Also where the loop itself ends.
            self._over = True
            if run.stopped is not None:
                _log.warning(
                    "the batch stopped early, its outcomes are not all: %s",
                    run.stopped,
                )
            self._lingering = asyncio.ensure_future(
                self._linger(run, storage, under_way)
            )
            if not under_way:
                await to_its_end(self._lingering)
            self.outcomes.end()

    async def _linger(
        self, run: Run, storage: Storage, under_way: list[Submission]
    ) -> None:
        """
        Close the journal, once all requests are answered that may be paid for.
        """
        try:
            if under_way:
                await asyncio.wait([one.task for one in under_way])
        finally:
            await storage.aclose()
            run.rooms.batches.discard(self)

    def _facts(self) -> dict[str, JSON]:
        """
        How it stands, for ``status.json``.
        """
        stopped = self.stopped
        return attrs.asdict(self.progress()) | {
            "running": not self._over,
            "stopped": None if stopped is None else str(stopped),
            "failures": self.tally.failures(),
        }


async def _opened(opening: asyncio.Future[None]) -> None:
    """
    Whoever comes second waits for the first; a cancelled first one leaves no
    half of a journal behind.

    Raises:
        ClientClosedError: It was left meanwhile; who waits was not cancelled.

        JournalError: The journal, or the folder, cannot be used.
    """
    if not opening.done():
        await asyncio.wait({opening})
    if opening.cancelled():
        raise ClientClosedError("the batch was left before it began")
    opening.result()


def _is_gone(run: Run | None) -> bool:
    """
    Whether nothing is left of a batch: it was never begun, its loop is
    closed, or it is the parent's of a forked child.

    Raises:
        WrongLoopError: It lives on another event loop.
    """
    if run is None:
        return True
    runtime = run.rooms.runtime
    if runtime.loop.is_closed() or runtime.inherited:
        return True
    _check_loop(run)
    return False


def _check_loop(run: Run | None) -> None:
    """
    Raises:
        WrongLoopError: It lives on another event loop.
    """
    if run is None:
        return
    if run.rooms.runtime.inherited:
        raise forked()
    here = asyncio.get_running_loop()
    if run.rooms.runtime.loop is not here:
        raise WrongLoopError(
            "the batch was begun on another event loop; make a new one"
        )


def _seen(task: asyncio.Future[None]) -> None:
    """
    Also where whoever entered has gone meanwhile.
    """
    if not task.cancelled():
        task.exception()
