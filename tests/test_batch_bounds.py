"""
What a batch may buy: the caller's bounds, told at the beginning, and kept
also where jobs are bought again.
"""

from __future__ import annotations

import asyncio

from pathlib import Path
from typing import Any

import attrs
import pytest

from journals import MemoryJournal
from waiting import until

from modelslab_async import ModelsLab, RetryPolicy, TextToImage, Timeouts
from modelslab_async.errors import (
    ConfigurationError,
    GenerationFailedError,
    OutcomeUnknownError,
)
from modelslab_async.journal import State
from modelslab_async.simulator import Fault, Latency, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0


def specs(count: int) -> list[TextToImage]:
    return [
        TextToImage(f"picture {number}.", model_id="sdxl", seed=number)
        for number in range(count)
    ]


def client(simulator: Simulator, **policy: int) -> ModelsLab:
    return ModelsLab(
        "a-key",
        base_url=simulator.url,
        slots=2,
        retry=attrs.evolve(RetryPolicy(), **policy),
        timeouts=Timeouts().faster(SPEED, silence=5.0),
    )


# Bounds.


async def test_what_is_bought_again_counts(simulator: Simulator) -> None:
    """
    No more jobs are paid for than was said, also where failed ones are
    bought again; and the batch says why it has stopped.
    """
    simulator.change(failures=1.0)

    async with (
        client(simulator, resubmit_failed=3) as lab,
        lab.batch(specs(30), max_jobs=3) as batch,
    ):
        outcomes = [outcome async for outcome in batch]

    assert len(simulator.books.accepted) == 3
    assert {type(outcome.error) for outcome in outcomes} == {
        GenerationFailedError
    }
    assert "max_jobs=3" in str(batch.stopped)


async def test_what_may_run_counts(simulator: Simulator) -> None:
    """
    A request that nobody knows the outcome of is one of those that may be
    made, and so is each that is made in its place.
    """
    simulator.next("submit", Fault.RESET_AFTER, times=1000)

    async with (
        client(simulator, resubmit_unknown=5) as lab,
        lab.batch(specs(30), max_jobs=3) as batch,
    ):
        outcomes = [outcome async for outcome in batch]

    assert len(simulator.books.accepted) == 3
    assert {type(outcome.error) for outcome in outcomes} == {
        OutcomeUnknownError
    }
    assert "max_jobs=3" in str(batch.stopped)


async def test_pictures_that_are_bought_again_count(
    simulator: Simulator,
) -> None:
    """
    *max_images* is of all pictures that are paid for.
    """
    simulator.change(failures=1.0)
    two = [attrs.evolve(one, samples=2) for one in specs(30)]

    async with client(simulator, resubmit_failed=3) as lab:
        batch = lab.batch(two, max_images=7)
        await batch

    assert len(simulator.books.accepted) == 3
    assert "max_images=7" in str(batch.stopped)


async def test_a_bound_that_is_not_met_stops_nothing(
    lab: ModelsLab,
) -> None:
    """
    A batch that fits exactly was not stopped early.
    """
    batch = lab.batch(specs(3), max_jobs=3, max_images=3)

    outcomes = await batch

    assert len(outcomes) == 3
    assert batch.stopped is None


