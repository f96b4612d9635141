"""
Journals that cannot be used: each is a clear error before anything is asked
for, and nothing is overwritten; and disks that are full at the worst moment.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
import subprocess
import sys

from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest

from journals import MemoryJournal
from waiting import until

from modelslab_async import Job, ModelsLab, TextToImage, Timeouts
from modelslab_async.errors import (
    DownloadError,
    JournalError,
    OutcomeUnknownError,
)
from modelslab_async.journal import Entry, SqliteJournal, State, Step
from modelslab_async.simulator import Latency, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0


def specs(count: int) -> list[TextToImage]:
    return [
        TextToImage(f"picture {number}", model_id="sdxl", seed=number)
        for number in range(count)
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def refusal(lab: ModelsLab, output: Path, **options: object) -> str:
    """
    Why a batch is refused.
    """
    with pytest.raises(JournalError) as caught:
        await lab.batch(specs(3), output=output, **options)  # type: ignore[arg-type]  # as a caller would
    return str(caught.value.reason)


# Files that are no journal of this batch.


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def foreign(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (precious TEXT)")
    connection.close()


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def no_file(path: Path) -> None:
    path.unlink()
    path.mkdir()


def other_text(path: Path) -> None:
    path.write_text("dear diary")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (cut, "corrupt"),
        (cut_to_nothing, "corrupt"),
        (foreign, "corrupt"),
        (newer, "newer"),
        (no_file, "unwritable"),
        (other_text, "corrupt"),
    ],
)
async def test_unusable_file(
    lab: ModelsLab,
    simulator: Simulator,
    tmp_path: Path,
    harm: Callable[[Path], None],
    reason: str,
) -> None:
    """
    A file that is no journal is refused before anything is asked for, and no
    byte of the folder changes.
    """
    await lab.batch(specs(2), output=tmp_path)
    harm(tmp_path / "journal.sqlite")
    before, asked = contents(tmp_path), len(simulator.books.entries)

    said = await refusal(lab, tmp_path)

    assert said == reason
    assert contents(tmp_path) == before
    assert len(simulator.books.entries) == asked


async def test_file_for_a_folder(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Where no folder can be made, nothing is asked for.
    """
    (tmp_path / "file").write_text("mine")

    said = [
        await refusal(lab, tmp_path / "file"),
        await refusal(lab, tmp_path / "file" / "below"),
    ]

    assert said == ["unwritable", "unwritable"]
    assert contents(tmp_path) == {"file": b"mine"}
    assert simulator.books.entries == []


