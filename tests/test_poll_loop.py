"""
The poll loop by itself, in virtual time: many jobs, stalls, and polls that
hang.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import selectors
import sys
import tracemalloc

from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

import attrs
import pytest

from modelslab_async import PollSchedule, TextToImage, Timeouts
from modelslab_async._engine import poll_loop
from modelslab_async._engine.http import SessionPool
from modelslab_async._engine.job import Job, Watch
from modelslab_async._engine.pacer import Pacer
from modelslab_async._engine.poller import Poller
from modelslab_async._engine.runtime import Runtime
from modelslab_async._engine.slot_queue import SlotQueue
from modelslab_async._observing import Observers
from modelslab_async._policy.breakers import AccountBreaker
from modelslab_async._policy.polling import (
    Pace,
    TokenBucket,
    polls_at_once,
)
from modelslab_async._policy.retry import RetryBudget
from modelslab_async._policy.slots import Slots
from modelslab_async._protocol.decode import decode
from modelslab_async._protocol.replies import Call, Cut, Processing, Reply
from modelslab_async.errors import JobUnfinishedError
from modelslab_async.results import JobState, Receipt


T = TypeVar("T")

#: Jobs whose size is measured.
COUNT = 1000

BASE = "https://modelslab.com/api/v6"
SPEC = TextToImage("a cat", model_id="flux")
RUNNING = Reply(200, b'{"status": "processing", "output": ""}')
DONE = Reply(200, b'{"status": "success", "output": ["https://cdn/0.png"]}')


class Jumps(selectors.SelectSelector):
    """
    Does not wait: the clock jumps to when the wait would be over.
    """

    now = 1000.0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("all wait, and nothing will happen")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    An event loop on such a clock.
    """

    def __init__(self) -> None:
        self.clock = Jumps()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now

    def stall(self, seconds: float) -> None:
        """
        Pass time while the loop does nothing.
        """
        self.clock.now += seconds


@attrs.define
class Network:
    """
    Answers every poll after *exchange* seconds, and notes it.

    Attributes:
        asked: When each poll came, and for which job.

        most: Polls at once, at most.

        hang: Jobs whose next poll is never answered.

        done: Jobs that have ended.

        silent: Whether no poll is answered whole.
    """

    exchange: float = 0.02
    base_url: str = BASE
    asked: list[tuple[float, str]] = attrs.field(factory=list)
    hang: set[str] = attrs.field(factory=set)
    done: set[str] = attrs.field(factory=set)
    silent: bool = False
    now: int = 0
    most: int = 0

    async def poll(self, call: Call, *, swept: bool = False) -> Reply | Cut:
        job_id = call.url.rpartition("/")[2]
        loop = asyncio.get_running_loop()
        self.asked.append((loop.time(), job_id))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if job_id in self.hang:
                self.hang.remove(job_id)
                await loop.create_future()
            await asyncio.sleep(self.exchange)
        finally:
            self.now -= 1
        if self.silent:
            return Cut("reset")
        return DONE if job_id in self.done else RUNNING

    def count(self, since: float, until: float) -> int:
        return sum(since <= at < until for at, _ in self.asked)


def poller_of(network: Network, schedule: PollSchedule) -> Poller:
    runtime = Runtime(Timeouts(), Observers())
    queue = SlotQueue(Slots(slots=10**6), AccountBreaker(30.0), runtime)
    return Poller(
        runtime,
        cast("SessionPool", network),
        queue,
        RetryBudget(100),
        1800.0,
        Pacer(runtime, Pace(schedule)),
    )


def told(count: int, first: int = 1000) -> list[Receipt]:
    """
    What the service says when it accepts so many jobs.
    """
    return [
        Receipt(
            str(n),
            SPEC.endpoint.name,
            fetch_result=f"{BASE}/images/fetch/{n}",
            eta=5.0,
        )
        for n in range(first, first + count)
    ]


def accepted(
    poller: Poller, count: int, receipts: list[Receipt] | None = None
) -> list[Job]:
    """
    So many jobs, all accepted now.
    """
    found, queue, take_up = [], poller.queue, poller.take_up
    for receipt in receipts or told(count):
        watch = Watch(Receipt(None, SPEC.endpoint.name), SPEC, poller.runtime)
        watch.job = Job(watch, take_up)
        ticket = queue.join(0)
        queue.slots.admit(poller.runtime.now())
        queue.accepted(ticket)
        found.append(watch.job)
        poller.accept(watch, receipt, ticket)
    return found


