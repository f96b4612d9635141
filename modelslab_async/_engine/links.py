"""
Addresses as texts: what a reply's link means, and an API's origin.
"""

from __future__ import annotations

from yarl import URL

from ..errors import UnsafeUrlError


def read_link(text: str, base: URL | None = None) -> URL:
    """
    The http address that *text* is, seen from *base*.

    Raises:
        UnsafeUrlError: It is none.
    """
    url = None
    try:
        url = URL(text) if base is None else base.join(URL(text))
        if url.scheme not in {"http", "https"} or not url.host:
            url = None
    except ValueError:
        url = None
    if url is None:
        raise UnsafeUrlError(f"no http address: {text[:200]!r}")
    return url


def origin_of(base_url: str) -> str:
    """
    Scheme, host and port of an API; empty if it is no http address.
    """
    try:
        url = URL(base_url)
        right = url.scheme in {"http", "https"} and bool(url.host)
        return str(url.origin()) if right else ""
    except ValueError:
        return ""
