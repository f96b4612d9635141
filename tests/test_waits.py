"""
Nothing waits silently.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from waiting import until

from modelslab_async import ModelsLab, TextToImage, Timeouts
from modelslab_async._output import folder
from modelslab_async.errors import AuthenticationError, ModelsLabError
from modelslab_async.events import (
    BreakerClosed,
    BreakerOpened,
    Event,
    WaitsLong,
)
from modelslab_async.simulator import KeyState, Latency, Reply, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

PROMPT = "a secret wish of the caller's"
CAT = TextToImage(PROMPT, model_id="flux")
CATS = [TextToImage(f"{PROMPT} {n}", model_id="flux") for n in range(4)]
SPEED = 100.0
TIMEOUTS = Timeouts().faster(SPEED, silence=5.0)
#: Retries have random pauses, which may be short in all.
SOON = attrs.evolve(TIMEOUTS, quiet_wait=0.005)
LOADING = Reply(200, {"status": "error", "message": "Try Again"})
BANNED = Reply(429, {"message": "IP banned"})


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "modelslab_async")


def client(url: str, **options: Any) -> ModelsLab:
    return ModelsLab(
        "a-key", **{"base_url": url, "timeouts": TIMEOUTS, **options}
    )


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith("waiting for")
    ]


@pytest.fixture
def nowhere() -> Iterator[str]:
    """
    The URL of a service that is not there.
    """
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}/api/v6"


async def test_a_batch_without_a_network_says_so(
    nowhere: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    In its progress, in its folder, and by a WARNING: who looks at any of
    them need not guess for half an hour.
    """
    monkeypatch.setattr(folder, "_STATUS_PAUSE", 0.0)
    # All four wait by then, on any machine.
    timeouts = attrs.evolve(TIMEOUTS, quiet_wait=2.0)
    async with (
        client(nowhere, timeouts=timeouts) as lab,
        lab.batch(CATS, output=tmp_path) as batch,
    ):
        await until(lambda: batch.progress.waiting_for)
        told = batch.progress.waiting_for
        await until(lambda: said(caplog))
        assert lab.stats().waiting_for == told

        status = tmp_path / "status.json"
        await until(
            lambda: (
                status.exists()
                and json.loads(status.read_text())["waiting_for"]
            )
        )

    assert told is not None
    assert told.startswith("the service: not reached (")
    assert told in said(caplog)[0]
    assert said(caplog)[0].endswith(", and 3 more")


async def test_warnings_come_ever_more_seldom(
    nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    """
    At 10 s, and each time after twice as long as before: an hour offline is
    a handful of lines, not a thousand.
    """
    seen: list[Event] = []
    async with (
        client(nowhere, observers=[seen.append]) as lab,
        lab.batch(CATS) as batch,
    ):
        await until(lambda: len(said(caplog)) == 3)
        assert batch.progress.done == 0

    waited = [one.waited for one in seen if isinstance(one, WaitsLong)]
    assert len(waited) == 3
    assert waited[0] >= TIMEOUTS.quiet_wait * 0.99
    assert waited[1] - waited[0] >= 1.9 * TIMEOUTS.quiet_wait
    assert waited[2] - waited[1] >= 3.9 * TIMEOUTS.quiet_wait
    assert {one.reason for one in seen if isinstance(one, WaitsLong)} == {
        "service"
    }
    # Real seconds, though the client is faster than life.
    assert said(caplog)[0].startswith(f"waiting for {waited[0]:.1f} s for")


@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        (LOADING, "loading", "the model flux to be loaded"),
        (BANNED, "ban", "the end of a ban"),
        (
            Reply(503, {"status": "error", "message": "Service unavailable"}),
            "service",
            "the service: not available",
        ),
    ],
    ids=["loading", "ban", "503"],
)
@pytest.mark.parametrize("who", ["a call", "a batch"])
async def test_what_the_service_makes_us_wait_for(
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    reply: Reply,
    reason: str,
    words: str,
    who: str,
) -> None:
    """
    A model that loads, a ban, a service that is not available: each is said
    by its name, to calls and to batches, until it is over.
    """
    simulator.next("submit", reply, times=400)
    seen: list[Event] = []

    def said() -> bool:
        return any(isinstance(one, WaitsLong) for one in seen)

    async with client(
        simulator.url, observers=[seen.append], timeouts=SOON
    ) as lab:
        if who == "a call":
            call = asyncio.ensure_future(lab.generate(CAT))
            await until(said)
            told = lab.stats().waiting_for
            simulator.forget_orders()
            await call
        else:
            async with lab.batch([CAT]) as batch:
                await until(said)
                told = batch.progress.waiting_for
                simulator.forget_orders()
                assert [one.ok async for one in batch] == [True]
                assert batch.progress.waiting_for is None
        assert lab.stats().waiting_for is None

    assert told is not None
    assert told.startswith(words)
    assert [one.reason for one in seen if isinstance(one, WaitsLong)][:1] == [
        reason
    ]
    assert PROMPT not in caplog.text


