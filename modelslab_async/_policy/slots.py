"""
Who may enter: the account's limit, and how it is learnt.

An account may have only so many unfinished jobs, its *slots*, and the service
says how many only when it refuses one more, sometimes not even then. Here a
ticket waits in the queue, is admitted, and holds a slot until its job ends.

What a refusal teaches:

- It names N: N is the cap.
- It comes while we hold fewer than the cap: others are on the account. The
  limit becomes 0.9 of itself, once for each round (submits that were under way
  together are refused together, for one and the same reason), and grows by
  0.5/limit with each finished job, up to the cap. So do TCP's flows share a
  line that none of them can see.
- It names nothing: the limit is what we hold. It grows by 1 for each job
  accepted until the first refusal, then by 1 for each 10 x limit. What we
  held before, more than once, stands in for a cap, and so do the 5 of the
  smallest plan: up to there the limit grows as below one.

The line closes on a refusal, and each finished job of ours opens it for one
probe: waiting out the service's ``retry_after: 30`` costs four fifths of the
throughput, for the slot is free in seconds. 1 to 30 s after the last refusal a
probe goes too, above the limit if we ever had more slots than that: we may
hold none, our jobs may be long, and who took the other slots may have left.

No clock and no dice are in here: both come in as arguments.
"""

from __future__ import annotations

import enum
import heapq

import attrs


#: The smallest plan's slots (rate-limits page of the service's docs).
FEWEST = 5


BACK_OFF = 0.9


class Standing(enum.Enum):
    """
    Where a ticket is: in the line, in a slot, or neither.
    """

    WAITING = enum.auto()
    ASKING = enum.auto()
    RUNNING = enum.auto()
    OUT = enum.auto()


@attrs.define(eq=False)
class Ticket:
    """
    A place in the queue; once admitted, the slot that its job holds.

    Attributes:
        priority: Lower goes first.

        since: When it joined, in seconds of a monotonic clock.

        number: Of all places, which it is; settles ties.

        standing: Where it is.

        turn: The admission's number, counted from 1; while it waits, its
            ticket's.
    """

    priority: int
    since: float
    number: int = 0
    standing: Standing = Standing.OUT
    turn: int = 0


