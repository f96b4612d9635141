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


class WholeWords:
    """
    A pattern of whole words, in any case.

    Compiled at first use, so that imports are quick.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    @functools.cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(
            rf"(?<![a-z])(?:{self._pattern})(?![a-z])",
            re.IGNORECASE | re.MULTILINE,
        )

    def search(self, text: str) -> re.Match[str] | None:
        """
        Where they first stand in *text*.
        """
        return self.compiled.search(text)

    def are(self, text: str) -> bool:
        """
        Whether *text* is nothing else.
        """
        return self.compiled.fullmatch(text) is not None


_SAME_REQUEST = WholeWords("same requests? multiple times|spam filter")


_COUNT = "(?<![0-9,.])([0-9][0-9,]{0,30})"


_AT_ONCE = "(?:queued?|concurrent|parallel|simultaneous)"


_JOBS = "(?:requests?|generations?|jobs?|tasks?|images?)"


#: "5 queued", "number of concurrent requests"; words between are few.
_MOST_AT_ONCE = (
    f"max(?:imum)?(?: number)?(?: of)? {_COUNT}"
    f"(?: [a-z]{{1,20}}){{0,5}} {_AT_ONCE}"
)


_QUEUE = WholeWords(
    f"{_MOST_AT_ONCE}|(?:too many|[0-9]{{1,9}}) {_AT_ONCE} {_JOBS}"
    f"|max(?:imum)?(?: number of)? {_AT_ONCE} {_JOBS}"
    f"|{_AT_ONCE} {_JOBS} (?:limit|allowed|exceeded|reached)"
    "|queue (?:is |was )?(?:now )?full|(?:queue|concurrency) limit"
    f"|(?:too many|only(?: have)? [0-9]{{1,9}}) {_JOBS}"
    " in (?:the |your )?queue"
    "|rate[ _-]?limit(?:ed|s|ing)?"
)


#: The first that is found: another number may be how many there are.
_MOST_QUEUED = (
    WholeWords(_MOST_AT_ONCE),
    WholeWords(
        f"max(?:imum)?(?: number of)? {_AT_ONCE} {_JOBS}(?: allowed)?"
        f"(?: is)?:? {_COUNT}"
    ),
    WholeWords(f"{_COUNT} {_AT_ONCE} {_JOBS}"),
    WholeWords(f"only(?: have)? {_COUNT} {_JOBS} in (?:the |your )?queue"),
    WholeWords(
        "(?:queue|concurrency) limit(?: of| is)?:? (?:[a-z]{1,20} )?"
        f"[(]?(?:[0-9]{{1,9}}/)?{_COUNT}"
    ),
    WholeWords(f"queue (?:is |was )?(?:now )?full [(]max(?:imum)? {_COUNT}"),
)


_BAN = WholeWords(
    r"try(?: it)? again (?:in|after) (?:about |around |~)?"
    r"(?:an?(?= )|[0-9]{1,9}(?:\.[0-9]{1,9})?) ?[smhdw][a-z]{0,20}"
)


_LOADING = WholeWords(
    r"[\W_]{0,9}(?:failed[\W_]{1,9})?try[\W_]{1,9}again[\W_]{0,9}"
)


#: The words of each topic, looked for in the message and in the code.
_TOPICS: Mapping[Topic, WholeWords] = {
    Topic.SAME_REQUEST: _SAME_REQUEST,
    Topic.BAN: _BAN,
    Topic.KEY: WholeWords(
        r"(?:invalid|wrong|incorrect|missing|unknown|expired|revoked|no)"
        r"(?: or [a-z]{1,30})?[ _]api[ _-]?key"
        r"|api[ _-]?key (?:is |was |has |been |field ){0,4}(?:required|invalid"
        r"|missing|expired|revoked|wrong|incorrect|not (?:valid|found|active))"
        r"|key field is required|^(?:unauthenticated|unauthorized)\.?$"
    ),
    Topic.CREDIT: WholeWords(
        r"(?:insufficient|enough|no|out of|add)"
        r"[ _](?:more )?(?:credits?|balance|funds?)"
    ),
    Topic.PLAN: WholeWords(
        r"(?:monthly|weekly|daily|plan|subscription|usage) limit|quota"
        r"|no[ _](?:active )?subscription"
        r"|subscription (?:is |has |was ){0,3}(?:expired|inactive|ended)"
    ),
    Topic.MODEL: WholeWords(
        r"model(?:[ _]id)?[ _](?:\S{1,100} )?(?:is |was )?"
        r"(?:not[ _]found|does not exist|doesn't exist)"
        r"|(?:unknown|invalid|no such) model"
    ),
    Topic.NOT_FOUND: WholeWords(
        r"(?:request|job|task)(?: id)? (?:was )?not found"
    ),
    Topic.TRANSIENT: WholeWords(
        r"rate(?:[ _-]?limit(?:ed|s|ing)?)?|queued?|servers?"
        r"|(?:[a-z]{1,30}_)?unavailable|try again|too many"
        r"|concurren(?:t|cy)|parallel|simultaneous"
    ),
}


def read_topics(
    message: str, code: str | None, tips: str, job_id: str | None
) -> frozenset[Topic]:
    """
    What a refusal is about.
    """
    text = message if code is None else f"{message}\n{code}"
    topics = {topic for topic, words in _TOPICS.items() if words.search(text)}
    if _SAME_REQUEST.search(tips):
        topics.add(Topic.SAME_REQUEST)
    if Topic.SAME_REQUEST not in topics and _QUEUE.search(text):
        topics.add(Topic.QUEUE)
    if job_id is None and _LOADING.are(message):
        topics.add(Topic.LOADING)
    return frozenset(topics)


def read_limit(message: str) -> int | None:
    """
    The N of "Maximum N queued", however that is put.
    """
    for words in _MOST_QUEUED:
        if found := words.search(message):
            count = int(found[1].replace(",", ""))
            return max(1, count) if count < _ENDLESS else None
    return None


#: No account has so many slots.
_ENDLESS = 1_000_000


# A refusal as an error.


_PERMISSION = WholeWords(
    r"requires? (?:an? )?(?:[a-z]{1,30} )?subscription|premium subscription"
    r"|forbidden|permission"
)


def refusal_error(answer: Answer) -> ApiError:
    """
    The one error that an answer is which says no, in words or by its code.
    """
    match answer:
        case Refusal():
            error = _as_error(answer)
            lost = _NO_ROUTE.search(answer.message) is not None
        case Unreadable(http=http, excerpt=words, retry_after=seconds):
            error = _as_error(Refusal(http, None, words, retry_after=seconds))
            lost = True
        case _:
            words, raw = "accepted without an id", answer.raw_json
            return _as_error(Refusal(answer.http, None, words, raw_json=raw))
    if lost and answer.http in _NO_SUCH_PLACE:
        error.hint = _CHECK_ADDRESS
    return error


#: Said of an address, not of a request, by what is no API.
_NO_SUCH_PLACE = frozenset({404, 405})


_NO_ROUTE = WholeWords(
    r"route \S{1,200} (?:could )?not (?:be )?found"
    r"|method is not supported"
)


_CHECK_ADDRESS = (
    "is the base URL complete? The service's own ends in /api/v6 "
    "(base_url, or MODELSLAB_BASE_URL)"
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
    if http == 403 or _PERMISSION.search(text):
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
