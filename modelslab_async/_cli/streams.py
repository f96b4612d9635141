"""
Stdout and stderr, as no paid job depends on whether anybody reads them.
"""

from __future__ import annotations

import io
import os
import sys

from contextlib import suppress
from typing import TextIO


class Forgiving:
    """
    Stderr, where what cannot be written is dropped.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.write(writable(text, self.encoding))
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.flush()

    def isatty(self) -> bool:
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        if self._stream is None:
            raise io.UnsupportedOperation
        return self._stream.fileno()


def writable(text: str, encoding: str | None) -> str:
    """
    *text* with escapes for what an encoding does not have.
    """
    encoding = encoding or "utf-8"
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except (LookupError, UnicodeError):
        return text.encode("ascii", "backslashreplace").decode()


def put_line(text: str) -> str | None:
    """
    Write a line to stdout at once; give why it could not be.

    Raises:
        BrokenPipeError: Whoever read it has gone away.
    """
    stream: TextIO | None = sys.stdout
    if stream is None:
        return "it is closed"
    try:
        stream.write(writable(text, stream.encoding) + "\n")
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        return exc.strerror or str(exc)
    except ValueError as exc:
        return str(exc)
    return None


def begin() -> None:
    """
    Put something where a stream is closed: the next file that is opened
    would get its number, and all that is said there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free.
            os.open(os.devnull, os.O_RDWR)


def finish() -> None:
    """
    Write out what is left, and leave nothing for the interpreter to fail at.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, stream.fileno())
                os.close(nothing)
