"""
An answer that leaves no connection half closed.

* What aiohttp closes says goodbye first: asyncio keeps it until the rest of
  its request is read, TLS until the other end says goodbye too.  A peer that
  does neither holds it open, with the key in what is not sent.
* A loop that ends meanwhile leaves it to the collector, which warns.
"""

from __future__ import annotations

import asyncio

import aiohttp

from aiohttp.connector import Connection


class Response(aiohttp.ClientResponse):
    """
    An answer after whose `close` nobody waits for a goodbye.
    """

    def close(self) -> None:
        connection = self.connection
        carrier = None if connection is None else connection.transport
        super().close()
        hang_up(carrier)


class FileResponse(aiohttp.ClientResponse):
    """
    The same of an answer that was read to its end before, when it knows its
    connection no more.
    """

    carrier: asyncio.Transport | None = None

    async def start(self, connection: Connection) -> FileResponse:
        self.carrier = connection.transport
        await super().start(connection)
        return self

    def close(self) -> None:
        super().close()
        hang_up(self.carrier)


def hang_up(carrier: asyncio.Transport | None) -> None:
    """
    Wait for no goodbye on a connection that an answer has let go of.
    """
    # One that is kept for the next request is not closing.
    if carrier is not None and carrier.is_closing():
        carrier.abort()
