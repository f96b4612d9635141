"""
What a refusal is about, and the error that it becomes.
"""

from __future__ import annotations

import pickle

import pytest

from answers import (
    told,
)

from modelslab_async import errors
from modelslab_async._policy.verdicts import SubmitVerdict, judge_submit
from modelslab_async._protocol import refusals
from modelslab_async._protocol.replies import (
    Topic,
)


T = Topic


@pytest.mark.parametrize(
    ("message", "topics"),
    [
        ("Try Again", {T.LOADING, T.TRANSIENT}),
        (" failed,  try again. ", {T.LOADING, T.TRANSIENT}),
        ("Please try again", {T.TRANSIENT}),
        ("Rate limit exceeded", {T.QUEUE, T.TRANSIENT}),
        ("Queue is full", {T.QUEUE, T.TRANSIENT}),
        ("Maximum 15 queued requests allowed", {T.QUEUE, T.TRANSIENT}),
        ("Too many requests", {T.TRANSIENT}),
        ("Internal server error", {T.TRANSIENT}),
        ("Could not generate a moderate image", set()),
        ("spam filter is enabled", {T.SAME_REQUEST}),
        ("try again in 30 minutes", {T.BAN, T.TRANSIENT}),
        ("Try again after an hour", {T.BAN, T.TRANSIENT}),
        ("try again in a moment", {T.BAN, T.TRANSIENT}),
        ("API key required", {T.KEY}),
        ("Your API key is not valid", {T.KEY}),
        ("key: The key field is required.", {T.KEY}),
        ("Unauthenticated.", {T.KEY}),
        ("Unauthorized access to this model", set()),
        ("Your API key is not allowed to use this model", set()),
        ("Invalid API Request", set()),
        ("You do not have enough credits", {T.CREDIT}),
        ("Your quota is used up", {T.PLAN}),
        ("This feature requires a premium subscription", set()),
        ("Model id not found", {T.MODEL}),
        ("Model not found: flx", {T.MODEL}),
        ("Request not found", {T.NOT_FOUND}),
    ],
)
def test_topics(message: str, topics: set[Topic]) -> None:
    """
    Topics are read from whole words of the message.
    """
    heard = told({"status": "error", "message": message})

    assert heard.topics == topics


def test_loading_needs_no_id() -> None:
    """
    "Try Again" beside an id speaks of a job, not of a model.
    """
    heard = told({"status": "failed", "id": 5, "message": "Try Again"})

    assert Topic.LOADING not in heard.topics


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ("Maximum 0 queued requests", 1),
        ("MAXIMUM 15 QUEUED", 15),
        ("Max 5 queued requests", 5),
        ("Maximum of 5 queued requests", 5),
        ("You have 7 queued requests. Maximum 5 queued.", 5),
        ("Maximum queued requests: 5", 5),
        ("Maximum number of queued requests is 5", 5),
        ("Maximum 10 requests are allowed in the queue", 10),
        ("Exceeded maximum of 15 simultaneous requests", 15),
        ("Only 5 concurrent jobs allowed", 5),
        ("You can only have 5 requests in queue", 5),
        ("Queue limit of 5 reached", 5),
        ("queue limit reached (7/5)", 5),
        ("queue is full (max 5)", 5),
        ("Maximum 1,000 queued requests", 1000),
        ("Maximum 999999999999 queued", None),
        ("Too many requests in your queue", None),
        ("Concurrency limit exceeded", None),
        ("too many parallel generations", None),
        ("queued requests limit reached", None),
    ],
)
@pytest.mark.parametrize("http", [200, 429])
def test_limit(message: str, limit: int | None, http: int) -> None:
    """
    The queue's limit is a number of jobs, at least one, however it is put.
    """
    heard = told({"status": "error", "message": message}, http)

    assert Topic.QUEUE in heard.topics
    assert heard.limit == limit
    assert judge_submit(heard) is SubmitVerdict.QUEUE_FULL


@pytest.mark.parametrize(
    "message",
    [
        "Maximum 4 images per request",
        "The queued job failed",
        "Your request is in the queue",
        "Maximum width is 1024, with 5 samples",
    ],
)
def test_no_limit(message: str) -> None:
    """
    What is said of something else does not send it into the line for ever.
    """
    heard = told({"status": "error", "message": message})

    assert (heard.limit, Topic.QUEUE in heard.topics) == (None, False)


# Refusals as errors

