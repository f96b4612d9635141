"""
From opening to closing: nobody waits for ever, nothing paid goes unnamed, and
nothing is left open.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
import warnings

from collections.abc import Callable, Coroutine
from typing import Any

import attrs
import pytest

from waiting import until

from modelslab_async import (
    Generation,
    Job,
    JobUpdate,
    ModelsLab,
    TextToImage,
    Timeouts,
)
from modelslab_async.errors import (
    ClientClosedError,
    JobUnfinishedError,
    OutcomeUnknownError,
    WrongLoopError,
)
from modelslab_async.simulator import Fault, Latency, Settings, Simulator


SPEED = 100.0
TIMEOUTS = Timeouts().faster(SPEED, silence=5)
CAT = TextToImage("a cat", model_id="sdxl", seed=7)


@pytest.fixture
def modelslab_settings() -> Settings:
    """
    Verdicts come at once, pictures after 0.3 s.
    """
    return Settings(
        speed=SPEED,
        pictures="plain",
        hold=0.0,
        latency=Latency.constant(30.0),
    )


@pytest.fixture
def client(modelslab_simulator: Simulator) -> ModelsLab:
    """
    A client as at module level: made where no loop runs.
    """
    return ModelsLab(
        "a-key", base_url=modelslab_simulator.url, timeouts=TIMEOUTS
    )


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """
    The warnings so far.
    """
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
    ]


# Loops


def test_a_handle_is_taken_up_before_anything_else(client: ModelsLab) -> None:
    """
    The first call of a second run may be `job(handle)`: what it gives is
    awaited on the new loop, though the client has not been opened there.
    """
    job = asyncio.run(client.submit(CAT))

    async def go_on() -> Generation:
        try:
            return await client.job(job.handle)
        finally:
            await client.aclose()

    assert asyncio.run(go_on()).id == job.id


def test_another_loop_does_not_close_it(client: ModelsLab) -> None:
    """
    `aclose` on another live loop is refused, and changes nothing where the
    client is open.
    """
    found: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(client.aclose())
        except WrongLoopError as error:
            found.append(error)

    async def use() -> Generation:
        async with client, client:
            await client.submit(CAT)
            thread = threading.Thread(target=elsewhere)
            thread.start()
            await asyncio.to_thread(thread.join)
            async with client:
                pass
            return await client.generate(CAT)

    assert asyncio.run(use()).images
    assert "another event loop" in str(found[0])


def test_a_closing_client_is_not_opened_elsewhere(
    modelslab_simulator: Simulator,
) -> None:
    """
    While it is being closed on one live loop, ``async with`` on another is
    refused at once, and the client stays closed.
    """
    modelslab_simulator.next("submit", Fault.SILENCE)
    timeouts = attrs.evolve(TIMEOUTS, close=0.3)
    lab = ModelsLab(
        "a-key", base_url=modelslab_simulator.url, timeouts=timeouts
    )
    found: list[BaseException] = []

    async def enter() -> None:
        async with lab:
            pass

    def elsewhere() -> None:
        try:
            asyncio.run(enter())
        except WrongLoopError as error:
            found.append(error)

    async def use() -> None:
        call = asyncio.ensure_future(lab.generate(CAT))
        await until(lambda: modelslab_simulator.books.entries)
        closing = asyncio.ensure_future(lab.aclose())
        await asyncio.sleep(0)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert not closing.done()
        await asyncio.wait({closing, call})
        with pytest.raises(ClientClosedError):
            await lab.generate(CAT)

    asyncio.run(use())

    assert "another event loop" in str(found[0])


# Closing


def test_a_loop_that_ends_while_it_closes(
    client: ModelsLab,
    modelslab_simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """
    Where `asyncio.run` cancels the closing itself, the paid job is named all
    the same, and nothing of aiohttp's is left open.
    """

    async def cut() -> str:
        job = await client.submit(CAT)
        modelslab_simulator.next("submit", Fault.SILENCE)
        call = asyncio.ensure_future(client.generate(CAT))
        await until(lambda: len(modelslab_simulator.books.entries) == 2)
        closing = asyncio.ensure_future(client.aclose())
        await asyncio.sleep(0)
        assert not closing.done()
        assert not call.done()
        return job.handle

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        handle = asyncio.run(cut())
        gc.collect()

    assert sum(handle in one for one in said(caplog)) == 1
    assert sum("unknown" in one for one in said(caplog)) == 1
    assert not any("nclosed" in one for one in said(caplog))
    assert "closed" in repr(client)


@pytest.mark.asyncio
async def test_a_submit_that_closing_gives_up_is_told_as_unknown(
    modelslab_simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A call whose request was sent, and whose answer `aclose` waited for in
    vain, hears that it may be paid for; not that nothing was asked.
    """
    modelslab_simulator.next("submit", Fault.SILENCE)
    timeouts = attrs.evolve(TIMEOUTS, close=0.05)
    lab = ModelsLab(
        "a-key", base_url=modelslab_simulator.url, timeouts=timeouts
    )
    call = asyncio.ensure_future(lab.generate(CAT))
    await until(lambda: modelslab_simulator.books.entries)
    (job,) = lab.jobs()

    await lab.aclose()

    with pytest.raises(OutcomeUnknownError) as got:
        await call
    with pytest.raises(OutcomeUnknownError):
        await job
    (paid,) = modelslab_simulator.books.accepted
    assert got.value.track_id == paid.track_id
    assert sum(str(paid.track_id) in one for one in said(caplog)) == 1


