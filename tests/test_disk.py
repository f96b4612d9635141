"""
Files on disk, and the threads that write them.
"""

from __future__ import annotations

import asyncio
import errno
import mmap
import os
import stat
import subprocess
import sys
import threading

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelslab_async._output.disk import (
    Disk,
    TemporaryFile,
    remove_temporary,
    replace_file,
)
from modelslab_async.errors import ClientClosedError


def names(directory: Path) -> list[str]:
    """
    All that lies there, hidden files too.
    """
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.asyncio
async def test_the_default_executor_is_not_ours() -> None:
    """
    Callers who fill the loop's own threads and wait for us wait for nobody.
    """
    loop, go = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    busy = loop.run_in_executor(None, go.wait, 10)

    done = await Disk().run(lambda: "done")
    go.set()

    assert done == "done"
    assert await busy


@pytest.mark.asyncio
async def test_other_work_keeps_threads() -> None:
    """
    Of an executor that is shared, four threads are taken at most.
    """
    go, at_disk = threading.Event(), []
    executor = ThreadPoolExecutor(5)
    disk = Disk(executor)

    def work() -> None:
        at_disk.append(1)
        go.wait(10)

    tasks = [asyncio.create_task(disk.run(work)) for _ in range(9)]
    while len(at_disk) < 4:
        await asyncio.sleep(0)
    other = await asyncio.wrap_future(executor.submit(lambda: len(at_disk)))
    go.set()
    await asyncio.gather(*tasks)

    assert other == 4
    assert len(at_disk) == 9


@pytest.mark.asyncio
async def test_closed() -> None:
    """
    When the client is closed nothing new is begun, and what was is cleaned up.
    """
    executor = ThreadPoolExecutor(1)
    disk = Disk(executor)
    executor.shutdown(wait=False)

    with pytest.raises(ClientClosedError):
        await disk.run(list)

    assert await disk.clean_up(list) == []


def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    """
    Until it is kept, a file has a name of its own beside the one to come.
    """
    (tmp_path / "a").write_bytes(b"old")
    file = TemporaryFile(tmp_path, "a")

    file.write([b"one", b"two"])
    with file.content() as content:
        written = bytes(content)
    before = (tmp_path / "a").read_bytes()
    file.keep(tmp_path / "a")
    file.drop()

    assert written == b"onetwo"
    assert before == b"old"
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert names(tmp_path) == ["a"]


def test_a_dropped_file_is_gone(tmp_path: Path) -> None:
    """
    What is not kept leaves nothing, and cannot be kept any more.
    """
    file = TemporaryFile(tmp_path, "a")

    file.write([b"one"])
    file.drop()
    file.drop()

    assert names(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        file.keep(tmp_path / "a")


def test_replaced_in_one_step(tmp_path: Path) -> None:
    """
    A file is replaced with its new content and mode, and a link itself.
    """
    (tmp_path / "gold").write_bytes(b"gold")
    (tmp_path / "a").symlink_to(tmp_path / "gold")

    replace_file(tmp_path / "a", b"new", mode=0o600)

    assert (tmp_path / "gold").read_bytes() == b"gold"
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["a", "gold"]


def test_remove_temporary(tmp_path: Path) -> None:
    """
    Only temporary files of ours go, and a missing folder is no error.
    """
    for name in (".a.0123456789ab.part", "a.part", ".a.part", "a-0.png"):
        (tmp_path / name).touch()
    (tmp_path / ".b.0123456789ab.part").symlink_to(tmp_path / "a-0.png")

    removed = [remove_temporary(tmp_path), remove_temporary(tmp_path / "no")]

    assert removed == [1, 0]
    assert names(tmp_path) == [
        ".a.part",
        ".b.0123456789ab.part",
        "a-0.png",
        "a.part",
    ]


#: Writes to a temporary file, says so, and waits.
HOLD = """
import sys, pathlib
from modelslab_async._output.disk import TemporaryFile
file = TemporaryFile(pathlib.Path(sys.argv[1]), "other")
file.write([b"two"])
print(flush=True)
sys.stdin.read()
"""


def test_temporary_files_in_use_stay(tmp_path: Path) -> None:
    """
    What somebody writes to is not removed, in this process or in another;
    what a dead process left is.
    """
    ours = TemporaryFile(tmp_path, "ours")
    ours.write([b"one"])
    other = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD,
            tmp_path,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout is not None
        other.stdout.readline()
        while_it_lives = remove_temporary(tmp_path)
        other.kill()
    after = remove_temporary(tmp_path)
    ours.keep(tmp_path / "ours")

    assert (while_it_lives, after) == (0, 1)
    assert names(tmp_path) == ["ours"]


def test_removed_before_it_was_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A file that is taken for a dead one's between its making and its lock is
    made again.
    """
    real = os.open
    swept: list[Path] = []

    def opening(path: Path, *args: int) -> int:
        fd = real(path, *args)
        if not swept:
            swept.append(path)
            path.unlink()
        return fd

    monkeypatch.setattr(os, "open", opening)
    file = TemporaryFile(tmp_path, "a")
    file.write([b"one"])
    monkeypatch.undo()
    file.keep(tmp_path / "a")

    assert len(swept) == 1
    assert (tmp_path / "a").read_bytes() == b"one"


UNSUPPORTED = [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOTTY]
#: What is said of a folder that is no file.
NO_FOLDERS = [errno.EBADF, errno.EISDIR, errno.EACCES, errno.EPERM]


@pytest.mark.parametrize(
    ("code", "folders"),
    [(code, True) for code in (*UNSUPPORTED, *NO_FOLDERS)]
    + [(code, False) for code in UNSUPPORTED],
)
def test_file_systems_that_cannot_sync(
    code: int, folders: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where folders, or files, cannot be synced, a file is kept all the same.
    """

    def refuse(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode) == folders:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)

    replace_file(tmp_path / "a", b"new", mode=0o600)

    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_broken_disk_is_not_an_odd_one(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A sync that fails is an error, and what was there stays.
    """

    def refuse(fd: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    (tmp_path / "a").write_bytes(b"old")

    with pytest.raises(OSError, match=os.strerror(code)):
        replace_file(tmp_path / "a", b"new", mode=0o600)

    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("code", [*NO_FOLDERS, *UNSUPPORTED])
def test_folders_that_cannot_be_opened(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A folder that may be written and not be looked into is no error.
    """
    real = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECTORY:
            raise OSError(code, os.strerror(code))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)

    replace_file(tmp_path / "a", b"new", mode=0o600)

    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("code", [errno.ENODEV, errno.EINVAL, errno.EACCES])
def test_file_systems_that_cannot_map(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where a file cannot be mapped, it is read.
    """

    def refuse(*args: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(mmap, "mmap", refuse)
    file = TemporaryFile(tmp_path, "a")
    file.write([b"one", b"two"])

    with file.content() as content:
        assert bytes(content) == b"onetwo"
    file.write([b"three"])
    file.keep(tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == b"onetwothree"


def test_file_systems_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where nothing can be locked, files are written, and none is taken for a
    dead process's.
    """

    def refuse(*args: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    file = TemporaryFile(tmp_path, "a")
    file.write([b"one"])

    removed = remove_temporary(tmp_path)
    file.keep(tmp_path / "a")

    assert removed == 0
    assert names(tmp_path) == ["a"]
