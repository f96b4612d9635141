"""
What a run would do, from its journal; nothing is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from .protocol import Identity, Request, item_changed
from .sqlite_file import (
    check_access,
    check_none_left,
    open_to_read,
    place_of,
)
from .sqlite_tables import Tables
from .states import Entry, Start, State, after, first_step, on_start


@attrs.define
class Foresight:
    """
    What a run would find in its journal.

    What changes: how many items that ask for the same were asked about.
    """

    _tables: Tables
    #: Whose jobs are gone with their simulator.
    _another: bool
    _equals: Counter[str] = attrs.field(factory=Counter, init=False)

    @property
    def id(self) -> str:
        """
        The journal's.
        """
        return self._tables.id

    def find(self, item: Request) -> Entry | None:
        """
        An item as a run would find it; None where it would be new.

        Raises:
            JournalError: It is another one than that of its key.
        """
        entry = self._tables.known(item, self._equals[item.identity])
        if item.key is None:
            self._equals[item.identity] += 1
        if entry is None:
            return None
        if item.key is not None and entry.identity != item.identity:
            raise item_changed(item.key)
        return self._begun(entry)

    def paid(self) -> Iterator[Entry]:
        """
        What would be fetched or saved, whether it is in the input or not.
        """
        for entry in self._tables.in_states({State.ACCEPTED, State.DONE}):
            begun = self._begun(entry)
            if begun.state is not State.PLANNED:
                yield begun

    def _begun(self, entry: Entry) -> Entry:
        step = first_step(entry, another_simulator=self._another)
        return entry if step is None else after(entry, step)


@contextmanager
def foresight(
    path: Path, identity: Identity, *, new_key: bool = False
) -> Iterator[Foresight]:
    """
    Look into the journal at *path* as a run of *identity* would.

    Raises:
        JournalError: A run would be refused.
    """
    check_access(place_of(path))
    with open_to_read(path) as connection:
        tables = Tables(connection, path)
        yield Foresight(tables, tables.check(identity, new_key=new_key))


def check_new(path: Path) -> None:
    """
    See that a journal could be made at *path*.

    Raises:
        JournalError: A run would be refused.
    """
    place = place_of(path)
    check_access(place)
    check_none_left(place)


def start_of(
    entry: Entry | None, *, resubmit_unknown: bool, resubmit_failed: bool
) -> Start:
    """
    What a batch that saves would do with an item.
    """
    if entry is None:
        return Start.SUBMIT
    return on_start(
        entry,
        output=True,
        resubmit_unknown=resubmit_unknown,
        resubmit_failed=resubmit_failed,
    )
