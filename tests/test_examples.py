"""
The example services do what they say, over real HTTP, and forget nothing when
they are stopped in the middle.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import pytest
import pytest_asyncio

from modelslab_async.simulator import Latency, Simulator


pytestmark = pytest.mark.asyncio

EXAMPLES = Path(__file__).parent.parent / "examples"
PROMPTS = [f"a cat, view {n}" for n in range(8)]
PICTURES = (b"\x89PNG", b"\xff\xd8\xff")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def running(
    name: str, simulator: Simulator, folder: Path, **more: str
) -> AsyncIterator[str]:
    """
    The service's URL; in the end it is asked to go, and goes well.
    """
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        env=os.environ
        | {
            "MODELSLAB_BASE_URL": simulator.url,
            "MODELSLAB_API_KEY": "a-key",
            "PICTURES": str(folder),
            "PORT": str(port),
        }
        | {key: text.format(port=port) for key, text in more.items()},
        stderr=asyncio.subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await answers(url)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(process.communicate(), 30)
        assert b"Traceback" not in errors, errors.decode()
        assert process.returncode in {0, -signal.SIGTERM}, errors.decode()


async def answers(url: str) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(url):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


async def asked(url: str, path: str) -> Any:
    async with aiohttp.ClientSession() as http, http.get(url + path) as reply:
        return reply.status, await reply.read()


def bought(simulator: Simulator) -> list[str]:
    return sorted(str(one.spec["prompt"]) for one in simulator.books.accepted)


@pytest_asyncio.fixture
async def slow() -> AsyncIterator[Simulator]:
    """
    Jobs that take long enough to be stopped in the middle.
    """
    async with Simulator(
        speed=10, pictures="plain", latency=Latency.constant(8.0)
    ) as simulator:
        yield simulator


async def until_some(simulator: Simulator, count: int) -> None:
    async with asyncio.timeout(30):
        while len(simulator.books.accepted) < count:
            await asyncio.sleep(0.01)


# FastAPI: orders, and a page


async def ordered(url: str, prompt: str) -> str:
    body = {"prompt": prompt, "model_id": "flux"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/orders", json=body) as reply,
    ):
        assert reply.status == 202, await reply.text()
        return str((await reply.json())["id"])


async def made(url: str, name: str) -> bytes:
    """
    The picture of an order, when it is there.
    """
    async with asyncio.timeout(60):
        while True:
            status, text = await asked(url, f"/orders/{name}")
            order = json.loads(text)
            assert status == 200, text
            assert order["state"] != "failed", order
            if order["state"] == "done":
                status, picture = await asked(url, order["pictures"][0])
                assert status == 200
                return bytes(picture)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "hooks",
    [False, True],
    ids=["polled", "rung"],
)
@pytest.mark.slow
async def test_fastapi(slow: Simulator, tmp_path: Path, hooks: bool) -> None:
    """
    Orders are answered at once and made once, also those that were under way,
    or waiting, when the service was stopped; with a doorbell it rings.
    """
    more = {"HOOKS": "http://127.0.0.1:{port}/hooks", "HOOKS_SECRET": "s" * 20}
    more = more if hooks else {}
    name = "fastapi_service.py"
    async with running(name, slow, tmp_path, **more) as url:
        names = [await ordered(url, prompt) for prompt in PROMPTS[:6]]
        await until_some(slow, 3)
        _, page = await asked(url, "/")
        assert b"in flight" in page
    async with running(name, slow, tmp_path, **more) as url:
        names += [await ordered(url, prompt) for prompt in PROMPTS[6:]]
        pictures = await asyncio.gather(*(made(url, one) for one in names))
        _, page = await asked(url, "/")
        bad, _ = await asked(url, "/orders/unknown")
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{url}/orders", json={"width": 1}) as reply,
        ):
            refused, why = reply.status, await reply.text()

    assert all(picture.startswith(PICTURES) for picture in pictures)
    assert bought(slow) == PROMPTS
    assert page.count(b"<img") == len(PROMPTS)
    assert (bad, refused) == (404, 422)
    assert "prompt" in why
    assert "width" in why
    if hooks:
        assert sum(ring.status == 200 for ring in slow.books.rings) >= 2


# aiohttp: requests that wait


async def put(url: str, prompt: str) -> tuple[int, bytes]:
    name = prompt.replace(" ", "-").replace(",", "")
    body = {"prompt": prompt, "model_id": "flux"}
    async with (
        aiohttp.ClientSession() as http,
        http.put(f"{url}/pictures/{name}", json=body) as reply,
    ):
        return reply.status, await reply.read()


@pytest.mark.parametrize(
    "hooks",
    [False, True],
    ids=["polled", "rung"],
)
@pytest.mark.slow
async def test_aiohttp(slow: Simulator, tmp_path: Path, hooks: bool) -> None:
    """
    A request waits for its picture; one that was cut off finds it by the same
    name, bought once.
    """
    more = {"HOOKS": "http://127.0.0.1:{port}/hooks", "HOOKS_SECRET": "s" * 20}
    more = more if hooks else {}
    name = "aiohttp_service.py"
    async with running(name, slow, tmp_path, **more) as url:
        cut = [asyncio.create_task(put(url, one)) for one in PROMPTS[:6]]
        await until_some(slow, 3)
    await asyncio.gather(*cut, return_exceptions=True)
    async with running(name, slow, tmp_path, **more) as url:
        answers = await asyncio.gather(*(put(url, one) for one in PROMPTS))
        again = await asked(url, "/pictures/a-cat-view-0")
        unknown, _ = await asked(url, "/pictures/a-dog")
        wrong, _ = await asked(url, "/pictures/..%2F..")

    assert {status for status, _ in answers} == {200}
    assert all(picture.startswith(PICTURES) for _, picture in answers)
    assert again == answers[0]
    assert (unknown, wrong) == (404, 404)
    assert bought(slow) == PROMPTS


# Threads


@pytest.mark.slow
async def test_sync_caller(slow: Simulator, tmp_path: Path) -> None:
    """
    Threads share one client; who was sent away when it closed asks again, and
    gets what is paid for already.
    """
    name = "sync_caller.py"
    paths = [f"/task-{n}/{quote_plus(one)}" for n, one in enumerate(PROMPTS)]
    async with running(name, slow, tmp_path) as url:
        cut = [asyncio.create_task(asked(url, path)) for path in paths[:6]]
        await until_some(slow, 3)
    sent_away = await asyncio.gather(*cut, return_exceptions=True)
    async with running(name, slow, tmp_path) as url:
        answers = await asyncio.gather(*(asked(url, path) for path in paths))
        again = await asked(url, paths[0])
        async with (
            aiohttp.ClientSession() as http,
            http.get(url + paths[0]) as r,
        ):
            kind = r.content_type

    assert kind in {"image/png", "image/jpeg"}
    assert 503 in {one[0] for one in sent_away if isinstance(one, tuple)}
    assert {status for status, _ in answers} == {200}
    assert all(picture.startswith(PICTURES) for _, picture in answers)
    assert again == answers[0]
    assert bought(slow) == PROMPTS
