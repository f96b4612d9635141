"""
Whether to try again, row by row.
"""

from __future__ import annotations

import math

import pytest

from hypothesis import given
from hypothesis import strategies as st

from modelslab_async._policy.breakers import Brake, Door, Trouble
from modelslab_async._policy.retry import RetryBudget, RetryPolicy, backoff
from modelslab_async._policy.timeouts import Waits
from modelslab_async._policy.verdicts import (
    AfterPoll,
    AfterSubmit,
    after_poll,
    after_submit,
)
from modelslab_async._protocol.replies import (
    Cut,
    Processing,
    Refusal,
    Success,
    Told,
    Topic,
    Unreadable,
    Unsent,
)
from modelslab_async.errors import (
    AuthenticationError,
    ConfigurationError,
    ServerError,
)
from modelslab_async.results import Image


PICTURE = (Image(0, "https://x.example/0.png"),)


def no(http: int, *topics: Topic, word: str | None = "error") -> Refusal:
    """
    A refusal about these topics.
    """
    return Refusal(http, word, "no", frozenset(topics))


SUBMITS = [
    (Unsent("refused"), AfterSubmit.NOT_SENT),
    (Cut("reset"), AfterSubmit.CUT),
    (Success(200, "1", ()), AfterSubmit.ACCEPTED),
    (Success(500, None, PICTURE), AfterSubmit.ACCEPTED),
    (Processing(500, "1"), AfterSubmit.ACCEPTED),
    (Processing(200, None), AfterSubmit.UNKNOWN),
    (Processing(429, None), AfterSubmit.QUEUE_FULL),
    (no(200, Topic.SAME_REQUEST, Topic.TRANSIENT), AfterSubmit.SAME_REQUEST),
    (no(429, Topic.SAME_REQUEST), AfterSubmit.SAME_REQUEST),
    (no(500, Topic.SAME_REQUEST), AfterSubmit.UNKNOWN),
    (no(429, Topic.BAN, Topic.QUEUE), AfterSubmit.BAN),
    (no(200, Topic.BAN), AfterSubmit.BAN),
    (no(429, word=None), AfterSubmit.BAN),
    (Unreadable(429, "<html>"), AfterSubmit.BAN),
    (no(429), AfterSubmit.QUEUE_FULL),
    (no(200, Topic.QUEUE), AfterSubmit.QUEUE_FULL),
    (no(500, Topic.QUEUE), AfterSubmit.QUEUE_FULL),
    (no(401), AfterSubmit.ACCOUNT),
    (no(402, word=None), AfterSubmit.ACCOUNT),
    (no(200, Topic.KEY), AfterSubmit.ACCOUNT),
    (no(403, Topic.PLAN), AfterSubmit.ACCOUNT),
    (no(200, Topic.CREDIT), AfterSubmit.ACCOUNT),
    (no(500, Topic.CREDIT), AfterSubmit.UNKNOWN),
    (Unreadable(401, "<html>"), AfterSubmit.ACCOUNT),
    (no(200, Topic.LOADING, Topic.TRANSIENT), AfterSubmit.LOADING),
    (no(500, Topic.LOADING), AfterSubmit.UNKNOWN),
    (no(503), AfterSubmit.UNAVAILABLE),
    (no(503, word=None), AfterSubmit.UNKNOWN),
    (Unreadable(503, "<html>"), AfterSubmit.UNKNOWN),
    (Unreadable(521, "<html>"), AfterSubmit.UNAVAILABLE),
    (no(530), AfterSubmit.UNAVAILABLE),
    (Unreadable(307, ""), AfterSubmit.REDIRECT),
    (no(302), AfterSubmit.REDIRECT),
    (no(400), AfterSubmit.REFUSED),
    (no(403), AfterSubmit.REFUSED),
    (no(404, word=None), AfterSubmit.REFUSED),
    (Unreadable(413, "<html>"), AfterSubmit.REFUSED),
    (no(200), AfterSubmit.REFUSED),
    (no(200, word="failed"), AfterSubmit.REFUSED),
    (no(408), AfterSubmit.REFUSED),
    (no(408, word=None), AfterSubmit.UNKNOWN),
    (no(500), AfterSubmit.UNKNOWN),
    (Unreadable(502, "<html>"), AfterSubmit.UNKNOWN),
    (Unreadable(524, "<html>"), AfterSubmit.UNKNOWN),
    (Unreadable(200, "<html>"), AfterSubmit.UNKNOWN),
    (Unreadable(408, ""), AfterSubmit.UNKNOWN),
]


