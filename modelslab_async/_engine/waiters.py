"""
Those who wait for something, and how they are woken.
"""

from __future__ import annotations

import asyncio
import copy

from typing import TypeVar

import anyio
import attrs

from ..errors import ModelsLabError


E = TypeVar("E", bound=ModelsLabError)


@attrs.define(eq=False, repr=False, weakref_slot=False)
class Waiters:
    """
    Those who wait now for one thing; each may go at any time.

    What changes: who they are.
    """

    #: Done with False when time is up, with an error to raise, else True.
    _waiting: set[asyncio.Future[bool | ModelsLabError]] | None = None

    async def wait(self, timeout: float | None = None) -> bool:
        """
        Wait until `wake` is called; False if *timeout* seconds are over
        before.

        Raises:
            ModelsLabError: What they were woken with.
        """
        loop = asyncio.get_running_loop()
        wait: asyncio.Future[bool | ModelsLabError] = loop.create_future()
        if self._waiting is None:
            self._waiting = set()
        waiting = self._waiting
        waiting.add(wait)
        timer = None
        if timeout is not None:
            timer = loop.call_later(timeout, _settle, wait, False)
        try:
            woken = await wait
        finally:
            if timer is not None:
                timer.cancel()
            waiting.discard(wait)
        if isinstance(woken, ModelsLabError):
            raise afresh(woken)
        return woken

    def wake(self, error: ModelsLabError | None = None) -> None:
        """
        Let all go on who wait now: with *error*, or to look for themselves.
        """
        waiting, self._waiting = self._waiting, None
        for wait in waiting or ():
            _settle(wait, True if error is None else error)


def _settle(
    wait: asyncio.Future[bool | ModelsLabError], woken: bool | ModelsLabError
) -> None:
    if not wait.done():
        wait.set_result(woken)


def afresh(error: E) -> E:
    """
    The same error for another who waits: tracebacks don't pile up on it.
    """
    again = copy.copy(error).with_traceback(None)
    again.__cause__ = error.__cause__
    return again


def is_cancelled(exc: BaseException) -> bool:
    """
    Whether that is the end of our own task: a `CancelledError` where nobody
    has cancelled us is somebody else's.
    """
    if not isinstance(exc, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        # A forked child of a loop: it is left.
        return True
    return task is not None and task.cancelling() > 0


async def to_its_end(task: asyncio.Future[None]) -> None:
    """
    Wait until *task* is done, also in a cancelled task, which hears of it
    then.
    """
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as exc:
                cancelled = exc
    task.result()
    if cancelled is not None:
        raise cancelled
