"""
A clock for cancelling: it counts how often our own tasks go on, come to rest
at an await, or end, and strikes at the k-th time.
"""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

import attrs


T = TypeVar("T")

Act = Callable[[], object]


@attrs.define
class Steps:
    """
    Counts the steps of tasks that run our code.

    What changes: how many there were.

    Attributes:
        at: Which one to strike at, counted from 1; 0 for none.

        strike: What to do then.
    """

    at: int = 0
    strike: Act = print
    count: int = 0
    struck: bool = False

    def task(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        **options: Any,
    ) -> asyncio.Task[T]:
        """
        The loop's factory of tasks meanwhile.
        """
        code = getattr(coro, "cr_code", None)
        ours = code is not None and "modelslab_async" in code.co_filename
        counted = _Counted(coro, self) if ours else coro
        return asyncio.Task(counted, loop=loop, **options)

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.struck = True
            self.strike()


@attrs.define
class _Counted(Coroutine[Any, Any, Any]):
    """
    A coroutine that tells of each step.
    """

    coro: Any
    steps: Steps

    def send(self, value: Any) -> Any:
        # Here its future is done, and whoever is cancelled now comes too late
        # to keep it from going on.
        self.steps.step()
        try:
            return self.coro.send(value)
        finally:
            self.steps.step()

    def throw(self, *error: Any) -> Any:
        self.steps.step()
        try:
            return self.coro.throw(*error)
        finally:
            self.steps.step()

    def close(self) -> None:
        self.coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError
