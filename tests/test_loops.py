"""
A client and its event loop: one at a time, and nothing forgotten between two.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
import warnings

from pathlib import Path

import pytest

from modelslab_async import (
    Generation,
    Job,
    ModelsLab,
    Outcome,
    TextToImage,
    Timeouts,
)
from modelslab_async.errors import (
    ClientClosedError,
    OutcomeUnknownError,
    WrongLoopError,
)
from modelslab_async.simulator import Simulator


TIMEOUTS = Timeouts().faster(100, silence=5)
CAT = TextToImage("a cat", model_id="sdxl", seed=7)


@pytest.fixture
def client(modelslab_simulator: Simulator) -> ModelsLab:
    """
    A client as at module level: made where no loop runs.
    """
    return ModelsLab(
        "a-key", base_url=modelslab_simulator.url, timeouts=TIMEOUTS
    )


async def closing(lab: ModelsLab) -> None:
    """
    Use a client once, and leave it closed.
    """
    async with lab:
        await lab.generate(CAT)


def test_it_opens_at_first_use(client: ModelsLab) -> None:
    """
    Without ``async with`` a call opens it, and `aclose` closes it.
    """

    async def use() -> Generation:
        try:
            return await client.generate(CAT)
        finally:
            await client.aclose()

    assert asyncio.run(use()).images


def test_a_second_run_opens_it_anew(
    client: ModelsLab, caplog: pytest.LogCaptureFixture
) -> None:
    """
    One WARNING names what the first loop left, by the handle that takes it
    up; the old `Job` says that its loop is closed.
    """

    async def leave() -> Job:
        return await client.submit(CAT)

    async def go_on(job: Job) -> Generation:
        async with client:
            with pytest.raises(WrongLoopError, match=r"lab\.job"):
                await job
            return await client.job(job.handle)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        job = asyncio.run(leave())
        generation = asyncio.run(go_on(job))

    left = [
        record.getMessage()
        for record in caplog.records
        if "event loop ended" in record.getMessage()
    ]
    assert len(left) == 1
    assert job.handle in left[0]
    assert (generation.id, generation.seed) == (job.id, 7)


def test_the_count_of_async_with_begins_anew(client: ModelsLab) -> None:
    """
    A loop that died inside ``async with`` does not keep the next one open.
    """

    async def die() -> None:
        await client.__aenter__()

    asyncio.run(die())
    asyncio.run(closing(client))

    async def use() -> None:
        await client.generate(CAT)

    with pytest.raises(ClientClosedError):
        asyncio.run(use())


def test_another_live_loop_is_refused(client: ModelsLab) -> None:
    """
    Two loops at once would share what belongs to one: told by name.
    """
    found: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(client.generate(CAT))
        except WrongLoopError as error:
            found.append(error)

    async def use() -> None:
        async with client:
            await client.generate(CAT)
            thread = threading.Thread(target=elsewhere)
            thread.start()
            await asyncio.to_thread(thread.join)

    asyncio.run(use())

    assert "another event loop" in str(found[0])


def test_a_job_by_id_needs_no_loop(client: ModelsLab) -> None:
    """
    `job()` does no I/O: it works where no loop runs, and is awaited later.
    """

    async def submit() -> str:
        async with client:
            job = await client.submit(CAT)
            await job
            return str(job.id)

    job = client.job(asyncio.run(submit()))

    async def wait() -> Generation:
        async with client:
            return await job

    assert asyncio.run(wait()).images


def test_left_open_it_says_so(modelslab_simulator: Simulator) -> None:
    """
    A client that is forgotten open warns once, in its own name.
    """

    async def forget() -> None:
        lab = ModelsLab(
            "a-key", base_url=modelslab_simulator.url, timeouts=TIMEOUTS
        )
        await lab.generate(CAT)

    async def main() -> None:
        await forget()
        await asyncio.sleep(0)
        gc.collect()

    with pytest.warns(ResourceWarning) as caught:
        asyncio.run(main())

    assert ["left open" in str(one.message) for one in caught] == [True]


def test_a_submit_that_dies_with_its_loop_is_told(
    modelslab_simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    `asyncio.run` cancels every task at its end: a request under way is
    unknown then, and the WARNING has its track_id.
    """
    modelslab_simulator.change(hold=1000.0)
    caplog.set_level(logging.WARNING)
    lab = ModelsLab(
        "a-key", base_url=modelslab_simulator.url, timeouts=TIMEOUTS
    )

    async def die() -> str:
        call = asyncio.ensure_future(lab.generate(CAT))
        while not lab.jobs():
            await asyncio.sleep(0)
        while not modelslab_simulator.books.entries:
            await asyncio.sleep(0.001)
        call.cancel()
        return str(lab.jobs()[0].track_id)

    track_id = asyncio.run(die())
    unknown = [
        record.getMessage()
        for record in caplog.records
        if "unknown" in record.getMessage()
    ]
    asyncio.run(_shut(lab))

    assert len(unknown) == 1
    assert track_id in unknown[0]


