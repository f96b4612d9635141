"""
What does a job cost the client's processor, polls included?

    python benchmarks/cpu.py [--runs N]

Ours against the thirty lines of aiohttp that one would write instead: the
same requests at the same times, read and written as JSON, the service in a
process of its own. Three shapes: 60 and 300 jobs of 0.09 s, 10 in flight,
asked for every 0.02 s; and 200 jobs of 0.7 s, asked for every 0.2 s. Many
answers in one turn of the event loop are cheaper than one in each, so all
three clients' must be spread alike: jobs come 10 and 4 ms apart. At once, the
bare loop goes on in step, ten answers a turn; a millisecond apart, a core is
busy all the time, and whoever is late gets several at once.
Ours has one more connection for each job in flight, as submits and polls share
none; among 60 jobs that still shows.

asyncio reads into 256 KiB, and whether the C library maps them anew for each
answer is chance, by what the process did before: 10 to 15 us a request.  Here
it never does, for any of the three.

Each run does the bare loop, ours by calls and ours by a batch, one right after
the other. Figures are medians over the runs, of processor time (user and
system, connections and the client's opening and closing included), and of the
ratios within each run, request for request: one poll more or less is chance.
To reach: 1.2 x the bare loop.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import os
import statistics
import sys
import time

from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import attrs

from polling_virtual import table
from service import KEY, Service, services

from modelslab_async import ModelsLab, PollSchedule, TextToImage


@attrs.frozen
class Load:
    """
    So many jobs, so many at once; seconds that each takes, between polls, and
    from one that comes to the next.
    """

    jobs: int
    together: int
    takes: float
    pause: float
    apart: float = 0.0

    async def come(self, number: int, began: float) -> None:
        """
        Wait until that job comes.
        """
        if self.apart:
            at = began + number * self.apart
            await asyncio.sleep(at - time.perf_counter())


LOADS = {
    "60 jobs, 10 in flight": Load(60, 10, 0.09, 0.02, 0.01),
    "300 jobs, 10 in flight": Load(300, 10, 0.09, 0.02, 0.01),
    "200 jobs, 4 ms apart": Load(200, 200, 0.7, 0.2, 0.004),
}


async def bare(service: Service, load: Load) -> int:
    """
    What one would write without us; how many requests it took.
    """
    exchanges, began = 0, time.perf_counter()
    gate = asyncio.Semaphore(load.together)

    async def post(url: str, body: dict[str, object]) -> dict[str, object]:
        nonlocal exchanges
        exchanges += 1
        async with session.post(url, json=body) as reply:
            return await reply.json()

    async def one(number: int) -> None:
        await load.come(number, began)
        async with gate:
            told = await post(
                f"{service.url}/images/text2img",
                {
                    "key": KEY,
                    "prompt": f"picture {number}",
                    "model_id": "flux",
                    "track_id": str(number),
                },
            )
            asked = {"key": KEY, "request_id": str(told["id"])}
            url = f"{service.url}/images/fetch/{told['id']}"
            while told["status"] == "processing":
                await asyncio.sleep(load.pause)
                told = await post(url, asked)
            assert told["status"] == "success", told

    # As many connections as ours: else half of the 200 would wait.
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(one(number) for number in range(load.jobs)))
    return exchanges


def client(service: Service, load: Load) -> ModelsLab:
    polling = attrs.evolve(PollSchedule.fixed(load.pause), budget=math.inf)
    return ModelsLab(
        KEY, base_url=service.url, slots=load.together, polling=polling
    )


def picture(number: int) -> TextToImage:
    return TextToImage(f"picture {number}", model_id="flux")


async def calls(service: Service, load: Load) -> int:
    began = time.perf_counter()

    async def one(number: int) -> None:
        await load.come(number, began)
        await lab.generate(picture(number))

    async with client(service, load) as lab:
        await asyncio.gather(*(one(number) for number in range(load.jobs)))
        return load.jobs + lab.stats().polls


async def batch(service: Service, load: Load) -> int:
    began = time.perf_counter()

    async def pictures() -> AsyncIterator[TextToImage]:
        for number in range(load.jobs):
            await load.come(number, began)
            yield picture(number)

    async with client(service, load) as lab:
        outcomes = await lab.batch(pictures())
        assert not any(outcome.error for outcome in outcomes)
        return load.jobs + lab.stats().polls


Way = Callable[[Service, Load], Awaitable[int]]
WAYS: dict[str, Way] = {
    "bare aiohttp": bare,
    "generate()": calls,
    "batch()": batch,
}


@attrs.frozen
class Cost:
    """
    Of one job: CPU milliseconds and requests; and seconds for all of them.
    """

    work: float
    exchanges: float
    wall: float


async def cost(way: Way, service: Service, load: Load) -> Cost:
    gc.collect()
    began, worked = time.perf_counter(), time.process_time()
    exchanges = await way(service, load)
    work = time.process_time() - worked
    wall = time.perf_counter() - began
    return Cost(1e3 * work / load.jobs, exchanges / load.jobs, wall)


async def measure(runs: int, load: Load) -> dict[str, list[Cost]]:
    play = {
        "slots": 10 * load.together,
        "latency": load.takes,
        "hold": 0.0,
        "etas": "constant",
    }
    found: dict[str, list[Cost]] = {name: [] for name in WAYS}
    async with services([play]) as (service,):
        # The first run only warms up.
        for run in range(1 + runs):
            for name, way in WAYS.items():
                one = await cost(way, service, load)
                if run:
                    found[name].append(one)
    return found


def show(title: str, found: dict[str, list[Cost]]) -> None:
    floor = found["bare aiohttp"]

    def row(name: str) -> tuple[str, ...]:
        costs = found[name]
        middle = [
            statistics.median(getattr(one, field) for one in costs)
            for field in ("work", "exchanges", "wall")
        ]
        times = statistics.median(
            one.work / one.exchanges * other.exchanges / other.work
            for one, other in zip(costs, floor, strict=True)
        )
        work, exchanges, wall = middle
        return (
            name,
            f"{work:.2f}",
            f"{exchanges:.2f}",
            f"{work / exchanges:.3f}",
            f"{wall:.2f}",
            f"{times:.2f}",
        )

    table(
        f"Processor time of a client: {title}",
        [
            *("client", "CPU ms a job", "requests a job"),
            *("CPU ms a request", "s in all", "x bare"),
        ],
        map(row, found),
    )


#: Bytes from which the C library maps memory, and gives it back.
_KEEP = {
    "MALLOC_MMAP_THRESHOLD_": str(2**22),
    "MALLOC_TRIM_THRESHOLD_": str(2**26),
}


def main() -> None:
    if not _KEEP.items() <= os.environ.items():
        # It is read as a process begins.
        os.execve(
            sys.executable,
            [sys.executable, *sys.argv],
            {**os.environ, **_KEEP},
        )
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=11)
    options = parser.parse_args()
    for title, load in LOADS.items():
        show(title, asyncio.run(measure(options.runs, load)))


if __name__ == "__main__":
    main()
