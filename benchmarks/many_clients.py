"""
What it costs that many clients share an account and know nothing of each
other: the real client against the simulator, in real seconds.

    python benchmarks/many_clients.py [--seeds N] [--clients N …] [--calls N]

1, 4, 8 and 16 clients, each with 3 calls that begin at once, on 5 slots; jobs
log-normal with a median of 5 s and a spread of 0.5. Then 24 clients with one
call each, as where a web service makes a client for each. The slot bound is
what list scheduling takes for the same jobs.

All figures are medians over the seeds, the worst in brackets.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import time

from polling_virtual import Row, table
from service import KEY, Service, services, submitted
from slots import ideal

from modelslab_async import ModelsLab, TextToImage


SLOTS = 5
CASES = ((1, 3), (4, 3), (8, 3), (16, 3), (24, 1))


async def share(service: Service, clients: int, calls: int) -> Row:
    """
    Seconds in all and of the slowest call, by the slot bound; refusals a job.
    """
    clock = asyncio.get_running_loop().time
    took: list[float] = []

    async def call(lab: ModelsLab, number: int) -> None:
        began = clock()
        await lab.generate(TextToImage(f"picture {number}", model_id="flux"))
        took.append(clock() - began)

    async def client(number: int) -> None:
        async with ModelsLab(KEY, base_url=service.url) as lab:
            await asyncio.gather(
                *(call(lab, number * calls + n) for n in range(calls))
            )

    began = clock()
    await asyncio.gather(*(client(number) for number in range(clients)))
    whole = clock() - began
    books = await service.books()
    jobs = submitted(books)
    refused = sum(one["verdict"] == "refused" for one in books["submits"])
    bound = ideal(jobs, SLOTS)
    return whole / bound, max(took) / bound, refused / len(jobs)


async def measure(
    seeds: int, together: int, cases: list[tuple[int, int]]
) -> dict[tuple[int, int], list[Row]]:
    found: dict[tuple[int, int], list[Row]] = {case: [] for case in cases}
    room = asyncio.Semaphore(together)

    async def run(service: Service, case: tuple[int, int]) -> None:
        async with room:
            found[case].append(await share(service, *case))

    for case in cases:
        plays = [
            {"slots": SLOTS, "seed": seed, "hold": 0.02}
            for seed in range(seeds)
        ]
        async with services(plays) as served, asyncio.TaskGroup() as group:
            for service in served:
                group.create_task(run(service, case))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=9)
    parser.add_argument("--together", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="*", default=[])
    parser.add_argument("--calls", type=int, default=3)
    options = parser.parse_args()
    cases = [(n, options.calls) for n in options.clients] or list(CASES)

    logging.basicConfig(level=logging.ERROR)
    began = time.perf_counter()
    found = asyncio.run(measure(options.seeds, options.together, cases))
    table(
        "Many clients on 5 slots, by what the slots need",
        ["clients", "calls each", "in all", "slowest call", "refusals a job"],
        (
            [
                *(str(clients), str(calls)),
                *(
                    f"{statistics.median(x):.2f} ({max(x):.2f})"
                    for x in zip(*found[clients, calls], strict=True)
                ),
            ]
            for clients, calls in cases
        ),
    )
    print(f"\n{options.seeds} seeds, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
