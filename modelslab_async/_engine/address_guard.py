"""
Which addresses a picture may be loaded from.

* `AddressGuard.admit` judges what the link alone tells; `guarded_socket`
  judges the address that is connected to, the one place where it is known.
* What joins the two is an `Admission`, in force while a link is asked for.
"""

from __future__ import annotations

import ipaddress
import socket

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import aiohttp
import attrs

from yarl import URL

from ..errors import UnsafeUrlError
from .trusted_hosts import NOBODY, Address, TrustedHosts, plain_host


#: Of IPv6, all that is global but NAT64 (RFC 6052), which holds an IPv4.
_UNICAST = ipaddress.IPv6Network("2000::/3")


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


#: What resolvers of VPNs and proxies make up, name by name.
_FAKED = (
    ipaddress.IPv4Network("198.18.0.0/15"),
    ipaddress.IPv6Network("fc00::/18"),
)


@attrs.define(eq=False, repr=False)
class Admission:
    """
    What one download may connect to.

    What changes: *blocked*, the address that it was kept from.
    """

    anywhere: bool
    trusted: TrustedHosts = NOBODY
    blocked: Address | None = None

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """
        Let `guarded_socket` go by this admission meanwhile.
        """
        token = _admission.set(self)
        try:
            yield
        finally:
            _admission.reset(token)

    def refused(self, url: URL) -> UnsafeUrlError | None:
        """
        Why *url* was not connected to, and what would allow it.
        """
        if self.blocked is None:
            return None
        host = plain_host(url.raw_host or "")
        if _literal(host) is not None:
            return UnsafeUrlError(_not_global(host))
        network = next(
            (one for one in _FAKED if self.blocked in one), self.blocked
        )
        return UnsafeUrlError(
            f"{host} is at {self.blocked}, which is not a global address; "
            f"to trust it, add {host!r} to trusted_hosts, or {str(network)!r} "
            "where this machine's DNS gives such addresses to all names"
        )


_admission: ContextVar[Admission] = ContextVar("_admission")


@attrs.frozen(eq=False, repr=False)
class AddressGuard:
    """
    Judges where pictures may lie.

    Attributes:
        origin: The API's own, which may be anywhere.

        trusted: Others that may be.

        proxied: A proxy resolves names: only literals can be checked here.
    """

    origin: URL
    trusted: TrustedHosts = NOBODY
    proxied: bool = False

    def admit(self, url: URL) -> Admission:
        """
        Check what can be told from the link alone.

        Raises:
            UnsafeUrlError: No picture may lie there.
        """
        ours = url.origin() == self.origin or self.trusted.has(url)
        host = plain_host(url.raw_host or "")
        if url.scheme == "http" and not ours:
            raise UnsafeUrlError(
                f"{host} over http; add {host!r} to trusted_hosts to allow it"
            )
        if ours:
            return Admission(anywhere=True)
        address = _literal(host)
        if f".{host}".endswith(".localhost") or not (
            address is None or _global(address)
        ):
            raise UnsafeUrlError(_not_global(host))
        # A network is for names.
        trusted = self.trusted if address is None else NOBODY
        return Admission(anywhere=self.proxied, trusted=trusted)

    def check(self, url: URL) -> None:
        """
        Refuse a link as `admit` would, though nobody connects to it from here.

        Raises:
            UnsafeUrlError: No picture may lie there.
        """
        self.admit(url)


class _BlockedError(OSError):
    pass


def guarded_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """
    Make a socket only for addresses that a picture may lie at.

    The one place where the final address is known: of literals in any
    notation, of names, and of redirects.
    """
    family, kind, proto, _, address = info
    admission = _admission.get(None)
    if admission is not None and not admission.anywhere:
        found = ipaddress.ip_address(str(address[0]).partition("%")[0])
        if not (_global(found) or admission.trusted.covers(found)):
            admission.blocked = found
            msg = f"{address[0]} is not a global address"
            raise _BlockedError(msg)
    return socket.socket(family, kind, proto)


def _not_global(host: str) -> str:
    return (
        f"{host} is not a global address; "
        f"to trust it, add {host!r} to trusted_hosts"
    )


def _literal(host: str) -> Address | None:
    """
    The address that a host is, in any notation; None: it is a name.
    """
    with suppress(ValueError):
        return ipaddress.ip_address(host)
    # As most resolvers read them: 127.1, 0x7f.1, 2130706433.
    with suppress(OSError, ValueError):
        return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def _global(address: Address) -> bool:
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
