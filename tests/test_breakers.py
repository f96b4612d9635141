"""
What a refused account, or an outage, keeps from being sent.
"""

from __future__ import annotations

import pytest

from modelslab_async import Timeouts
from modelslab_async._policy.breakers import (
    AccountBreaker,
    OutageBreaker,
    Trouble,
)
from modelslab_async.errors import AuthenticationError, ServerError


REFUSED = AuthenticationError(401, "Invalid Api Key")


def test_an_open_breaker_lets_one_probe_go_after_its_pause() -> None:
    """
    30 s after the last refusal one call goes on, not two.
    """
    breaker = AccountBreaker(30)
    breaker.refused(REFUSED, now=0)

    blocked = [breaker.blocked_by(now) for now in (29.9, 30, 30)]
    probes = [breaker.take_probe(), breaker.take_probe()]

    assert blocked == [REFUSED, None, None]
    assert probes == [True, False]
    assert breaker.blocked_by(30) is REFUSED


def test_a_closed_breaker_has_no_probe_to_take() -> None:
    """
    While the account is good, nobody is the probe.
    """
    assert not AccountBreaker(30).take_probe()


def test_a_probe_that_is_accepted_closes_the_breaker() -> None:
    """
    After it everybody goes on.
    """
    breaker = AccountBreaker(30)
    breaker.refused(REFUSED, now=0)
    breaker.take_probe()

    breaker.accepted()

    assert breaker.blocked_by(31) is None


def test_a_probe_that_is_refused_opens_it_anew() -> None:
    """
    The pause runs from the last refusal.
    """
    breaker = AccountBreaker(30)
    breaker.refused(REFUSED, now=0)
    breaker.take_probe()

    breaker.refused(REFUSED, now=32)

    assert breaker.blocked_by(61) is REFUSED
    assert breaker.blocked_by(62) is None


def test_a_probe_that_says_nothing_lets_the_next_try() -> None:
    """
    A probe that died on the way does not keep the breaker open for ever.
    """
    breaker = AccountBreaker(30)
    breaker.refused(REFUSED, now=0)
    breaker.take_probe()

    breaker.return_probe()

    assert breaker.blocked_by(31) is None


DOWN = ServerError(503, "Service temporarily unavailable")


def failing(trouble: Trouble, times: int, slots: int = 5) -> OutageBreaker:
    """
    A breaker after so many equal troubles in a row, a second apart.
    """
    breaker = OutageBreaker(Timeouts())
    for now in range(times):
        breaker.failed(trouble, DOWN, now, slots=slots, words="no")
    return breaker


@pytest.mark.parametrize(
    ("trouble", "most"),
    [
        (Trouble.UNKNOWN, 5),
        (Trouble.REFUSED, 20),
        (Trouble.UNREACHED, 20),
    ],
)
def test_it_opens_after_enough_in_a_row(trouble: Trouble, most: int) -> None:
    """
    As many unknowns as slots, or 20 of the rest, and not one earlier.
    """
    assert not failing(trouble, most - 1).is_open
    assert failing(trouble, most).is_open


def test_what_opened_it_is_no_item_s_own_any_more() -> None:
    """
    While it is open, who meets the same is asked for again; what is another
    trouble is that item's.
    """
    breaker = failing(Trouble.REFUSED, 20)

    same = breaker.failed(Trouble.REFUSED, DOWN, 100, slots=5, words="no")
    other = breaker.failed(Trouble.REFUSED, DOWN, 100, slots=5, words="bad")

    assert (same, other) == (True, False)
    assert breaker.is_open


def test_before_it_opens_each_item_fails_for_itself() -> None:
    """
    The twentieth is the last that fails.
    """
    breaker = OutageBreaker(Timeouts())

    outage = [
        breaker.failed(Trouble.REFUSED, DOWN, now, slots=5, words="no")
        for now in range(22)
    ]

    assert outage == [False] * 20 + [True] * 2


def test_other_words_begin_a_new_row() -> None:
    """
    20 different refusals are 20 bad prompts, not an outage.
    """
    breaker = OutageBreaker(Timeouts())

    for now in range(40):
        breaker.failed(Trouble.REFUSED, DOWN, now, slots=5, words=str(now))

    assert not breaker.is_open


def test_while_open_probes_come_every_5_to_30_seconds() -> None:
    """
    Probe by probe the pause doubles, up to 30 s.
    """
    breaker = failing(Trouble.UNKNOWN, 5)
    pauses = []

    for _ in range(5):
        now = 100.0
        breaker.failed(Trouble.UNKNOWN, DOWN, now, slots=5)
        pauses.append(breaker.pause(now))

    assert pauses == [10, 20, 30, 30, 30]


def test_a_probe_keeps_the_others_back() -> None:
    """
    While one probe is under way no second one goes.
    """
    breaker = failing(Trouble.UNKNOWN, 5)
    breaker.take_probe(100)

    assert breaker.pause(100) == 30


def test_one_acceptance_closes_it() -> None:
    """
    After it nothing is waited for, and the row begins anew.
    """
    breaker = failing(Trouble.UNKNOWN, 5)

    breaker.accepted()

    assert not breaker.is_open
    assert breaker.pause(100) == 0
    assert breaker.error is None


def test_it_is_exhausted_after_half_an_hour() -> None:
    """
    An outage of 30 minutes stops the batch, one of 29 does not.
    """
    breaker = failing(Trouble.UNKNOWN, 5)

    assert not breaker.exhausted(4 + 1799)
    assert breaker.exhausted(4 + 1800)


def test_a_ban_holds_a_closed_breaker() -> None:
    """
    A ban is obeyed to its end, and nothing of it stays.
    """
    breaker = OutageBreaker(Timeouts())
    breaker.hold_until(60)

    assert (breaker.pause(0), breaker.pause(60)) == (60, 0)
    assert not breaker.is_open
