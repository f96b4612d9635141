"""
How a batch ends, and what it has told by then: nothing that was paid for is
missing, whoever leaves it, and from wherever.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging

from collections.abc import AsyncIterator, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import attrs
import pytest

from waiting import until

from modelslab_async import Batch, ModelsLab, Outcome, TextToImage, Timeouts
from modelslab_async.errors import (
    ClientClosedError,
    ConfigurationError,
    JobUnfinishedError,
    JournalError,
    OutcomeUnknownError,
)
from modelslab_async.simulator import Latency, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0
SLOTS = 5


def spec(number: int) -> TextToImage:
    return TextToImage(f"picture {number}", model_id="sdxl", seed=number)


def specs(count: int) -> list[TextToImage]:
    return [spec(number) for number in range(count)]


def client(simulator: Simulator) -> ModelsLab:
    return ModelsLab(
        "a-key",
        base_url=simulator.url,
        timeouts=Timeouts().faster(SPEED),
    )


def warnings_with(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and text in record.getMessage()
    ]


# What was paid for is told.


async def test_held_requests_are_told(simulator: Simulator) -> None:
    """
    Requests that the service holds when the client closes are in flight
    before, and unknown outcomes after.
    """
    simulator.change(hold=1e6, latency=Latency.constant(2e6))
    lab = client(simulator)

    batch = lab.batch(specs(30))
    listed = asyncio.ensure_future(_awaited(batch))
    await until(lambda: len(simulator.books.accepted) == SLOTS)
    in_flight = batch.progress.in_flight
    await lab.aclose()
    outcomes = await listed

    assert in_flight == SLOTS
    assert [type(one.error) for one in outcomes] == [
        OutcomeUnknownError
    ] * len(simulator.books.accepted)
    assert {one.track_id for one in outcomes} == {
        entry.track_id for entry in simulator.books.accepted
    }


async def _awaited(batch: object) -> list[Outcome]:
    return await batch  # type: ignore[misc, no-any-return]  # is a Batch


async def test_held_when_it_is_left(simulator: Simulator) -> None:
    """
    Whoever leaves early finds each request that left among the outcomes.
    """
    simulator.change(hold=1e6, latency=Latency.constant(2e6))

    async with client(simulator) as lab:
        async with lab.batch(specs(30)) as batch:
            await until(lambda: len(simulator.books.accepted) == SLOTS)
        outcomes = [outcome async for outcome in batch]

    assert len(outcomes) == SLOTS
    assert {type(one.error) for one in outcomes} == {OutcomeUnknownError}


async def test_running_when_it_is_left(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    A job that runs when its batch is left is an outcome that names it.
    """
    simulator.change(hold=0.0, latency=Latency.constant(1e6))

    async with lab.batch(specs(30)) as batch:
        await until(lambda: sum(bool(job.id) for job in lab.jobs()) == SLOTS)
    outcomes = [outcome async for outcome in batch]

    assert {type(one.error) for one in outcomes} == {JobUnfinishedError}
    assert {one.job_id for one in outcomes} == {job.id for job in lab.jobs()}


