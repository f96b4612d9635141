"""
The client as a whole: who watches it, with which key it speaks, and whom it
lets go first.
"""

from __future__ import annotations

import asyncio
import contextvars

from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import pytest
import pytest_asyncio

from waiting import until

from modelslab_async import ModelsLab, TextToImage, _jobs, _submits
from modelslab_async._retrying import Waits
from modelslab_async.events import (
    CallRetried,
    Event,
    JobAccepted,
    JobFinished,
    JobPolled,
    LimitLearnt,
    QueueFull,
)
from modelslab_async.simulator import Latency, Reply, Simulator


pytestmark = pytest.mark.asyncio

SPEED = 100.0
WAITS = Waits().faster(SPEED, silence=5)
CAT = TextToImage("a cat", model_id="sdxl", seed=7)
NOT_LOADED = Reply(200, {"status": "error", "message": "Try Again"})

who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="")


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Simulator]:
    """
    Verdicts come at once, pictures after 0.05 s.
    """
    async with Simulator(
        speed=SPEED,
        pictures="plain",
        hold=0.0,
        latency=Latency.constant(5.0),
    ) as running:
        yield running


# Observers


@attrs.define
class Witness:
    """
    Notes what it is told, and in whose name.
    """

    seen: list[tuple[Event, str]] = attrs.field(factory=list)

    def __call__(self, event: Event) -> None:
        self.seen.append((event, who.get()))

    def names_of(self, kind: type[Event]) -> set[str]:
        return {name for event, name in self.seen if type(event) is kind}


async def test_each_call_is_told_of_in_its_own_name(
    service: Simulator,
) -> None:
    """
    Whatever happens to a job is told in the context of the call that asked
    for it, though polls are asked for by one loop.
    """
    witness = Witness()

    async def call(name: str) -> str | None:
        who.set(name)
        return (await lab.generate(CAT)).id

    who.set("the opener")
    async with ModelsLab(
        "a-key", base_url=service.url, waits=WAITS, observers=[witness]
    ) as lab:
        ids = await asyncio.gather(call("a"), call("b"))

    about = {
        (name, event.job_id)
        for event, name in witness.seen
        if isinstance(event, JobAccepted | JobPolled | JobFinished)
    }
    assert about == {("a", ids[0]), ("b", ids[1])}


async def test_a_job_by_id_is_told_of_in_the_name_of_who_waits(
    service: Simulator,
) -> None:
    """
    A job that was taken up has no call of ours: who first waits for it is
    who asked.
    """
    witness = Witness()
    who.set("the opener")
    async with (
        ModelsLab("a-key", base_url=service.url, waits=WAITS) as other,
        ModelsLab(
            "a-key", base_url=service.url, waits=WAITS, observers=[witness]
        ) as lab,
    ):
        job = await other.submit(CAT)
        who.set("the waiter")
        await lab.job(str(job.id))

    assert witness.names_of(JobPolled) == {"the waiter"}
    assert witness.names_of(JobFinished) == {"the waiter"}


async def test_an_observer_that_raises_breaks_no_call(
    service: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    It is switched off and logged once; the others go on seeing all.
    """
    witness = Witness()
    told: list[Event] = []

    def broken(event: Event) -> None:
        told.append(event)
        raise RuntimeError("a bug of the watcher's")

    async with ModelsLab(
        "a-key",
        base_url=service.url,
        waits=WAITS,
        observers=[broken, witness],
    ) as lab:
        await lab.generate(CAT)
        await lab.generate(CAT)

    assert len(told) == 1
    assert caplog.text.count("switched off") == 1
    assert sum(type(e) is JobFinished for e, _ in witness.seen) == 2


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """
    The facts that are made of now on, by name.
    """
    names: list[str] = []

    def noting(kind: type[Event]) -> Callable[..., Event]:
        def make(*facts: Any) -> Event:
            names.append(kind.__name__)
            return kind(*facts)

        return make

    for room, kinds in (
        (_jobs, (JobAccepted, JobFinished, JobPolled, LimitLearnt)),
        (_submits, (CallRetried, QueueFull)),
    ):
        for kind in kinds:
            monkeypatch.setattr(room, kind.__name__, noting(kind))
    return names


@pytest.mark.parametrize(
    ("observers", "made"),
    [
        ([], set()),
        (
            [Witness()],
            {
                "CallRetried",
                "JobAccepted",
                "JobFinished",
                "JobPolled",
                "LimitLearnt",
                "QueueFull",
            },
        ),
    ],
)
async def test_nothing_is_built_when_nobody_listens(
    service: Simulator,
    built: list[str],
    observers: list[Witness],
    made: set[str],
) -> None:
    """
    Facts of retries, refusals and polls are made for somebody, or not at all.
    """
    service.occupy("a-key", 5)
    service.next("submit", NOT_LOADED)
    async with ModelsLab(
        "a-key", base_url=service.url, waits=WAITS, observers=observers
    ) as lab:
        call = asyncio.ensure_future(lab.generate(CAT))
        await until(lambda: lab.stats().refusals)
        service.vacate("a-key", 5)
        await call

    assert set(built) == made
