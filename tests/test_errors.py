"""
What can go wrong: facts as attributes, and safe to send to another process.
"""

from __future__ import annotations

import copy
import pickle

from pathlib import Path

import pytest

from modelslab_async import errors
from modelslab_async.errors import (
    ApiError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    GenerationFailedError,
    InvalidRequestError,
    JobError,
    JobNotFoundError,
    JobUnfinishedError,
    JournalError,
    ModelNotFoundError,
    ModelsLabError,
    OutcomeUnknownError,
    PaymentRequiredError,
    PermissionDeniedError,
    Problem,
    ProtocolError,
    RateLimitedError,
    ServerError,
    SpecError,
    TransportError,
    UnsafeUrlError,
    WrongLoopError,
)
from modelslab_async.results import Generation, Image


GENERATION = Generation("1", "2", (Image(0, "https://x.example/0.png"),))

ALL: list[ModelsLabError] = [
    ConfigurationError("no key"),
    SpecError((Problem("width", "too wide"), Problem("steps", "too many"))),
    TransportError("refused", sent=False),
    ApiError(400, "no", "code", {"status": "error"}),
    AuthenticationError(401, "Invalid Api Key"),
    PaymentRequiredError(402, "Insufficient credits"),
    PermissionDeniedError(403, "premium"),
    InvalidRequestError(400, "no"),
    ModelNotFoundError(404, "Model id not found"),
    RateLimitedError(429, "queue full", None, None, 30.0, 5),
    ServerError(503, "unavailable"),
    ProtocolError("HTML", "<html>"),
    OutcomeUnknownError("17", "waiting", "reset"),
    JobError("1", "2"),
    GenerationFailedError("1", "2", "Failed, Try Again", {"status": "failed"}),
    JobNotFoundError("1", "2"),
    JobUnfinishedError("1", "2", 3.0, sent=True),
    DownloadError("cut", GENERATION, (Path("a.png"),)),
    UnsafeUrlError("loopback"),
    JournalError("locked", "in use"),
    ClientClosedError(),
    WrongLoopError("another loop"),
]
NAMES = [type(error).__name__ for error in ALL]


def test_the_list_above_has_them_all() -> None:
    """
    A new error is tested here too.
    """
    known = {
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, ModelsLabError)
    }

    assert known - {"ModelsLabError"} == set(NAMES)


@pytest.mark.parametrize("error", ALL, ids=NAMES)
def test_it_survives_pickling_with_its_facts(error: ModelsLabError) -> None:
    """
    What comes out of another process has the same facts and words.
    """
    found = pickle.loads(pickle.dumps(error))

    assert type(found) is type(error)
    assert vars(found) == vars(error)
    assert str(found) == str(error)


@pytest.mark.parametrize("error", ALL, ids=NAMES)
def test_a_copy_has_the_same_facts(error: ModelsLabError) -> None:
    """
    Each who waits for a job gets the error afresh, with all it says.
    """
    assert vars(copy.copy(error)) == vars(error)


@pytest.mark.parametrize("error", ALL, ids=NAMES)
def test_its_repr_is_short(error: ModelsLabError) -> None:
    """
    No log line is drowned by a whole reply.
    """
    assert type(error).__name__ in repr(error)
    assert len(repr(error)) < 400


@pytest.mark.parametrize("error", ALL, ids=NAMES)
def test_it_says_something(error: ModelsLabError) -> None:
    """
    Lower case, no full stop, and never empty.
    """
    words = str(error)

    assert words
    assert not words.endswith(".")


def test_facts_can_be_matched() -> None:
    """
    ``match`` reads an error's facts by position.
    """
    match RateLimitedError(429, "queue full", None, None, 30.0, 5):
        case RateLimitedError(429, _, _, _, pause, limit):
            found = (pause, limit)

    assert found == (30.0, 5)


def test_an_unfinished_job_is_a_timeout() -> None:
    """
    Who catches `TimeoutError` catches ours.
    """
    with pytest.raises(TimeoutError, match="taken up again"):
        raise JobUnfinishedError("1", "2", 3.0)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (JobUnfinishedError(None, "17", 1.0, sent=False), "nothing was asked"),
        (JobUnfinishedError(None, "17", 1.0), "do not ask again"),
        (JobUnfinishedError("8", "17", 1.0), "by its id"),
        (OutcomeUnknownError("17", "waiting", "reset"), "may run and be b"),
        (SpecError((Problem("a", "x"), Problem("b", "y"))), "a: x; b: y"),
        (DownloadError("cut", GENERATION), "job 1: cut"),
        (DownloadError("cut"), "cut"),
    ],
)
def test_it_says_what_to_do(error: ModelsLabError, words: str) -> None:
    """
    Whoever reads only the message knows whether to ask again.
    """
    assert words in str(error)