@pytest.mark.parametrize("who", ["a call", "a batch"])
async def test_slots_that_others_have(
    simulator: Simulator, caplog: pytest.LogCaptureFixture, who: str
) -> None:
    """
    Where the account's queue is full of others' jobs, a call and a batch say
    so, and how few of them are ours.
    """
    simulator.occupy("a-key", 5)
    async with client(simulator.url) as lab:
        if who == "a call":
            call = asyncio.ensure_future(lab.generate(CAT))
            await until(lambda: said(caplog))
            simulator.vacate("a-key")
            await call
        else:
            async with lab.batch([CAT]) as batch:
                await until(lambda: batch.progress.waiting_for)
                await until(lambda: said(caplog))
                simulator.vacate("a-key")
                assert [one.ok async for one in batch] == [True]

    assert (
        "a slot: the account's queue is full, 0 of its jobs are ours"
        in said(caplog)[0]
    )


async def test_slots_that_we_have(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A call behind jobs of our own waits for them, and says so.
    """
    simulator.change(latency=Latency.constant(40.0))
    async with client(simulator.url, slots=1) as lab:
        await lab.submit(CAT)
        call = asyncio.ensure_future(lab.generate(CAT))
        await until(lambda: said(caplog))
        await call

    assert "a slot: all 1 are in use by jobs of ours" in said(caplog)[0]


async def test_a_job_under_way_when_the_account_is_refused(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Who waits for a job hears at once that the key is bad; the job, which is
    paid, goes on being asked for, and what it waits for is known.
    """
    simulator.change(latency=Latency.constant(10.0))
    seen: list[Event] = []
    async with client(simulator.url, observers=[seen.append]) as lab:
        job = await lab.submit(CAT)
        simulator.change(keys={"a-key": KeyState.BLOCKED})
        with pytest.raises(AuthenticationError):
            await job.result()
        await until(lambda: said(caplog))
        told = lab.stats().waiting_for
        simulator.change(keys=None)
        await until(lambda: not lab.jobs())

    assert told is not None
    assert told.startswith("the account: ")
    assert [one.breaker for one in seen if isinstance(one, BreakerOpened)] == [
        "account"
    ]


async def test_an_outage_of_equal_refusals(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A batch that is held back as all is refused alike says what with, also
    through the items that were not refused themselves.
    """
    refused = Reply(400, {"status": "error", "message": "not today"})
    simulator.next("submit", refused, times=10**6)
    seen: list[Event] = []
    many = [TextToImage(f"{PROMPT} {n}", model_id="flux") for n in range(25)]
    async with (
        client(simulator.url, observers=[seen.append]) as lab,
        lab.batch(many) as batch,
    ):
        await until(lambda: batch.progress.waiting_for)
        told = batch.progress.waiting_for
        simulator.forget_orders()
        ended = [one.ok async for one in batch]

    assert told is not None
    assert told.startswith("the service: it refuses all")
    assert "not today" in told
    assert ended.count(False) == 20
    assert [
        type(one)
        for one in seen
        if isinstance(one, BreakerOpened | BreakerClosed)
    ] == [BreakerOpened, BreakerClosed]


async def test_polls_that_find_nobody(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A job that cannot be asked for says so.
    """
    simulator.change(latency=Latency.constant(10.0))
    simulator.next("fetch", Reply(502, b"<html>bad gateway"), times=10**6)
    async with client(simulator.url) as lab:
        call = asyncio.ensure_future(lab.generate(CAT))
        await until(lambda: said(caplog))
        simulator.forget_orders()
        await call
        assert lab.stats().waiting_for is None

    assert "the service: not available" in said(caplog)[0]


async def test_an_upload_that_is_not_taken(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Calls that cost nothing wait no more silently than others.
    """
    simulator.next("upload", Reply(502, b"<html>bad gateway"), times=10**6)
    async with client(simulator.url, timeouts=SOON) as lab:
        with pytest.raises(ModelsLabError):
            await lab.upload(_png())
        assert lab.stats().waiting_for is None

    assert said(caplog)


async def test_what_goes_well_says_nothing(
    lab: ModelsLab, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Jobs that run and end are no waits.
    """
    async with lab.batch(CATS) as batch:
        async for _ in batch:
            assert batch.progress.waiting_for is None

    assert said(caplog) == []


def _png() -> bytes:
    from io import BytesIO

    from PIL import Image

    data = BytesIO()
    Image.new("RGB", (64, 64)).save(data, "PNG")
    return data.getvalue()
