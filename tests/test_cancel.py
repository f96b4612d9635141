"""
A call that is cancelled at any of its awaits: the books of the service and
the client agree, or the job is counted as unknown; and nothing is left over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from stepping import Steps
from waiting import until

from modelslab_async import JobState, ModelsLab, Stats, TextToImage, Timeouts
from modelslab_async._engine.submission import SubmissionEnd
from modelslab_async.errors import ClientClosedError, OutcomeUnknownError
from modelslab_async.journal import Entry, SqliteJournal, State
from modelslab_async.simulator import Books, Settings, Simulator


pytestmark = pytest.mark.asyncio
SLOW = pytest.mark.slow

SPEED = 500.0
#: More awaits than any call comes to rest at.
MOST = 400


@pytest.fixture
def modelslab_settings() -> Settings:
    """
    Verdicts come at once; the service is in a thread, its tasks not ours.
    """
    return Settings(speed=SPEED, pictures="plain", hold=0.0)


# Four ways to be cancelled. Each runs a call, and gives what cancels it.

Call = Callable[[], Awaitable[object]]
Way = Callable[[Steps, Call], Awaitable[None]]


async def by_cancel(steps: Steps, call: Call) -> None:
    """
    asyncio's own.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(_calling(call))
    steps.strike = task.cancel
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def _calling(call: Call) -> None:
    await call()


async def by_timeout(steps: Steps, call: Call) -> None:
    """
    `asyncio.timeout`.
    """
    try:
        async with asyncio.timeout(None) as timeout:
            steps.strike = lambda: timeout.reschedule(0.0)
            await call()
    except TimeoutError:
        pass


async def by_scope(steps: Steps, call: Call) -> None:
    """
    `anyio.move_on_after`: cancels again at each await, until it is left.
    """
    with anyio.move_on_after(None) as scope:
        steps.strike = scope.cancel
        await call()


async def by_sibling(steps: Steps, call: Call) -> None:
    """
    A task group, when another of its tasks fails.
    """
    struck = asyncio.Event()
    steps.strike = struck.set

    async def fails() -> None:
        await struck.wait()
        raise ZeroDivisionError

    try:
        async with asyncio.TaskGroup() as group:
            sibling = group.create_task(fails())
            await group.create_task(_calling(call))
            sibling.cancel()
    except* ZeroDivisionError:
        pass


ALL: list[Way] = [by_cancel, by_timeout, by_scope, by_sibling]


@asynccontextmanager
async def counted(at: int) -> AsyncIterator[Steps]:
    """
    A clock that strikes at the await *at*.
    """
    loop = asyncio.get_running_loop()
    steps = Steps(at)
    loop.set_task_factory(steps.task)
    try:
        yield steps
    finally:
        loop.set_task_factory(None)


@attrs.frozen
class After:
    """
    How it stood when a cancelled call had come to rest, and then when all of
    its jobs had ended.
    """

    at: int
    struck: bool
    watched: set[str | None]
    stats: Stats
    ended: Stats
    left_tasks: int
    left_lines: int

    def agrees(self, books: Books) -> bool:
        """
        Each job that was accepted is watched, has ended, or is unknown; and
        no slot is held by anything else.
        """
        now, then = self.stats, self.ended
        accepted = {
            str(entry.job_id)
            for entry in books.accepted
            if entry.spec["seed"] == self.at
        }
        known = len(self.watched) + now.succeeded + now.unknown
        return (
            len(accepted) <= known
            and self.watched <= accepted
            and now.slots_held == len(self.watched)
            and (then.slots_held, then.waiting, then.unfinished) == (0, 0, 0)
            and len(accepted) <= then.succeeded + then.unknown
            and (self.left_tasks, self.left_lines) == (0, 0)
        )


Called = Callable[[ModelsLab, int], Awaitable[None]]


async def cancelled_at(
    service: Simulator, way: Way, call: Called, at: int
) -> After:
    """
    Cancel *call* at its step *at*, and see what is left.
    """
    before = asyncio.all_tasks()
    async with counted(at) as steps, client(service, slots=1) as lab:
        await way(steps, lambda: call(lab, at))
        steps.at = 0
        await submits_over(lab)
        stats = lab.stats()
        watched = {job.id for job in lab.jobs()}
        await asyncio.gather(*lab.jobs())
        ended = lab.stats()
        lines = connections_of(lab)
    left = asyncio.all_tasks() - before
    return After(at, steps.struck, watched, stats, ended, len(left), lines)


