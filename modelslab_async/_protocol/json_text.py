"""
JSON text: as the service writes it, and as we do.

* Control characters inside of strings are let through.
* NaN and what is infinite (1e999) are null.
* Half a character (an unpaired surrogate) goes out as the escape that it came
  as.
* An answer may begin with a byte order mark, NULs or white space, and end so.
* PHP's notices may stand before the JSON, or behind it. Pages that show JSON
  (``<html>``, ``<script>``) are no answers of the service.
* A byte that is not UTF-8 costs no more than its character; in a link it is
  quoted, so that the link goes on leading there.
"""

from __future__ import annotations

import codecs
import json
import math
import re

from typing import Any

from ..results import JSON


def read_json(text: str) -> Any:
    """
    What *text* says.

    Raises:
        ValueError: It is no JSON.

        RecursionError: It is nested too deeply.
    """
    return _decoder.decode(text)


def read_answer(body: bytes) -> dict[str, JSON] | None:
    """
    The object that an answer is; None where it is none.

    Raises:
        RecursionError: It is nested too deeply.
    """
    text, whole = _characters(body)
    try:
        data = read_json(text.strip(_AROUND))
    except ValueError:
        data = _embedded(text)
    if not isinstance(data, dict):
        return None
    return data if whole else _mended(data)


def compact_json(data: dict[str, Any]) -> bytes:
    """
    An object in as few bytes as there can be.
    """
    if not data:
        return b"{}"
    try:
        return _encode(data).encode()
    except UnicodeEncodeError:
        return json.dumps(data, separators=(",", ":")).encode()


_AROUND = " \t\r\n\v\f\0\ufeff"


def _characters(body: bytes) -> tuple[str, bool]:
    """
    A body as text, and whether each of its bytes was understood.
    """
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace"), True
    try:
        return body.decode(), True
    except UnicodeDecodeError:
        return body.decode("utf-8", "surrogateescape"), False


_PAGE = re.compile("<(?:html|!doctype|head|body|script)", re.IGNORECASE)


#: How often a brace of a notice may be taken for the beginning.
_BRACES = 20


def _embedded(text: str) -> JSON:
    """
    The service's object among other text: it has a status.
    """
    if _PAGE.search(text):
        return None
    start = text.find("{")
    for _ in range(_BRACES):
        if start < 0:
            break
        try:
            data, end = _decoder.raw_decode(text, start)
        except ValueError:
            end = start + 1
        else:
            if isinstance(data, dict) and isinstance(data.get("status"), str):
                return data
        start = text.find("{", end)
    return None


def _mended(value: Any) -> Any:
    """
    JSON without the bytes that were not understood.
    """
    if isinstance(value, str):
        if not _STRANGE.search(value):
            return value
        if value.lstrip()[:8].lower().startswith(_LINKS):
            return _STRANGE.sub(
                lambda found: f"%{ord(found[0]) - 0xDC00:02X}", value
            )
        return _STRANGE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {_mended(k): _mended(each) for k, each in value.items()}
    return value


#: What "surrogateescape" makes of a byte that is not UTF-8.
_STRANGE = re.compile("[\udc80-\udcff]")


_LINKS = ("http://", "https://", "/")


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_decoder = json.JSONDecoder(
    parse_float=_finite, parse_constant=lambda _: None, strict=False
)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
