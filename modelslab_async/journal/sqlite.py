"""
Here lives a batch's memory on disk: the ledger in an SQLite file.

One connection in one thread, fed by a queue. What came while the last
transaction was being written goes into the next one together, so the disk is
waited for once and not once for each writer.

The connection is exclusive: a second process is told at once, a killed one
leaves no lock behind, and the race of SQLite up to 3.51.2 that corrupts a WAL
with two connections cannot happen. The price is that nobody else can look
into the file while a batch runs.

A file is looked at before SQLite may touch it: what is not ours, of a later
version, or damaged is refused as it is. A new one is made under another name,
so a file that is cut off is always a damaged one.

For crash tests only: with ``MODELSLAB_ASYNC_CRASH_AT=accepted:before``, read
when a journal is opened, the process kills itself just before that step's
commit; ``:after`` just after it, and a third part, ``:3``, at the third such
step. Steps are the names of states, ``begin`` and ``plan``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import signal
import sqlite3
import threading
import warnings

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import attrs

from ..errors import ClientClosedError
from .protocol import (
    SIMULATOR,
    Identity,
    Request,
    Secret,
    another_spec,
    check_identity,
    fingerprint,
    twice,
)
from .sqlite_file import (
    _COLUMNS,
    _FIELDS,
    _SELECT,
    _checked,
    _claimed,
    _foreign,
    _owned,
    _unwritable,
)
from .states import LEADS, Entry, State, Step, after, anew, killed


T = TypeVar("T")


#: Steps in one transaction, at most. 100 in one are 15 times as fast as one
#: by one; beyond 1,000 nothing is gained.
_GROUP = 512


#: What SQLite raises where the file is full, damaged or gone.
_OF_THE_FILE = {sqlite3.OperationalError, sqlite3.DatabaseError}


_MARKS = ", ".join("?" * len(_FIELDS))


_SELECT_KNOWN = f"SELECT {_COLUMNS}, run, equals FROM item"  # noqa: S608


_BY_KEY = f'{_SELECT_KNOWN} WHERE "key" = ?'


_BY_EQUAL = (
    f'{_SELECT_KNOWN} WHERE identity = ? AND ordinal = ? AND "key" IS NULL'
)


_INSERT = (
    f"INSERT INTO item ({_COLUMNS}, ordinal, run, equals) "  # noqa: S608
    f"VALUES ({_MARKS}, ?, ?, 1)"
)


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
    """

    counts: Mapping[State, int]
    unknown: tuple[str, ...]
    oldest: float | None


