"""
What do many jobs in flight cost: memory for each, and delay of the loop?

    python benchmarks/poll_loop.py [--jobs N …] [--seconds S]

`Poller` itself, with a stand-in for the network: every poll is answered after
5 ms with a reply as the service's, decoded as ever. Jobs are taken up as if
just accepted, a hundred at a time; then all run, and at the end all finish
within the time in which the loop can ask for them.

A heart beats every 5 ms, and its lateness is the delay of the loop; beside it
stands the CPU time that passed between two beats, which no other process adds
to: the longest that we ever held the loop. Memory is
what `tracemalloc` sees, the replies apart, which are there before; the spec is
one for all, as the caller made it. To reach: 1 KB a job, and never more than
20 ms late with 10,000 jobs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import random
import sys
import time
import tracemalloc

from typing import Any

import attrs

from polling_virtual import table

from modelslab_async import PollSchedule, TextToImage, Timeouts
from modelslab_async._engine.job import Job, Watch
from modelslab_async._engine.pacer import Pacer
from modelslab_async._engine.poller import Poller
from modelslab_async._engine.runtime import Runtime
from modelslab_async._engine.slot_queue import SlotQueue
from modelslab_async._observing import Observers
from modelslab_async._policy.breakers import AccountBreaker
from modelslab_async._policy.polling import Pace
from modelslab_async._policy.retry import RetryBudget
from modelslab_async._policy.slots import Slots
from modelslab_async._protocol.decode import decode
from modelslab_async._protocol.replies import Call, Reply
from modelslab_async.results import Receipt


BASE = "https://modelslab.com/api/v6"
HOST = "https://pub-3626123a908346a7a8be8d9295f44e26.r2.dev/generations"
SPEC = TextToImage("a lighthouse at dusk", model_id="flux")
BEAT, EXCHANGE, SLICE = 0.005, 0.005, 100
#: The first id.
FIRST = 100_000_000
#: Until the first polls are due.
WARM = 5.0


def accepted(number: int, dice: random.Random) -> Reply:
    return _reply(
        status="processing",
        tip="Get 20x faster image generation using enterprise plan.",
        eta=dice.uniform(3, 9),
        message="Try to fetch request after seconds estimated",
        fetch_result=f"{BASE}/images/fetch/{number}",
        id=number,
        output=[],
        meta={"prompt": "a lighthouse at dusk " * 8, "seed": number},
        future_links=[f"{HOST}/0-{number:036d}.png"],
    )


def running(number: int) -> Reply:
    return _reply(status="processing", id=number, output="", message="Wait")


def finished(number: int) -> Reply:
    return _reply(
        status="success", id=number, output=[f"{HOST}/0-{number:036d}.png"]
    )


def _reply(**fields: object) -> Reply:
    return Reply(200, json.dumps(fields).encode())


@attrs.define
class Network:
    """
    Answers every poll: the job runs, until *over*.
    """

    replies: dict[int, Reply]
    base_url: str = BASE
    over: bool = False

    @classmethod
    def of(cls, count: int) -> Network:
        return cls({FIRST + n: running(FIRST + n) for n in range(count)})

    async def poll(self, call: Call) -> Reply:
        await asyncio.sleep(EXCHANGE)
        number = int(call.url.rpartition("/")[2])
        return finished(number) if self.over else self.replies[number]


@attrs.define
class Heart:
    """
    Beats, and knows how late each beat was, and what was worked since the
    last one; in seconds.
    """

    late: list[float] = attrs.field(factory=list)
    work: list[float] = attrs.field(factory=list)

    async def beat(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, worked = clock() + BEAT, time.thread_time()
            await asyncio.sleep(BEAT)
            self.late.append(clock() - due)
            self.work.append(time.thread_time() - worked)

    def worst(self) -> str:
        """
        Milliseconds: the latest beat, and the most work between two.
        """
        late, work = max(self.late), max(self.work)
        self.late.clear()
        self.work.clear()
        return f"{late * 1e3:.0f} ({work * 1e3:.0f})"


def poller_of(network: Any, budget: float) -> Poller:
    runtime = Runtime(Timeouts(), Observers())
    queue = SlotQueue(Slots(slots=10**6), AccountBreaker(30.0), runtime)
    return Poller(
        runtime,
        network,
        queue,
        RetryBudget(100),
        1800.0,
        Pacer(runtime, Pace(PollSchedule(budget=budget))),
    )


def receipts(count: int, dice: random.Random) -> list[Receipt]:
    """
    What the service tells of so many jobs, read from its answers.
    """
    answers = [decode(accepted(FIRST + n, dice)) for n in range(count)]
    return [
        Receipt(
            answer.id,
            SPEC.endpoint.name,
            None,
            answer.fetch_result,
            answer.eta,
            answer.seed,
            answer.expected_urls,
            answer.meta_json,
        )
        for answer in answers
    ]


async def take_up(poller: Poller, told: list[Receipt]) -> None:
    queue, runtime = poller.queue, poller.runtime
    again = poller.take_up
    for number, receipt in enumerate(told):
        watch = Watch(Receipt(None, SPEC.endpoint.name), SPEC, runtime)
        watch.job = Job(watch, again)
        ticket = queue.join(0)
        queue.slots.admit(runtime.now())
        queue.accepted(ticket)
        poller.accept(watch, receipt, ticket)
        if number % SLICE == SLICE - 1:
            await asyncio.sleep(0)


async def measure(count: int, budget: float, seconds: float) -> list[str]:
    # What the run before left is not this one's to clear away.
    gc.collect()
    dice = random.Random(count)
    told = receipts(count, dice)
    network = Network.of(count)
    poller = poller_of(network, budget)
    heart = Heart()
    beating = asyncio.create_task(heart.beat())
    await asyncio.sleep(0.1)
    heart.worst()

    await take_up(poller, told)
    up = heart.worst()
    await asyncio.sleep(WARM)
    polls, worked = poller.runtime.stats.polls, time.process_time()
    await asyncio.sleep(seconds)
    polls = poller.runtime.stats.polls - polls
    share = (time.process_time() - worked) / seconds
    flying = heart.worst()

    network.over = True
    # As many as the loop asks for in as long.
    await asyncio.sleep(seconds)
    ended = poller.runtime.stats.succeeded
    down = heart.worst()
    beating.cancel()
    poller.close()
    await poller.join()
    return [
        f"{count:,}",
        "none" if math.isinf(budget) else f"{budget:g}",
        *(up, flying, down),
        f"{polls / seconds:,.0f}",
        f"{ended / seconds:,.0f}",
        f"{100 * share:.0f} %",
    ]


async def weigh(count: int) -> list[str]:
    """
    Bytes of a job in flight: before it is first asked for, after, and of the
    last answer that it then keeps.
    """
    gc.collect()
    dice = random.Random(count)
    told = receipts(count, dice)
    network = Network.of(count)
    poller = poller_of(network, math.inf)
    tracemalloc.start()
    await take_up(poller, told)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    while poller.runtime.stats.polls < 3 * count:
        await asyncio.sleep(1.0)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    answers = (decode(reply) for reply in network.replies.values())
    heard = sum(
        sys.getsizeof(answer) + sys.getsizeof(answer.raw_json)
        for answer in answers
    )
    poller.close()
    await poller.join()
    return [
        f"{count:,}",
        *(f"{size / count:,.0f}" for size in (before, after - heard, heard)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--jobs", type=int, nargs="+", default=[1_000, 10_000, 100_000]
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()

    # The names of all jobs are logged when the room is closed.
    import logging

    logging.disable(logging.WARNING)
    table(
        "Many jobs in flight: ms of delay, at worst (of work)",
        [
            *("jobs", "polls a second allowed", "taking them up", "in flight"),
            *("while they end", "polls a second", "ends a second", "CPU"),
        ],
        (
            asyncio.run(measure(count, budget, options.seconds))
            for count in options.jobs
            for budget in (20.0, math.inf)
        ),
    )
    table(
        "Memory of a job in flight",
        ["jobs", "bytes", "once it was asked for", "its last answer"],
        (asyncio.run(weigh(count)) for count in options.jobs),
    )


if __name__ == "__main__":
    main()
