"""
Here lives whether to try again: what each answer means for what we do next.

Two tables, tested from top to bottom, and total: `after_submit` for requests
that cost money, `after_poll` for questions that cost none.  They only say
which row it is; `_submits` and `_jobs` play the row out.

Beside them: how long all the waits of ours are (`Waits`), how often we try
(`RetryPolicy`), what keeps a sick service from being hammered
(`RetryBudget`), what an account's no closes (`Door`) and what keeps an outage
from burning a batch (`Brake`).  Time and dice are arguments here.
"""

from __future__ import annotations

import enum

from .._protocol.replies import (
    Cut,
    Processing,
    Refusal,
    Success,
    Told,
    Topic,
    Unreadable,
    Unsent,
)


class AfterSubmit(enum.Enum):
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


def after_submit(heard: Told | Unsent | Cut) -> AfterSubmit:
    """
    Which row of the table an answer to a submit is.

    A status word of the service's own wins over the HTTP code.
    """
    match heard:
        case Unsent():
            return AfterSubmit.NOT_SENT
        case Cut():
            return AfterSubmit.CUT
        case Success(id=job_id, images=images) if job_id or images:
            return AfterSubmit.ACCEPTED
        case Processing(id=str()):
            return AfterSubmit.ACCEPTED
    http = heard.http
    refused = isinstance(heard, Refusal)
    topics = heard.topics if isinstance(heard, Refusal) else frozenset()
    spoken = not isinstance(heard, Unreadable) and (
        not isinstance(heard, Refusal) or heard.word is not None
    )
    if Topic.SAME_REQUEST in topics and http < 500:
        return AfterSubmit.SAME_REQUEST
    if Topic.BAN in topics or (http == 429 and not spoken):
        return AfterSubmit.BAN
    if Topic.QUEUE in topics or http == 429:
        return AfterSubmit.QUEUE_FULL
    if http in {401, 402} or (http < 500 and topics & _ACCOUNT):
        return AfterSubmit.ACCOUNT
    if Topic.LOADING in topics and http < 500:
        return AfterSubmit.LOADING
    if (http == 503 and spoken) or http in _NEVER_REACHED:
        return AfterSubmit.UNAVAILABLE
    if 300 <= http < 400:
        return AfterSubmit.REDIRECT
    if (400 <= http < 500 and http != 408) or (
        refused and spoken and http < 500
    ):
        return AfterSubmit.REFUSED
    return AfterSubmit.UNKNOWN


_LATER = frozenset({408, 425, 429})


class AfterPoll(enum.Enum):
    """
    The rows of the table for polls, in the order of their tests.
    """

    DONE = enum.auto()
    EMPTY = enum.auto()
    NOT_FOUND = enum.auto()
    ACCOUNT = enum.auto()
    FAILED = enum.auto()
    AGAIN = enum.auto()


def after_poll(heard: Told | Unsent | Cut) -> AfterPoll:
    """
    Which row of the table an answer to a poll is.
    """
    match heard:
        case Success(images=images):
            return AfterPoll.DONE if images else AfterPoll.EMPTY
        case Refusal(http=http, topics=topics, word=word):
            if Topic.NOT_FOUND in topics:
                return AfterPoll.NOT_FOUND
            if http in {401, 402} or (http < 500 and topics & _ACCOUNT):
                return AfterPoll.ACCOUNT
            if http < 500 and (
                word == "failed"
                or (
                    word == "error"
                    and Topic.TRANSIENT not in topics
                    # Codes that say "later", whatever the words: a paid job
                    # is not failed by being asked for too often.
                    and http not in _LATER
                )
            ):
                return AfterPoll.FAILED
            return AfterPoll.AGAIN
        case Unreadable(http=401 | 402):
            return AfterPoll.ACCOUNT
        case _:
            return AfterPoll.AGAIN
