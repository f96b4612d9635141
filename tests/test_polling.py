"""
When to ask again. No time passes here.
"""

from __future__ import annotations

import math
import random
import statistics

import attrs
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from modelslab_async._policy.polling import (
    Pace,
    PollSchedule,
    TokenBucket,
    polls_at_once,
)
from modelslab_async.errors import ConfigurationError


anything = st.floats(allow_nan=True, allow_infinity=True)
guesses = st.none() | anything
positive = st.floats(
    min_value=0, exclude_min=True, allow_infinity=False, allow_nan=False
)


@attrs.define
class Customer:
    """
    One who asks for pictures one after the other, in virtual time.
    """

    pace: Pace = attrs.Factory(lambda: Pace(PollSchedule()))
    dice: random.Random = attrs.Factory(lambda: random.Random(5))
    kind: str = "flux"
    polls: list[int] = attrs.Factory(list)
    delays: list[float] = attrs.Factory(list)

    def wait_for(self, takes: float, eta: float | None) -> None:
        waited = last = 0.0
        polls = 0
        while waited < takes:
            last = waited
            polls += 1
            waited += self.pace.pause(
                self.kind, eta=eta, waited=waited, dice=self.dice.random()
            )
        self.pace.learn(self.kind, eta=eta, after=last, by=waited)
        self.polls.append(polls)
        self.delays.append(waited - takes)

    def wait_for_many(self, count: int, guess: float | None) -> None:
        """
        Log-normal jobs of 5 s; the guess is *guess* times what one takes,
        give or take 30 %.
        """
        for _ in range(count):
            takes = self.dice.lognormvariate(math.log(5), 0.5)
            noise = self.dice.uniform(0.7, 1.3)
            self.wait_for(
                takes, None if guess is None else guess * noise * takes
            )


class TestSchedule:
    @pytest.mark.parametrize(
        "options",
        [
            {"cost": 0.0},
            {"cost": -1.0},
            {"cost": math.nan},
            {"cost": math.inf},
            {"shortest": 0.0},
            {"shortest": math.nan},
            {"shortest": 21.0},
            {"longest": math.inf},
            {"longest": math.nan},
            {"budget": 0.0},
            {"budget": math.nan},
        ],
    )
    def test_refused(self, options: dict[str, float]) -> None:
        """
        A schedule that cannot be is refused when it is made.
        """
        with pytest.raises(ConfigurationError):
            PollSchedule(**options)

    def test_no_budget(self) -> None:
        """
        An infinite budget is allowed.
        """
        assert PollSchedule(budget=math.inf).budget == math.inf

    @given(eta=guesses, waited=anything, dice=anything)
    @settings(max_examples=50)
    def test_fixed(
        self, eta: float | None, waited: float, dice: float
    ) -> None:
        """
        A fixed schedule asks every so many seconds, whatever it is told.
        """
        pace = Pace(PollSchedule.fixed(2.0))

        pause = pace.pause("flux", eta=eta, waited=waited, dice=dice)

        assert pause == 2.0

    @pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
    def test_fixed_refused(self, seconds: float) -> None:
        """
        Fixed polling needs a time that can pass.
        """
        with pytest.raises(ConfigurationError):
            PollSchedule.fixed(seconds)


