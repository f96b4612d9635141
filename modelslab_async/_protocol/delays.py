"""
How long the service asks us to wait, from whoever says it best.

* The body's *retry_after* first, as only that is documented for this service;
  then its words ("in 30 minutes"); then Retry-After, which may be a gateway's;
  then X-RateLimit-Reset, where nothing remains.
* Dates are measured against the answer's own Date, never our clock.
"""

from __future__ import annotations

import email.utils

from datetime import UTC

from ..results import JSON
from .refusals import WholeWords
from .replies import Reply
from .values import LONGEST, read_number, read_seconds


_DURATION = WholeWords(
    r"(?:in|after|for|wait) (an?|[0-9]{1,9}(?:\.[0-9]{1,9})?) ?"
    r"(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
)


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def retry_after(
    reply: Reply, data: dict[str, JSON], words: str
) -> float | None:
    """
    Seconds to wait, at most a day; None where nobody says.
    """
    seconds = read_seconds(data.get("retry_after"))
    if seconds is None and (found := _DURATION.search(words)):
        count = 1.0 if found[1][0] in "aA" else float(found[1])
        seconds = min(LONGEST, count * _UNITS[found[2][0].lower()])
    if seconds is None and reply.retry_after is not None:
        seconds = read_seconds(reply.retry_after)
        if seconds is None:
            seconds = _until(_epoch(reply.retry_after), reply)
    if seconds is None and (
        reply.status == 429 or read_number(reply.rate_remaining) == 0
    ):
        seconds = _until(read_number(reply.rate_reset), reply)
    return seconds


def _until(then: float | None, reply: Reply) -> float | None:
    now = _epoch(reply.date)
    if then is None or now is None:
        return None
    return min(LONGEST, max(0.0, then - now))


def _epoch(date: str | None) -> float | None:
    try:
        then = email.utils.parsedate_to_datetime(date or "")
        return then.replace(tzinfo=then.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