KEY = "AuthenticationError"
PAY = "PaymentRequiredError"
MAY = "PermissionDeniedError"
BAD = "InvalidRequestError"
MODEL = "ModelNotFoundError"
RATE = "RateLimitedError"
SICK = "ServerError"
SPAM = {
    "message": "Rate limit exceeded",
    "tips": "you are sending same request multiple times, spam filter is "
    "enabled, please wait for 30 seconds and try again",
}
TIP = "1. Make sure you have valid API key."

#: Every refusal of the reference, in every code it was seen or documented in.
REFUSALS: list[tuple[object, tuple[int, ...], str]] = [
    ({"message": "Invalid Api Key", "tip": TIP}, (200, 401), KEY),
    ("Invalid API key", (200, 401), KEY),
    ("API key required", (200, 401), KEY),
    ({"message": "Invalid API Request", "tip": TIP}, (200,), BAD),
    ({"message": {"prompt": ["The prompt field is required."]}}, (200,), BAD),
    ("The prompt field is required.", (200, 400), BAD),
    ("prompt is required", (200, 400), BAD),
    ("width must be between 256 and 1024", (200, 400), BAD),
    ("height must be divisible by 8", (200, 400), BAD),
    ("samples must be between 1 and 4", (200, 400), BAD),
    ("guidance_scale must be between 1 and 20", (200, 400), BAD),
    ("prompt must be a string", (200, 400), BAD),
    ("Model id not found", (200, 400, 404), MODEL),
    ("Model not found: X", (200, 400, 404), MODEL),
    ("Try Again", (200,), SICK),
    ("Failed, Try Again", (200,), SICK),
    (
        "Insufficient credits. Please add more credits to continue.",
        (200, 402),
        PAY,
    ),
    (
        "Your monthly limit exceeded, upgrade subscription now on https://…",
        (200, 400, 402, 403),
        PAY,
    ),
    ("This feature requires a premium subscription", (200, 403), MAY),
    (
        "Rate limit exceeded. Maximum 5 queued requests allowed.",
        (200, 429),
        RATE,
    ),
    (SPAM, (200, 429), RATE),
    ({"messege": SPAM["message"], "tips": SPAM["tips"]}, (200,), RATE),
    ("Rate limit exceeded", (200, 429, 503), RATE),
    ("try again in 30 minutes", (200, 429), RATE),
    ("too fast", (429,), RATE),
    ("Unable to fetch image from provided URL", (200, 400), BAD),
    ("Request not found", (200, 404), BAD),
    ("Internal server error. Please try again.", (200, 500), SICK),
    (
        "Service temporarily unavailable. Please try again later.",
        (200, 503),
        SICK,
    ),
    ("The route could not be found.", (404,), BAD),
    ("The GET method is not supported.", (405,), BAD),
    ({"code": "validation_error"}, (200, 400), BAD),
    ({"code": "invalid_api_key"}, (200, 401), KEY),
    ({"code": "unauthenticated"}, (200, 401), KEY),
    ({"code": "insufficient_balance"}, (200, 402), PAY),
    ({"code": "no_subscription"}, (200, 402), PAY),
    ({"code": "forbidden"}, (200, 403), MAY),
    ({"code": "not_found"}, (200, 404), BAD),
    ({"code": "rate_limited"}, (200, 429), RATE),
    ({"code": "upstream_unavailable"}, (200, 503), SICK),
    ({"message": ""}, (401,), KEY),
    ({"message": ""}, (402,), PAY),
    ({"message": ""}, (403,), MAY),
    ({"message": ""}, (408, 500, 502), SICK),
    ({"message": "Invalid Api Key"}, (500,), SICK),
]


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (body, status, name)
        for body, statuses, name in REFUSALS
        for status in statuses
    ],
)
def test_refused(body: object, status: int, name: str) -> None:
    """
    Each refusal is one error, by its words before its code.
    """
    words = body if isinstance(body, dict) else {"message": body}

    error = refusals.refusal_error(told({"status": "error", **words}, status))

    assert type(error).__name__ == name
    assert error.status == status


def test_refused_facts() -> None:
    """
    The error carries what was said, and survives pickling with it.
    """
    body = {
        "status": "error",
        "message": "Maximum 5 queued requests allowed.",
        "code": "rate_limited",
        "retry_after": 30,
    }

    error = pickle.loads(pickle.dumps(refusals.refusal_error(told(body, 429))))

    assert isinstance(error, errors.RateLimitedError)
    assert (error.limit, error.retry_after, error.code) == (
        5,
        30.0,
        "rate_limited",
    )
    assert error.raw == body
