"""
The account's slots, and the queue of those who wait for one.
"""

from __future__ import annotations

import asyncio
import logging
import random

from collections.abc import Hashable

import attrs

from .._policy.breakers import AccountBreaker
from .._policy.slots import Slots
from .._policy.tickets import Ticket
from ..errors import ApiError
from .runtime import Runtime
from .waiters import Waiters, afresh
from .waits import Waited


_log = logging.getLogger("modelslab_async")


@attrs.define(eq=False, repr=False)
class SlotQueue:
    """
    The queue for slots: `Slots` with somebody who waits.

    What changes: who waits for a turn, who sees whether a refused account is
    good again, and the timer of a closed queue.
    """

    slots: Slots
    account: AccountBreaker
    runtime: Runtime
    #: Let in to see whether the account is good again.
    _probe: Ticket | None = attrs.field(default=None, init=False)
    #: Who waits for what comes of that.
    _probed: Waiters = attrs.field(factory=Waiters, init=False, repr=False)
    _turns: dict[Ticket, asyncio.Future[None]] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _timer: asyncio.TimerHandle | None = attrs.field(
        default=None, init=False, repr=False
    )
    _limit: int = attrs.field(default=0, init=False, repr=False)
    #: Limit, held and waiting, as they were last told.
    _told: tuple[int, int, int] = attrs.field(
        default=(0, 0, 0), init=False, repr=False
    )

    def join(self, priority: int) -> Ticket:
        """
        Take a place, not yet a turn.
        """
        return self.slots.join(priority, self.runtime.now())

    async def enter(
        self, ticket: Ticket, who: Hashable = None, *, patient: bool = False
    ) -> None:
        """
        Wait until *ticket* holds a slot; back in the queue it has not lost
        its age.

        Args:
            ticket: Whose turn.

            who: Who waits for it, for those who ask what is waited for.

            patient: While a probe sees whether a refused account is good
                again, wait for what comes of it.

        Raises:
            ApiError: The account was refused, lately or in the meantime.
        """
        while patient and self._waits_for_probe(ticket):
            self.slots.leave(ticket)
            waits, words = self.runtime.waits, "the account to be good again"
            waits.begin(who, Waited.ACCOUNT, words, ticket.since)
            await self._probed.wait()
            waits.end(who, Waited.ACCOUNT)
        self._check_account(ticket)
        self.slots.rejoin(ticket)
        turn = self.runtime.loop.create_future()
        self._turns[ticket] = turn
        self._admit()
        waits = self.runtime.waits
        try:
            if not turn.done():
                waits.begin(who, Waited.SLOT, self._crowd(), ticket.since)
            await turn
            waits.end(who, Waited.SLOT)
        except BaseException:
            if self._turns.pop(ticket, None) is None and turn.done():
                if not turn.cancelled() and turn.exception() is None:
                    self.release(ticket)
            else:
                self.slots.leave(ticket)
            self._admit()
            raise

    def _crowd(self) -> str:
        """
        Who has the slots, in words to follow "waiting for".
        """
        slots = self.slots
        if slots.closed or not slots.held:
            return (
                "a slot: the account's queue is full, "
                f"{slots.held} of its jobs are ours"
            )
        return f"a slot: all {slots.limit} are in use by jobs of ours"

    def leave(self, ticket: Ticket) -> None:
        """
        Its request is over, whatever came of it.
        """
        self.slots.leave(ticket)
        if ticket is self._probe:
            self._probe = None
            self.account.return_probe()
            self._probed.wake()

    def accepted(self, ticket: Ticket) -> None:
        self.slots.accepted(ticket)
        if self.account.error is not None:
            _log.info("the account is good again")
            if self.runtime.observers:
                from ..events import BreakerClosed

                self.runtime.observers.tell(BreakerClosed(None, "account"))
        self.account.accepted()
        self._probe = None
        self._probed.wake()
        self._admit()

    def refused(self, ticket: Ticket, named: int | None) -> None:
        """
        The queue is full: the slot is given back.
        """
        self.slots.refused(
            ticket, self.runtime.now(), named=named, dice=random.random()
        )
        self._admit()

    def release(self, ticket: Ticket) -> None:
        self.slots.release(ticket)
        self._admit()

    def finished(self, ticket: Ticket) -> None:
        self.slots.finished(ticket, self.runtime.now())
        self._admit()

    def adopt(self) -> Ticket:
        return self.slots.adopt(self.runtime.now())

    def shut(self, error: ApiError, told: str) -> None:
        """
        The account was refused: all who wait get the error, and who only
        watches is *told* of it.
        """
        observers = self.runtime.observers
        if self.account.error is None:
            _log.warning("the account was refused: %s", told)
            if observers:
                from ..events import BreakerOpened, LineClosed

                observers.tell(LineClosed(None, told))
                observers.tell(BreakerOpened(None, "account", told))
        # Whoever asked goes on with the error itself.
        error = afresh(error)
        self.account.refused(error, self.runtime.now())
        self._probe = None
        self._probed.wake()
        turns, self._turns = self._turns, {}
        for ticket, turn in turns.items():
            self.slots.leave(ticket)
            if not turn.done():
                turn.set_exception(afresh(error))

    def close(self) -> None:
        """
        Nobody waits any more.
        """
        if self._timer is not None:
            self._timer.cancel()

    def _waits_for_probe(self, ticket: Ticket) -> bool:
        return self.account.probing and ticket is not self._probe

    def _check_account(self, ticket: Ticket) -> None:
        # The probe may come back to the queue.
        if ticket is self._probe and self.account.probing:
            return
        error = self.account.blocked_by(self.runtime.now())
        if error is not None:
            raise afresh(error)
        if self.account.take_probe():
            self._probe = ticket

    def _admit(self) -> None:
        if self.slots.waiting or self._timer is not None:
            self._let_in()
        if self.runtime.observers.functions:
            self._tell_slots()

    def _let_in(self) -> None:
        """
        Give turns to those who may enter now, and see when the next may.
        """
        now = self.runtime.now()
        while (ticket := self.slots.admit(now)) is not None:
            turn = self._turns.pop(ticket, None)
            if turn is None or turn.done():
                self.slots.release(ticket)
            else:
                turn.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = self.slots.opens_in(now)
        if wake is not None:
            self._timer = self.runtime.loop.call_later(wake, self._admit)

    def _tell_slots(self) -> None:
        from ..events import LimitLearnt, SlotsChanged

        slots, observers = self.slots, self.runtime.observers
        if slots.limit != self._limit:
            self._limit = slots.limit
            observers.tell(LimitLearnt(None, self._limit))
        now = (slots.limit, slots.held, slots.waiting)
        if now != self._told:
            self._told = now
            observers.tell(SlotsChanged(None, *now))
