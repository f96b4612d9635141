"""
Many jobs at once: lazy, bounded, and never an exception for one of them.
"""

from __future__ import annotations

import asyncio
import logging

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from waiting import until

from modelslab_async import Batch, ModelsLab, TextToImage, Timeouts
from modelslab_async.errors import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    GenerationFailedError,
    ModelNotFoundError,
    SpecError,
)
from modelslab_async.simulator import KeyState, Latency, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0
SLOTS = 5
#: In flight plus finished and not taken: 2 x slots + max_downloads.
ROOM = 2 * SLOTS + 16


def spec(number: int, model_id: str = "sdxl") -> TextToImage:
    """
    A request that no other equals.
    """
    return TextToImage(f"picture {number}", model_id=model_id, seed=number)


def counted(most: int, seen: list[int]) -> Iterator[TextToImage]:
    """
    Specs, and how many were pulled.
    """
    for number in range(most):
        seen.append(number)
        yield spec(number)


def busy(batch: Batch) -> int:
    """
    How many items are under way, or wait for a slot.
    """
    progress = batch.progress
    return progress.in_flight + progress.waiting


async def test_awaited_it_is_a_list_in_input_order(lab: ModelsLab) -> None:
    """
    However the jobs finish, outcome n is of spec n.
    """
    specs = [spec(number) for number in range(20)]

    outcomes = await lab.batch(specs)

    assert [outcome.spec for outcome in outcomes] == specs
    assert [outcome.index for outcome in outcomes] == list(range(20))
    assert all(outcome.unwrap().images for outcome in outcomes)


async def test_an_empty_batch_is_an_empty_list(lab: ModelsLab) -> None:
    """
    Nothing in, nothing out, and nothing waited for.
    """
    assert await lab.batch([]) == []