async def closed(poller: Poller) -> None:
    poller.close()
    await poller.join()


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def test_a_budget_slows_all_jobs_evenly() -> None:
    """
    Where 200 jobs want more polls than there are, each gets its share, at
    the budget's rate.
    """

    async def main() -> tuple[Network, float]:
        network = Network()
        poller = poller_of(network, PollSchedule(budget=10))
        accepted(poller, 200)
        await asyncio.sleep(600)
        await closed(poller)
        return network, poller.runtime.now()

    network, end = run(main())
    rate = network.count(end - 500, end) / 500
    each = Counter(job_id for at, job_id in network.asked if at >= end - 500)

    assert 9.5 <= rate <= 10.1
    assert len(each) == 200
    assert max(each.values()) - min(each.values()) <= 3


def test_a_stalled_loop_does_not_ask_for_all_at_once() -> None:
    """
    When a loop that stood still goes on, half a second's budget of polls may
    go at once, not all that have come due.
    """

    async def main() -> tuple[Network, float]:
        network = Network()
        poller = poller_of(network, PollSchedule(budget=20))
        accepted(poller, 500)
        await asyncio.sleep(60)
        loop = cast("VirtualLoop", poller.runtime.loop)
        loop.stall(120)
        now = loop.time()
        await asyncio.sleep(5)
        await closed(poller)
        return network, now

    network, now = run(main())

    assert network.count(now, now + 0.001) <= 10
    assert 90 <= network.count(now, now + 5) <= 111


def test_no_account_is_slowed_by_the_budget() -> None:
    """
    300 jobs that are due each half second are asked for so often, at 0.1 s an
    answer; a budget that was set would leave each of them 15 s.
    """

    async def main() -> tuple[Network, float]:
        network = Network(exchange=0.1)
        poller = poller_of(network, PollSchedule.fixed(0.5))
        accepted(poller, 300)
        await asyncio.sleep(5)
        now = poller.runtime.now()
        await asyncio.sleep(6)
        await closed(poller)
        return network, now

    network, now = run(main())

    # Each 0.5 s and the answer's 0.1 s.
    assert network.count(now, now + 6) == pytest.approx(3000, rel=0.02)


def test_a_crowd_without_slots_is_asked_for_slowly() -> None:
    """
    What was taken up by id holds no slot until a poll says that it runs: 20
    polls a second, as ever.
    """

    async def main() -> tuple[Network, float]:
        network = Network(exchange=0.1, silent=True)
        poller = poller_of(network, PollSchedule())
        for receipt in told(300):
            watch = Watch(receipt)
            watch.job = Job(watch, poller.take_up)
            poller.take_up(watch)
        now = poller.runtime.now()
        await asyncio.sleep(5)
        await closed(poller)
        return network, now

    network, now = run(main())

    assert 95 <= network.count(now, now + 5) <= 111


def test_polls_at_once_are_bounded_without_a_budget() -> None:
    """
    However many are due, no more polls are under way than the pool carries.
    """

    async def main() -> Network:
        network = Network()
        poller = poller_of(network, PollSchedule(budget=float("inf")))
        accepted(poller, 1000)
        await asyncio.sleep(3)
        await closed(poller)
        return network

    network = run(main())

    assert network.most == polls_at_once(1000) == 100


def test_a_poll_that_hangs_is_ended_and_asked_again() -> None:
    """
    A poll without an answer is ended after 30 s, and its job is asked for
    again; the others do not wait for it.
    """

    async def main() -> tuple[Network, Job, float]:
        network = Network(hang={"1000"}, done={"1000"})
        poller = poller_of(network, PollSchedule())
        job, *_ = accepted(poller, 3)
        began = poller.runtime.now()
        await job.result()
        took = poller.runtime.now() - began
        await closed(poller)
        return network, job, took

    network, job, took = run(main())
    first, second = (at for at, job_id in network.asked if job_id == "1000")
    others = sum(first < at < second for at, _ in network.asked)

    assert job.state is JobState.SUCCEEDED
    assert 30.0 <= second - first <= 31.0
    assert took < 40.0
    assert others > 5


@attrs.define
class Stumbles(TokenBucket):
    """
    A budget with a bug that shows once.
    """

    whole: bool = True

    def ready_in(self, now: float) -> float:
        if self.whole:
            self.whole = False
            raise ZeroDivisionError
        return 0.0


