"""
Waiting for facts instead of for time.
"""

from __future__ import annotations

import asyncio

from collections.abc import Callable
from typing import Self

import attrs


async def until(fact: Callable[[], object], patience: float = 10.0) -> None:
    """
    Wait until *fact* holds.

    Raises:
        TimeoutError: It does not, after *patience* seconds.
    """
    async with asyncio.timeout(patience):
        while not fact():
            await asyncio.sleep(0.001)


@attrs.define
class Clock:
    """
    The clock of a loop, which can be set forward: what is due by then is due
    at once.

    What changes: how far *ahead* it is, in seconds.
    """

    ahead: float = 0.0

    @classmethod
    def of_this_loop(cls) -> Self:
        """
        From now on; whoever asked the loop for its clock before has another.
        """
        clock, loop = cls(), asyncio.get_running_loop()
        really = loop.time
        loop.time = lambda: really() + clock.ahead  # type: ignore[method-assign]  # the point
        return clock
