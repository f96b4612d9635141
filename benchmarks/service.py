"""
The simulators of a benchmark, in a process of their own.

They live as long as whoever started them: until their stdin is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import attrs

from modelslab_async.simulator import Edit, Simulator


KEY = "bench"


@attrs.frozen
class Service:
    """
    One simulator, seen from outside.

    *born* is the zero of its books' clock, on the machine's monotonic clock.
    """

    url: str
    born: float

    async def books(self) -> dict[str, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(self._door("books")) as reply,
        ):
            return await reply.json()

    async def change(self, **settings: object) -> float:
        """
        Change settings, `occupy` or `vacate`; when, on the books' clock.
        """
        async with (
            aiohttp.ClientSession() as session,
            session.post(self._door("settings"), json=settings) as reply,
        ):
            assert reply.status == 200, await reply.text()
        return time.monotonic() - self.born

    def _door(self, name: str) -> str:
        return self.url.replace("/api/v6", f"/simulator/{name}")


@asynccontextmanager
async def services(
    plays: Sequence[dict[str, object]],
) -> AsyncIterator[list[Service]]:
    """
    A simulator for each of *plays*: its settings, and in *guesses* the etas
    that it tells, submit for submit.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(list(plays)).encode() + b"\n")
        said = json.loads(await process.stdout.readline())
        yield [Service(url, born) for url, born in said]
    finally:
        process.stdin.close()
        await process.wait()


def submitted(books: dict[str, Any]) -> list[dict[str, Any]]:
    """
    The jobs, in the order of their acceptance.
    """
    return sorted(books["jobs"], key=lambda job: job["accepted"])


def delays(jobs: Sequence[dict[str, Any]]) -> list[float]:
    """
    Seconds for which each job had ended before we were told.
    """
    return [job["noticed"] - job["ended"] for job in jobs]


async def play() -> None:
    plays = json.loads(sys.stdin.readline())
    async with AsyncExitStack() as stack:
        said = []
        for settings in plays:
            guesses = settings.pop("guesses", ())
            simulator = await stack.enter_async_context(
                Simulator(**{"pictures": "plain", **settings})
            )
            for eta in guesses:
                simulator.next("submit", Edit({"eta": eta}))
            said.append((simulator.url, simulator.books.born))
        print(json.dumps(said), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(play())
