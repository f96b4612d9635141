"""
Waiting for facts instead of for time.
"""

from __future__ import annotations

import asyncio

from collections.abc import Callable


async def until(fact: Callable[[], object], patience: float = 10.0) -> None:
    """
    Wait until *fact* holds.

    Raises:
        TimeoutError: It does not, after *patience* seconds.
    """
    async with asyncio.timeout(patience):
        while not fact():
            await asyncio.sleep(0.001)
