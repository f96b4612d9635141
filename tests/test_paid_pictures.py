"""
Pictures that were paid for are never overwritten.
"""

from __future__ import annotations

import asyncio
import shutil

from collections.abc import Iterator
from pathlib import Path

import pytest

from waiting import until

from modelslab_async import ModelsLab, TextToImage
from modelslab_async.errors import JournalError
from modelslab_async.simulator import Latency, Simulator


pytestmark = pytest.mark.asyncio


def some(what: str, count: int = 3) -> Iterator[TextToImage]:
    """
    Requests whose files would have the same names as any other's.
    """
    for number in range(count):
        yield TextToImage(f"{what} {number}", model_id="flux", seed=7)


def pictures(folder: Path) -> dict[str, bytes]:
    """
    All pictures that lie there.
    """
    return {
        path.name: path.read_bytes()
        for path in sorted((folder / "images").iterdir())
    }


async def test_another_journal(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    A second journal does not get into a folder: nothing is asked for, and
    what lies there stays; the first one goes on.
    """
    folder = tmp_path / "o"
    await lab.batch(some("cat"), output=folder, journal=tmp_path / "a.sqlite")
    before, paid = pictures(folder), len(simulator.books.accepted)

    with pytest.raises(JournalError, match="another journal") as caught:
        await lab.batch(
            some("dog"), output=folder, journal=tmp_path / "b.sqlite"
        )
    again = await lab.batch(
        some("cat"), output=folder, journal=tmp_path / "a.sqlite"
    )

    assert caught.value.reason == "mismatch"
    assert pictures(folder) == before
    assert len(simulator.books.accepted) == paid
    assert [outcome.error for outcome in again] == [None] * 3


@pytest.mark.parametrize("and_its_marker", [True, False])
async def test_a_journal_that_is_gone(
    and_its_marker: bool,
    lab: ModelsLab,
    simulator: Simulator,
    tmp_path: Path,
) -> None:
    """
    Where the journal was removed, no other input buys its pictures anew and
    writes them over those that are there; put back, it goes on.
    """
    folder = tmp_path / "o"
    await lab.batch(some("cat"), output=folder)
    before, paid = pictures(folder), len(simulator.books.accepted)
    kept = [
        shutil.move(path, tmp_path / path.name)
        for path in folder.glob(
            "journal.*" if and_its_marker else "journal.s*"
        )
    ]

    with pytest.raises(JournalError, match="put the journal back") as caught:
        await lab.batch(some("dog"), output=folder)
    for path in kept:
        shutil.move(path, folder / Path(path).name)
    again = await lab.batch(some("cat"), output=folder)

    assert caught.value.reason == "mismatch"
    assert pictures(folder) == before
    assert len(simulator.books.accepted) == paid
    assert [outcome.error for outcome in again] == [None] * 3


async def test_a_folder_of_somebody_elses_pictures(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Pictures of such names that nobody is known to own are left alone.
    """
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "000000-7-0.png").write_bytes(b"paid for")

    with pytest.raises(JournalError, match="choose another folder"):
        await lab.batch(
            some("cat"), output=tmp_path, journal=tmp_path / "a.sqlite"
        )

    assert len(simulator.books.accepted) == 0
    assert pictures(tmp_path) == {"000000-7-0.png": b"paid for"}


async def test_what_is_being_written_is_not_swept(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    A second batch that wants the folder of one that runs takes nothing away
    from it.
    """
    folder = tmp_path / "o"

    async with lab.batch(
        some("cat", 20), output=folder, journal=tmp_path / "a.sqlite"
    ) as batch:
        refused = 0
        async for outcome in batch:
            assert outcome.error is None
            try:
                await lab.batch(
                    some("dog"), output=folder, journal=tmp_path / "b.sqlite"
                )
            except JournalError:
                refused += 1

    assert refused == 20
    assert len(pictures(folder)) == 20


async def test_two_begin_at_once(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Of two batches that begin in a new folder at the same time, one gets it.
    """
    folder = tmp_path / "o"

    ends = await asyncio.gather(
        lab.batch(some("cat"), output=folder, journal=tmp_path / "a.sqlite"),
        lab.batch(some("dog"), output=folder, journal=tmp_path / "b.sqlite"),
        return_exceptions=True,
    )

    assert sorted(type(end).__name__ for end in ends) == [
        "JournalError",
        "list",
    ]
    assert len(simulator.books.accepted) == 3
    assert len(pictures(folder)) == 3


async def test_an_edited_input_overwrites_nothing(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Items that come in between, or in the place of others, get names of their
    own.
    """
    folder = tmp_path / "o"
    await lab.batch(some("cat"), output=folder)
    before = pictures(folder)

    await lab.batch([*some("dog"), *some("cat", 1)], output=folder)

    after = pictures(folder)
    assert {name: after[name] for name in before} == before
    assert len(after) == 6


async def test_another_folder_in_its_place(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    A batch whose folder is moved away while it runs puts nothing into the
    one that took its place; where it is now, it goes on.
    """
    cats, dogs = tmp_path / "cats", tmp_path / "dogs"
    await lab.batch(some("dog"), output=dogs)
    before = {
        path: path.read_bytes() for path in dogs.rglob("*") if path.is_file()
    }
    simulator.change(latency=Latency.constant(30.0))
    async with lab.batch(some("cat"), output=cats) as batch:
        await until(lambda: sum(bool(job.id) for job in lab.jobs()) == 3)
        cats.rename(tmp_path / "moved")
        dogs.rename(cats)
        outcomes = [outcome async for outcome in batch]
    cats.rename(dogs)
    again = await lab.batch(some("cat"), output=tmp_path / "moved")

    assert {
        path: path.read_bytes() for path in dogs.rglob("*") if path.is_file()
    } == before
    assert "moved while it is used" in str(batch.stopped)
    assert len(outcomes) == 3
    assert all(outcome.ok for outcome in again)
    assert len(simulator.books.accepted) == 6
