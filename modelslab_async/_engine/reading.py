"""
What comes over a connection, and what is wrong with it.
"""

from __future__ import annotations

import aiohttp

from .._protocol.decompress import Decompressor
from .api_key import ApiKey


async def read_body(
    response: aiohttp.ClientResponse, key: ApiKey, cap_bytes: int
) -> tuple[bytes, str | None]:
    """
    An answer's body, and why it is not all of it, if it is not: it may begin
    with the id of what is paid.
    """
    content: Decompressor | None = None
    chunks: list[bytes] = []
    size, reason = 0, None
    try:
        while reason is None and (chunk := await response.content.readany()):
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
    return Decompressor(is_deflated(response))


def is_deflated(response: aiohttp.ClientResponse) -> bool:
    """
    Whether its head says so.
    """
    packing = response.headers.get("Content-Encoding", "")
    return packing.strip().lower() == "deflate"


def words_of(exc: BaseException, key: ApiKey | None = None) -> str:
    """
    What an error says, on one line, without its frames and the key.
    """
    text = str(exc)
    if isinstance(exc, aiohttp.ClientResponseError):
        # Its own words have the URL, and with it a proxy's password.
        text = f"{exc.status} {exc.message}"
    if key is not None:
        text = key.scrub(text.encode("utf-8", "replace")).decode()
    text = " ".join(text.split())[:300]
    name = type(exc).__name__
    return f"{name}: {text}" if text else name
