"""
What somebody gave, in an error about it.
"""

from __future__ import annotations


_LONGEST = 60


def in_short(value: object) -> str:
    """
    A value as Python writes it, if that is short, and can be written at all.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - it is the caller's own
        # A number of thousands of digits, or a class with a bug.
        return f"a value of {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
