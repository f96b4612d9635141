"""
A batch's memory on disk: a journal in an SQLite file.

One connection in one thread, fed by a queue. What came while the last
transaction was being written goes into the next one together, so the disk is
waited for once and not once for each writer.

The connection is exclusive: a second process is told at once, a killed one
leaves no lock behind, and the race of SQLite up to 3.51.2 that corrupts a WAL
with two connections cannot happen. The price is that nobody else can look
into the file while a batch runs. Before each commit it is seen whether the
file is still where the next run will look for it.

A file is looked at before SQLite may touch it: what is not ours, of a later
version, or damaged is refused as it is. A new one is made under another name,
so a file that is cut off is always a damaged one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import warnings
import weakref

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import attrs

from .._quoting import in_short
from ..errors import ClientClosedError, ConfigurationError
from .causes import Cause, cause_of
from .protocol import Identity, Request
from .sqlite_file import OpenFile, as_ours, open_to_read, open_to_write
from .sqlite_tables import Tables
from .states import Entry, State, Step


T = TypeVar("T")


#: Steps in one transaction, at most. 100 in one are 15 times as fast as one
#: by one; beyond 1,000 nothing is gained.
_GROUP = 512


#: What SQLite raises where the file is full, damaged or gone.
_OF_THE_FILE = {sqlite3.OperationalError, sqlite3.DatabaseError}


@attrs.frozen
class JournalSummary:
    """
    What a journal says that nobody has open.

    Attributes:
        counts: How many items are in each state.

        unknown: The track_ids of those whose outcome is unknown, as a start
            would find them; the first 1,000.

        oldest: When the oldest accepted or done item was accepted, in
            seconds since the epoch.

        failures: How many failed of what.
    """

    counts: Mapping[State, int]
    unknown: tuple[str, ...]
    oldest: float | None
    failures: Mapping[Cause, int] = attrs.field(factory=dict)


@attrs.define(eq=False)
class SqliteJournal:
    """
    A `Journal` in an SQLite file.

    What changes: what is in the file, and whether it is open.

    Attributes:
        path: Where it is, absolute: a program may go to another folder.

        id: See `Journal`.
    """

    path: Path
    id: str
    _writer: _Writer = attrs.field(repr=False)

    @classmethod
    async def open(cls, path: str | os.PathLike[str]) -> Self:
        """
        Open the journal in *path*, or make one.

        Raises:
            ConfigurationError: It is no path.

            JournalError: `locked` (another process, or another batch of this
                one, has it), `corrupt` (damaged, or no journal), `newer` or
                `unwritable`; the file is as it was.
        """
        given: object = path
        if not isinstance(given, str | os.PathLike):
            raise ConfigurationError(
                f"a journal's path is needed, not {in_short(given)}"
            )
        await _wait_for_abandoned()
        writer = _Writer()
        opened = _Operation(_place_and_id)
        writer.start(Path(path), opened)
        try:
            place, name = await opened.future
        except BaseException:
            writer.stop()
            raise
        return cls(place, name, writer)

    @staticmethod
    async def inspect(path: str | os.PathLike[str]) -> JournalSummary:
        """
        Look into a journal that nobody has open; nothing is changed.

        Raises:
            JournalError: As `open` does, also where there is no file.
        """
        await _wait_for_abandoned()
        # Not the loop's own executor: those in there may wait for us.
        executor = ThreadPoolExecutor(1, "modelslab-async-journal")
        try:
            return await asyncio.get_running_loop().run_in_executor(
                executor, _inspect, Path(path)
            )
        finally:
            executor.shutdown(wait=False)

    def __del__(self) -> None:
        if not self._writer.stopped:
            warnings.warn(
                f"the journal {self.path} was never closed",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
            self._writer.stop()

    async def aclose(self) -> None:
        if self._writer.pid != os.getpid():
            # A forked child has no such thread.
            return
        self._writer.stop()
        # Cancelled or not, it is closed.
        await asyncio.shield(asyncio.wrap_future(self._writer.ended))

    def abandon(self) -> None:
        """
        The same without a loop, for whoever finds that its loop has ended;
        who opens or inspects a journal next waits for it.
        """
        # A forked child has nothing to let go of.
        if self._writer.pid == os.getpid():
            self._writer.stop()
            _abandoned.add(self._writer.ended)
            self._writer.ended.add_done_callback(_abandoned.discard)

    async def begin(
        self, identity: Identity, *, new_key: bool = False
    ) -> None:
        await self._do(lambda tables: tables.begin(identity, new_key))

    async def rotate_key(self, key: str | Callable[[], str]) -> None:
        await self._do(lambda tables: tables.rotate_key(key))

    async def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
        return await self._do(lambda tables: tables.plan(items))

    async def move(self, index: int, step: Step) -> Entry:
        return await self._do(lambda tables: tables.move(index, step))

    async def get(self, index: int) -> Entry:
        return await self._do(lambda tables: tables.get(index))

    async def entries(
        self,
        states: Collection[State],
        *,
        after: int = -1,
        limit: int = 500,
        unseen: bool = False,
    ) -> Sequence[Entry]:
        return await self._do(
            lambda tables: tables.entries(states, after, limit, unseen),
        )

    async def find(
        self,
        *,
        job_id: str | None = None,
        track_id: str | None = None,
        bell: str | None = None,
    ) -> Sequence[Entry]:
        return await self._do(
            lambda tables: tables.find(job_id, track_id, bell)
        )

    async def counts(self) -> Mapping[State, int]:
        return await self._do(lambda tables: tables.counts())

    async def oldest(self) -> float | None:
        return await self._do(lambda tables: tables.oldest())

    async def _do(self, work: Callable[[Tables], T]) -> T:
        """
        Have it done; whoever waits may go, the work stays.
        """
        if self._writer.stopped:
            raise ClientClosedError("the journal is closed")
        operation = _Operation(work)
        self._writer.queue.put(operation)
        return await operation.future


#: Journals that are being closed, and that nobody waits for.
_abandoned: set[Future[None]] = set()


async def _wait_for_abandoned() -> None:
    for ended in tuple(_abandoned):
        await asyncio.shield(asyncio.wrap_future(ended))


# The thread.


@attrs.define(eq=False)
class _Operation(Generic[T]):
    """
    Something to do, and who waits for it, on which loop.
    """

    work: Callable[[Tables], T]
    loop: asyncio.AbstractEventLoop = attrs.field(
        factory=asyncio.get_running_loop
    )
    future: asyncio.Future[T] = attrs.field(init=False)
    result: T | None = attrs.field(default=None, init=False)
    error: Exception | None = attrs.field(default=None, init=False)

    @future.default
    def _future(self) -> asyncio.Future[T]:
        return self.loop.create_future()

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # is a T


def _place_and_id(tables: Tables) -> tuple[Path, str]:
    return tables.path, tables.id


@attrs.define(eq=False)
class _Writer:
    """
    The one thread that touches the file.

    What changes: what is queued, and whether it was told to stop. It knows
    nothing of its `SqliteJournal`, so that a forgotten one can go; and the
    connection is in a frame of the thread's own, so that no forked child ever
    closes it, which would write to the file.
    """

    queue: queue.SimpleQueue[_Operation[Any] | None] = attrs.field(
        factory=queue.SimpleQueue, init=False
    )
    pid: int = attrs.field(factory=os.getpid, init=False)
    ended: Future[None] = attrs.field(factory=Future, init=False)
    stopped: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        _writers.add(self)

    def start(self, path: Path, opened: _Operation[tuple[Path, str]]) -> None:
        # As a daemon, it does not keep a process from ending: what is not
        # committed then is as after a kill.
        threading.Thread(
            target=self._run,
            args=(path, opened),
            name="modelslab-async-journal",
            daemon=True,
        ).start()

    def stop(self) -> None:
        """
        Have what is queued written, then the file closed.
        """
        if not self.stopped:
            self.stopped = True
            self.queue.put(None)

    def _run(self, path: Path, opened: _Operation[tuple[Path, str]]) -> None:
        try:
            with open_to_write(path) as file:
                tables = Tables(file.connection, file.path)
                opened.result = opened.work(tables)
                _settle_ops([opened])
                while self._group(tables, file):
                    pass
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            opened.error = error
            _settle_ops([opened])
        self.stopped = True
        while not self.queue.empty():
            if (late := self.queue.get()) is not None:
                late.error = ClientClosedError("the journal is closed")
                _settle_ops([late])
        self.ended.set_result(None)

    def _group(self, tables: Tables, file: OpenFile) -> bool:
        """
        Do all that is queued in one transaction; False at the end.
        """
        operations: list[_Operation[Any]] = []
        one = self.queue.get()
        while one is not None:
            operations.append(one)
            if len(operations) >= _GROUP or self.queue.empty():
                break
            one = self.queue.get()
        try:
            if operations:
                file.check_place()
                self._commit(tables, operations)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            tables.undo()
            for operation in operations:
                operation.error = as_ours(error, file.path)
                operation.error.__cause__ = error
        _settle_ops(operations)
        return one is not None

    def _commit(
        self, tables: Tables, operations: Sequence[_Operation[Any]]
    ) -> None:
        tables.execute("BEGIN")
        for operation in operations:
            try:
                operation.result = operation.work(tables)
            except Exception as error:
                # What is wrong with the file is everybody's.
                if type(error) in _OF_THE_FILE:
                    raise
                operation.error = error
        tables.execute("COMMIT")


_writers: weakref.WeakSet[_Writer] = weakref.WeakSet()


def _leave_writers() -> None:
    _abandoned.clear()
    for writer in tuple(_writers):
        writer.stopped = True


# What is written there is the parent's affair, which has the threads.
os.register_at_fork(after_in_child=_leave_writers)


def _settle_ops(operations: Sequence[_Operation[Any]]) -> None:
    """
    Tell those who wait, with one call for each loop.
    """
    for loop in {operation.loop for operation in operations}:
        done = [
            operation for operation in operations if operation.loop is loop
        ]
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_on_loop, done)


def _settle_on_loop(operations: Sequence[_Operation[Any]]) -> None:
    for operation in operations:
        operation.settle()


def _inspect(path: Path) -> JournalSummary:
    with open_to_read(path) as connection:
        tables = Tables(connection, path)
        states = (State.SUBMITTING, State.UNKNOWN)
        unknown = tables.entries(states, -1, 1000, unseen=False)
        return JournalSummary(
            tables.counts(),
            tuple(str(entry.track_id) for entry in unknown),
            tables.oldest(),
            Counter(
                cause_of(entry.error)
                for entry in tables.in_states({State.FAILED})
                if entry.error is not None
            ),
        )
