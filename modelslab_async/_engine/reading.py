"""
What comes over a connection, and what is wrong with it.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import ssl

from typing import TYPE_CHECKING, TypeAlias

import aiohttp

from .._protocol.replies import Cut, Unsent
from .api_key import ApiKey
from .keyed_body import KeyedBody


if TYPE_CHECKING:
    # Only where something came packed.
    from .._protocol.decompress import Decompressor


#: Closing, aiohttp cancels those who wait for a name.
CLOSED = "the client was closed meanwhile"


async def read_body(
    response: aiohttp.ClientResponse, key: ApiKey, cap_bytes: int
) -> tuple[bytes, str | None]:
    """
    An answer's body, and why it is not all of it, if it is not: it may begin
    with the id of what is paid.
    """
    content: Decompressor | None = None
    chunks: list[bytes] = []
    size, reason, at_end = 0, None, False
    stream = response.content
    try:
        while reason is None and not at_end:
            # Most come in one piece: nothing is left to wait for.
            at_end = stream.is_eof()
            chunk = stream.read_nowait() if at_end else await stream.readany()
            if not chunk:
                break
            if not chunks and chunk[:1] != b"{":
                content = content or _unpacking(response)
            for piece in content.feed(chunk) if content else (chunk,):
                size += len(piece)
                if size > cap_bytes:
                    reason = f"over {cap_bytes} bytes long"
                    break
                chunks.append(piece)
    except (aiohttp.ClientError, OSError) as exc:
        reason = words_of(exc, key)
    if content is not None:
        chunks.append(content.rest())
        if reason is None and content.torn:
            reason = "packed, and its end did not come"
    return b"".join(chunks), reason


def _unpacking(response: aiohttp.ClientResponse) -> Decompressor:
    from .._protocol.decompress import Decompressor

    return Decompressor(is_deflated(response))


def is_deflated(response: aiohttp.ClientResponse) -> bool:
    """
    Whether its head says so.
    """
    packing = response.headers.get("Content-Encoding", "")
    return packing.strip().lower() == "deflate"


#: As it would be at the next try.
_HOPELESS = (
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
)


def unheard(exc: BaseException, body: KeyedBody, key: ApiKey) -> Unsent | Cut:
    """
    What a foreign error means: after the first byte none, whatever aiohttp
    thinks of, may look like a request that was never sent.
    """
    closed = isinstance(exc, asyncio.CancelledError)
    reason = CLOSED if closed else words_of(exc, key)
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return Unsent(reason, hopeless=exc.status == 407)
    if body.started:
        return Cut(reason, begun=body.begun)
    known = isinstance(exc, (aiohttp.ClientError, OSError))
    return Unsent(reason, hopeless=not known or isinstance(exc, _HOPELESS))


def words_of(exc: BaseException, key: ApiKey | None = None) -> str:
    """
    What an error says, on one line, without its frames and the key.
    """
    name, text = type(exc).__name__, str(exc)
    said = f"{name}: {text}" if text else name
    match exc:
        case aiohttp.ClientResponseError():
            # Its own words have the URL, and with it a proxy's password.
            said = f"{name}: {exc.status} {exc.message}"
        case (
            aiohttp.ClientConnectorError()
            | aiohttp.ClientConnectorCertificateError()
        ):
            # Its own words speak of ssl also where there is none.
            cause = _cause(exc)
            if _is_refused_here(exc):
                cause += "; is the simulator running?"
            said = f"cannot connect to {_place(exc)}: {cause} ({name})"
    if key is not None:
        said = key.scrub(said.encode("utf-8", "replace")).decode()
    return " ".join(said.split())[:300]


_Unconnected: TypeAlias = (
    aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError
)


def _place(exc: _Unconnected) -> str:
    host = f"[{exc.host}]" if ":" in exc.host else exc.host
    proxy = isinstance(exc, aiohttp.ClientProxyConnectionError)
    return f"{'the proxy ' if proxy else ''}{host}:{exc.port}"


def _is_refused_here(exc: _Unconnected) -> bool:
    """
    Whether nobody listens at an address of this machine's own.
    """
    if isinstance(exc, aiohttp.ClientProxyConnectionError):
        return False
    # Of several addresses at once, the numbers stand in the words.
    number = errno.ECONNREFUSED
    found = exc.os_error
    if found.errno != number and f"[Errno {number}]" not in str(found):
        return False
    try:
        return ipaddress.ip_address(exc.host).is_loopback
    except ValueError:
        return exc.host.rpartition(".")[2] == "localhost"


def _cause(exc: _Unconnected) -> str:
    """
    Why there is no connection, in the system's words.
    """
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        cause = exc.certificate_error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        return str(cause)
    found = exc.os_error
    # Of TLS, of a name, and of several addresses at once, numbers mean
    # nothing or something else.
    number = found.errno
    if not isinstance(exc, aiohttp.ClientConnectorSSLError) and (
        number is not None and number in errno.errorcode
    ):
        return os.strerror(number)
    return found.strerror or str(found)
