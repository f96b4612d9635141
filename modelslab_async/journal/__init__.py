"""
A batch's memory, and the door for journals of one's own.

`SqliteJournal` is what a batch keeps by itself. Another one is a class with
the methods of `Journal`: where it keeps its entries is its own affair, what
they become is not. It asks `first_step` and `after` for each change, and
`check_identity` whether a batch is its own; it may keep receipts, generations
and errors as the text that `receipt_json`, `generation_json` and `error_json`
make of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..results import Receipt
from .codec import (
    error_json,
    error_of,
    generation_json,
    generation_of,
    receipt_json,
    receipt_of,
)
from .protocol import (
    SIMULATOR,
    Identity,
    Journal,
    Request,
    check_identity,
    fingerprint,
    folder_of_another,
    item_changed,
    item_repeated,
)
from .states import (
    MOVES,
    Accepted,
    Discarded,
    Done,
    Entry,
    Failed,
    IllegalMove,
    Move,
    Planned,
    Start,
    State,
    Step,
    Stored,
    Submitting,
    Unknown,
    after,
    first_step,
    may,
    on_start,
)


if TYPE_CHECKING:
    from .sqlite import JournalSummary, SqliteJournal


__all__ = [
    "MOVES",
    "SIMULATOR",
    "Accepted",
    "Discarded",
    "Done",
    "Entry",
    "Failed",
    "Identity",
    "IllegalMove",
    "Journal",
    "JournalSummary",
    "Move",
    "Planned",
    "Receipt",
    "Request",
    "SqliteJournal",
    "Start",
    "State",
    "Step",
    "Stored",
    "Submitting",
    "Unknown",
    "after",
    "check_identity",
    "error_json",
    "error_of",
    "fingerprint",
    "first_step",
    "folder_of_another",
    "generation_json",
    "generation_of",
    "item_changed",
    "item_repeated",
    "may",
    "on_start",
    "receipt_json",
    "receipt_of",
]


def __getattr__(name: str) -> object:
    """
    SQLite is imported when it is first named: not every batch has a file.
    """
    if name in {"JournalSummary", "SqliteJournal"}:
        from . import sqlite

        return getattr(sqlite, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
