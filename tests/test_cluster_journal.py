"""
The journal in PostgreSQL: the laws of all journals, and what comes with many
machines.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from journals import (
    US,
    JournalLaws,
    Storage,
)

from modelslab_async.cluster import PostgresJournal
from modelslab_async.journal import Journal


pytest_plugins = ["postgres"]


@attrs.define
class _InPostgres(Storage):
    dsn: str
    journal: PostgresJournal | None = None

    async def reopen(self) -> Journal:
        await self.close()
        self.journal = PostgresJournal(self.dsn, batch="cats", patience=5.0)
        return self.journal

    async def close(self) -> None:
        if self.journal is not None:
            await self.journal.aclose()


@pytest.mark.asyncio
class TestPostgresJournal(JournalLaws):
    @pytest.fixture(autouse=True)
    def _database(self, database: str) -> None:
        self.dsn = database

    def storage_in(self, folder: Path) -> Storage:
        return _InPostgres(self.dsn)
