"""
Files on disk, whole or not at all, written in threads of our own.

* Disk work runs in no event loop, and not in its default executor either: that
  may be full of callers who wait for us.
* A file is written under a temporary name in the folder where it will lie,
  synced, and only then given its name; the folder is synced after it.  So what
  has a final name is whole, after a crash too.
* A temporary file is locked while its process lives: what can be locked is
  what a dead one left, and may be removed.
* File systems that cannot sync a folder, map a file or lock one are done
  without.
* A caller who is cancelled waits for its thread: else the thread would go on
  with files that the caller has cleaned up.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import mmap
import os
import re
import secrets
import weakref

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar, TypeVarTuple

import anyio
import attrs

from ..errors import ClientClosedError


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
    _under_way: set[asyncio.Future[Any]] = attrs.field(
        factory=set, init=False, repr=False
    )
    #: In a forked child, which has neither the threads nor the files.
    left: bool = attrs.field(default=False, init=False)
    _free: asyncio.Semaphore = attrs.field(
        factory=partial(asyncio.Semaphore, _THREADS), init=False, repr=False
    )

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """
        Run *work* in a thread, and leave only when it is done.

        Raises:
            ClientClosedError: The threads are gone.
        """
        self._check()
        async with self._free:
            try:
                future = self._start(self.executor, work, *args)
            except RuntimeError:
                raise ClientClosedError from None
            return await self._to_its_end(future)

    async def clean_up(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """
        As `run`, without a queue, which a cancelled caller would not
        get, and also when the client is closed.
        """
        self._check()
        try:
            future = self._start(self.executor, work, *args)
        except RuntimeError:
            executor = ThreadPoolExecutor(1)
            future = self._start(executor, work, *args)
            executor.shutdown(wait=False)
        return await self._to_its_end(future)

    def __attrs_post_init__(self) -> None:
        _disks.add(self)

    def leave_to_parent(self) -> None:
        """
        In a forked child: what is done there, the parent does.
        """
        self.left = True
        for future in self._under_way:
            with suppress(RuntimeError):
                # Behind a result that has just come.
                future.get_loop().call_soon(_end_without_thread, future)

    def _check(self) -> None:
        if self.left:
            raise ClientClosedError

    @staticmethod
    def _start(
        executor: Executor, work: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(executor, partial(work, *args))

    async def _to_its_end(self, future: asyncio.Future[T]) -> T:
        self._under_way.add(future)
        try:
            return await _to_its_end(future)
        finally:
            self._under_way.discard(future)


def _end_without_thread(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(ClientClosedError())
        # Nobody need have waited.
        future.exception()


_disks: weakref.WeakSet[Disk] = weakref.WeakSet()


def _leave_disks() -> None:
    for disk in tuple(_disks):
        disk.leave_to_parent()


os.register_at_fork(after_in_child=_leave_disks)


async def _to_its_end(future: asyncio.Future[T]) -> T:
    # A future of the executor: a task would be cancelled with all others when
    # the loop ends.
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


@attrs.frozen
class KnownFolder:
    """
    Which folder had a path when it was looked at.
    """

    path: Path
    _found: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> Self:
        """
        The folder that is there now.
        """
        found = path.stat()
        return cls(path, (found.st_dev, found.st_ino))

    def check(self) -> None:
        """
        See that it is there still, and not another: that one's files may
        have the names of ours.

        Raises:
            FileNotFoundError: It was removed or moved.
        """
        with suppress(OSError):
            if KnownFolder.of(self.path) == self:
                return
        reason = "it was removed or moved while it is used"
        raise FileNotFoundError(errno.ENOENT, reason, str(self.path))


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
    #: What its folder is in; it gets no name where that has been moved.
    place: KnownFolder | None = None
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
        All that was written, without a copy where that can be; at least one
        byte.
        """
        try:
            mapped = mmap.mmap(self._fd, 0, access=mmap.ACCESS_READ)
        except OSError:
            with memoryview(_read_all(self._fd)) as view:
                yield view
        else:
            with mapped, memoryview(mapped) as view:
                yield view

    def keep(self, path: Path) -> None:
        """
        Sync it, name it *path*, and sync the folder.
        """
        if self._path is None:
            raise FileNotFoundError(errno.ENOENT, "nothing to keep", str(path))
        if self.place is not None:
            self.place.check()
        sync(self._fd)
        self._path.replace(path)
        self._path = None
        self.drop()
        sync_folder(path.parent)

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
        make_folder(self.directory)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        while self._path is None:
            # The start only: a long name must not become too long here.
            path = self.directory / (
                f".{self.name[:40]}.{secrets.token_hex(6)}.part"
            )
            fd = os.open(path, flags | os.O_CLOEXEC, self.mode)
            _lock(fd)
            if _is_at(fd, path):
                self._fd, self._path = fd, path
            else:
                # Taken for a dead one's before it was locked.
                os.close(fd)


def make_folder(directory: Path) -> None:
    """
    Make a folder for its owner alone, where there is none: prompts, and the
    pictures of them, are private, and the next to come leaves it as it is.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def check_writable(directory: Path) -> None:
    """
    Write a file into a folder, and remove it: now, and not when the first
    picture is paid for.

    Raises:
        OSError: That cannot be.
    """
    probe = TemporaryFile(directory, "probe")
    try:
        probe.write([b"?"])
    finally:
        probe.drop()


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
    Remove the temporary files that dead processes left in *directory*.

    Returns:
        How many there were.
    """
    removed = 0
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(
                follow_symlinks=False
            ):
                removed += _remove_dead(Path(entry.path))
    return removed


def _remove_dead(path: Path) -> bool:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except OSError:
        # It went meanwhile, or is somebody else's.
        return False
    try:
        dead = _lock(fd) and _is_at(fd, path)
        if dead:
            path.unlink()
        return dead
    finally:
        os.close(fd)


def _lock(fd: int) -> bool:
    """
    Lock a file until it is closed; False where somebody has, or where the
    file system has no locks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False


def write_all(fd: int, data: bytes) -> None:
    """
    Write *data*, however few bytes the system takes at a time.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


#: What file systems say that have no such thing: NFS, FUSE, CIFS.
_UNSUPPORTED = frozenset(
    {
        *(errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS),
        *(errno.ENOTTY, errno.EROFS),
    }
)


#: And those whose folders are no files.
_NO_FOLDERS = _UNSUPPORTED | {
    *(errno.EACCES, errno.EPERM, errno.EBADF, errno.EISDIR),
}


def sync(fd: int, without: Collection[int] = _UNSUPPORTED) -> None:
    """
    See a file, or a folder, to the disk, where the file system can.
    """
    try:
        os.fsync(fd)
    except OSError as exc:
        if exc.errno not in without:
            raise


def sync_folder(directory: Path) -> None:
    """
    See to the disk what names a folder has.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        fd = os.open(directory, flags)
    except OSError as exc:
        # A folder may be written by those who may not look into it.
        if exc.errno in _NO_FOLDERS:
            return
        raise
    try:
        sync(fd, _NO_FOLDERS)
    finally:
        os.close(fd)


def _read_all(fd: int) -> bytes:
    """
    All of a file, wherever it was left.
    """
    size = os.fstat(fd).st_size
    chunks: list[bytes] = []
    at = 0
    while at < size and (chunk := os.pread(fd, size - at, at)):
        chunks.append(chunk)
        at += len(chunk)
    return b"".join(chunks)
