"""
What to see of something that hangs: every task, and where it waits.
"""

from __future__ import annotations

import asyncio
import faulthandler
import tempfile

from collections.abc import Coroutine
from typing import Any


class Hangs(Exception):
    """
    It took longer than anything should.
    """


async def within(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """
    Do *work*.

    Raises:
        Hangs: It is not done after so many seconds; with all stacks.
    """
    task = asyncio.ensure_future(work)
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        raise Hangs(stacks())
    await task


def stacks() -> str:
    """
    Where the tasks of the running loop wait, and what the threads do.
    """
    tasks = [_stack(task) for task in asyncio.all_tasks()]
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        threads = file.read()
    return "\n".join([*tasks, threads])


def _stack(task: asyncio.Task[Any]) -> str:
    lines = [f"{task!r}"]
    waits: Any = task.get_coro()
    while waits is not None:
        # A clock for cancelling wraps what it counts.
        waits = getattr(waits, "coro", waits)
        frame = getattr(waits, "cr_frame", None) or getattr(
            waits, "ag_frame", None
        )
        if frame is not None:
            code = frame.f_code
            place = f"{code.co_filename}:{frame.f_lineno}"
            lines.append(f"    {place} {code.co_qualname}")
        else:
            lines.append(f"    {waits!r}")
        waits = getattr(waits, "cr_await", None) or getattr(
            waits, "ag_await", None
        )
    return "\n".join(lines)
