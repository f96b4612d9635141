"""
Files that a host packed although it was asked not to.
"""

from __future__ import annotations

import gzip
import zlib

import pytest

from hypothesis import given
from hypothesis import strategies as st

from modelslab_async._protocol.decompress import Decompressor


PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9


def unpacked(data: bytes, step: int = 1000) -> bytes:
    """
    All of it, fed *step* bytes at a time.
    """
    room = Decompressor()
    pieces = [
        piece
        for at in range(0, len(data), step)
        for piece in room.feed(data[at : at + step])
    ]
    return b"".join(pieces) + room.rest()


@pytest.mark.parametrize("step", [1, 2, 3, 100, 10_000])
@pytest.mark.parametrize(
    "data",
    [
        PNG,
        gzip.compress(PNG, mtime=0),
        zlib.compress(PNG),
        zlib.compress(PNG, 1),
        zlib.compress(PNG, 0),
        gzip.compress(PNG, mtime=0) + bytes(9),
        gzip.compress(PNG, mtime=0) + b"\x1f\x8b",
        gzip.compress(PNG[:99], mtime=0)
        + gzip.compress(PNG[99:], mtime=0)
        + b"more",
    ],
)
def test_the_picture_comes_out(data: bytes, step: int) -> None:
    """
    Plain or packed, in chunks of any size, the same bytes come out.
    """
    assert unpacked(data, step) == PNG


@pytest.mark.parametrize("data", [b"", b"\x1f", b"\x1f\x8b", b"<h", b"<html>"])
def test_others_are_left(data: bytes) -> None:
    """
    What is not packed, or too short to tell, is left as it is.
    """
    assert unpacked(data) == data


@pytest.mark.parametrize("data", [b"\x1f\x8b\x08rubbish", b"x\x9c\xff\xff"])
def test_what_is_broken_gives_nothing(data: bytes) -> None:
    """
    What only begins as if it were packed is no picture.
    """
    assert unpacked(data) == b""


def test_what_is_cut_is_cut() -> None:
    """
    Of a packed file that is cut, what came is given.
    """
    found = unpacked(zlib.compress(PNG, 0)[:-100])

    assert PNG.startswith(found)
    assert len(found) > 1000


def test_bombs_grow_piece_by_piece() -> None:
    """
    What grows without end does so only as fast as it is taken.
    """
    room = Decompressor()
    pieces = room.feed(gzip.compress(bytes(50_000_000)))

    assert [len(next(pieces)) for _ in range(9)] == [65536] * 9


@pytest.mark.parametrize("size", [65536, 65537, 131072, 1_000_000])
def test_nothing_is_held_back(size: int) -> None:
    """
    What is packed very tightly comes out to its last byte.
    """
    assert len(unpacked(zlib.compress(bytes(size), 9), 10_000)) == size


@given(st.sampled_from([b"", b"\x1f\x8b\x08", b"x\x9c"]), st.binary())
def test_any_bytes(head: bytes, tail: bytes) -> None:
    """
    No bytes raise.
    """
    assert isinstance(unpacked(head + tail, 5), bytes)
