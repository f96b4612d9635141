"""
How fast is the memory of a batch?

    python benchmarks/journal.py [FOLDER]

Fifteen writers lead items from planned to stored, each step on disk before
the next one is taken. To reach: 2,000 jobs a second, and 15,000 known items a
second recognised. FOLDER says on which disk; each figure is the median of
five runs, as are the bare fsyncs a second that it should be read against.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time

from itertools import count
from pathlib import Path

from modelslab_async.journal import (
    Accepted,
    Done,
    Identity,
    Receipt,
    Request,
    SqliteJournal,
    State,
    Stored,
    Submitting,
)
from modelslab_async.results import Generation, Image


JOBS, WRITERS, PIECE, RUNS = 5_000, 15, 500, 5
US = Identity("https://modelslab.com", "a-key")

META = json.dumps({"prompt": "a lighthouse at dusk, " * 8, "seed": 7}).encode()
LINK = "https://pub-3626123a908346a7a8be8d9295f44e26.r2.dev/generations/0.png"
GENERATION = Generation(
    "134701497",
    "123456789012345678",
    (Image(0, LINK, LINK),),
    seed=7,
    generation_time=1.5,
    meta_json=META,
    raw_json=json.dumps({"status": "success", "output": [LINK]}).encode(),
)


def item(n: int) -> Request:
    spec = json.dumps(
        {
            "endpoint": "text2img",
            "model_id": "flux",
            "prompt": f"a lighthouse at dusk, number {n}, "
            + "oil paint, " * 8,
        }
    )
    return Request(spec, hashlib.sha256(spec.encode()).hexdigest())


async def plan(journal: SqliteJournal, items: list[Request]) -> float:
    began = time.perf_counter()
    for start in range(0, len(items), PIECE):
        await journal.plan(items[start : start + PIECE])
    return len(items) / (time.perf_counter() - began)


async def live(journal: SqliteJournal, index: int) -> None:
    at = time.time()
    await journal.move(index, Submitting(f"{index:018d}"))
    receipt = Receipt(
        str(index), "text2img", f"{index:018d}", LINK, 5.0, 7, (LINK,), META
    )
    await journal.move(index, Accepted(receipt, at))
    await journal.move(index, Done(GENERATION, at))
    await journal.move(index, Stored((f"{index:06d}-7-0.png",), at))


async def write(journal: SqliteJournal) -> float:
    indexes = iter(range(JOBS))

    async def writer() -> None:
        for index in indexes:
            await live(journal, index)

    began = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(WRITERS)))
    return JOBS / (time.perf_counter() - began)


async def run(folder: str) -> dict[str, float]:
    found: dict[str, float] = {}
    items = [item(n) for n in range(JOBS)]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "journal.sqlite"
        journal = await SqliteJournal.open(path)
        await journal.begin(US)
        found["new items planned a second"] = await plan(journal, items)
        found["jobs a second, four steps each"] = await write(journal)
        await journal.aclose()
        found["bytes a job"] = path.stat().st_size / JOBS

        began = time.perf_counter()
        journal = await SqliteJournal.open(path)
        found["milliseconds to open"] = (time.perf_counter() - began) * 1e3
        await journal.begin(US)
        found["known items recognised a second"] = await plan(journal, items)
        assert (await journal.counts())[State.STORED] == JOBS
        await journal.aclose()
        found["bare fsyncs a second"] = fsyncs(place)
    return found


def fsyncs(folder: str) -> float:
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.perf_counter()
        for n in count(1):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            if (taken := time.perf_counter() - began) > 0.5:
                return n / taken
    raise AssertionError


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.gettempdir()
    runs = [asyncio.run(run(folder)) for _ in range(RUNS)]
    for name in runs[0]:
        print(f"{statistics.median(r[name] for r in runs):>10,.0f}  {name}")


if __name__ == "__main__":
    main()