async def test_a_bound_is_told(
    lab: ModelsLab, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A list that is short because of a bound is told to be short.
    """
    outcomes = await lab.batch(specs(9), max_jobs=2)

    (told,) = [one for one in caplog.records if "early" in one.getMessage()]
    assert len(outcomes) == 2
    assert told.levelname == "WARNING"
    assert "max_jobs=2" in told.getMessage()


async def test_failures_of_an_earlier_run_are_not_counted(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Failures that are only told again do not stop the run that tells them.
    """
    simulator.change(failing=("picture 0.", "picture 1.", "picture 2."))
    await lab.batch(specs(3), output=tmp_path)
    simulator.change(failing=None)

    batch = lab.batch(specs(12), output=tmp_path, max_failures=2)
    outcomes = await batch

    assert batch.stopped is None
    assert sum(outcome.error is None for outcome in outcomes) == 9


# A stop in the middle of it.


@pytest.mark.slow
async def test_stopped_before_it_is_bought_again(
    simulator: Simulator,
) -> None:
    """
    A failed job whose next try is still in the queue when the batch is
    stopped stays failed: it is told, and the next run does not buy it
    unasked.
    """
    journal = MemoryJournal()
    simulator.change(
        failing="picture 0.", latency=Latency.listed([1.0, 1000.0])
    )

    async with (
        client(simulator, resubmit_failed=9) as lab,
        lab.batch(specs(3), journal=journal) as batch,
    ):
        while not any(
            entry.state is State.FAILED for entry in await everything(journal)
        ):
            await asyncio.sleep(0)
        batch.stop()
    failed = {
        outcome.spec.given_seed: type(outcome.error) async for outcome in batch
    }
    bought = len(simulator.books.accepted)
    simulator.change(failing=None, latency=Latency.constant(1.0))
    simulator.vacate("a-key")
    async with client(simulator) as lab:
        again = await lab.batch(specs(1), journal=journal)

    assert failed[0] is GenerationFailedError
    assert isinstance(again[0].error, GenerationFailedError)
    assert len(simulator.books.accepted) == bought


async def everything(journal: MemoryJournal) -> list[Any]:
    return list(await journal.entries(set(State)))


async def test_asked_for_by_the_user_and_stopped(
    simulator: Simulator,
) -> None:
    """
    *resubmit_failed* is of the run that it is said to: what that run did not
    come to is failed for the next one, and not planned.
    """
    journal = MemoryJournal()
    simulator.change(failing="picture")
    async with client(simulator) as lab:
        await lab.batch(specs(6), journal=journal)
    simulator.change(failing=None, latency=Latency.constant(1000.0), hold=0.0)

    async with (
        client(simulator) as lab,
        lab.batch(specs(6), journal=journal, resubmit_failed=True) as batch,
    ):
        await until(lambda: len(lab.jobs()) == 2 and lab.stats().waiting)
        batch.stop()
    states = [entry.state for entry in await everything(journal)]

    assert State.PLANNED not in states
    assert states.count(State.FAILED) == 4


# Options that cannot be.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"items": range(3)}, "items: each a text, or None, not 0"),
        ({"items": "abc"}, "items: an iterable of texts, not 'abc'"),
        ({"items": 5}, "items: an iterable of texts, not 5"),
        ({"priority": None}, "priority: a whole number"),
        ({"max_jobs": "3"}, "max_jobs: a whole number, or None, not '3'"),
        ({"max_images": 1.5}, "max_images: a whole number"),
        ({"max_failures": -1}, "max_failures: a whole number"),
        ({"ordered": "yes"}, "ordered: True or False"),
        ({"resubmit_failed": 1}, "resubmit_failed: True or False"),
        ({"output": 5}, "output: a path, not 5"),
        ({"output": "a\0b"}, "output: no path has a NUL"),
        ({"journal": "a\0b"}, "journal: no path has a NUL"),
        ({"journal": "\ud800"}, "journal: no file is called '\\ud800'"),
        ({"journal": 5}, "journal: a path, or a Journal, not 5"),
    ],
)
async def test_options_that_cannot_be(
    lab: ModelsLab, options: dict[str, Any], words: str
) -> None:
    """
    A wrong option is told before anything is begun.
    """
    with pytest.raises(ConfigurationError) as caught:
        lab.batch(specs(3), **options)

    assert words in str(caught.value)


async def test_all_options_that_cannot_be(lab: ModelsLab) -> None:
    """
    Every wrong option is told, not only the first.
    """
    wrong: dict[str, Any] = {"items": 5, "priority": None, "max_jobs": "3"}

    with pytest.raises(ConfigurationError) as caught:
        lab.batch(specs(3), **wrong)

    assert all(f"{name}:" in str(caught.value) for name in wrong)


@pytest.mark.parametrize(
    "wrong", ["a cat", b"a cat", 5, None, TextToImage("a", model_id="sdxl")]
)
async def test_what_is_no_input(lab: ModelsLab, wrong: Any) -> None:
    """
    One spec, or a text, is no iterable of specs.
    """
    with pytest.raises(ConfigurationError, match="iterable of specs"):
        lab.batch(wrong)


async def test_keys_that_are_read_late(lab: ModelsLab) -> None:
    """
    A key that is no text is the caller's mistake also where it is lazy.
    """
    with pytest.raises(ConfigurationError, match="items: each a text"):
        await lab.batch(specs(3), items=iter(range(3)))  # type: ignore[arg-type]  # on purpose
