"""
What each answer means, row by row.
"""

from __future__ import annotations

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st

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
    # It has a job: asked for again, there would be two to pay for.
    (Refusal(503, "failed", "no", id="7"), SubmitVerdict.REFUSED),
    (Refusal(503, "error", "no", id="7"), SubmitVerdict.UNKNOWN),
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
    (Success(200, "2", PICTURE), PollVerdict.OTHER_JOB),
    (Success(200, "2", ()), PollVerdict.OTHER_JOB),
    (Processing(200, "2"), PollVerdict.OTHER_JOB),
    (attrs.evolve(no(200), id="2"), PollVerdict.OTHER_JOB),
    (attrs.evolve(no(200), id="7"), PollVerdict.FAILED),
    (attrs.evolve(no(401), id="2"), PollVerdict.ACCOUNT),
    (no(401), PollVerdict.ACCOUNT),
    (no(200, Topic.SAME_REQUEST), PollVerdict.AGAIN),
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
    assert judge_poll(answer, {"1", "7"}) is row


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


def test_any_answer_will_do_for_a_job_without_a_name() -> None:
    """
    Where no id is known, none is another's.
    """
    assert judge_poll(Success(200, "2", PICTURE)) is PollVerdict.DONE
