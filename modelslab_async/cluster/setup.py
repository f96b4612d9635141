"""
A database made ready for a cluster: our tables, and the engine's.
"""

from __future__ import annotations

import psycopg

from psycopg import AsyncConnection

from .engine import Engine
from .schema import MIGRATION_LOCK, migrate_by, unusable


async def migrate(dsn: str) -> int:
    """
    Make the tables of journals, or bring them to this version's, and make the
    engine's, where there are none. May be called at any time.

    Returns:
        The version of our tables that was there before, 0 where none was.

    Raises:
        JournalError: `newer`, or `unwritable`: the database cannot be used.
    """
    try:
        async with (
            await AsyncConnection.connect(dsn) as connection,
            connection.transaction(),
        ):
            await connection.execute(
                "SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,)
            )
            before = await migrate_by(connection)
            await Engine.at(dsn).migrate(connection)
            return before
    except psycopg.Error as error:
        raise unusable(error) from error