@pytest.mark.parametrize(("heard", "row"), SUBMITS)
def test_each_answer_to_a_submit_has_its_row(
    heard: Told | Unsent | Cut, row: AfterSubmit
) -> None:
    """
    The table for submits reads as design and evidence say, in its order.
    """
    assert after_submit(heard) is row


def test_every_row_of_the_submits_is_met() -> None:
    """
    No row of the table is left without an example above.
    """
    assert {row for _, row in SUBMITS} == set(AfterSubmit)


POLLS = [
    (Success(200, "1", PICTURE), AfterPoll.DONE),
    (Success(500, None, PICTURE), AfterPoll.DONE),
    (Success(200, "1", ()), AfterPoll.EMPTY),
    (no(200, Topic.NOT_FOUND, word="failed"), AfterPoll.NOT_FOUND),
    (no(404, Topic.NOT_FOUND, word=None), AfterPoll.NOT_FOUND),
    (no(401), AfterPoll.ACCOUNT),
    (no(200, Topic.KEY), AfterPoll.ACCOUNT),
    (no(500, Topic.KEY), AfterPoll.AGAIN),
    (Unreadable(402, "<html>"), AfterPoll.ACCOUNT),
    (no(200, Topic.TRANSIENT, word="failed"), AfterPoll.FAILED),
    (no(200), AfterPoll.FAILED),
    (no(400, word=None), AfterPoll.AGAIN),
    (no(429), AfterPoll.AGAIN),
    (no(408), AfterPoll.AGAIN),
    (no(500, word="failed"), AfterPoll.AGAIN),
    (no(200, Topic.TRANSIENT), AfterPoll.AGAIN),
    (Processing(200, None), AfterPoll.AGAIN),
    (Unreadable(502, "<html>"), AfterPoll.AGAIN),
    (Unsent("refused"), AfterPoll.AGAIN),
    (Cut("reset"), AfterPoll.AGAIN),
]


@pytest.mark.parametrize(("heard", "row"), POLLS)
def test_each_answer_to_a_poll_has_its_row(
    heard: Told | Unsent | Cut, row: AfterPoll
) -> None:
    """
    The table for polls reads as design says, in its order.
    """
    assert after_poll(heard) is row


def test_every_row_of_the_polls_is_met() -> None:
    """
    No row of the table is left without an example above.
    """
    assert {row for _, row in POLLS} == set(AfterPoll)


@given(
    http=st.integers(100, 599),
    word=st.sampled_from(["error", "failed", None]),
    topics=st.frozensets(st.sampled_from(Topic)),
)
def test_the_tables_are_total(
    http: int, word: str | None, topics: frozenset[Topic]
) -> None:
    """
    Whatever is refused, in whatever code, falls into one row of each table.
    """
    heard = Refusal(http, word, "", topics)

    rows = after_submit(heard), after_poll(heard)

    assert rows[0] in AfterSubmit
    assert rows[1] in AfterPoll


@given(tries=st.integers(0, 10**6), dice=st.floats(0, 1))
def test_backoff_stays_within_its_bounds(tries: int, dice: float) -> None:
    """
    However often it was tried, no pause is longer than the longest.
    """
    waits = Waits()

    pause = backoff(tries, waits, dice)

    assert 0 <= pause <= waits.retry_most


def test_faster_divides_every_wait() -> None:
    """
    A simulator that runs 10 times as fast is waited for a tenth as long.
    """
    waits = Waits().faster(10)

    assert waits.speed == 10
    assert waits.submit == pytest.approx(18)
    assert waits.loading == (1, 3, 6, 12)


def test_the_network_is_given_its_time() -> None:
    """
    However fast the simulator, silence is taken for silence after 5 s only,
    and what is not silence is divided all the same.
    """
    waits = Waits().faster(1000, silence=5)

    assert (waits.poll, waits.submit, waits.file_read) == (5, 5, 5)
    assert waits.account == pytest.approx(0.03)


