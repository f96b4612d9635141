"""
The simulator's pictures: each drawn from what was asked for and
nothing else, so that the same request and seed give the same bytes.

Pillow is imported when the first picture is drawn, not with this module.
"""

from __future__ import annotations

import base64
import struct
import zlib

from ._picture import Picture


MISSING = (
    "the simulator draws its pictures with Pillow, which is not installed: "
    'pip install "modelslab-async[simulator]"; '
    "or ask for pictures='plain', which needs nothing"
)


def plain(picture: Picture) -> bytes:
    """
    A PNG of one colour, seen through at the sides where its background was
    removed; needs no Pillow.
    """
    colour, kind = picture.digest[:3], 2
    row = b"\x00" + colour * picture.width
    if picture.is_cut_out:
        kind, side = 6, picture.width // 4
        clear = (colour + b"\x00") * side
        solid = (colour + b"\xff") * (picture.width - 2 * side)
        row = b"\x00" + clear + solid + clear
    size = (picture.width, picture.height)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", *size, 8, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * picture.height, 1)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + name
        + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def as_text(picture: bytes, *, uri: bool) -> str:
    """
    The picture as base64, with or without what makes it a data URI.
    """
    text = base64.b64encode(picture).decode()
    if not uri:
        return text
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{text}"


def load() -> None:
    """
    Import Pillow.

    Raises:
        ImportError: It is not there; the text says what to do.
    """
    try:
        import PIL.Image
        import PIL.ImageFont  # noqa: F401
    except ImportError as exc:
        raise ImportError(MISSING) from exc


def drawn(picture: Picture) -> bytes:
    """
    A picture that one likes to look at, with its prompt on it.

    Raises:
        ImportError: Pillow is not there.
    """
    load()
    from . import _painting

    return _painting.paint(picture)
