"""
Which format a picture's bytes have, and whether all of them came.

A server that closes early looks just like one that is done, and neither file
names nor content types can be trusted; so bytes are believed only from their
first magic ones to the end that their own format marks:

* PNG: chunk after chunk to ``IEND``; what a picture needs has its checksum.
  Viewers show a picture whatever the checksum of its comments is.
* JPEG: segment after segment, so that the end of a thumbnail inside is not
  taken for the picture's own, then the scans to the marker of the end.
* WebP: as long as its RIFF header says, with a picture among its chunks.
* GIF: block after block to the trailer.
* AVIF: box after box, until its description and its pixels are there.

Viewers read over what stands between the parts of a JPEG or a GIF, and so do
we.  Bytes after the end do no harm.  Nothing is decompressed.
"""

from __future__ import annotations

import re
import zlib

from collections.abc import Callable

import attrs

from .._magic import ImageFormat, format_of
from .._protocol.inline import Buffer


@attrs.frozen
class CompleteImage:
    """
    A picture, all of it; *width* and *height* in pixels.
    """

    format: ImageFormat
    width: int
    height: int


@attrs.frozen
class InvalidImage:
    """
    No picture, or not all of one.

    Attributes:
        reason: What it is instead.

        retryable:
            Whether it may become one if asked again: pages and short files
            are what stores give before a picture is there.
    """

    reason: str
    retryable: bool = True


def check_image(data: Buffer) -> CompleteImage | InvalidImage:
    """
    Say whether *data* is a whole picture, and if not, what it is.
    """
    format_ = format_of(data)
    if format_ is None:
        return _not_an_image(bytes(data[:64]), len(data))
    try:
        width, height = _READERS[format_](memoryview(data))
    except (_CutError, IndexError):
        return InvalidImage(
            f"a {format_.name} cut before its end ({len(data)} bytes)"
        )
    except _BrokenError as exc:
        return InvalidImage(f"a broken {format_.name}: {exc}")
    if not (width and height):
        return InvalidImage(
            f"a {format_.name} without width or height", retryable=False
        )
    return CompleteImage(format_, width, height)