async def test_folder_without_permission(
    lab: ModelsLab,
    simulator: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A folder that may not be written to is told of before anything is asked
    for. (Root may write everywhere, so the system's no is played.)
    """
    really = os.open

    def denied(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(tmp_path)):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return really(path, flags, mode)

    monkeypatch.setattr(os, "open", denied)

    said = await refusal(lab, tmp_path)

    assert said == "unwritable"
    assert simulator.books.entries == []


_HOLD = """
import asyncio, sys
from pathlib import Path
from modelslab_async.journal import SqliteJournal

async def main():
    journal = await SqliteJournal.open(Path(sys.argv[1]))
    print("open", flush=True)
    input()

asyncio.run(main())
"""


@pytest.mark.slow
async def test_second_process(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    While another process has the folder, a batch is told at once; when that
    one is killed, the folder is free.
    """
    path = tmp_path / "journal.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        said = await refusal(lab, tmp_path)
        asked = len(simulator.books.entries)
        other.kill()
    outcomes = await lab.batch(specs(3), output=tmp_path)

    assert (said, asked) == ("locked", 0)
    assert [outcome.error for outcome in outcomes] == [None] * 3


async def test_second_batch_of_this_process(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Two batches of one process do not share a folder, and the second's no
    does not harm the first.
    """
    async with lab.batch(specs(3), output=tmp_path) as batch:
        said = await refusal(lab, tmp_path)
        outcomes = [outcome async for outcome in batch]

    assert said == "locked"
    assert len(outcomes) == len(simulator.books.accepted) == 3


async def test_another_key(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Jobs can be fetched only by the account that asked for them: a journal
    of another key is refused until the user says that it is the same one.
    """
    await lab.batch(specs(2), output=tmp_path)
    other = ModelsLab("another-key", base_url=simulator.url)

    async with other:
        said = await refusal(other, tmp_path)
        outcomes = await other.batch(specs(2), output=tmp_path, new_key=True)
    await refusal(lab, tmp_path)

    assert said == "mismatch"
    assert len(outcomes) == len(simulator.books.accepted) == 2


async def test_another_origin(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    A batch does not go on against another service.
    """
    await lab.batch(specs(2), output=tmp_path)

    async with (
        Simulator(speed=SPEED, pictures="plain") as elsewhere,
        ModelsLab("a-key", base_url=elsewhere.url) as other,
    ):
        said = await refusal(other, tmp_path)

    assert said == "mismatch"
    assert elsewhere.books.entries == []


async def test_an_item_with_another_request(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    A key of one's own stands for one request: edited under the same key it
    is refused, and nothing of the input is asked for.
    """
    await lab.batch(specs(1), output=tmp_path, items=["a"])

    said = await refusal(lab, tmp_path, items=["new", "a", "b"])

    assert said == "mismatch"
    assert len(simulator.books.entries) == 1


async def test_an_item_twice(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    One key for two items is a mistake, and told before it costs.
    """
    with pytest.raises(JournalError, match="comes twice"):
        await lab.batch(specs(1) * 3, output=tmp_path, items=["a", "b", "a"])

    assert simulator.books.entries == []


# Disks that are full.


@attrs.define(eq=False)
class FullDisk(MemoryJournal):
    """
    A journal that cannot take some steps for a while.

    What changes: *fails*, how often each state cannot be written; *tried*.
    """

    fails: dict[str, int] = attrs.field(factory=dict, kw_only=True)
    tried: list[str] = attrs.field(factory=list, init=False)

    async def move(self, index: int, step: Step) -> Entry:
        name = type(step).__name__.lower()
        self.tried.append(name)
        if self.fails.get(name, 0) > 0:
            self.fails[name] -= 1
            raise JournalError("unwritable", "no space left on device")
        return await super().move(index, step)

    def states(self) -> list[State]:
        return [entry.state for entry in self._entries]


async def test_full_before_the_request(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    What cannot be written down is not asked for.
    """
    journal = FullDisk(fails={"submitting": 1000})

    async with lab.batch(specs(30), journal=journal) as batch:
        outcomes = [outcome async for outcome in batch]

    assert outcomes == []
    assert isinstance(batch.stopped, JournalError)
    assert simulator.books.entries == []
    assert set(journal.states()) == {State.PLANNED}
    assert lab.stats().slots_held == 0


async def test_full_when_the_answer_came(
    lab: ModelsLab, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A paid job that cannot be written down is shouted out with its id; the
    batch asks for nothing more, and tries the write until it succeeds.
    """
    simulator.change(latency=Latency.constant(30.0), hold=0.0)
    journal = FullDisk(fails={"accepted": 7})

    async with lab.batch(specs(100), journal=journal) as batch:
        outcomes = [outcome async for outcome in batch]

    shouted = [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.CRITICAL
    ]
    bought = [str(entry.job_id) for entry in simulator.books.accepted]
    paid = [entry.job_id for entry in journal._entries if entry.job_id]
    assert 1 <= len(bought) == len(outcomes) <= 5
    assert sorted(paid) == sorted(bought)
    assert any(bought[0] in line for line in shouted)
    assert all("is paid" in line for line in shouted)
    assert isinstance(batch.stopped, JournalError)
    assert State.SUBMITTING not in journal.states()


@pytest.mark.parametrize("step", ["accepted", "done", "stored"])
async def test_full_for_a_moment(
    lab: ModelsLab,
    simulator: Simulator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    step: str,
) -> None:
    """
    Steps that could not be written are written in their order afterwards:
    whichever it was, the journal ends with what is true.
    """
    simulator.change(latency=Latency.constant(5.0), hold=0.0)
    journal = FullDisk(fails={step: 1})

    async with lab.batch(specs(2), journal=journal, output=tmp_path) as batch:
        outcomes = [outcome async for outcome in batch]

    assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
    assert isinstance(batch.stopped, JournalError)
    assert set(journal.states()) <= {State.STORED, State.PLANNED}
    assert journal.states().count(State.STORED) == len(outcomes) > 0
    assert "died of a bug" not in caplog.text


async def test_full_while_it_is_put_back(
    lab: ModelsLab, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A refused request whose way back cannot be written is not sent again.
    """
    simulator.occupy("a-key", 5)
    journal = FullDisk(fails={"planned": 1})

    async with lab.batch(specs(20), journal=journal) as batch:
        outcomes = [outcome async for outcome in batch]

    assert outcomes == []
    assert isinstance(batch.stopped, JournalError)
    assert set(journal.states()) == {State.PLANNED}
    assert len(simulator.books.entries) <= 5
    assert "died of a bug" not in caplog.text


async def test_full_while_a_picture_comes(
    lab: ModelsLab,
    simulator: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A disk that is full of pictures stops the batch with that error; with
    room again the same batch saves what was paid for, and buys the rest.
    """
    full = True
    really = os.fsync

    def fsync(fd: int) -> None:
        name = str(Path(f"/proc/self/fd/{fd}").readlink())
        if full and "/images" in name and tmp_path.name in name:
            raise OSError(errno.ENOSPC, "No space left on device")
        really(fd)

    monkeypatch.setattr(os, "fsync", fsync)

    async with lab.batch(specs(60), output=tmp_path) as batch:
        first = [outcome async for outcome in batch]
    bought = len(simulator.books.accepted)
    full = False
    second = await lab.batch(specs(60), output=tmp_path)

    assert isinstance(batch.stopped, DownloadError)
    assert "No space left" in str(batch.stopped)
    assert 1 <= len(first) == bought < 60
    assert [outcome.error for outcome in second] == [None] * 60
    assert all(outcome.paths[0].is_file() for outcome in second)
    assert simulator.books.alike == {}


# Left in a hurry.


async def test_an_answer_after_the_batch_was_left(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    A verdict that comes when its batch has been left for long is written
    down all the same, and the client watches the job.
    """
    simulator.change(hold=30.0, latency=Latency.constant(40.0))
    timeouts = attrs.evolve(Timeouts().faster(SPEED), close=0.01)

    async with ModelsLab(
        "a-key", base_url=simulator.url, slots=1, timeouts=timeouts
    ) as lab:
        async with lab.batch(specs(1), output=tmp_path) as batch:
            while not simulator.books.accepted:
                await asyncio.sleep(0)
        (outcome,) = [one async for one in batch]
        await until(lambda: all(job.id for job in lab.jobs()))
        watched: tuple[Job, ...] = lab.jobs()
        await asyncio.gather(*watched)
        held = lab.stats().slots_held
    look = await SqliteJournal.inspect(tmp_path / "journal.sqlite")

    (bought,) = simulator.books.accepted
    assert isinstance(outcome.error, OutcomeUnknownError)
    assert outcome.track_id == bought.track_id
    assert [job.id for job in watched] == [str(bought.job_id)]
    assert held == 0
    assert look.unknown == ()
    assert look.counts[State.ACCEPTED] == 1


@pytest.mark.parametrize("name", ["out", "link", "link/../out"])
async def test_begun_again_while_an_answer_is_awaited(
    simulator: Simulator, tmp_path: Path, name: str
) -> None:
    """
    A batch that was left, and is begun again by the same client while the
    service still holds its request, by whatever name, waits for that answer:
    nothing is called unknown that is not, and nothing is bought twice.
    """
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    simulator.change(hold=30.0, latency=Latency.constant(40.0))
    timeouts = attrs.evolve(Timeouts().faster(SPEED), close=0.01)

    async with ModelsLab(
        "a-key", base_url=simulator.url, slots=1, timeouts=timeouts
    ) as lab:
        async with lab.batch(specs(1), output=tmp_path / "out"):
            while not simulator.books.accepted:
                await asyncio.sleep(0)
        outcomes = await lab.batch(
            specs(1), output=tmp_path / name, resubmit_unknown=True
        )

    assert [outcome.error for outcome in outcomes] == [None]
    assert len(simulator.books.accepted) == 1


# Removed or moved in the middle.


async def removed(folder: Path) -> None:
    for path in folder.glob("journal*"):
        path.unlink()


async def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize("harm", [removed, moved])
async def test_a_journal_that_is_taken_away(
    lab: ModelsLab,
    simulator: Simulator,
    tmp_path: Path,
    harm: Callable[[Path], Awaitable[None]],
) -> None:
    """
    A journal that is removed or moved while it is used stops the batch, as a
    full disk does: what is bought from then on would be bought again.
    """
    simulator.change(latency=Latency.constant(5.0))
    folder = tmp_path / "out"

    async with lab.batch(specs(500), output=folder) as batch:
        await anext(batch)
        await harm(folder)
        bought = len(simulator.books.accepted)
        async for _ in batch:
            pass

    # Or the first picture that finds no folder.
    assert isinstance(batch.stopped, JournalError | DownloadError)
    assert len(simulator.books.accepted) <= bought + 5


async def test_no_longer_begun_again(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    Whoever waits for the batch before to write down its answers may go at
    any time.
    """
    simulator.change(hold=1e6, latency=Latency.constant(2e6))
    timeouts = attrs.evolve(Timeouts().faster(SPEED), close=0.01)

    async with ModelsLab(
        "a-key", base_url=simulator.url, slots=1, timeouts=timeouts
    ) as lab:
        async with lab.batch(specs(1), output=tmp_path):
            await until(lambda: simulator.books.accepted)
        async with asyncio.timeout(5.0):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await lab.batch(specs(1), output=tmp_path)

    assert len(simulator.books.accepted) == 1


async def test_another_working_directory(
    lab: ModelsLab,
    simulator: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A folder is the one that was meant when the batch was made, wherever the
    program goes meanwhile.
    """
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    async with lab.batch(specs(12), output="out") as batch:
        outcomes = [await anext(batch)]
        monkeypatch.chdir(tmp_path / "there")
        outcomes += [outcome async for outcome in batch]
    monkeypatch.chdir(tmp_path / "there")

    assert all(outcome.paths[0].is_absolute() for outcome in outcomes)
    assert all(outcome.paths[0].is_file() for outcome in outcomes)
    assert len(list((tmp_path / "here/out/images").iterdir())) == 12
    assert list((tmp_path / "there").iterdir()) == []
