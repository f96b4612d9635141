"""
From an input to the workers: items are written down, and deferred with them.
"""

from __future__ import annotations

import contextlib
import itertools

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from typing import Any

import attrs

from psycopg import AsyncConnection

from .._client import ModelsLab
from .._protocol.rows import written
from ..journal import (
    Entry,
    Planned,
    Request,
    Start,
    State,
    on_start,
)
from ..specs import Spec
from .delivered import SharedJournal
from .engine import Engine, lock_of
from .setup import migrate
from .tables import ItemTables


#: Items that share a transaction.
_PIECE = 1000


#: What is not at its end; `failed` and `unknown` are, until the user or the
#: table of states says otherwise.
_OPEN = (State.PLANNED, State.SUBMITTING, State.ACCEPTED, State.DONE)


@attrs.frozen
class PlanSummary:
    """
    What came of planning an input.

    Attributes:
        items: How many there are in the input.

        added: How many of them are new.

        deferred: How many were given to the workers.
    """

    items: int
    added: int
    deferred: int


@attrs.define
class Planner:
    """
    Plans an input for workers on any number of machines.

    What changes: the counts.
    """

    journal: SharedJournal
    engine: Engine
    resubmit_unknown: bool = False
    resubmit_failed: bool = False
    _items: int = attrs.field(default=0, init=False)
    _added: int = attrs.field(default=0, init=False)
    _deferred: int = attrs.field(default=0, init=False)

    async def plan(
        self,
        lab: ModelsLab,
        rows: AsyncIterable[tuple[Spec, str | None]],
        *,
        new_key: bool = False,
    ) -> PlanSummary:
        """
        Write down what is new, and have delivered what is not at its end.

        Args:
            lab: Whose batch it is.

            rows: Each request, and the user's own key for it.

            new_key: The user's word that the key is another one of the same
                account.

        Raises:
            JournalError: The batch is another's, or the input does not fit.
        """
        # A batch of nothing says whose it is, and that it may go on.
        await lab.batch((), journal=self.journal, new_key=new_key)
        fresh = not any((await self.journal.counts()).values())
        piece: list[Request] = []
        async for spec, key in rows:
            piece.append(Request(*written(spec), key))
            if len(piece) == _PIECE:
                await self._write(piece)
                piece = []
        await self._write(piece)
        if not fresh:
            self._deferred += await self.journal.with_tables(self._defer_open)
        return PlanSummary(self._items, self._added, self._deferred)

    async def _write(self, piece: Sequence[Request]) -> None:
        if not piece:
            return
        added: list[int] = []

        async def defer(
            connection: AsyncConnection[Any], fresh: Sequence[Entry]
        ) -> None:
            added[:] = [entry.index for entry in fresh]
            await self.engine.defer(connection, self.journal.name, added)

        entries = await self.journal.enlist(piece, defer)
        self._items += len(piece)
        self._added += len(added)
        self._deferred += len(added)
        for entry in entries:
            start = on_start(
                entry,
                output=True,
                resubmit_unknown=self.resubmit_unknown,
                resubmit_failed=self.resubmit_failed,
            )
            if start is Start.PLAN:
                await self.journal.move(entry.index, Planned())

    async def _defer_open(self, tables: ItemTables) -> int:
        """
        Defer what is not at its end and nobody is going to deliver.
        """
        cursor = await tables.connection.execute(
            """
            SELECT "index" FROM modelslab_item
            WHERE batch = %s AND state = ANY(%s) AND NOT EXISTS (
                SELECT FROM procrastinate_jobs
                WHERE lock = %s || "index" AND status IN ('todo', 'doing')
            )
            ORDER BY "index"
            """,
            (
                tables.batch,
                [int(state) for state in _OPEN],
                lock_of(self.journal.name, ""),
            ),
        )
        indexes = [index async for (index,) in cursor]
        for first in range(0, len(indexes), _PIECE):
            await self.engine.defer(
                tables.connection,
                self.journal.name,
                indexes[first : first + _PIECE],
            )
        return len(indexes)


async def plan(
    lab: ModelsLab,
    specs: Iterable[Spec] | AsyncIterable[Spec],
    *,
    dsn: str,
    batch: str,
    items: Iterable[str | None] | None = None,
    resubmit_unknown: bool = False,
    resubmit_failed: bool = False,
    new_key: bool = False,
) -> PlanSummary:
    """
    Plan an input for workers on any number of machines.

    Planned again, it adds what is new; what is not at its end is delivered
    again, if nobody has it.

    Args:
        lab: A client of the account that asks.

        specs: What is asked for; read once, and never held.

        dsn: The database of the cluster.

        batch: The name of the batch.

        items: A key of one's own for each spec, or None.

        resubmit_unknown: Ask again for what may have been paid for.

        resubmit_failed: Ask again for whatever failed.

        new_key: The client's key is another one of the same account.

    Raises:
        JournalError: The database cannot be used, the batch is another's, or
            the input does not fit.
    """
    await migrate(dsn)
    keys = itertools.repeat(None) if items is None else iter(items)

    async def rows() -> AsyncGenerator[tuple[Spec, str | None], None]:
        if isinstance(specs, AsyncIterable):
            async for spec in specs:
                yield spec, next(keys)
        else:
            for spec in specs:
                yield spec, next(keys)

    async with SharedJournal(dsn, batch=batch) as journal:
        planner = Planner(
            journal, Engine.at(dsn), resubmit_unknown, resubmit_failed
        )
        async with contextlib.aclosing(rows()) as source:
            return await planner.plan(lab, source, new_key=new_key)
