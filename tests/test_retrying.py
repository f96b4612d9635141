"""
Whether to try again, row by row.
"""

from __future__ import annotations

import math

import pytest

from hypothesis import given
from hypothesis import strategies as st

from modelslab_async._policy.breakers import (
    AccountBreaker,
    OutageBreaker,
    Trouble,
)
from modelslab_async._policy.retry import RetryBudget, RetryPolicy, backoff
from modelslab_async._policy.timeouts import Timeouts
from modelslab_async._policy.verdicts import (
    PollVerdict,
    SubmitVerdict,
    judge_poll,
    judge_submit,
)
from modelslab_async._protocol.replies import (
    CallResult,
    Cut,
    Processing,
    Refusal,
    Success,
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
    (Unsent("refused"), SubmitVerdict.NOT_SENT),
    (Cut("reset"), SubmitVerdict.CUT),
    (Success(200, "1", ()), SubmitVerdict.ACCEPTED),
    (Success(500, None, PICTURE), SubmitVerdict.ACCEPTED),
    (Processing(500, "1"), SubmitVerdict.ACCEPTED),
    (Processing(200, None), SubmitVerdict.UNKNOWN),
    (Processing(429, None), SubmitVerdict.QUEUE_FULL),
    (no(200, Topic.SAME_REQUEST, Topic.TRANSIENT), SubmitVerdict.SAME_REQUEST),
    (no(429, Topic.SAME_REQUEST), SubmitVerdict.SAME_REQUEST),
    (no(500, Topic.SAME_REQUEST), SubmitVerdict.UNKNOWN),
    (no(429, Topic.BAN, Topic.QUEUE), SubmitVerdict.BAN),
    (no(200, Topic.BAN), SubmitVerdict.BAN),
    (no(429, word=None), SubmitVerdict.BAN),
    (Unreadable(429, "<html>"), SubmitVerdict.BAN),
    (no(429), SubmitVerdict.QUEUE_FULL),
    (no(200, Topic.QUEUE), SubmitVerdict.QUEUE_FULL),
    (no(500, Topic.QUEUE), SubmitVerdict.QUEUE_FULL),
    (no(401), SubmitVerdict.ACCOUNT),
    (no(402, word=None), SubmitVerdict.ACCOUNT),
    (no(200, Topic.KEY), SubmitVerdict.ACCOUNT),
    (no(403, Topic.PLAN), SubmitVerdict.ACCOUNT),
    (no(200, Topic.CREDIT), SubmitVerdict.ACCOUNT),
    (no(500, Topic.CREDIT), SubmitVerdict.UNKNOWN),
    (Unreadable(401, "<html>"), SubmitVerdict.ACCOUNT),
    (no(200, Topic.LOADING, Topic.TRANSIENT), SubmitVerdict.LOADING),
    (no(500, Topic.LOADING), SubmitVerdict.UNKNOWN),
    (no(503), SubmitVerdict.UNAVAILABLE),
    (no(503, word=None), SubmitVerdict.UNKNOWN),
    (Unreadable(503, "<html>"), SubmitVerdict.UNKNOWN),
    (Unreadable(521, "<html>"), SubmitVerdict.UNAVAILABLE),
    (no(530), SubmitVerdict.UNAVAILABLE),
    (Unreadable(307, ""), SubmitVerdict.REDIRECT),
    (no(302), SubmitVerdict.REDIRECT),
    (no(400), SubmitVerdict.REFUSED),
    (no(403), SubmitVerdict.REFUSED),
    (no(404, word=None), SubmitVerdict.REFUSED),
    (Unreadable(413, "<html>"), SubmitVerdict.REFUSED),
    (no(200), SubmitVerdict.REFUSED),
    (no(200, word="failed"), SubmitVerdict.REFUSED),
    (no(408), SubmitVerdict.REFUSED),
    (no(408, word=None), SubmitVerdict.UNKNOWN),
    (no(500), SubmitVerdict.UNKNOWN),
    (Unreadable(502, "<html>"), SubmitVerdict.UNKNOWN),
    (Unreadable(524, "<html>"), SubmitVerdict.UNKNOWN),
    (Unreadable(200, "<html>"), SubmitVerdict.UNKNOWN),
    (Unreadable(408, ""), SubmitVerdict.UNKNOWN),
]


@pytest.mark.parametrize(("answer", "row"), SUBMITS)
def test_each_answer_to_a_submit_has_its_row(
    answer: CallResult, row: SubmitVerdict
) -> None:
    """
    The table for submits reads as design and evidence say, in its order.
    """
    assert judge_submit(answer) is row


def test_every_row_of_the_submits_is_met() -> None:
    """
    No row of the table is left without an example above.
    """
    assert {row for _, row in SUBMITS} == set(SubmitVerdict)


POLLS = [
    (Success(200, "1", PICTURE), PollVerdict.DONE),
    (Success(500, None, PICTURE), PollVerdict.DONE),
    (Success(200, "1", ()), PollVerdict.EMPTY),
    (no(200, Topic.NOT_FOUND, word="failed"), PollVerdict.NOT_FOUND),
    (no(404, Topic.NOT_FOUND, word=None), PollVerdict.NOT_FOUND),
    (no(401), PollVerdict.ACCOUNT),
    (no(200, Topic.KEY), PollVerdict.ACCOUNT),
    (no(500, Topic.KEY), PollVerdict.AGAIN),
    (Unreadable(402, "<html>"), PollVerdict.ACCOUNT),
    (no(200, Topic.TRANSIENT, word="failed"), PollVerdict.FAILED),
    (no(200), PollVerdict.FAILED),
    (no(400, word=None), PollVerdict.AGAIN),
    (no(429), PollVerdict.AGAIN),
    (no(408), PollVerdict.AGAIN),
    (no(500, word="failed"), PollVerdict.AGAIN),
    (no(200, Topic.TRANSIENT), PollVerdict.AGAIN),
    (Processing(200, None), PollVerdict.AGAIN),
    (Unreadable(502, "<html>"), PollVerdict.AGAIN),
    (Unsent("refused"), PollVerdict.AGAIN),
    (Cut("reset"), PollVerdict.AGAIN),
]


@pytest.mark.parametrize(("answer", "row"), POLLS)
def test_each_answer_to_a_poll_has_its_row(
    answer: CallResult, row: PollVerdict
) -> None:
    """
    The table for polls reads as design says, in its order.
    """
    assert judge_poll(answer) is row


def test_every_row_of_the_polls_is_met() -> None:
    """
    No row of the table is left without an example above.
    """
    assert {row for _, row in POLLS} == set(PollVerdict)


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
    answer = Refusal(http, word, "", topics)

    rows = judge_submit(answer), judge_poll(answer)

    assert rows[0] in SubmitVerdict
    assert rows[1] in PollVerdict


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
