"""
The other end of a socket, which does what it is told, and pools that ask it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import attrs

from modelslab_async import Timeouts
from modelslab_async._engine.api_key import ApiKey
from modelslab_async._engine.http import SessionPool
from modelslab_async._engine.network import NetworkOptions
from modelslab_async._engine.runtime import Runtime
from modelslab_async._observing import Observers
from modelslab_async._protocol.replies import Call


KEY = "s3cret-canary/key"
BODY = b'{"prompt":"a cat"}'
CAP = 10_000
TIMEOUTS = attrs.evolve(
    Timeouts(), connect=5.0, submit_read=0.15, submit=0.25, poll=0.15
)
#: For whoever tests no timeout: a machine may stall.
PATIENT = attrs.evolve(TIMEOUTS, submit_read=20.0, submit=20.0, poll=20.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@attrs.define(eq=False)
class Peer:
    """
    The other end: it reads a request, and does what it is told.

    Attributes:
        requests: Each as it came: its head, and its body.

        connections: How many were made.

        open: How many requests are under way, and the most at once.
    """

    act: Act
    port: int = 0
    requests: list[tuple[bytes, bytes]] = attrs.field(factory=list)
    connections: int = 0
    open: int = 0
    most: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def call(self) -> Call:
        return Call(f"{self.url}/api", BODY, CAP)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await read(reader))
                self.open += 1
                self.most = max(self.most, self.open)
                try:
                    await self.act(reader, writer)
                finally:
                    self.open -= 1
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


async def read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """
    One request.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head, await reader.readexactly(length)


@asynccontextmanager
async def peer(act: Act, *, host: str = "127.0.0.1") -> AsyncIterator[Peer]:
    """
    Somebody who answers as told.
    """
    one = Peer(act)
    # Who finds no place in the queue of those who knock tries again after 1 s.
    server = await asyncio.start_server(one.serve, host, 0, backlog=1000)
    one.port = server.sockets[0].getsockname()[1]
    async with server:
        yield one


@asynccontextmanager
async def a_pool(
    base_url: str = "https://api.example/v6", **options: Any
) -> AsyncIterator[SessionPool]:
    """
    An open pool.
    """
    key = options.pop("key", ApiKey(KEY))
    runtime = Runtime(options.pop("timeouts", TIMEOUTS), Observers([]))
    pool = SessionPool(runtime, key, base_url, NetworkOptions(**options))
    pool.open()
    try:
        yield pool
    finally:
        await pool.aclose()
        runtime.close()


def says(*parts: bytes, pause: float | None = 0.0, more: bool = True) -> Act:
    """
    Write these, one after the other; then wait for more, or hang up.

    *pause* seconds between them; None: wait for ever after the first.
    """

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            if pause is None:
                await reader.read()
            elif pause:
                await asyncio.sleep(pause)
        if not more:
            raise EOFError

    return act


async def resets(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """
    Break the connection off.
    """
    peer = writer.get_extra_info("socket")
    peer.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    writer.transport.abort()


def head(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """
    The head of an answer.
    """
    return b"\r\n".join([line, *fields, b"", b""])


@contextmanager
def served(act: Act) -> Iterator[tuple[Peer, Callable[[], None]]]:
    """
    A peer in a thread of its own, and what has it close all connections,
    which are idle then; our own loop hangs meanwhile.
    """
    one = Peer(act)
    ready, over, closed = (threading.Event() for _ in range(3))
    loops: list[asyncio.AbstractEventLoop] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve() -> None:
        async def once(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writers.append(writer)
            await one.serve(reader, writer)

        server = await asyncio.start_server(once, "127.0.0.1", 0)
        one.port = server.sockets[0].getsockname()[1]
        loops.append(asyncio.get_running_loop())
        ready.set()
        async with server:
            await asyncio.to_thread(over.wait)

    def close() -> None:
        for writer in writers:
            writer.close()
        # A transport that has nothing to send is closed in the next turn.
        loops[0].call_soon(loops[0].call_soon, closed.set)

    def close_idle() -> None:
        loops[0].call_soon_threadsafe(close)
        closed.wait(10)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait(10)
    try:
        yield one, close_idle
    finally:
        over.set()
        thread.join()


async def fetched(pool: SessionPool, url: str) -> bytes:
    """
    The bytes of a file.
    """
    async with pool.open_file(url) as reply:
        return b"".join([chunk async for chunk in reply.chunks])
