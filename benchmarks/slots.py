"""
How well are the slots used, and for how many polls: the real client against
the simulator, in real seconds.

    python benchmarks/slots.py [--seeds N] [--together N] [--jobs N]

15 slots, log-normal jobs with a median of 5 s and a spread of 0.5, 600 jobs a
run, learning included; five families of guesses. A batch in the client's
default settings but for the schedule. Utilisation is the ideal time over the
time taken, from the first request to the last outcome; the ideal is list
scheduling of the very times that the simulator drew, in the order in which it
was asked. Beside it what `polling_virtual.py` foretells for the same schedule.

All figures are medians over the seeds. Fixed schedules know nothing of
guesses, so they are run with one family only.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import heapq
import itertools
import math
import time

from collections.abc import Callable, Iterator
from typing import Any

import attrs

from polling_virtual import (
    FIVE,
    Ours,
    Row,
    Steps,
    Watcher,
    fill_slots,
    medians,
    spread,
    table,
)
from service import KEY, Service, delays, services, submitted

from modelslab_async import ModelsLab, PollSchedule, TextToImage
from modelslab_async._policy.polling import Pace


SLOTS = 15
ETAS = dict(
    zip(FIVE, ("noisy", "constant", "absent", "high", "low"), strict=True)
)
DEFAULT = PollSchedule()
EAGER = PollSchedule(cost=0.02, shortest=0.25)


@attrs.define
class Stairs(Pace):
    """
    Fixed steps, the last one again and again; `PollSchedule` has no such.
    """

    steps: tuple[float, ...] = (1, 2, 4, 8, 10)

    def pause(self, *about: object, waited: float, **more: object) -> float:
        ends = [0.9 * end for end in itertools.accumulate(self.steps)]
        step = bisect.bisect(ends, waited)
        return self.steps[min(step, len(self.steps) - 1)]


@attrs.frozen
class Way:
    """
    A way to poll, and its stand-in in virtual time.
    """

    name: str
    schedule: PollSchedule
    virtual: Callable[[], Watcher]
    stairs: bool = False


def ours(name: str, schedule: PollSchedule) -> Way:
    return Way(name, schedule, lambda: Ours(schedule))


def fixed(seconds: float) -> Way:
    # Ours has a budget of 20 polls a second; it would slow the fixed ones.
    schedule = attrs.evolve(PollSchedule.fixed(seconds), budget=math.inf)
    return Way(f"fixed {seconds:g} s", schedule, lambda: Steps(seconds))


FIXED = [fixed(seconds) for seconds in (0.5, 1.0, 2.0, 5.0)]
STAIRS = Way(
    "1-2-4-8-10 s", DEFAULT, lambda: Steps(1, 2, 4, 8, 10), stairs=True
)


def runs() -> Iterator[tuple[Way, str]]:
    """
    Every way that is measured, and the family it is measured with.
    """
    for family in FIVE:
        yield ours("ours", DEFAULT), family
    for family in ("+-30 %", "3 x high", "a third"):
        yield ours("ours, cost .02, shortest .25", EAGER), family
    for cost in (0.02, 0.1, 0.5):
        for family in ("+-30 %", "absent"):
            yield ours(f"ours, cost {cost:g}", PollSchedule(cost=cost)), family
    for way in (*FIXED, STAIRS):
        yield way, "+-30 %"


async def run_way(service: Service, way: Way, jobs: int) -> Row:
    async with ModelsLab(
        KEY, base_url=service.url, slots=SLOTS, polling=way.schedule
    ) as lab:
        if way.stairs:
            poller = lab._lifetime.open().poller  # noqa: SLF001
            poller.pacer.pace = Stairs(way.schedule)
        return (await fill(lab, service, jobs, SLOTS))[:4]


async def fill(lab: ModelsLab, service: Service, jobs: int, slots: int) -> Row:
    """
    Keep all *slots* busy with one batch.

    Returns:
        Utilisation, polls a job, delay of notice (median and 95th
        percentile), seconds.
    """
    clock = asyncio.get_running_loop().time
    specs = (
        TextToImage(f"picture {number}", model_id="flux")
        for number in range(jobs)
    )
    began = clock()
    async with lab.batch(specs) as batch:
        async for outcome in batch:
            outcome.unwrap()
    took = clock() - began
    seen = submitted(await service.books())
    use, polls = ideal(seen, slots) / took, sum(job["polls"] for job in seen)
    return use, polls / jobs, *spread(delays(seen)), took


def ideal(jobs: list[dict[str, Any]], slots: int) -> float:
    """
    The time that list scheduling takes for the same jobs.
    """
    free = [0.0] * slots
    for job in jobs:
        heapq.heapreplace(free, free[0] + job["ended"] - job["accepted"])
    return max(free)


async def measure(
    seeds: int, together: int, jobs: int
) -> dict[tuple[str, str], Row]:
    wanted = [
        (seed, way, family) for seed in range(seeds) for way, family in runs()
    ]
    plays = [
        {"slots": SLOTS, "seed": seed, "etas": ETAS[family], "hold": 0.02}
        for seed, _, family in wanted
    ]
    room = asyncio.Semaphore(together)
    found: dict[tuple[str, str], list[Row]] = {}

    async def run(way: Way, family: str, service: Service, at: int) -> None:
        await asyncio.sleep(at % together * 0.2)
        async with room:
            row = await run_way(service, way, jobs)
        found.setdefault((way.name, family), []).append(row)

    async with services(plays) as served, asyncio.TaskGroup() as group:
        for at, ((_, way, family), service) in enumerate(
            zip(wanted, served, strict=True)
        ):
            group.create_task(run(way, family, service, at))
    return {key: medians(rows) for key, rows in found.items()}


def show(rows: dict[tuple[str, str], Row], seeds: int) -> None:
    def cells() -> Iterator[tuple[str, ...]]:
        for way, family in runs():
            use, polls, half, most = rows[way.name, family]
            told = medians(
                fill_slots(way.virtual(), FIVE[family], seed)
                for seed in range(seeds)
            )
            yield (
                way.name,
                family if way.name.startswith("ours") else "any",
                *(f"{use:.3f}", f"{polls:.1f}", f"{half:.2f}", f"{most:.2f}"),
                f"{told[0]:.3f} @ {told[1]:.1f}",
            )

    table(
        "Slots: 15 of them, jobs of 5 s",
        [
            *("polling", "guesses", "utilisation", "polls a job"),
            *("delay (s)", "p95 (s)", "in virtual time"),
        ],
        cells(),
    )
    print("\nAgainst fixed polling at as many polls, in this run:")
    curve = sorted(rows[way.name, "+-30 %"][1::-1] for way in FIXED)
    for family in ("constant", "absent"):
        use, polls, *_ = rows["ours", family]
        print(f"- {family}: {use - at_polls(curve, polls):+.3f}")
    print("\nAgainst fixed polling at as much utilisation, polls:")
    for name, other in (
        ("ours", "fixed 1 s"),
        ("ours, cost .02, shortest .25", "fixed 0.5 s"),
    ):
        for family in ("+-30 %", "3 x high", "a third"):
            use, polls, *_ = rows[name, family]
            theirs, many, *_ = rows[other, "+-30 %"]
            print(
                f"- {name}, {family}: {polls / many:.2f} x those of {other}, "
                f"utilisation {use - theirs:+.3f}"
            )


def at_polls(curve: list[tuple[float, ...]], polls: float) -> float:
    """
    Utilisation on a curve of (polls, utilisation), between its points.
    """
    last = len(curve) - 1
    above = next(
        (at for at, (many, _) in enumerate(curve) if at and polls <= many),
        last,
    )
    (few, low), (many, high) = curve[above - 1], curve[above]
    return low + (high - low) * (polls - few) / (many - few)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--together", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=600)
    options = parser.parse_args()

    began, worked = time.perf_counter(), time.process_time()
    rows = asyncio.run(measure(options.seeds, options.together, options.jobs))
    took = time.perf_counter() - began
    show(rows, options.seeds)
    busy = 100 * (time.process_time() - worked) / took
    print(
        f"\n{options.seeds} seeds, {took:.0f} s, "
        f"the clients' process {busy:.0f} % busy"
    )


if __name__ == "__main__":
    main()
