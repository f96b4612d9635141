"""
What the caller of `ModelsLab` says about the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ssl import SSLContext
from typing import TYPE_CHECKING, TypeAlias

import aiohttp
import attrs

from .._quoting import in_short
from .links import origin_of


if TYPE_CHECKING:
    # Only where somebody speaks with the service.
    from .._protocol.replies import Exchange


#: Said again, so that no other room imports aiohttp.
TraceConfig: TypeAlias = aiohttp.TraceConfig


@attrs.frozen(eq=False, repr=False, kw_only=True)
class NetworkOptions:
    """
    How to reach the service, and where pictures may lie.
    """

    max_downloads: int = 16
    trusted_hosts: Sequence[str] = ()
    proxy: str | None = None
    ssl: SSLContext | bool = True
    trace_configs: Sequence[TraceConfig] = ()
    #: Is handed each exchange, without the key; for `doctor`.
    tap: Callable[[Exchange], None] | None = None

    def faults(self) -> Iterator[str]:
        """
        What of it cannot be.
        """
        most: object = self.max_downloads
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            yield f"max_downloads: a whole number from 1, not {in_short(most)}"
        if self.trusted_hosts:
            from .trusted_hosts import TrustedHosts

            _, strangers = TrustedHosts.of(self.trusted_hosts)
            yield from (f"trusted_hosts: {stranger}" for stranger in strangers)
        # Not shown: it may hold a password.
        proxy: object = self.proxy
        if proxy is not None and not (
            isinstance(proxy, str) and origin_of(proxy)
        ):
            yield "proxy: an http proxy's URL, as http://localhost:3128"
