"""
A dry run tells what the run would: that it is refused, in the same words, or
what it asks for; and it changes nothing.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import sqlite3

from collections.abc import Callable
from pathlib import Path

import pytest

from shells import Type, modelslab_settings, service, type_

from modelslab_async.journal import SqliteJournal
from modelslab_async.simulator import Fault, Reply, Simulator


__all__ = ["modelslab_settings", "service", "type_"]


ROWS = '{"prompt": "a cat", "item": "c"}\n{"prompt": "a dog"}\n'
BATCH = ("batch", "rows.jsonl", "-o", "out")


@pytest.fixture(autouse=True)
def out(tmp_path: Path, service: Simulator) -> Path:
    """
    Where the batch of two rows goes; there is nothing yet.
    """
    (tmp_path / "rows.jsonl").write_text(ROWS)
    return tmp_path / "out"


def everything(folder: Path) -> dict[str, tuple[float, int, bytes]]:
    """
    All that lies there, and since when.
    """
    return {
        str(path): (
            path.lstat().st_mtime_ns,
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [folder, *folder.rglob("*")]
    }


def _another_origin(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSLAB_BASE_URL", "http://127.0.0.1:9/api/v6")


def _another_key(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSLAB_API_KEY", "another")


def _no_address(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSLAB_BASE_URL", "modelslab.com")


def _no_proxy(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSLAB_PROXY", "socks5://127.0.0.1:1")


def _another_journal(out: Path, _: pytest.MonkeyPatch) -> None:
    (out / "journal.id").write_text("another's\n")


def _journal_gone(out: Path, _: pytest.MonkeyPatch) -> None:
    (out / "journal.sqlite").unlink()


def _journal_gone_but_its_log(out: Path, _: pytest.MonkeyPatch) -> None:
    shutil.rmtree(out)
    out.mkdir()
    (out / "journal.sqlite-wal").write_bytes(b"?")


def _owner_unknown(out: Path, _: pytest.MonkeyPatch) -> None:
    (out / "journal.id").unlink()


def _pictures_only(out: Path, _: pytest.MonkeyPatch) -> None:
    (out / "journal.sqlite").unlink()
    (out / "journal.id").unlink()


def _cut_short(out: Path, _: pytest.MonkeyPatch) -> None:
    os.truncate(out / "journal.sqlite", 5000)


def _no_journal(out: Path, _: pytest.MonkeyPatch) -> None:
    (out / "journal.sqlite").write_text("my diary\n" * 99)


def _another_program(out: Path, _: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(out / "journal.sqlite") as journal:
        journal.execute("PRAGMA application_id = 7")
    journal.close()


def _newer(out: Path, _: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(out / "journal.sqlite") as journal:
        journal.execute("PRAGMA user_version = 99")
    journal.close()


def _a_folder(out: Path, _: pytest.MonkeyPatch) -> None:
    (out / "journal.sqlite").unlink()
    (out / "journal.sqlite").mkdir()


def _in_a_circle(out: Path, _: pytest.MonkeyPatch) -> None:
    (out / "journal.sqlite").unlink()
    (out / "journal.sqlite").symlink_to("journal.sqlite")


def _images_a_file(out: Path, _: pytest.MonkeyPatch) -> None:
    shutil.rmtree(out / "images")
    (out / "images").touch()


def _changed(out: Path, _: pytest.MonkeyPatch) -> None:
    (out.parent / "rows.jsonl").write_text('{"prompt": "b", "item": "c"}')


@pytest.mark.parametrize(
    "spoil",
    [
        _another_origin,
        _another_key,
        _no_address,
        _no_proxy,
        _another_journal,
        _journal_gone,
        _journal_gone_but_its_log,
        _owner_unknown,
        _pictures_only,
        _cut_short,
        _no_journal,
        _another_program,
        _newer,
        _a_folder,
        _in_a_circle,
        _images_a_file,
        _changed,
    ],
    ids=lambda spoil: spoil.__name__.strip("_"),
)
def test_refused_alike(
    type_: Type,
    out: Path,
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Whatever a run would be refused for, a dry run is refused for, in the same
    words and with the same code, and leaves all as it is.
    """
    type_(*BATCH)
    spoil(out, monkeypatch)
    before = everything(out)

    dry = type_(*BATCH, "--dry-run")
    after = everything(out)
    real = type_(*BATCH)

    assert real.code == dry.code == 2
    assert (dry.out, dry.err) == ("", real.err)
    assert len(dry.err.splitlines()) == 1
    assert after == before


@pytest.mark.parametrize(
    ("first", "then"), [(["--simulate"], []), ([], ["--simulate"])]
)
def test_a_simulated_folder(
    type_: Type, out: Path, first: list[str], then: list[str]
) -> None:
    """
    What was begun with the simulator is not gone on with for money, nor the
    other way, and a dry run says so.
    """
    type_(*BATCH, *first, "--speed", "100")

    dry = type_(*BATCH, *then, "--dry-run")
    real = type_(*BATCH, *then)

    assert (dry.code, dry.out, dry.err) == (2, "", real.err)
    assert "simulator" in dry.err
    assert "choose another folder" in dry.err


