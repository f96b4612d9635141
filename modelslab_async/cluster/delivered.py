"""
Journals in PostgreSQL of those who are handed their items by an engine.
"""

from __future__ import annotations

import asyncio

from collections.abc import Collection, Mapping, Sequence

import attrs

from ..errors import JournalError
from ..journal import Entry, Request, State, error_json
from .postgres import PostgresJournal
from .tables import ItemTables


#: How much more time passes between counts than they take.
_SELDOM = 50


class SharedJournal(PostgresJournal):
    """
    A journal whose items an engine hands out: what has left the input is the
    engine's affair.
    """

    async def entries(
        self,
        states: Collection[State],
        *,
        after: int = -1,
        limit: int = 500,
        unseen: bool = False,
    ) -> Sequence[Entry]:
        """
        What was not handed out is the engine's affair.
        """
        if unseen:
            return []
        return await super().entries(states, after=after, limit=limit)


class DeliveredJournal(SharedJournal):
    """
    The journal of a worker: an engine hands out its items, by their indexes
    for keys, and may do so again.
    """

    def __init__(self, dsn: str, *, batch: str, lease: float) -> None:
        super().__init__(dsn, batch=batch, lease=lease)
        self._counted: tuple[float, Mapping[State, int]] = (0.0, {})

    async def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
        """
        Those items, which were claimed before.
        """
        indexes = [int(item.key or -1) for item in items]

        async def read(tables: ItemTables) -> dict[int, Entry]:
            return {
                entry.index: entry if owner == tables.run else _lost(entry)
                for entry, owner in await tables.with_owners(indexes)
            }

        found = await self.with_tables(read)
        return [found[index] for index in indexes]

    async def counts(self) -> Mapping[State, int]:
        """
        As they were not long ago: to count a million items takes time.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        until, counts = self._counted
        if began >= until:
            counts = await super().counts()
            now = clock()
            self._counted = now + _SELDOM * (now - began), counts
        return counts


def _lost(entry: Entry) -> Entry:
    """
    An item that another worker has, for the batch to leave alone.
    """
    error = JournalError("locked", f"item {entry.index} is another worker's")
    return attrs.evolve(
        entry, state=State.FAILED, error_json=error_json(error)
    )
