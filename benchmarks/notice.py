"""
How soon a caller who asks for one picture after the other learns that it is
done: the real client against the simulator, in real seconds, beside fixed
polling at as many polls and beside what `polling_virtual.py` foretells.

    python benchmarks/notice.py [--jobs N] [--callers N] [FAMILY …]

`cost` is the one at which our polls are those of fixed 2 s. Each caller is a
client of its own, with a simulator of its own that is given the family's job
times and guesses; all of them wait at the same time. The first 50 jobs of
each are not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import time

from polling_virtual import (
    EIGHT,
    FIVE,
    Ours,
    Row,
    Steps,
    at_equal_polls,
    medians,
    one_by_one,
    spread,
    table,
)
from service import KEY, Service, delays, services, submitted

from modelslab_async import ModelsLab, PollSchedule, TextToImage


FAMILIES = FIVE | EIGHT
LEARNING = 50


def draw(name: str, seed: int, jobs: int) -> dict[str, object]:
    """
    A simulator that plays the family.
    """
    dice = random.Random(seed)
    drawn = [FAMILIES[name](dice, number / jobs) for number in range(jobs)]
    guesses = [eta for _, eta in drawn if eta is not None]
    return {
        "latency": [takes for takes, _ in drawn],
        "guesses": guesses,
        "etas": "noisy" if guesses else "absent",
        "hold": 0.0,
        "slots": 5,
    }


async def call(
    service: Service, schedule: PollSchedule, jobs: int
) -> list[tuple[int, float]]:
    """
    Polls and delay of notice of each job that counts.
    """
    async with ModelsLab(
        KEY, base_url=service.url, polling=schedule, job_timeout=36_000
    ) as lab:
        for number in range(jobs):
            spec = TextToImage(f"picture {number}", model_id="flux")
            await lab.generate(spec)
    counted = submitted(await service.books())[LEARNING:]
    polls = [job["polls"] for job in counted]
    return list(zip(polls, delays(counted), strict=True))


def summary(seen: list[tuple[int, float]]) -> Row:
    """
    Polls a job, delay of notice: median and 95th percentile.
    """
    polls = sum(count for count, _ in seen) / len(seen)
    return polls, *spread([delay for _, delay in seen])


async def measure(
    names: list[str], jobs: int, callers: int
) -> dict[tuple[str, str], Row]:
    costs = {
        name: at_equal_polls(
            FAMILIES[name], range(2), virtual(name, None, range(2))[0]
        )[0]
        for name in names
    }
    runs = [
        (name, who, seed)
        for seed in range(callers)
        for name in names
        for who in ("ours", "fixed")
    ]
    plays = [draw(name, seed, jobs) for name, _, seed in runs]
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}

    async def run(at: int, service: Service) -> None:
        name, who, _ = runs[at]
        schedule = PollSchedule(cost=costs[name])
        if who == "fixed":
            schedule = PollSchedule.fixed(2.0)
        # So that not all of them come at the same moment.
        await asyncio.sleep(at * 0.05)
        seen = await call(service, schedule, jobs)
        found.setdefault((name, who), []).extend(seen)

    async with services(plays) as served, asyncio.TaskGroup() as group:
        for at, service in enumerate(served):
            group.create_task(run(at, service))
    rows = {key: summary(seen) for key, seen in found.items()}
    for name in names:
        rows[name, "virtual"] = virtual(name, costs[name], range(5))
        rows[name, "virtual fixed"] = virtual(name, None, range(5))
        rows[name, "cost"] = (costs[name],)
    return rows


def virtual(name: str, cost: float | None, seeds: range) -> Row:
    return medians(
        one_by_one(
            Steps(2) if cost is None else Ours(PollSchedule(cost=cost)),
            FAMILIES[name],
            seed,
        )
        for seed in seeds
    )


def show(names: list[str], rows: dict[tuple[str, str], Row]) -> None:
    def ratio(name: str, column: int, kind: str = "") -> str:
        ours = rows[name, "virtual" if kind else "ours"][column]
        fixed = rows[name, "virtual fixed" if kind else "fixed"][column]
        return f"{ours:.2f} / {fixed:.2f} = {ours / fixed:.2f}"

    table(
        "One by one: ours / fixed 2 s",
        [
            *("guesses", "cost", "polls", "median (s)", "p95 (s)"),
            *("virtual: median", "virtual: p95"),
        ],
        (
            (
                name,
                f"{rows[name, 'cost'][0]:.3f}",
                f"{rows[name, 'ours'][0]:.2f} / {rows[name, 'fixed'][0]:.2f}",
                *(ratio(name, 1), ratio(name, 2)),
                *(ratio(name, 1, "virtual"), ratio(name, 2, "virtual")),
            )
            for name in names
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--jobs", type=int, default=110)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    options = parser.parse_args()
    names = options.families or list(FAMILIES)

    began, worked = time.perf_counter(), time.process_time()
    rows = asyncio.run(measure(names, options.jobs, options.callers))
    took = time.perf_counter() - began
    show(names, rows)
    busy = math.ceil(100 * (time.process_time() - worked) / took)
    print(
        f"\n{options.callers} callers of {options.jobs} jobs each, "
        f"{took:.0f} s, the callers' process {busy} % busy"
    )


if __name__ == "__main__":
    main()
