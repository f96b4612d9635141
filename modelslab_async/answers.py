"""
What we are told: the service's answers, tidy and immutable.

`Told` is everything that a request to the service can be answered with, once
`_wire` has read it.  The other names here are what a caller sees.
"""

from __future__ import annotations

import enum
import json

from typing import TypeAlias

import attrs


JSON: TypeAlias = (
    "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
)


class JobState(enum.StrEnum):
    """
    How a job stands, as far as we know.
    """

    #: Accepted, not finished: the service works on it.
    PROCESSING = "processing"
    #: Finished, with pictures.
    SUCCEEDED = "succeeded"
    #: The service gave up on it.
    FAILED = "failed"
    #: The service does not know it, or never said that it took it.
    LOST = "lost"
    #: We stopped asking; it may run on.
    UNFINISHED = "unfinished"


@attrs.frozen
class Image:
    """
    One picture of a generation.

    Attributes:
        index: Place among the pictures of its generation, from 0.

        url: Where it lies; None where the service sent the picture itself.

        proxy_url: The same file by another host; the second try.

        data: The picture's bytes where the service sent it in its answer.
    """

    index: int
    url: str | None
    proxy_url: str | None = None
    data: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Generation:
    """
    A finished job: its pictures, and what the service told of them.

    Attributes:
        id: The service's id; None where it gave none (enterprise servers).

        track_id: The name that we, or the caller, gave the request.

        images: The pictures, in the service's order.

        seed: From 0 to 4294967295, where the service told it.

        generation_time: Seconds that the service says it took.

        nsfw: What the service's filter found; None if it did not say.
    """

    id: str | None
    track_id: str | None
    images: tuple[Image, ...]
    seed: int | None = None
    generation_time: float | None = None
    nsfw: bool | None = None
    meta_json: bytes = attrs.field(default=b"{}", repr=False)
    raw_json: bytes = attrs.field(default=b"{}", repr=False)

    @property
    def meta(self) -> dict[str, JSON]:
        """
        The service's echo of the request, parsed afresh at each call.

        The service rewrites prompts: never expect your own back.
        """
        return _object(self.meta_json)

    @property
    def raw(self) -> dict[str, JSON]:
        """
        The last reply as it came, without the key, parsed at each call.
        """
        return _object(self.raw_json)


@attrs.frozen
class JobUpdate:
    """
    How a job stood when we last heard of it.

    Attributes:
        state: See `JobState`.

        eta: Seconds that the service guessed last, None if it did not.

        elapsed: Seconds since the job was accepted.

        polls: How many times we have asked.

        message: The service's words, if any.
    """

    state: JobState
    eta: float | None
    elapsed: float
    polls: int
    message: str | None


class Topic(enum.Enum):
    """
    What the words of a refusal are about; a refusal can have several.
    """

    #: "you are sending same request multiple times"
    SAME_REQUEST = enum.auto()
    #: "try again in 30 minutes"
    BAN = enum.auto()
    #: "Maximum 5 queued requests", "queue is full", bare "Rate limit exceeded"
    QUEUE = enum.auto()
    #: "Invalid Api Key"
    KEY = enum.auto()
    #: "Insufficient credits"
    CREDIT = enum.auto()
    #: "Your monthly limit exceeded"
    PLAN = enum.auto()
    #: The whole message is "Try Again" or "Failed, Try Again".
    LOADING = enum.auto()
    #: "Model id not found"
    MODEL = enum.auto()
    #: "Request not found": a poll for an id that the service does not know.
    NOT_FOUND = enum.auto()
    #: Any of: rate, queue, server, unavailable, "try again".
    TRANSIENT = enum.auto()


@attrs.frozen
class Success:
    """
    The status word is `success`, or an unknown one beside a picture.

    *images* may be empty: the service says so before the links are known.
    """

    http: int
    id: str | None
    images: tuple[Image, ...]
    expected_urls: tuple[str, ...] = ()
    fetch_result: str | None = None
    seed: int | None = None
    generation_time: float | None = None
    nsfw: bool | None = None
    meta_json: bytes = attrs.field(default=b"{}", repr=False)
    raw_json: bytes = attrs.field(default=b"{}", repr=False)


@attrs.frozen
class Processing:
    """
    The status word is `processing`, or an unknown one without a picture.

    Attributes:
        eta: Seconds, finite and at least 0, None if the service gave none.

        fetch_result: Where the service says that the job can be asked for.

        expected_urls: Where the pictures will lie; may name fewer than asked.

        raw_json: All of it, where there is no id.
    """

    http: int
    id: str | None
    eta: float | None = None
    fetch_result: str | None = None
    expected_urls: tuple[str, ...] = ()
    seed: int | None = None
    message: str | None = None
    meta_json: bytes = attrs.field(default=b"{}", repr=False)
    raw_json: bytes = attrs.field(default=b"{}", repr=False)


@attrs.frozen
class Refusal:
    """
    The service says no, in its own JSON.

    Attributes:
        word: `error` or `failed`; None where the JSON has no status word.

        message: The service's words, flattened to one line.

        code: Its `code`, if any.

        retry_after: Seconds, from body or header, finite and at least 0.

        limit: N of "Maximum N queued requests allowed".
    """

    http: int
    word: str | None
    message: str
    topics: frozenset[Topic] = frozenset()
    code: str | None = None
    id: str | None = None
    retry_after: float | None = None
    limit: int | None = None
    raw_json: bytes = attrs.field(default=b"{}", repr=False)


@attrs.frozen
class Unreadable:
    """
    A whole answer that is not the service's JSON: HTML, text, torn JSON.

    *excerpt* is at most 200 characters, without the key.
    """

    http: int
    excerpt: str
    retry_after: float | None = None


Told: TypeAlias = Success | Processing | Refusal | Unreadable


def _object(body: bytes) -> dict[str, JSON]:
    found = json.loads(body)
    return found if isinstance(found, dict) else {}
