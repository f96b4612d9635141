"""
Who has a journal's file, and what is said of disks that are full or broken.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from journals import US, items, walk

from modelslab_async.errors import ConfigurationError, JournalError
from modelslab_async.journal import (
    SqliteJournal,
    State,
    Submitting,
    file_lock,
    folder_of_another,
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Nobody here only looks at a journal, as a lock is waited for otherwise.
    """
    monkeypatch.setattr(file_lock, "_LOOKS_TAKE", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "out"
    place.mkdir()
    return place


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "journal.sqlite"


async def begun(path: Path) -> SqliteJournal:
    """
    A journal with an accepted item, open.
    """
    journal = await SqliteJournal.open(path)
    await journal.begin(US)
    await journal.plan(items("ab"))
    await walk(journal, 0, State.ACCEPTED)
    return journal


async def reason(path: Path) -> str:
    """
    Why a journal cannot be opened here.
    """
    with pytest.raises(JournalError) as caught:
        await SqliteJournal.open(path)
    return caught.value.reason


_OPEN = """
import asyncio, sys
from modelslab_async.errors import JournalError
from modelslab_async.journal import SqliteJournal, file_lock

file_lock._LOOKS_TAKE = 0.0

async def main():
    journal = await SqliteJournal.open(sys.argv[1])
    print("open", flush=True)
    await journal.aclose()

try:
    asyncio.run(main())
except JournalError as error:
    print(error.reason)
"""


async def elsewhere(path: Path) -> str:
    """
    What another process says that wants the journal.
    """
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _OPEN, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


# What other people do with the files of a batch.


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for file in folder.iterdir():
            archive.write(file)


def copied(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"))


def read(folder: Path) -> None:
    for file in folder.iterdir():
        file.read_bytes()


def opened_to_write(folder: Path) -> None:
    for file in folder.iterdir():
        with file.open("r+b"):
            pass


def without_its_lock(folder: Path) -> None:
    read(folder)
    (folder / "journal.sqlite.lock").unlink()


def forked(folder: Path) -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.parametrize(
    "use",
    [
        without_its_lock,
        *(
            pytest.param(use, marks=pytest.mark.slow)
            for use in (read, zipped, copied, opened_to_write, forked)
        ),
    ],
    ids=lambda use: use.__name__,
)
@pytest.mark.asyncio
async def test_lock_survives(
    folder: Path, path: Path, use: Callable[[Path], None]
) -> None:
    """
    Whatever a process does with its own folder, the journal stays its own
    until it is closed.
    """
    journal = await begun(path)
    await asyncio.to_thread(use, folder)

    meanwhile = [await elsewhere(path), await reason(path)]
    await journal.move(1, Submitting("t"))
    await journal.aclose()

    assert meanwhile == ["locked", "locked"]
    assert await elsewhere(path) == "open"


def symlinked(folder: Path) -> Path:
    other = folder.with_name("other")
    other.symlink_to(folder)
    return other / "journal.sqlite"


def symlinked_file(folder: Path) -> Path:
    other = folder.with_name("other.sqlite")
    other.symlink_to(folder / "journal.sqlite")
    return other


def hard_linked(folder: Path) -> Path:
    other = folder.with_name("other.sqlite")
    other.hardlink_to(folder / "journal.sqlite")
    return other


def roundabout(folder: Path) -> Path:
    return folder / ".." / folder.name / "journal.sqlite"


@pytest.mark.parametrize(
    "name",
    [
        hard_linked,
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (symlinked, symlinked_file, roundabout)
        ),
    ],
    ids=lambda name: name.__name__,
)
@pytest.mark.asyncio
async def test_lock_by_any_name(
    folder: Path, path: Path, name: Callable[[Path], Path]
) -> None:
    """
    A journal is one journal, by whatever name it is asked for.
    """
    journal = await begun(path)
    other = name(folder)

    meanwhile = [await elsewhere(other), await reason(other)]
    await journal.aclose()

    assert meanwhile == ["locked", "locked"]


_FORK = """
import asyncio, os, sys, time
from modelslab_async.journal import SqliteJournal

async def main():
    journal = await SqliteJournal.open(sys.argv[1])
    if os.fork():
        print("open", flush=True)
        time.sleep(60)
    os.close(1)
    time.sleep(60)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.asyncio
async def test_child_that_outlives_its_parent(path: Path) -> None:
    """
    A forked child keeps nothing that its parent had, also when that one is
    killed.
    """
    with subprocess.Popen(
        [sys.executable, "-c", _FORK, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        meanwhile = await elsewhere(path)
        process.kill()
        process.wait()
        afterwards = await elsewhere(path)
        os.killpg(process.pid, 9)

    assert [meanwhile, afterwards] == ["locked", "open"]


@pytest.mark.asyncio
async def test_what_a_killed_process_left(folder: Path, path: Path) -> None:
    """
    The file of a dead process's lock locks nobody out.
    """
    (folder / "journal.sqlite.lock").write_text("")

    journal = await begun(path)
    await journal.aclose()

    assert {file.name for file in folder.iterdir()} == {"journal.sqlite"}


# Its place.


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def removed_file(folder: Path) -> None:
    (folder / "journal.sqlite").unlink()


def removed_log(folder: Path) -> None:
    (folder / "journal.sqlite-wal").unlink()


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def replaced(folder: Path) -> None:
    place = folder / "journal.sqlite"
    place.rename(folder / "old.sqlite")
    shutil.copy(folder / "old.sqlite", place)


@pytest.mark.parametrize(
    "change",
    [removed, removed_file, removed_log, moved, replaced],
    ids=lambda change: change.__name__,
)
@pytest.mark.asyncio
async def test_removed_or_moved(
    folder: Path, path: Path, change: Callable[[Path], None]
) -> None:
    """
    What is written where no next run will find it is not written.
    """
    journal = await begun(path)
    await asyncio.to_thread(change, folder)

    with pytest.raises(JournalError, match="removed or moved") as caught:
        await journal.move(1, Submitting("t"))
    await journal.aclose()

    assert caught.value.reason == "unwritable"


@pytest.mark.asyncio
async def test_moved_and_put_back(folder: Path, path: Path) -> None:
    """
    A journal that is where it was can be written again, and has all.
    """
    journal = await begun(path)
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(JournalError):
        await journal.get(0)

    folder.with_name("elsewhere").rename(folder)
    await journal.move(1, Submitting("t"))
    await journal.aclose()

    found = await SqliteJournal.inspect(path)
    assert found.counts[State.SUBMITTING] == 1


@pytest.mark.asyncio
async def test_another_in_its_place(folder: Path, path: Path) -> None:
    """
    Closing a journal that was moved does not touch the one that lies where
    it was.
    """
    old = await begun(path)
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()
    new = await begun(path)

    await old.aclose()
    await new.move(1, Submitting("t"))
    await new.aclose()

    found = await SqliteJournal.inspect(path)
    assert found.counts[State.SUBMITTING] == 1


@pytest.mark.asyncio
async def test_folder_of_the_process_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A relative path means what it meant when the journal was opened.
    """
    monkeypatch.chdir(folder)
    journal = await begun(Path("journal.sqlite"))

    monkeypatch.chdir(tmp_path)
    await journal.move(1, Submitting("t"))
    await journal.aclose()

    assert journal.path == folder / "journal.sqlite"
    assert {file.name for file in tmp_path.iterdir()} == {"out"}


# Its name.


@pytest.mark.asyncio
async def test_id(folder: Path, path: Path) -> None:
    """
    A journal has one name for good, and no other journal has it.
    """
    journals = []
    for place in (path, path, folder / "other.sqlite"):
        journal = await SqliteJournal.open(place)
        await journal.aclose()
        journals.append(journal)
    first, again, other = journals

    assert first.id == again.id != other.id
    assert len(first.id) == 32
    error = folder_of_another(str(folder))
    assert error.reason == "mismatch"
    assert str(folder) in str(error)


# Disks.


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """
    SQLite on a disk that fails at the statements that hold a word.
    """

    def breaks(word: str, code: int, text: str) -> None:
        class Broken(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                if word in sql:
                    error = sqlite3.OperationalError(text)
                    error.sqlite_errorcode = code
                    raise error
                return super().execute(sql, *values)

        monkeypatch.setattr(
            sqlite3,
            "connect",
            functools.partial(sqlite3.connect, factory=Broken),
        )

    return breaks


@pytest.mark.parametrize(
    "word", ["application_id", "quick_check", "FROM meta", "INSERT", "BEGIN"]
)
@pytest.mark.parametrize(
    ("code", "text"),
    [
        (sqlite3.SQLITE_IOERR, "disk I/O error"),
        (sqlite3.SQLITE_IOERR_READ, "disk I/O error"),
        (sqlite3.SQLITE_IOERR_SHMMAP, "disk I/O error"),
        (sqlite3.SQLITE_FULL, "database or disk is full"),
        (sqlite3.SQLITE_CANTOPEN, "unable to open database file"),
        (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
        (sqlite3.SQLITE_PERM, "access permission denied"),
        (sqlite3.SQLITE_NOMEM, "out of memory"),
    ],
)
@pytest.mark.asyncio
async def test_broken_at_the_start(
    path: Path,
    broken: Callable[..., None],
    word: str,
    code: int,
    text: str,
) -> None:
    """
    A disk that does not answer is no damaged journal: whoever believed it
    would buy all again.
    """
    await (await begun(path)).aclose()
    broken(word, code, text)

    assert await reason(path) == "unwritable"


@pytest.mark.parametrize("call", ["open", "rename"])
@pytest.mark.parametrize(
    "code",
    [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT],
    ids=lambda code: errno.errorcode[code],
)
@pytest.mark.asyncio
async def test_cannot_be_made(
    folder: Path,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    code: int,
) -> None:
    """
    Where no journal can be made, nothing is left of the attempt.
    """
    really = getattr(os, call)

    def fails(place: object, *rest: object) -> object:
        if "journal.sqlite" in str(place):
            raise OSError(code, os.strerror(code))
        return really(place, *rest)

    monkeypatch.setattr(os, call, fails)

    assert await reason(path) == "unwritable"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "code",
    [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS],
    ids=lambda code: errno.errorcode[code],
)
@pytest.mark.asyncio
async def test_folder_that_cannot_be_synced(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """
    A file system that cannot sync its folders is gone on without.
    """

    def fsync(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)

    journal = await begun(path)
    await journal.aclose()

    assert (await SqliteJournal.inspect(path)).counts[State.ACCEPTED] == 1


@pytest.mark.asyncio
async def test_no_shared_memory(folder: Path, path: Path) -> None:
    """
    Where no memory can be shared by way of a file, a journal is made,
    written, and taken up after a kill.
    """
    (folder / "journal.sqlite-shm").mkdir()
    journal = await begun(path)
    files = {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.is_file()
    }
    await journal.aclose()
    for name, body in files.items():
        (folder / name).write_bytes(body)

    journal = await SqliteJournal.open(path)
    counts = await journal.counts()
    await journal.aclose()

    assert "journal.sqlite-wal" in files
    assert counts[State.ACCEPTED] == 1


# Letting go.


def test_abandoned_without_a_loop(path: Path) -> None:
    """
    Whoever finds its loop closed lets go of the file at once, and all that
    was asked for is written.
    """

    async def leave() -> SqliteJournal:
        journal = await begun(path)
        unheard = asyncio.create_task(journal.plan(items("xxx")))
        await asyncio.sleep(0)
        unheard.cancel()
        return journal

    journal = asyncio.run(leave())
    journal.abandon()
    journal.abandon()

    found = asyncio.run(SqliteJournal.inspect(path))
    assert found.counts[State.PLANNED] == 4
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [None, 5, b"a.sqlite", ["a.sqlite"]])
async def test_what_is_no_path(path: Any) -> None:
    """
    A journal is opened by its path.
    """
    with pytest.raises(ConfigurationError, match="a journal's path is needed"):
        await SqliteJournal.open(path)
