"""
Connections whose loop, or whose process, is not ours any more.

Neither aiohttp nor asyncio has a public way for either, so this is the one
file that touches what is private to them.
"""

from __future__ import annotations

import asyncio
import os
import select
import selectors
import socket
import weakref

from contextlib import suppress

import aiohttp


def drop(connector: aiohttp.BaseConnector) -> None:
    """
    Close a connector's transports without its loop.
    """
    # Neither aiohttp nor asyncio has a public way once the loop is closed:
    # `abort` marks a transport as closing and fails to tell the loop, then
    # `_call_connection_lost` closes the socket.
    for waiting in connector._conns.values():  # noqa: SLF001
        for protocol, _ in waiting:
            transport = protocol.transport
            if transport is None:
                continue
            with suppress(RuntimeError):
                transport.abort()
            tls = getattr(transport, "_ssl_protocol", None)
            lower = transport if tls is None else tls._transport  # noqa: SLF001
            lost = getattr(lower, "_call_connection_lost", None)
            if lost is not None:
                with suppress(RuntimeError):
                    lost(None)
    forget(connector)


def forget(connector: aiohttp.BaseConnector) -> None:
    """
    Have nothing to do with a connector's transports any more.
    """
    connector._conns.clear()  # noqa: SLF001
    connector._closed = True  # noqa: SLF001


def leave_to_parent(connector: aiohttp.BaseConnector) -> set[int]:
    """
    Cut a forked child off from its parent's connections.

    Both have the same sockets.  Whatever the child did on its way out (read,
    say goodbye) it would do to the parent; now its own lead to nobody.

    Returns:
        What they are.
    """
    kept = connector._conns.values()  # noqa: SLF001
    idle = {protocol for waiting in kept for protocol, _ in waiting}
    cut: set[int] = set()
    for protocol in idle | connector._acquired:  # noqa: SLF001
        transport = getattr(protocol, "transport", None)
        sock = transport and transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            near, far = socket.socketpair()
            with near, far:
                near.setblocking(False)
                os.dup2(near.fileno(), sock.fileno(), inheritable=False)
            cut.add(sock.fileno())
    forget(connector)
    return cut


#: In which process a loop was last parted from that of the parent.
_parted: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, int] = (
    weakref.WeakKeyDictionary()
)


def part(loop: asyncio.AbstractEventLoop, cut: set[int]) -> None:
    """
    Part a forked child's loop from its parent's: what it hears on its way out
    is of its own threads, and of connections that were *cut*.

    Both have one epoll, and one pipe that wakes them: what the child took off
    there (and `loop.close` takes off the pipe), the parent would wait for.
    Only asyncio's own loops have them.
    """
    selector = getattr(loop, "_selector", None)
    if not isinstance(selector, selectors.EpollSelector):
        return
    watched = {key.fd: key.events for key in selector.get_map().values()}
    with select.epoll() as fresh:
        if _parted.get(loop) == os.getpid():
            os.dup2(selector.fileno(), fresh.fileno(), inheritable=False)
        else:
            _parted[loop] = os.getpid()
            os.dup2(fresh.fileno(), selector.fileno(), inheritable=False)
            ours = socket.socketpair()
            for new, name in zip(ours, ("_ssock", "_csock"), strict=True):
                with new:
                    new.setblocking(False)
                    old = getattr(loop, name).fileno()
                    os.dup2(new.fileno(), old, inheritable=False)
                    cut = cut | {old}
        for fd in cut & watched.keys():
            fresh.register(fd, _BITS[watched[fd]])


_BITS = {
    selectors.EVENT_READ: select.EPOLLIN,
    selectors.EVENT_WRITE: select.EPOLLOUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: (
        select.EPOLLIN | select.EPOLLOUT
    ),
}
