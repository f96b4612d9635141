"""
Connections whose loop, or whose process, is not ours any more.

Neither aiohttp nor asyncio has a public way for either, so this is the one
file that touches what is private to them.
"""

from __future__ import annotations

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
    Leave a connector's transports alone, also when they are collected.

    Closing one here would take it from the parent too: both have the same
    epoll, and a TLS connection would be told goodbye.
    """
    connector._conns.clear()  # noqa: SLF001
    connector._closed = True  # noqa: SLF001
