"""
How often to try again, how soon, and how long to wait for what.
"""

from __future__ import annotations

import math

import pytest

from hypothesis import given
from hypothesis import strategies as st

from modelslab_async import Timeouts
from modelslab_async._policy.retry import RetryBudget, RetryPolicy, backoff
from modelslab_async.errors import ConfigurationError


@given(tries=st.integers(0, 10**6), dice=st.floats(0, 1))
def test_backoff_stays_within_its_bounds(tries: int, dice: float) -> None:
    """
    However often it was tried, no pause is longer than the longest.
    """
    timeouts = Timeouts()

    pause = backoff(tries, timeouts, dice)

    assert 0 <= pause <= timeouts.retry_longest


def test_faster_divides_every_wait() -> None:
    """
    A simulator that runs 10 times as fast is waited for a tenth as long.
    """
    timeouts = Timeouts().faster(10)

    assert timeouts.speed == 10
    assert timeouts.submit == pytest.approx(18)
    assert timeouts.model_loading == (1, 3, 6, 12)


def test_the_network_is_given_its_time() -> None:
    """
    However fast the simulator, silence is taken for silence after 5 s only,
    and what is not silence is divided all the same.
    """
    timeouts = Timeouts().faster(1000, silence=5)

    assert (timeouts.poll, timeouts.submit, timeouts.file_read) == (5, 5, 5)
    assert timeouts.account_probe == pytest.approx(0.03)


@pytest.mark.parametrize("times", [0, -1, math.inf, math.nan])
def test_a_speed_that_cannot_be_is_refused(times: float) -> None:
    """
    Nobody divides by nothing.
    """
    with pytest.raises(ConfigurationError, match="above 0"):
        Timeouts().faster(times)


def test_a_policy_names_all_its_faults() -> None:
    """
    Two wrong numbers are told together.
    """
    with pytest.raises(ConfigurationError, match=r"attempts.*resubmit_failed"):
        RetryPolicy(attempts=0, resubmit_failed=-1)


def test_the_budget_pays_for_one_retry_in_ten_calls() -> None:
    """
    Once it is empty, ten good calls are needed for one more retry.
    """
    budget = RetryBudget(100)

    paid = sum(budget.spend() for _ in range(20))
    before = budget.spend()
    for _ in range(10):
        budget.earn()
    after = budget.spend()

    assert (paid, before, after) == (10, False, True)


def test_the_budget_does_not_overflow() -> None:
    """
    A good day buys no more than *capacity* for a bad one.
    """
    budget = RetryBudget(20)

    for _ in range(1000):
        budget.earn()

    assert [budget.spend() for _ in range(3)] == [True, True, False]
