"""
A bound on waiting that throws no answer away.
"""

from __future__ import annotations

import asyncio

from types import TracebackType
from typing import Self


class Deadline:
    """
    Raises `TimeoutError` in its block after so many seconds.

    After a stalled loop an answer and the end of its time may be found in one
    turn: `asyncio.timeout` would then cancel who is about to read the answer.
    Here the end counts one turn later, for what has not come by then.
    """

    __slots__ = ("_seconds", "_timeout", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(
            self._seconds, lambda: self._timeout.reschedule(loop.time())
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._timeout.__aexit__(kind, exc, traceback)
