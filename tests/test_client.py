"""
The client as a whole: who watches it, with which key it speaks, and whom it
lets go first.
"""

from __future__ import annotations

import asyncio
import contextvars

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio

from waiting import until

import modelslab_async

from modelslab_async import ModelsLab, TextToImage, Timeouts, events
from modelslab_async._engine import sender
from modelslab_async._policy.polling import Pace
from modelslab_async._protocol.encode import encode
from modelslab_async.errors import ConfigurationError, ModelsLabError
from modelslab_async.events import (
    Event,
    JobAccepted,
    JobFinished,
    JobPolled,
)
from modelslab_async.simulator import KeyState, Latency, Reply, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0
TIMEOUTS = Timeouts().faster(SPEED, silence=5)
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
        "a-key", base_url=service.url, timeouts=TIMEOUTS, observers=[witness]
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
        ModelsLab("a-key", base_url=service.url, timeouts=TIMEOUTS) as other,
        ModelsLab(
            "a-key",
            base_url=service.url,
            timeouts=TIMEOUTS,
            observers=[witness],
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
        timeouts=TIMEOUTS,
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
    The facts that are made of now on, by name; not of long waits, which one
    look at all who wait makes.
    """
    names: list[str] = []

    def noting(kind: type[Event]) -> Callable[..., Event]:
        def make(*facts: Any, **about: Any) -> Event:
            names.append(kind.__name__)
            return kind(*facts, **about)

        return make

    for name, kind in tuple(vars(events).items()):
        if (
            isinstance(kind, type)
            and issubclass(kind, Event)
            and kind is not events.WaitsLong
        ):
            monkeypatch.setattr(events, name, noting(kind))
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
                "JobQueued",
                "JobSubmitted",
                "LimitLearnt",
                "QueueFull",
                "SlotsChanged",
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
    service.change(latency=Latency.constant(25.0))
    service.occupy("a-key", 5)
    service.next("submit", NOT_LOADED)
    async with ModelsLab(
        "a-key", base_url=service.url, timeouts=TIMEOUTS, observers=observers
    ) as lab:
        call = asyncio.ensure_future(lab.generate(CAT))
        await until(lambda: lab.stats().refusals)
        service.vacate("a-key", 5)
        await call

    assert set(built) == made


# The key


async def test_a_key_is_asked_for_at_each_request(service: Simulator) -> None:
    """
    A function that gives the key is asked each time, so that a key may be
    replaced while jobs are under way.
    """
    service.change(keys={"old": KeyState.GOOD}, accounts={"new": "old"})
    keys = ["old"]
    async with ModelsLab(
        lambda: keys[-1], base_url=service.url, timeouts=TIMEOUTS
    ) as lab:
        job = await lab.submit(CAT)
        service.change(keys={"new": KeyState.GOOD})
        keys.append("new")
        first = await job
        second = await lab.generate(CAT)

    assert first.images
    assert second.images


async def test_a_missing_key_says_where_to_get_one() -> None:
    """
    Told when the client is made, before anything is asked.
    """
    with pytest.raises(ConfigurationError) as got:
        ModelsLab()

    assert "https://modelslab.com" in str(got.value)
    assert "MODELSLAB_API_KEY" in str(got.value)


# Who goes first


async def test_a_call_overtakes_what_waits_with_less_priority(
    service: Simulator,
) -> None:
    """
    Of those in the queue the lowest number goes first, whoever came first.
    """
    async with ModelsLab(
        "a-key", base_url=service.url, timeouts=TIMEOUTS, slots=1
    ) as lab:
        first = await lab.submit(CAT)
        calls = [
            asyncio.ensure_future(
                lab.generate(attrs.evolve(CAT, seed=n), priority=n)
            )
            for n in (10, 20, 0)
        ]
        await until(lambda: lab.stats().waiting == 3)
        await asyncio.gather(first, *calls)

    asked = [entry.spec["seed"] for entry in service.books.entries]
    assert asked == [7, 0, 10, 20]


# From a prompt to a file


@pytest.mark.parametrize("profile", ["classic", "documented"])
@pytest.mark.parametrize("fetch", ["path", "body", "both"])
async def test_from_a_prompt_to_files(
    service: Simulator, tmp_path: Path, profile: str, fetch: str
) -> None:
    """
    In each dialect and form of fetch the same pictures come by `read`,
    `save` and `download`, with links that are late, from a busy account; and
    `stats` agrees with the service's books.
    """
    service.change(profile=profile, fetch=fetch, late_links=3.0)
    service.occupy("a-key", 5)
    async with ModelsLab(
        "a-key", base_url=service.url, timeouts=TIMEOUTS
    ) as lab:
        call = asyncio.ensure_future(
            lab.generate(attrs.evolve(CAT, samples=2))
        )
        await until(lambda: lab.stats().refusals)
        service.vacate("a-key", 5)
        generation = await call
        data = [await lab.read(image) for image in generation.images]
        saved = await lab.save(generation.images[0], tmp_path / "cat.png")
        paths = await lab.download(generation, tmp_path / "out")
        stats = lab.stats()

    assert [path.read_bytes() for path in paths] == data
    assert saved.read_bytes() == data[0]
    assert [one.name for one in sorted((tmp_path / "out").iterdir())] == [
        f"{generation.id}-0.png",
        f"{generation.id}-1.png",
    ]
    assert stats.refusals == len(service.books.refused)
    assert stats.accepted == stats.succeeded == len(service.books.accepted)
    assert stats.polls == service.books.polls
    assert (stats.unfinished, stats.waiting, stats.slots_held) == (0, 0, 0)


# Bugs of ours


async def test_a_bug_in_the_schedule_loses_no_job(
    service: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """
    A pace that raises when a job is accepted, and again when it runs, is
    logged as CRITICAL; the paid job is asked for all the same, and its
    caller gets the pictures.
    """
    service.change(latency=Latency.constant(60.0))
    pause, left = Pace.pause, [1, 1]

    def stumbles(pace: Pace, *kind: Any, **facts: Any) -> float:
        if left:
            left.pop()
            raise ZeroDivisionError
        return pause(pace, *kind, **facts)

    monkeypatch.setattr(Pace, "pause", stumbles)
    async with ModelsLab(
        "a-key", base_url=service.url, timeouts=TIMEOUTS
    ) as lab:
        generation = await lab.generate(CAT)
        stats = lab.stats()

    critical = [r for r in caplog.records if r.levelname == "CRITICAL"]
    assert generation.images
    assert len(critical) == 2
    assert (stats.slots_held, stats.unfinished) == (0, 0)


async def test_a_bug_before_a_request_leaves_holds_no_slot(
    service: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """
    Whatever dies on the way to the wire: the caller hears of it, the slot is
    free for the next, and nothing was asked for.
    """
    left = [1]

    def stumbles(*facts: Any, **more: Any) -> Any:
        if left:
            left.pop()
            raise ZeroDivisionError
        return encode(*facts, **more)

    monkeypatch.setattr(sender, "encode", stumbles)
    async with ModelsLab(
        "a-key", base_url=service.url, timeouts=TIMEOUTS, slots=1
    ) as lab:
        with pytest.raises(ModelsLabError, match="a bug") as told:
            await lab.generate(CAT)
        entries = len(service.books.entries)
        generation = await lab.generate(CAT)

    assert isinstance(told.value.__cause__, ZeroDivisionError)
    assert "died of a bug" in caplog.text
    assert entries == 0
    assert generation.images


@pytest.mark.parametrize(
    ("name", "home"),
    [("SpecError", "errors"), ("Simulator", "simulator"), ("Doorbell", "w")],
)
async def test_a_name_that_lives_elsewhere(name: str, home: str) -> None:
    """
    Who looks for a name at the front door is told the right one.
    """
    with pytest.raises(ImportError, match=f"modelslab_async.{home}"):
        exec(f"from modelslab_async import {name}")
    assert not hasattr(modelslab_async, f"No{name}")
