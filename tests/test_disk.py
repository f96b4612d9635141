"""
Files on disk, and the threads that write them.
"""

from __future__ import annotations

import asyncio
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
