"""
Who goes first, and how much is held, when many jobs want few slots.
"""

from __future__ import annotations

import asyncio
import gc

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from waiting import until

from modelslab_async import (
    ModelsLab,
    Outcome,
    PollSchedule,
    TextToImage,
    Timeouts,
)
from modelslab_async.errors import ConfigurationError
from modelslab_async.simulator import Latency, Record, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0


def named(name: str, count: int) -> Iterator[TextToImage]:
    for number in range(count):
        yield TextToImage(f"{name} {number}", model_id="sdxl")


def asked(simulator: Simulator) -> list[str]:
    """
    The first words of what was accepted, in order.
    """
    return [
        str(entry.spec["prompt"]).split()[0]
        for entry in simulator.books.accepted
    ]


@pytest_asyncio.fixture
async def single(simulator: Simulator) -> AsyncIterator[ModelsLab]:
    """
    A client with one slot, whose jobs take long enough to line up behind.
    """
    simulator.change(latency=Latency.constant(20.0), hold=0.0)
    async with ModelsLab(
        "a-key",
        base_url=simulator.url,
        slots=1,
        timeouts=Timeouts().faster(SPEED),
    ) as lab:
        yield lab


async def until_waiting(lab: ModelsLab, count: int) -> None:
    await until(lambda: lab.stats().waiting >= count)


async def test_two_batches_take_turns(
    simulator: Simulator, single: ModelsLab
) -> None:
    """
    A batch that came first does not keep the slots from one that came later.
    """
    simulator.change(latency=Latency.constant(1.0))

    await asyncio.gather(
        single.batch(named("first", 8)), single.batch(named("second", 8))
    )

    order = asked(simulator)
    pairs = list(zip(order[::2], order[1::2], strict=True))
    assert all(set(pair) == {"first", "second"} for pair in pairs)


async def test_a_call_goes_before_a_batch(
    simulator: Simulator, single: ModelsLab
) -> None:
    """
    A call in the middle of a batch is the next to be asked for.
    """
    async with single.batch(named("batch", 50)):
        await until(lambda: simulator.books.accepted)
        await until_waiting(single, 1)
        before = len(simulator.books.accepted)
        await single.submit(TextToImage("call", model_id="sdxl"))
        order = asked(simulator)

    assert order[before] == "call"


async def test_a_batch_is_not_put_off_for_ever(
    simulator: Simulator, single: ModelsLab
) -> None:
    """
    However many calls come, an item of a batch has aged past them in the end.
    """
    simulator.change(latency=Latency.constant(5.0))
    await single.submit(TextToImage("running", model_id="sdxl"))
    batch = asyncio.ensure_future(_gathered(single, "batch"))
    await until_waiting(single, 1)

    # Never fewer than two calls in the queue.
    calls = [
        asyncio.create_task(
            single.generate(TextToImage(f"call {number}", model_id="sdxl"))
        )
        for number in range(2)
    ]
    while not batch.done():
        await asyncio.wait(
            {batch, *calls}, return_when=asyncio.FIRST_COMPLETED
        )
        calls = [call for call in calls if not call.done()]
        calls += [
            asyncio.create_task(
                single.generate(TextToImage("call", model_id="sdxl"))
            )
            for _ in range(2 - len(calls))
        ]
    await asyncio.gather(*calls)

    order = asked(simulator)
    # 10 steps of priority, 5 s each: about ten jobs of 5 s.
    assert 3 <= order.index("batch") <= 20


async def _gathered(lab: ModelsLab, name: str) -> list[Outcome]:
    return await lab.batch(named(name, 1))


async def test_an_urgent_batch_goes_before_another(
    simulator: Simulator, single: ModelsLab
) -> None:
    """
    Of two batches the one with the lower priority is asked for first.
    """
    simulator.change(latency=Latency.constant(1.0))
    await single.submit(TextToImage("running", model_id="sdxl"))

    late = single.batch(named("late", 4), priority=1000)
    soon = single.batch(named("soon", 4), priority=0)
    async with late, soon:
        outcomes = [outcome async for outcome in soon]
        outcomes += [outcome async for outcome in late]

    assert asked(simulator) == ["running", *["soon"] * 4, *["late"] * 4]
    assert not any(outcome.error for outcome in outcomes)


