"""
The SQL of a journal's items in PostgreSQL; batches and runs are in `postgres`.

Each call is a part of a transaction of the caller's.
"""

from __future__ import annotations

import hashlib
import json

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from psycopg import AsyncConnection, AsyncCursor

from ..errors import JournalError
from ..journal import Entry, Request, State
from ..journal.columns import COLUMNS, FIELDS, Columns


_SELECT = f"SELECT {COLUMNS} FROM modelslab_item"  # noqa: S608 - our names


_SELECT_KNOWN = f"""
SELECT {COLUMNS}, lookup, ordinal, run, equals, owner
FROM modelslab_item
JOIN unnest(%s::bytea[], %s::bigint[]) AS wanted (lookup, ordinal)
USING (lookup, ordinal)
WHERE batch = %s
ORDER BY "index"
FOR UPDATE OF modelslab_item
"""  # noqa: S608 - our own names


_TYPES = {
    "index": "bigint",
    "state": "smallint",
    "attempt": "integer",
    "accepted_at": "double precision",
    "done_at": "double precision",
    "stored_at": "double precision",
    "asked_at": "double precision",
    "unknown_at": "double precision",
}


_INSERT = f"""
INSERT INTO modelslab_item
    ({COLUMNS}, batch, lookup, ordinal, run, equals, owner)
SELECT {", ".join(f'new."{name}"' for name in FIELDS)},
    %s, lookup, ordinal, %s, equals, %s
FROM unnest(
    {", ".join(f"%s::{_TYPES.get(name, 'text')}[]" for name in FIELDS)},
    %s::bytea[], %s::bigint[], %s::bigint[]
) AS new ({COLUMNS}, lookup, ordinal, equals)
"""  # noqa: S608 - our own names


#: Whether nobody who lives has it. While the server was down, nobody could
#: say that he lives.
_FREE = """
NOT EXISTS (
    SELECT FROM modelslab_run AS other
    WHERE other.id = owner AND other.id <> %s
        AND greatest(other.seen_at, pg_postmaster_start_time())
            > now() - other.lease * interval '1 s'
)
"""


@attrs.frozen
class BatchRow:
    """
    A batch as its row has it.

    Attributes:
        uid: The `Journal.id` of its journal.

        fingerprint: Of the account's key.

        simulator: Which embedded simulator it ran against last.
    """

    id: int
    uid: str
    salt: bytes
    origin: str | None
    fingerprint: str | None
    simulator: str | None


#: By what an item is found: see `lookup_of`, and how many like it come before.
Place: TypeAlias = tuple[bytes, int]


@attrs.frozen
class Known:
    """
    An item as its row has it.

    Attributes:
        run: In which run it was last in the input.

        equals: Of ordinal 0, how many like it that run has had so far.

        owner: Which run may change it.
    """

    entry: Entry
    lookup: bytes
    ordinal: int
    run: int
    equals: int
    owner: int | None

    @property
    def place(self) -> Place:
        return self.lookup, self.ordinal


@attrs.frozen
class Held:
    """
    An item, and who may change it.

    Attributes:
        moves: How many steps it has taken.

        free: Whether no other run that lives has it.
    """

    entry: Entry
    moves: int
    owner: int | None
    free: bool


def lookup_of(item: Request) -> bytes:
    """
    By what an item is found again.
    """
    name = f"identity {item.identity}" if item.key is None else item.key
    # An identity is no key.
    person = b"identity" if item.key is None else b"key"
    return hashlib.blake2b(
        name.encode("utf-8", "surrogatepass"), digest_size=16, person=person
    ).digest()


