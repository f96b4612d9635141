"""
What each answer means for what we do next.

Two tables, tested from top to bottom, and total: `judge_submit` for requests
that cost money, `judge_poll` for questions that cost none.  They only say
which row it is; `_engine.sender` and `_engine.hearing` play the row out.
"""

from __future__ import annotations

import enum

from collections.abc import Collection

from .._protocol.replies import (
    CallResult,
    Cut,
    Processing,
    Refusal,
    Success,
    Topic,
    Unreadable,
    Unsent,
)


class SubmitVerdict(enum.Enum):
    """
    The rows of the table for submits, in the order of their tests.
    """

    NOT_SENT = enum.auto()
    CUT = enum.auto()
    ACCEPTED = enum.auto()
    SAME_REQUEST = enum.auto()
    BAN = enum.auto()
    QUEUE_FULL = enum.auto()
    ACCOUNT = enum.auto()
    LOADING = enum.auto()
    UNAVAILABLE = enum.auto()
    REDIRECT = enum.auto()
    REFUSED = enum.auto()
    UNKNOWN = enum.auto()


#: Cloudflare's codes for an origin that was never reached.
_NEVER_REACHED = frozenset({521, 523, 525, 526, 530})


_ACCOUNT = frozenset({Topic.KEY, Topic.CREDIT, Topic.PLAN})


def judge_submit(result: CallResult) -> SubmitVerdict:
    """
    Which row of the table an answer to a submit is.

    A status word of the service's own wins over the HTTP code.
    """
    match result:
        case Unsent():
            return SubmitVerdict.NOT_SENT
        case Cut():
            return SubmitVerdict.CUT
        case Success(id=job_id, images=images) if job_id or images:
            return SubmitVerdict.ACCEPTED
        case Processing(id=str()):
            return SubmitVerdict.ACCEPTED
    http = result.http
    refused = isinstance(result, Refusal)
    topics = result.topics if isinstance(result, Refusal) else frozenset()
    spoken = not isinstance(result, Unreadable) and (
        not isinstance(result, Refusal) or result.word is not None
    )
    if Topic.SAME_REQUEST in topics and http < 500:
        return SubmitVerdict.SAME_REQUEST
    if Topic.BAN in topics or (http == 429 and not spoken):
        return SubmitVerdict.BAN
    if Topic.QUEUE in topics or http == 429:
        return SubmitVerdict.QUEUE_FULL
    if http in {401, 402} or (http < 500 and topics & _ACCOUNT):
        return SubmitVerdict.ACCOUNT
    if Topic.LOADING in topics and http < 500:
        return SubmitVerdict.LOADING
    if http == 503 and isinstance(result, Refusal) and result.id:
        # It has a job: asked for again, there would be two to pay for.
        failed = result.word == "failed"
        return SubmitVerdict.REFUSED if failed else SubmitVerdict.UNKNOWN
    if (http == 503 and spoken) or http in _NEVER_REACHED:
        return SubmitVerdict.UNAVAILABLE
    if 300 <= http < 400:
        return SubmitVerdict.REDIRECT
    if (400 <= http < 500 and http != 408) or (
        refused and spoken and http < 500
    ):
        return SubmitVerdict.REFUSED
    return SubmitVerdict.UNKNOWN


class PollVerdict(enum.Enum):
    """
    The rows of the table for polls, in the order of their tests.
    """

    OTHER_JOB = enum.auto()
    DONE = enum.auto()
    EMPTY = enum.auto()
    NOT_FOUND = enum.auto()
    ACCOUNT = enum.auto()
    FAILED = enum.auto()
    AGAIN = enum.auto()


def judge_poll(result: CallResult, names: Collection[str] = ()) -> PollVerdict:
    """
    Which row of the table an answer to a poll is.

    Args:
        result: What came of the poll.

        names: The ids that the job has; an answer that names another is not
            this job's. Empty: any will do.
    """
    match result:
        # First what most answers are.
        case Processing(id=name):
            other = bool(names) and name is not None and name not in names
            return PollVerdict.OTHER_JOB if other else PollVerdict.AGAIN
        case Refusal() if _refuses_account(result):
            return PollVerdict.ACCOUNT
        case Success(id=str(name)) | Refusal(id=str(name)) if (
            names and name not in names
        ):
            return PollVerdict.OTHER_JOB
        case Success(images=images):
            return PollVerdict.DONE if images else PollVerdict.EMPTY
        case Refusal(topics=topics) if Topic.NOT_FOUND in topics:
            return PollVerdict.NOT_FOUND
        case Refusal() if _fails_job(result):
            return PollVerdict.FAILED
        case Unreadable(http=401 | 402):
            return PollVerdict.ACCOUNT
        case _:
            return PollVerdict.AGAIN


def _refuses_account(refusal: Refusal) -> bool:
    http, topics = refusal.http, refusal.topics
    if Topic.NOT_FOUND in topics:
        return False
    return http in {401, 402} or (http < 500 and bool(topics & _ACCOUNT))


#: Topics, and codes whatever the words, that say "later": a paid job is not
#: failed by being asked for too often.
_LATER_TOPICS = frozenset({Topic.TRANSIENT, Topic.SAME_REQUEST})


_LATER_CODES = frozenset({408, 425, 429})


def _fails_job(refusal: Refusal) -> bool:
    if refusal.http >= 500:
        return False
    later = refusal.http in _LATER_CODES or refusal.topics & _LATER_TOPICS
    return refusal.word == "failed" or (refusal.word == "error" and not later)
