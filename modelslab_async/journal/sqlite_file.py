"""
The journal's file: made, locked, and checked before it is used.

What cannot be read or written now (an I/O error, a full disk, no permission)
is `unwritable`. Only what was read, and is not as we write it, is `corrupt`:
who is told so may throw away what is paid for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
import threading

from collections.abc import Iterator
from pathlib import Path

import attrs

from ..errors import JournalError
from .file_lock import LockedError, lock_file, lock_path, same_file
from .sqlite_tables import APPLICATION_ID, FILE_VERSION, SCHEMA, SELECT


#: What is said of a file that is not as we left it. All else (an I/O error, a
#: full disk, no permission) is said of where it lies.
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
}


#: No such table, no such column.
_NOT_OURS = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA}


#: Folders that cannot be synced need not be.
_NO_SYNC = {
    *(errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS),
    *(errno.EACCES, errno.EPERM, errno.EBADF, errno.EISDIR, errno.ENOTTY),
}


@attrs.frozen
class OpenFile:
    """
    A journal's file while it is ours.
    """

    path: Path
    connection: sqlite3.Connection
    _descriptor: int
    _log: tuple[int, int] | None

    def check_place(self) -> None:
        """
        See that what is written is where the next run will look for it.

        Raises:
            JournalError: `unwritable`: it was removed or moved.
        """
        if not (
            same_file(self.path, self._descriptor)
            and _inode(_beside(self.path, "-wal")) == self._log
        ):
            raise unwritable(
                self.path, "it was removed or moved while it is used"
            )

    def close(self) -> None:
        """
        Close it, unless the log of another journal is in our log's place:
        SQLite would remove that, as it knows its log by name only.
        """
        if _inode(_beside(self.path, "-wal")) in {None, self._log}:
            self.connection.close()
        else:
            # What a thread has is never let go of.
            threading.Thread(
                target=lambda _: threading.Event().wait(),
                args=(self.connection,),
                daemon=True,
            ).start()


@contextlib.contextmanager
def open_to_write(path: Path) -> Iterator[OpenFile]:
    """
    The one connection to a journal, which is made if there is none.

    Raises:
        JournalError: It is another's, or it cannot be used.
    """
    # The file beside it and SQLite's own are where it is, not where a link is.
    path = place_of(path)
    try:
        if not path.parent.is_dir():
            raise unwritable(path, "there is no such folder")
        check_access(path)
        with lock_path(path):
            if not path.exists():
                _create(path)
            _check_is_file(path)
            with lock_file(path) as descriptor:
                with _checked(path, descriptor) as checked:
                    whole = checked is not None
                file = _open_checked(path, descriptor, whole=whole)
                try:
                    yield file
                finally:
                    file.close()
    except LockedError:
        raise _locked(path) from None
    except (sqlite3.Error, OSError) as error:
        raise as_ours(error, path) from error


def _open_checked(path: Path, descriptor: int, *, whole: bool) -> OpenFile:
    connection = _connect(path, "mode=rw")
    try:
        # Before anything is read: so it needs no memory that is shared by way
        # of a file, which not every file system has.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = FULL")
        if not whole:
            _check_whole(path, connection)
        # Locks it, and shows that it can be written.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('opened', 'once')"
        )
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    log = _inode(_beside(path, "-wal"))
    return OpenFile(path, connection, descriptor, log)


def check_access(path: Path) -> None:
    """
    See that a journal at *path* could be written.

    Raises:
        JournalError: `unwritable`.
    """
    if path.exists():
        _check_is_file(path)
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.W_OK):
            raise unwritable(path, f"{place} is read-only")


#: What else has a name.
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _check_is_file(path: Path) -> None:
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind != stat.S_IFREG:
        found = _KINDS.get(kind, "something else")
        raise unwritable(path, f"it is {found}, and no file")


def place_of(path: Path) -> Path:
    """
    Where a journal is, whatever links lead to it.

    Raises:
        JournalError: They lead nowhere.
    """
    try:
        found = path.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        # The last is of links in a circle, up to Python 3.12.
        raise unwritable(path, str(error)) from error
    # From 3.13 on such a link is what it leads to.
    if found.is_symlink():
        raise unwritable(path, "its links lead in a circle")
    return found


@contextlib.contextmanager
def open_to_read(path: Path) -> Iterator[sqlite3.Connection]:
    """
    A connection to a journal that nobody has open; it changes nothing.

    Raises:
        JournalError: Somebody has it, there is none, or it is damaged.
    """
    path = place_of(path)
    try:
        if not path.exists():
            raise unwritable(path, "there is no such file")
        _check_is_file(path)
        with (
            lock_file(path, shared=True) as descriptor,
            _checked(path, descriptor) as connection,
        ):
            if connection is None:
                raise unwritable(path, "its log cannot be read now")
            yield connection
    except LockedError:
        raise _locked(path) from None
    except (sqlite3.Error, OSError) as error:
        raise as_ours(error, path) from error


@contextlib.contextmanager
def _checked(
    path: Path, descriptor: int
) -> Iterator[sqlite3.Connection | None]:
    """
    A connection that only reads, to a file that is whole and ours; None where
    its log can be read by an owner only.

    Raises:
        JournalError: It is not.
    """
    header = os.pread(descriptor, 100, 0)
    _check_header(path, header)
    log, shared = _beside(path, "-wal"), _beside(path, "-shm")
    lasting = shared.exists()
    # Without a log to be read, SQLite need not make a file to share.
    quiet = not log.exists() or log.stat().st_size == 0
    # With a log, the end may be in there.
    if quiet and path.stat().st_size % _page_size(header):
        raise _corrupt(path, "is damaged: its end is missing")
    connection = _connect(path, "mode=ro&immutable=1" if quiet else "mode=ro")
    readable = True
    try:
        try:
            _check_whole(path, connection)
        except sqlite3.Error as error:
            # No shared memory here, or no room for its file?
            readable = False
            if quiet or _code(error) == sqlite3.SQLITE_BUSY:
                raise
        yield connection if readable else None
    finally:
        connection.close()
        if not lasting and shared.is_file():
            shared.unlink(missing_ok=True)


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
    if version > FILE_VERSION:
        raise JournalError(
            "newer",
            f"{path} was written by a later version of modelslab-async; "
            "update it to go on",
        )
    if 0 < version < FILE_VERSION:
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
        if _code(error) not in _DAMAGED | _NOT_OURS:
            raise
        raise _corrupt(path, f"is damaged ({error})") from error
    if verdict != "ok" or not {"id", "salt", "run"} <= found:
        raise _corrupt(path, "is damaged")


def _create(path: Path) -> None:
    """
    Make an empty journal, whole or not at all.
    """
    check_none_left(path)
    draft = _beside(path, ".new")
    _remove_draft(draft)
    # SQLite gives its other files the mode of this one.
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        connection = _connect(draft, "mode=rw")
        try:
            connection.executescript(SCHEMA)
        finally:
            connection.close()
        draft.rename(path)
    finally:
        _remove_draft(draft)
    _sync_directory(path.parent)


def check_none_left(path: Path) -> None:
    """
    See that there is nothing left of a journal that is gone.

    Raises:
        JournalError: `corrupt`.
    """
    for ending in ("-wal", "-journal"):
        if _beside(path, ending).exists():
            raise _corrupt(
                path,
                f"is missing, but {_beside(path, ending).name} is there",
            )


def _remove_draft(draft: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        _beside(draft, ending).unlink(missing_ok=True)


def _sync_directory(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        # Of programs that are not ours.
        timeout=1.0,
        isolation_level=None,
    )


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
        case code if code in _DAMAGED:
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
