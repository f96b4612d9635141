"""
Pictures on this machine: the one room of specs that looks at the disk.

A file is looked at once, when its spec is made: that it is a picture, not too
large, and which (its SHA-256).  Later it is read again to be uploaded, and
what changed meanwhile is told instead of sent.

* Whatever stands at a path is opened without waiting: a pipe must not hang.
* Sizes are those of the service: its page says 5 MB and not whether of the
  file or of its base64 text, which is a third longer.
"""

from __future__ import annotations

import hashlib
import os
import stat

from typing import TypeAlias, TypeGuard

import attrs

from .._fact import Fact
from .._magic import media_type


AnyPath: TypeAlias = os.PathLike[str] | os.PathLike[bytes]


#: The service's page: 5 MB; above that nothing is uploaded.
MOST_BYTES = 5_000_000


#: What is larger may be too large once it is base64.
DOUBTFUL_BYTES = 3_700_000


@attrs.frozen(repr=False)
class LocalFile(Fact):
    """
    A picture in a file of this machine, as it was when its spec was made.

    Attributes:
        path: Absolute.

        sha256: Of its content, in hexadecimal digits.

        size_bytes: 0 where nobody looked.
    """

    path: str
    sha256: str
    size_bytes: int = attrs.field(default=0, eq=False)

    @classmethod
    def at(cls, path: AnyPath | str) -> LocalFile:
        """
        What lies at *path* now.

        Raises:
            ValueError: No picture, or one that is too large.
        """
        text = os.fsdecode(path)
        if "\0" in text or not _is_text(text):
            raise ValueError("has a name that cannot be written down")
        if not os.path.isabs(text):
            text = os.path.join(os.fsdecode(os.getcwdb()), text)
        data = read_picture(os.path.normpath(text))
        return cls(
            os.path.normpath(text), hashlib.sha256(data).hexdigest(), len(data)
        )

    def read(self) -> bytes:
        """
        Its content.

        Raises:
            ValueError: It is not what it was.
        """
        data = read_picture(self.path)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            msg = f"has changed since the request was made: {self.path!r}"
            raise ValueError(msg)
        return data

    @property
    def name(self) -> str:
        """
        The last part of its path.
        """
        return os.path.basename(self.path)

    def __fspath__(self) -> str:
        return self.path


def is_path(value: object) -> TypeGuard[AnyPath]:
    """
    Whether *value* names a file, as a text does not.
    """
    return isinstance(value, os.PathLike)


def below(folder: AnyPath | str, path: str) -> LocalFile:
    """
    The picture at *path*, which is relative to *folder* if to anything.

    Raises:
        ValueError: As `LocalFile.at`.
    """
    return LocalFile.at(os.path.join(os.fsdecode(folder), path))


def matching(path: str, sha256: str) -> LocalFile:
    """
    The picture at *path*, for those who know what it is.

    Raises:
        ValueError: Another, or none; which of them is not told.
    """
    try:
        found = LocalFile.at(path)
    except ValueError:
        found = None
    if found is None or found.sha256 != sha256:
        raise ValueError("names no local file with that SHA-256")
    return found


def read_picture(path: str) -> bytes:
    """
    The content of the picture at *path*.

    Raises:
        ValueError: No picture, or one that is too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        msg = f"cannot be read: {path!r}: {error.strerror or error}"
        raise ValueError(msg) from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise ValueError(f"must be a picture, not a directory: {path!r}")
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"must be a picture in a file: {path!r}")
        data = _content(descriptor)
    except OSError as error:
        msg = f"cannot be read: {path!r}: {error.strerror or error}"
        raise ValueError(msg) from None
    finally:
        os.close(descriptor)
    if fault := picture_fault(data):
        raise ValueError(f"{fault}: {path!r}")
    return data


def picture_fault(data: bytes) -> str:
    """
    What speaks against uploading *data*, or nothing.
    """
    if len(data) > MOST_BYTES:
        return "is larger than the 5 MB that the service takes"
    if not data:
        return "is empty"
    if media_type(data) is None:
        return "is no picture (PNG, JPEG, WebP or GIF)"
    return ""


def _content(descriptor: int) -> bytes:
    parts: list[bytes] = []
    left = MOST_BYTES + 1
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
