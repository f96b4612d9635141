"""
The SQL of a journal in SQLite, each call in a transaction of the caller's.

Text is TEXT, so that people can read it; what no UTF-8 can say, as in a name
of a file, is a BLOB of it.
"""

from __future__ import annotations

import contextlib
import sqlite3

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from .columns import COLUMNS, FIELDS, Columns
from .protocol import (
    SIMULATOR,
    Identity,
    Request,
    check_identity,
    fingerprint,
    item_changed,
    item_repeated,
)
from .states import MOVES, Discarded, Entry, State, Step, after, first_step


#: "MLAB", in bytes 68 to 71 of the file.
APPLICATION_ID = 0x4D4C4142


FILE_VERSION = 3


SCHEMA = f"""
PRAGMA locking_mode = EXCLUSIVE;
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FILE_VERSION};

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- ordinal: how many items without a key that ask for the same come before it.
-- run: in which run the item was last in the input.
-- equals: of ordinal 0, how many like it that run has had so far.
CREATE TABLE item (
    "index" INTEGER PRIMARY KEY,
    spec ANY NOT NULL,
    identity TEXT NOT NULL,
    "key" ANY,
    state INTEGER NOT NULL,
    track_id ANY,
    attempt INTEGER NOT NULL,
    job_id ANY,
    receipt TEXT,
    accepted_at REAL,
    done_at REAL,
    stored_at REAL,
    generation_json TEXT,
    files TEXT NOT NULL,
    error_json TEXT,
    bell TEXT,
    mark TEXT,
    asked_at REAL,
    unknown_at REAL,
    ordinal INTEGER NOT NULL,
    run INTEGER NOT NULL,
    equals INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX item_key ON item ("key") WHERE "key" IS NOT NULL;
CREATE UNIQUE INDEX item_equal ON item (identity, ordinal)
    WHERE "key" IS NULL;
CREATE INDEX item_state ON item (state);

INSERT INTO meta VALUES
    ('id', lower(hex(randomblob(16)))),
    ('salt', hex(randomblob(16))),
    ('run', '0');
COMMIT;

PRAGMA journal_mode = WAL;
"""  # noqa: S608 - two numbers of ours


SELECT = f"SELECT {COLUMNS} FROM item"  # noqa: S608 - our own names


_SELECT_KNOWN = f"SELECT {COLUMNS}, run, equals FROM item"  # noqa: S608


_SELECT_BY_KEY = f'{_SELECT_KNOWN} WHERE "key" = ?'


_SELECT_BY_ORDINAL = (
    f'{_SELECT_KNOWN} WHERE identity = ? AND ordinal = ? AND "key" IS NULL'
)


_INSERT = (
    f"INSERT INTO item ({COLUMNS}, ordinal, run, equals) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(FIELDS))}, ?, ?, 1)"
)


