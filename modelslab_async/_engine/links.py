"""
Addresses as texts: what a reply's link means, and an API's origin.

* A link goes out as it came: stores sign links, and another spelling of the
  same link is another signature (``%2F``, ``%27``).  Only what cannot stand
  in a URL is quoted: spaces, control characters, what is beyond ASCII.
* A host is a name that can be asked for, or an address; names beyond ASCII
  are written by IDNA.
"""

from __future__ import annotations

import re

from urllib.parse import urljoin

from yarl import URL

from ..errors import UnsafeUrlError


#: No server takes longer ones.
_LONGEST = 65536


_HTTP = re.compile(
    r"(https?)://([^/?#\\]+)([/?#].*)?", re.IGNORECASE | re.DOTALL
)


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,40}:", re.IGNORECASE)


#: What cannot stand in a URL.
_FOREIGN = re.compile(r"[^\x21-\x7e]+")


_AUTHORITY = re.compile(
    r"(?P<user>[^@]*@)?(?P<host>\[[^]]*\]|[^:]*)(?P<port>:[0-9]{0,5})?"
)


def read_link(text: str, base: URL | None = None) -> URL:
    """
    The http address that *text* is, seen from *base*.

    Raises:
        UnsafeUrlError: It is none.
    """
    text = text.strip()
    if base is not None and not _SCHEME.match(text):
        text = _joined(text, base)
    found = _HTTP.fullmatch(text) if len(text) <= _LONGEST else None
    try:
        if found is not None:
            scheme, authority, rest = found.groups()
            where = f"{scheme.lower()}://{_authority(authority)}"
            url = URL(where + _quoted(rest or ""), encoded=True)
            # Read only now: a port may be too high.
            if url.port is not None:
                return url
    # Of yarl and of the codecs; what they say is about their own insides.
    except ValueError:
        pass
    raise UnsafeUrlError(f"no http address: {text[:200]!r}")


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


def host_name(host: str) -> str:
    """
    A host as it is asked for: lower case, ASCII, without the root's dot.

    Raises:
        ValueError: No host is called so.
    """
    if len(host) > 1000:
        # Else IDNA would look at all of it.
        msg = "no name of a host: it is too long"
        raise ValueError(msg)
    name = URL.build(scheme="http", host=host).raw_host or ""
    name = name.lower().removesuffix(".")
    labels = name.split(".")
    if ":" not in name and (
        set(name) & set("%*")
        or len(name) > 253
        or not all(0 < len(label) < 64 for label in labels)
    ):
        msg = f"no name of a host: {host[:80]!r}"
        raise ValueError(msg)
    return name


def _joined(text: str, base: URL) -> str:
    # `urljoin` would write the rest of a whole address anew.
    if text.startswith("//"):
        return f"{base.scheme}:{text}"
    if text.startswith("/"):
        return f"{base.scheme}://{base.raw_authority}{text}"
    return urljoin(str(base), text)


def _authority(text: str) -> str:
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        msg = "no authority of a URL"
        raise ValueError(msg)
    host = found["host"]
    literal = host.startswith("[")
    name = host_name(host[1:-1] if literal else host)
    if literal != (":" in name):
        msg = "brackets are for IPv6"
        raise ValueError(msg)
    shown = f"[{name}]" if literal else name
    return _quoted(found["user"] or "") + shown + (found["port"] or "")


def _quoted(text: str) -> str:
    return _FOREIGN.sub(lambda found: _percent(found[0]), text)


def _percent(text: str) -> str:
    try:
        # Bytes of a header that are no UTF-8 come as lone surrogates.
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in data)
