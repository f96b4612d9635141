"""
What a run would do, from its journal; nothing is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from .protocol import Request, item_changed
from .sqlite_file import open_to_read
from .sqlite_tables import Tables
from .states import Start, on_start


def foresee(
    path: Path,
    items: Iterable[Request],
    *,
    resubmit_unknown: bool = False,
    resubmit_failed: bool = False,
) -> Iterator[Start]:
    """
    What would be done with each of *items* by a batch that saves.

    Raises:
        JournalError: There is none, or it cannot be read; or an item is
            another one than that of its key.
    """
    equals: Counter[str] = Counter()
    with open_to_read(path) as connection:
        tables = Tables(connection, path)
        for item in items:
            entry = tables.known(item, equals[item.identity])
            if item.key is None:
                equals[item.identity] += 1
            if entry is None:
                yield Start.SUBMIT
                continue
            if item.key is not None and entry.identity != item.identity:
                raise item_changed(item.key)
            yield on_start(
                entry,
                output=True,
                resubmit_unknown=resubmit_unknown,
                resubmit_failed=resubmit_failed,
            )
