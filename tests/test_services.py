"""
What becomes of a request whose caller hangs up, as docs/services.md says.
"""

from __future__ import annotations

import asyncio
import re
import socket

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    suppress,
)
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

from aiohttp import web
from waiting import until

from modelslab_async import ModelsLab, TextToImage
from modelslab_async.simulator import Latency, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

PAGE = Path(__file__).parent.parent / "docs" / "services.md"
SNIPPETS = re.findall(
    r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
)
A_CAT = {"prompt": "a cat", "model_id": "flux"}


@attrs.frozen
class Served:
    """
    A service that runs, its client, and how many callers it still has.
    """

    url: str
    lab: ModelsLab
    callers: Callable[[], int]


_Service = Callable[[Simulator], AbstractAsyncContextManager[Served]]


def snippet(sign: str, simulator: Simulator) -> dict[str, Any]:
    """
    What the page's snippet with *sign* in it defines, on an account with one
    slot.
    """
    (text,) = (one for one in SNIPPETS if sign in one)
    names: dict[str, Any] = {"__name__": "services"}
    exec(compile(text, str(PAGE), "exec"), names)
    names["ModelsLab"] = partial(
        ModelsLab.simulated, simulator.url, speed=100, slots=1
    )
    return names


async def _passing(request: Any, call_next: Any) -> Any:
    return await call_next(request)


async def _unwatched(_request: Any, work: Awaitable[Any]) -> Any:
    return await work


@asynccontextmanager
async def fastapi(
    simulator: Simulator, *, below: bool = False, watched: bool = True
) -> AsyncIterator[Served]:
    """
    The page's service, below a middleware or not; also without what watches
    the caller.
    """
    # Takes a while, and is no matter of whoever collects this file.
    import uvicorn

    names = snippet("FastAPI(", simulator)
    app = names["app"]
    if below:
        app.middleware("http")(_passing)
    if not watched:
        names["unless_gone"] = _unwatched
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="critical", ws="none")
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        serving = asyncio.create_task(server.serve([listening]))
        await until(lambda: server.started)
        try:
            yield Served(
                f"http://127.0.0.1:{port}/pictures",
                app.state.lab,
                lambda: len(server.server_state.connections),
            )
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def aiohttps(
    simulator: Simulator, *, cancelling: bool
) -> AsyncIterator[Served]:
    """
    The page's service, with handlers that are cancelled or not.
    """
    names = snippet("web.Application()", simulator)
    runner = web.AppRunner(names["app"], handler_cancellation=cancelling)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = runner.server
    assert server is not None
    try:
        yield Served(
            f"http://127.0.0.1:{runner.addresses[0][1]}/picture?prompt=a+cat",
            names["app"][names["LAB"]],
            # Who is gone stays among them while their handler runs.
            lambda: sum(
                one.transport is not None for one in server.connections
            ),
        )
    finally:
        await runner.cleanup()


async def _hang_up(served: Served, simulator: Simulator) -> None:
    """
    Ask for a picture while the slot is taken, and hang up.
    """
    simulator.change(latency=Latency.constant(1000.0))
    await served.lab.submit(TextToImage("a dog", model_id="flux"))
    method = "POST" if served.url.endswith("pictures") else "GET"
    async with aiohttp.ClientSession() as http:
        asking = asyncio.create_task(
            http.request(method, served.url, json=A_CAT)
        )
        await until(lambda: served.lab.stats().waiting)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    await until(lambda: served.callers() == 0)


@pytest.mark.parametrize(
    "service",
    [
        fastapi,
        partial(fastapi, below=True),
        partial(aiohttps, cancelling=True),
    ],
    ids=["fastapi", "below-middleware", "aiohttp"],
)
async def test_nothing_is_asked_for_who_hung_up(
    service: _Service, simulator: Simulator
) -> None:
    """
    What waits for a slot is cancelled with its caller, and not paid for.
    """
    async with service(simulator) as served:
        await _hang_up(served, simulator)
        await until(lambda: not served.lab.stats().waiting)
        simulator.finish()

    assert [one.spec["prompt"] for one in simulator.books.accepted] == [
        "a dog"
    ]


@pytest.mark.parametrize(
    "service",
    [partial(fastapi, watched=False), partial(aiohttps, cancelling=False)],
    ids=["fastapi", "aiohttp"],
)
async def test_a_handler_runs_to_its_end(
    service: _Service, simulator: Simulator
) -> None:
    """
    Left to themselves, FastAPI and aiohttp pay for a picture whose caller is
    gone.
    """
    async with service(simulator) as served:
        await _hang_up(served, simulator)
        assert served.lab.stats().waiting == 1
        simulator.change(latency=Latency.constant(1.0))
        simulator.finish()
        await until(lambda: served.lab.stats().succeeded == 2)

    assert len(simulator.books.accepted) == 2


@pytest.mark.parametrize(
    ("service", "method"),
    [(fastapi, "POST"), (partial(aiohttps, cancelling=True), "GET")],
    ids=["fastapi", "aiohttp"],
)
async def test_a_request_that_cannot_be(
    service: _Service, method: str, simulator: Simulator
) -> None:
    """
    It is answered with 422 and its faults, and nothing is asked for.
    """
    async with service(simulator) as served, aiohttp.ClientSession() as http:
        url = served.url.partition("?")[0]
        async with http.request(method, url, json={"width": 1}) as reply:
            assert reply.status == 422
            assert "prompt: " in await reply.text()

    assert simulator.books.entries == []


@pytest.mark.parametrize(
    ("service", "method"),
    [(fastapi, "POST"), (partial(aiohttps, cancelling=True), "GET")],
    ids=["fastapi", "aiohttp"],
)
async def test_a_picture(
    service: _Service, method: str, simulator: Simulator
) -> None:
    """
    Who waits gets it.
    """
    simulator.change(latency=Latency.constant(1.0))
    async with (
        service(simulator) as served,
        aiohttp.ClientSession() as http,
        http.request(method, served.url, json=A_CAT) as reply,
    ):
        assert reply.status == 200
        assert reply.content_type in {"application/json", "image/png"}