async def test_a_failed_item_is_an_outcome(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    One bad model fails its item only, with its error beside the others.
    """
    simulator.change(unknown_models={"no-such"})
    specs = [spec(0), spec(1, "no-such"), spec(2)]

    outcomes = await lab.batch(specs)

    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        ModelNotFoundError,
        type(None),
    ]
    with pytest.raises(ModelNotFoundError):
        outcomes[1].unwrap()


async def test_input_is_pulled_only_when_there_is_room(
    lab: ModelsLab,
) -> None:
    """
    A reader that takes nothing is asked to hold 2 x slots + downloads.
    """
    pulled: list[int] = []

    async with lab.batch(counted(500, pulled)) as batch:
        first = await anext(batch)
        await until(lambda: len(pulled) >= ROOM and not busy(batch))

    assert first.error is None
    assert ROOM <= len(pulled) <= ROOM + 1


async def test_a_slow_reader_slows_the_asking(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    What nobody takes is not replaced by new jobs.
    """
    pulled: list[int] = []

    async with lab.batch(counted(500, pulled)) as batch:
        async for outcome in batch:
            await until(lambda: not busy(batch))
            if outcome.index >= 0 and len(pulled) > 40:
                break
        accepted = len(simulator.books.accepted)

    assert accepted <= batch.progress.done + ROOM


async def test_any_async_iterable_will_do(lab: ModelsLab) -> None:
    """
    An async generator is pulled as lazily as a list.
    """

    async def several() -> AsyncIterator[TextToImage]:
        for number in range(7):
            await asyncio.sleep(0)
            yield spec(number)

    outcomes = await lab.batch(several())

    assert [outcome.spec.given_seed for outcome in outcomes] == list(range(7))


async def test_in_order_where_order_is_wanted(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    A slow first item keeps the others back, and slots stay busy.
    """
    simulator.change(latency=Latency.listed([30.0, *[1.0] * 29]))
    specs = [spec(number) for number in range(30)]

    async with lab.batch(specs, ordered=True) as batch:
        order = [outcome.index async for outcome in batch]

    assert order == list(range(30))


async def test_what_the_input_raises_comes_after_what_was_paid(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    The caller's own error comes out as it is, and no paid job is lost.
    """

    def broken() -> Iterator[TextToImage]:
        yield spec(0)
        yield spec(1)
        raise KeyError("the caller's")

    async with lab.batch(broken()) as batch:
        outcomes = [await anext(batch), await anext(batch)]
        with pytest.raises(KeyError, match="caller"):
            await anext(batch)

    assert sorted(outcome.index for outcome in outcomes) == [0, 1]
    assert len(simulator.books.accepted) == 2


async def test_leaving_early_names_what_is_paid(
    lab: ModelsLab, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    One WARNING has the id of every paid, unfinished job, and the client goes
    on watching them.
    """
    simulator.change(latency=Latency.constant(300.0), hold=0.0)

    async with lab.batch(counted(500, [])) as batch:
        while not all_accepted(lab):
            await asyncio.sleep(0)

    left = "".join(
        record.getMessage()
        for record in caplog.records
        if "left a batch" in record.getMessage()
    )
    assert len(lab.jobs()) == SLOTS
    assert all(str(job.id) in left for job in lab.jobs())
    assert batch.progress.in_flight == 0


@pytest.mark.parametrize("journalled", [False, True])
async def test_what_is_left_is_told_once(
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    journalled: bool,
) -> None:
    """
    A batch that is left and its client that closes tell no handle twice, and
    none of what a journal knows, only how many and where.
    """
    simulator.change(latency=Latency.constant(300.0), hold=0.0)
    output = tmp_path / "out" if journalled else None

    async with ModelsLab.simulated(simulator.url, speed=100) as lab:
        async with lab.batch(counted(500, []), output=output):
            while not all_accepted(lab):
                await asyncio.sleep(0)
        handles = [job.handle for job in lab.jobs()]

    said = [
        record.getMessage()
        for record in caplog.records
        if "unfinished" in record.getMessage()
    ]
    told = "".join(said)
    assert len(handles) == SLOTS
    assert [told.count(one) for one in handles] == [not journalled] * SLOTS
    assert told.count(f"{SLOTS} in {output}/journal.sqlite") == journalled
    assert len(said) == 1 + (not journalled)


async def test_a_client_that_closes_says_what_a_journal_knows(
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """
    Of what is under way when a client closes, only what no journal knows is
    told by its handle.
    """
    simulator.change(latency=Latency.constant(300.0), hold=0.0)
    async with ModelsLab.simulated(simulator.url, speed=100) as lab:
        alone = await lab.submit(TextToImage("alone", model_id="flux"))
        batch = lab.batch(counted(50, []), output=tmp_path / "out")
        async with batch:
            while not all_accepted(lab):
                await asyncio.sleep(0)
            await lab.aclose()

    (said,) = [
        record.getMessage()
        for record in caplog.records
        if "closed with" in record.getMessage()
    ]
    assert alone.handle in said
    assert said.count("ml1.") == 1
    assert f"{SLOTS - 1} in {tmp_path}/out/journal.sqlite" in said


def all_accepted(lab: ModelsLab) -> bool:
    """
    Whether all slots have jobs that were answered.
    """
    jobs = lab.jobs()
    return len(jobs) == SLOTS and all(job.id is not None for job in jobs)


@pytest.mark.parametrize(
    ("bound", "asked"),
    [({"max_jobs": 7}, 7), ({"max_images": 7}, 3)],
)
async def test_a_budget_is_kept(
    lab: ModelsLab,
    simulator: Simulator,
    bound: dict[str, int],
    asked: int,
) -> None:
    """
    No more jobs, and no more pictures, are asked for than was said.
    """
    specs = [
        TextToImage(f"{number}", model_id="sdxl", samples=2)
        for number in range(30)
    ]

    outcomes = await lab.batch(specs, **bound)  # type: ignore[arg-type]  # one option or the other

    assert len(outcomes) == asked
    assert len(simulator.books.accepted) == asked


async def test_enough_failures_stop_it(
    lab: ModelsLab, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    After *max_failures* nothing more is asked for, and it says why.
    """
    simulator.change(unknown_models={"no-such"})
    specs = (spec(number, "no-such") for number in range(500))

    async with lab.batch(specs, max_failures=3) as batch:
        outcomes = [outcome async for outcome in batch]

    assert 3 <= len(outcomes) <= 3 + SLOTS
    assert isinstance(batch.stopped, ModelNotFoundError)
    assert "stopped early" in caplog.text


async def test_a_refused_account_stops_it(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    A batch of 500 makes a handful of calls with a bad key, not 500.
    """
    simulator.change(keys={"another-key": KeyState.GOOD})

    async with lab.batch(counted(500, [])) as batch:
        outcomes = [outcome async for outcome in batch]

    assert isinstance(batch.stopped, AuthenticationError)
    assert len(simulator.books.entries) <= SLOTS
    assert all(
        isinstance(outcome.error, AuthenticationError) for outcome in outcomes
    )


async def test_a_busy_account_fails_no_item(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    Refusals for a full queue are put back into the queue, and never tell.
    """
    simulator.occupy("a-key", 3)
    specs = [spec(number) for number in range(12)]

    outcomes = await lab.batch(specs)

    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert simulator.books.refusals


@pytest.mark.parametrize("times", [0, 2])
async def test_failed_jobs_are_bought_again_only_if_told(
    simulator: Simulator, times: int
) -> None:
    """
    Each failure costs; only `RetryPolicy(resubmit_failed=n)` pays again.
    """
    from modelslab_async import RetryPolicy

    simulator.change(failures=1.0)
    timeouts = Timeouts().faster(SPEED, silence=5.0)
    retry = RetryPolicy(resubmit_failed=times)

    async with ModelsLab(
        "a-key", base_url=simulator.url, timeouts=timeouts, retry=retry
    ) as lab:
        (outcome,) = await lab.batch([spec(0)])

    assert isinstance(outcome.error, GenerationFailedError)
    assert len(simulator.books.accepted) == 1 + times


async def test_progress_counts_every_item_once(lab: ModelsLab) -> None:
    """
    At the end all are done, none is in flight, and the rate is known.
    """
    async with lab.batch([spec(number) for number in range(12)]) as batch:
        during = [batch.progress async for _ in batch]
    progress = batch.progress

    assert (progress.total, progress.done, progress.failed) == (12, 12, 0)
    assert (progress.in_flight, progress.waiting) == (0, 0)
    assert progress.images == 12
    assert progress.rate > 0
    assert all(one.done <= 12 for one in during)


async def test_an_item_that_is_no_spec_comes_out(lab: ModelsLab) -> None:
    """
    A wrong type in the input is the caller's mistake, and told as one.
    """
    mixed = [spec(0), "a cat"]

    async with lab.batch(mixed) as batch:  # type: ignore[arg-type]  # on purpose
        first = await anext(batch)
        with pytest.raises(ConfigurationError, match="not str"):
            await anext(batch)

    assert first.error is None


async def test_a_spec_error_in_a_generator_comes_out(lab: ModelsLab) -> None:
    """
    Bad input that the caller's generator builds is raised, not swallowed.
    """
    specs = (
        TextToImage("a cat", model_id="sdxl", width=width)
        for width in (512, 513)
    )

    with pytest.raises(SpecError, match="width"):
        await lab.batch(specs)


async def test_a_batch_is_used_once(lab: ModelsLab) -> None:
    """
    A second await would ask, and pay, again: it is refused.
    """
    batch = lab.batch([spec(0)])
    await batch

    with pytest.raises(ClientClosedError, match="batch is over"):
        await batch


async def test_closing_the_client_ends_its_batches(
    lab: ModelsLab, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A reader of a closed client is not left waiting for ever.
    """
    simulator.change(latency=Latency.constant(300.0))
    caplog.set_level(logging.WARNING)

    async with lab.batch(counted(500, [])) as batch:
        while len(lab.jobs()) < SLOTS:
            await asyncio.sleep(0)
        await lab.aclose()
        outcomes = [outcome async for outcome in batch]

    assert all(outcome.error is not None for outcome in outcomes)


async def test_items_name_the_outcomes(lab: ModelsLab) -> None:
    """
    A key of one's own comes back with its outcome.
    """
    outcomes = await lab.batch([spec(0), spec(1)], items=["a", "b"])

    assert [outcome.item for outcome in outcomes] == ["a", "b"]