async def cancelled(service: Simulator, way: Way, call: Called) -> list[After]:
    """
    Cancel *call* at each of its steps in turn.
    """
    ends: list[After] = []
    for at in range(1, MOST):
        ends.append(await cancelled_at(service, way, call, at))
        if not ends[-1].struck:
            break
    return ends


def client(service: Simulator, slots: int) -> ModelsLab:
    return ModelsLab(
        "a-key",
        base_url=service.url,
        slots=slots,
        timeouts=Timeouts().faster(SPEED),
    )


def submits_of(lab: ModelsLab) -> list[asyncio.Task[SubmissionEnd]]:
    """
    The requests that queue or are under way, whoever has left them.
    """
    rooms = lab._lifetime.rooms
    assert rooms is not None
    return [one.task for one in rooms.submitter.under_way]


async def submits_over(lab: ModelsLab) -> None:
    await asyncio.gather(*submits_of(lab), return_exceptions=True)


def connections_of(lab: ModelsLab) -> int:
    """
    How many connections are in use; idle ones are not counted.
    """
    rooms = lab._lifetime.rooms
    assert rooms is not None
    connectors = [one.connector for one in rooms.pool._sessions]
    return sum(len(one._acquired) for one in connectors if one)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def cat(seed: int) -> TextToImage:
    return TextToImage("a cat", model_id="sdxl", seed=seed)


async def submit(lab: ModelsLab, at: int) -> None:
    await lab.submit(cat(at))


async def generate(lab: ModelsLab, at: int) -> None:
    await lab.generate(cat(at))


async def after_another(lab: ModelsLab, at: int) -> None:
    """
    A call that has to queue for the only slot.
    """
    await lab.submit(cat(at))
    await lab.generate(cat(at))


def pairs(
    calls: Sequence[object], quick: Collection[tuple[object, object]]
) -> pytest.MarkDecorator:
    """
    Each call, cancelled in each way; slow but for some.
    """
    return pytest.mark.parametrize(
        ("call", "way"),
        [
            pytest.param(call, way, marks=[] if (call, way) in quick else SLOW)
            for call in calls
            for way in ALL
        ],
    )


#: Calls in each way, and one of those that queue.
CALLS = {
    *((call, way) for call in (submit, generate) for way in ALL),
    (after_another, by_cancel),
}


@pairs([submit, generate, after_another], CALLS)
async def test_call_cancelled_at_each_step(
    modelslab_simulator: Simulator, call: Called, way: Way
) -> None:
    """
    At whichever step a call is cancelled, its job is watched if the service
    has taken it, and else nothing of it is left.
    """
    ends = await cancelled(modelslab_simulator, way, call)

    books = modelslab_simulator.books
    assert [end for end in ends if not end.agrees(books)] == []
    assert sum(end.stats.unknown for end in ends) == 0
    assert len(ends) > 5
    assert not ends[-1].struck


async def test_submit_itself_cancelled_at_each_step(
    modelslab_simulator: Simulator,
) -> None:
    """
    `asyncio.run` cancels every task at its end, submits too: what the service
    has taken by then is known, or counted as unknown.
    """
    labs: list[ModelsLab] = []

    async def call(lab: ModelsLab, at: int) -> None:
        labs.append(lab)
        with contextlib.suppress(ClientClosedError, OutcomeUnknownError):
            await lab.submit(cat(at))

    async def its_end(steps: Steps, call: Call) -> None:
        steps.strike = lambda: [task.cancel() for task in submits_of(labs[-1])]
        await call()

    ends = await cancelled(modelslab_simulator, its_end, call)

    books = modelslab_simulator.books
    assert [end for end in ends if not end.agrees(books)] == []
    assert not ends[-1].struck


async def test_submit_itself_cancelled_while_it_is_held(
    modelslab_simulator: Simulator,
) -> None:
    """
    A request that the service holds has left: cancelled, it is unknown.
    """
    modelslab_simulator.change(hold=1e6, latency=1e6)
    async with client(modelslab_simulator, slots=1) as lab:
        call = asyncio.ensure_future(lab.submit(cat(1)))
        await until(lambda: modelslab_simulator.books.entries)
        (job,) = lab.jobs()
        for task in submits_of(lab):
            task.cancel()
        with pytest.raises(OutcomeUnknownError) as told:
            await call
        stats = lab.stats()

    assert told.value.track_id == job.track_id
    assert job.state is JobState.LOST
    assert (stats.unknown, stats.slots_held) == (1, 0)


