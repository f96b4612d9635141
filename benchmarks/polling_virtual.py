"""
How soon we notice, for how many polls: ours and fixed schedules, in virtual
time, without a network.

    python benchmarks/polling_virtual.py [--seeds N] [--plot FILE.png]

Three tables. Slots: 15 slots, log-normal jobs of 5 s with a spread of 0.5,
600 jobs a run, learning included. One by one: a caller that asks for the next
picture when it has the last one, the first 50 not counted; `cost` is chosen so
that our polls are those of fixed 2 s. Cost: what each choice of it gives.

All figures are medians over the seeds. An exchange takes 20 ms, of which half
goes there and half comes back: with 5 ms every utilisation is .003 higher.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import math
import random
import statistics
import time

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from modelslab_async._policy.polling import Pace, PollSchedule


EXCHANGE = 0.02

#: Seconds that a job takes, and the service's guess.
Job = tuple[float, float | None]
Family = Callable[[random.Random, float], Job]
Row = tuple[float, ...]


class Watcher(Protocol):
    """
    A way to poll.
    """

    def pause(self, eta: float | None, waited: float, asked: int) -> float: ...

    def saw(self, eta: float | None, after: float, by: float) -> None: ...


class Steps:
    """
    Fixed pauses, the last one again and again.
    """

    def __init__(self, *pauses: float) -> None:
        self.pauses = pauses

    def pause(self, eta: float | None, waited: float, asked: int) -> float:
        return self.pauses[min(asked, len(self.pauses) - 1)]

    def saw(self, eta: float | None, after: float, by: float) -> None:
        pass


class Ours:
    """
    The library's own.
    """

    def __init__(self, schedule: PollSchedule | None = None) -> None:
        self.pace = Pace(schedule or PollSchedule())
        self.dice = random.Random(7)

    def pause(self, eta: float | None, waited: float, asked: int) -> float:
        return self.pace.pause(
            "flux", eta=eta, waited=waited, dice=self.dice.random()
        )

    def saw(self, eta: float | None, after: float, by: float) -> None:
        self.pace.learn("flux", eta=eta, after=after, by=by)


SCHEDULES: dict[str, Callable[[], Watcher]] = {
    "ours": Ours,
    "ours, cost .02, shortest .25": lambda: Ours(
        PollSchedule(cost=0.02, shortest=0.25)
    ),
    "0.5 s": lambda: Steps(0.5),
    "1 s": lambda: Steps(1),
    "2 s": lambda: Steps(2),
    "5 s": lambda: Steps(5),
    "1-2-4-8-10 s": lambda: Steps(1, 2, 4, 8, 10),
}


def _five(guess: Callable[[float, float], float | None]) -> Family:
    """
    Jobs of 5 s; the guess is made from what a job takes and noise of 30 %.
    """

    def draw(dice: random.Random, progress: float) -> Job:
        takes = dice.lognormvariate(math.log(5), 0.5)
        return takes, guess(takes, dice.uniform(0.7, 1.3))

    return draw


def _eight(
    error: Callable[[random.Random, float], float],
    told: Callable[[float], float | None] = lambda guess: guess,
) -> Family:
    """
    Guesses of 8 s, spread 0.6; what a job takes is the guess times an error.
    """

    def draw(dice: random.Random, progress: float) -> Job:
        guess = dice.lognormvariate(math.log(8), 0.6)
        return guess * error(dice, progress), told(guess)

    return draw


def _around(factor: float, sigma: float) -> Callable[..., float]:
    return lambda dice, _: factor * math.exp(sigma * dice.gauss(0, 1))


FIVE: dict[str, Family] = {
    "+-30 %": _five(lambda takes, noise: takes * noise),
    "constant": _five(lambda takes, noise: 5.0),
    "absent": _five(lambda takes, noise: None),
    "3 x high": _five(lambda takes, noise: 3 * takes * noise),
    "a third": _five(lambda takes, noise: takes * noise / 3),
}
EIGHT: dict[str, Family] = {
    "calibrated": _eight(_around(1, 0.25)),
    "noisy": _eight(_around(1, 0.6)),
    "optimistic": _eight(_around(2, 0.25)),
    "pessimistic": _eight(_around(0.3, 0.25)),
    "useless": _eight(_around(1, 0), lambda guess: 8.0),
    "cold start": _eight(
        lambda dice, _: (
            math.exp(0.25 * dice.gauss(0, 1))
            * (5 if dice.random() < 0.12 else 1)
        )
    ),
    "missing": _eight(_around(1, 0), lambda guess: None),
    "drift": _eight(
        lambda dice, progress: (
            math.exp(0.25 * dice.gauss(0, 1)) * (0.3 if progress < 0.5 else 2)
        )
    ),
}


class Watched(NamedTuple):
    """
    A job that runs: when it was accepted, ends, and was last seen running.
    """

    accepted: float
    ends: float
    eta: float | None
    asked: int = 0
    last: float = 0.0


def fill_slots(
    watcher: Watcher, family: Family, seed: int, *, slots: int = 15
) -> Row:
    """
    Utilisation, polls a job, delay of notice: median and 95th percentile.
    """
    dice, count = random.Random(seed), 600
    jobs = [family(dice, k / count) for k in range(count)]
    free = [0.0] * slots
    for takes, _ in jobs:
        heapq.heapreplace(free, free[0] + takes)
    ideal = max(free)

    due: list[tuple[float, int, Watched]] = []
    order, line = itertools.count(), iter(jobs)
    polls, delays, now = 0, [], 0.0

    def submit(now: float) -> None:
        for takes, eta in itertools.islice(line, 1):
            accepted = now + EXCHANGE
            job = Watched(accepted, now + EXCHANGE / 2 + takes, eta)
            ask_later(job, accepted)

    def ask_later(job: Watched, now: float) -> None:
        pause = watcher.pause(job.eta, now - job.accepted, job.asked)
        heapq.heappush(due, (now + pause, next(order), job))

    for _ in range(slots):
        submit(0.0)
    while due:
        asked, _, job = heapq.heappop(due)
        polls += 1
        now, seen = asked + EXCHANGE, asked + EXCHANGE / 2
        elapsed = now - job.accepted
        if seen >= job.ends:
            delays.append(now - job.ends)
            watcher.saw(job.eta, job.last, elapsed)
            submit(now)
        else:
            running = job._replace(asked=job.asked + 1, last=elapsed)
            ask_later(running, now)
    return ideal / now, polls / count, *spread(delays)


def one_by_one(watcher: Watcher, family: Family, seed: int) -> Row:
    """
    Polls a job, delay of notice: median and 95th percentile.
    """
    dice, count, learning = random.Random(seed), 1000, 50
    polls, delays = 0, []
    for number in range(count):
        takes, eta = family(dice, number / count)
        ends = takes - EXCHANGE / 2
        elapsed, last, asked = 0.0, 0.0, 0
        while True:
            elapsed += watcher.pause(eta, elapsed, asked) + EXCHANGE
            asked += 1
            if elapsed - EXCHANGE / 2 >= ends:
                break
            last = elapsed
        watcher.saw(eta, last, elapsed)
        if number >= learning:
            polls += asked
            delays.append(elapsed - ends)
    return polls / len(delays), *spread(delays)


def spread(delays: list[float]) -> tuple[float, float]:
    delays.sort()
    return delays[len(delays) // 2], delays[int(0.95 * len(delays))]


def medians(rows: Iterable[Row]) -> Row:
    return tuple(map(statistics.median, zip(*rows, strict=True)))


def table(
    title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    print(f"\n## {title}\n\n| " + " | ".join(heads) + " |")
    print("|---" + "|--:" * (len(heads) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def slots_table(seeds: range) -> None:
    def rows() -> Iterable[Sequence[str]]:
        for name, family in FIVE.items():
            cells = [name]
            for schedule in SCHEDULES.values():
                use, polls, half, most = medians(
                    fill_slots(schedule(), family, seed) for seed in seeds
                )
                cells.append(
                    f"{use:.3f} @ {polls:.1f} ({half:.2f}, {most:.2f})"
                )
            yield cells

    table(
        "Slots: utilisation @ polls a job (delay of notice in s: median, p95)",
        ["guesses", *SCHEDULES],
        rows(),
    )


def at_equal_polls(
    family: Family, seeds: range, polls: float
) -> tuple[float, Row]:
    """
    The cost at which we ask as often, and what it gives.
    """
    low, high = 0.005, 10.0
    tried: list[tuple[float, Row]] = []
    for _ in range(8):
        cost = math.sqrt(low * high)
        row = medians(
            one_by_one(Ours(PollSchedule(cost=cost)), family, seed)
            for seed in seeds
        )
        tried.append((cost, row))
        low, high = (cost, high) if row[0] > polls else (low, cost)
    return min(tried, key=lambda found: abs(found[1][0] - polls))


def calls_table(seeds: range) -> None:
    def rows() -> Iterable[Sequence[str]]:
        for name, family in (FIVE | EIGHT).items():
            fixed = medians(one_by_one(Steps(2), family, s) for s in seeds)
            cost, ours = at_equal_polls(family, seeds, fixed[0])
            yield (
                name,
                f"{cost:.3f}",
                f"{ours[0]:.2f} / {fixed[0]:.2f}",
                f"{ours[1]:.2f} / {fixed[1]:.2f} = {ours[1] / fixed[1]:.2f}",
                f"{ours[2]:.2f} / {fixed[2]:.2f} = {ours[2] / fixed[2]:.2f}",
            )

    table(
        "One by one: ours / fixed 2 s at equal polls",
        ["guesses", "cost", "polls", "median delay (s)", "p95 delay (s)"],
        rows(),
    )


COSTS = (0.01, 0.02, 0.03, 0.045, 0.07, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0)
FIXED = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)


def curve(family: Family, seeds: range) -> list[Row]:
    return [
        medians(
            fill_slots(Ours(PollSchedule(cost=cost)), family, seed)
            for seed in seeds
        )
        for cost in COSTS
    ]


def cost_table(seeds: range) -> dict[str, list[Row]]:
    curves = {name: curve(family, seeds) for name, family in FIVE.items()}
    table(
        "Cost: utilisation @ polls a job",
        ["cost", *FIVE],
        (
            [cost, *(f"{row[0]:.3f} @ {row[1]:.2f}" for row in rows)]
            for cost, rows in zip(
                COSTS, zip(*curves.values(), strict=True), strict=True
            )
        ),
    )
    return curves


def plot(curves: dict[str, list[Row]], seeds: range, target: Path) -> None:
    """
    Draw the curves, and that of fixed polling, which knows no guesses.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    fixed = [
        medians(
            fill_slots(Steps(pause), FIVE["absent"], seed) for seed in seeds
        )
        for pause in FIXED
    ]
    figure, axes = plt.subplots(figsize=(6.4, 4.2), dpi=80)
    for name, rows in curves.items():
        axes.plot(
            [row[1] for row in rows],
            [row[0] for row in rows],
            marker=".",
            label=f"guesses: {name}",
        )
    axes.plot(
        [row[1] for row in fixed],
        [row[0] for row in fixed],
        "k--x",
        label="fixed pauses",
    )
    for cost, row in zip(COSTS, curves["absent"], strict=True):
        axes.annotate(
            f"{cost:g}",
            (row[1], row[0]),
            textcoords="offset points",
            xytext=(4, -9),
            fontsize=7,
        )
    axes.set_xlabel("polls a job")
    axes.set_ylabel("slot utilisation")
    axes.set_xlim(1, 12.5)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    axes.set_title("What each cost gives (the small figures)", fontsize=10)
    figure.tight_layout()
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    seeds = range(options.seeds)

    began = time.perf_counter()
    slots_table(seeds)
    calls_table(seeds)
    curves = cost_table(seeds)
    if options.plot is not None:
        plot(curves, seeds, options.plot)
    print(f"\n{options.seeds} seeds, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
