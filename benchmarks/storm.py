"""
Storms: random cancels, stops, closes, hostile replies, seed after seed, and
what must hold whatever happens; ``tests/storm.py`` says what.

    python benchmarks/storm.py [--seeds 1000] [--first 0]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time

from pathlib import Path


sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from storm import Storm


def main(first: int, seeds: int) -> int:
    logging.getLogger("modelslab_async").setLevel(logging.CRITICAL + 1)
    began = time.perf_counter()
    broken = 0
    for seed in range(first, first + seeds):
        with tempfile.TemporaryDirectory() as folder:
            faults = asyncio.run(Storm(seed, Path(folder)).run())
        broken += bool(faults)
        for fault in faults:
            print(fault, flush=True)
    spent = time.perf_counter() - began
    print(f"{seeds} storms in {spent:.0f} s, {broken} of them broke something")
    return 1 if broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    sys.exit(main(chosen.first, chosen.seeds))