async def test_awaited_and_broken_by_its_input(
    lab: ModelsLab, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    What was paid for before the caller's iterable raised is in `outcomes`,
    and one WARNING names the jobs by what takes them up again.
    """

    def broken() -> Iterator[TextToImage]:
        yield from specs(3)
        raise ZeroDivisionError

    batch = lab.batch(broken())
    with pytest.raises(ZeroDivisionError):
        await batch

    paid = [str(entry.job_id) for entry in simulator.books.accepted]
    (told,) = warnings_with(caplog, "paid for")
    assert [one.spec for one in batch.outcomes] == specs(3)
    assert all(one.error is None for one in batch.outcomes)
    assert all(f"job {job_id} (ml1." in told for job_id in paid)


async def test_awaited_for_too_long(
    lab: ModelsLab, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A list that is waited for no longer is not lost: finished and unfinished
    outcomes are there, and one WARNING names all that is paid.
    """
    simulator.change(
        hold=0.0, latency=Latency.listed([1.0, 1.0, *[1e6] * 100])
    )
    batch = lab.batch(specs(30))
    waiting = asyncio.ensure_future(_awaited(batch))
    await until(lambda: batch.progress.done == 2)
    await until(lambda: sum(bool(job.id) for job in lab.jobs()) == SLOTS)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    paid = [str(entry.job_id) for entry in simulator.books.accepted]
    handles = [job.handle for job in lab.jobs()]
    (told,) = warnings_with(caplog, f"job {paid[0]} ")
    assert len(batch.outcomes) == len(paid) == 2 + SLOTS
    assert sum(one.error is None for one in batch.outcomes) == 2
    assert all(f"job {job_id} " in told for job_id in paid)
    assert all(handle in told for handle in handles)


# Who reads.


async def test_two_readers_share(lab: ModelsLab) -> None:
    """
    Any number of readers may take from one batch: each outcome once.
    """

    async def read() -> list[int]:
        return [outcome.index async for outcome in batch]

    async with lab.batch(specs(20)) as batch:
        taken = await asyncio.gather(read(), read(), read())

    assert sorted(chain.from_iterable(taken)) == list(range(20))


async def test_a_reader_that_goes_takes_nothing_along(lab: ModelsLab) -> None:
    """
    An outcome is not lost with a reader that was cancelled while it waited.
    """
    async with lab.batch(specs(20)) as batch:
        for _ in range(5):
            going = asyncio.ensure_future(anext(batch))
            await asyncio.sleep(0)
            going.cancel()
            await asyncio.wait({going})
        taken = [outcome.index async for outcome in batch]

    assert sorted(taken) == list(range(20))


async def test_only_iterated_and_left(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    A batch that nobody is inside of asks for nothing more when whoever
    iterates over it has gone; what ran then is finished.
    """
    simulator.change(hold=0.0, latency=Latency.constant(5.0))
    batch = lab.batch(specs(200))

    async for _ in batch:
        break
    bought = len(simulator.books.accepted)
    await until(lambda: not lab.jobs() and not lab.stats().waiting)
    await asyncio.sleep(0.1)

    assert bought <= len(simulator.books.accepted) <= bought + SLOTS
    assert batch.progress.in_flight == 0


async def test_read_on_after_a_break(lab: ModelsLab) -> None:
    """
    Another iteration goes on where the last one was left, with no item lost
    or asked for twice.
    """
    batch = lab.batch(specs(30))
    taken: list[int] = []

    for enough in (1, 3, 8, 30):
        async for outcome in batch:
            taken.append(outcome.index)
            if len(taken) == enough:
                break

    assert sorted(taken) == list(range(30))


async def test_taken_one_by_one(lab: ModelsLab, simulator: Simulator) -> None:
    """
    A batch that is asked for one outcome after the other gives them all.
    """
    batch = lab.batch(specs(15))

    taken = [(await anext(batch)).index for _ in range(15)]
    with pytest.raises(StopAsyncIteration):
        await anext(batch)

    assert sorted(taken) == list(range(15))
    assert len(simulator.books.accepted) == 15


async def test_only_iterated_and_cancelled(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    So it is when the iterating task was cancelled, and somebody still holds
    that task, and with its traceback the iterator.
    """
    simulator.change(hold=0.0, latency=Latency.constant(5.0))
    batch = lab.batch(specs(200))

    async def read() -> None:
        async for _ in batch:
            pass

    reading = asyncio.create_task(read())
    await until(lambda: batch.progress.done)
    reading.cancel()
    await asyncio.wait({reading})
    bought = len(simulator.books.accepted)
    await until(lambda: not lab.jobs() and not lab.stats().waiting)
    await asyncio.sleep(0.1)

    assert bought <= len(simulator.books.accepted) <= bought + SLOTS


async def test_read_on_after_a_timeout(lab: ModelsLab) -> None:
    """
    Whoever waits for each outcome for so long and no longer gets them all.
    """
    reader = aiter(lab.batch(specs(15)))
    taken: list[int] = []

    while len(taken) < 15:
        with contextlib.suppress(TimeoutError):
            outcome = await asyncio.wait_for(anext(reader), 0.01)
            taken.append(outcome.index)

    assert sorted(taken) == list(range(15))


async def test_forgotten(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    A batch that was iterated over and dropped lets go of its journal, so
    that the next one can go on.
    """
    simulator.change(hold=0.0, latency=Latency.constant(5.0))

    async for _ in lab.batch(specs(20), output=tmp_path):
        break
    gc.collect()
    outcomes = await lab.batch(specs(20), output=tmp_path)

    assert [outcome.error for outcome in outcomes] == [None] * 20
    assert len(simulator.books.accepted) == 20


async def test_finished_and_not_read_to_its_end(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    A batch whose last outcome was taken does not keep the next one out, though
    nobody has looked whether there is one more.
    """
    batch = lab.batch(specs(3), output=tmp_path)

    first = [await anext(batch) for _ in range(3)]
    second = await lab.batch(specs(3), output=tmp_path)

    assert {one.index for one in first} == {one.index for one in second}
    assert len(simulator.books.accepted) == 3


# From inside of its own input.


@pytest.mark.parametrize("who", ["batch", "client", "with"])
async def test_closed_by_its_input(
    simulator: Simulator, who: str, tmp_path: Path
) -> None:
    """
    The input may close its batch, or its client, in the middle: nobody waits
    for the other for ever.
    """
    lab = client(simulator)

    async def closing() -> AsyncIterator[TextToImage]:
        for one in specs(8):
            yield one
        if who == "batch":
            await batch.aclose()
        elif who == "client":
            await lab.aclose()
        else:
            async with lab:
                pass
        yield spec(9)

    batch = lab.batch(closing(), output=tmp_path)
    async with asyncio.timeout(5.0):
        outcomes = [outcome async for outcome in batch]
        await batch.aclose()
        await lab.aclose()

    assert len(outcomes) == len(simulator.books.accepted)
    assert len(outcomes) <= 8


async def test_an_input_that_is_cancelled_by_itself(lab: ModelsLab) -> None:
    """
    An input that raises `CancelledError` of its own, as one that reads from
    a cancelled task does, is no quiet end: it comes out as it is.
    """

    async def cancelled() -> AsyncIterator[TextToImage]:
        for one in specs(5):
            yield one
        raise asyncio.CancelledError("its own")

    async with lab.batch(cancelled()) as batch:
        taken = [(await anext(batch)).index for _ in range(5)]
        with pytest.raises(asyncio.CancelledError, match="its own"):
            await anext(batch)

    assert sorted(taken) == list(range(5))


async def test_an_input_that_is_cancelled_by_itself_awaited(
    lab: ModelsLab,
) -> None:
    """
    So it is with a list.
    """

    def cancelled() -> Iterator[TextToImage]:
        yield from specs(5)
        raise asyncio.CancelledError("its own")

    batch = lab.batch(cancelled())
    with pytest.raises(asyncio.CancelledError, match="its own"):
        await batch

    assert len(batch.outcomes) == 5


class Alarm(BaseException):
    """
    As a test runner or a signal handler raises it.
    """


@pytest.mark.parametrize(
    ("kind", "comes"),
    [
        (Alarm, Alarm),
        (GeneratorExit, GeneratorExit),
        (StopAsyncIteration, RuntimeError),
    ],
)
@pytest.mark.parametrize("durable", [False, True])
async def test_an_input_that_raises_no_exception(
    lab: ModelsLab,
    tmp_path: Path,
    kind: type[BaseException],
    comes: type[BaseException],
    durable: bool,
) -> None:
    """
    Whatever an input raises comes out as it is, after what was paid for,
    also where it is no `Exception`; only the end of another kind of iterable
    is wrapped, as it would end the reader's loop.
    """

    class Broken:
        def __init__(self) -> None:
            self.given = iter(specs(5))

        def __iter__(self) -> Iterator[TextToImage]:
            return self

        def __next__(self) -> TextToImage:
            for one in self.given:
                return one
            raise kind

    batch = lab.batch(Broken(), output=tmp_path if durable else None)
    with pytest.raises(comes):
        await batch

    assert [one.spec for one in batch.outcomes] == specs(5)
    assert all(one.error is None for one in batch.outcomes)


@pytest.mark.parametrize("kind", [StopAsyncIteration, ClientClosedError])
@pytest.mark.parametrize("where", ["specs", "async specs", "items"])
async def test_an_input_that_does_not_begin(
    lab: ModelsLab, tmp_path: Path, kind: type[Exception], where: str
) -> None:
    """
    What an input raises before it gives anything comes out, and is not taken
    for its end, or for the client's; the journal is let go of.
    """

    class Broken:
        def __iter__(self) -> Iterator[TextToImage]:
            raise kind

    class AsyncBroken:
        def __aiter__(self) -> AsyncIterator[TextToImage]:
            raise kind

    wanted: dict[str, Any] = {"specs": Broken(), "async specs": AsyncBroken()}
    batch = lab.batch(
        wanted.get(where, specs(3)),
        items=Broken() if where == "items" else None,  # type: ignore[arg-type]  # raises
        output=tmp_path,
    )
    with pytest.raises((RuntimeError, ClientClosedError)) as caught:
        await batch
    again = await lab.batch(specs(1), output=tmp_path)

    assert isinstance(caught.value, kind | RuntimeError)
    assert again[0].ok


# What is behind the point where a run has stopped.


async def test_behind_the_end_of_a_run_is_not_elsewhere(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    Items of the input that a stopped run did not come to have not left the
    input, and are not counted as if they had.
    """
    simulator.change(hold=0.0, latency=Latency.constant(1e6))
    async with client(simulator) as lab, lab.batch(specs(9), output=tmp_path):
        await until(lambda: sum(bool(job.id) for job in lab.jobs()) == SLOTS)
    simulator.change(latency=Latency.constant(1.0))
    simulator.finish()

    async with client(simulator) as lab:
        wanted = [spec(100 + number) for number in range(30)]
        async with lab.batch(
            [*wanted, *specs(9)], output=tmp_path, max_jobs=1
        ) as batch:
            async for _ in batch:
                pass

    assert batch.stopped is not None
    assert batch.progress.finished_elsewhere == 0


# Before it began.


async def read(batch: Batch) -> list[Outcome]:
    """
    All outcomes, within a time.
    """
    async with asyncio.timeout(10.0):
        return [outcome async for outcome in batch]


async def test_stopped_before_it_began(lab: ModelsLab) -> None:
    """
    Who reads a batch that was stopped before its first use waits for nothing.
    """
    batch = lab.batch(specs(3))
    batch.stop()

    assert await read(batch) == []


async def test_could_not_begin(lab: ModelsLab, tmp_path: Path) -> None:
    """
    A batch that cannot begin says so to each who reads, also to who comes
    later: none waits for ever, and none takes it for an empty one.
    """
    (tmp_path / "journal.sqlite").write_text("dear diary")
    batch = lab.batch(specs(3), output=tmp_path)

    told = await asyncio.gather(
        read(batch), read(batch), return_exceptions=True
    )
    later = await asyncio.gather(read(batch), return_exceptions=True)

    assert [type(one) for one in (*told, *later)] == [JournalError] * 3


async def test_left_while_it_waits_for_another(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    Who reads a batch that is left while it waits for an earlier one of its
    folder is told so; only who is cancelled is cancelled.
    """
    simulator.change(hold=100.0)
    timeouts = attrs.evolve(Timeouts().faster(SPEED), close=0.01)
    async with ModelsLab(
        "a-key", base_url=simulator.url, timeouts=timeouts
    ) as lab:
        async with lab.batch(specs(1), output=tmp_path):
            await until(lambda: simulator.books.accepted)
        batch = lab.batch(specs(1), output=tmp_path)
        reader = asyncio.ensure_future(read(batch))
        await until(lambda: batch._lifetime._queues)
        await batch.aclose()
        (told,) = await asyncio.gather(reader, return_exceptions=True)

    assert isinstance(told, ClientClosedError)


# An input that listens to its own batch.


@pytest.mark.parametrize("first", [0, 1, 7])
@pytest.mark.parametrize("wants", ["an outcome", "all", "a list"])
async def test_an_input_that_waits_for_itself(
    lab: ModelsLab, simulator: Simulator, first: int, wants: str
) -> None:
    """
    An input that waits for an outcome of its own batch when none can come is
    told so, and what was paid for is told to who reads.
    """
    batches: list[Batch] = []

    async def waiting() -> AsyncIterator[TextToImage]:
        for one in specs(first):
            yield one
        if wants == "a list":
            await batches[0]
        async for _ in batches[0]:
            if wants == "an outcome":
                await anext(batches[0])
        yield spec(99)

    batches.append(lab.batch(waiting()))
    async with asyncio.timeout(10), batches[0] as batch:
        with pytest.raises(ConfigurationError, match="of its own batch"):
            async for _ in batch:
                pass

    assert len(simulator.books.accepted) == first
    assert batch.progress.done == first


async def test_an_input_that_follows_its_outcomes(lab: ModelsLab) -> None:
    """
    An input may give what comes of each item as the next: one is under way.
    """
    batches: list[Batch] = []

    async def following() -> AsyncIterator[TextToImage]:
        yield spec(0)
        for number in range(1, 6):
            outcome = await anext(batches[0])
            assert outcome.index == number - 1
            yield spec(number)

    batches.append(lab.batch(following()))
    async with asyncio.timeout(10), batches[0] as batch:
        await until(lambda: batch.progress.done == 6)
        (last,) = [outcome async for outcome in batch]

    assert last.index == 5


async def test_awaited_once_more(
    lab: ModelsLab, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A batch that gave its list was not broken off by whoever asks again.
    """
    batch = lab.batch(specs(1))
    outcomes = await batch

    with pytest.raises(ClientClosedError, match="make a new one"):
        await batch

    assert [one.ok for one in outcomes] == [True]
    assert caplog.messages == []
