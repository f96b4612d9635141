"""
Names as addresses, looked up in threads of our own.
"""

from __future__ import annotations

import socket

from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

from .runtime import Runtime


class Resolver(AbstractResolver):
    """
    The system's resolver, in an executor of our own.

    The loop's default one may be full of callers who wait for us.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        """
        The addresses of *host*.

        Raises:
            OSError: It has none, or is no name.
        """
        found = await self._runtime.in_thread(
            partial(_addresses, host, port, family)
        )
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, address in found
        ]

    async def close(self) -> None:
        """
        Nothing is held.
        """


def _addresses(
    host: str, port: int, family: socket.AddressFamily
) -> list[tuple[int, str]]:
    try:
        infos = socket.getaddrinfo(
            host,
            port,
            type=socket.SOCK_STREAM,
            family=family,
            flags=socket.AI_ADDRCONFIG,
        )
    except UnicodeError:
        # A label that is too long, or empty.
        raise OSError(None, f"no name of a host: {host[:80]!r}") from None
    found = []
    for kind, _, _, _, address in infos:
        numeric = str(address[0])
        if kind == socket.AF_INET6 and len(address) > 3 and address[3]:
            # Link-local: of use on its own interface only.
            numeric = f"{numeric.partition('%')[0]}%{address[3]}"
        found.append((int(kind), numeric))
    if not found:
        raise OSError(None, f"no address of {host[:80]!r}")
    return found
