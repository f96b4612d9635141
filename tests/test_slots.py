"""
The queue for slots, and what a refusal teaches. No time passes here.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random

from collections.abc import Callable
from functools import partial

import attrs
import pytest

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from modelslab_async._policy.slots import Slots
from modelslab_async._policy.tickets import Standing, Ticket


def fill(slots: Slots, now: float = 0.0) -> list[Ticket]:
    """
    Admit whoever may enter.
    """
    return list(iter(lambda: slots.admit(now), None))


def crowd(slots: Slots, count: int, now: float = 0.0) -> list[Ticket]:
    """
    Let so many join.
    """
    return [slots.join(0, now) for _ in range(count)]


def busy(count: int, slots: int | None = None) -> tuple[Slots, list[Ticket]]:
    """
    Slots of which so many are held by accepted jobs, more of them waiting.
    """
    queue = Slots(slots=slots)
    crowd(queue, count)
    tickets = fill(queue)
    for ticket in tickets:
        queue.accepted(ticket)
    crowd(queue, 20)
    return queue, tickets


class TestQueue:
    def test_lower_priority_first(self) -> None:
        """
        Of two that join together, the lower number goes first.
        """
        slots = Slots(slots=1)
        slots.join(10, 0.0)
        call = slots.join(0, 0.0)

        first = slots.admit(0.0)

        assert first is call

    @pytest.mark.parametrize(
        ("later", "batch_first"), [(49.0, False), (51.0, True)]
    )
    def test_ageing(self, later: float, batch_first: bool) -> None:
        """
        A ticket gains 1 in priority for each 5 s that it waits.
        """
        slots = Slots(slots=1)
        batch = slots.join(10, 0.0)
        call = slots.join(0, later)

        first = slots.admit(later)

        assert first is (batch if batch_first else call)

    def test_equals_in_order_of_arrival(self) -> None:
        """
        Tickets of one priority that join at one moment enter as they joined.
        """
        slots = Slots(slots=5)
        tickets = crowd(slots, 5)

        admitted = fill(slots)

        assert admitted == tickets

    def test_refused_keeps_its_place(self) -> None:
        """
        Who goes back into the queue after a refusal is still before those who
        came after.
        """
        slots = Slots(slots=1)
        first, _ = crowd(slots, 2)
        fill(slots)

        slots.refused(first, 0.0, named=None, dice=0.0)
        slots.rejoin(first)

        assert slots.admit(1.25) is first

    def test_leaving(self) -> None:
        """
        Who left is not admitted.
        """
        slots = Slots(slots=1)
        first, second = crowd(slots, 2)

        slots.leave(first)

        assert slots.waiting == 1
        assert slots.admit(0.0) is second

    def test_coming_back(self) -> None:
        """
        Who left and came back is admitted once.
        """
        slots = Slots(slots=5)
        (ticket,) = crowd(slots, 1)

        slots.leave(ticket)
        slots.rejoin(ticket)

        assert fill(slots) == [ticket]
        assert slots.held == 1

    def test_leavers_are_not_kept(self) -> None:
        """
        A queue that many leave does not grow without bound.
        """
        slots = Slots(slots=1)
        crowd(slots, 1)

        for ticket in crowd(slots, 10_000):
            slots.leave(ticket)

        assert len(slots._queue._heap) < 100

    def test_ends_count_once(self) -> None:
        """
        A slot that was given back cannot be given back again.
        """
        slots, (ticket,) = busy(1, slots=1)

        slots.finished(ticket, 0.0)
        slots.finished(ticket, 0.0)
        slots.release(ticket)
        slots.refused(ticket, 0.0, named=None, dice=0.0)

        assert slots.held == 0

    def test_finished_at_once(self) -> None:
        """
        A submit that is answered with the picture was accepted and finished.
        """
        slots = Slots(slots=1)
        first, second = crowd(slots, 2)
        fill(slots)

        slots.finished(first, 0.0)

        assert fill(slots) == [second]


class TestLimit:
    def test_word_of_the_user(self) -> None:
        """
        slots=N lets N enter and never more, whatever a refusal names.
        """
        slots, tickets = busy(3, slots=3)

        slots.finished(tickets[0], 0.0)
        (ticket,) = fill(slots)
        slots.refused(ticket, 0.0, named=50, dice=0.0)

        assert slots.limit <= 3

    def test_starts_at_five(self) -> None:
        """
        Without a word of the user, five may enter at first.
        """
        slots = Slots()
        crowd(slots, 20)

        assert len(fill(slots)) == 5

    def test_grows_with_each_accepted(self) -> None:
        """
        Until the first refusal each job that is accepted lets one more in.
        """
        slots = Slots()
        crowd(slots, 20)
        first, *_ = fill(slots)

        slots.accepted(first)

        assert len(fill(slots)) == 1

    def test_calls_one_by_one_prove_nothing(self) -> None:
        """
        The limit does not grow while slots are empty.
        """
        slots = Slots()

        for _ in range(100):
            slots.join(0, 0.0)
            (ticket,) = fill(slots)
            slots.accepted(ticket)
            slots.finished(ticket, 0.0)

        assert slots.limit == 5

    def test_named(self) -> None:
        """
        A refusal that names N caps at N, however many are refused together.
        """
        slots = Slots(slots=15)
        crowd(slots, 15)
        tickets = fill(slots)

        for ticket in tickets[5:]:
            slots.refused(ticket, 0.0, named=5, dice=0.5)
        for ticket in tickets[:5]:
            slots.accepted(ticket)

        assert (slots.account.cap, slots.limit, slots.held) == (5, 5, 5)

    def test_unnamed(self) -> None:
        """
        A refusal that names nothing limits to what we hold.
        """
        slots, _ = busy(5)
        refused = fill(slots)

        for ticket in refused:
            slots.refused(ticket, 0.0, named=None, dice=0.5)

        assert (slots.account.cap, slots.limit) == (None, 5)

    def test_grows_slowly_after_a_refusal(self) -> None:
        """
        Without a cap, 10 x limit accepted jobs let one more in.
        """
        slots, tickets = busy(5)
        for ticket in fill(slots):
            slots.refused(ticket, 0.0, named=None, dice=0.5)

        limits = []
        for _ in range(50):
            slots.finished(tickets.pop(0), 0.0)
            tickets += fill(slots)
            slots.accepted(tickets[-1])
            slots.join(0, 0.0)
            limits.append(slots.limit)

        assert limits == [5] * 49 + [6]

    def test_others_are_on_the_account(self) -> None:
        """
        A refusal below the cap takes a tenth of the limit, once for those
        that were under way together, and finished jobs give it back.
        """
        slots = Slots(slots=10)
        crowd(slots, 10)
        tickets = fill(slots)
        for ticket in tickets[:4]:
            slots.accepted(ticket)

        for ticket in tickets[4:]:
            slots.refused(ticket, 0.0, named=10, dice=0.5)
        after_round = slots.limit
        for ticket in tickets[:4]:
            slots.finished(ticket, 0.0)

        assert after_round == 9
        assert slots.account._limit == pytest.approx(
            9.0 + 4 * 0.5 / 9.0, abs=0.01
        )

    @pytest.mark.parametrize("named", [None, 5])
    def test_never_below_one(self, named: int | None) -> None:
        """
        However often we are refused, one may always try.
        """
        slots = Slots()
        now = 0.0
        crowd(slots, 100)

        for _ in range(100):
            now += 31.0
            for ticket in fill(slots, now):
                slots.refused(ticket, now, named=named, dice=0.999)

        assert slots.limit == 1

    def test_adopted(self) -> None:
        """
        Jobs that run already take slots, even above the limit.
        """
        slots = Slots(slots=2)
        crowd(slots, 1)

        adopted = [slots.adopt(0.0) for _ in range(3)]
        while_full = slots.admit(0.0)
        for ticket in adopted[:2]:
            slots.finished(ticket, 0.0)

        assert while_full is None
        assert len(fill(slots)) == 1

    def test_adopted_in_leaps(self) -> None:
        """
        What adopted jobs seemed to prove, refusals disprove.
        """
        slots = Slots()
        first, second = crowd(slots, 2)
        fill(slots)
        for _ in range(8):
            slots.adopt(0.0)

        slots.accepted(first)
        slots.refused(second, 0.0, named=None, dice=0.5)
        believed = slots.account.known
        for _ in range(2):
            slots.account._prove(9, -1)

        assert believed == 9
        assert slots.account.known == 5


class TestClosedLine:
    def test_closes(self) -> None:
        """
        After a refusal nobody enters until a job of ours ends.
        """
        slots, _ = busy(5, slots=9)
        refused, *others = fill(slots)

        slots.refused(refused, 0.0, named=9, dice=0.5)
        for ticket in others:
            slots.release(ticket)

        assert slots.closed
        assert slots.limit > slots.held
        assert slots.admit(0.0) is None

    def test_one_probe(self) -> None:
        """
        A finished job opens the queue for one, and its acceptance for all.
        """
        slots, tickets = busy(5)
        for ticket in fill(slots):
            slots.refused(ticket, 0.0, named=5, dice=0.5)
        for ticket in tickets[:3]:
            slots.finished(ticket, 1.0)

        probes = fill(slots, 1.0)
        slots.accepted(probes[0])

        assert len(probes) == 1
        assert len(fill(slots, 1.0)) == 2

    def test_one_after_the_other(self) -> None:
        """
        Where others are on the account, the probe after an accepted one goes
        alone, too: two would be refused together.
        """
        slots, tickets = busy(5)
        for ticket in fill(slots):
            slots.refused(ticket, 0.0, named=9, dice=0.5)
        for ticket in tickets[:4]:
            slots.finished(ticket, 1.0)

        (first,) = fill(slots, 1.0)
        slots.accepted(first)
        (second,) = fill(slots, 1.0)
        slots.accepted(second)

        assert len(fill(slots, 1.0)) == 2

    def test_probe_that_never_left(self) -> None:
        """
        A probe that gives its slot back leaves its turn to the next.
        """
        slots, tickets = busy(5)
        for ticket in fill(slots):
            slots.refused(ticket, 0.0, named=5, dice=0.5)
        slots.finished(tickets[0], 1.0)
        (probe,) = fill(slots, 1.0)

        slots.release(probe)

        assert len(fill(slots, 1.0)) == 1

    def test_probe_without_an_answer(self) -> None:
        """
        A probe keeps the queue waiting for 5 s, not for as long as it takes.
        """
        slots, tickets = busy(9)
        for ticket in fill(slots):
            slots.refused(ticket, 0.0, named=9, dice=0.5)
        for ticket in tickets[:3]:
            slots.finished(ticket, 1.0)
        fill(slots, 1.0)

        assert slots.opens_in(1.0) == pytest.approx(5.0)
        assert slots.admit(5.9) is None
        assert slots.admit(6.0) is not None

    def test_acceptance_from_before(self) -> None:
        """
        A job that was under way when another was refused proves no room.
        """
        slots, _ = busy(5, slots=9)
        refused, earlier, *_ = fill(slots)

        slots.refused(refused, 0.0, named=20, dice=0.5)
        slots.accepted(earlier)

        assert slots.closed

    @pytest.mark.parametrize(
        ("dice", "seconds"), [(0.0, 1.25), (0.5, 2.5), (1.0, 3.75)]
    )
    def test_holding_none(self, dice: float, seconds: float) -> None:
        """
        While others hold all slots we try again after 1 to 4 s.
        """
        slots = Slots(slots=1)
        crowd(slots, 2)
        (ticket,) = fill(slots)

        slots.refused(ticket, 7.0, named=5, dice=dice)

        assert slots.opens_in(7.0) == pytest.approx(seconds)
        assert slots.admit(7.0 + seconds - 0.01) is None
        assert slots.admit(7.0 + seconds + 0.01) is not None

    def test_waits_are_given(self) -> None:
        """
        All waits are arguments, so that they can be divided by a speed.
        """
        slots = Slots(
            slots=1, ageing=0.05, usual=0.2, longest=0.3, patience=0.05
        )
        crowd(slots, 2)
        (ticket,) = fill(slots)

        slots.refused(ticket, 0.0, named=None, dice=1.0)

        assert slots.opens_in(0.0) == pytest.approx(0.3)

    def test_above_the_limit(self) -> None:
        """
        When time has passed, one goes above a limit that was higher before,
        and the next only when that one was accepted.
        """
        slots, tickets = busy(5)
        for ticket in fill(slots):
            slots.refused(ticket, 0.0, named=None, dice=0.5)
        for ticket in tickets[2:]:
            slots.release(ticket)
        slots.account._limit = 2.0

        early, probes = fill(slots, 2.4), fill(slots, 2.6)
        slots.accepted(probes[0])
        then = fill(slots, 2.7)

        assert (len(early), len(probes), len(then)) == (0, 1, 1)

    @pytest.mark.parametrize("waiting", [0, 3])
    def test_nothing_to_wake_for(self, waiting: int) -> None:
        """
        With nobody waiting, or every slot of the account in use, only an
        event can let anybody in.
        """
        slots = Slots(slots=2)
        crowd(slots, 2 + waiting)
        fill(slots)

        assert slots.opens_in(0.0) is None


@attrs.define
class Account:
    """
    The service and a batch in virtual time: log-normal jobs, each
    noticed up to 0.6 s late, answers after 20 ms.
    """

    slots: Slots
    size: int
    count: int
    named: bool
    usual: float = 5.0
    others: Callable[[float], int] = lambda now: 0
    dice: random.Random = attrs.field(factory=lambda: random.Random(1))
    now: float = 0.0
    running: int = 0
    finished: int = 0
    accepted: list[float] = attrs.Factory(list)
    refused: list[float] = attrs.Factory(list)
    full: list[float] = attrs.Factory(list)
    lengths: dict[Ticket, float] = attrs.Factory(dict)
    events: list[tuple[float, int, Callable[[], None]]] = attrs.Factory(list)
    order: itertools.count[int] = attrs.Factory(itertools.count)

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        entry = (self.now + seconds, next(self.order), act)
        heapq.heappush(self.events, entry)

    def run(self, until: float = 1e6) -> None:
        for _ in range(self.count):
            self.lengths[self.slots.join(10, 0.0)] = self.dice.lognormvariate(
                math.log(self.usual), 0.5
            )
        self.pump()
        while self.finished < self.count and self.events[0][0] < until:
            self.now, _, act = heapq.heappop(self.events)
            act()
            self.pump()

    def pump(self) -> None:
        for ticket in fill(self.slots, self.now):
            self.at(0.01, partial(self.ask, ticket))
        wake = self.slots.opens_in(self.now)
        if wake is not None:
            self.at(wake + 1e-6, lambda: None)

    def ask(self, ticket: Ticket) -> None:
        if self.running + self.others(self.now) >= self.size:
            self.at(0.01, lambda: self.refuse(ticket))
            return
        self.running += 1
        if self.running == self.size:
            self.full.append(self.now)
        self.at(0.01, lambda: self.accept(ticket))
        self.at(self.lengths[ticket], lambda: self.end(ticket))

    def refuse(self, ticket: Ticket) -> None:
        self.refused.append(self.now)
        named = self.size if self.named else None
        self.slots.refused(
            ticket, self.now, named=named, dice=self.dice.random()
        )
        self.slots.rejoin(ticket)

    def accept(self, ticket: Ticket) -> None:
        self.accepted.append(self.now)
        self.slots.accepted(ticket)

    def end(self, ticket: Ticket) -> None:
        self.running -= 1
        self.at(self.dice.uniform(0.02, 0.6), lambda: self.notice(ticket))

    def notice(self, ticket: Ticket) -> None:
        self.finished += 1
        self.slots.finished(ticket, self.now)

    def ideal(self) -> float:
        free = [0.0] * self.size
        for length in self.lengths.values():
            heapq.heapreplace(free, free[0] + length)
        return max(free)


class TestAccount:
    @pytest.mark.parametrize("named", [True, False])
    @pytest.mark.parametrize("slots", [None, 5, 15])
    def test_sixty_on_five(self, slots: int | None, named: bool) -> None:
        """
        60 specs use at least 0.90 of the 5 slots, and after the first second
        at most 1 in 10 is refused.
        """
        account = Account(Slots(slots=slots), 5, 60, named)

        account.run()

        assert account.ideal() / account.now >= 0.90
        assert sum(when > 1 for when in account.refused) <= 6

    @pytest.mark.parametrize("named", [True, False])
    @pytest.mark.parametrize("usual", [2.0, 5.0, 20.0, 60.0])
    def test_somebody_comes_and_goes(self, usual: float, named: bool) -> None:
        """
        Slots that a second client gave back are in use within 30 s, however
        long the jobs are.
        """
        account = Account(
            Slots(),
            5,
            1000,
            named,
            usual=usual,
            others=lambda now: 3 if 100 < now < 400 else 0,
        )

        account.run(until=460)

        back = [when for when in account.full if when > 400]
        assert back[0] < 431

    def test_nothing_left_at_first(self) -> None:
        """
        Five slots that others held when we came are ours within 30 s of
        their leaving, though no refusal ever named a number.
        """
        account = Account(
            Slots(), 5, 1000, named=False, others=lambda now: 5 * (now < 60)
        )

        account.run(until=120)

        assert account.full[0] < 91

    def test_jobs_that_have_ended_unnoticed(self) -> None:
        """
        A sixth job, accepted because one of five had ended unnoticed, does
        not make us believe in six slots.
        """
        account = Account(Slots(), 5, 1000, named=False)

        account.run()

        assert account.slots.account.known == 5
        assert len(account.refused) <= 50

    @pytest.mark.parametrize("named", [True, False])
    def test_large_account(self, named: bool) -> None:
        """
        An account of 40 slots is found out from 5, and refuses 1 in 10 or
        fewer.
        """
        account = Account(Slots(), 40, 1000, named)

        account.run()

        assert account.ideal() / account.now >= 0.90
        assert len(account.refused) <= 100


class SlotsMachine(RuleBasedStateMachine):
    """
    Whatever happens, in whatever order.
    """

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.word: int | None = None
        self.slots = Slots()
        self.now = 0.0
        self.adopted = 0
        self.inside: set[Ticket] = set()
        self.queue: set[Ticket] = set()

    @precondition(lambda self: not self.inside and not self.queue)
    @rule(word=st.none() | st.integers(1, 8))
    def begin(self, word: int | None) -> None:
        self.word, self.slots = word, Slots(slots=word)

    @rule(target=tickets, priority=st.integers(-5, 15))
    def join(self, priority: int) -> Ticket:
        ticket = self.slots.join(priority, self.now)
        self.queue.add(ticket)
        return ticket

    @rule(seconds=st.floats(0, 40))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def admit(self) -> None:
        wake = self.slots.opens_in(self.now)
        ticket = self.slots.admit(self.now)

        assert (wake == 0.0) == (ticket is not None)
        if ticket is not None:
            first = min(5 * p.priority + p.since for p in self.queue)
            assert 5 * ticket.priority + ticket.since == first
            assert self.slots.held <= self.slots.limit
            self.queue.remove(ticket)
            self.inside.add(ticket)

    @rule(ticket=tickets)
    def accepted(self, ticket: Ticket) -> None:
        self.slots.accepted(ticket)

    @rule(
        ticket=tickets,
        named=st.none() | st.integers(0, 12),
        dice=st.floats(0, 1, exclude_max=True),
        again=st.booleans(),
    )
    def refused(
        self, ticket: Ticket, named: int | None, dice: float, again: bool
    ) -> None:
        asking = ticket.standing is Standing.ASKING
        self.slots.refused(ticket, self.now, named=named, dice=dice)
        if asking:
            self.inside.remove(ticket)
            assert (
                self.slots.closed or ticket.turn <= self.slots._closure.round
            )
        if again and ticket not in self.inside:
            self.slots.rejoin(ticket)
            self.queue.add(ticket)

    @rule(ticket=tickets)
    def release(self, ticket: Ticket) -> None:
        self.slots.release(ticket)
        self.inside.discard(ticket)

    @rule(ticket=tickets)
    def finished(self, ticket: Ticket) -> None:
        self.slots.finished(ticket, self.now)
        self.inside.discard(ticket)

    @rule(ticket=consumes(tickets))
    def leave(self, ticket: Ticket) -> None:
        self.slots.leave(ticket)
        self.queue.discard(ticket)

    @rule(target=tickets)
    def adopt(self) -> Ticket:
        ticket = self.slots.adopt(self.now)
        self.inside.add(ticket)
        return ticket

    @invariant()
    def no_slot_is_lost(self) -> None:
        assert self.slots.held == len(self.inside)
        assert self.slots.waiting == len(self.queue)

    @invariant()
    def limit_is_known(self) -> None:
        assert self.slots.limit >= 1
        assert self.slots.limit <= (self.word or self.slots.limit)
        assert self.slots.limit <= (self.slots.account.cap or self.slots.limit)

    def teardown(self) -> None:
        """
        No waiter is forgotten: once jobs end, all are let in, and nothing but
        the passing of time is needed when we hold none.
        """
        for ticket in list(self.inside):
            self.slots.finished(ticket, self.now)
        for _ in range(len(self.queue)):
            wake = self.slots.opens_in(self.now)
            assert wake is not None
            assert wake <= 30.0
            self.now += wake + 1e-6
            admitted = self.slots.admit(self.now)
            assert admitted is not None
            self.slots.release(admitted)

        assert self.slots.waiting == self.slots.held == 0


TestSlotsMachine = SlotsMachine.TestCase
TestSlotsMachine.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None
)
