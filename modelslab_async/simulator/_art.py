"""
Here lives the brush.
"""

from __future__ import annotations

from .drawing import Subject, plain


def paint(subject: Subject) -> bytes:
    return plain(subject)
