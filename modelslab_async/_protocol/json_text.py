"""
JSON text: as the service writes it, and as we do.

* Control characters inside of strings are let through.
* NaN and what is infinite (1e999) are null.
* Half a character (an unpaired surrogate) goes out as the escape that it came
  as.
"""

from __future__ import annotations

import json
import math

from typing import Any


def read_json(text: str) -> Any:
    """
    What *text* says.

    Raises:
        ValueError: It is no JSON.

        RecursionError: It is nested too deeply.
    """
    return _decoder.decode(text)


def read_json_at(text: str, start: int) -> tuple[Any, int]:
    """
    What stands in *text* from *start* on, and where it ends.

    Raises:
        ValueError: It is no JSON.

        RecursionError: It is nested too deeply.
    """
    return _decoder.raw_decode(text, start)


def read_json_firsts(text: str) -> Any:
    """
    As `read_json`; of fields that stand there twice, the first that says
    something.

    Raises: as `read_json`.
    """
    return _decoder_of_firsts.decode(text)


def compact_json(data: dict[str, Any]) -> bytes:
    """
    An object in as few bytes as there can be.
    """
    return _plain_json(data) if data else b"{}"


def json_string(text: str) -> bytes:
    """
    A text in its quotes.
    """
    return _plain_json(text)


def _plain_json(value: Any) -> bytes:
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_decoder = json.JSONDecoder(
    parse_float=_finite, parse_constant=lambda _: None, strict=False
)


def _firsts(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = found.get(name) or value
    return found


_decoder_of_firsts = json.JSONDecoder(
    parse_float=_finite,
    parse_constant=lambda _: None,
    strict=False,
    object_pairs_hook=_firsts,
)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
