"""
Where the simulator listens, and how it hangs up: with nothing left open.

* A server of asyncio's that closes forgets whom it has just let in: the
  collector finds the connection, and warns.
  https://github.com/python/cpython/issues/109564, read 2026-11-27.
* A connection whose last bytes nobody reads is never closed.
"""

from __future__ import annotations

import asyncio
import contextlib

from collections.abc import Callable
from typing import cast

import attrs

from aiohttp import web


@attrs.define(eq=False)
class Listener:
    """
    An app that is served on the running loop.
    """

    origin: str
    _runner: web.AppRunner
    _server: asyncio.Server

    @classmethod
    async def start(
        cls, app: web.Application, port: int, host: str
    ) -> Listener:
        """
        Listen; port 0 takes one that is free.

        Raises:
            OSError: The port is taken.
        """
        # Handlers end with their connections: silence costs nothing.
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=0.05,
        )
        await runner.setup()
        protocols = cast("Callable[[], asyncio.Protocol]", runner.server)
        try:
            server = await asyncio.get_running_loop().create_server(
                protocols, host, port, backlog=1024
            )
        except BaseException:
            await runner.cleanup()
            raise
        taken = server.sockets[0].getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        return cls(f"http://{shown}:{taken}", runner, server)

    async def stop(self) -> None:
        """
        Hang up.
        """
        loop = asyncio.get_running_loop()
        for sock in self._server.sockets:
            # Loops that accept by other means hand on at once.
            with contextlib.suppress(NotImplementedError):
                loop.remove_reader(sock)
        # Who was accepted gets a transport, and then a protocol.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._server.close()
        web_server = self._runner.server
        served = () if web_server is None else web_server.connections
        # aiohttp lets go of them as it closes them.
        transports = [each.transport for each in served]
        await self._runner.cleanup()
        for transport in transports:
            if transport is not None:
                transport.abort()