@pytest.mark.asyncio
async def test_a_job_goes_on_where_its_client_is_opened_anew(
    client: ModelsLab,
) -> None:
    """
    A job that was unfinished when its client was closed can be awaited as
    soon as ``async with`` has opened it again, and holds a slot there.
    """
    async with client:
        job = await client.submit(CAT)
    with pytest.raises(ClientClosedError):
        await job

    async with client:
        generation = asyncio.ensure_future(job.result())
        await until(lambda: client.stats().slots_held)
        watched = client.jobs()
        images = (await generation).images
        held = client.stats().slots_held

    assert watched == (job,)
    assert images
    assert held == 0


ELSEWHERE = """
import asyncio, sys
from modelslab_async import ModelsLab
from modelslab_async import Timeouts

async def main(handle):
    timeouts = Timeouts().faster(100, silence=5)
    async with ModelsLab("a-key", timeouts=timeouts) as lab:
        generation = await lab.job(handle)
        print(generation.id, generation.track_id, generation.seed)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_handle_survives_its_process(
    client: ModelsLab, modelslab_simulator: Simulator
) -> None:
    """
    Another process takes up a job by its handle, with its track_id and seed.
    """

    async def submit() -> Job:
        async with client:
            return await client.submit(CAT)

    job = asyncio.run(submit())

    ended = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, job.handle],
        env=os.environ | {"MODELSLAB_BASE_URL": modelslab_simulator.url},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    assert ended.stdout.split() == [job.id, job.track_id, "7"]


async def all_of(job: Job) -> list[JobUpdate]:
    return [update async for update in job.updates()]


@pytest.mark.asyncio
@pytest.mark.parametrize("wait", [Job.result, all_of, Job.refresh])
async def test_closing_tells_all_who_wait_for_a_job(
    client: ModelsLab,
    caplog: pytest.LogCaptureFixture,
    wait: Callable[[Job], Coroutine[Any, Any, object]],
) -> None:
    """
    Whoever waits for a job when its client closes gets its id, and one
    WARNING has what takes it up.
    """
    before = asyncio.all_tasks()
    async with client:
        job = await client.submit(CAT)
        waiter = asyncio.create_task(wait(job))
        await asyncio.sleep(0)

    with pytest.raises(JobUnfinishedError) as got:
        await waiter
    (named,) = said(caplog)
    assert (got.value.job_id, got.value.sent) == (job.id, True)
    assert job.handle in named
    assert asyncio.all_tasks() == before


@pytest.mark.asyncio
async def test_many_close_it_at_once(
    modelslab_simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Each `aclose` returns when all is closed, also one whose task is cancelled
    meanwhile; what is paid is named once.
    """
    modelslab_simulator.next("submit", Fault.SILENCE)
    timeouts = attrs.evolve(TIMEOUTS, close=0.1)
    lab = ModelsLab(
        "a-key", base_url=modelslab_simulator.url, timeouts=timeouts
    )
    call = asyncio.ensure_future(lab.submit(CAT))
    await until(lambda: modelslab_simulator.books.entries)

    closing = [asyncio.ensure_future(lab.aclose()) for _ in range(3)]
    await asyncio.sleep(0)
    closing[1].cancel()
    reprs = [await seen(each, lab) for each in closing]

    assert reprs == ["closed", "cancelled, closed", "closed"]
    assert isinstance(call.exception(), OutcomeUnknownError)
    assert len(said(caplog)) == 1


