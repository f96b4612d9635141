"""
The simulator for another process, another thread, and its page of
documentation.
"""

from __future__ import annotations

import asyncio
import pathlib
import re
import subprocess
import sys
import threading
import urllib.request

from typing import Any

import pytest

from asking import FOREVER, asking
from blockbuster import blockbuster_ctx

from modelslab_async.simulator import Simulator, serve


_PAGE = pathlib.Path(__file__).parents[2] / "docs" / "simulator.md"
_SNIPPETS = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)


@pytest.mark.asyncio
async def test_control_next() -> None:
    """
    Faults, replies and edits can be ordered over HTTP.
    """
    async with asking() as asker:
        orders: list[dict[str, Any]] = [
            {"kind": "submit", "fault": "bad-gateway", "times": 1},
            {"kind": "submit", "reply": {"status": 418, "body": {"a": 1}}},
            {"kind": "submit", "edit": {"status": 203}, "prompt": "cat"},
        ]
        for order in orders:
            assert (await asker.control("next", **order)).status == 200

        codes = [(await asker.submit()).status for _ in range(4)]

    assert codes == [502, 418, 203, 200]


@pytest.mark.asyncio
async def test_control_settings() -> None:
    """
    Settings, other people's slots and bans can be set over HTTP.
    """
    async with asking(slots=5) as asker:
        key = asker.key
        await asker.control("settings", slots=2, occupy={key: 2})
        full = await asker.submit()
        await asker.control("settings", vacate={key: 1})
        room = await asker.submit()
        await asker.control("settings", ban={key: 60})
        banned = await asker.submit()

    assert "Maximum 2 queued" in full.body["message"]
    assert room.body["status"] == "success"
    assert banned.status == 429


@pytest.mark.asyncio
async def test_control_books() -> None:
    """
    The books can be read over HTTP.
    """
    async with asking() as asker:
        await asker.submit("a cat", track_id="9")

        reply = await asker.get(f"{asker.simulator.origin}/simulator/books")

    assert reply.body["totals"]["accepted"] == 1
    assert reply.body["submits"][0]["track_id"] == "9"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("next", {"kind": "submit", "fault": "no-such"}, 400),
        ("next", {"kind": "dance", "fault": "torn"}, 400),
        ("next", {"kind": "submit"}, 400),
        ("settings", {"no_such": 1}, 400),
        ("settings", {"occupy": 1}, 400),
        ("nothing", {}, 404),
    ],
)
async def test_control_refuses(
    name: str, body: dict[str, Any], status: int
) -> None:
    """
    What cannot be ordered is refused with its reason.
    """
    async with asking() as asker:
        reply = await asker.control(name, **body)

    assert reply.status == status


@pytest.mark.asyncio
async def test_never_blocks_the_loop() -> None:
    """
    From start to stop, pictures included, nothing blocks the loop.
    """
    with blockbuster_ctx("modelslab_async.simulator"):
        async with asking(pictures="drawn", slots=9) as asker:
            link = (await asker.submit(width=64, height=64)).body["output"][0]
            reply = await asker.get(link)

    assert reply.kind.startswith("image/")


@pytest.mark.asyncio
async def test_serve() -> None:
    """
    A served simulator prints its URL, answers, and ends when cancelled.
    """
    started: asyncio.Queue[Simulator] = asyncio.Queue()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(started=started.put, slots=3))
        simulator = await started.get()
        again = group.create_task(
            serve(started=started.put_nowait, pictures="plain")
        )
        await started.get()
        assert simulator.settings.slots == 3
        task.cancel()
        again.cancel()

    assert task.cancelled()


@pytest.mark.asyncio
async def test_serve_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Unless somebody is told, the URL is printed; a taken port is an error.
    """
    async with asking() as asker:
        port = int(asker.simulator.origin.rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"):
            await serve(port=port, pictures="plain")

    task = asyncio.create_task(serve(pictures="plain"))
    while not (said := capsys.readouterr().out):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api/v6\n", said)


def test_thread_of_its_own() -> None:
    """
    A simulator runs on a loop of another thread, and is steered from here.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    simulator = Simulator(pictures="plain", **FOREVER)
    asyncio.run_coroutine_threadsafe(simulator.start(), loop).result(5)

    simulator.occupy("k", 5)
    request = urllib.request.Request(
        f"{simulator.url}/images/text2img",
        data=b'{"key":"k","prompt":"a cat","model_id":"flux"}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        text = response.read().decode()

    asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()
    assert "Maximum 5 queued requests allowed" in text


@pytest.mark.slow
@pytest.mark.parametrize("snippet", _SNIPPETS)
def test_snippets_of_the_page(snippet: str) -> None:
    """
    Every Python snippet of the page runs as it stands.
    """
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
