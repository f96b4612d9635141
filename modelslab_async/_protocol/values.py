"""
Single values of the service's JSON, in whichever form they come.

* Flags are `"yes"` and `"no"`, true and false, 1 and 0, also as text: the
  pages contradict each other, and captured answers have all of them.
* Numbers come as strings, negative, as NaN or 1e999.  What is not finite or
  below 0 is none (an eta of 0 would mean "ask at once"); seconds beyond a day
  are a day.
* Text may be an object of lists (Laravel's validator), and hold line ends,
  control characters and halves of characters.
"""

from __future__ import annotations

import math
import re


#: A day: what the service says beyond is no guess of anything.
LONGEST = 86400.0


_LONGEST_TEXT = 1000


_YES = frozenset({"yes", "true", "1"})


_NO = frozenset({"no", "false", "0"})


def read_flag(value: object) -> bool | None:
    """
    A flag in any form; None where it is none.
    """
    word = str(value).strip().lower()
    return True if word in _YES else False if word in _NO else None


def read_number(value: object) -> float | None:
    """
    A finite number of at least 0; None where it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def read_seconds(value: object) -> float | None:
    """
    A time of at most a day; None where it is none.
    """
    number = read_number(value)
    return None if number is None else min(number, LONGEST)


def one_line(text: str) -> str:
    """
    *text* without line ends, control characters and half characters.
    """
    if not text.isprintable():
        text = text.encode("utf-8", "replace").decode()
        text = _CONTROL_CHARACTERS.sub(" ", text)
    return " ".join(text.split())


_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def read_text(value: object, depth: int = 4) -> str:
    """
    Any JSON as one line: lists joined by "; ", objects as "field: text".
    """
    if isinstance(value, str):
        return one_line(value[: 2 * _LONGEST_TEXT])[:_LONGEST_TEXT]
    if depth == 0 or value is None or isinstance(value, bool):
        return ""
    if isinstance(value, (int, float)):
        return str(value)
    parts: list[str] = []
    if isinstance(value, list):
        parts = [read_text(each, depth - 1) for each in value[:100]]
    if isinstance(value, dict):
        parts = [
            f"{read_text(name)}: {text}"
            for name, each in list(value.items())[:100]
            if (text := read_text(each, depth - 1))
        ]
    return "; ".join(filter(None, parts))[:_LONGEST_TEXT]
