"""
The account's slots: who may hold one, and when the next may be asked for.

An account may have only so many unfinished jobs, its *slots*. Here a ticket
waits in the queue, is admitted, and holds a slot until its job ends.

The queue closes on a refusal, and each finished job of ours opens it for one
probe: waiting out the service's ``retry_after: 30`` costs four fifths of the
throughput, for the slot is free in seconds. Some time after the last refusal
(`reopening` says when) a probe goes too, above the limit if we ever had more
slots than that: we may hold none, our jobs may be long, and who took the other
slots may have left. An accepted probe opens the queue; where others are on the
account, the next one goes alone, too.

No clock and no dice are in here: both come in as arguments.
"""

from __future__ import annotations

import math

import attrs

from .limit import AccountLimit
from .reopening import Reopening
from .tickets import Standing, Ticket, TicketQueue


@attrs.define(eq=False, repr=False)
class _Closure:
    """
    A queue that a refusal has closed, and the probe that may open it.

    What changes: whether it is closed, whether a probe may go at once, which
    one went and when, and when the next may though no job of ours has ended.
    """

    closed: bool = False
    ajar: bool = False
    probe: Ticket | None = None
    probed_at: float = 0.0
    retry_at: float = 0.0
    #: The probe went because it was time, not because a job of ours ended.
    retrying: bool = False
    #: Others are on the account, and no two of ours were accepted since.
    crowded: bool = False
    #: Admissions up to this one belong to a round of refusals that was heeded.
    round: int = 0


