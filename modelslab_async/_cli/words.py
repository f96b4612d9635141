"""
Words for people: text from outside made harmless, and durations.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata


#: Control, format (as bidirectional overrides), surrogate, line separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


#: Columns below which nothing is readable anyway.
_NARROWEST = 40


def clean(text: object) -> str:
    """
    *text* on one line, with nothing in it that a terminal would obey.
    """
    return "".join(
        " " if unicodedata.category(char) in _UNSEEN else char
        for char in str(text)
    )


def excerpt(text: object, most: int = 60) -> str:
    """
    The beginning of *text*, clean.
    """
    whole = clean(text)
    return whole if len(whole) <= most else whole[: most - 1] + "…"


def wrapped(
    text: str, width: int, *, first: str = "", further: str = ""
) -> list[str]:
    """
    *text* in lines, parted between words; what is longer than a line, as an
    address, stays whole, so that it can be copied.
    """
    return textwrap.wrap(
        text,
        max(_NARROWEST, width),
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def as_typed(text: object) -> str:
    """
    *text* with bounds of a batch as the shell's options for them.
    """
    return _BOUND.sub(r"--max-\1 \2", str(text))


_BOUND = re.compile(r"\bmax_(images|failures)=([0-9])")


def duration(seconds: float) -> str:
    """
    Seconds as people say them.
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def number_of(number: int, one: str, many: str | None = None) -> str:
    """
    ``"1 item"``, ``"2 items"``.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
