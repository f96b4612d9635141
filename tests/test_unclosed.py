"""
What closes leaves no connection to the collector, which would warn of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import warnings

from collections.abc import Coroutine, Iterator
from typing import Any

import aiohttp
import attrs
import pytest
import trustme

from peers import CAP, PATIENT, a_pool, fetched, head

from modelslab_async._engine.http import SessionPool
from modelslab_async._protocol.replies import Call
from modelslab_async.simulator import Reply, Simulator


#: More than lies between two sockets of which one is not read.
LARGE = 8 * 2**20
LAST = head(b"Content-Length: 2", b"Connection: close") + b"{}"
CUT = head(b"Content-Length: 99") + b"{}"


def left_by(main: Coroutine[Any, Any, object]) -> list[str]:
    """
    What is found unclosed when a loop has ended.
    """
    gc.collect()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(main)
        gc.collect()
    return [str(each.message) for each in told]


@attrs.define(eq=False)
class Sloth:
    """
    Somebody who reads a head, says what it is told, and nothing after that:
    no more is read, and no goodbye is answered.
    """

    listener: socket.socket
    closing: contextlib.ExitStack
    context: ssl.SSLContext | None
    options: dict[str, Any]

    @property
    def url(self) -> str:
        scheme = "http" if self.context is None else "https"
        return f"{scheme}://127.0.0.1:{self.listener.getsockname()[1]}/"

    def meet(self) -> socket.socket:
        """
        Let in who comes next.
        """
        caller = self.closing.enter_context(self.listener.accept()[0])
        if self.context is not None:
            caller = self.closing.enter_context(
                self.context.wrap_socket(caller, server_side=True)
            )
        return caller

    def say(self, answer: bytes) -> None:
        """
        Answer who comes next.
        """
        caller, asked = self.meet(), b""
        while b"\r\n\r\n" not in asked:
            asked += caller.recv(4096)
        caller.sendall(answer)


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """
    One for a server, and one that trusts it.
    """
    authority = trustme.CA()
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    return ours, theirs


@pytest.fixture(params=["http", "https"])
def sloth(
    request: pytest.FixtureRequest,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> Iterator[Sloth]:
    ours, theirs = contexts if request.param == "https" else (None, True)
    with contextlib.ExitStack() as closing:
        listener = closing.enter_context(
            socket.create_server(("127.0.0.1", 0))
        )
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        yield Sloth(listener, closing, ours, {"ssl": theirs})


async def _asked(
    sloth: Sloth, what: str, answer: bytes, *, cancel: bool
) -> None:
    async with a_pool(sloth.url, timeouts=PATIENT, **sloth.options) as pool:
        asking = asyncio.create_task(_ask(pool, sloth.url, what))
        await asyncio.to_thread(sloth.say, answer)
        if cancel:
            asking.cancel()
        await asyncio.wait({asking})


async def _ask(pool: SessionPool, url: str, what: str) -> object:
    if what == "a file":
        return await fetched(pool, url)
    prompt = b"x" * LARGE if what == "much" else b"a cat"
    return await pool.submit(Call(url, b'{"prompt":"%b"}' % prompt, CAP))


@pytest.mark.parametrize("what", ["little", "much", "a file"])
@pytest.mark.parametrize(
    ("answer", "cancel"),
    [(LAST, False), (LAST[:-1], True), (CUT, True), (b"", True)],
    ids=["the last", "all but the last byte", "cut", "none"],
)
def test_a_peer_who_never_says_goodbye(
    sloth: Sloth, what: str, answer: bytes, cancel: bool
) -> None:
    """
    Whatever a client had on its way when it was closed, and however slow the
    other end is to hear of it, no connection of the client's outlives it.
    """
    assert left_by(_asked(sloth, what, answer, cancel=cancel)) == []


@pytest.mark.parametrize("cancel", [False, True])
def test_a_connection_that_is_made_as_its_client_closes(
    sloth: Sloth, cancel: bool
) -> None:
    """
    Who has a connection, and has not written yet when the client closes,
    leaves none behind, whether it goes on or is cancelled.
    """

    async def close() -> None:
        made, closed = asyncio.Event(), asyncio.Event()

        async def holds(*_: object) -> None:
            made.set()
            await closed.wait()

        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(holds)
        options = {**sloth.options, "trace_configs": [trace]}
        async with a_pool(sloth.url, timeouts=PATIENT, **options) as pool:
            asking = asyncio.create_task(_ask(pool, sloth.url, "little"))
            meeting = asyncio.create_task(asyncio.to_thread(sloth.meet))
            await asyncio.wait({asyncio.create_task(made.wait()), meeting})
            if cancel:
                asking.cancel()
                await asyncio.wait({asking})
            await pool.aclose()
            closed.set()
            await asyncio.wait({asking})

    assert left_by(close()) == []


def _place(simulator: Simulator) -> tuple[str, int]:
    host, port = simulator.origin.removeprefix("http://").split(":")
    return host, int(port)


@pytest.mark.parametrize("turns", range(6))
def test_a_simulator_that_stops_as_somebody_comes(turns: int) -> None:
    """
    Who is just being let in when a simulator stops is not forgotten.
    """

    async def stop(caller: socket.socket) -> None:
        simulator = Simulator(pictures="plain")
        await simulator.start()
        caller.connect(_place(simulator))
        for _ in range(turns):
            await asyncio.sleep(0)
        await simulator.stop()

    with socket.socket() as caller:
        assert left_by(stop(caller)) == []


def test_a_simulator_whose_answer_nobody_reads() -> None:
    """
    A simulator that stops waits for nobody to read its last words.
    """

    async def stop(caller: socket.socket) -> None:
        simulator = Simulator(pictures="plain")
        simulator.next("submit", Reply(200, b"x" * LARGE))
        await simulator.start()
        caller.connect(_place(simulator))
        caller.sendall(
            b"POST /api/v6/images/text2img HTTP/1.1\r\nHost: here\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )
        await asyncio.to_thread(caller.recv, 1)
        await simulator.stop()

    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        assert left_by(stop(caller)) == []