@pytest.mark.slow
async def test_memory_does_not_grow_with_the_items(
    simulator: Simulator,
) -> None:
    """
    Of ten thousand items that are on offer, only those live that are in
    flight or not yet taken.
    """
    simulator.change(latency=Latency.constant(1.0), hold=0.0, slots=10)
    room = 2 * 10 + 16
    most = 0

    async with (
        ModelsLab(
            "a-key",
            base_url=simulator.url,
            slots=10,
            timeouts=Timeouts().faster(SPEED),
        ) as lab,
        lab.batch(named("item", 10_000)) as batch,
    ):
        for taken in range(150):
            await anext(batch)
            if taken % 30 == 29:
                most = max(most, _living())

    assert most <= room + 1


def _living() -> int:
    gc.collect()
    return sum(
        type(thing) is TextToImage and thing.prompt.startswith("item")
        for thing in gc.get_objects()
    )


async def test_order_holds_back_no_more_than_the_room(
    simulator: Simulator,
) -> None:
    """
    Where a first item takes for ever, those behind it are asked for only as
    far as there is room for their outcomes.
    """
    simulator.change(latency=Latency.listed([1000.0, *[1.0] * 10_000]))
    pulled: list[TextToImage] = []

    def counted() -> Iterator[TextToImage]:
        for spec in named("item", 10_000):
            pulled.append(spec)
            yield spec

    # A limit that is learnt may grow, and the room with it.
    timeouts = Timeouts().faster(SPEED, silence=5.0)
    async with (
        ModelsLab(
            "a-key", base_url=simulator.url, timeouts=timeouts, slots=5
        ) as lab,
        lab.batch(counted(), ordered=True) as batch,
    ):
        await until(lambda: batch.progress.done >= 25)
        for _ in range(100):
            await asyncio.sleep(0)

    # 2 x slots + max_downloads.
    assert len(pulled) == 26
    assert len(simulator.books.accepted) == 26


async def test_polls_are_asked_as_the_client_was_told(
    simulator: Simulator,
) -> None:
    """
    The client's schedule, and not the default one, says when it asks.
    """
    simulator.change(latency=Latency.constant(20.0), hold=0.0)

    async with ModelsLab(
        "a-key",
        base_url=simulator.url,
        polling=PollSchedule.fixed(3.0),
        timeouts=Timeouts().faster(SPEED),
    ) as lab:
        await lab.generate(TextToImage("a cat", model_id="sdxl"))

    assert 4 <= simulator.books.polls <= 7


@pytest.mark.parametrize(
    "options",
    [
        {"cost": 0.0},
        {"cost": float("nan")},
        {"shortest": 5.0, "longest": 1.0},
        {"longest": float("inf")},
        {"budget": 0.0},
        {"budget": float("nan")},
    ],
)
async def test_a_schedule_that_cannot_be(options: dict[str, float]) -> None:
    """
    It is refused when it is made, not when the first job is asked for.
    """
    with pytest.raises(ConfigurationError):
        PollSchedule(**options)


async def test_seconds_are_no_schedule() -> None:
    """
    A bare number of seconds is told what it should have been, at once.
    """
    with pytest.raises(ConfigurationError, match=r"polling: .*fixed\(2\)"):
        ModelsLab("a-key", polling=2.0)  # type: ignore[arg-type]  # on purpose


async def test_slots_that_were_taken_are_used_again(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    A client that had to make room for another fills all slots again when
    that one has left, and no item fails on the way.
    """
    simulator.change(latency=Latency.constant(2.0))

    async with lab.batch(named("item", 10_000)) as batch:
        outcomes = [await anext(batch) for _ in range(10)]
        simulator.occupy("a-key", 3)
        while lab.stats().slots_held > 2:
            outcomes.append(await anext(batch))
        outcomes += [await anext(batch) for _ in range(10)]
        shared = len(simulator.books.jobs)
        simulator.vacate("a-key")
        while _peak(list(simulator.books.jobs.values())[shared:]) < 5:
            outcomes.append(await anext(batch))

    # At 2 slots 300 would take five minutes, ten times as long as it may.
    assert len(outcomes) < 300
    assert not any(outcome.error for outcome in outcomes)


def _peak(jobs: list[Record]) -> int:
    """
    The most of *jobs* that ran at once.
    """
    return max(
        (
            sum(
                other.accepted <= job.accepted
                and (other.ended is None or other.ended > job.accepted)
                for other in jobs
            )
            for job in jobs
        ),
        default=0,
    )


async def test_many_batches_at_once_share_the_slots(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    Twenty batches are no reason to ask for more at once than one would.
    """
    simulator.change(latency=Latency.constant(2.0))

    lists = await asyncio.gather(
        *(_gathered(lab, f"batch{number}") for number in range(20))
    )

    assert simulator.books.peak <= 5
    assert len(simulator.books.refused) < 10
    assert all(outcome.error is None for (outcome,) in lists)