async def _shut(lab: ModelsLab) -> None:
    await lab.aclose()


FORK = """
import asyncio, os, sys
from modelslab_async import ModelsLab, TextToImage
from modelslab_async.errors import WrongLoopError

async def main():
    async with ModelsLab("a-key") as lab:
        if os.fork() == 0:
            try:
                await lab.generate(TextToImage("a cat", model_id="sdxl"))
            except WrongLoopError as error:
                print(error, flush=True)
            os._exit(0)
        os.wait()

asyncio.run(main())
"""


def test_after_a_fork_it_is_refused(modelslab_simulator: Simulator) -> None:
    """
    Two processes on one socket would read each other's answers.
    """
    done = subprocess.run(
        [sys.executable, "-c", FORK],
        env=os.environ | {"MODELSLAB_BASE_URL": modelslab_simulator.url},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "before a fork" in done.stdout


def test_a_batch_stays_on_its_loop(client: ModelsLab) -> None:
    """
    A batch whose loop has ended is told to be of another one, and can be
    closed.
    """
    batch = client.batch([CAT])

    async def begin() -> None:
        await anext(batch)

    async def go_on() -> None:
        async with client:
            with pytest.raises(WrongLoopError, match="another event loop"):
                await anext(batch)
            await batch.aclose()

    asyncio.run(begin())
    asyncio.run(go_on())


def test_the_next_run_finds_the_journal_unlocked(
    client: ModelsLab, modelslab_simulator: Simulator, tmp_path: Path
) -> None:
    """
    A loop that ends in the middle of a batch lets go of its journal: the
    next `asyncio.run` goes on, and buys nothing twice.
    """
    wanted = [
        TextToImage("a cat", model_id="sdxl", seed=number)
        for number in range(30)
    ]
    kept = []

    async def begin() -> None:
        reading = aiter(client.batch(wanted, output=tmp_path))
        # Not to be collected before the loop has ended.
        kept.append(reading)
        await anext(reading)

    async def go_on() -> list[Outcome]:
        async with client:
            return await client.batch(wanted, output=tmp_path)

    asyncio.run(begin())
    outcomes = asyncio.run(go_on())

    known = {type(outcome.error) for outcome in outcomes}
    assert known <= {type(None), OutcomeUnknownError}
    assert len(outcomes) == 30
    assert modelslab_simulator.books.alike == {}


CLOSED = """
import asyncio, gc, sys
from modelslab_async import ModelsLab, TextToImage, Timeouts

# Nothing is let go of by chance.
gc.disable()
timeouts = Timeouts().faster(100, silence=5)
lab = ModelsLab("a-key", base_url=sys.argv[1], timeouts=timeouts)
wanted = [TextToImage("a cat", model_id="sdxl", seed=n) for n in range(10)]
readers = []

async def begin():
    readers.append(aiter(lab.batch(wanted, output=sys.argv[2])))
    await anext(readers[0])

async def go_on():
    async with lab:
        return await lab.batch(wanted, output=sys.argv[2])

loop = asyncio.new_event_loop()
loop.run_until_complete(begin())
loop.close()
print(len(asyncio.run(go_on())), flush=True)
"""


def test_a_loop_that_cancels_nothing(
    modelslab_simulator: Simulator, tmp_path: Path
) -> None:
    """
    Also where a loop is closed as it is, the next one finds the journal
    unlocked.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-c", CLOSED),
            *(modelslab_simulator.url, str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "10\n"
    assert modelslab_simulator.books.alike == {}


CHILD = """
import asyncio, atexit, os, sys
from modelslab_async import ModelsLab, PollSchedule, TextToImage

CAT = TextToImage("a cat", model_id="sdxl")

def leave(how):
    if how == "sys.exit":
        sys.exit(0)
    # As multiprocessing does.
    atexit._run_exitfuncs()
    os._exit(0)

async def main(how):
    async with ModelsLab("a-key", polling=PollSchedule.fixed(0.5)) as lab:
        await lab.generate(CAT)
        waiting = asyncio.create_task(lab.generate(CAT))
        await asyncio.sleep(0.05)
        child = os.fork()
        if child == 0:
            leave(how)
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            await asyncio.sleep(0.01)
        print((await waiting).id is not None, lab.stats().unknown)
        print((await lab.generate(CAT)).id is not None, lab.stats().unknown)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["sys.exit", "exit functions"])
def test_a_child_leaves_its_parent_alone(
    how: str, modelslab_simulator: Simulator
) -> None:
    """
    A forked child that ends in the usual way closes none of its parent's
    connections: requests under way there are answered.
    """
    modelslab_simulator.change(hold=10.0, latency=50.0)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, how],
        env=os.environ | {"MODELSLAB_BASE_URL": modelslab_simulator.url},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=30,
    )

    assert done.stdout.splitlines()[-2:] == ["True 0", "True 0"]
