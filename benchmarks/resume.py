"""
How fast a batch recognises what it has done already.

Fills a journal with items that are done, gives the same input again, and
takes all outcomes.  Nothing may be asked for: there is no service at the
address.

    python benchmarks/resume.py [--items 50000] [--equal]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time

from pathlib import Path

from modelslab_async import Generation, Image, ModelsLab, TextToImage
from modelslab_async._protocol.rows import identity, spec_json
from modelslab_async.journal import (
    Done,
    Identity,
    Request,
    SqliteJournal,
    Submitting,
)


ORIGIN = "http://127.0.0.1:9"
URL = "https://example.com/generations/0-a.png"
CHUNK = 500


def specs(items: int, equal: bool) -> list[TextToImage]:
    return [
        TextToImage(
            "a lighthouse at dusk" if equal else f"lighthouse {number}",
            model_id="flux",
            width=512,
            height=768,
            seed=None if equal else number,
        )
        for number in range(items)
    ]


async def fill(path: Path, wanted: list[TextToImage]) -> None:
    """
    What a batch of *wanted* leaves behind when it is done.
    """
    journal = await SqliteJournal.open(path)
    await journal.begin(Identity(ORIGIN, "a-key"))
    for first in range(0, len(wanted), CHUNK):
        entries = await journal.plan(
            [
                Request(spec_json(spec), identity(spec))
                for spec in wanted[first : first + CHUNK]
            ]
        )
        for entry in entries:
            number = str(entry.index)
            generation = Generation(
                id=number, track_id=number, images=(Image(0, URL),), seed=1
            )
            steps = (Submitting(number), Done(generation, 0.0))
            await asyncio.gather(
                *(journal.move(entry.index, step) for step in steps)
            )
    await journal.aclose()


async def main(items: int, equal: bool) -> None:
    wanted = specs(items, equal)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal.sqlite"
        await fill(journal, wanted)
        async with ModelsLab("a-key", base_url=f"{ORIGIN}/api/v6") as lab:
            began = time.perf_counter()
            async with lab.batch(iter(wanted), journal=journal) as batch:
                taken = 0
                async for outcome in batch:
                    outcome.unwrap()
                    taken += 1
            took = time.perf_counter() - began
    kind = "equal" if equal else "different"
    print(
        f"{taken:,} {kind} items known in {took:.2f} s: "
        f"{taken / took:,.0f} a second"
    )
    assert taken == items


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=30_000)
    parser.add_argument("--equal", action="store_true")
    found = parser.parse_args()
    asyncio.run(main(found.items, found.equal))
