"""
How the formats of pictures begin: what a picture is, its first bytes say,
never its name.
"""

from __future__ import annotations

import enum


class ImageFormat(enum.StrEnum):
    """
    What we know as pictures; the value is the file's extension.
    """

    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"
    GIF = "gif"
    AVIF = "avif"

    @property
    def media_type(self) -> str:
        """
        Such as ``image/png``.
        """
        return f"image/{self.name.lower()}"


def format_of(head: bytes | bytearray | memoryview) -> ImageFormat | None:
    """
    Which format a picture has that begins like this; 12 bytes tell.
    """
    start = bytes(head[:12])
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if start.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if start.startswith(b"RIFF") and start[8:] == b"WEBP":
        return ImageFormat.WEBP
    if start.startswith((b"GIF87a", b"GIF89a")):
        return ImageFormat.GIF
    if start[4:] in {b"ftypavif", b"ftypavis"}:
        return ImageFormat.AVIF
    return None


def media_type(data: bytes | bytearray | memoryview) -> str | None:
    """
    Such as ``image/png``, for what `ModelsLab.read` gave; None where it is no
    picture that we know.

    Args:
        data: The picture; its first bytes are enough.
    """
    known = format_of(data)
    return None if known is None else known.media_type
