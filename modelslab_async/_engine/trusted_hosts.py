"""
Hosts that pictures may be loaded from, wherever they are.

* A host is a name or an address, in any usual spelling, with or without a
  port: ``media.example``, ``[::1]:9000``, ``10.0.0.7``.
* A network (``198.18.0.0/15``) is for names: for machines whose resolver
  gives such addresses.  An address in a link is trusted by its own entry only.
"""

from __future__ import annotations

import ipaddress
import re

from collections.abc import Iterable, Sequence
from typing import Self, TypeAlias

import attrs

from yarl import URL

from .._quoting import in_short
from .links import host_name


Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


_BRACKETED = re.compile(r"\[[^][]+\](?::[0-9]{1,5})?")


#: What no name has: several in one text are no host.
_NO_NAME = re.compile(r"[!$&'()+,;=]")


_PORTED = re.compile(r"(?P<host>\[[^]]*\]|[^:]*)(?::(?P<port>[0-9]{1,5}))?")


@attrs.frozen(eq=False, repr=False)
class TrustedHosts:
    """
    What of a link, or of a name's address, is trusted.
    """

    _hosts: frozenset[tuple[str, int | None]] = frozenset()
    _networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> tuple[Self, Sequence[str]]:
        """
        Read what a person wrote; give it with all that is wrong in it.
        """
        hosts, networks, faults = set(), [], []
        for entry in entries:
            try:
                read = _entry(entry)
            except ValueError as exc:
                faults.append(f"{in_short(entry)}: {exc}")
                continue
            if isinstance(read, tuple):
                hosts.add(read)
            else:
                networks.append(read)
        return cls(frozenset(hosts), tuple(networks)), faults

    def has(self, url: URL) -> bool:
        """
        Whether a link's host is one of them.
        """
        host = plain_host(url.raw_host or "")
        return (host, None) in self._hosts or (host, url.port) in self._hosts

    def covers(self, address: Address) -> bool:
        """
        Whether a name may lead to this address.
        """
        inner = getattr(address, "ipv4_mapped", None) or address
        return any(
            each in network
            for network in self._networks
            for each in (address, inner)
            if each.version == network.version
        )


#: What is trusted where nobody says.
NOBODY = TrustedHosts()


def plain_host(host: str) -> str:
    """
    The one spelling of a host: lower case, addresses in their short form,
    IPv4 where IPv6 only wraps it.
    """
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host_name(host)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _entry(entry: object) -> tuple[str, int | None] | Network:
    if not isinstance(entry, str):
        msg = "a text"
        raise ValueError(msg)  # noqa: TRY004 - all faults are told at once
    text = entry.strip()
    if _NO_NAME.search(text):
        msg = "one host in each text, as media.example:8080"
        raise ValueError(msg)
    if set(text) & set("[]") and not _BRACKETED.fullmatch(text):
        msg = "no host: brackets go around an address, as [::1]:9000"
        raise ValueError(msg)
    if "://" in text:
        msg = "a host without a scheme, as media.example:8080"
        raise ValueError(msg)
    if "/" in text:
        return _network(text)
    try:
        return plain_host(text), None
    except ValueError:
        pass
    found = _PORTED.fullmatch(text)
    port = int(found["port"] or 0) if found is not None else 0
    if found is None or not 0 < port < 65536:
        msg = "no host, as media.example, [::1]:9000 or 198.18.0.0/15"
        raise ValueError(msg)
    return plain_host(found["host"]), port


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip("[]"))
    except ValueError:
        pass
    try:
        # Host bits are set: what was meant can be told.
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        msg = "a host without a path, or a network as 198.18.0.0/15"
    else:
        msg = f"no network; {str(meant)!r} is one"
    raise ValueError(msg)
