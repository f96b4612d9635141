"""
Does any account idle for want of polls? The real client against the
simulator, in real seconds.

    python benchmarks/large_accounts.py [--seeds N] [--slots N …]

15, 50, 100 and 300 slots, two kinds of jobs: log-normal ones with a median of
5 s and a spread of 0.5, and short ones of 1.0 to 1.6 s, 6 for each slot and at
least 300. Default polling, beside a budget without end and the 20 polls a
second that were the default once. Utilisation as in `slots.py`. One run after
the other: 300 slots with short jobs keep a core busy.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import time

from polling_virtual import Row, medians, table
from service import KEY, services
from slots import fill

from modelslab_async import ModelsLab, PollSchedule


SLOTS = (15, 50, 100, 300)
BUDGETS = {"default": None, "without end": math.inf, "20 a second": 20.0}
KINDS = ("5 s", "1.0 to 1.6 s")


def lengths(kind: str, jobs: int, seed: int) -> list[float]:
    dice = random.Random(seed)
    if kind == "5 s":
        return [5.0 * math.exp(dice.gauss(0.0, 0.5)) for _ in range(jobs)]
    return [dice.uniform(1.0, 1.6) for _ in range(jobs)]


async def measure(
    seeds: int, accounts: list[int]
) -> dict[tuple[int, str, str], Row]:
    found: dict[tuple[int, str, str], list[Row]] = {}
    for seed in range(seeds):
        for slots in accounts:
            jobs = max(300, 6 * slots)
            for kind in KINDS:
                for name, budget in BUDGETS.items():
                    play = {
                        "slots": slots,
                        "seed": seed,
                        "hold": 0.02,
                        "latency": lengths(kind, jobs, seed),
                    }
                    async with (
                        services([play]) as (service,),
                        ModelsLab(
                            KEY,
                            base_url=service.url,
                            slots=slots,
                            polling=PollSchedule(budget=budget),
                        ) as lab,
                    ):
                        row = await fill(lab, service, jobs, slots)
                    found.setdefault((slots, kind, name), []).append(row)
                    print(slots, kind, name, *(f"{x:.3f}" for x in row))
    return {key: medians(rows) for key, rows in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--slots", type=int, nargs="*", default=SLOTS)
    options = parser.parse_args()

    began = time.perf_counter()
    rows = asyncio.run(measure(options.seeds, list(options.slots)))
    table(
        "Accounts of any size",
        [
            *("slots", "jobs of", "budget of polls", "utilisation"),
            *("polls a job", "took (s)", "delay (s)", "p95 (s)"),
        ],
        (
            (
                *(str(slots), kind, name, f"{use:.3f}", f"{polls:.1f}"),
                *(f"{took:.0f}", f"{half:.2f}", f"{most:.2f}"),
            )
            for (slots, kind, name), row in rows.items()
            for use, polls, half, most, took in [row]
        ),
    )
    print(f"\n{options.seeds} seeds, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
