"""
From opening to closing: nobody waits for ever, nothing paid goes unnamed, and
nothing is left open.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import warnings

import attrs
import pytest

from waiting import until

from modelslab_async import Generation, Job, ModelsLab, TextToImage
from modelslab_async._retrying import Waits
from modelslab_async.errors import (
    ClientClosedError,
    JobUnfinishedError,
    ModelsLabError,
    OutcomeUnknownError,
    WrongLoopError,
)
from modelslab_async.simulator import Fault, Latency, Settings, Simulator


SPEED = 100.0
WAITS = Waits().faster(SPEED, silence=5)
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
    return ModelsLab("a-key", base_url=modelslab_simulator.url, waits=WAITS)


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
    waits = attrs.evolve(WAITS, leave=0.3)
    lab = ModelsLab("a-key", base_url=modelslab_simulator.url, waits=waits)
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
    waits = attrs.evolve(WAITS, leave=0.05)
    lab = ModelsLab("a-key", base_url=modelslab_simulator.url, waits=waits)
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
