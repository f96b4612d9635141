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

    carrier: asyncio.Transport | None = None

    async def start(self, connection: Connection) -> Response:
        # Read to its end, it knows its connection no more.
        self.carrier = connection.transport
        await super().start(connection)
        return self

    def close(self) -> None:
        super().close()
        hang_up(self)


def hang_up(response: aiohttp.ClientResponse) -> None:
    """
    Wait for no goodbye on the connection that an answer has let go of.
    """
    carrier = getattr(response, "carrier", None)
    # One that is kept for the next request is not closing.
    if carrier is not None and carrier.is_closing():
        carrier.abort()
