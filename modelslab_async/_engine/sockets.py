"""
The sockets of a pool, to find those that are open when it is closed.

A connection that is just being made belongs to nobody yet: where its maker is
cancelled, or finds its session closed, TLS waits for a goodbye, or the
transport is forgotten.
"""

from __future__ import annotations

import asyncio
import weakref

from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RDWR, socket

import aiohttp
import attrs


#: So many turns of the loop take the longest to hear of their end, and more.
_TURNS = 10


def plain_socket(info: aiohttp.AddrInfoType) -> socket:
    """
    A socket for any address.
    """
    family, kind, proto, *_ = info
    return socket(family, kind, proto)


@attrs.define(eq=False)
class Sockets:
    """
    What changes: which there are.
    """

    _made: weakref.WeakSet[socket] = attrs.field(factory=weakref.WeakSet)

    def noting(
        self, make: Callable[[aiohttp.AddrInfoType], socket]
    ) -> Callable[[aiohttp.AddrInfoType], socket]:
        """
        What makes sockets so that they are known here.
        """

        def made(info: aiohttp.AddrInfoType) -> socket:
            sock = make(info)
            self._made.add(sock)
            return sock

        return made

    async def hang_up(self) -> None:
        """
        Break off what is open still, and wait until its transport knows.
        """
        for sock in self._open():
            with suppress(OSError):
                sock.shutdown(SHUT_RDWR)
        for _ in range(_TURNS):
            if not self._open():
                break
            await asyncio.sleep(0)

    def _open(self) -> list[socket]:
        return [each for each in self._made if each.fileno() >= 0]