@attrs.define(eq=False)
class SqliteJournal:
    """
    A `Journal` in an SQLite file.

    What changes: what is in the file, and whether it is open.
    """

    path: Path
    _writer: _Writer = attrs.field(repr=False)

    @classmethod
    async def open(cls, path: str | os.PathLike[str]) -> Self:
        """
        Open the journal in *path*, or make one.

        Raises:
            JournalError: `locked` (another process, or another batch of this
                one, has it), `corrupt` (damaged, or no journal), `newer` or
                `unwritable`; the file is as it was.
        """
        place = Path(path)
        writer = _Writer(_crash(os.environ.get("MODELSLAB_ASYNC_CRASH_AT")))
        opened = _Op("open", _nothing)
        writer.start(place, opened)
        try:
            await opened.future
        except BaseException:
            writer.stop()
            raise
        return cls(place, writer)

    @staticmethod
    async def look(path: str | os.PathLike[str]) -> JournalSummary:
        """
        Look into a journal that nobody has open; nothing is changed.

        Raises:
            JournalError: As `open` does, also where there is no file.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, _look, Path(path))

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
        self._writer.stop()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._writer.thread.join)

    async def begin(
        self, identity: Identity, *, new_key: bool = False
    ) -> None:
        await self._do("begin", lambda book: book.begin(identity, new_key))

    async def rotated(self, key: Secret | str) -> None:
        await self._do("rotated", lambda book: book.rotated(key))

    async def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
        return await self._do("plan", lambda book: book.plan(items))

    async def move(self, index: int, step: Step) -> Entry:
        name = LEADS[type(step)].name.lower()
        return await self._do(name, lambda book: book.move(index, step))

    async def get(self, index: int) -> Entry:
        return await self._do("get", lambda book: book.get(index))

    async def entries(
        self,
        states: Collection[State],
        *,
        after: int = -1,
        limit: int = 500,
        unseen: bool = False,
    ) -> Sequence[Entry]:
        return await self._do(
            "entries", lambda book: book.entries(states, after, limit, unseen)
        )

    async def find(
        self, *, job_id: str | None = None, track_id: str | None = None
    ) -> Sequence[Entry]:
        return await self._do("find", lambda book: book.find(job_id, track_id))

    async def counts(self) -> Mapping[State, int]:
        return await self._do("counts", lambda book: book.counts())

    async def oldest(self) -> float | None:
        return await self._do("oldest", lambda book: book.oldest())

    async def _do(self, name: str, work: Callable[[_Book], T]) -> T:
        """
        Have it done; whoever waits may go, the work stays.
        """
        if self._writer.stopped:
            raise ClientClosedError("the journal is closed")
        op = _Op(name, work)
        self._writer.queue.put(op)
        return await op.future


# The thread.


@attrs.define(eq=False)
class _Op(Generic[T]):
    """
    Something to do, and who waits for it, on which loop.
    """

    name: str
    work: Callable[[_Book], T]
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


def _nothing(book: _Book) -> None:
    """
    The work of opening is done by the thread itself.
    """


@attrs.define(eq=False)
class _Writer:
    """
    The one thread that touches the file.

    What changes: what is queued, and whether it was told to stop. It knows
    nothing of its `SqliteJournal`, so that a forgotten one can go; and the
    connection is in a frame of the thread's own, so that no forked child ever
    closes it, which would write to the file.
    """

    crash: _Crash | None
    queue: queue.SimpleQueue[_Op[Any] | None] = attrs.field(
        factory=queue.SimpleQueue, init=False
    )
    thread: threading.Thread = attrs.field(init=False)
    stopped: bool = attrs.field(default=False, init=False)

    def start(self, path: Path, opened: _Op[None]) -> None:
        # As a daemon, it does not keep a process from ending: what is not
        # committed then is as after a kill.
        self.thread = threading.Thread(
            target=self._run,
            args=(path, opened),
            name="modelslab-async-journal",
            daemon=True,
        )
        self.thread.start()

    def stop(self) -> None:
        """
        Have what is queued written, then the file closed.
        """
        if not self.stopped:
            self.stopped = True
            self.queue.put(None)

    def _run(self, path: Path, opened: _Op[None]) -> None:
        try:
            with _owned(path) as connection:
                book = _Book(connection)
                _settle([opened])
                while self._group(book, path):
                    pass
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            opened.error = error
            _settle([opened])
        self.stopped = True
        while not self.queue.empty():
            if (late := self.queue.get()) is not None:
                late.error = ClientClosedError("the journal is closed")
                _settle([late])

    def _group(self, book: _Book, path: Path) -> bool:
        """
        Do all that is queued in one transaction; False at the end.
        """
        ops: list[_Op[Any]] = []
        one = self.queue.get()
        while one is not None:
            ops.append(one)
            if len(ops) >= _GROUP or self.queue.empty():
                break
            one = self.queue.get()
        try:
            if ops:
                self._commit(book, ops)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            book.undo()
            for op in ops:
                op.error = _foreign(error, path)
                op.error.__cause__ = error
        _settle(ops)
        return one is not None

    def _commit(self, book: _Book, ops: Sequence[_Op[Any]]) -> None:
        book.execute("BEGIN")
        for op in ops:
            try:
                op.result = op.work(book)
            except Exception as error:
                # What is wrong with the file is everybody's.
                if type(error) in _OF_THE_FILE:
                    raise
                op.error = error
        if self.crash is not None:
            self.crash.pass_by("before", ops)
        book.execute("COMMIT")
        if self.crash is not None:
            self.crash.pass_by("after", ops)


def _settle(ops: Sequence[_Op[Any]]) -> None:
    """
    Tell those who wait, with one call for each loop.
    """
    for loop in {op.loop for op in ops}:
        done = [op for op in ops if op.loop is loop]
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_here, done)


def _settle_here(ops: Sequence[_Op[Any]]) -> None:
    for op in ops:
        op.settle()


@attrs.define
class _Crash:
    """
    Where a crash test wants the process to end.

    What changes: how many such steps are still let by.
    """

    name: str
    side: str
    left: int

    def pass_by(self, side: str, ops: Sequence[_Op[Any]]) -> None:
        if side != self.side:
            return
        self.left -= sum(
            op.name == self.name and op.error is None for op in ops
        )
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _crash(wanted: str | None) -> _Crash | None:
    if not wanted:
        return None
    name, side, *times = wanted.split(":")
    return _Crash(name, side, int(times[0]) if times else 1)


# The ledger in SQL.


@attrs.define(eq=False)
class _Book:
    """
    The calls of a `Journal`, each inside of a transaction of the caller's.

    What changes: the file, the number of the run, and the next index.
    """

    _connection: sqlite3.Connection
    _run: int | None = attrs.field(default=None, init=False)

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    def undo(self) -> None:
        # After some errors SQLite has rolled back already.
        with contextlib.suppress(sqlite3.Error):
            self.execute("ROLLBACK")

    def begin(self, identity: Identity, new_key: bool) -> None:
        meta = self._meta()
        print_ = fingerprint(bytes.fromhex(meta["salt"]), identity.key)
        origin = meta.get("origin")
        if origin is not None:
            check_identity(
                Identity(origin),
                identity,
                same_key=meta.get("key") == print_,
                new_key=new_key,
            )
        self._note("origin", identity.origin)
        self._note("key", print_)
        gone = identity.origin == SIMULATOR and origin is not None
        if gone and meta.get("simulator") != identity.run:
            states = (
                State.SUBMITTING,
                State.ACCEPTED,
                State.DONE,
                State.UNKNOWN,
            )
            for entry in self._in_states(states):
                self._write(entry, anew(entry))
        if identity.run is not None:
            self._note("simulator", identity.run)
        for entry in self._in_states((State.SUBMITTING,)):
            self.move(entry.index, killed(entry))
        run = int(meta["run"]) + 1
        self._note("run", str(run))
        self._run = run

    def rotated(self, key: Secret | str) -> None:
        salt = bytes.fromhex(self._meta()["salt"])
        self._note("key", fingerprint(salt, key))

    def _meta(self) -> dict[str, str]:
        return dict(self.execute("SELECT name, value FROM meta"))

    def _note(self, name: str, value: str) -> None:
        self.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
        if self._run is None:
            raise RuntimeError("a journal begins a run before it plans")
        self.execute("SAVEPOINT plan")
        try:
            planned = [self._plan(item, self._run) for item in items]
        except BaseException:
            # On a full disk SQLite has rolled back all of it already.
            with contextlib.suppress(sqlite3.Error):
                self.execute("ROLLBACK TO plan")
                self.execute("RELEASE plan")
            raise
        self.execute("RELEASE plan")
        return planned

    def _plan(self, item: Request, run: int) -> Entry:
        if item.key is not None:
            return self._plan_key(item, item.key, run)
        first = self.execute(_BY_EQUAL, item.identity, 0).fetchone()
        if first is None:
            return self._add(item, 0, run)
        index, (last_run, equals) = first[0], first[-2:]
        ordinal = equals if last_run == run else 0
        self.execute(
            'UPDATE item SET run = ?, equals = ? WHERE "index" = ?',
            run,
            ordinal + 1,
            index,
        )
        if ordinal == 0:
            return _entry(first)
        found = self.execute(_BY_EQUAL, item.identity, ordinal).fetchone()
        if found is None:
            return self._add(item, ordinal, run)
        self._see(found[0], run)
        return _entry(found)

    def _plan_key(self, item: Request, key: str, run: int) -> Entry:
        found = self.execute(_BY_KEY, _key(key)).fetchone()
        if found is None:
            return self._add(item, 0, run)
        entry = _entry(found)
        if entry.identity != item.identity:
            raise another_spec(key)
        if found[-2] == run:
            raise twice(key)
        self._see(entry.index, run)
        return entry

    def _see(self, index: int, run: int) -> None:
        self.execute('UPDATE item SET run = ? WHERE "index" = ?', run, index)

    def _add(self, item: Request, ordinal: int, run: int) -> Entry:
        (last,) = self.execute('SELECT max("index") FROM item').fetchone()
        index = 0 if last is None else last + 1
        entry = Entry(index, item.spec, item.identity, item.key)
        values = (_bound(name, getattr(entry, name)) for name in _FIELDS)
        self.execute(_INSERT, *values, ordinal, run)
        return entry

    def move(self, index: int, step: Step) -> Entry:
        entry = self.get(index)
        then = after(entry, step)
        self._write(entry, then)
        return then

    def _write(self, entry: Entry, then: Entry) -> None:
        changed = [
            name
            for name in _FIELDS
            if getattr(entry, name) != getattr(then, name)
        ]
        if not changed:
            return
        sets = ", ".join(f'"{name}" = ?' for name in changed)
        self.execute(
            f'UPDATE item SET {sets} WHERE "index" = ?',  # noqa: S608
            *(_bound(name, getattr(then, name)) for name in changed),
            entry.index,
        )

    def get(self, index: int) -> Entry:
        found = self.execute(f'{_SELECT} WHERE "index" = ?', index).fetchone()
        if found is None:
            raise IndexError(f"there is no item {index}")
        return _entry(found)

    def entries(
        self, states: Collection[State], after: int, limit: int, unseen: bool
    ) -> Sequence[Entry]:
        # State by state, because the index has them in that order.
        only = "AND run <> ?" if unseen else "AND ? IS NOT NULL"
        rows = [
            row
            for state in states
            for row in self.execute(
                f'{_SELECT} WHERE state = ? AND "index" > ? {only} '
                'ORDER BY "index" LIMIT ?',
                state,
                after,
                self._run or 0,
                limit,
            )
        ]
        rows.sort(key=lambda row: row[0])
        return [_entry(row) for row in rows[:limit]]

    def _in_states(self, states: Collection[State]) -> Iterator[Entry]:
        last = -1
        while page := self.entries(states, last, 500, unseen=False):
            yield from page
            last = page[-1].index

    def find(
        self, job_id: str | None, track_id: str | None
    ) -> Sequence[Entry]:
        rows = self.execute(
            f"{_SELECT} WHERE state IN (?, ?, ?) "
            'AND (job_id = ? OR track_id = ?) ORDER BY "index"',
            State.SUBMITTING,
            State.ACCEPTED,
            State.UNKNOWN,
            job_id,
            track_id,
        )
        return [_entry(row) for row in rows]

    def counts(self) -> Mapping[State, int]:
        found = dict(
            self.execute("SELECT state, count(*) FROM item GROUP BY state")
        )
        return {state: found.get(state, 0) for state in State}

    def oldest(self) -> float | None:
        (found,) = self.execute(
            "SELECT min(accepted_at) FROM item WHERE state IN (?, ?)",
            State.ACCEPTED,
            State.DONE,
        ).fetchone()
        return None if found is None else float(found)


def _key(key: str) -> bytes:
    # A name of a file may hold half a character; TEXT may not.
    return key.encode("utf-8", "surrogatepass")


def _bound(name: str, value: object) -> object:
    """
    A field of an `Entry` as SQLite takes it.
    """
    if isinstance(value, str):
        if name == "key":
            return _key(value)
        return value if value.isascii() else _whole(value)
    return json.dumps(value) if isinstance(value, tuple) else value


def _whole(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _entry(row: Sequence[Any]) -> Entry:
    (
        index,
        spec,
        identity,
        key,
        state,
        track_id,
        attempt,
        job_id,
        fetch_result,
        eta,
        seed,
        expected_urls,
        meta,
        accepted_at,
        done_at,
        stored_at,
        generation,
        files,
        error,
    ) = row[: len(_FIELDS)]
    return Entry(
        index,
        spec,
        identity,
        None if key is None else key.decode("utf-8", "surrogatepass"),
        State(state),
        track_id,
        attempt,
        job_id,
        fetch_result,
        eta,
        seed,
        () if expected_urls == "[]" else tuple(json.loads(expected_urls)),
        meta,
        accepted_at,
        done_at,
        stored_at,
        generation,
        () if files == "[]" else tuple(json.loads(files)),
        error,
    )


def _look(path: Path) -> JournalSummary:
    try:
        if not path.exists():
            raise _unwritable(path, "there is no such file")
        with _claimed(path), _checked(path) as connection:
            book = _Book(connection)
            states = (State.SUBMITTING, State.UNKNOWN)
            unknown = book.entries(states, -1, 1000, unseen=False)
            return JournalSummary(
                book.counts(),
                tuple(str(entry.track_id) for entry in unknown),
                book.oldest(),
            )
    except (sqlite3.Error, OSError) as error:
        raise _foreign(error, path) from error
