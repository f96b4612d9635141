"""
What the words of a refusal are about, and the error that it becomes.

* "rate" and its kin are looked for as whole words: "generate" holds one.
* Tips are advertising ("enterprise plan") and advice ("valid API key"): of
  all topics only the same-request filter is looked for in them, because it
  is told nowhere else.
* "Rate limit exceeded" is how the queue is full, and also how the same-request
  filter begins.
* A model that is being loaded is told by "Try Again" or "Failed, Try Again"
  and nothing else; with an id it is a job that failed.
"""

from __future__ import annotations

import functools
import json
import re

from collections.abc import Mapping

from ..errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    ModelNotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
)
from ..results import JSON
from .replies import Answer, Refusal, Topic, Unreadable


@functools.cache
def whole_words(pattern: str) -> re.Pattern[str]:
    """
    Whole words, in any case; compiled at first use, so that imports are quick.
    """
    return re.compile(
        rf"(?<![a-z])(?:{pattern})(?![a-z])", re.IGNORECASE | re.MULTILINE
    )


_SAME_REQUEST = "same requests? multiple times|spam filter"


_QUEUE = (
    "maximum [0-9]+ queued|queue (?:is |was )?(?:now )?full|rate[ _-]?limit"
    "(?:ed|s|ing)?"
)


_MOST_QUEUED = r"maximum ([0-9]{1,6}) queued"


_BAN = (
    r"try(?: it)? again (?:in|after) "
    r"(?:an?|[0-9]{1,9}(?:\.[0-9]{1,9})?) ?(?:s|m|h|d)[a-z]*"
)


_LOADING = r"[\W_]*(?:failed[\W_]+)?try[\W_]+again[\W_]*"


#: The words of each topic, looked for in the message and in the code.
_TOPICS: tuple[tuple[Topic, str], ...] = (
    (Topic.SAME_REQUEST, _SAME_REQUEST),
    (Topic.BAN, _BAN),
    (
        Topic.KEY,
        (
            r"(?:invalid|wrong|incorrect|missing|unknown|expired|revoked|no)"
            r"(?: or [a-z]+)?[ _]api[ _-]?key"
            r"|api[ _-]?key (?:is |was |has |been |field )*(?:required|invalid"
            r"|missing|expired|revoked|wrong|incorrect"
            r"|not (?:valid|found|active))"
            r"|key field is required|^(?:unauthenticated|unauthorized)\.?$"
        ),
    ),
    (
        Topic.CREDIT,
        (
            r"(?:insufficient|enough|no|out of|add)"
            r"[ _](?:more )?(?:credits?|balance|funds?)"
        ),
    ),
    (
        Topic.PLAN,
        (
            r"(?:monthly|weekly|daily|plan|subscription|usage) limit|quota"
            r"|no[ _](?:active )?subscription"
            r"|subscription (?:is |has |was )*(?:expired|inactive|ended)"
        ),
    ),
    (
        Topic.MODEL,
        (
            r"model(?:[ _]id)?[ _](?:\S+ )?(?:is |was )?"
            r"(?:not[ _]found|does not exist|doesn't exist)"
            r"|(?:unknown|invalid|no such) model"
        ),
    ),
    (
        Topic.NOT_FOUND,
        r"(?:request|job|task)(?: id)? (?:was )?not found",
    ),
    (
        Topic.TRANSIENT,
        (
            r"rate(?:[ _-]?limit(?:ed|s|ing)?)?|queued?|servers?"
            r"|(?:[a-z]+_)?unavailable|try again|too many"
        ),
    ),
)


def read_topics(
    message: str, code: str | None, tips: str, job_id: str | None
) -> frozenset[Topic]:
    """
    What a refusal is about.
    """
    text = message if code is None else f"{message}\n{code}"
    topics = {
        topic for topic, words in _TOPICS if whole_words(words).search(text)
    }
    if whole_words(_SAME_REQUEST).search(tips):
        topics.add(Topic.SAME_REQUEST)
    if Topic.SAME_REQUEST not in topics and whole_words(_QUEUE).search(text):
        topics.add(Topic.QUEUE)
    if job_id is None and whole_words(_LOADING).fullmatch(message):
        topics.add(Topic.LOADING)
    return frozenset(topics)


def read_limit(message: str) -> int | None:
    """
    The N of "Maximum N queued".
    """
    found = whole_words(_MOST_QUEUED).search(message)
    return max(1, int(found[1])) if found else None


# A refusal as an error.


_PERMISSION = (
    r"requires? (?:an? )?(?:[a-z]+ )?subscription|premium subscription"
    r"|forbidden|permission"
)


def refusal_error(answer: Answer) -> ApiError:
    """
    The one error that an answer is which says no, in words or by its code.
    """
    match answer:
        case Refusal():
            return _as_error(answer)
        case Unreadable(http=http, excerpt=words, retry_after=seconds):
            return _as_error(Refusal(http, None, words, retry_after=seconds))
    words = "accepted without an id"
    return _as_error(
        Refusal(answer.http, None, words, raw_json=answer.raw_json)
    )


def _as_error(refusal: Refusal) -> ApiError:
    """
    By its words, then by its HTTP code.
    """
    http, topics = refusal.http, refusal.topics
    facts = (http, refusal.message, refusal.code, _json_of(refusal.raw_json))
    text = f"{refusal.message}\n{refusal.code}"
    if (
        http == 429
        or topics & {Topic.BAN, Topic.QUEUE}
        or (Topic.SAME_REQUEST in topics and http < 500)
    ):
        return RateLimitedError(*facts, refusal.retry_after, refusal.limit)
    if http >= 500:
        return ServerError(*facts)
    if Topic.KEY in topics:
        return AuthenticationError(*facts)
    if topics & {Topic.CREDIT, Topic.PLAN}:
        return PaymentRequiredError(*facts)
    if http in _BY_ACCOUNT:
        return _BY_ACCOUNT[http](*facts)
    if Topic.LOADING in topics:
        return ServerError(*facts)
    if Topic.MODEL in topics:
        return ModelNotFoundError(*facts)
    if http == 403 or whole_words(_PERMISSION).search(text):
        return PermissionDeniedError(*facts)
    if http == 408 or (http < 400 and Topic.TRANSIENT in topics):
        return ServerError(*facts)
    return InvalidRequestError(*facts)


_BY_ACCOUNT: Mapping[int, type[ApiError]] = {
    401: AuthenticationError,
    402: PaymentRequiredError,
}


def _json_of(body: bytes) -> JSON:
    data: JSON = json.loads(body)
    return data
