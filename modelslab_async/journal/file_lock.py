"""
Who may use a journal's file: one process, and one batch of it.

SQLite's own locks are POSIX locks: they die when the process closes any
descriptor of the file, as whoever zips or copies a batch's folder does. So
there are two of another kind (flock), which belong to the descriptor that we
keep:

* on a file beside the journal, which tells a second process at once, also
  where the journal was removed or replaced meanwhile;
* on the journal itself, which is the same file by whatever name.

A killed process leaves neither behind, and a forked child has no part in
them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time

from collections.abc import Iterator
from pathlib import Path


#: Seconds in which whoever only looks at a journal is done with it.
_LOOKS_TAKE = 1.0
_PAUSE = 0.01


#: Descriptors that hold a lock. A child has them too, and would keep what its
#: parent lets go of.
_held: set[int] = set()


def _let_go_in_child() -> None:
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go_in_child)


class LockedError(Exception):
    """
    Somebody else has it.
    """


@contextlib.contextmanager
def lock_path(path: Path) -> Iterator[None]:
    """
    Hold the right to a journal's path, whether there is one or not.

    The file for it is gone afterwards, unless it was there before and the
    journal was not used.

    Raises:
        LockedError: Somebody else has it.

        OSError: The folder cannot be written.
    """
    beside = path.with_name(path.name + ".lock")
    while True:
        made = not beside.exists()
        descriptor = _open_held(beside, os.O_RDWR | os.O_CREAT)
        try:
            _flock(descriptor, fcntl.LOCK_EX)
            # Its last owner may just have removed it.
            if same_file(beside, descriptor):
                break
        except BaseException:
            _close(descriptor)
            raise
        _close(descriptor)
    used = False
    try:
        yield
        used = True
    finally:
        if (used or made) and same_file(beside, descriptor):
            beside.unlink(missing_ok=True)
        _close(descriptor)


@contextlib.contextmanager
def lock_file(path: Path, *, shared: bool = False) -> Iterator[int]:
    """
    Hold the right to a journal that is there; give its descriptor.

    Args:
        path: A regular file.

        shared: To look only, together with others who look.

    Raises:
        LockedError: Somebody else has it.
    """
    # Opened to write, it is the file that is written, on layered systems too.
    descriptor = _open_held(path, os.O_RDONLY if shared else os.O_RDWR)
    try:
        give_up = time.monotonic() + (0.0 if shared else _LOOKS_TAKE)
        while True:
            try:
                _flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
                break
            except LockedError:
                if time.monotonic() >= give_up:
                    raise
                time.sleep(_PAUSE)
        yield descriptor
    finally:
        _close(descriptor)


def same_file(path: Path, descriptor: int) -> bool:
    """
    Whether *path* still leads to what was opened.
    """
    try:
        there = path.stat()
    except OSError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _open_held(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    _held.add(descriptor)
    return descriptor


def _close(descriptor: int) -> None:
    # A child has closed it already.
    if descriptor in _held:
        _held.discard(descriptor)
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> None:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            raise LockedError from None
        raise