class TestPace:
    @given(
        seen=st.lists(st.tuples(guesses, anything, anything), max_size=30),
        eta=guesses,
        waited=anything,
        dice=anything,
        bell=st.booleans(),
        cost=positive,
        bounds=st.tuples(positive, positive).map(sorted),
    )
    @settings(max_examples=100, deadline=None)
    def test_bounds(  # what could be told, all of it
        self,
        seen: list[tuple[float | None, float, float]],
        eta: float | None,
        waited: float,
        dice: float,
        bell: bool,
        cost: float,
        bounds: list[float],
    ) -> None:
        """
        Whatever was seen and is told, a pause is between the bounds.
        """
        shortest, longest = bounds
        pace = Pace(
            PollSchedule(cost=cost, shortest=shortest, longest=longest)
        )
        for guess, after, by in seen:
            pace.learn("flux", eta=guess, after=after, by=by)

        pause = pace.pause(
            "flux", eta=eta, waited=waited, dice=dice, bell=bell
        )

        assert shortest <= pause <= longest

    @given(
        seen=st.lists(
            st.tuples(
                st.none() | st.floats(0.1, 100),
                st.floats(0, 1000),
                st.floats(0, 1000) | st.just(math.inf),
            ),
            min_size=1,
            max_size=50,
        )
    )
    @settings(max_examples=50, deadline=None)
    def test_histograms_stay_sane(
        self, seen: list[tuple[float | None, float, float]]
    ) -> None:
        """
        No weight is negative or lost, whatever was seen.
        """
        pace = Pace(PollSchedule())

        for eta, after, by in seen:
            pace.learn("flux", eta=eta, after=after, by=by)

        for durations in (pace._last.seconds, pace._last.guesses):
            assert min(durations.weights) >= 0
            assert sum(durations.weights) == pytest.approx(durations.total)

    def test_no_poll_before_any_ended(self) -> None:
        """
        Where all jobs take 10 s, nobody asks in the first eight.
        """
        customer = Customer()

        for _ in range(50):
            customer.wait_for(10.0, None)
        first = customer.pace.pause("flux", eta=None, waited=0.0, dice=0.5)

        assert 5.0 < first <= 11.0

    @pytest.mark.parametrize(
        ("guess", "polls", "delay"),
        [(1, 4.5, 0.4), (3, 4.5, 0.4), (1 / 3, 4.8, 0.4), (None, 7.5, 0.5)],
    )
    def test_learns_what_a_guess_means(
        self, guess: float | None, polls: float, delay: float
    ) -> None:
        """
        A guess that is three times too high, or a third, is worth as much as
        a right one; without one there are more polls, and the delay is short.
        """
        customer = Customer()
        customer.wait_for_many(30, guess)
        customer.polls.clear()
        customer.delays.clear()

        customer.wait_for_many(500, guess)

        assert statistics.mean(customer.polls) < polls
        assert statistics.mean(customer.delays) < delay

    def test_guess_that_says_nothing(self) -> None:
        """
        Once that is learnt, random guesses cost no more than none at all.
        """
        told, untold, dice = Customer(), Customer(), random.Random(3)
        for _ in range(400):
            takes = dice.lognormvariate(math.log(5), 0.5)
            told.wait_for(takes, dice.lognormvariate(2, 1.5))
            untold.wait_for(takes, None)

        assert sum(told.polls[50:]) < 1.1 * sum(untold.polls[50:])
        assert sum(told.delays[50:]) < 1.1 * sum(untold.delays[50:])

    def test_jobs_get_faster(self) -> None:
        """
        Jobs that now end before the first poll are found out, though all we
        see of them is that they were done.
        """
        customer = Customer()
        for _ in range(100):
            customer.wait_for(20.0, None)

        for _ in range(100):
            customer.wait_for(2.0, None)

        assert customer.delays[-1] < 1.0

    def test_cheaper_polls_are_more(self) -> None:
        """
        The less a poll costs, the more often we ask and the sooner we know.
        """
        cheap = Customer(Pace(PollSchedule(cost=0.02)))
        dear = Customer(Pace(PollSchedule(cost=0.5)))

        cheap.wait_for_many(200, 1)
        dear.wait_for_many(200, 1)

        assert sum(cheap.polls) > 1.5 * sum(dear.polls)
        assert sum(cheap.delays) < sum(dear.delays) / 1.5

    def test_bell(self) -> None:
        """
        With a bell that will ring we ask much later.
        """
        pace = Pace(PollSchedule())

        without = pace.pause("flux", eta=None, waited=5.0, dice=0.5)
        with_bell = pace.pause(
            "flux", eta=None, waited=5.0, dice=0.5, bell=True
        )

        assert with_bell > 3 * without

    def test_stuck_job(self) -> None:
        """
        A job that outlives all others is asked for ever less often, for half
        an hour once in 7 s.
        """
        customer = Customer()
        customer.wait_for_many(100, 1)

        customer.wait_for(1800.0, 5.0)

        assert 90 < customer.polls[-1] < 320

    def test_kinds_apart(self) -> None:
        """
        What a slow model takes says nothing of a fast one that is known.
        """
        pace = Pace(PollSchedule())
        fast, slow = Customer(pace, kind="fast"), Customer(pace, kind="slow")

        for _ in range(200):
            fast.wait_for(2.0, None)
            slow.wait_for(60.0, None)

        assert pace.pause("fast", eta=None, waited=0.0, dice=0.5) < 2.5
        assert pace.pause("slow", eta=None, waited=0.0, dice=0.5) > 15

    def test_new_kind(self) -> None:
        """
        A kind that nobody has met starts with what the last one taught.
        """
        pace = Pace(PollSchedule())
        known = Customer(pace, kind="known")
        for _ in range(200):
            known.wait_for(10.0, None)

        first = pace.pause("new", eta=None, waited=0.0, dice=0.5)

        assert first > 5.0

    def test_kinds_are_bounded(self) -> None:
        """
        A thousand kinds are remembered, those that are still seen among them.
        """
        pace = Pace(PollSchedule())
        for kind in range(3000):
            pace.learn(kind, eta=None, after=1.0, by=2.0)
            pace.learn("flux", eta=None, after=1.0, by=2.0)

        assert len(pace._kinds) == 1000
        assert "flux" in pace._kinds

    def test_learns_for_ever(self) -> None:
        """
        Weights that grow with each job do not overflow.
        """
        pace = Pace(PollSchedule())

        for _ in range(5000):
            pace.learn("flux", eta=5.0, after=4.0, by=5.0)

        assert pace._last.seconds.total < 1e9
        assert pace.pause("flux", eta=5.0, waited=0.0, dice=0.5) > 3.5


