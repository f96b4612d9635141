"""
A forked child has no part in what its parent is doing.
"""

from __future__ import annotations

import os
import subprocess
import sys

from pathlib import Path

import pytest

from modelslab_async.simulator import Simulator


pytestmark = pytest.mark.slow


#: Prints how the child ended and how many were told to its parent. A child
#: that does not end is killed, and its parent fails.
PARENT = """
import asyncio, gc, multiprocessing, os, signal, sys, threading, warnings
from modelslab_async import ModelsLab, TextToImage, Timeouts
from modelslab_async.errors import JournalError, WrongLoopError

warnings.simplefilter("ignore", DeprecationWarning)
url, output, where, how = sys.argv[1:]
timeouts = Timeouts().faster(20.0, silence=5.0)
children, held, told = [], {}, 0

def cat(seed):
    return TextToImage("a cat", model_id="sdxl", seed=seed)

async def another(folder, wanted):
    async with ModelsLab("a-key", base_url=url, timeouts=timeouts) as lab:
        return await lab.batch(wanted, output=folder)

def fork():
    if children:
        return
    children.append(os.fork())
    if children != [0]:
        return
    if how == "exit":
        sys.exit(3)
    if how == "raise":
        raise RuntimeError("of the child")
    if how == "collect":
        held.clear()
        gc.collect()
    if how == "own batch":
        dogs = [TextToImage("a dog", model_id="sdxl", seed=1)]
        (outcome,) = asyncio.run(another(output + "/dogs", dogs))
        sys.exit(3 if outcome.ok else 4)
    if how == "same folder":
        try:
            asyncio.run(another(output, [cat(1)]))
        except JournalError as error:
            sys.exit(3 if error.reason == "locked" else 4)

def specs():
    for seed in range(20):
        if where == "input" and seed == 12:
            fork()
        yield cat(seed)

def key():
    if where == "key" and len(held) == 2 and held["batch"].progress.done:
        fork()
    return "a-key"

def observer(event):
    global told
    told += 1
    if where == "observer" and told == 40:
        fork()

async def ended():
    while not children:
        await asyncio.sleep(0.01)
    try:
        async with asyncio.timeout(10):
            while (status := os.waitpid(children[0], os.WNOHANG)) == (0, 0):
                await asyncio.sleep(0.01)
    except TimeoutError:
        os.kill(children[0], signal.SIGKILL)
        raise
    return os.waitstatus_to_exitcode(status[1])

async def main():
    options = {"base_url": url, "timeouts": timeouts}
    if where == "observer":
        options["observers"] = [observer]
    async with ModelsLab(key, **options) as lab:
        held["lab"] = lab
        outcomes, child = [], asyncio.create_task(ended())
        async with lab.batch(specs(), output=output) as batch:
            held["batch"] = batch
            async for outcome in batch:
                outcomes.append(outcome)
                if len(outcomes) != 6 or children:
                    continue
                if where == "loop":
                    fork()
                if children == [0] and how == "close":
                    await batch.aclose()
                    await lab.aclose()
                    sys.exit(3)
                if children == [0] and how == "go on":
                    try:
                        await lab.generate(cat(1))
                    except WrongLoopError:
                        await anext(batch)
                if children == [0]:
                    return
                if where == "callback":
                    asyncio.get_running_loop().call_soon(fork)
                if where == "thread":
                    threading.Thread(target=fork).start()
                if where == "process":
                    process = multiprocessing.get_context("fork").Process(
                        target=sys.exit, args=(3,)
                    )
                    process.start()
                    children.append(process.pid)
        code = await child
        print(sum(outcome.ok for outcome in outcomes), lab.stats().unknown)
        print(code if how != "raise" and where != "thread" else "ended")

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("where", "how", "code"),
    [
        ("loop", "exit", "3"),
        ("loop", "raise", "ended"),
        ("loop", "return", "0"),
        ("loop", "collect", "0"),
        ("loop", "close", "3"),
        ("loop", "go on", "1"),
        ("loop", "own batch", "3"),
        ("loop", "same folder", "3"),
        ("callback", "exit", "3"),
        ("input", "exit", "3"),
        ("input", "return", "1"),
        ("key", "exit", "3"),
        ("observer", "exit", "3"),
        ("observer", "return", "1"),
        ("thread", "exit", "ended"),
        ("process", "exit", "3"),
    ],
)
def test_a_child_in_the_middle_of_a_batch(
    where: str,
    how: str,
    code: str,
    modelslab_simulator: Simulator,
    tmp_path: Path,
) -> None:
    """
    However it leaves, a forked child ends at once, buys nothing of its
    parent's, and takes nothing from it: the batch there ends whole.
    """
    modelslab_simulator.change(hold=4.0)
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", PARENT),
            *(modelslab_simulator.url, str(tmp_path / "out"), where, how),
        ],
        env=os.environ | {"PYTHONASYNCIODEBUG": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    books = modelslab_simulator.books
    cats = [one for one in books.accepted if one.spec["prompt"] == "a cat"]
    assert done.stdout.splitlines() == ["20 0", code]
    assert len(cats) == 20
    assert books.alike == {}
    assert "a bug" not in done.stderr


#: Forks at each outcome, and wherever its loop is then.
OFTEN = """
import asyncio, os, sys
from modelslab_async import ModelsLab, TextToImage, Timeouts

url, output = sys.argv[1:]
timeouts = Timeouts().faster(20.0, silence=5.0)
children = []

def leave(turn):
    if turn % 3 == 0:
        sys.exit(0)
    if turn % 3 == 1:
        raise RuntimeError("of the child")

async def main():
    specs = [
        TextToImage("a cat", model_id="sdxl", seed=seed) for seed in range(20)
    ]
    async with ModelsLab("a-key", base_url=url, timeouts=timeouts) as lab:
        outcomes = []
        async with lab.batch(specs, output=output) as batch:
            async for outcome in batch:
                outcomes.append(outcome)
                # Not only where an outcome has just come.
                await asyncio.sleep(len(outcomes) % 4 * 0.01)
                children.append(os.fork())
                if children[-1] == 0:
                    return leave(len(outcomes))
        async with asyncio.timeout(20):
            for child in children:
                while os.waitpid(child, os.WNOHANG) == (0, 0):
                    await asyncio.sleep(0.01)
        print(sum(outcome.ok for outcome in outcomes), lab.stats().unknown)

asyncio.run(main())
"""


def test_children_again_and_again(
    modelslab_simulator: Simulator, tmp_path: Path
) -> None:
    """
    Whatever a batch is doing when a child is forked, no answer, no wake-up
    and no file is lost to it.
    """
    modelslab_simulator.change(hold=4.0)
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", OFTEN),
            *(modelslab_simulator.url, str(tmp_path / "out")),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == "20 0\n"
    assert len(modelslab_simulator.books.accepted) == 20
    assert len(list((tmp_path / "out" / "images").iterdir())) == 20
    assert "a bug" not in done.stderr
