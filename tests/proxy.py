"""
A line to PostgreSQL that can be cut.
"""

from __future__ import annotations

import asyncio
import contextlib

from collections.abc import AsyncIterator

import attrs

from pgserver import Server
from psycopg.conninfo import conninfo_to_dict, make_conninfo


@attrs.define
class Proxy:
    """
    A line on loopback.

    What changes: whether it is cut, and who speaks.
    """

    dsn: str
    socket: str
    up: bool = True
    writers: set[asyncio.StreamWriter] = attrs.field(factory=set, init=False)
    pumps: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)

    def cut(self) -> None:
        """
        End what is spoken, and let nobody in.
        """
        self.up = False
        for writer in self.writers:
            writer.transport.abort()

    def mend(self) -> None:
        self.up = True

    async def speak(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """
        Pass on what is said on both sides.
        """
        if not self.up:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_unix_connection(
            self.socket
        )
        self.writers |= {writer, far_writer}
        await asyncio.gather(
            _pump(reader, far_writer), _pump(far_reader, writer)
        )
        self.writers -= {writer, far_writer}


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def proxied(server: Server, dsn: str) -> AsyncIterator[Proxy]:
    """
    A line to a database of the server's.
    """
    proxy = Proxy("", f"{server.folder}/.s.PGSQL.5432")
    listener = await asyncio.start_server(proxy.speak, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    name = conninfo_to_dict(dsn)["dbname"]
    proxy.dsn = make_conninfo(
        host="127.0.0.1", port=port, dbname=name, user="postgres"
    )
    try:
        yield proxy
    finally:
        proxy.cut()
        listener.close()
        await listener.wait_closed()
