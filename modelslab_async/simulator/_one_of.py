"""
Words of which a setting takes one.
"""

from __future__ import annotations

import enum

from typing import NoReturn


class OneOf(enum.StrEnum):
    """
    A few words; whoever gives another one is told all of them.
    """

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"{value!r} is none of {', '.join(cls)}")
