"""
Answers and files that came packed with gzip or zlib.

Some hosts say that they pack and don't, or the reverse, so the bytes are
believed and not the header: no picture begins like these, and no JSON.  Bare
deflate has no beginning of its own, so there the header is asked.
"""

from __future__ import annotations

import zlib

from collections.abc import Iterator
from typing import Any

import attrs


#: JSON, pages and pictures that somebody only said to have packed.
_PLAIN_BEGINS = frozenset(
    {b"", b"{", b"[", b'"', b"<", b"\xef", b"\x89", b"\xff", b"R", b"G"}
)


_GZIP = b"\x1f\x8b\x08"


#: gzip or zlib, as the bytes say themselves.
_EITHER = zlib.MAX_WBITS | 32


#: A bomb grows by so much at a time, while somebody counts.
_PIECE_BYTES = 65536


@attrs.define
class Decompressor:
    """
    Gives the bytes of a file, unpacked where they are packed.

    What changes: how far it has come.

    Attributes:
        deflated: Whether a header says so.
    """

    deflated: bool = False
    #: The file's beginning, as long as it is too short to tell.
    _head: bytes | None = attrs.field(default=b"", init=False)
    #: One of zlib's, whose type has no public name; None where the bytes are
    #: plain.
    _inflate: Any = attrs.field(default=None, init=False)
    _ended: bool = attrs.field(default=False, init=False)
    #: What stands behind an end, too short to tell whether it goes on.
    _behind: bytes | None = attrs.field(default=None, init=False)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """
        What the next of its bytes are; nothing beyond their end.
        """
        if self._head is not None:
            chunk = self._head + chunk
            if len(chunk) < 3:
                self._head = chunk
                return
            self._head = None
            if chunk[:3] == _GZIP or _is_zlib(chunk):
                self._inflate = zlib.decompressobj(_EITHER)
            elif self.deflated and chunk.lstrip()[:1] not in _PLAIN_BEGINS:
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        elif self._behind is not None:
            chunk = self._next(self._behind + chunk)
        if self._inflate is None:
            yield chunk
            return
        # What has been read and not yet been given counts too.
        piece = bytes(_PIECE_BYTES)
        while not self._ended and (chunk or len(piece) == _PIECE_BYTES):
            if self._behind is not None:
                return
            try:
                piece = self._inflate.decompress(chunk, _PIECE_BYTES)
            except zlib.error:
                self._ended = True
                return
            if piece:
                yield piece
            chunk = self._inflate.unconsumed_tail
            if self._inflate.eof:
                chunk = self._next(self._inflate.unused_data)

    def _next(self, behind: bytes) -> bytes:
        """
        Go on with what was packed in pieces; the rest is no part of it.
        """
        self._behind = None
        if behind[:3] == _GZIP:
            self._inflate = zlib.decompressobj(_EITHER)
            return behind
        if _GZIP.startswith(behind):
            self._behind = behind
        else:
            self._ended = True
        return b""

    @property
    def torn(self) -> bool:
        """
        Whether it is packed, and its end has not come.
        """
        over = self._ended or self._behind is not None
        return self._inflate is not None and not over

    def rest(self) -> bytes:
        """
        What was too short to tell, now that nothing more comes.
        """
        return self._head or b""


def _is_zlib(start: bytes) -> bool:
    return start[:1] == b"\x78" and int.from_bytes(start[:2], "big") % 31 == 0
