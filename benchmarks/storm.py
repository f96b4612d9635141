"""
Storms: random cancels, stops, closes, broken disks, hostile replies and killed
processes, seed after seed, and what must hold whatever happens;
``tests/storm.py`` says what, and for each third seed ``tests/storm_kills.py``.

    python benchmarks/storm.py [--seeds 1000] [--first 0] [--at-once 2]

A seed that breaks something is named, and can be played alone:
``--first SEED --seeds 1``.
"""

from __future__ import annotations

import argparse
import faulthandler
import functools
import logging
import multiprocessing
import sys
import tempfile
import time

from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path


sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from storm import Storm
from storm_kills import Forks, KillStorm, forks


#: Each so many seeds one is of killed processes.
KILLS = 3
#: Seconds after which a seed is given up, with its process and its stacks.
GIVEN_UP = 300.0

KEPT = ExitStack()


@functools.cache
def warm() -> Forks:
    """
    A process that forks, as long as this one lives.
    """
    return KEPT.enter_context(forks())


def play(seed: int) -> tuple[list[str], float]:
    """
    What a seed broke, and how many seconds of CPU it took here.
    """
    logging.getLogger("modelslab_async").propagate = False
    faulthandler.dump_traceback_later(GIVEN_UP, exit=True)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        if seed % KILLS == KILLS - 1:
            faults = KillStorm(seed, Path(folder), warm()).run()
        else:
            faults = Storm(seed, Path(folder)).run()
    faulthandler.cancel_dump_traceback_later()
    return faults, time.process_time() - began


def main(first: int, seeds: int, at_once: int) -> int:
    began = time.perf_counter()
    broken: list[int] = []
    spent = 0.0
    with ProcessPoolExecutor(
        at_once, multiprocessing.get_context("spawn")
    ) as pool:
        playing = {
            pool.submit(play, seed): seed
            for seed in range(first, first + seeds)
        }
        for number, done in enumerate(as_completed(playing), 1):
            faults, cpu = done.result()
            spent += cpu
            if faults:
                broken.append(playing[done])
            for fault in faults:
                print(fault, flush=True)
            if number % 100 == 0:
                print(f"{number:,} played, {len(broken)} broken", flush=True)
    took = time.perf_counter() - began
    kills = sum(seed % KILLS == KILLS - 1 for seed in playing.values())
    print(
        f"{seeds:,} storms, {kills:,} of them of killed processes, in "
        f"{took:,.0f} s, {spent / seeds:.2f} s of CPU each; "
        f"{len(broken)} broke something: {sorted(broken)}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=2)
    chosen = parser.parse_args()
    sys.exit(main(chosen.first, chosen.seeds, chosen.at_once))
