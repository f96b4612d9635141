"""
The journal's file: made, locked, and checked before it is used.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import sqlite3
import stat
import threading

from collections.abc import Iterator
from pathlib import Path

from ..errors import JournalError
from .sqlite_tables import APPLICATION_ID, SCHEMA, SCHEMA_VERSION, SELECT


_OF_OTHERS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
}


# The file.

#: Journals that this process has open, by device and inode. Closing a second
#: descriptor of a file drops all locks that the process has on it, so the
#: file of an open journal must not even be looked at.
_open_here: set[tuple[int, int]] = set()


_guard = threading.Lock()


#: Where SQLite locks: https://www.sqlite.org/fileformat2.html, "The Lock-Byte
#: Page", and os.h of its sources.
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510


@contextlib.contextmanager
def open_to_write(path: Path) -> Iterator[sqlite3.Connection]:
    """
    The one connection to a journal, which is made if there is none.

    Raises:
        JournalError: It is another's, or it cannot be used.
    """
    try:
        if not path.parent.is_dir():
            raise unwritable(path, "there is no such folder")
        if not path.exists():
            _create(path)
        with _claimed(path):
            for place in (path.parent, path):
                if not os.access(place, os.W_OK):
                    raise unwritable(path, f"{place} is read-only")
            with _checked(path):
                pass
            connection = _connect(path, "mode=rw")
            try:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("PRAGMA synchronous = FULL")
                # Locks it, and shows that it can be written.
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('opened', 'once')"
                )
                connection.execute("COMMIT")
                yield connection
            finally:
                connection.close()
    except (sqlite3.Error, OSError) as error:
        raise as_ours(error, path) from error


@contextlib.contextmanager
def open_to_read(path: Path) -> Iterator[sqlite3.Connection]:
    """
    A connection to a journal that nobody has open; it changes nothing.

    Raises:
        JournalError: Somebody has it, there is none, or it is damaged.
    """
    try:
        if not path.exists():
            raise unwritable(path, "there is no such file")
        with _claimed(path), _checked(path) as connection:
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise as_ours(error, path) from error


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """
    Keep a second batch of this process off the file.
    """
    found = path.stat()
    mark = (found.st_dev, found.st_ino)
    with _guard:
        if mark in _open_here:
            raise _locked(path)
        _open_here.add(mark)
    try:
        yield
    finally:
        with _guard:
            _open_here.discard(mark)


@contextlib.contextmanager
def _checked(path: Path) -> Iterator[sqlite3.Connection]:
    """
    A connection that only reads, to a file that is whole and ours.

    Raises:
        JournalError: It is not.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise _corrupt(path, "is no file")
    with path.open("rb") as file:
        # Nobody can become its owner while we have this.
        try:
            fcntl.lockf(
                file,
                fcntl.LOCK_SH | fcntl.LOCK_NB,
                _SHARED_SIZE,
                _SHARED_FIRST,
            )
        except OSError as error:
            if error.errno in {errno.EACCES, errno.EAGAIN}:
                raise _locked(path) from None
            raise
        header = file.read(100)
        _check_header(path, header)
        wal, shm = _beside(path, "-wal"), _beside(path, "-shm")
        lasting = shm.exists()
        # Without a log to be read, SQLite need not make a file to share.
        quiet = not wal.exists() or wal.stat().st_size == 0
        # With a log, the end may be in there.
        if quiet and path.stat().st_size % _page_size(header):
            raise _corrupt(path, "is damaged: its end is missing")
        options = "mode=ro&immutable=1" if quiet else "mode=ro"
        connection = _connect(path, options)
        try:
            _check_whole(path, connection)
            yield connection
        finally:
            connection.close()
            if not lasting:
                shm.unlink(missing_ok=True)


def _check_header(path: Path, header: bytes) -> None:
    # https://www.sqlite.org/fileformat2.html, "The Database Header".
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise _corrupt(path, "is damaged, or is no journal")
    _check_version(
        path,
        int.from_bytes(header[68:72], "big"),
        int.from_bytes(header[60:64], "big"),
    )


def _page_size(header: bytes) -> int:
    return int.from_bytes(header[16:18], "big") or 4096


def _check_version(path: Path, application: int, version: int) -> None:
    if application != APPLICATION_ID:
        raise _corrupt(path, "is an SQLite file of another program")
    if version > SCHEMA_VERSION:
        raise JournalError(
            "newer",
            f"{path} was written by a later version of modelslab-async; "
            "update it to go on",
        )
    if 0 < version < SCHEMA_VERSION:
        raise JournalError(
            "mismatch",
            f"{path} was written by an earlier version of modelslab-async; "
            "finish it with that one, or choose another folder",
        )
    if version <= 0:
        raise _corrupt(path, "has an impossible version")


def _check_whole(path: Path, connection: sqlite3.Connection) -> None:
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        _check_version(path, application, version)
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        connection.execute(f"{SELECT} LIMIT 0")
        found = {
            name for (name,) in connection.execute("SELECT name FROM meta")
        }
    except sqlite3.Error as error:
        # The folder, or another's lock, is no fault of the file.
        if _code(error) in _OF_OTHERS:
            raise
        raise _corrupt(path, f"is damaged ({error})") from error
    if verdict != "ok" or not {"salt", "run"} <= found:
        raise _corrupt(path, "is damaged")


def _create(path: Path) -> None:
    """
    Make an empty journal, whole or not at all.
    """
    for ending in ("-wal", "-journal"):
        if _beside(path, ending).exists():
            raise _corrupt(
                path,
                f"is missing, but {_beside(path, ending).name} is there",
            )
    draft = _beside(path, f".{secrets.token_hex(4)}.new")
    # SQLite gives its other files the mode of this one.
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        connection = _connect(draft, "mode=rw")
        try:
            connection.executescript(SCHEMA)
        finally:
            connection.close()
        _put(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _put(draft: Path, path: Path) -> None:
    """
    Give the draft its name, unless somebody was faster.
    """
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    except OSError:
        # Some file systems know no links; rename would replace a file.
        if not path.exists():
            draft.rename(path)


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        # Looks are short; an owner is met before this.
        timeout=1.0,
        isolation_level=None,
    )


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


# Errors.


def _code(error: BaseException) -> int:
    """
    SQLite's primary result code, 0 if it is not SQLite's.
    """
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def as_ours(error: Exception, path: Path) -> Exception:
    """
    Our error for one of SQLite's or the system's.
    """
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return _locked(path)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _corrupt(path, f"is damaged ({error})")
    if isinstance(error, sqlite3.Error | OSError):
        return unwritable(path, str(error))
    return error


def _locked(path: Path) -> JournalError:
    return JournalError(
        "locked",
        f"{path} is being used by another batch; "
        "wait until it ends, or choose another folder",
    )


def _corrupt(path: Path, what: str) -> JournalError:
    return JournalError(
        "corrupt",
        f"{path} {what}; nothing was changed; "
        "put a good copy in its place, or choose another folder",
    )


def unwritable(path: Path, why: str) -> JournalError:
    return JournalError(
        "unwritable", f"the journal {path} cannot be used: {why}"
    )
