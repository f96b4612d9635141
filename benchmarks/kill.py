"""
kill -9 at random moments, and the books of the service held against the
journal: lost, bought twice, unknown.

A batch of 1,000 jobs runs against a simulator in its own process.  It is
killed 60 times, each time at a random moment after its start, imports
included, and started again with the same input; then it is let to its end.
Submits take 50 to 300 ms, another time after each kill; jobs take 5 s as
seen by the simulator, at *speed* 20.

    python benchmarks/kill.py [--items 1000] [--kills 60] [--seed 1]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time

from pathlib import Path


sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from killing import audit, cut, run, service

from modelslab_async.journal import State


SPEED = 20.0
SLOTS = 15


def main(items: int, kills: int, seed: int) -> int:
    dice = random.Random(seed)
    began = time.perf_counter()
    cuts: list[int] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        service(SPEED, slots=SLOTS, seed=seed) as at,
    ):
        output = Path(folder)
        print("kill  after  submit takes  outcomes  cut  accepted so far")
        while len(cuts) < kills:
            hold = dice.uniform(0.05, 0.3)
            at.settings(hold=hold * SPEED)
            after = dice.uniform(0.2, 1.2)
            found = run(at, output, items, seconds=after)
            if not found.killed:
                break
            # What a start that came to nothing finds was counted before.
            cuts.append(cut(output) - sum(cuts))
            accepted = at.books()["totals"]["accepted"]
            print(
                f"{len(cuts):4}  {after:4.2f} s  {1000 * hold:9.0f} ms"
                f"  {max(0, len(found.lines) - 1):8}  {cuts[-1]:3}"
                f"  {accepted:15,}",
                flush=True,
            )
        last = run(at, output, items)
        again = run(at, output, items)
        books = at.books()
        told = audit(books, output)
    took = time.perf_counter() - began
    states = ", ".join(
        f"{told.states[state]:,} {state.name.lower()}"
        for state in State
        if told.states[state]
    )
    print()
    print(f"{len(cuts)} kills over {items:,} items, {took:.0f} s; {states}")
    print(f"accepted by the service  {told.accepted:6,}")
    print(f"lost                     {len(told.lost):6,}")
    print(f"bought twice             {len(told.twice):6,}")
    print(f"unknown                  {told.unknown:6,}")
    print(f"  of them paid for       {told.unknown_paid:6,}")
    print(f"  submits cut by kills   {sum(cuts):6,}")
    print(f"  most at one kill       {max(cuts):6,}  (slots: {SLOTS})")
    right = (
        last.code == again.code == 0
        and len(again.lines) == 1 + items
        and not told.lost
        and not told.twice
        and told.unknown <= sum(cuts)
        and max(cuts) <= SLOTS
        and len(cuts) == kills
    )
    print("as it should be" if right else "NOT AS IT SHOULD BE")
    return 0 if right else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    found = parser.parse_args()
    sys.exit(main(found.items, found.kills, found.seed))