# Batches.

ITEMS = 3


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """
    Where a disk costs nothing, if there is such a place.
    """
    memory = Path("/dev/shm")
    if memory.is_dir():
        with tempfile.TemporaryDirectory(dir=memory) as name:
            yield Path(name)
    else:
        yield tmp_path


async def awaited(lab: ModelsLab, output: Path, run: int) -> None:
    await lab.batch(wanted(run), output=output)


async def taken(lab: ModelsLab, output: Path, run: int) -> None:
    async with lab.batch(wanted(run), output=output) as batch:
        async for _ in batch:
            pass


async def left(lab: ModelsLab, output: Path, run: int) -> None:
    """
    Left after the first outcome, with others under way.
    """
    async with lab.batch(wanted(run), output=output) as batch:
        async for _ in batch:
            break


def wanted(run: int) -> list[TextToImage]:
    return [
        TextToImage(f"run {run}", model_id="sdxl", seed=number)
        for number in range(ITEMS)
    ]


Batched = Callable[[ModelsLab, Path, int], Awaitable[None]]


async def batch_cancelled(
    service: Simulator, way: Way, call: Batched, output: Path, at: int
) -> tuple[bool, list[str]]:
    """
    Cancel a batch at one of its steps; give whether that step came, and what
    is wrong then.
    """
    before = asyncio.all_tasks()
    wrong = []
    async with counted(at) as steps, client(service, slots=2) as lab:
        await way(steps, lambda: call(lab, output, at))
        steps.at = 0
        rooms = lab._lifetime.rooms
        assert rooms is not None
        await submits_over(lab)
        await asyncio.gather(*lab.jobs())
        # It is left when its last request is answered and written down.
        await until(lambda: not rooms.batches)
        if lab.stats().slots_held or lab.stats().waiting:
            wrong.append("a slot is held")
        if connections_of(lab):
            wrong.append("a connection is in use")
    if asyncio.all_tasks() != before:
        wrong.append(f"tasks: {asyncio.all_tasks() - before}")
    known = {entry.track_id: entry.state for entry in await entries(output)}
    for entry in service.books.accepted:
        state = known.get(entry.track_id, State.PLANNED)
        if entry.spec["prompt"] == f"run {at}" and state is State.PLANNED:
            wrong.append(f"{entry.job_id} is not known")
    return steps.struck, wrong


async def entries(output: Path) -> list[Entry]:
    path = output / "journal.sqlite"
    if not path.exists():
        return []
    journal = await SqliteJournal.open(path)
    found = await journal.entries(set(State))
    await journal.aclose()
    return list(found)


#: Each batch and each way once.
BATCHES = {
    (awaited, by_cancel),
    (taken, by_timeout),
    (left, by_scope),
    (awaited, by_sibling),
}


@pytest.mark.parametrize("few", [True, pytest.param(False, marks=SLOW)])
@pairs([awaited, taken, left], BATCHES)
async def test_batch_cancelled_at_each_step(
    modelslab_simulator: Simulator,
    call: Batched,
    way: Way,
    few: bool,
    folder: Path,
) -> None:
    """
    At whichever step a batch is cancelled, its journal is closed and knows
    each job that the service took; the same batch again buys the rest only.
    """
    faults = {}
    # Each way another few of the steps; the slow ones take them all.
    steps = range(1 + 15 * ALL.index(way), MOST, 60)

    for at in steps if few else range(1, MOST):
        output = folder / str(at)
        struck, wrong = await batch_cancelled(
            modelslab_simulator, way, call, output, at
        )
        if wrong:
            faults[at] = wrong
        if not struck:
            break
        async with client(modelslab_simulator, slots=2) as lab:
            outcomes = await lab.batch(wanted(at), output=output)
        if len(outcomes) != ITEMS:
            faults[at] = [f"{len(outcomes)} outcomes"]

    assert faults == {}
    assert not struck
    assert modelslab_simulator.books.alike == {}
