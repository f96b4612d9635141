"""
What a picture is known by: its first bytes, or how its data URI begins.

* What a file is, its first bytes say, never its name.
* A data URI names an image type and holds base64; what lies in it is not
  looked at.
"""

from __future__ import annotations

import binascii

from .._magic import media_type


def is_data_uri(text: str) -> bool:
    """
    Whether *text* is ``data:image/…;base64,…``.
    """
    if not begins_as_data(text):
        return False
    kind, comma, coded = text.partition(",")
    if not (comma and kind.lower().endswith(";base64")):
        return False
    try:
        return bool(binascii.a2b_base64(coded, strict_mode=True))
    except (binascii.Error, ValueError):
        return False


def begins_as_data(text: str) -> bool:
    """
    Whether *text* is meant as a data URI of a picture.
    """
    return text[:11].lower() == "data:image/"


def bare_base64(text: str) -> str | None:
    """
    The media type of the picture that *text* is the bare base64 of; None
    where it is none that we know.
    """
    try:
        return media_type(binascii.a2b_base64(text[:64].strip()[:16]))
    except ValueError:
        return None
