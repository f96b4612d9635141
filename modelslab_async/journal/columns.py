"""
An entry as a row of a table.

SQLite and PostgreSQL keep the same columns, in the order of an entry's facts;
they differ in how they take a text that is no plain one.
"""

from __future__ import annotations

import json

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from ..errors import JournalError
from ..results import Receipt
from .codec import receipt_json, receipt_of
from .states import Entry, State


FIELDS = tuple(field.name for field in attrs.fields(Entry))


#: All of them, as SQL has them.
COLUMNS = ", ".join(f'"{name}"' for name in FIELDS)


#: Where half a character may be, or a zero.
_TEXTS = ("spec", "key", "track_id", "job_id")


@attrs.frozen
class Columns:
    """
    How a database has entries.

    Attributes:
        write: Gives a text as the database takes it.

        read: Gives the text that *write* was given.

        remedy: What to do where a row cannot be read.
    """

    write: Callable[[str], object]
    read: Callable[[Any], object]
    remedy: str

    def row_of(self, entry: Entry) -> list[object]:
        """
        All of an entry, in the order of `FIELDS`.
        """
        return [self.column_of(getattr(entry, name)) for name in FIELDS]

    def changes(self, before: Entry, then: Entry) -> Mapping[str, object]:
        """
        The columns in which *then* differs, and what they are now.
        """
        return {
            name: self.column_of(value)
            for name in FIELDS
            if getattr(before, name) != (value := getattr(then, name))
        }

    def column_of(self, value: object) -> object:
        """
        One fact of an entry.
        """
        match value:
            case State():
                return int(value)
            case str():
                return self.write(value)
            case tuple():
                return json.dumps(value)
            case Receipt():
                return receipt_json(value)
        return value

    def entry_of(self, row: Sequence[Any]) -> Entry:
        """
        The entry of a row that begins with `FIELDS`.

        Raises:
            JournalError: `corrupt`.
        """
        found = dict(zip(FIELDS, row, strict=False))
        try:
            for name in _TEXTS:
                found[name] = self.read(found[name])
            found["state"] = State(found["state"])
            if found["receipt"] is not None:
                found["receipt"] = receipt_of(found["receipt"])
            files = found["files"]
            found["files"] = () if files == "[]" else tuple(json.loads(files))
            return Entry(**found)
        except (ValueError, TypeError, LookupError) as error:
            raise JournalError(
                "corrupt",
                f"item {row[0]} of the journal cannot be read ({error}); "
                f"{self.remedy}",
            ) from error
