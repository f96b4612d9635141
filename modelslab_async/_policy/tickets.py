"""
The queue of those who wait for a slot.

Lower priority goes first, and who waits gains priority, so that nobody waits
for ever. All age alike: the order of two never changes, and a heap will do.
"""

from __future__ import annotations

import enum
import heapq

from typing import TypeAlias

import attrs


class Standing(enum.Enum):
    """
    Where a ticket is: in the queue, in a slot, or neither.
    """

    WAITING = enum.auto()
    ASKING = enum.auto()
    RUNNING = enum.auto()
    OUT = enum.auto()


@attrs.define(eq=False, repr=False)
class Ticket:
    """
    A place in the queue; once admitted, the slot that its job holds.

    Attributes:
        priority: Lower goes first.

        since: When it joined, in seconds of a monotonic clock.

        number: Of all tickets, which it is; settles ties.

        standing: Where it is.

        turn: The admission's number, counted from 1; while it waits, its
            queue entry's.

        admitted_at: When it was last admitted; None for a job that ran before
            we knew of it.
    """

    priority: int
    since: float
    number: int = 0
    standing: Standing = Standing.OUT
    turn: int = 0
    admitted_at: float | None = None

    @property
    def queued(self) -> float | None:
        """
        Seconds from its joining until it was last admitted.
        """
        at = self.admitted_at
        return None if at is None else at - self.since


#: Priority with age, since, number, the entry's own number, and the ticket.
_Entry: TypeAlias = "tuple[float, float, int, int, Ticket]"


@attrs.define(eq=False, repr=False)
class TicketQueue:
    """
    Tickets that wait, by priority and age.

    What changes: which those are. A ticket that leaves is only marked; its
    entry stays until it comes to the front, or the heap is mostly such.

    Args:
        ageing: A ticket gains 1 in priority for each that many seconds.
    """

    ageing: float
    waiting: int = attrs.field(default=0, init=False)
    _heap: list[_Entry] = attrs.field(factory=list, init=False)
    _entries: int = attrs.field(default=0, init=False)

    def push(self, ticket: Ticket) -> None:
        """
        Put a ticket in, as long-waiting as it was when it last left.
        """
        self._entries += 1
        ticket.standing = Standing.WAITING
        ticket.turn = self._entries
        key = ticket.priority * self.ageing + ticket.since
        entry = (key, ticket.since, ticket.number, ticket.turn, ticket)
        heapq.heappush(self._heap, entry)
        self.waiting += 1

    def pop(self) -> Ticket:
        """
        Take out the first.
        """
        entry = heapq.heappop(self._heap)
        while not _waits(entry):
            entry = heapq.heappop(self._heap)
        self.waiting -= 1
        return entry[-1]

    def remove(self, ticket: Ticket) -> None:
        """
        Take out one that waits.
        """
        ticket.standing = Standing.OUT
        self.waiting -= 1
        if len(self._heap) > 2 * self.waiting + 64:
            self._heap = [entry for entry in self._heap if _waits(entry)]
            heapq.heapify(self._heap)


def _waits(entry: _Entry) -> bool:
    *_, number, ticket = entry
    return ticket.standing is Standing.WAITING and ticket.turn == number
