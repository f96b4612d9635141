"""
The account's slots, and the queue of those who wait for one.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import random

import attrs

from .._policy.breakers import AccountBreaker
from .._policy.slots import Slots
from .._policy.tickets import Ticket
from ..errors import ApiError, ModelsLabError
from ..events import LimitLearnt, LineClosed, Observers


_log = logging.getLogger("modelslab_async")


@attrs.define(eq=False, repr=False)
class SlotQueue:
    """
    The line for slots: `Slots` with somebody who waits.

    What changes: who waits for a turn, and the timer of a closed line.
    """

    slots: Slots
    account: AccountBreaker
    observers: Observers
    _loop: asyncio.AbstractEventLoop = attrs.field(
        factory=asyncio.get_running_loop, repr=False
    )
    _turns: dict[Ticket, asyncio.Future[None]] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _timer: asyncio.TimerHandle | None = attrs.field(
        default=None, init=False, repr=False
    )
    _limit: int = attrs.field(default=0, init=False, repr=False)

    def blocked_by(self) -> ApiError | None:
        """
        The account's refusal, for a call that comes now; None lets it in.
        """
        return self.account.blocked_by(self._loop.time())

    def join(self, priority: int) -> Ticket:
        """
        Take a place, not yet a turn.
        """
        return self.slots.join(priority, self._loop.time())

    def rejoin(self, ticket: Ticket) -> None:
        """
        Go back into the line; the place has not lost its age.
        """
        self.slots.rejoin(ticket, self._loop.time())

    async def turn(self, ticket: Ticket) -> None:
        """
        Wait until *place* holds a slot.

        Raises:
            ApiError: The account was refused in the meantime.
        """
        turn = self._loop.create_future()
        self._turns[ticket] = turn
        self._admit()
        try:
            await turn
        except BaseException:
            if self._turns.pop(ticket, None) is None and turn.done():
                if not turn.cancelled() and turn.exception() is None:
                    self.release(ticket)
            else:
                self.slots.leave(ticket)
            self._admit()
            raise

    def accepted(self, ticket: Ticket) -> None:
        self.slots.accepted(ticket, self._loop.time())
        self.account.accepted()
        self._admit()

    def refused(self, ticket: Ticket, named: int | None) -> None:
        """
        The queue is full: the slot is given back.
        """
        self.slots.refused(
            ticket, self._loop.time(), named=named, dice=random.random()
        )
        self._admit()

    def release(self, ticket: Ticket) -> None:
        self.slots.release(ticket, self._loop.time())
        self._admit()

    def finished(self, ticket: Ticket) -> None:
        self.slots.finished(ticket, self._loop.time())
        self._admit()

    def adopt(self) -> Ticket:
        return self.slots.adopt(self._loop.time())

    def shut(self, error: ApiError) -> None:
        """
        The account was refused: all who wait get the error.
        """
        if self.account.error is None:
            _log.warning("the account was refused: %s", error)
            if self.observers:
                self.observers.tell(LineClosed(None, str(error)))
        self.account.refused(error, self._loop.time())
        self.empty(error)

    def empty(self, error: ModelsLabError) -> None:
        """
        Send all away who wait.
        """
        turns, self._turns = self._turns, {}
        for ticket, turn in turns.items():
            self.slots.leave(ticket)
            if not turn.done():
                turn.set_exception(afresh(error))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _admit(self) -> None:
        now = self._loop.time()
        while (ticket := self.slots.admit(now)) is not None:
            turn = self._turns.pop(ticket, None)
            if turn is None or turn.done():
                self.slots.release(ticket, now)
            else:
                turn.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self.slots.opens_in(now)
        if wake is not None:
            self._timer = self._loop.call_later(wake, self._admit)
        if self.observers and self.slots.limit != self._limit:
            self._limit = self.slots.limit
            self.observers.tell(LimitLearnt(None, self._limit))


def afresh(error: ModelsLabError) -> ModelsLabError:
    """
    The same error for another who waits: tracebacks don't pile up on it.
    """
    return copy.copy(error).with_traceback(None)
