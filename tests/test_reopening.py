"""
When to try again for a slot that others may give back.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import statistics

from collections.abc import Callable
from functools import partial

import attrs
import pytest

from modelslab_async._policy.reopening import Reopening
from modelslab_async._policy.slots import Slots
from modelslab_async._policy.tickets import Ticket


def pauses(reopening: Reopening, count: int, step: float = 0.0) -> list[float]:
    """
    The pauses of so many refusals in a row, *step* seconds apart.
    """
    found = []
    for now in itertools.islice(itertools.count(0.0, step), count):
        found.append(reopening.pause(now, 5, 0.5))
        reopening.refused(now)
    return found


def test_pauses_grow_to_a_bound() -> None:
    """
    Nothing known: 2.5 s on average, each 1.4 times as long, at most 6.5 s.
    """
    found = pauses(Reopening(1.0, 30.0), 5)

    assert found == pytest.approx([2.5, 3.5, 4.9, 6.5, 6.5])


def test_a_rush_that_goes_on_is_met_with_patience() -> None:
    """
    After minutes the pause grows with them, up to half of the longest.
    """
    found = pauses(Reopening(1.0, 30.0), 12, step=20.0)

    assert 6.5 < found[3] < 8
    assert found[8:] == [15.0] * 4


def test_what_is_known_of_the_jobs_counts() -> None:
    """
    Jobs of 50 s on 5 slots: one gets free each 10 s.
    """
    reopening = Reopening(1.0, 30.0)
    reopening.learn(50.0)

    assert reopening.pause(0.0, 5, 0.0) == pytest.approx(12.5)


def test_a_try_that_is_accepted_brings_the_next_forward() -> None:
    """
    Two refusals weigh as much as one acceptance.
    """
    reopening = Reopening(1.0, 30.0)
    pauses(reopening, 2)

    reopening.accepted()

    assert reopening.pause(5.0, 5, 0.5) == 2.5


@attrs.define
class Crowd:
    """
    Clients that know nothing of each other, and their account, in virtual
    time: log-normal jobs of 5 s, noticed 0.35 s late, answers after 50 ms.
    """

    clients: int
    calls: int
    size: int = 5
    usual: float = 5.0
    seed: int = 1
    now: float = attrs.field(default=0.0, init=False)
    running: int = attrs.field(default=0, init=False)
    refused: int = attrs.field(default=0, init=False)
    ends: list[float] = attrs.field(factory=list, init=False)
    lengths: list[float] = attrs.field(factory=list, init=False)
    events: list[tuple[float, int, Callable[[], None]]] = attrs.field(
        factory=list, init=False
    )
    order: itertools.count[int] = attrs.field(
        factory=itertools.count, init=False
    )
    dice: random.Random = attrs.field(init=False)

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        entry = (self.now + seconds, next(self.order), act)
        heapq.heappush(self.events, entry)

    def run(self) -> Crowd:
        self.dice = random.Random(self.seed)
        for _ in range(self.clients):
            slots = Slots()
            for _ in range(self.calls):
                slots.join(0, 0.0)
            self.pump(slots)
        while len(self.ends) < self.clients * self.calls:
            self.now, _, act = heapq.heappop(self.events)
            act()
        return self

    def pump(self, slots: Slots) -> None:
        while (ticket := slots.admit(self.now)) is not None:
            self.at(0.025, partial(self.ask, slots, ticket))
        wait = slots.opens_in(self.now)
        if wait is not None:
            self.at(wait + 1e-6, partial(self.pump_again, slots))

    def pump_again(self, slots: Slots) -> None:
        if slots.opens_in(self.now) == 0.0:
            self.pump(slots)

    def ask(self, slots: Slots, ticket: Ticket) -> None:
        if self.running >= self.size:
            self.at(0.025, partial(self.refuse, slots, ticket))
            return
        self.running += 1
        length = self.dice.lognormvariate(math.log(self.usual), 0.5)
        self.lengths.append(length)
        self.at(0.025, partial(self.accept, slots, ticket))
        self.at(length, partial(self.end, slots, ticket))

    def refuse(self, slots: Slots, ticket: Ticket) -> None:
        self.refused += 1
        slots.refused(
            ticket, self.now, named=self.size, dice=self.dice.random()
        )
        slots.rejoin(ticket)
        self.pump(slots)

    def accept(self, slots: Slots, ticket: Ticket) -> None:
        slots.accepted(ticket)
        self.pump(slots)

    def end(self, slots: Slots, ticket: Ticket) -> None:
        self.running -= 1
        late = self.dice.expovariate(1 / 0.35)
        self.at(late, partial(self.notice, slots, ticket))

    def notice(self, slots: Slots, ticket: Ticket) -> None:
        self.ends.append(self.now)
        slots.finished(ticket, self.now)
        self.pump(slots)

    def ideal(self) -> float:
        """
        How long the slots need for these jobs.
        """
        free = [0.0] * self.size
        for length in self.lengths:
            heapq.heapreplace(free, free[0] + length)
        return max(free)


@pytest.mark.parametrize(
    ("clients", "calls"), [(1, 3), (4, 3), (8, 3), (16, 3), (24, 1)]
)
def test_many_clients_share_an_account(clients: int, calls: int) -> None:
    """
    However many they are, all calls are done in 1.25 of the time that the
    slots need, at no more than 3 refusals a job; none of 15 runs takes 1.6.
    """
    crowds = [Crowd(clients, calls, seed=seed).run() for seed in range(15)]

    times = [crowd.now / crowd.ideal() for crowd in crowds]
    refusals = [crowd.refused / len(crowd.ends) for crowd in crowds]
    assert statistics.median(times) <= 1.25
    assert max(times) <= 1.6
    assert statistics.median(refusals) <= 3
