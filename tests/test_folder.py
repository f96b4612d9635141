"""
A batch's folder: who may look into it, and what is written when.
"""

from __future__ import annotations

import errno
import json
import os
import stat

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from modelslab_async import Timeouts
from modelslab_async._output.download import Downloads
from modelslab_async._output.folder import OutputFolder
from modelslab_async._protocol.replies import FileReply
from modelslab_async.errors import JournalError


pytestmark = pytest.mark.asyncio


def no_network(url: str) -> AbstractAsyncContextManager[FileReply]:
    """
    An opener of links for those who open none.
    """
    raise AssertionError(url)


DOWNLOADS = Downloads(no_network, Timeouts())


async def test_private(tmp_path: Path) -> None:
    """
    Folder, manifest, status and pages are their owner's only.
    """
    folder = await OutputFolder.open(tmp_path / "out", DOWNLOADS, "a")
    await folder.refresh({}, final=True)

    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (folder.directory, *folder.directory.iterdir())
    }
    assert modes == {
        "out": 0o700,
        "images": 0o700,
        "journal.id": 0o600,
        "manifest.jsonl": 0o600,
        "status.json": 0o600,
        "index.html": 0o600,
    }


async def test_status_and_pages_have_their_pauses(tmp_path: Path) -> None:
    """
    Neither is written again within its pause, but both at the end, whole,
    with no other file left.
    """
    folder = await OutputFolder.open(tmp_path, DOWNLOADS, "a")

    await folder.refresh({"done": 1})
    (tmp_path / "index.html").unlink()
    await folder.refresh({"done": 2})
    between = json.loads((tmp_path / "status.json").read_text())
    gone = not (tmp_path / "index.html").exists()
    await folder.refresh({"done": 3}, final=True)

    assert between == {"done": 1}
    assert gone
    assert json.loads((tmp_path / "status.json").read_text()) == {"done": 3}
    assert {path.name for path in tmp_path.iterdir()} == {
        "images",
        "index.html",
        "journal.id",
        "manifest.jsonl",
        "status.json",
    }


async def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """
    A folder that cannot be made or written is an error of ours.
    """
    (tmp_path / "gold").touch()

    with pytest.raises(JournalError, match="unwritable"):
        await OutputFolder.open(tmp_path / "gold" / "out", DOWNLOADS, "a")


@pytest.mark.parametrize("place", ["images", "."])
async def test_a_folder_that_cannot_be_written(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    That no picture can be kept is found before one is paid for.
    """
    real = os.open
    where = (tmp_path / place).resolve()

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if path.suffix == ".part" and path.parent == where:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(JournalError, match="Read-only") as caught:
        await OutputFolder.open(tmp_path, DOWNLOADS, "a")

    assert caught.value.reason == "unwritable"
