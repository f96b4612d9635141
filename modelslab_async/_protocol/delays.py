"""
How long the service asks us to wait, from whoever says it best.

* The body's *retry_after* first, as only that is documented for this service;
  then its words ("in 30 minutes"); then Retry-After, which may be a gateway's;
  then X-RateLimit-Reset, where nothing remains.
* Each is a number of seconds, words ("30s"), a date, or a moment since 1970.
* Dates and moments are measured against the answer's own Date, never our
  clock.
"""

from __future__ import annotations

import email.utils

from datetime import UTC, datetime

from ..results import JSON
from .refusals import WholeWords
from .replies import Reply
from .values import LONGEST, read_number


_NUMBER_AND_UNIT = (
    # "wait and try again" is not "wait an d".
    r"(an?(?= )|[0-9]{1,9}(?:\.[0-9]{1,9})?) ?"
    r"(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?"
    r"|d|days?|w|weeks?)"
)


_DURATION = WholeWords(
    rf"(?:in|after|for|wait) (?:about |around |~)?{_NUMBER_AND_UNIT}"
    # "2 hours and 5 minutes"
    rf"(?:,? (?:and )?{_NUMBER_AND_UNIT})?"
)


_UNITS = {
    "ms": 0.001,
    "mil": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 7 * 86400.0,
}


#: A number so near to today is a moment, in seconds since 1970 or in
#: milliseconds.
_YEAR = 366 * 86400.0


_LONGEST_WORDS = 100


def retry_after(
    reply: Reply, data: dict[str, JSON], words: str
) -> float | None:
    """
    Seconds to wait, at most a day; None where nobody says.
    """
    seconds = _wait(data.get("retry_after"), reply)
    if seconds is None:
        seconds = _in_words(words)
    if seconds is None:
        seconds = _wait(reply.retry_after, reply)
    if seconds is None and (
        reply.status == 429 or read_number(reply.rate_remaining) == 0
    ):
        seconds = _wait(reply.rate_reset, reply)
    return seconds


def _wait(value: object, reply: Reply) -> float | None:
    """
    Seconds in any form: a number, words, a date, a moment.
    """
    number = read_number(value)
    if number is None:
        if not isinstance(value, str):
            return None
        text = value[:_LONGEST_WORDS].strip()
        seconds = _in_words(f"in {text}")
        return _until(_epoch(text), reply) if seconds is None else seconds
    now = _epoch(reply.date)
    if now is not None:
        for moment in (number, number / 1000):
            if abs(moment - now) < _YEAR:
                return _until(moment, reply)
    return min(number, LONGEST)


def _in_words(words: str) -> float | None:
    found = _DURATION.search(words)
    if found is None:
        return None
    seconds = _seconds_of(found[1], found[2])
    if found[3]:
        seconds += _seconds_of(found[3], found[4])
    return min(LONGEST, seconds)


def _seconds_of(number: str, unit: str) -> float:
    count = 1.0 if number[0] in "aA" else float(number)
    unit = unit.lower()
    short = unit if unit == "ms" else unit[:3]
    return count * _UNITS.get(short, _UNITS[unit[0]])


def _until(then: float | None, reply: Reply) -> float | None:
    now = _epoch(reply.date)
    if then is None or now is None:
        return None
    return min(LONGEST, max(0.0, then - now))


def _epoch(date: str | None) -> float | None:
    for read in (
        email.utils.parsedate_to_datetime,
        datetime.fromisoformat,
    ):
        try:
            then = read(date or "")
            return then.replace(tzinfo=then.tzinfo or UTC).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