@attrs.frozen
class ItemTables:
    """
    What a run reads and writes of its batch.
    """

    connection: AsyncConnection[Any]
    batch: int
    run: int

    async def known(self, places: Collection[Place]) -> dict[Place, Known]:
        """
        Those of the items at these places, by lookup and ordinal, that are
        there; nobody else changes them until the transaction ends.
        """
        if not places:
            return {}
        cursor = await self.connection.execute(
            _SELECT_KNOWN,
            (
                [lookup for lookup, _ in places],
                [ordinal for _, ordinal in places],
                self.batch,
            ),
        )
        found = {}
        async for row in cursor:
            known = Known(_ROWS.entry_of(row), bytes(row[-5]), *row[-4:])
            found[known.place] = known
        return found

    async def count_plan(self) -> int | None:
        """
        Note that a piece of the input was planned, and that this run lives;
        give the number of pieces, None where the run was forgotten.
        """
        cursor = await self.connection.execute(
            "UPDATE modelslab_run SET plans = plans + 1, seen_at = now() "
            "WHERE id = %s RETURNING plans",
            (self.run,),
        )
        return await _only(cursor)  # type: ignore[no-any-return]  # bigint

    async def allot(self, items: int) -> int:
        """
        Take so many indexes; give the first. Nobody else adds items until the
        transaction ends.
        """
        cursor = await self.connection.execute(
            "UPDATE modelslab_batch SET items = items + %s WHERE id = %s "
            "RETURNING items",
            (items, self.batch),
        )
        return int(await _only(cursor)) - items

    async def add(self, items: Sequence[Known]) -> None:
        """
        Add items that are not there.
        """
        if not items:
            return
        rows = [_ROWS.row_of(item.entry) for item in items]
        await self.connection.execute(
            _INSERT,
            (
                self.batch,
                self.run,
                items[0].owner,
                *([row[n] for row in rows] for n in range(len(FIELDS))),
                [item.lookup for item in items],
                [item.ordinal for item in items],
                [item.equals for item in items],
            ),
        )

    async def see(self, items: Sequence[Known]) -> None:
        """
        Note that these items are in this run's input, and whose they are.
        """
        if not items:
            return
        await self.connection.execute(
            """
            UPDATE modelslab_item AS item
            SET run = %s, equals = seen.equals, owner = seen.owner
            FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])
                AS seen ("index", equals, owner)
            WHERE item.batch = %s AND item."index" = seen."index"
            """,
            (
                self.run,
                [item.entry.index for item in items],
                [item.equals for item in items],
                [item.owner for item in items],
                self.batch,
            ),
        )

    async def write(self, before: Entry, after: Entry) -> None:
        """
        Write down what changed of an item.
        """
        changed = _ROWS.changes(before, after)
        sets = "".join(f', "{name}" = %s' for name in changed)
        await self.connection.execute(
            f"UPDATE modelslab_item SET moves = moves + 1{sets} "  # noqa: S608
            'WHERE batch = %s AND "index" = %s',
            (
                *changed.values(),
                self.batch,
                before.index,
            ),
        )

    async def own(self, index: int) -> tuple[Entry, int]:
        """
        An item of this run's, or nobody's, and how many steps it has taken.

        Raises:
            IndexError: There is none.

            JournalError: It is another run's now.
        """
        held = await self.look(index)
        if not held.free:
            raise JournalError(
                "locked",
                f"item {index} was given to another worker, as this one was "
                "taken for dead; nothing was written",
            )
        if held.owner != self.run:
            await self.give(index)
        return held.entry, held.moves

    async def look(self, index: int) -> Held:
        """
        An item and who has it; nobody else changes it until the transaction
        ends.

        Raises:
            IndexError: There is none.
        """
        cursor = await self.connection.execute(
            f"SELECT {COLUMNS}, moves, owner, {_FREE} "  # noqa: S608
            'FROM modelslab_item WHERE batch = %s AND "index" = %s '
            "FOR UPDATE",
            (self.run, self.batch, index),
        )
        row = await cursor.fetchone()
        if row is None:
            raise IndexError(f"there is no item {index}")
        return Held(_ROWS.entry_of(row), *row[-3:])

    async def get(self, index: int) -> Entry:
        """
        One item.

        Raises:
            IndexError: There is none.
        """
        found = await self.select(
            'WHERE batch = %s AND "index" = %s', self.batch, index
        )
        if not found:
            raise IndexError(f"there is no item {index}")
        return found[0]

    async def free(
        self, states: Iterable[State], *, everybodys: bool = False
    ) -> list[Entry]:
        """
        Items in these states that nobody has; nobody else changes them until
        the transaction ends.

        Args:
            states: Which.

            everybodys: Also those that somebody has.
        """
        return await self.select(
            f"""
            WHERE batch = %s AND state = ANY(%s) AND (%s OR {_FREE})
            ORDER BY "index" FOR UPDATE
            """,
            self.batch,
            [int(state) for state in states],
            everybodys,
            self.run,
        )

    async def page(
        self, states: Iterable[State], after: int, limit: int
    ) -> list[Entry]:
        """
        A page of the items in these states, in order of their index.
        """
        return await self.select(
            'WHERE batch = %s AND state = ANY(%s) AND "index" > %s '
            'ORDER BY "index" LIMIT %s',
            self.batch,
            [int(state) for state in states],
            after,
            limit,
        )

    async def take_left(
        self, states: Iterable[State], after: int, limit: int
    ) -> list[Entry]:
        """
        The same of those that have left the input and that nobody has; they
        are this run's from now on.
        """
        found = await self.select(
            f"""
            WHERE batch = %s AND state = ANY(%s) AND "index" > %s
                AND run <> %s AND {_FREE}
            ORDER BY "index" LIMIT %s FOR UPDATE SKIP LOCKED
            """,
            self.batch,
            [int(state) for state in states],
            after,
            self.run,
            self.run,
            limit,
        )
        await self.give(*(entry.index for entry in found))
        return found

    async def with_owners(
        self, indexes: Sequence[int]
    ) -> list[tuple[Entry, int | None]]:
        """
        Items and whose they are.
        """
        cursor = await self.connection.execute(
            f"SELECT {COLUMNS}, owner FROM modelslab_item "  # noqa: S608
            'WHERE batch = %s AND "index" = ANY(%s)',
            (self.batch, list(indexes)),
        )
        return [(_ROWS.entry_of(row), row[-1]) async for row in cursor]

    async def give(self, *indexes: int) -> None:
        """
        Make items this run's.
        """
        if indexes:
            await self.connection.execute(
                "UPDATE modelslab_item SET owner = %s "
                'WHERE batch = %s AND "index" = ANY(%s)',
                (self.run, self.batch, list(indexes)),
            )

    async def find(
        self, job_id: str | None, track_id: str | None, bell: str | None
    ) -> list[Entry]:
        """
        Items that have not ended and have this job, this name or this bell.
        """
        return await self.select(
            "WHERE batch = %s AND state = ANY(%s) AND (job_id = %s "
            'OR track_id = %s OR bell = %s) ORDER BY "index"',
            self.batch,
            _UNENDED,
            *map(_ROWS.column_of, (job_id, track_id, bell)),
        )

    async def counts(self) -> Mapping[State, int]:
        """
        How many items are in each state.
        """
        cursor = await self.connection.execute(
            "SELECT state, count(*) FROM modelslab_item WHERE batch = %s "
            "GROUP BY state",
            (self.batch,),
        )
        found = {State(state): count async for state, count in cursor}
        return {state: found.get(state, 0) for state in State}

    async def oldest(self) -> float | None:
        """
        When the oldest accepted or done item was accepted.
        """
        cursor = await self.connection.execute(
            "SELECT min(accepted_at) FROM modelslab_item "
            "WHERE batch = %s AND state = ANY(%s)",
            (self.batch, [int(State.ACCEPTED), int(State.DONE)]),
        )
        found = await _only(cursor)
        return None if found is None else float(found)

    async def select(self, where: str, *values: object) -> list[Entry]:
        """
        The entries of some rows.
        """
        cursor = await self.connection.execute(f"{_SELECT} {where}", values)
        return [_ROWS.entry_of(row) async for row in cursor]


_UNENDED = [
    int(state) for state in (State.SUBMITTING, State.ACCEPTED, State.UNKNOWN)
]


async def _only(cursor: AsyncCursor[Any]) -> Any:
    row = await cursor.fetchone()
    return None if row is None else row[0]


# Entries as rows.

#: Text that PostgreSQL cannot say is JSON behind this.
_JSON = "\x01"


def _storable(text: str) -> str:
    if "\x00" in text or text.startswith(_JSON):
        return _JSON + json.dumps(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        return _JSON + json.dumps(text)
    return text


def _readable(text: str | None) -> str | None:
    if text is None or not text.startswith(_JSON):
        return text
    plain: str = json.loads(text[1:])
    return plain


_ROWS = Columns(_storable, _readable, "mend its row, or choose another batch")
