"""
Files on disk, whole or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import re
import secrets

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import attrs

from ..errors import DownloadError
from .image_format import (
    Bytes,
    Faulty,
    ImageFormat,
    Verdict,
    decode,
    examine,
    format_of,
)


# All below runs in threads.


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
    Where a download goes.
    """

    used: bool

    def clear(self) -> None:
        """
        Forget what came so far.
        """

    def take(self, chunks: Sequence[bytes]) -> None:
        """
        Keep what came.
        """

    def settle(
        self, chunks: Sequence[bytes], url: str | None
    ) -> Faulty | None:
        """
        Keep the rest, and check the whole.
        """


@attrs.define
class _Basket:
    """
    A download to memory.
    """

    cap_bytes: int
    used: bool = False
    data: bytes = b""
    _chunks: list[bytes] = attrs.field(factory=list, repr=False)

    def clear(self) -> None:
        self._chunks, self.used = [], False

    def take(self, chunks: Sequence[bytes]) -> None:
        self._chunks += chunks
        self.used = True

    def settle(
        self, chunks: Sequence[bytes], url: str | None
    ) -> Faulty | None:
        self.take(chunks)
        came, self._chunks = b"".join(self._chunks), []
        data, verdict = _looked_at(came, self.cap_bytes)
        self.data = bytes(data)
        return verdict if isinstance(verdict, Faulty) else None


@attrs.define
class _Part:
    """
    A file in the making, under a temporary name.

    It is opened at its first byte; `keep` gives it its name, `drop` removes
    it where that has not happened.
    """

    cap_bytes: int
    directory: Path
    name: str
    used: bool = False
    kind: ImageFormat = ImageFormat.PNG
    sha256: str = ""
    _facts: tuple[str | None, int, int, int] = (None, 0, 0, 0)
    _path: Path | None = None
    _fd: int = -1

    @property
    def opened(self) -> bool:
        return self._fd >= 0

    def clear(self) -> None:
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.used = False

    def take(self, chunks: Sequence[bytes]) -> None:
        if not self.opened:
            self._open()
        self.used = True
        try:
            for chunk in chunks:
                _write(self._fd, chunk)
        except OSError as exc:
            # A write's own error does not say where.
            exc.filename = str(self.directory)
            raise

    def settle(
        self, chunks: Sequence[bytes], url: str | None
    ) -> Faulty | None:
        if not self.used:
            return self._settle(b"".join(chunks), url)
        self.take(chunks)
        with (
            mmap.mmap(self._fd, 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as came,
        ):
            return self._settle(came, url)

    def _settle(self, came: Bytes, url: str | None) -> Faulty | None:
        data, verdict = _looked_at(came, self.cap_bytes)
        if isinstance(verdict, Faulty):
            return verdict
        if self.used and data is not came:
            self.clear()
        if not self.used:
            self.take([bytes(data)])
        self.kind = verdict.kind
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._facts = url, len(data), verdict.width, verdict.height
        return None

    def keep(self, path: Path) -> SavedFile:
        """
        Sync it, name it *path*, and sync the folder.
        """
        if self._path is None:
            raise FileNotFoundError(errno.ENOENT, "nothing to keep", str(path))
        os.fsync(self._fd)
        self._path.replace(path)
        self._path = None
        self.drop()
        _sync(path.parent)
        url, size_bytes, width, height = self._facts
        return SavedFile(path, url, size_bytes, self.sha256, width, height)

    def drop(self) -> None:
        """
        Close it, and remove it where it was not kept.
        """
        fd, self._fd = self._fd, -1
        os.close(fd)
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def _open(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        # The start only: a long name must not become too long here.
        path = self.directory / (
            f".{self.name[:40]}.{secrets.token_hex(6)}.part"
        )
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self._fd = os.open(path, flags | os.O_CLOEXEC, 0o666)
        self._path = path


_PART = re.compile(r"\..{1,40}\.[0-9a-f]{12}\.part", re.DOTALL)


def _sweep(directory: Path) -> int:
    swept = 0
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if _PART.fullmatch(entry.name) and entry.is_file(
                follow_symlinks=False
            ):
                Path(entry.path).unlink(missing_ok=True)
                swept += 1
    return swept


def _there(directory: Path, name: str, cap_bytes: int) -> SavedFile | None:
    """
    The whole picture that has this name already.
    """
    for kind in ImageFormat:
        path = directory / f"{name}.{kind}"
        try:
            # A pipe of that name would keep us waiting.
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        with os.fdopen(fd, "rb") as file:
            data = file.read(cap_bytes + 1)
        verdict = examine(data)
        if isinstance(verdict, Faulty) or len(data) > cap_bytes:
            raise DownloadError(
                f"{path} is there, and is no whole picture; "
                "overwrite=True replaces it"
            )
        sha256 = hashlib.sha256(data).hexdigest()
        return SavedFile(
            path, None, len(data), sha256, verdict.width, verdict.height
        )
    return None


def _looked_at(data: Bytes, cap_bytes: int) -> tuple[Bytes, Verdict]:
    """
    The picture that came, out of its text if it came as one.
    """
    if format_of(data) is None:
        data = decode(data, cap_bytes=cap_bytes) or data
    if len(data) > cap_bytes:
        return data, _too_large(cap_bytes)
    return data, examine(data)


def _too_large(cap_bytes: int) -> Faulty:
    return Faulty(f"more than {cap_bytes} bytes", passing=False)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
