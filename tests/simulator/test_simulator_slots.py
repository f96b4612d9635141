"""
Slots, workers, guesses, and what the books say of them.
"""

from __future__ import annotations

import asyncio
import json
import random

from typing import Any

import attrs
import pytest

from asking import BRIEF, FOREVER, asking

from modelslab_async.simulator import Books, Latency, Settings, Simulator


pytestmark = pytest.mark.asyncio


async def test_slots_bound_unfinished() -> None:
    """
    Of many requests at once, exactly as many are accepted as there are
    slots.
    """
    async with asking(slots=3, **FOREVER) as asker:
        replies = await asyncio.gather(
            *(asker.submit(f"cat {n}") for n in range(10))
        )

    states = sorted(reply.body["status"] for reply in replies)
    assert states == ["error"] * 7 + ["processing"] * 3
    assert asker.simulator.books.peak == 3


async def test_slot_freed_by_end() -> None:
    """
    A slot is free again when its job has ended, noticed or not.
    """
    async with asking(slots=1) as asker:
        replies = [await asker.submit(f"cat {n}") for n in range(3)]

    assert {reply.body["status"] for reply in replies} == {"success"}
    assert asker.simulator.books.peak == 1


async def test_accounts_apart() -> None:
    """
    The slots of one key are not those of another.
    """
    async with asking(slots=1, **FOREVER) as asker:
        one = await asker.submit(key="one")
        other = await asker.submit(key="other")

    assert one.body["status"] == other.body["status"] == "processing"
    assert len(asker.simulator.books.peaks) == 2


async def test_occupied_slots() -> None:
    """
    Slots that somebody else holds are not ours, until they are given back.
    """
    async with asking(slots=2) as asker:
        asker.simulator.occupy(asker.key, 2)
        full = await asker.submit()

        asker.simulator.vacate(asker.key, 1)
        partly = await asker.submit()
        asker.simulator.vacate(asker.key)

    assert full.body["status"] == "error"
    assert partly.body["status"] == "success"
    assert asker.simulator.unfinished(asker.key) == 0


async def test_workers_first_in_first_out() -> None:
    """
    With one worker, jobs end one after the other; the guess counts the
    wait.
    """
    async with asking(workers=1, latency=100, etas="exact") as asker:
        etas = [(await asker.submit()).body["eta"] for _ in range(3)]

    assert etas == pytest.approx([100, 200, 300], abs=1)


@pytest.mark.parametrize(
    ("family", "least", "most"),
    [
        ("exact", 99, 100),
        ("noisy", 70, 130),
        ("high", 210, 390),
        ("low", 23, 44),
        ("constant", 100, 100),
        ("queue", 0.25, 1.25),
    ],
)
async def test_etas(family: str, least: float, most: float) -> None:
    """
    Guesses stand to the truth as their family says.
    """
    async with asking(etas=family, latency=100) as asker:
        etas = [(await asker.submit()).body["eta"] for _ in range(5)]

    assert all(least <= eta <= most for eta in etas)


async def test_etas_absent() -> None:
    """
    The service may not guess at all.
    """
    async with asking(etas="absent", **FOREVER) as asker:
        reply = await asker.submit()

    assert "eta" not in reply.body


async def test_speed_divides_what_is_told() -> None:
    """
    With speed, guesses and waits are told as they are lived.
    """
    async with asking(
        etas="exact", latency=50_000, speed=500, slots=1
    ) as asker:
        accepted = await asker.submit()
        refused = await asker.submit()

    assert accepted.body["eta"] == pytest.approx(100, abs=1)
    assert refused.body["retry_after"] == pytest.approx(30 / 500)


async def test_hold_answers_success() -> None:
    """
    A job that ends within the hold is answered with its pictures.
    """
    async with asking(hold=60, **BRIEF) as asker:
        reply = await asker.submit()

    assert reply.body["status"] == "success"


async def test_hold_answers_processing() -> None:
    """
    A submit is answered when the hold is over, if the job is not.
    """
    async with asking(hold=0.001, **FOREVER) as asker:
        reply = await asker.submit()

    assert reply.body["status"] == "processing"


async def test_instant_waits_for_worker() -> None:
    """
    An instant submit is held to its end if a worker is free, and told to
    fetch if none is.
    """
    async with asking(
        instant=1, workers=1, latency=[0.02, 1e6], hold=0
    ) as asker:
        first = await asker.submit()
        asker.simulator.change(instant=0)
        await asker.submit()
        asker.simulator.change(instant=1)

        behind = await asker.submit()

    assert first.body["status"] == "success"
    assert behind.body["status"] == "processing"


async def test_instant_response() -> None:
    """
    ``instant_response`` is answered at once.
    """
    async with asking(hold=1e6, latency=2e6) as asker:
        reply = await asker.submit(instant_response=True)

    assert reply.body["status"] == "processing"


async def test_latency_by_model() -> None:
    """
    Models can take their own time.
    """
    async with asking(
        latencies={"slow": Latency.constant(100)}, etas="exact"
    ) as asker:
        fast = await asker.submit(model_id="fast")
        slow = await asker.submit(model_id="slow")

    assert fast.body["status"] == "success"
    assert slow.body["eta"] == pytest.approx(100, abs=1)


