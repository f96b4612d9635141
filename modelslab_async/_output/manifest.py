"""
The manifest of a batch's folder: one line of JSON for each picture.

A line is appended when its picture is on disk, and never changed.  One that a
crash cut is taken away when the manifest is opened, and `Manifest.lacks` tells
which have to be written again.

All of this but `Manifest.lacks` runs in threads, one at a time.
"""

from __future__ import annotations

import json
import os

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import attrs

from ..results import JSON
from .disk import sync, write_all


#: A line of the manifest, as it is read again.
ManifestRow: TypeAlias = Mapping[str, JSON]


@attrs.frozen
class PictureLine:
    """
    A picture on disk: what its line says.

    Attributes:
        file: Its name in ``images/``.

        index: Its item's number.

        n: Its place among the pictures of its item, from 0.

        of: How many these are.

        endpoint: What made it.

        spec: All that was asked for, as JSON.

        item: The key of one's own, where one was given.

        generation_time: Seconds that the service says it took.

        accepted_at: Seconds since the epoch; so is *finished_at*.
    """

    file: str
    index: int
    n: int
    of: int
    endpoint: str | None
    spec: Mapping[str, JSON]
    item: str | None
    seed: int | None
    id: str | None
    track_id: str | None
    generation_time: float | None
    accepted_at: float | None
    finished_at: float | None
    sha256: str
    size_bytes: int
    width: int
    height: int

    def line(self) -> bytes:
        """
        The line, with its end.
        """
        facts: dict[str, JSON] = attrs.asdict(self, recurse=False) | {
            "file": f"images/{self.file}",
            "spec": dict(self.spec),
            "accepted_at": _date(self.accepted_at),
            "finished_at": _date(self.finished_at),
        }
        return utf8(json.dumps(facts, ensure_ascii=False)) + b"\n"


@attrs.define(eq=False)
class Manifest:
    """
    The file ``manifest.jsonl``, which no other process writes to.

    Its lines are counted off in pages of *page_size* or a few more: what
    belongs to one item, and was written with it, is not parted.

    What changes: its lines.
    """

    path: Path
    page_size: int
    #: How many lines there are.
    count: int = attrs.field(default=0, init=False)
    _fd: int = attrs.field(default=-1, init=False)
    #: How many there are on each page, where these begin in the file, and
    #: where the last one ends.
    _counts: list[int] = attrs.field(factory=list, init=False)
    _starts: list[int] = attrs.field(factory=list, init=False)
    _end: int = attrs.field(default=0, init=False)
    #: The item of the last one.
    _last: object = attrs.field(default=None, init=False)
    #: One bit for each of an item's first 8 pictures: 1 MB for a million.
    _known: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _known_more: set[tuple[int, int]] = attrs.field(
        factory=set, init=False, repr=False
    )

    @property
    def pages(self) -> int:
        return len(self._starts)

    def count_on(self, page: int) -> int:
        """
        How many lines a page has.
        """
        return self._counts[page] if page < self.pages else 0

    def lacks(self, index: int, n: int) -> bool:
        """
        Whether there is no line for that picture.
        """
        if n >= 8:
            return (index, n) not in self._known_more
        return index >= len(self._known) or not self._known[index] >> n & 1

    def open(self) -> None:
        """
        Open the file; make it where it is missing.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        self._fd = os.open(self.path, flags | os.O_CLOEXEC, 0o600)
        with os.fdopen(os.dup(self._fd), "rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    # It was being written when the lights went out.
                    os.ftruncate(self._fd, self._end)
                    break
                row = _parsed(line)
                index, n = row.get("index"), row.get("n")
                self._count(line, index)
                if isinstance(index, int) and isinstance(n, int):
                    self._know(index, n)

    def append(self, pictures: Iterable[PictureLine]) -> None:
        """
        Write a line for each picture that has none: all of them, or none.
        """
        fresh: dict[tuple[int, int], bytes] = {}
        for one in pictures:
            if self.lacks(one.index, one.n):
                fresh[one.index, one.n] = one.line()
        if not fresh:
            return
        try:
            write_all(self._fd, b"".join(fresh.values()))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, self._end)
            raise
        for (index, n), line in fresh.items():
            self._count(line, index)
            self._know(index, n)

    def rows(self, page: int) -> Iterator[ManifestRow]:
        """
        The lines of a page, counted from 0, in the order they were written.
        """
        start, after = self._starts[page : page + 1], self._starts[page + 1 :]
        if not start:
            return
        with self.path.open("rb") as lines:
            lines.seek(start[0])
            data = lines.read((after[0] if after else self._end) - start[0])
        for line in data.split(b"\n"):
            yield _parsed(line)

    def close(self) -> None:
        """
        Sync it and close it.  May be called again.
        """
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                sync(fd)
            finally:
                os.close(fd)

    def _count(self, line: bytes, index: object) -> None:
        full = not self._counts or self._counts[-1] >= self.page_size
        if full and (index != self._last or not self._counts):
            self._counts.append(0)
            self._starts.append(self._end)
        self._counts[-1] += 1
        self._last = index
        self.count += 1
        self._end += len(line)

    def _know(self, index: int, n: int) -> None:
        if n >= 8:
            self._known_more.add((index, n))
        elif index >= 0 <= n and index < _MOST_ITEMS:
            if index >= len(self._known):
                self._known.extend(bytes(index + 1024 - len(self._known)))
            self._known[index] |= 1 << n


#: Beyond it an index is nonsense, and would cost memory.
_MOST_ITEMS = 100_000_000


def utf8(text: str) -> bytes:
    """
    Text as a file has it: half characters cannot be written.
    """
    return text.encode("utf-8", "replace")


def _parsed(line: bytes) -> ManifestRow:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _date(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    then = datetime.fromtimestamp(seconds, UTC)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")
