"""
A journal inside of the tasks of an engine of one's own: taskiq's, which
delivers a task again when its worker dies.
"""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from pgserver import Server
from proxy import proxied

from modelslab_async import ModelsLab, TextToImage
from modelslab_async.cluster import PostgresJournal
from modelslab_async.errors import JournalError, OutcomeUnknownError
from modelslab_async.journal import State
from modelslab_async.simulator import Latency, Simulator


if TYPE_CHECKING:
    from taskiq import InMemoryBroker


pytestmark = pytest.mark.asyncio

#: Seconds between two looks for a task's result.
SOON = 0.01


async def order(lab: ModelsLab, dsn: str, order_id: str) -> str:
    """
    What the page on clusters says to put into a task.
    """
    async with PostgresJournal(dsn, batch="orders") as journal:
        [outcome] = await lab.batch(
            [TextToImage(f"order {order_id}", model_id="sdxl", seed=1)],
            items=[order_id],
            journal=journal,
        )
    return str(outcome.unwrap().images[0].url)


@pytest_asyncio.fixture
async def broker() -> AsyncIterator[InMemoryBroker]:
    # Not where it is collected: it takes long to import.
    from taskiq import InMemoryBroker

    broker = InMemoryBroker()
    await broker.startup()
    yield broker
    await broker.shutdown()


async def test_delivered_again(
    lab: ModelsLab,
    simulator: Simulator,
    emptied: str,
    broker: InMemoryBroker,
) -> None:
    """
    A task that is delivered three times buys one picture, and gives it each
    time; others are not held up.
    """

    @broker.task
    async def picture(order_id: str) -> str:
        return await order(lab, emptied, order_id)

    urls: dict[str, set[str]] = {}
    for order_id in ("a", "a", "b", "a"):
        task = await picture.kiq(order_id)
        result = await task.wait_result(SOON, timeout=30)
        result.raise_for_error()
        urls.setdefault(order_id, set()).add(result.return_value)

    assert {name: len(found) for name, found in urls.items()} == {
        "a": 1,
        "b": 1,
    }
    assert len(simulator.books.accepted) == 2


async def test_many_tasks_at_once(
    lab: ModelsLab,
    simulator: Simulator,
    emptied: str,
    broker: InMemoryBroker,
) -> None:
    """
    Tasks of one batch that run at once, each with a journal of its own, do
    not take each other's items.
    """

    @broker.task
    async def picture(order_id: str) -> str:
        return await order(lab, emptied, order_id)

    tasks = [await picture.kiq(str(number)) for number in range(12)]
    results = [await task.wait_result(SOON, timeout=60) for task in tasks]

    assert [result.is_err for result in results] == [False] * 12
    assert len({result.return_value for result in results}) == 12
    assert len(simulator.books.accepted) == 12


async def test_worker_that_died(
    lab: ModelsLab, simulator: Simulator, emptied: str
) -> None:
    """
    Where its worker died, the next delivery polls the job that was accepted.
    """
    simulator.change(latency=Latency.constant(40.0))
    died = asyncio.ensure_future(order(lab, emptied, "a"))
    async with PostgresJournal(emptied, batch="orders") as journal:
        while not (await journal.counts())[State.ACCEPTED]:
            await asyncio.sleep(0.01)

    # A worker that was given up for dead, and goes on.
    url = await order(lab, emptied, "a")
    await asyncio.wait({died})

    assert url.startswith("http")
    assert len(simulator.books.accepted) == 1


async def test_worker_that_died_while_it_asked(
    lab: ModelsLab, simulator: Simulator, emptied: str
) -> None:
    """
    A request that was under way then is told, and not sent again.
    """
    simulator.change(hold=1e6, latency=1e6)
    died = asyncio.ensure_future(order(lab, emptied, "a"))
    while not simulator.books.entries:
        await asyncio.sleep(0.01)

    with pytest.raises(OutcomeUnknownError):
        await order(lab, emptied, "a")
    died.cancel()
    await asyncio.wait({died})

    assert len(simulator.books.accepted) == 1


@pytest.mark.parametrize(
    "seconds", [0.3, pytest.param(30.0, marks=pytest.mark.slow)]
)
async def test_line_cut_between_request_and_record(
    lab: ModelsLab,
    simulator: Simulator,
    postgres: Server,
    emptied: str,
    seconds: float,
) -> None:
    """
    A database that is out of reach from the request on is waited for, and
    what was paid is written down then.
    """
    simulator.change(hold=1.0, latency=Latency.constant(5.0))
    async with proxied(postgres, emptied) as line:
        task = asyncio.ensure_future(order(lab, line.dsn, "a"))
        while not simulator.books.entries:
            await asyncio.sleep(0)
        line.cut()
        await asyncio.sleep(seconds)
        waiting = not task.done()
        line.mend()
        url = await task
        again = await order(lab, line.dsn, "a")

    assert waiting
    assert url == again
    assert len(simulator.books.accepted) == 1


async def test_line_cut_for_good(
    lab: ModelsLab, simulator: Simulator, postgres: Server, emptied: str
) -> None:
    """
    Where the database does not come back, the next try of the task tells of
    what nobody could write down.
    """
    simulator.change(hold=1.0, latency=Latency.constant(5.0))
    async with proxied(postgres, emptied) as line:
        journal = PostgresJournal(line.dsn, batch="orders", patience=0.2)
        spec = TextToImage("order a", model_id="sdxl", seed=1)
        batch = lab.batch([spec], items=["a"], journal=journal)
        async with batch:
            while not simulator.books.entries:
                await asyncio.sleep(0)
            line.cut()
            outcomes = [outcome async for outcome in batch]
        await journal.aclose()

    assert isinstance(batch.stopped, JournalError)
    assert len(outcomes) == 1
    with pytest.raises(OutcomeUnknownError):
        await order(lab, emptied, "a")
    assert len(simulator.books.accepted) == 1