def test_a_simulated_folder_without_a_key(
    type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without a key the same is told, and that a run needs one.
    """
    type_(*BATCH, "--simulate", "--speed", "100")
    monkeypatch.delenv("MODELSLAB_API_KEY")

    dry = type_(*BATCH, "--dry-run")
    elsewhere = type_(*BATCH[:-1], "other", "--dry-run")

    assert dry.code == 2
    assert "choose another folder" in dry.err
    assert elsewhere.code == 0
    assert "a run needs a key in MODELSLAB_API_KEY" in elsewhere.err
    assert elsewhere.lines == ["would ask for 2 requests, 2 pictures"]


def test_locked(
    type_: Type, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A folder whose batch runs is told as such.
    """
    monkeypatch.setattr("modelslab_async.journal.file_lock._LOOKS_TAKE", 0.0)
    type_(*BATCH)

    with (out / "journal.sqlite").open() as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        dry = type_(*BATCH, "--dry-run")
        real = type_(*BATCH)

    assert real.code == dry.code == 2
    assert "is being used by another batch" in dry.err
    assert dry.err == real.err


@pytest.mark.parametrize("folder", ["rows.jsonl/out", "rows.jsonl"])
def test_where_no_folder_can_be(type_: Type, folder: str) -> None:
    """
    A file that is in the folder's way is told.
    """
    dry = type_(*BATCH[:-1], folder, "--dry-run")
    real = type_(*BATCH[:-1], folder)

    assert real.code == dry.code == 2
    assert dry.err == real.err


def test_another_key_of_the_same_account(
    type_: Type, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The user's word that it is the same account counts here, too.
    """
    type_(*BATCH)
    monkeypatch.setenv("MODELSLAB_API_KEY", "another")

    dry = type_(*BATCH, "--dry-run", "--new-key")

    assert dry.code == 0, dry.err
    assert "2 are there already" in dry.lines


@pytest.mark.parametrize("where", ["out", "a/b/out"])
def test_a_folder_that_is_not_there(
    type_: Type, tmp_path: Path, service: Simulator, where: str
) -> None:
    """
    Nothing is made where nothing is asked for.
    """
    ran = type_(*BATCH[:-1], where, "--dry-run")

    assert ran.code == 0, ran.err
    assert ran.lines == ["would ask for 2 requests, 2 pictures"]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
    assert service.books.entries == []


def test_what_a_run_does(
    type_: Type, service: Simulator, tmp_path: Path, out: Path
) -> None:
    """
    What is said is what the run then does, with each option that asks again
    and within its bounds.
    """
    no = Reply(400, {"status": "error", "message": "no"})
    service.next("submit", no, prompt="a dog")
    service.next("submit", Fault.TORN, prompt="a cat")
    type_(*BATCH)
    with (tmp_path / "rows.jsonl").open("a") as rows:
        rows.write('{"prompt": "an owl", "samples": 3}\n{"prompt": "a bee"}\n')

    bound = type_(*BATCH, "--dry-run", "--max-images", "3")
    again = ("--resubmit-failed", "--resubmit-unknown")
    every = type_(*BATCH, "--dry-run", "--json", *again)
    asked = len(service.books.entries)
    type_(*BATCH, "--max-images", "3")
    bounded = len(service.books.entries)
    type_(*BATCH, *again)

    assert bound.lines == [
        "would ask for 1 request, 3 pictures",
        "would not ask for 1 more, by --max-images 3",
        (
            "2 failed or are unknown, and would not be asked for again "
            "without --resubmit-failed or --resubmit-unknown"
        ),
    ]
    assert bounded - asked == 1
    assert every.objects[0]["requests"] == 4
    assert len(service.books.entries) - asked == 4


def test_what_another_simulator_left(
    type_: Type, tmp_path: Path, out: Path
) -> None:
    """
    Jobs that ended with their simulator are asked for anew, and a dry run
    knows it.
    """
    simulated = (*BATCH, "--simulate", "--speed", "100")
    type_(*simulated)
    with sqlite3.connect(out / "journal.sqlite") as journal:
        journal.execute("UPDATE item SET state = 2, files = '[]'")
    journal.close()

    dry = type_(*simulated, "--dry-run", "--json")
    real = type_(*simulated)

    assert dry.objects[0]["requests"] == 2
    assert dry.objects[0]["fetched"] == 0
    assert real.code == 0, real.err


def test_what_has_left_the_input(
    type_: Type, tmp_path: Path, out: Path
) -> None:
    """
    What is paid for is fetched, whether it is in the input or not.
    """
    type_(*BATCH)
    with sqlite3.connect(out / "journal.sqlite") as journal:
        journal.execute("UPDATE item SET state = 2, files = '[]'")
    journal.close()
    (tmp_path / "rows.jsonl").write_text(ROWS.splitlines()[0])

    dry = type_(*BATCH, "--dry-run", "--json")
    type_(*BATCH)
    stored = asyncio.run(SqliteJournal.inspect(out / "journal.sqlite")).counts

    assert dry.objects[0]["fetched"] == 2
    assert sum(stored.values()) == 2
    assert json.loads(dry.out)["requests"] == 0
