"""
What everything on one event loop shares: the loop and its process, timeouts,
observers, what is counted, and threads of our own.

It also sees a fork: the child lets go of all that is its parent's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import weakref

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from .._observing import Observers
from .._policy.timeouts import Timeouts
from ..errors import ClientClosedError, WrongLoopError
from .waits import Waits


if TYPE_CHECKING:
    # Only where there is something for threads to do.
    from concurrent.futures import ThreadPoolExecutor


T = TypeVar("T")


_log = logging.getLogger("modelslab_async")


#: Threads for DNS and disk: as many pictures are written at once, and a slow
#: disk leaves room for names.
_POOL = 8


@attrs.define(eq=False, repr=False)
class Counts:
    """
    What a client has done so far, for `ModelsLab.stats()`.
    """

    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    polls: int = 0
    refusals: int = 0
    unknown: int = 0
    uploads: int = 0
    #: Of all jobs that were accepted.
    highest_id: int = 0
    #: The last of them, by track_id.
    unknown_ids: deque[str] = attrs.field(factory=lambda: deque(maxlen=1000))

    def count_unknown(self, track_id: str) -> None:
        """
        One more request got no verdict.
        """
        self.unknown += 1
        self.unknown_ids.append(track_id)


@attrs.define(eq=False, repr=False)
class Runtime:
    """
    One event loop, and what lives there.

    What changes: what is counted, and whether it was closed.

    Attributes:
        inherited: It is a forked child's copy: all that is here is the
            parent's.

        in_child: What else has to be let go of there, without a word.
    """

    timeouts: Timeouts
    observers: Observers
    stats: Counts = attrs.field(factory=Counts, init=False)
    loop: asyncio.AbstractEventLoop = attrs.field(
        factory=asyncio.get_running_loop, init=False
    )
    #: Seconds on the loop's clock.
    now: Callable[[], float] = attrs.field(init=False)
    pid: int = attrs.field(factory=os.getpid, init=False)
    closed: bool = attrs.field(default=False, init=False)
    inherited: bool = attrs.field(default=False, init=False)
    in_child: list[Callable[[], None]] = attrs.field(factory=list, init=False)
    #: What is waited for, and told of where that lasts.
    waits: Waits = attrs.field(init=False)
    #: What lets go of things without the loop, where that ended by itself.
    let_go: set[Callable[[], None]] = attrs.field(factory=set, init=False)
    _executor: ThreadPoolExecutor | None = attrs.field(
        default=None, init=False
    )
    _in_threads: set[asyncio.Future[Any]] = attrs.field(
        factory=set, init=False
    )

    def __attrs_post_init__(self) -> None:
        _runtimes.add(self)

    @now.default
    def _clock(self) -> Callable[[], float]:
        return self.loop.time

    @waits.default
    def _nobody(self) -> Waits:
        timeouts = self.timeouts
        return Waits(
            self.loop, timeouts.quiet_wait, timeouts.speed, self.observers
        )

    @property
    def executor(self) -> ThreadPoolExecutor:
        """
        Threads of our own: the loop's may be full of callers who wait for us.
        """
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(_POOL, "modelslab_async")
        return self._executor

    async def in_thread(self, work: Callable[[], T]) -> T:
        """
        Do *work* in a thread of our own.

        Raises:
            ClientClosedError: They are gone.
        """
        if self.inherited:
            raise forked()
        try:
            future = self.loop.run_in_executor(self.executor, work)
        except RuntimeError:
            raise ClientClosedError from None
        self._in_threads.add(future)
        try:
            return await future
        finally:
            self._in_threads.discard(future)

    def check(self) -> None:
        """
        Refuse what comes too late, or from elsewhere.

        Raises:
            ClientClosedError: The client was closed.

            WrongLoopError: This is another loop, or another process.
        """
        if self.inherited:
            raise forked()
        if self.loop.is_closed():
            raise WrongLoopError(
                "the job's event loop is closed; "
                "take it up with `lab.job(job.handle)`"
            )
        if asyncio.get_running_loop() is not self.loop:
            raise WrongLoopError(
                "the client is open on another event loop; "
                "use one client for each loop"
            )
        if self.closed:
            raise ClientClosedError

    def closed_here(self) -> bool:
        """
        Whether this was closed, on the loop that runs now.
        """
        return self.closed and self.loop is asyncio.get_running_loop()

    def soon(self, call: Callable[[], object]) -> None:
        """
        Have something done on the loop, from any thread at any time.
        """
        # A loop that is closed has nothing left to be told.
        with suppress(RuntimeError):
            if not self.inherited:
                self.loop.call_soon_threadsafe(call)

    def leave_to_parent(self) -> None:
        """
        In a forked child: let go of all that is the parent's, and let those
        go on who wait for a thread that is not here.
        """
        if self.inherited:
            return
        self.inherited = self.closed = True
        self.observers.leave()
        self._executor = None
        for future in self._in_threads:
            with suppress(RuntimeError):
                # Behind a result that has just come.
                self.loop.call_soon(_fail, future)
        for let_go in self.in_child:
            # The loop may be another thread's, which is not here.
            with suppress(RuntimeError):
                let_go()

    def close(self) -> None:
        """
        Let go of the threads; what runs in them comes to its end.
        """
        self.closed = True
        self.waits.close()
        if self._executor is not None:
            self._executor.shutdown(wait=False)


_runtimes: weakref.WeakSet[Runtime] = weakref.WeakSet()


def _leave_runtimes() -> None:
    left = tuple(_runtimes)
    for runtime in left:
        runtime.leave_to_parent()
    loops = weakref.WeakSet(runtime.loop for runtime in left)
    if loops:
        _log.addFilter(lambda _: not _is_on_its_way_out(loops))


def _is_on_its_way_out(
    loops: weakref.WeakSet[asyncio.AbstractEventLoop],
) -> bool:
    """
    Whether what runs here in a forked child runs on a loop of its parent's,
    which has no word to say.
    """
    try:
        return asyncio.get_running_loop() in loops
    except RuntimeError:
        # It is in the middle of a step of one, or of no loop at all.
        return True


# At once, before anything there is closed or collected.
os.register_at_fork(after_in_child=_leave_runtimes)


def forked() -> WrongLoopError:
    """
    What those hear who use in a child what its parent has open.
    """
    return WrongLoopError(
        "the client was opened before a fork; make one in each process"
    )


def _fail(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(forked())
        # Nobody need have waited.
        future.exception()
