"""
Journals in PostgreSQL of those who are handed their items by an engine.
"""

from __future__ import annotations

import asyncio

from collections.abc import Collection, Mapping, Sequence

from ..journal import Entry, Request, State
from .postgres import PostgresJournal


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

    def __init__(self, dsn: str, *, batch: str) -> None:
        super().__init__(dsn, batch=batch)
        self._counted: tuple[float, Mapping[State, int]] = (0.0, {})

    async def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
        indexes = [int(item.key or -1) for item in items]
        taken = {entry.index: entry for entry in await self.take(indexes)}
        return [taken[index] for index in indexes]

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
