"""
What a busy account costs: the real client against the simulator, in real
seconds, log-normal jobs with a median of 5 s and a spread of 0.5.

    python benchmarks/limits.py [--seeds N] [TABLE …]

Four tables. Busy: 60 specs at once on an account whose slots are not told
(5, but also 3 and 15), and that says no with HTTP 429 and `retry_after: 30`,
or with HTTP 200 with or without the number. Guest: somebody else takes 3 of
the 5 slots and later leaves. Calls: single calls in the middle of a batch of
500 on 5 slots.

All figures are medians over the seeds, the worst in brackets; failed items are
the sum.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import random
import statistics
import time

from collections.abc import Iterable
from typing import Any

from polling_virtual import Row, medians, spread, table
from service import KEY, Service, services, submitted
from slots import ideal

from modelslab_async import ModelsLab, TextToImage


ANSWERS: dict[str, dict[str, object]] = {
    "HTTP 429, retry_after 30": {"profile": "documented", "retry_after": 30.0},
    "HTTP 200, names the limit": {"profile": "classic"},
    "HTTP 200, names nothing": {"profile": "classic", "queue_full": "bare"},
}
ACCOUNTS = (5, 3, 15)
#: Seconds for which jobs run, until the guest comes, and for which it stays.
GUESTS: dict[str, tuple[float | None, int, float, float]] = {
    "5 s": (None, 120, 20.0, 60.0),
    "40 s": (40.0, 40, 60.0, 120.0),
}
#: Clients, and slots that they share.
SHARES = ((2, 5), (4, 15))
BATCH, EACH = 500, 10.0


def pictures(count: int) -> Iterable[TextToImage]:
    for number in range(count):
        yield TextToImage(f"picture {number}", model_id="flux")


async def busy(service: Service, slots: int) -> Row:
    """
    Failed items, utilisation, refusals, refusals a job once it is learnt.
    """
    clock = asyncio.get_running_loop().time
    async with ModelsLab(KEY, base_url=service.url) as lab:
        began = clock()
        outcomes = await lab.batch(pictures(60))
        took = clock() - began
    books = await service.books()
    refused = refusals(books)
    # Those that were under way together are refused together.
    late = [at for at in refused if at > refused[0] + 1.0]
    jobs = submitted(books)
    after = [j for j in jobs if refused and j["accepted"] > refused[0]]
    return (
        sum(outcome.error is not None for outcome in outcomes),
        ideal(jobs, slots) / took,
        len(refused),
        len(late) / max(1, len(after)),
    )


def refusals(books: dict[str, Any]) -> list[float]:
    return [
        one["at"] for one in books["submits"] if one["verdict"] == "refused"
    ]


async def guest(
    service: Service, jobs: int, comes: float, stays: float
) -> Row:
    """
    Failed items, utilisation of what the guest leaves while it is there,
    refusals a job then, seconds until its slots are in use.
    """
    async with ModelsLab(KEY, base_url=service.url) as lab:

        async def fill() -> int:
            outcomes = await lab.batch(pictures(jobs))
            return sum(outcome.error is not None for outcome in outcomes)

        filling = asyncio.create_task(fill())
        await asyncio.sleep(comes)
        came = await service.change(occupy={KEY: 3})
        await asyncio.sleep(stays)
        left = await service.change(vacate={KEY: 3})
        failed = await filling
    books = await service.books()
    seen = submitted(books)
    # From when ours have made room for it.
    settled = first(seen, came, lambda running: running <= 2)
    held = sum(
        max(0.0, min(job["ended"], left) - max(job["accepted"], settled))
        for job in seen
    )
    refused = sum(settled < at < left for at in refusals(books))
    begun = sum(settled < job["accepted"] < left for job in seen)
    again = first(seen, left, lambda running: running >= 5) - left
    return failed, held / 2 / (left - settled), refused / begun, again


def first(jobs: list[dict[str, Any]], after: float, found: Any) -> float:
    """
    When, from *after* on, so many of *jobs* run at once.
    """
    steps = sorted(
        (when, step)
        for job in jobs
        for when, step in ((job["accepted"], 1), (job["ended"], -1))
    )
    running = 0
    for (when, step), (until, _) in itertools.pairwise(steps):
        running += step
        if until > after and found(running):
            return max(when, after)
    raise ValueError("never")


async def shared(service: Service, clients: int, slots: int) -> Row:
    """
    Failed items, utilisation, refusals a job, and how long after the first
    client the last one ended, as a share of the whole.
    """
    clock = asyncio.get_running_loop().time
    began, ends = clock(), []

    async def fill() -> int:
        async with ModelsLab(KEY, base_url=service.url) as lab:
            outcomes = await lab.batch(pictures(100))
        ends.append(clock() - began)
        return sum(outcome.error is not None for outcome in outcomes)

    failed = await asyncio.gather(*(fill() for _ in range(clients)))
    books = await service.books()
    jobs = submitted(books)
    return (
        sum(failed),
        ideal(jobs, slots) / ends[-1],
        len(refusals(books)) / len(jobs),
        (ends[-1] - ends[0]) / ends[-1],
    )


async def calls(service: Service, seed: int) -> Row:
    """
    Calls, their wait (median and 95th percentile), mean job time / slots,
    and the utilisation beside them.
    """
    clock = asyncio.get_running_loop().time
    dice = random.Random(seed)
    timeouts: list[float] = []
    async with ModelsLab(KEY, base_url=service.url) as lab:

        async def ask() -> None:
            while True:
                await asyncio.sleep(dice.expovariate(1 / EACH))
                began = clock()
                await lab.submit(TextToImage("a cat", model_id="flux"))
                timeouts.append(clock() - began)

        asking = asyncio.create_task(ask())
        began = clock()
        async with lab.batch(pictures(BATCH)) as batch:
            async for outcome in batch:
                outcome.unwrap()
        took = clock() - began
        asking.cancel()
        seen = submitted(await service.books())
        for job in lab.jobs():
            await job
    whole = [job for job in seen if job["ended"] is not None]
    usual = statistics.mean(job["ended"] - job["accepted"] for job in whole)
    return len(timeouts), *spread(timeouts), usual / 5, ideal(whole, 5) / took


async def measure(seeds: int, tables: list[str]) -> dict[str, list[Row]]:
    runs: list[tuple[str, dict[str, object], Any]] = []
    for seed in range(seeds):
        hold = {"seed": seed, "hold": 0.02}
        for words, answer in ANSWERS.items():
            for slots in ACCOUNTS:
                settings = {"slots": slots, **hold, **answer}
                name = f"busy {words} {slots}"
                runs.append((name, settings, (busy, slots)))
            for length, (takes, *plan) in GUESTS.items():
                settings = {"slots": 5, **hold, **answer}
                if takes is not None:
                    settings["latency"] = takes
                name = f"guest {words} {length}"
                runs.append((name, settings, (guest, *plan)))
            for clients, slots in SHARES:
                settings = {"slots": slots, **hold, **answer}
                name = f"shared {words} {clients} {slots}"
                runs.append((name, settings, (shared, clients, slots)))
        runs.append(("calls", {"slots": 5, **hold}, (calls, seed)))
    runs = [run for run in runs if run[0].split()[0] in tables]
    found: dict[str, list[Row]] = {}

    async def run(name: str, service: Service, work: Any) -> None:
        act, *how = work
        row = await act(service, *how)
        found.setdefault(name, []).append(row)

    async with (
        services([settings for _, settings, _ in runs]) as served,
        asyncio.TaskGroup() as group,
    ):
        for (name, _, work), service in zip(runs, served, strict=True):
            group.create_task(run(name, service, work))
    return found


def show(found: dict[str, list[Row]], tables: list[str]) -> None:
    def row(name: str) -> list[str]:
        """
        Failed items; a share that is best high; others that are best low.
        """
        failed, use, *rest = zip(*found[name], strict=True)
        return [
            f"{sum(failed):.0f}",
            f"{statistics.median(use):.3f} ({min(use):.3f})",
            *(f"{statistics.median(x):.2f} ({max(x):.2f})" for x in rest),
        ]

    if "busy" in tables:
        table(
            "Busy: 60 specs, a limit that is not told",
            [
                *("the account says no with", "slots", "failed items"),
                *("utilisation", "refusals", "a job, once learnt"),
            ],
            (
                [words, str(slots), *row(f"busy {words} {slots}")]
                for words in ANSWERS
                for slots in ACCOUNTS
            ),
        )
    if "guest" in tables:
        table(
            "Guest: somebody else takes 3 of 5 slots, and leaves",
            [
                *("the account says no with", "jobs of", "failed items"),
                *("utilisation of the 2", "refusals a job"),
                "5 in use again after (s)",
            ],
            (
                [words, length, *row(f"guest {words} {length}")]
                for words in ANSWERS
                for length in GUESTS
            ),
        )
    if "shared" in tables:
        table(
            "Shared: clients that do not know of each other",
            [
                *("the account says no with", "clients", "slots"),
                *("failed items", "utilisation", "refusals a job"),
                "the first ends earlier by",
            ],
            (
                [
                    *(words, str(clients), str(slots)),
                    *row(f"shared {words} {clients} {slots}"),
                ]
                for words in ANSWERS
                for clients, slots in SHARES
            ),
        )
    if "calls" in tables:
        count, half, most, share, use = medians(found["calls"])
        table(
            f"Calls during a batch of {BATCH} on 5 slots",
            [
                *("calls", "wait (s)", "p95 (s)", "job time / slots (s)"),
                *("ratio", "utilisation"),
            ],
            [
                [
                    *(f"{count:.0f}", f"{half:.2f}", f"{most:.2f}"),
                    *(f"{share:.2f}", f"{half / share:.2f}", f"{use:.3f}"),
                ]
            ],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("tables", nargs="*", metavar="TABLE", default=[])
    options = parser.parse_args()
    tables = options.tables or ["busy", "guest", "shared", "calls"]

    logging.basicConfig(level=logging.ERROR)
    began = time.perf_counter()
    found = asyncio.run(measure(options.seeds, tables))
    show(found, tables)
    print(f"\n{options.seeds} seeds, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
