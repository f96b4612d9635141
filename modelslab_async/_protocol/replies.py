"""
The types of what is sent to the service, and of what it answers.
"""

from __future__ import annotations

import enum

from collections.abc import AsyncGenerator, Mapping
from typing import TypeAlias

import attrs

from .._fact import Fact
from ..results import Image


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


@attrs.frozen(repr=False)
class Success(Fact):
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


@attrs.frozen(repr=False)
class Processing(Fact):
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


@attrs.frozen(repr=False)
class Refusal(Fact):
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


@attrs.frozen(repr=False)
class Unreadable(Fact):
    """
    A whole answer that is not the service's JSON: HTML, text, torn JSON.

    Attributes:
        excerpt: At most 200 characters, without the key.

        raw_json: What came whole of torn JSON.
    """

    http: int
    excerpt: str
    retry_after: float | None = None
    raw_json: bytes = attrs.field(default=b"{}", repr=False)


Answer: TypeAlias = Success | Processing | Refusal | Unreadable


ANSWER_CAP_BYTES = 4 * 1024**2


#: Four pictures in base64, sent inside the answer.
CAP_BASE64_BYTES = 64 * 1024**2


@attrs.frozen(repr=False)
class Call(Fact):
    """
    One request, without the key.

    Attributes:
        url: Absolute.

        body: A compact JSON object; whoever sends it adds `key`.

        cap_bytes: How long an answer may be.
    """

    url: str
    body: bytes = attrs.field(repr=False)
    cap_bytes: int = ANSWER_CAP_BYTES


@attrs.frozen(repr=False)
class Reply(Fact):
    """
    What came back, scrubbed of the key; headers as they were, or None.

    *url* is where it came from: links may be relative to it.
    """

    status: int
    body: bytes = attrs.field(repr=False)
    retry_after: str | None = None
    date: str | None = None
    rate_reset: str | None = None
    rate_remaining: str | None = None
    url: str = attrs.field(default="", eq=False)


@attrs.frozen(eq=False, repr=False)
class Exchange:
    """
    One request and its answer, for who looks at them: neither has the key.

    Attributes:
        at: Seconds since 1970.

        request_body: As sent, but for the key; None: there was none.

        elapsed: Seconds until the whole answer was there.
    """

    at: float
    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: bytes | None
    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed: float


@attrs.frozen(repr=False)
class Unsent(Fact):
    """
    A request that never left this machine.

    *hopeless*: a bad certificate or a proxy that wants a password; trying
    again would give the same.
    """

    reason: str
    hopeless: bool = False


@attrs.frozen(repr=False)
class Cut(Fact):
    """
    A request that left, and whose answer did not come whole.

    Attributes:
        begun: Some of the answer had come.

        came: What had come of its body, without the key.
    """

    reason: str
    begun: bool = False
    came: bytes = attrs.field(default=b"", repr=False)


#: What came of a call: an answer, or why there is none.
CallResult: TypeAlias = Answer | Unsent | Cut


@attrs.frozen(eq=False, repr=False)
class FileReply:
    """
    The head of an answer that is a file, and its bytes as they come.

    Attributes:
        retry_after: Seconds, finite and at least 0.

        deflated: Whether its head says so.

        chunks: Raises `TransportError` where they stop coming.
    """

    status: int
    retry_after: float | None
    chunks: AsyncGenerator[bytes, None]
    deflated: bool = False
