"""
Connections whose loop, or whose process, is not ours any more.

Neither aiohttp nor asyncio has a public way for either, so this is the one
file that touches what is private to them.
"""

from __future__ import annotations

import os

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


def leave_to_parent(connector: aiohttp.BaseConnector) -> None:
    """
    Cut a forked child off from its parent's connections.

    Both have the same sockets and the same epoll.  Whatever the child's loop
    did on its way out (read, say goodbye, unregister) it would do to the
    parent; now it does that to /dev/null.
    """
    kept = connector._conns.values()  # noqa: SLF001
    idle = {protocol for waiting in kept for protocol, _ in waiting}
    nothing = os.open(os.devnull, os.O_RDWR)
    for protocol in idle | connector._acquired:  # noqa: SLF001
        transport = getattr(protocol, "transport", None)
        sock = transport and transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            os.dup2(nothing, sock.fileno(), inheritable=False)
    os.close(nothing)
    forget(connector)
