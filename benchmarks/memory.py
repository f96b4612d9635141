"""
Does the memory of a batch grow with the number of its items?

    python benchmarks/memory.py [--items FEW MANY] [HOW …]

A process of its own for each figure, the simulator in another one. Jobs of
50 ms on 20 slots, each asked for at least once; it is not about time. Memory
is the most that the client's process ever had (RSS). `ahead` is how many items
had been pulled from the input and not yet been taken from the batch; design:
never more than 2 x slots + max_downloads, and the one that is being taken.

To reach: 30,000 items take no more than 20 MB more than 1,000.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import resource
import sys
import tempfile
import time

from collections.abc import Iterator
from pathlib import Path

import attrs

from polling_virtual import table
from service import KEY, services

from modelslab_async import ModelsLab, PollSchedule, TextToImage


SLOTS, DOWNLOADS = 20, 16
POLLING = attrs.evolve(PollSchedule.fixed(0.02), budget=math.inf)
#: How the outcomes are read: seconds that the reader takes for each.
READERS = {
    "as they come": 0.0,
    "slowly": 0.005,
    "in order": 0.0,
    "as they come, journal": 0.0,
    "as they come, saved": 0.0,
}


async def read(url: str, items: int, how: str) -> dict[str, float]:
    """
    One batch; MB at the end and at most, and items ahead at most.
    """
    pulled = taken = ahead = 0

    def specs() -> Iterator[TextToImage]:
        nonlocal pulled, ahead
        for number in range(items):
            pulled += 1
            ahead = max(ahead, pulled - taken)
            yield TextToImage(f"picture {number}, " * 8, model_id="flux")

    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "j.sqlite" if "journal" in how else None
        output = Path(folder) / "out" if "saved" in how else None
        began = time.perf_counter()
        async with (
            ModelsLab(
                KEY,
                base_url=url,
                slots=SLOTS,
                max_downloads=DOWNLOADS,
                polling=POLLING,
            ) as lab,
            lab.batch(
                specs(),
                ordered="order" in how,
                journal=journal,
                output=output,
            ) as batch,
        ):
            async for outcome in batch:
                outcome.unwrap()
                taken += 1
                if READERS[how]:
                    await asyncio.sleep(READERS[how])
            polls = lab.stats().polls
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "most": most,
        "ahead": ahead,
        "polls": polls / items,
        "rate": items / (time.perf_counter() - began),
    }


async def child(items: int, how: str) -> dict[str, float]:
    play = {"slots": SLOTS, "latency": 0.05, "hold": 0.0}
    async with services([play]) as (service,):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--client"),
            *(service.url, str(items), how),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
    return json.loads(said)


def main() -> None:
    if sys.argv[1:2] == ["--client"]:
        url, items, how = sys.argv[2:]
        print(json.dumps(asyncio.run(read(url, int(items), how))))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--items", type=int, nargs=2, default=[1_000, 30_000])
    parser.add_argument("how", nargs="*", metavar="HOW", default=[])
    options = parser.parse_args()
    os.nice(5)
    few, many = options.items

    def rows() -> Iterator[list[str]]:
        for how in options.how or READERS:
            small = asyncio.run(child(few, how))
            large = asyncio.run(child(many, how))
            yield [
                how,
                f"{small['most']:.1f}",
                f"{large['most']:.1f}",
                f"{large['most'] - small['most']:+.1f}",
                f"{large['ahead']:.0f}",
                f"{large['polls']:.1f}",
                f"{large['rate']:.0f}",
            ]

    table(
        f"Memory: at most {2 * SLOTS + DOWNLOADS} + 1 items ahead",
        [
            "outcomes are read",
            *(f"MB, {few:,} items", f"MB, {many:,} items", "MB more"),
            *("ahead", "polls a job", "items a second"),
        ],
        rows(),
    )


if __name__ == "__main__":
    main()