@attrs.define(eq=False)
class Slots:
    """
    The line for the account's slots.

    What changes: the queue, the tickets that hold a slot, what is known of the
    limit, and whether the line is closed.

    Args:
        slots: Start here and never go above; None: start at 5 and learn.

        ageing: A ticket gains 1 in priority for each that many seconds.

        shortest: Seconds, the least until a probe when no job of ours ends.

        longest: Seconds, the most until then.

        patience:
            Seconds that a probe without an answer keeps the line waiting.
            Refusals come at once; an acceptance may take as long as the job.
    """

    slots: int | None = attrs.field(default=None, kw_only=True)
    ageing: float = attrs.field(default=5.0, kw_only=True)
    shortest: float = attrs.field(default=1.0, kw_only=True)
    longest: float = attrs.field(default=30.0, kw_only=True)
    patience: float = attrs.field(default=5.0, kw_only=True)

    cap: int | None = attrs.field(default=None, init=False)
    held: int = attrs.field(default=0, init=False)
    waiting: int = attrs.field(default=0, init=False)
    closed: bool = attrs.field(default=False, init=False)

    _limit: float = attrs.field(init=False)
    # By age and priority, since, number and ticket. Who leaves only tears up
    # the ticket; the entry stays until it comes to the front.
    _queue: list[tuple[float, float, int, int, Ticket]] = attrs.field(
        factory=list, init=False, repr=False
    )
    _tickets: int = attrs.field(default=0, init=False)
    _stubs: int = attrs.field(default=0, init=False)
    _turns: int = attrs.field(default=0, init=False)

    # Turns up to this one belong to a round of refusals that was heeded.
    _round: int = attrs.field(default=0, init=False)
    # Closed, but a probe may go; which one went, and when; when the next may
    # though no job of ours has ended.
    _ajar: bool = attrs.field(default=False, init=False)
    _probe: Ticket | None = attrs.field(default=None, init=False)
    _probed: float = attrs.field(default=0.0, init=False)
    _retry: float = attrs.field(default=0.0, init=False)

    # Accepted and unfinished; accepted since the limit last changed; how
    # often so many at once were accepted, less how often they were refused.
    _running: int = attrs.field(default=0, init=False)
    _accepted: int = attrs.field(default=0, init=False)
    _proofs: dict[int, int] = attrs.field(factory=dict, init=False)
    _proven: int = attrs.field(default=FEWEST, init=False)

    @_limit.default
    def _start(self) -> float:
        return float(FEWEST if self.slots is None else self.slots)

    @property
    def limit(self) -> int:
        """
        How many slots may be held now.
        """
        # Sums of 0.5/limit fall short of a whole number by a rounding error.
        return int(self._limit + 1e-9)

    def join(self, priority: int, now: float) -> Ticket:
        """
        Stand in the line.
        """
        self._tickets += 1
        ticket = Ticket(priority, now, self._tickets)
        self.rejoin(ticket, now)
        return ticket

    def rejoin(self, ticket: Ticket, now: float) -> None:
        """
        Stand in the line again, after a refusal or a wait, as long-waiting as
        before.
        """
        if ticket.standing is not Standing.OUT:
            return
        self._stubs += 1
        ticket.standing = Standing.WAITING
        ticket.turn = self._stubs
        # All tickets age alike, so that the order of two never changes.
        key = ticket.priority * self.ageing + ticket.since
        entry = (key, ticket.since, ticket.number, ticket.turn, ticket)
        heapq.heappush(self._queue, entry)
        self.waiting += 1

    def leave(self, ticket: Ticket) -> None:
        """
        Give up waiting; nothing, if the ticket is not in the queue.
        """
        if ticket.standing is not Standing.WAITING:
            return
        ticket.standing = Standing.OUT
        self.waiting -= 1
        if len(self._queue) > 2 * self.waiting + 64:
            self._queue = [e for e in self._queue if self._stands(e)]
            heapq.heapify(self._queue)

    def admit(self, now: float) -> Ticket | None:
        """
        Let the next one in, if it may: it holds a slot from now on.
        """
        if not self.waiting or self._opens() > now:
            return None
        if self.held >= self.limit:
            # Others may have left: one more than we dared, and then we'll see.
            self._limit = self.held + 1.0
            self.closed = self._ajar = True

        entry = heapq.heappop(self._queue)
        while not self._stands(entry):
            entry = heapq.heappop(self._queue)
        ticket = entry[-1]
        self.waiting -= 1
        self.held += 1
        self._turns += 1
        ticket.standing = Standing.ASKING
        ticket.turn = self._turns
        if self.closed:
            self._probe, self._probed = ticket, now
        return ticket

    def opens_in(self, now: float) -> float | None:
        """
        Seconds until `admit` could succeed though nothing happens; None if
        only an event can make it.
        """
        if not self.waiting:
            return None
        opens = self._opens()
        return None if opens == float("inf") else max(0.0, opens - now)

    def accepted(self, ticket: Ticket, now: float) -> None:
        """
        The service took the job; its slot stays held.
        """
        if ticket.standing is not Standing.ASKING:
            return
        ticket.standing = Standing.RUNNING
        self._running += 1
        if ticket.turn > self._round:
            self.closed = False
        if ticket is self._probe:
            self._probe = None
        self._prove(self._running, 1)

        if self.cap is None and self.held >= self.limit:
            self._accepted += 1
            if not self._round or self._accepted >= 10 * self.limit:
                self._limit = self._top(self._limit + 1)
                self._accepted = 0

    def refused(
        self, ticket: Ticket, now: float, *, named: int | None, dice: float
    ) -> None:
        """
        The queue is full: the slot is given back, and the line closes.

        Args:
            ticket: Whose submit was refused. It may `rejoin`.

            now: Seconds.

            named: The limit that the refusal names, if it does.

            dice: In [0, 1).
        """
        if ticket.standing is not Standing.ASKING:
            return
        self._drop(ticket)
        self._accepted = 0
        self._prove(self.held + 1, -1)
        fresh = ticket.turn > self._round
        if named is not None:
            self.cap = max(1, named)
        if self.cap is None:
            self._limit = self._top(min(self._limit, max(1.0, self.held)))
        elif fresh and self.held < self.cap:
            self._limit = self._top(max(1.0, BACK_OFF * self._limit))
        else:
            self._limit = self._top(self._limit)
        if fresh:
            self._round = self._turns
            self.closed, self._ajar = True, False
            self._retry = now + self.shortest
            self._retry += dice * (self.longest - self.shortest)

    def release(self, ticket: Ticket, now: float) -> None:
        """
        Give a slot back without a finished job: not sent, refused for its
        content, or of an outcome that nobody will know.
        """
        if ticket.standing in {Standing.ASKING, Standing.RUNNING}:
            self._drop(ticket)

    def finished(self, ticket: Ticket, now: float) -> None:
        """
        A job of ours ended: its slot is free, and a closed line opens for one
        probe.
        """
        self.accepted(ticket, now)
        if ticket.standing is not Standing.RUNNING:
            return
        self._drop(ticket)
        self._ajar = True
        known = self._known()
        if self._limit < known:
            self._limit = min(known, self._limit + 0.5 / self._limit)

    def adopt(self, now: float) -> Ticket:
        """
        Give a slot to a job that already runs, even above the limit.
        """
        self.held += 1
        self._running += 1
        return Ticket(0, now, standing=Standing.RUNNING)

    @staticmethod
    def _stands(entry: tuple[float, float, int, int, Ticket]) -> bool:
        *_, stub, ticket = entry
        return ticket.standing is Standing.WAITING and ticket.turn == stub

    def _opens(self) -> float:
        """
        When the next may enter if nothing happens; inf: never.
        """
        opens = float("-inf")
        if self.held >= self.limit:
            if self.held >= self._known():
                return float("inf")
            opens = self._retry
        if self.closed and not self._ajar:
            opens = max(opens, self._retry)
        if self.closed and self._probe is not None:
            opens = max(opens, self._probed + self.patience)
        return opens

    def _drop(self, ticket: Ticket) -> None:
        self.held -= 1
        if ticket.standing is Standing.RUNNING:
            self._running -= 1
        if ticket is self._probe:
            self._probe = None
        ticket.standing = Standing.OUT

    def _top(self, limit: float) -> float:
        """
        The limit, no higher than the cap and than the user's word.
        """
        if self.cap is not None:
            limit = min(limit, self.cap)
        return limit if self.slots is None else min(limit, self.slots)

    def _known(self) -> int:
        """
        How many slots the account is known to have.
        """
        known = self._proven if self.cap is None else self.cap
        return known if self.slots is None else min(known, self.slots)

    def _prove(self, count: int, weight: int) -> None:
        """
        Note that `count` at once were accepted, or refused.

        Once is no proof: a job that ended a moment ago still counts with us,
        and no longer with the service.
        """
        proofs = self._proofs.get(count, 0) + weight
        self._proofs[count] = max(-20, min(20, proofs))
        if self._proofs[count] > 0:
            self._proven = max(self._proven, count)
        while self._proven > FEWEST and self._proofs.get(self._proven, 0) <= 0:
            self._proven -= 1
