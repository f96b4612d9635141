"""
The pictures that come with a request: where from, how large, and whether
they are pictures at all.

A data URI and bare base64 are decoded. A link to this simulator's own files
is followed inside, one to another place on this machine by asking there. A
link into the world is followed only where the settings say so: else there
is a stand-in, painted from the link, so that nothing needs the network.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
import struct
import weakref

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import aiohttp
import attrs

from ._outside import Outside


#: Bytes that the service takes, by link or as text.
_MOST_BYTES = 32 * 2**20
_MOST_PIXELS = 64 * 10**6
_STAND_IN = (768, 512)
_SECONDS = 10.0


@attrs.frozen
class Input:
    """
    A picture that came with a request.

    Attributes:
        digest: Of its bytes; of its link, where it is a stand-in.

        data: Its bytes; None of a stand-in.
    """

    digest: str
    width: int
    height: int
    data: bytes | None = attrs.field(default=None, repr=False)


Inputs = Mapping[str, tuple[Input, ...]]


def as_input(data: bytes) -> Input | None:
    """
    Read bytes, or None if they are no picture, or one too large to open.
    """
    size = picture_size(data)
    if size is None or not 0 < size[0] * size[1] <= _MOST_PIXELS:
        return None
    return Input(hashlib.sha256(data).hexdigest(), *size, data)


def picture_size(data: bytes) -> tuple[int, int] | None:
    """
    Width and height of a PNG, JPEG, GIF or WebP, without opening it.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        width, height = struct.unpack("<HH", data[6:10])
        return width, height
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp_size(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        # The frames; the three between them are tables.
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        width = int.from_bytes(data[24:27], "little") + 1
        return width, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def decoded(text: str) -> bytes | None:
    """
    The bytes of a data URI, or of bare base64.
    """
    head, comma, rest = text.partition(",")
    if comma and not re.fullmatch(r"data:[\w.+-]+/[\w.+-]+;base64", head):
        return None
    try:
        return base64.b64decode(rest if comma else text, validate=True)
    except (binascii.Error, ValueError):
        return None


def is_link(text: str) -> bool:
    """
    Whether it is to be followed, not decoded.
    """
    return re.match(r"https?://", text, re.IGNORECASE) is not None


@attrs.define
class InputReader:
    """
    Gets the pictures of requests.

    Attributes:
        own: The bytes behind a path of this simulator's, or None.
    """

    own: Callable[[str], Awaitable[bytes | None]]
    _outside: Outside
    # Many jobs may have the same picture.
    _shared: weakref.WeakValueDictionary[str, Input] = attrs.field(
        factory=weakref.WeakValueDictionary, init=False
    )

    async def get(
        self, source: str, *, origin: str, mode: Literal["local", "fetch"]
    ) -> Input | None:
        """
        The picture behind *source*, or None if there is none.

        *origin* is this simulator's own, as its asker wrote it.
        """
        if not is_link(source):
            data = decoded(source)
        elif source.startswith(f"{origin}/"):
            data = await self.own(source.removeprefix(origin))
        elif mode == "fetch" or _is_here(source):
            data = await self._fetched(source)
        else:
            digest = hashlib.sha256(source.encode("utf-8", "surrogatepass"))
            return Input(digest.hexdigest(), *_STAND_IN)
        found = None if data is None else as_input(data)
        if found is None:
            return None
        return self._shared.setdefault(found.digest, found)

    async def _fetched(self, url: str) -> bytes | None:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with self._outside.session.get(
                url, timeout=timeout
            ) as response:
                large = (response.content_length or 0) > _MOST_BYTES
                if response.status != 200 or large:
                    return None
                return await response.read()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None


def _is_here(url: str) -> bool:
    """
    Whether it is on this machine.
    """
    found = re.match(r"https?://(?:\[([^\]]*)\]|([^/:?#@]*))(?=[/:?#]|$)", url)
    host = (found[1] or found[2] or "") if found else ""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