async def test_failures_share() -> None:
    """
    A share of one fails every job, by model too.
    """
    async with asking(failing_models=["bad"]) as asker:
        good = await asker.submit(model_id="good")
        bad = await asker.submit(model_id="bad")
        asker.simulator.change(failures=1)
        all_bad = await asker.submit(model_id="good")

    states = [each.body["status"] for each in (good, bad, all_bad)]
    assert states == ["success", "failed", "failed"]


async def test_each_has_ids_of_its_own() -> None:
    """
    Pictures of one simulator are not in the way of another's, unless it is
    told where to begin.
    """

    async def first(**settings: Any) -> int:
        async with asking(**settings) as asker:
            told: int = (await asker.submit()).body["id"]
            return told

    assert await first() != await first()
    assert await first(seed=0) == await first(seed=0)
    assert 0 < await first(first_id=5000) - 5000 < 100


async def test_same_seed_same_run() -> None:
    """
    Two simulators of one seed give the same ids, seeds, guesses and names.
    """
    runs = []
    for _ in range(2):
        async with asking(latency=Latency(1e6, 0.5), seed=3) as asker:
            bodies = [(await asker.submit()).body for _ in range(3)]
        runs.append(
            [
                (body["id"], body["meta"]["seed"], body["meta"]["file_prefix"])
                for body in bodies
            ]
        )

    assert runs[0] == runs[1]
    assert len({job_id for job_id, _, _ in runs[0]}) == 3


async def test_books_of_a_job() -> None:
    """
    The books know who asked for what, how often it was polled, and how long
    its end went unnoticed; the key is not in them.
    """
    async with asking(**BRIEF) as asker:
        job_id = (await asker.submit("a cat", track_id="t-1")).body["id"]
        reply = await asker.ended(job_id)
        await asker.get(reply.body["output"][0])
        books = asker.simulator.books

    entry, record = books.entries[0], books.jobs[job_id]
    assert entry.spec == {
        "prompt": "a cat",
        "model_id": "flux",
        "track_id": "t-1",
    }
    assert entry.account == Books.label(asker.key)
    assert books.accepted_ids == {"t-1": [job_id]}
    assert record.polls == books.polls >= 1
    assert record.downloads == books.downloads == 1
    assert record.unnoticed is not None
    assert 0 <= record.unnoticed <= books.unnoticed_seconds
    assert books.slot_seconds >= 0.02
    assert asker.key not in json.dumps(books.to_json())


async def test_books_unnoticed() -> None:
    """
    A job that nobody asked for again was not noticed.
    """
    async with asking(**FOREVER) as asker:
        await asker.submit()
        (record,) = asker.simulator.books.jobs.values()

    assert record.unnoticed is None
    assert asker.simulator.books.unnoticed_seconds == 0
    assert asker.simulator.books.slot_seconds > 0


async def test_books_bought_twice() -> None:
    """
    Two jobs under one track_id, and two for one prompt and seed, stand out.
    """
    async with asking() as asker:
        first = await asker.submit("a", track_id="x", seed=1)
        second = await asker.submit("a", track_id="x", seed=1)
        await asker.submit("a", track_id="y", seed=2)
        books = asker.simulator.books

    ids = [first.body["id"], second.body["id"]]
    assert books.bought_twice == {"x": ids}
    assert books.alike == {("a", "1"): ids}
    told: Any = books.to_json()
    assert told["alike"] == [{"prompt": "a", "seed": "1", "ids": ids}]
    assert told["totals"]["accepted"] == 3


async def test_stopped_jobs_stay_unfinished() -> None:
    """
    Stopping ends no job, and is quick and may be repeated.
    """
    simulator = Simulator(pictures="plain", **FOREVER)
    await simulator.start()
    await simulator.start()

    await simulator.stop()
    await simulator.stop()

    assert simulator.books.jobs == {}


async def test_not_started() -> None:
    """
    A simulator that was never started has no address.
    """
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = Simulator().url


@pytest.mark.parametrize(
    "option",
    [
        {"slots": 0},
        {"speed": 0},
        {"speed": float("inf")},
        {"hold": -1},
        {"failures": 1.5},
        {"profile": "modern"},
        {"etas": "good"},
        {"unserved": 500},
        {"keys": {"k": "odd"}},
    ],
)
async def test_impossible_settings(option: dict[str, Any]) -> None:
    """
    What cannot be is refused when it is asked for.
    """
    with pytest.raises(ValueError):
        Simulator(**option)


async def test_settings_evolve() -> None:
    """
    Settings can be made once and varied.
    """
    settings = Settings(slots=7, failing=["a", "b"], latency=[1, 2, 3])

    varied = attrs.evolve(settings, slots=8)

    assert Simulator(varied, hold=0).settings.slots == 8
    assert varied.failing == ("a", "b")
    assert varied.latency.median == 2


async def test_latency_listed() -> None:
    """
    A list of latencies is taken in order and begun anew.
    """
    latency = Latency.listed([3, 1, 2])
    dice = random.Random(1)

    drawn = [latency.draw(number, dice) for number in range(4)]

    assert drawn == [3, 1, 2, 3]
    assert latency.median == 2


async def test_latency_log_normal() -> None:
    """
    Half of the drawn latencies lie below the median.
    """
    latency = Latency(5, 0.5)
    dice = random.Random(1)

    drawn = [latency.draw(number, dice) for number in range(2000)]

    assert 900 < sum(each < 5 for each in drawn) < 1100