async def seen(closing: asyncio.Task[None], lab: ModelsLab) -> str:
    """
    How a closing ended, and how its client stood then.
    """
    await asyncio.wait({closing})
    how = "cancelled, " if closing.cancelled() else ""
    return how + repr(lab).rpartition(" ")[2].rstrip(">")


@pytest.mark.asyncio
async def test_calls_while_it_closes_are_refused(
    modelslab_simulator: Simulator,
) -> None:
    """
    From the first moment of `aclose` on nothing new is asked for; those in
    line are sent home without a request.
    """
    modelslab_simulator.next("submit", Fault.SILENCE)
    timeouts = attrs.evolve(TIMEOUTS, close=0.1)
    lab = ModelsLab(
        "a-key", base_url=modelslab_simulator.url, timeouts=timeouts, slots=1
    )
    first = asyncio.ensure_future(lab.generate(CAT))
    behind = asyncio.ensure_future(lab.generate(CAT))
    await until(lambda: modelslab_simulator.books.entries)

    closing = asyncio.ensure_future(lab.aclose())
    await asyncio.sleep(0)
    late = await asyncio.gather(
        lab.generate(CAT), lab.submit(CAT), return_exceptions=True
    )
    was = closing.done()
    await asyncio.wait({closing, first, behind})

    assert not was
    assert [type(one) for one in late] == [ClientClosedError] * 2
    assert isinstance(behind.exception(), ClientClosedError)
    assert len(modelslab_simulator.books.entries) == 1


def test_the_end_of_a_run_counts_a_submit_as_unknown(
    client: ModelsLab,
    modelslab_simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """
    A submit that `asyncio.run` cancels at its end is named once, and
    `stats()` counts it.
    """
    modelslab_simulator.next("submit", Fault.SILENCE)

    async def die() -> str:
        with pytest.raises(JobUnfinishedError) as got:
            await client.generate(CAT, timeout=0.1)
        return str(got.value.track_id)

    track_id = asyncio.run(die())
    stats = client.stats()
    asyncio.run(client.aclose())

    assert (stats.unknown, stats.unknown_ids) == (1, (track_id,))
    assert (stats.slots_held, stats.unfinished) == (0, 0)
    assert [track_id in one for one in said(caplog)] == [True]


def test_left_open_with_a_job_it_says_no_more(
    modelslab_simulator: Simulator,
) -> None:
    """
    A client that is forgotten with a job under way warns in its own name
    only: not in aiohttp's, nor asyncio's.
    """

    async def forget() -> None:
        lab = ModelsLab(
            "a-key", base_url=modelslab_simulator.url, timeouts=TIMEOUTS
        )
        await lab.submit(CAT)
        with pytest.raises(JobUnfinishedError):
            await lab.generate(CAT, timeout=0.05)

    with pytest.warns(ResourceWarning) as caught:  # noqa: PT031 - at its end
        asyncio.run(forget())
        gc.collect()

    assert ["left open" in str(one.message) for one in caught] == [True]


def test_each_job_that_a_loop_left_is_named_once(
    client: ModelsLab, caplog: pytest.LogCaptureFixture
) -> None:
    """
    One WARNING for a loop that ended, with all its jobs; each can be had by
    its handle on the next.
    """

    async def leave() -> list[str]:
        async with asyncio.timeout(5):
            jobs = [await client.submit(CAT) for _ in range(3)]
        return [job.handle for job in jobs]

    async def go_on() -> list[Generation]:
        async with client:
            jobs = [client.job(handle) for handle in handles]
            return await asyncio.gather(*jobs)

    handles = asyncio.run(leave())
    generations = asyncio.run(go_on())

    (named,) = said(caplog)
    assert [named.count(handle) for handle in handles] == [1, 1, 1]
    assert [one.seed for one in generations] == [7, 7, 7]
