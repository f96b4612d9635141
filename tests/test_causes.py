"""
Why items failed, and what asks for them again.
"""

from __future__ import annotations

import time

import pytest

from modelslab_async.errors import (
    AuthenticationError,
    DownloadError,
    GenerationFailedError,
    InvalidRequestError,
    JobNotFoundError,
    JobUnfinishedError,
    ModelsLabError,
    OutcomeUnknownError,
    ServerError,
    TransportError,
)
from modelslab_async.journal.causes import cause_of


@pytest.mark.parametrize(
    ("error", "state", "reason", "option"),
    [
        (
            GenerationFailedError("134", "t", "NSFW content"),
            "failed",
            "the service gave up: NSFW content",
            "resubmit_failed",
        ),
        (
            InvalidRequestError(200, "Model not found"),
            "failed",
            "Model not found",
            "resubmit_failed",
        ),
        (
            JobNotFoundError("134"),
            "failed",
            "the service does not know the job",
            "resubmit_failed",
        ),
        (AuthenticationError(200, "Invalid key"), "failed", "Invalid key", ""),
        (ServerError(503, "busy"), "failed", "busy", ""),
        (TransportError("refused", False), "failed", "refused", ""),
        (ModelsLabError("a bug"), "failed", "a bug", "resubmit_failed"),
        (
            OutcomeUnknownError("18", "reading", "cut"),
            "unknown",
            "sent, and no verdict came: cut",
            "resubmit_unknown",
        ),
        (
            JobUnfinishedError("134", "t", 1800.0),
            "unfinished",
            "paid for, and not finished in time",
            "",
        ),
        (
            DownloadError(
                "HTTP 404 at https://a.example/x.png; no fresh links: job 7"
            ),
            "not saved",
            "HTTP 404",
            "",
        ),
    ],
)
def test_causes(
    error: ModelsLabError, state: str, reason: str, option: str
) -> None:
    """
    What failed alike has the same words, whatever its id and its link.
    """
    cause = cause_of(error)

    assert (cause.state, cause.reason, cause.option) == (state, reason, option)


@pytest.mark.parametrize(
    "words",
    [
        "job {} of request {} failed",
        "HTTP 404 at https://store.example/{}.png",
        "cut after {}\n bytes",
    ],
)
def test_what_differs_is_left_out(words: str) -> None:
    """
    Ids and links make no cause of their own.
    """
    first, second = (
        cause_of(GenerationFailedError("1", "t", words.format(number, number)))
        for number in (134701497, 134701498)
    )

    assert first == second


def test_words_without_end() -> None:
    """
    A reason is one line that can be read, made in no time.
    """
    message = "https://" * 200_000 + "\n" * 1_000_000
    started = time.perf_counter()

    cause = cause_of(GenerationFailedError("1", "t", message))

    assert len(cause.reason) <= 200
    assert time.perf_counter() - started < 0.5


def test_no_words() -> None:
    """
    No reason is said to be none.
    """
    assert cause_of(InvalidRequestError(400, "")).reason == (
        "no reason was given"
    )
