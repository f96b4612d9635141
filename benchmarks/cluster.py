"""
One batch on several workers, by the books of the simulator.

    python benchmarks/cluster.py storm [--items 1000] [--kills 30]
    python benchmarks/cluster.py slots [--workers 1 3 8]
    python benchmarks/cluster.py plan [--items 100000]

*storm* kills one of three workers every few seconds with -9, and starts it
again: lost, bought twice, unknown, and how soon the slots are in use again.
*slots* measures the utilisation of 15 slots (ideal time / time taken) and the
refusals a job. *plan* measures items planned and deferred a second, and the
size of the tables. All start a PostgreSQL of their own.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time

from pathlib import Path

import psycopg


sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from clustering import Samples, audit, crew, finish, open_items, planned
from killing import service
from pgserver import own_server

from modelslab_async.journal import State


SLOTS = 15


def storm(items: int, kills: int, speed: float, every: float) -> int:
    dice = random.Random(1)
    moments = []
    with (
        own_server() as server,
        service(speed, slots=SLOTS, hold=0.1 * speed) as at,
        tempfile.TemporaryDirectory() as folder,
    ):
        planned(at, server.dsn, items)
        samples = Samples(at)
        began = time.monotonic()
        with samples.taken(), crew(at, server.dsn, Path(folder), 3) as workers:
            for number in range(kills):
                time.sleep(dice.uniform(0.5, 1.5) * every)
                if not open_items(server.dsn):
                    break
                moments.append(time.monotonic())
                workers.replace(number % 3)
            ended = finish(server.dsn, 600)
            took = time.monotonic() - began
            workers.dismiss()
        found = audit(at, server.dsn, Path(folder))
        totals = at.books()["totals"]
    full = [samples.full_after(moment, SLOTS - 1) for moment in moments]
    # At the end there is less to ask for than there are slots.
    known = [one for one in full if one is not None]
    print(f"{len(moments)} kills over {items:,} items, {took:.0f} s")
    print(f"accepted by the service     {found.accepted:6,}")
    print(f"lost                        {len(found.lost):6,}")
    print(f"bought twice                {len(found.twice):6,}")
    print(f"unknown                     {found.unknown:6,}")
    print(f"  of them paid for          {found.unknown_paid:6,}")
    print(f"stored                      {found.states[State.STORED]:6,}")
    print(f"refusals a job              {totals['refused'] / items:6.2f}")
    if known:
        print(
            "seconds until 14 of 15 slots are in use again: "
            f"{statistics.median(known):.1f} median, {max(known):.1f} at most"
        )
    right = ended and not found.lost and not found.twice
    print("as it should be" if right else "NOT AS IT SHOULD BE")
    return 0 if right else 1


def slots(workers: list[int], items: int, speed: float) -> int:
    print("workers  utilisation  refusals a job  polls a job")
    for count in workers:
        with (
            own_server() as server,
            service(speed, slots=SLOTS, seed=count) as at,
            tempfile.TemporaryDirectory() as folder,
        ):
            planned(at, server.dsn, items)
            with crew(at, server.dsn, Path(folder), count, stalled=30.0):
                while not at.books()["totals"]["accepted"]:
                    time.sleep(0.05)
                began = time.monotonic()
                while at.books()["totals"]["ended"] < items:
                    time.sleep(0.2)
                took = time.monotonic() - began
            totals = at.books()["totals"]
        ideal = totals["slot_seconds"] / SLOTS
        print(
            f"{count:7}  {ideal / took:11.3f}"
            f"  {totals['refused'] / items:14.2f}"
            f"  {totals['polls'] / items:11.1f}",
            flush=True,
        )
    return 0


def plan(items: int) -> int:
    with own_server() as server, service(1.0) as at:
        began = time.monotonic()
        planned(at, server.dsn, items)
        took = time.monotonic() - began
        with psycopg.connect(server.dsn) as connection:
            sizes = connection.execute(
                "SELECT relname, pg_total_relation_size(relid) "
                "FROM pg_stat_user_tables "
                "ORDER BY 2 DESC LIMIT 4"
            ).fetchall()
        began = time.monotonic()
        again = planned(at, server.dsn, items)
        took_again = time.monotonic() - began
    print(f"{items:,} items planned and deferred in {took:.1f} s: ", end="")
    print(f"{items / took:,.0f} a second")
    print(
        f"the same again: {items / took_again:,.0f} a second, "
        f"{again.added} added, {again.deferred} deferred"
    )
    for name, size in sizes:
        print(f"{name:28} {size / items:6.0f} bytes an item")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["storm", "slots", "plan"])
    parser.add_argument("--items", type=int)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--every", type=float, default=3.0)
    parser.add_argument("--speed", type=float, default=5.0)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 3, 8])
    told = parser.parse_args()
    if told.what == "storm":
        code = storm(told.items or 1000, told.kills, told.speed, told.every)
    elif told.what == "slots":
        code = slots(told.workers, told.items or 300, told.speed)
    else:
        code = plan(told.items or 100_000)
    sys.exit(code)
