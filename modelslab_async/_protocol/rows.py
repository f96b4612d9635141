"""
Specs as text, and rows of input as specs.

What rows of files hold instead of numbers and flags, `specs.from_dict` reads.
"""

from __future__ import annotations

import hashlib
import json

from collections.abc import Mapping
from typing import Any

from ..results import JSON
from ..specs import (
    AnyPath,
    Spec,
    from_dict,
    from_record,
    picture_parameters,
    to_dict,
)


def spec_json(spec: Spec) -> str:
    """
    Canonical JSON of what was asked for, with the endpoint's name.
    """
    return _canonical(to_dict(spec))


def identity(spec: Spec) -> str:
    """
    Which request it is: SHA-256 of its canonical JSON.

    *track_id* and *webhook* do not count: they change no picture.  Of a local
    file its content counts, wherever it lies.
    """
    said = to_dict(spec)
    said.pop("track_id", None)
    said.pop("webhook", None)
    for name in picture_parameters(type(spec)):
        if name in said:
            said[name] = _content_of(said[name])
    if "extra" in said:
        said["extra"] = _respelt(said["extra"])
    return hashlib.sha256(_canonical(said).encode()).hexdigest()


def written(spec: Spec) -> tuple[str, str]:
    """
    Both `spec_json` and `identity`.
    """
    text = spec_json(spec)
    plain = not (spec.track_id or spec.webhook or spec.uploads or spec.extra)
    if plain:
        return text, hashlib.sha256(text.encode()).hexdigest()
    return text, identity(spec)


def read_spec(row: Mapping[str, JSON]) -> Spec:
    """
    A spec from what `spec_json` wrote; local files are not looked at.

    Raises:
        SpecError: With every fault of it.
    """
    return from_record(row)


def read_row(
    row: Mapping[str, JSON], *, folder: AnyPath | str | None = None
) -> Spec:
    """
    A spec from a row of a file; *folder* is where its local pictures lie.

    Raises:
        SpecError: With every fault of the row.
    """
    return from_dict(row, folder=folder)


def _respelt(value: JSON) -> JSON:
    """
    The same JSON with its whole numbers written as such: 1.0 is 1.
    """
    match value:
        case dict():
            return {name: _respelt(one) for name, one in value.items()}
        case list():
            return [_respelt(one) for one in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _content_of(picture: JSON) -> JSON:
    match picture:
        case list():
            return [_content_of(one) for one in picture]
        case {"path": _, "sha256": digest}:
            return {"sha256": digest}
    return picture


def _canonical(said: dict[str, Any]) -> str:
    return json.dumps(
        said, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )
