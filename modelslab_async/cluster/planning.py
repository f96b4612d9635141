"""
How a piece of an input finds its items in a journal in PostgreSQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from psycopg import AsyncConnection

from ..journal import (
    Entry,
    Request,
    after,
    first_step,
    item_changed,
    item_repeated,
)
from .tables import ItemTables, Known, Place, lookup_of


#: What else belongs to the transaction that adds items.
Also: TypeAlias = Callable[
    [AsyncConnection[Any], Sequence[Entry]], Awaitable[None]
]


@attrs.define
class Plan:
    """
    A piece of a run's input, on its way to the journal's items.

    What changes: *count*, which piece of its run it is, *places*, where its
    items are, *wanted*, what is there, and *equals*, how many of those that
    are alike there are in this run then.
    """

    items: Sequence[Request]
    run: int
    owned: bool
    also: Also | None = None
    count: int | None = attrs.field(default=None, init=False)
    places: list[Place] = attrs.field(factory=list, init=False)
    wanted: dict[Place, Request] = attrs.field(factory=dict, init=False)
    equals: Counter[bytes] = attrs.field(factory=Counter, init=False)

    async def write(self, tables: ItemTables) -> list[Entry]:
        """
        Recognise those items that are known, add those that are not.
        """
        lookups = [lookup_of(item) for item in self.items]
        firsts = await tables.known({(lookup, 0) for lookup in lookups})
        self._find_places(lookups, firsts)
        known = firsts | await tables.known(
            set(self.places).difference(firsts)
        )
        first = 0
        if fresh := self._fresh(known):
            first = await tables.allot(len(fresh))
            # Somebody may have added them meanwhile.
            known |= await tables.known(fresh)
            fresh = self._fresh(known)
        seen = [self._seen(one) for one in known.values()]
        added = self._added(fresh, first)
        await tables.add(added)
        if self.also is not None:
            await self.also(tables.connection, [one.entry for one in added])
        await tables.see(seen)
        entries = {}
        for one in (*added, *seen):
            entry = one.entry
            before = known.get(one.place)
            if before is not None and before.owner != one.owner:
                entry = await begin_with(tables, entry, another=False)
            entries[one.place] = entry
        return [entries[place] for place in self.places]

    async def again(self, tables: ItemTables) -> list[Entry]:
        """
        The same entries where they were written already.
        """
        known = await tables.known(set(self.places))
        return [known[place].entry for place in self.places]

    def _find_places(
        self, lookups: Sequence[bytes], firsts: Mapping[Place, Known]
    ) -> None:
        """
        Say of each item which of its equals it is.
        """
        self.equals.clear()
        for first in firsts.values():
            if first.run == self.run:
                self.equals[first.lookup] = first.equals
        keys: set[bytes] = set()
        self.places = []
        for lookup, item in zip(lookups, self.items, strict=True):
            if item.key is None:
                self.places.append((lookup, self.equals[lookup]))
                self.equals[lookup] += 1
                continue
            if lookup in keys:
                raise item_repeated(item.key)
            keys.add(lookup)
            self.places.append((lookup, 0))
            self.equals[lookup] = 1
        self.wanted = dict(zip(self.places, self.items, strict=True))

    def _fresh(self, known: Mapping[Place, Known]) -> dict[Place, Request]:
        return {
            place: item
            for place, item in self.wanted.items()
            if place not in known
        }

    def _seen(self, one: Known) -> Known:
        """
        A known item as this run sees it.
        """
        item = self.wanted.get(one.place)
        if item is not None and item.key is not None:
            if one.entry.identity != item.identity:
                raise item_changed(item.key)
            if one.run == self.run:
                raise item_repeated(item.key)
        taken = self.owned and item is not None
        return attrs.evolve(
            one,
            equals=self._equals(one),
            owner=self.run if taken else one.owner,
        )

    def _equals(self, one: Known) -> int:
        """
        Of the first of equal items: how many there are in this run now.
        """
        return one.equals if one.ordinal else self.equals[one.lookup]

    def _added(
        self, fresh: Mapping[Place, Request], first: int
    ) -> list[Known]:
        added = []
        for index, ((lookup, ordinal), item) in enumerate(
            fresh.items(), first
        ):
            entry = Entry(index, item.spec, item.identity, item.key)
            owner = self.run if self.owned else None
            one = Known(entry, lookup, ordinal, self.run, 1, owner)
            added.append(attrs.evolve(one, equals=self._equals(one)))
        return added


async def begin_with(
    tables: ItemTables, entry: Entry, *, another: bool
) -> Entry:
    """
    An item as a run that takes it over finds it.
    """
    step = first_step(entry, another_simulator=another)
    if step is None:
        return entry
    then = after(entry, step)
    await tables.write(entry, then)
    return then


async def claim_item(tables: ItemTables, index: int) -> Entry | None:
    """
    Make an item a run's, if no other run that lives has it.

    Raises:
        IndexError: There is none.
    """
    held = await tables.look(index)
    if not held.free:
        return None
    if held.owner == tables.run:
        return held.entry
    await tables.give(index)
    return await begin_with(tables, held.entry, another=False)
