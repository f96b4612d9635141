"""
Where a download goes: to memory or to a file, checked when it is all there.

All of this runs in threads.
"""

from __future__ import annotations

import hashlib
import os

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import attrs

from .._magic import ImageFormat, format_of
from .._protocol.inline import Buffer, decode_inline
from ..errors import DownloadError
from .disk import TemporaryFile
from .image_format import CompleteImage, InvalidImage, check_image


@attrs.frozen
class SavedFile:
    """
    A picture on disk.

    Attributes:
        url: The link that it came from; None where it came in the answer, or
            was there already.

        sha256: Of its bytes, in hexadecimal.

        width: In pixels, as *height*.
    """

    path: Path
    url: str | None
    size_bytes: int
    sha256: str
    width: int
    height: int


class Target(Protocol):
    """
    What takes a picture's bytes: `MemoryTarget` or `FileTarget`.
    """

    @property
    def empty(self) -> bool:
        """
        Whether it holds nothing yet.
        """

    def restart(self) -> None:
        """
        Forget what came so far.
        """

    def write(self, chunks: Sequence[bytes]) -> None:
        """
        Keep what came.
        """

    def finish(self, chunks: Sequence[bytes]) -> InvalidImage | None:
        """
        Keep the rest, and check the whole.
        """


@attrs.define
class MemoryTarget:
    """
    A download to memory; *data* is the picture once it is finished.
    """

    cap_bytes: int
    data: bytes = b""
    _chunks: list[bytes] = attrs.field(factory=list, init=False, repr=False)

    @property
    def empty(self) -> bool:
        return not self._chunks

    def restart(self) -> None:
        self._chunks = []

    def write(self, chunks: Sequence[bytes]) -> None:
        self._chunks += chunks

    def finish(self, chunks: Sequence[bytes]) -> InvalidImage | None:
        self.write(chunks)
        came, self._chunks = b"".join(self._chunks), []
        data, image = _image_in(came, self.cap_bytes)
        self.data = bytes(data)
        return image if isinstance(image, InvalidImage) else None


@attrs.define
class FileTarget:
    """
    A download to a temporary file, which `keep` gives its name.

    *format* and *sha256* are the picture's once it is finished.
    """

    cap_bytes: int
    file: TemporaryFile
    format: ImageFormat = ImageFormat.PNG
    sha256: str = ""
    empty: bool = True
    _size_bytes: int = attrs.field(default=0, init=False)
    _pixels: tuple[int, int] = attrs.field(default=(0, 0), init=False)

    def restart(self) -> None:
        self.file.empty()
        self.empty = True

    def write(self, chunks: Sequence[bytes]) -> None:
        self.empty = False
        self.file.write(chunks)

    def finish(self, chunks: Sequence[bytes]) -> InvalidImage | None:
        if self.empty:
            # Small ones are looked at before the disk is touched.
            return self._check(b"".join(chunks))
        self.write(chunks)
        with self.file.content() as came:
            return self._check(came)

    def _check(self, came: Buffer) -> InvalidImage | None:
        data, image = _image_in(came, self.cap_bytes)
        if isinstance(image, InvalidImage):
            return image
        if not self.empty and data is not came:
            self.restart()
        if self.empty:
            self.write([bytes(data)])
        self.format = image.format
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._size_bytes = len(data)
        self._pixels = image.width, image.height
        return None

    def keep(self, path: Path, url: str | None) -> SavedFile:
        """
        Give the finished file its name; *url* is the link that led to it.
        """
        self.file.keep(path)
        return SavedFile(
            path, url, self._size_bytes, self.sha256, *self._pixels
        )


def saved_before(
    directory: Path, name: str, cap_bytes: int
) -> SavedFile | None:
    """
    The whole picture that has this name already, whatever its format.

    Raises:
        DownloadError: There is one that is not whole.
    """
    for format_ in ImageFormat:
        path = directory / f"{name}.{format_}"
        try:
            # A pipe of that name would keep us waiting.
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        with os.fdopen(fd, "rb") as file:
            data = file.read(cap_bytes + 1)
        image = check_image(data)
        if isinstance(image, InvalidImage) or len(data) > cap_bytes:
            raise DownloadError(
                f"{path} is there, and is no whole picture; "
                "overwrite=True replaces it"
            )
        return _described(path, data, image)
    return None


def described(path: Path) -> SavedFile:
    """
    What a picture that we saved is now; zeros for what can't be told.
    """
    data = path.read_bytes() if path.is_file() else b""
    image = check_image(data)
    if isinstance(image, InvalidImage):
        image = CompleteImage(ImageFormat.PNG, 0, 0)
    return _described(path, data, image)


def _described(path: Path, data: bytes, image: CompleteImage) -> SavedFile:
    digest = hashlib.sha256(data).hexdigest()
    return SavedFile(path, None, len(data), digest, image.width, image.height)


def _image_in(
    data: Buffer, cap_bytes: int
) -> tuple[Buffer, CompleteImage | InvalidImage]:
    """
    The picture that came, out of its text if it came as one.
    """
    if format_of(data) is None:
        data = decode_inline(data, cap_bytes=cap_bytes) or data
    if len(data) > cap_bytes:
        return data, too_large(cap_bytes)
    return data, check_image(data)


def too_large(cap_bytes: int) -> InvalidImage:
    """
    What more than *cap_bytes* are.
    """
    return InvalidImage(f"more than {cap_bytes} bytes", retryable=False)