def test_a_bug_does_not_end_the_loop(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    After a bug in the loop those who wait are told, and jobs still end.
    """

    async def main() -> Job:
        monkeypatch.setattr(poll_loop, "TokenBucket", Stumbles)
        poller = poller_of(Network(done={"1000"}), PollSchedule())
        (job,) = accepted(poller, 1)
        with pytest.raises(JobUnfinishedError):
            await job.result()
        await job.result()
        await closed(poller)
        return job

    job = run(main())

    assert job.state is JobState.SUCCEEDED
    assert "died of a bug" in caplog.text


def test_as_many_hanging_polls_as_there_may_be() -> None:
    """
    Even when every poll on the line hangs, all jobs end.
    """

    async def main() -> list[Job]:
        network = Network(
            hang={str(1000 + number) for number in range(40)},
            done={str(1000 + number) for number in range(40)},
        )
        poller = poller_of(network, PollSchedule())
        found = accepted(poller, 40)
        await asyncio.gather(*(job.result() for job in found))
        await closed(poller)
        return found

    found = run(main())

    assert {job.state for job in found} == {JobState.SUCCEEDED}


@pytest.mark.slow
def test_ten_thousand_jobs_keep_one_timer() -> None:
    """
    A job in flight has no task and no timer of its own.
    """

    async def main() -> tuple[int, int]:
        network = Network()
        poller = poller_of(network, PollSchedule())
        accepted(poller, 10_000)
        await asyncio.sleep(5)
        tasks = len(asyncio.all_tasks())
        timers = len(poller.runtime.loop._scheduled)  # type: ignore[attr-defined]  # asyncio has no public count
        await closed(poller)
        return tasks, timers

    tasks, timers = run(main())

    assert tasks <= 100 + 2
    assert timers <= 2 * 100 + 2


@pytest.mark.slow
def test_a_job_in_flight_is_small() -> None:
    """
    A job that nobody waits for takes no more than a kilobyte, what the
    service said of it apart.
    """

    async def main() -> float:
        network = Network(exchange=0.0)
        poller = poller_of(network, PollSchedule(budget=float("inf")))
        # What is made once: kinds, tasks, timers.
        accepted(poller, 1)
        await asyncio.sleep(20)
        said = told(COUNT, first=2000)
        tracemalloc.start()
        found = accepted(poller, COUNT, said)
        await asyncio.sleep(8)
        asked = {job_id for _, job_id in network.asked}
        network.asked.clear()
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await closed(poller)
        assert asked >= {job.id for job in found}
        answer = decode(RUNNING)
        assert isinstance(answer, Processing)
        heard = sys.getsizeof(answer) + sys.getsizeof(answer.raw_json)
        return size / COUNT - heard

    assert run(main()) <= 1024


@pytest.mark.parametrize("seconds", [0.25, 3.0])
def test_a_fixed_schedule_is_kept(seconds: float) -> None:
    """
    `PollSchedule.fixed` asks by the clock, whatever has been learnt.
    """

    async def main() -> Network:
        network = Network(exchange=0.0)
        poller = poller_of(network, PollSchedule.fixed(seconds))
        accepted(poller, 1)
        await asyncio.sleep(20 * seconds)
        await closed(poller)
        return network

    network = run(main())
    times = [at for at, _ in network.asked]
    pauses = [after - before for before, after in itertools.pairwise(times)]

    assert pauses == pytest.approx([seconds] * len(pauses), abs=0.01)
    assert len(pauses) >= 17


# The end of the event loop.


def test_a_loop_that_ends_is_left_no_question() -> None:
    """
    Where an event loop ends with jobs under way, and something holds up its
    end, the questions that are begun meanwhile end too: none hangs in it.
    """
    asked: list[Watch] = []

    async def hangs(watch: Watch) -> Cut:
        asked.append(watch)
        forever: asyncio.Future[Cut] = (
            asyncio.get_running_loop().create_future()
        )
        return await forever

    async def holds_up() -> None:
        try:
            await hangs(watch)
        finally:
            before = len(asked)
            while len(asked) == before:
                await asyncio.sleep(0)

    async def begin() -> tuple[poll_loop.PollLoop, asyncio.Task[None]]:
        runtime = Runtime(Timeouts().faster(1000), Observers())
        asking = poll_loop.PollLoop(
            runtime,
            PollSchedule(),
            lambda: 1,
            hangs,
            lambda watch, _: asking.plan(watch, runtime.now()),
            lambda: None,
        )
        asking.plan(watch, runtime.now())
        while not asked:
            await asyncio.sleep(0)
        task = asyncio.create_task(holds_up())
        await asyncio.sleep(0)
        return asking, task

    watch = Watch(Receipt("1", SPEC.endpoint.name))
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        _, task = runner.run(begin())

    assert len(asked) > 2
    assert task.cancelled()
    assert asyncio.all_tasks(loop) == set()
