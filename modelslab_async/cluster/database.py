"""
A connection to PostgreSQL that is made anew when it breaks.
"""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..errors import ConfigurationError
from .schema import check_schema, unusable


T = TypeVar("T")


#: A cut connection is noticed in seconds, not in the hours that TCP takes.
_LINE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


#: Seconds between tries to reach the database, at first and at most.
_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Database:
    """
    One connection, which is made anew when it breaks.

    What changes: the connection.
    """

    def __init__(self, dsn: str, patience: float) -> None:
        try:
            given = conninfo_to_dict(dsn)
        except psycopg.ProgrammingError:
            # Its words have the DSN in them, and that may have a password.
            reason = "the DSN of the journal's database cannot be read"
            raise ConfigurationError(reason) from None
        self._dsn = make_conninfo(dsn, **{**_LINE, **given})
        self._patience = patience
        self._connection: AsyncConnection[Any] | None = None
        self._lock = asyncio.Lock()

    async def transact(
        self, work: Callable[[AsyncConnection[Any]], Awaitable[T]]
    ) -> T:
        """
        Do *work* in a transaction, again where the connection breaks.

        Raises:
            JournalError: `unwritable`: the database cannot be used.
        """
        clock = asyncio.get_running_loop().time
        give_up = clock() + self._patience
        pause = _PAUSE
        while True:
            try:
                return await self._try(work)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if clock() + pause >= give_up:
                    raise unusable(error) from error
            except psycopg.Error as error:
                raise unusable(error) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def once(
        self, work: Callable[[AsyncConnection[Any]], Awaitable[T]]
    ) -> T:
        """
        Do *work* in a transaction, if it can be done now.

        Raises:
            JournalError: `unwritable`: the database cannot be used.
        """
        try:
            return await self._try(work)
        except psycopg.Error as error:
            raise unusable(error) from error

    async def _try(
        self, work: Callable[[AsyncConnection[Any]], Awaitable[T]]
    ) -> T:
        async with self._lock:
            connection = await self._open()
            try:
                async with connection.transaction():
                    return await work(connection)
            except psycopg.Error:
                if connection.closed or connection.broken:
                    self._connection = None
                    await connection.close()
                raise

    async def _open(self) -> AsyncConnection[Any]:
        if self._connection is None:
            connection = await AsyncConnection.connect(
                self._dsn,
                autocommit=True,
                # Poolers that share connections don't share these.
                prepare_threshold=None,
            )
            try:
                await check_schema(connection)
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
        return self._connection

    async def aclose(self) -> None:
        async with self._lock:
            if self._connection is not None:
                await self._connection.close()
                self._connection = None