def _not_an_image(head: bytes, size: int) -> InvalidImage:
    """
    What something that does not begin like a picture is, in words.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not size:
        return InvalidImage("an empty file")
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return InvalidImage("an HTML page, not a picture")
    if text.startswith(b"<"):
        return InvalidImage("an XML or HTML page, not a picture")
    if text.startswith((b"{", b"[")):
        return InvalidImage("JSON, not a picture")
    if all(31 < byte < 127 or byte in b"\t\r\n" for byte in head):
        return InvalidImage("text, not a picture")
    if size < 12 and any(m.startswith(head[: len(m)]) for m in _MAGIC):
        return InvalidImage(f"a picture cut before its end ({size} bytes)")
    return InvalidImage(f"no picture: begins with {head[:8].hex(' ')}", False)


#: How PNG, JPEG, WebP and GIF begin.
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")


class _CutError(Exception):
    """
    The bytes end before the picture does.
    """


class _BrokenError(Exception):
    """
    The bytes are not what the format says.
    """


#: Nobody's picture has as many; a stranger's could keep us walking.
_MOST_PARTS = 1_000_000


def _png(data: memoryview) -> tuple[int, int]:
    at = 8
    width = height = 0
    pixels = False
    for part in range(_MOST_PARTS):
        length = _big(data, at, 4)
        kind = bytes(data[at + 4 : at + 8])
        end = at + 12 + length
        if part == 0 and (kind != b"IHDR"[: len(kind)] or length != 13):
            raise _BrokenError("it has no header")
        if length >= 1 << 31 or not kind.isalpha():
            raise _BrokenError(f"no chunk at byte {at}")
        if end > len(data):
            raise _CutError
        if kind in _PNG_CRITICAL and (
            zlib.crc32(data[at + 4 : end - 4]) != _big(data, end - 4, 4)
        ):
            raise _BrokenError(f"wrong checksum at byte {at}")
        if part == 0:
            width, height = _big(data, at + 8, 4), _big(data, at + 12, 4)
        pixels = pixels or kind == b"IDAT"
        if kind == b"IEND":
            if not pixels:
                raise _BrokenError("it has no pixels")
            return width, height
        at = end
    raise _BrokenError("too many parts")


#: Of the others viewers skip those that are wrong.
_PNG_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT"})


#: In a scan: a marker that is no stuffed byte, no restart and no filling.
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


#: Between segments: what is no filling.
_MARKER = re.compile(rb"\xff[^\xff]", re.DOTALL)


#: Frame headers, by their markers.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(data: memoryview) -> tuple[int, int]:
    at = 2
    size: tuple[int, int] | None = None
    scanned = False
    for _ in range(_MOST_PARTS):
        found = _MARKER.search(data, at)
        if found is None and data[at] != 0xFF:
            raise _BrokenError(f"no segment at byte {at}")
        if found is None:
            raise _CutError
        marker = data[found.start() + 1]
        at = found.end()
        if marker == 0xD9:
            if size is None or not scanned:
                raise _BrokenError("it has no pixels")
            return size
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            continue
        length = _big(data, at, 2)
        if marker in {0x00, 0xD8} or length < 2:
            raise _BrokenError(f"no segment at byte {at - 2}")
        if at + length > len(data):
            raise _CutError
        if marker in _FRAMES and length >= 7:
            height, width = _big(data, at + 3, 2), _big(data, at + 5, 2)
            # A height of 0 is told after the first scan (DNL).
            size = width, height or 1
        at += length
        if marker == 0xDA:
            scanned = True
            found = _SCAN_END.search(data, at)
            if found is None:
                raise _CutError
            at = found.start()
    raise _BrokenError("too many parts")


def _webp(data: memoryview) -> tuple[int, int]:
    end = _little(data, 4, 4) + 8
    if end > len(data):
        raise _CutError
    at = 12
    canvas: tuple[int, int] | None = None
    for _ in range(_MOST_PARTS):
        if at + 8 > end:
            break
        kind = bytes(data[at : at + 4])
        length = _little(data, at + 4, 4)
        start, at = at + 8, at + 8 + length + length % 2
        # Some writers leave the last filling byte out.
        if start + length > end or (length < 10 and kind in _WEBP_IMAGE):
            raise _BrokenError(f"no chunk at byte {start - 8}")
        if kind == b"VP8X" and length >= 10:
            canvas = (
                _little(data, start + 4, 3) + 1,
                _little(data, start + 7, 3) + 1,
            )
        elif kind in _WEBP_IMAGE:
            return canvas or _webp_size(kind, data, start)
    raise _BrokenError("it has no pixels")


_WEBP_IMAGE = frozenset({b"VP8 ", b"VP8L", b"ANMF"})


def _webp_size(kind: bytes, data: memoryview, start: int) -> tuple[int, int]:
    if kind == b"VP8 ":
        return (
            _little(data, start + 6, 2) & 0x3FFF,
            _little(data, start + 8, 2) & 0x3FFF,
        )
    if kind == b"VP8L":
        bits = _little(data, start + 1, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise _BrokenError("an animation without a canvas")


def _gif(data: memoryview) -> tuple[int, int]:
    size = _little(data, 6, 2), _little(data, 8, 2)
    at = 13 + _color_table_bytes(data[10])
    pixels = False
    for _ in range(_MOST_PARTS):
        block = data[at]
        if block == 0x3B:
            if not pixels:
                raise _BrokenError("it has no pixels")
            return size
        if block == 0x2C:
            pixels = True
            at += 11 + _color_table_bytes(data[at + 9])
        elif block == 0x21:
            at += 2
        elif block == 0:
            at += 1
            continue
        else:
            raise _BrokenError(f"no block at byte {at}")
        while data[at]:
            at += data[at] + 1
        at += 1
    raise _BrokenError("too many parts")


def _color_table_bytes(flags: int) -> int:
    """
    Buffer of the table of colours that follows.
    """
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _avif(data: memoryview) -> tuple[int, int]:
    at = 0
    size: tuple[int, int] | None = None
    pixels = False
    for _ in range(_MOST_PARTS):
        kind = bytes(data[at + 4 : at + 8])
        if kind not in _AVIF_BOXES:
            if size is not None and pixels:
                return size
            if len(kind) < 4:
                raise _CutError
        length, head = _big(data, at, 4), 8
        if length == 1:
            length, head = _big(data, at + 8, 8), 16
        if length < head or not kind.isalnum():
            # A length of 0 is "to the end", which nobody can tell.
            raise _BrokenError(f"no box at byte {at}")
        if at + length > len(data):
            raise _CutError
        if kind == b"meta":
            size = _avif_size(bytes(data[at + head : at + length]))
        pixels = pixels or kind == b"mdat"
        at += length
    raise _BrokenError("too many parts")


def _avif_size(meta: bytes) -> tuple[int, int]:
    """
    The largest that is told: tiles, previews and masks have their own.
    """
    sizes = [
        (int.from_bytes(found[1], "big"), int.from_bytes(found[2], "big"))
        for found in _AVIF_SIZE.finditer(meta)
    ]
    if not sizes:
        raise _BrokenError("it has no size")
    return max(sizes, key=lambda one: one[0] * one[1])


#: Else it is what stands behind a picture.
_AVIF_BOXES = frozenset({b"meta", b"mdat", b"moov", b"free", b"skip", b"udta"})


_AVIF_SIZE = re.compile(rb"ispe\0{4}(.{4})(.{4})", re.DOTALL)


_READERS: dict[ImageFormat, Callable[[memoryview], tuple[int, int]]] = {
    ImageFormat.PNG: _png,
    ImageFormat.JPEG: _jpeg,
    ImageFormat.WEBP: _webp,
    ImageFormat.GIF: _gif,
    ImageFormat.AVIF: _avif,
}


def _big(data: memoryview, at: int, length: int) -> int:
    return int.from_bytes(_exactly(data, at, length), "big")


def _little(data: memoryview, at: int, length: int) -> int:
    return int.from_bytes(_exactly(data, at, length), "little")


def _exactly(data: memoryview, at: int, length: int) -> memoryview:
    if at + length > len(data):
        raise _CutError
    return data[at : at + length]
