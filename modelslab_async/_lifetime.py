"""
When a client is open: on which loop, how often it was entered, and what is
left when it closes or its loop ends under it.
"""

from __future__ import annotations

import asyncio
import os
import warnings
import weakref

from ._checks import endpoint_of
from ._engine.http import SessionPool
from ._engine.job import Job, Watch
from ._engine.receipts import receipt_by_name
from ._engine.waiters import to_its_end
from ._rooms import Options, Rooms, build
from .errors import ClientClosedError
from .specs import Spec


class Lifetime:
    """
    Opens and closes what a client has on an event loop.

    What changes: that, and how often it was entered.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.rooms: Rooms | None = None
        self._entered = 0
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        self._finalizer: weakref.finalize[..., Lifetime] | None = None

    def __repr__(self) -> str:
        if self._closed:
            return "closed"
        if self.rooms is None:
            return "not open"
        return f"open, {len(self.rooms.jobs())} unfinished"

    async def enter(self) -> None:
        """
        Open, also after it was closed.
        """
        closing = self._closing
        if closing and closing.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({closing})
        self.open(anew=True)
        self._entered += 1

    async def leave(self) -> None:
        """
        Close, if nobody else is in.
        """
        self._entered = max(0, self._entered - 1)
        if self._entered == 0:
            await self.close()

    def open(self, *, anew: bool = False) -> Rooms:
        """
        What is open on the running loop; *anew*: also after it was closed.

        Raises:
            ClientClosedError: The client was closed.

            WrongLoopError: It is open on another loop, or before a fork.
        """
        rooms = self.alive()
        if self._closed and not anew:
            raise ClientClosedError
        if rooms is None:
            rooms = self.rooms = build(self.options, self.take_up)
            # Not `__del__`: it would come after that of the sessions.
            self._finalizer = weakref.finalize(
                self,
                _left_open,
                rooms.pool,
                rooms.runtime.pid,
                self.options.base_url,
            )
        rooms.runtime.check()
        self._closed = False
        return rooms

    def alive(self) -> Rooms | None:
        """
        What is open, unless its loop is closed: then that is told, once.
        """
        if self.rooms is not None and self.rooms.runtime.loop.is_closed():
            self.abandon()
        return self.rooms

    def job(
        self, id_or_handle: str | int, kind: type[Spec] | str | None
    ) -> Job:
        """
        A job by its id or its handle; see `ModelsLab.job`.
        """
        receipt = receipt_by_name(id_or_handle, endpoint_of(kind))
        rooms = self.alive()
        known = None if rooms is None else rooms.poller.find(receipt.id)
        return known or Job(Watch(receipt), self.take_up)

    def take_up(self, watch: Watch, now: bool = False) -> Watch:
        """
        See that a job is watched where the client is open now.

        Raises:
            ClientClosedError: The client was closed.

            WrongLoopError: A job does not move to another loop by itself.
        """
        runtime = watch.runtime
        if runtime is not None and not runtime.closed_here():
            runtime.check()
        return self.open().poller.take_up(watch, now)

    async def close(self) -> None:
        """
        Close, whoever is in; see `ModelsLab.aclose`.
        """
        rooms = self.alive()
        if rooms is not None and rooms.runtime.pid != os.getpid():
            # What is open there is the parent's.
            self._forget()
            self._closing = rooms = None
        if rooms and rooms.runtime.loop is not asyncio.get_running_loop():
            rooms.runtime.check()
        self._entered = 0
        self._closed = True
        if rooms is None:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(rooms))
        for batch in tuple(rooms.batches):
            # It may be the input of a batch that closes us.
            batch.note_waiter(asyncio.current_task())
        # A cancelled task still has to see its paid answers in.
        await to_its_end(self._closing)

    async def _close(self, rooms: Rooms) -> None:
        try:
            for batch in tuple(rooms.batches):
                batch.stop(ClientClosedError())
            await rooms.submitter.close()
            await rooms.on_demand.aclose()
            self._stop(rooms)
            await rooms.poller.join()
            for batch in tuple(rooms.batches):
                await batch.aclose()
            await rooms.pool.aclose()
        except asyncio.CancelledError:
            # The loop itself ends: what is paid still has to be named.
            self._stop(rooms)
            await rooms.pool.aclose()
            raise
        finally:
            rooms.runtime.close()
            self._forget()
            self._closing = None

    @staticmethod
    def _stop(rooms: Rooms) -> None:
        rooms.runtime.closed = True
        rooms.name("closed with %d unfinished", rooms.poller.jobs())
        rooms.poller.close()
        rooms.queue.close()

    def abandon(self) -> None:
        """
        Let go of what a loop left behind that ended under us, and say so.
        """
        rooms = self.rooms
        if rooms is None:
            return
        self._forget()
        self._closing = None
        self._entered = 0
        if rooms.runtime.pid != os.getpid():
            # What is open there is the parent's.
            return
        rooms.name("the event loop ended with %d unfinished", rooms.jobs())
        rooms.bells.detach()
        for let_go in rooms.runtime.let_go:
            let_go()
        rooms.pool.abandon()
        rooms.runtime.close()

    def _forget(self) -> None:
        self.rooms = None
        if self._finalizer is not None:
            self._finalizer.detach()


def _left_open(pool: SessionPool, pid: int, base_url: str) -> None:
    """
    Say that a client was left open, and close what it had open.
    """
    if os.getpid() != pid:
        # A child that ends closes nothing of its parent's.
        return
    pool.abandon()
    warnings.warn(
        f"the client of {base_url} was left open; "
        "use `async with`, or `aclose()`",
        ResourceWarning,
        stacklevel=1,
    )