@pytest.mark.parametrize("times", [0, -1, math.inf, math.nan])
def test_a_speed_that_cannot_be_is_refused(times: float) -> None:
    """
    Nobody divides by nothing.
    """
    with pytest.raises(ConfigurationError, match="above 0"):
        Waits().faster(times)


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


REFUSED = AuthenticationError(401, "Invalid Api Key")


def test_a_door_lets_one_probe_in_after_its_pause() -> None:
    """
    30 s after the last no one call is let through, not two.
    """
    door = Door(30)
    door.refused(REFUSED, now=0)

    heard = [door.closed(29.9), door.closed(30), door.closed(30)]

    assert heard == [REFUSED, None, REFUSED]


def test_a_probe_that_is_accepted_opens_the_door() -> None:
    """
    After it everybody comes in.
    """
    door = Door(30)
    door.refused(REFUSED, now=0)
    door.closed(31)

    door.accepted()

    assert door.closed(31) is None


def test_a_probe_that_is_refused_closes_it_anew() -> None:
    """
    The pause runs from the last no.
    """
    door = Door(30)
    door.refused(REFUSED, now=0)
    door.closed(31)

    door.refused(REFUSED, now=32)

    assert (door.closed(61), door.closed(62)) == (REFUSED, None)


def test_a_probe_that_says_nothing_lets_the_next_try() -> None:
    """
    A probe that died on the way does not keep the door shut for ever.
    """
    door = Door(30)
    door.refused(REFUSED, now=0)
    door.closed(31)

    door.undecided()

    assert door.closed(31) is None


DOWN = ServerError(503, "Service temporarily unavailable")


def braked(trouble: Trouble, times: int, slots: int = 5) -> Brake:
    """
    A brake after so many equal troubles in a row, a second apart.
    """
    brake = Brake(Waits())
    for now in range(times):
        brake.bad(trouble, DOWN, now, slots=slots, words="no")
    return brake


@pytest.mark.parametrize(
    ("trouble", "most"),
    [
        (Trouble.UNKNOWN, 5),
        (Trouble.REFUSED, 20),
        (Trouble.UNREACHED, 20),
    ],
)
def test_the_brake_goes_on_after_enough_in_a_row(
    trouble: Trouble, most: int
) -> None:
    """
    As many unknowns as slots, or 20 of the rest, and not one earlier.
    """
    assert not braked(trouble, most - 1).on
    assert braked(trouble, most).on


def test_other_words_begin_a_new_row() -> None:
    """
    20 different refusals are 20 bad prompts, not an outage.
    """
    brake = Brake(Waits())

    for now in range(40):
        brake.bad(Trouble.REFUSED, DOWN, now, slots=5, words=str(now))

    assert not brake.on


def test_under_the_brake_probes_come_every_5_to_30_seconds() -> None:
    """
    Probe by probe the pause doubles, up to 30 s.
    """
    brake = braked(Trouble.UNKNOWN, 5)
    pauses = []

    for _ in range(5):
        now = 100.0
        brake.bad(Trouble.UNKNOWN, DOWN, now, slots=5)
        pauses.append(brake.pause(now))

    assert pauses == [10, 20, 30, 30, 30]


def test_a_probe_keeps_the_others_back() -> None:
    """
    While one probe is under way no second one goes.
    """
    brake = braked(Trouble.UNKNOWN, 5)
    brake.probing(100)

    assert brake.pause(100) == 30


def test_one_good_answer_lets_the_brake_go() -> None:
    """
    After it nothing is waited for, and the row begins anew.
    """
    brake = braked(Trouble.UNKNOWN, 5)

    brake.good()

    assert not brake.on
    assert brake.pause(100) == 0
    assert brake.error is None


def test_the_brake_is_spent_after_half_an_hour() -> None:
    """
    An outage of 30 minutes stops the batch, one of 29 does not.
    """
    brake = braked(Trouble.UNKNOWN, 5)

    assert not brake.spent(4 + 1799)
    assert brake.spent(4 + 1800)


def test_a_ban_holds_without_the_brake() -> None:
    """
    A ban is obeyed to its end, and nothing of it stays.
    """
    brake = Brake(Waits())
    brake.hold(60)

    assert (brake.pause(0), brake.pause(60)) == (60, 0)
    assert not brake.on