@attrs.define(eq=False)
class Tables:
    """
    The calls of a `Journal`, each inside of a transaction of the caller's.

    What changes: the file, the number of the run, and the next index.
    """

    _connection: sqlite3.Connection
    path: Path
    _run: int | None = attrs.field(default=None, init=False)

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    def undo(self) -> None:
        # After some errors SQLite has rolled back already.
        with contextlib.suppress(sqlite3.Error):
            self.execute("ROLLBACK")

    @property
    def id(self) -> str:
        return self._meta()["id"]

    def begin(self, identity: Identity, new_key: bool) -> None:
        another = self.check(identity, new_key=new_key)
        meta = self._meta()
        self._note("origin", identity.origin)
        self.rotate_key(identity.key)
        if identity.run is not None:
            self._note("simulator", identity.run)
        states = MOVES[Discarded].sources if another else {State.SUBMITTING}
        for entry in self.in_states(states):
            step = first_step(entry, another_simulator=another)
            if step is not None:
                self._write(entry, after(entry, step))
        run = int(meta["run"]) + 1
        self._note("run", str(run))
        self._run = run

    def check(self, identity: Identity, *, new_key: bool) -> bool:
        """
        See that a run of *identity* may begin; whether what it finds is
        another simulator's.

        Raises:
            JournalError: `mismatch`.
        """
        meta = self._meta()
        origin = meta.get("origin")
        if origin is None:
            return False
        print_ = fingerprint(bytes.fromhex(meta["salt"]), identity.key)
        check_identity(
            Identity(origin),
            identity,
            same_key=meta.get("key") == print_,
            new_key=new_key,
        )
        return origin == SIMULATOR and meta.get("simulator") != identity.run

    def rotate_key(self, key: str | Callable[[], str]) -> None:
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
        first = self.execute(_SELECT_BY_ORDINAL, item.identity, 0).fetchone()
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
            return _ROWS.entry_of(first)
        found = self.execute(
            _SELECT_BY_ORDINAL, item.identity, ordinal
        ).fetchone()
        if found is None:
            return self._add(item, ordinal, run)
        self._see(found[0], run)
        return _ROWS.entry_of(found)

    def _plan_key(self, item: Request, key: str, run: int) -> Entry:
        found = self.execute(_SELECT_BY_KEY, _ROWS.column_of(key)).fetchone()
        if found is None:
            return self._add(item, 0, run)
        entry = _ROWS.entry_of(found)
        if entry.identity != item.identity:
            raise item_changed(key)
        if found[-2] == run:
            raise item_repeated(key)
        self._see(entry.index, run)
        return entry

    def _see(self, index: int, run: int) -> None:
        self.execute('UPDATE item SET run = ? WHERE "index" = ?', run, index)

    def _add(self, item: Request, ordinal: int, run: int) -> Entry:
        (last,) = self.execute('SELECT max("index") FROM item').fetchone()
        index = 0 if last is None else last + 1
        entry = Entry(index, item.spec, item.identity, item.key)
        self.execute(_INSERT, *_ROWS.row_of(entry), ordinal, run)
        return entry

    def move(self, index: int, step: Step) -> Entry:
        entry = self.get(index)
        then = after(entry, step)
        self._write(entry, then)
        return then

    def _write(self, entry: Entry, then: Entry) -> None:
        changed = _ROWS.changes(entry, then)
        if not changed:
            return
        sets = ", ".join(f'"{name}" = ?' for name in changed)
        self.execute(
            f'UPDATE item SET {sets} WHERE "index" = ?',  # noqa: S608
            *changed.values(),
            entry.index,
        )

    def get(self, index: int) -> Entry:
        found = self.execute(f'{SELECT} WHERE "index" = ?', index).fetchone()
        if found is None:
            raise IndexError(f"there is no item {index}")
        return _ROWS.entry_of(found)

    def entries(
        self, states: Collection[State], after: int, limit: int, unseen: bool
    ) -> Sequence[Entry]:
        # State by state, because the index has them in that order.
        only = "AND run <> ?" if unseen else "AND ? IS NOT NULL"
        rows = [
            row
            for state in states
            for row in self.execute(
                f'{SELECT} WHERE state = ? AND "index" > ? {only} '
                'ORDER BY "index" LIMIT ?',
                state,
                after,
                self._run or 0,
                limit,
            )
        ]
        rows.sort(key=lambda row: row[0])
        return [_ROWS.entry_of(row) for row in rows[:limit]]

    def in_states(self, states: Collection[State]) -> Iterator[Entry]:
        last = -1
        while page := self.entries(states, last, 500, unseen=False):
            yield from page
            last = page[-1].index

    def known(self, item: Request, ordinal: int) -> Entry | None:
        """
        What `plan` would find; *ordinal* counts those with the same identity
        and no key.
        """
        if item.key is not None:
            found = self.execute(_SELECT_BY_KEY, _ROWS.column_of(item.key))
        else:
            found = self.execute(_SELECT_BY_ORDINAL, item.identity, ordinal)
        row = found.fetchone()
        return None if row is None else _ROWS.entry_of(row)

    def find(
        self, job_id: str | None, track_id: str | None, bell: str | None
    ) -> Sequence[Entry]:
        rows = self.execute(
            f"{SELECT} WHERE state IN (?, ?, ?) "
            'AND (job_id = ? OR track_id = ? OR bell = ?) ORDER BY "index"',
            State.SUBMITTING,
            State.ACCEPTED,
            State.UNKNOWN,
            _ROWS.column_of(job_id),
            _ROWS.column_of(track_id),
            bell,
        )
        return [_ROWS.entry_of(row) for row in rows]

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


# Entries as rows.


def _as_sql(text: str) -> str | bytes:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "surrogatepass")
    return text


def _from_sql(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogatepass")
    return value


_ROWS = Columns(
    _as_sql,
    _from_sql,
    "put a good copy in its place, or choose another folder",
)