@attrs.define(eq=False, repr=False)
class Slots:
    """
    The account's slots, and the queue for them.

    What changes: the queue, how many slots are held, what is known of the
    limit, and whether the queue is closed.

    Args:
        slots: Start here and never go above; None: start at 5 and learn.

        ageing: A ticket gains 1 in priority for each that many seconds.

        usual: Seconds from one slot that gets free to the next, where nothing
            is known of the jobs: 5 slots with jobs of 5 s.

        longest: Seconds, the most until a probe when no job of ours ends.

        patience:
            Seconds that a probe without an answer keeps the queue waiting.
            Refusals come at once; an acceptance may take as long as the job.
    """

    slots: int | None = attrs.field(default=None, kw_only=True)
    ageing: float = attrs.field(default=5.0, kw_only=True)
    usual: float = attrs.field(default=1.0, kw_only=True)
    longest: float = attrs.field(default=30.0, kw_only=True)
    patience: float = attrs.field(default=5.0, kw_only=True)

    account: AccountLimit = attrs.field(init=False)
    held: int = attrs.field(default=0, init=False)
    _running: int = attrs.field(default=0, init=False)
    _queue: TicketQueue = attrs.field(init=False)
    _closure: _Closure = attrs.field(factory=_Closure, init=False)
    _reopening: Reopening = attrs.field(init=False)
    _tickets: int = attrs.field(default=0, init=False)
    _admissions: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.account = AccountLimit(self.slots)
        self._queue = TicketQueue(self.ageing)
        self._reopening = Reopening(self.usual, self.longest)

    @property
    def limit(self) -> int:
        """
        How many slots may be held now.
        """
        return self.account.now

    @property
    def waiting(self) -> int:
        """
        How many tickets wait.
        """
        return self._queue.waiting

    @property
    def closed(self) -> bool:
        """
        Whether a refusal keeps the queue closed, but for a probe.
        """
        return self._closure.closed

    def join(self, priority: int, now: float) -> Ticket:
        """
        Stand in the queue.
        """
        self._tickets += 1
        ticket = Ticket(priority, now, self._tickets)
        self._queue.push(ticket)
        return ticket

    def rejoin(self, ticket: Ticket) -> None:
        """
        Stand in the queue again, after a refusal or a wait, as long-waiting
        as before.
        """
        if ticket.standing is Standing.OUT:
            self._queue.push(ticket)

    def leave(self, ticket: Ticket) -> None:
        """
        Give up waiting; nothing, if the ticket is not in the queue.
        """
        if ticket.standing is Standing.WAITING:
            self._queue.remove(ticket)

    def admit(self, now: float) -> Ticket | None:
        """
        Let the next one in, if it may: it holds a slot from now on.
        """
        if not self._queue.waiting or self._opens_at() > now:
            return None
        closure = self._closure
        if self.held >= self.limit:
            # Others may have left: one more than we dared, and then we'll see.
            self.account.exceed(self.held)
            closure.closed = closure.ajar = True

        ticket = self._queue.pop()
        self.held += 1
        self._admissions += 1
        ticket.standing = Standing.ASKING
        ticket.turn, ticket.admitted_at = self._admissions, now
        if closure.closed:
            closure.probe, closure.probed_at = ticket, now
            closure.retrying = not closure.ajar
        return ticket

    def opens_in(self, now: float) -> float | None:
        """
        Seconds until `admit` could succeed though nothing happens; None if
        only an event can make it.
        """
        if not self._queue.waiting:
            return None
        opens_at = self._opens_at()
        return None if opens_at == math.inf else max(0.0, opens_at - now)

    def accepted(self, ticket: Ticket) -> None:
        """
        The service took the job; its slot stays held.
        """
        if ticket.standing is not Standing.ASKING:
            return
        ticket.standing = Standing.RUNNING
        self._running += 1
        closure = self._closure
        if ticket is closure.probe and closure.retrying:
            self._reopening.accepted()
        if ticket.turn > closure.round:
            # Where others wait too, several at once would be refused together.
            closure.closed = closure.ajar = closure.crowded
            closure.crowded = False
        self._forget_probe(ticket)
        self.account.accepted(self._running, self.held)

    def refused(
        self, ticket: Ticket, now: float, *, named: int | None, dice: float
    ) -> None:
        """
        The account is full: the slot is given back, and the queue closes.

        Args:
            ticket: Whose submit was refused. It may `rejoin`.

            now: Seconds.

            named: The limit that the refusal names, if it does.

            dice: In [0, 1).
        """
        if ticket.standing is not Standing.ASKING:
            return
        self._give_back(ticket)
        closure = self._closure
        fresh = ticket.turn > closure.round
        self.account.refused(self.held, named=named, fresh=fresh)
        if fresh:
            closure.round = self._admissions
            closure.closed, closure.ajar = True, False
            slots = self.account.known
            closure.crowded = self.held < slots
            closure.retry_at = now + self._reopening.pause(now, slots, dice)
            self._reopening.refused(now)

    def release(self, ticket: Ticket) -> None:
        """
        Give a slot back without a finished job: not sent, refused for its
        content, or of an outcome that nobody will know.
        """
        if ticket.standing in {Standing.ASKING, Standing.RUNNING}:
            self._give_back(ticket)

    def finished(self, ticket: Ticket, now: float) -> None:
        """
        A job of ours ended: its slot is free, and a closed queue opens for
        one probe.
        """
        self.accepted(ticket)
        if ticket.standing is not Standing.RUNNING:
            return
        if ticket.admitted_at is not None:
            self._reopening.learn(now - ticket.admitted_at)
        self._give_back(ticket)
        self._closure.ajar = True
        self.account.finished()

    def adopt(self, now: float) -> Ticket:
        """
        Give a slot to a job that already runs, even above the limit.
        """
        self.held += 1
        self._running += 1
        return Ticket(0, now, standing=Standing.RUNNING)

    def _opens_at(self) -> float:
        """
        When the next may enter if nothing happens; inf: never.
        """
        closure, opens_at = self._closure, -math.inf
        if self.held >= self.limit:
            if self.held >= self.account.known:
                return math.inf
            opens_at = closure.retry_at
        if closure.closed and not closure.ajar:
            opens_at = max(opens_at, closure.retry_at)
        if closure.closed and closure.probe is not None:
            opens_at = max(opens_at, closure.probed_at + self.patience)
        return opens_at

    def _give_back(self, ticket: Ticket) -> None:
        self.held -= 1
        if ticket.standing is Standing.RUNNING:
            self._running -= 1
        self._forget_probe(ticket)
        ticket.standing = Standing.OUT

    def _forget_probe(self, ticket: Ticket) -> None:
        if ticket is self._closure.probe:
            self._closure.probe = None
