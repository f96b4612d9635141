"""
Files on disk, whole or not at all, written in threads of our own.

* Disk work runs in no event loop, and not in its default executor either: that
  may be full of callers who wait for us.
* A file is written under a temporary name in the folder where it will lie,
  synced, and only then given its name; the folder is synced after it.  So what
  has a final name is whole, after a crash too.
* A caller who is cancelled waits for its thread: else the thread would go on
  with files that the caller has cleaned up.
"""

from __future__ import annotations

import asyncio
import errno
import mmap
import os
import re
import secrets

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import anyio
import attrs


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


#: How many threads may be at the disk at a time.
_THREADS = 4


def _own_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="modelslab-disk")


@attrs.define(eq=False)
class Disk:
    """
    The threads that do a client's disk work.

    *executor* may have other work; of its threads we take `_THREADS` at most.
    """

    executor: Executor = attrs.field(factory=_own_threads, repr=False)
    _limiter: anyio.CapacityLimiter = attrs.field(
        factory=partial(anyio.CapacityLimiter, _THREADS),
        init=False,
        repr=False,
    )

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """
        Run *work* in a thread, and leave only when it is done.
        """
        async with self._limiter:
            return await self.run_at_once(work, *args)

    async def run_at_once(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """
        As `run`, without a place in line, which a cancelled caller would not
        get: for cleaning up.
        """
        loop = asyncio.get_running_loop()
        # A future of the executor: a task would be cancelled with all others
        # when the loop ends.
        future = loop.run_in_executor(self.executor, partial(work, *args))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                while not future.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait({future})
            if not future.cancelled():
                future.exception()
            raise


# All below runs in threads.


@attrs.define
class TemporaryFile:
    """
    A file in the making.

    It is opened at its first byte; `keep` gives it its name, `drop` removes
    it where that has not happened.

    What changes: its bytes, and whether it is open.
    """

    directory: Path
    name: str
    #: Less what the process's umask takes away.
    mode: int = 0o666
    _path: Path | None = attrs.field(default=None, init=False)
    _fd: int = attrs.field(default=-1, init=False)

    @property
    def opened(self) -> bool:
        return self._fd >= 0

    def write(self, chunks: Iterable[bytes]) -> None:
        """
        Append to it.
        """
        if not self.opened:
            self._open()
        try:
            for chunk in chunks:
                write_all(self._fd, chunk)
        except OSError as exc:
            # A write's own error does not say where.
            exc.filename = str(self.directory)
            raise

    def empty(self) -> None:
        """
        Take back all that was written.
        """
        if self.opened:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)

    @contextmanager
    def content(self) -> Iterator[memoryview]:
        """
        All that was written, without a copy of it; at least one byte.
        """
        with (
            mmap.mmap(self._fd, 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as view,
        ):
            yield view

    def keep(self, path: Path) -> None:
        """
        Sync it, name it *path*, and sync the folder.
        """
        if self._path is None:
            raise FileNotFoundError(errno.ENOENT, "nothing to keep", str(path))
        os.fsync(self._fd)
        self._path.replace(path)
        self._path = None
        self.drop()
        _sync_folder(path.parent)

    def drop(self) -> None:
        """
        Close it, and remove it where it was not kept.
        """
        if self.opened:
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
        self._fd = os.open(path, flags | os.O_CLOEXEC, self.mode)
        self._path = path


def replace_file(path: Path, data: bytes, *, mode: int) -> None:
    """
    Replace a file in one step.
    """
    file = TemporaryFile(path.parent, path.name, mode)
    try:
        file.write([data])
        file.keep(path)
    finally:
        file.drop()


_TEMPORARY = re.compile(r"\..{1,40}\.[0-9a-f]{12}\.part", re.DOTALL)


def remove_temporary(directory: Path) -> int:
    """
    Remove the temporary files that dead runs left in *directory*.

    Returns:
        How many there were.
    """
    removed = 0
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(
                follow_symlinks=False
            ):
                Path(entry.path).unlink(missing_ok=True)
                removed += 1
    return removed


def write_all(fd: int, data: bytes) -> None:
    """
    Write *data*, however few bytes the system takes at a time.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
