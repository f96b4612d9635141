"""
Which addresses a picture may be loaded from.
"""

from __future__ import annotations

import ipaddress
import socket

from contextlib import suppress
from contextvars import ContextVar

import aiohttp
import attrs

from yarl import URL

from ..errors import UnsafeUrlError


#: Of IPv6, all that is global but NAT64 (RFC 6052), which holds an IPv4.
_UNICAST = ipaddress.IPv6Network("2000::/3")


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@attrs.define(eq=False)
class _Guard:
    """
    What one download may connect to.
    """

    anywhere: bool
    blocked: str | None = None


_guard: ContextVar[_Guard] = ContextVar("_guard")


class _BlockedError(OSError):
    pass


def _check_literal(url: URL) -> None:
    host = (url.host or "").rstrip(".")
    address = _literal(host)
    if host == "localhost" or not (address is None or _global(address)):
        raise UnsafeUrlError(f"{url.host} is not a global address")


def _literal(
    host: str,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """
    The address that a host is, in any notation; None: it is a name.
    """
    with suppress(ValueError):
        return ipaddress.ip_address(host)
    # As most resolvers read them: 127.1, 0x7f.1, 2130706433.
    with suppress(OSError, ValueError):
        return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def _guarded_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """
    Make a socket only for addresses that a picture may lie at.

    The one place where the final address is known: of literals in any
    notation, of names, and of redirects.
    """
    family, kind, proto, _, address = info
    guard = _guard.get(None)
    if guard is not None and not guard.anywhere:
        found = ipaddress.ip_address(str(address[0]).partition("%")[0])
        if not _global(found):
            guard.blocked = str(address[0])
            msg = f"{address[0]} is not a global address"
            raise _BlockedError(msg)
    return socket.socket(family, kind, proto)


def _global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        teredo = address.teredo
        if teredo is not None:
            inner = teredo[1]
        if inner is not None:
            return _global(inner)
        if address not in _UNICAST:
            return False
    return address.is_global and not address.is_multicast