class TestBudget:
    @pytest.mark.parametrize(
        ("schedule", "slots", "rate"),
        [
            (PollSchedule(), 0, 20.0),
            (PollSchedule(), 10, 20.0),
            (PollSchedule(), 100, 200.0),
            (PollSchedule(shortest=0.1), 100, 1000.0),
            (PollSchedule.fixed(10), 300, 30.0),
            (PollSchedule(budget=5.0), 300, 5.0),
            (PollSchedule(budget=math.inf), 1, math.inf),
        ],
    )
    def test_rate(
        self, schedule: PollSchedule, slots: int, rate: float
    ) -> None:
        """
        By default as many polls a second as the slots in use can need.
        """
        assert schedule.rate(slots) == rate

    @pytest.mark.parametrize(
        ("slots", "most"), [(0, 16), (15, 16), (50, 50), (1000, 100)]
    )
    def test_at_once(self, slots: int, most: int) -> None:
        """
        More polls are under way where more slots are in use.
        """
        assert polls_at_once(slots) == most

    @pytest.mark.parametrize("budget", [0.0, -1.0, math.nan])
    def test_a_budget_that_cannot_be(self, budget: float) -> None:
        """
        No polls at all is no budget.
        """
        with pytest.raises(ConfigurationError, match="budget"):
            PollSchedule(budget=budget)


def _polled(bucket: TokenBucket, now: float) -> float:
    """
    Seconds until a poll may go; 0: it went.
    """
    pause = bucket.ready_in(now)
    if pause == 0.0:
        bucket.take(now)
    return pause


class TestTokenBucket:
    def test_burst_then_rate(self) -> None:
        """
        Half a second's worth of polls may go at once, then one each 1/rate.
        """
        bucket = TokenBucket(20.0)

        burst = [_polled(bucket, 0.0) for _ in range(10)]
        pause = bucket.ready_in(0.0)

        assert burst == [0.0] * 10
        assert pause == pytest.approx(0.05)

    def test_no_budget(self) -> None:
        """
        An infinite budget never makes anybody wait.
        """
        bucket = TokenBucket(math.inf)

        pauses = {_polled(bucket, 0.0) for _ in range(1000)}

        assert pauses == {0.0}

    def test_asking_takes_nothing(self) -> None:
        """
        Only a poll that may go takes a token.
        """
        bucket = TokenBucket(1.0)
        _polled(bucket, 0.0)

        pauses = [bucket.ready_in(0.5) for _ in range(5)]

        assert pauses == pytest.approx([0.5] * 5)
        assert bucket.ready_in(1.0) == 0.0

    @given(
        rate=st.floats(0.01, 1000),
        steps=st.lists(st.floats(0, 10), min_size=1, max_size=60),
    )
    @settings(max_examples=100)
    def test_never_above_the_rate(
        self, rate: float, steps: list[float]
    ) -> None:
        """
        In any time, no more polls go than the rate and one burst allow; who
        waits as told may go.
        """
        bucket, now, gone = TokenBucket(rate), 0.0, 0
        for step in steps:
            now += step
            pause = _polled(bucket, now)
            gone += pause == 0.0
            assert 0.0 <= pause <= max(0.5, 1 / rate) + 1e-6

        assert gone <= rate * now + max(1.0, 0.5 * rate) + 1e-6
        assert bucket.ready_in(now + max(0.5, 1 / rate)) == 0.0
