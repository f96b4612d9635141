"""
What a doorbell is worth, and what it costs where it never rings: the real
client against the simulator, in real seconds, all ways side by side.

    python benchmarks/bell.py [--seeds N] [--jobs N]

15 slots, log-normal jobs with a median of 5 s and a spread of 0.5, guesses
within 30 %; utilisation as in `slots.py`. Each client has a doorbell of its
own behind a socket. All figures are medians over the seeds.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from polling_virtual import Row, medians, table
from service import KEY, Service, services
from slots import SLOTS, fill

from modelslab_async import ModelsLab
from modelslab_async.webhooks import Doorbell


#: How its webhooks are called, if there is a doorbell.
WAYS = {
    "without": None,
    "rings": "once",
    "rings twice": "twice",
    "never rings": "never",
    "rings 2 s late": "late",
}


@asynccontextmanager
async def hung() -> AsyncIterator[Doorbell]:
    """
    A doorbell with a server of its own.
    """
    app = web.Application()
    runner = web.AppRunner(app, access_log=None)
    bells: list[Doorbell] = []

    async def take(request: web.Request) -> web.StreamResponse:
        _, number, token = request.path.rsplit("/", 2)
        assert bells[0].opens(number, token)
        bells[0].ring(number, await request.read())
        return web.Response()

    app.router.add_post("/{path:.*}", take)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    bells.append(Doorbell(f"http://127.0.0.1:{port}/ring", "s" * 32))
    try:
        yield bells[0]
    finally:
        await runner.cleanup()


async def measure(seeds: int, jobs: int) -> dict[str, Row]:
    wanted = [(seed, way) for seed in range(seeds) for way in WAYS]
    plays = [
        {
            "slots": SLOTS,
            "seed": seed,
            "etas": "noisy",
            "hold": 0.02,
            "rings": WAYS[way] or "once",
            "late_ring": 2.0,
        }
        for seed, way in wanted
    ]
    found: dict[str, list[Row]] = {}

    async def run(at: int, way: str, service: Service) -> None:
        await asyncio.sleep(at * 0.2)
        async with (
            hung() as bell,
            ModelsLab(
                KEY,
                base_url=service.url,
                slots=SLOTS,
                doorbell=bell if WAYS[way] else None,
            ) as lab,
        ):
            row = await fill(lab, service, jobs, SLOTS)
        found.setdefault(way, []).append(row)

    async with services(plays) as served, asyncio.TaskGroup() as group:
        for at, ((_, way), service) in enumerate(
            zip(wanted, served, strict=True)
        ):
            group.create_task(run(at, way, service))
    return {way: medians(rows) for way, rows in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=600)
    options = parser.parse_args()

    began, worked = time.perf_counter(), time.process_time()
    rows = asyncio.run(measure(options.seeds, options.jobs))
    took = time.perf_counter() - began
    table(
        "Slots: 15 of them, jobs of 5 s",
        ["bell", "utilisation", "polls a job", "delay (s)", "p95 (s)"],
        (
            (
                way,
                f"{rows[way][0]:.3f}",
                f"{rows[way][1]:.2f}",
                f"{rows[way][2]:.3f}",
                f"{rows[way][3]:.3f}",
            )
            for way in WAYS
        ),
    )
    busy = 100 * (time.process_time() - worked) / took
    print(
        f"\n{options.seeds} seeds, {took:.0f} s, "
        f"the clients' process {busy:.0f} % busy"
    )


if __name__ == "__main__":
    main()
