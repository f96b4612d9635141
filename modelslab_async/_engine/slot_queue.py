"""
The account's slots, and the queue of those who wait for one.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import random

import attrs

from .._policy.breakers import Door
from .._policy.slots import Place, Slots
from ..errors import ApiError, ModelsLabError
from ..events import Audience, LimitLearnt, LineClosed


_log = logging.getLogger("modelslab_async")


@attrs.define(eq=False, repr=False)
class Line:
    """
    The line for slots: `Slots` with somebody who waits.

    What changes: who waits for a turn, and the timer of a closed line.
    """

    slots: Slots
    door: Door
    audience: Audience
    _loop: asyncio.AbstractEventLoop = attrs.field(
        factory=asyncio.get_running_loop, repr=False
    )
    _turns: dict[Place, asyncio.Future[None]] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _timer: asyncio.TimerHandle | None = attrs.field(
        default=None, init=False, repr=False
    )
    _limit: int = attrs.field(default=0, init=False, repr=False)

    def closed(self) -> ApiError | None:
        """
        The account's no, for a call that comes now; None lets it in.
        """
        return self.door.closed(self._loop.time())

    def join(self, priority: int) -> Place:
        """
        Take a place, not yet a turn.
        """
        return self.slots.join(priority, self._loop.time())

    def rejoin(self, place: Place) -> None:
        """
        Go back into the line; the place has not lost its age.
        """
        self.slots.rejoin(place, self._loop.time())

    async def turn(self, place: Place) -> None:
        """
        Wait until *place* holds a slot.

        Raises:
            ApiError: The account was refused in the meantime.
        """
        turn = self._loop.create_future()
        self._turns[place] = turn
        self._admit()
        try:
            await turn
        except BaseException:
            if self._turns.pop(place, None) is None and turn.done():
                if not turn.cancelled() and turn.exception() is None:
                    self.release(place)
            else:
                self.slots.leave(place)
            self._admit()
            raise

    def accepted(self, place: Place) -> None:
        self.slots.accepted(place, self._loop.time())
        self.door.accepted()
        self._admit()

    def refused(self, place: Place, named: int | None) -> None:
        """
        The queue is full: the slot is given back.
        """
        self.slots.refused(
            place, self._loop.time(), named=named, dice=random.random()
        )
        self._admit()

    def release(self, place: Place) -> None:
        self.slots.release(place, self._loop.time())
        self._admit()

    def finished(self, place: Place) -> None:
        self.slots.finished(place, self._loop.time())
        self._admit()

    def adopt(self) -> Place:
        return self.slots.adopt(self._loop.time())

    def shut(self, error: ApiError) -> None:
        """
        The account was refused: all who wait get the error.
        """
        if self.door.error is None:
            _log.warning("the account was refused: %s", error)
            if self.audience:
                self.audience.tell(LineClosed(None, str(error)))
        self.door.refused(error, self._loop.time())
        self.empty(error)

    def empty(self, error: ModelsLabError) -> None:
        """
        Send all away who wait.
        """
        turns, self._turns = self._turns, {}
        for place, turn in turns.items():
            self.slots.leave(place)
            if not turn.done():
                turn.set_exception(afresh(error))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _admit(self) -> None:
        now = self._loop.time()
        while (place := self.slots.admit(now)) is not None:
            turn = self._turns.pop(place, None)
            if turn is None or turn.done():
                self.slots.release(place, now)
            else:
                turn.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self.slots.wake(now)
        if wake is not None:
            self._timer = self._loop.call_later(wake, self._admit)
        if self.audience and self.slots.limit != self._limit:
            self._limit = self.slots.limit
            self.audience.tell(LimitLearnt(None, self._limit))


def afresh(error: ModelsLabError) -> ModelsLabError:
    """
    The same error for another who waits: tracebacks don't pile up on it.
    """
    return copy.copy(error).with_traceback(None)
