"""
Specs as text, and rows of input as specs.
"""

from __future__ import annotations

import hashlib
import json
import re

from collections.abc import Mapping
from typing import Any

import attrs

from ..errors import Problem, SpecError
from ..results import JSON
from ..specs import (
    SPECS,
    AnySpec,
    Parameter,
    ParameterKind,
    Spec,
    near,
    parameters,
)
from .encode import unstructurer
from .json_text import read_json
from .values import read_flag


# Specs as text, and back.


def spec_json(spec: Spec) -> str:
    """
    Canonical JSON of what was asked for, with the endpoint's name.
    """
    return _canonical(_plain(spec))


def identity(spec: Spec) -> str:
    """
    Which request it is: SHA-256 of its canonical JSON.

    *track_id* and *webhook* do not count: they change no picture.
    """
    plain = _plain(spec)
    plain.pop("track_id", None)
    plain.pop("webhook", None)
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()


def written(spec: AnySpec) -> tuple[str, str]:
    """
    Both `spec_json` and `identity`.
    """
    text = spec_json(spec)
    if spec.track_id is None and spec.webhook is None:
        return text, hashlib.sha256(text.encode()).hexdigest()
    return text, identity(spec)


def read_spec(row: Mapping[str, JSON]) -> AnySpec:
    """
    A spec from a journal, a JSON object or a row of text.

    *row* holds parameters by name, and the endpoint's under `endpoint`
    (`text2img` where it says nothing).  None and `""` are absent; numbers and
    flags may be text ("512", "yes").

    Raises:
        SpecError: With every fault of the row.
    """
    problems: list[Problem] = []
    name = row.get("endpoint") or "text2img"
    kind = SPECS.get(name) if isinstance(name, str) else None
    if kind is None:
        wrong = f"must be one of {', '.join(SPECS)}, not {name!r}"
        problems.append(Problem("endpoint", wrong))
        kind = SPECS["text2img"]
    # Under its protocol's name: mypy doubts that the class itself hashes.
    asked: type[Spec] = kind
    known = parameters(asked)
    values: dict[str, Any] = {}
    for field, value in row.items():
        if field in known:
            if not _absent(value):
                values[field] = _read(known[field], value)
        elif field != "endpoint":
            problems.append(_stranger(field, known))
    for field in attrs.fields(kind):
        if field.default is attrs.NOTHING and field.name not in values:
            problems.append(Problem(field.name, "is required"))
            # Fine in itself, so that only the other faults are told.
            values[field.name] = "?"
    try:
        spec = kind(**values)
    except SpecError as error:
        raise SpecError((*problems, *error.problems)) from None
    if problems:
        raise SpecError(tuple(problems))
    return spec


def _absent(value: JSON) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _stranger(field: str, known: Mapping[str, Parameter]) -> Problem:
    name = str(field)
    if name.strip().casefold() in {"key", "api_key", "apikey", "api-key"}:
        reason = (
            "looks like an API key; take it out, "
            "and set MODELSLAB_API_KEY instead"
        )
    else:
        reason = (
            f"is no parameter{near(name, known)}; "
            "what we don't know yet goes into 'extra'"
        )
    return Problem(name, reason)


def _read(parameter: Parameter, value: JSON) -> object:
    """
    What *value* means; as it is where it means nothing, for others to judge.
    """
    kind = parameter.kind
    if kind is ParameterKind.NUMBERS and isinstance(value, list):
        return [_as_number(each) for each in value]
    if (
        kind is ParameterKind.FLAG
        and isinstance(value, int)
        and value in {0, 1}
    ):
        return bool(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    match kind:
        case ParameterKind.INTEGER if _WHOLE.fullmatch(text):
            return int(text)
        case ParameterKind.NUMBER:
            return _as_number(text)
        case ParameterKind.NUMBERS if "," in text:
            return [_as_number(each) for each in text.split(",")]
        case ParameterKind.NUMBERS:
            return _as_number(text)
        case ParameterKind.UPSCALE if _WHOLE.fullmatch(text):
            return int(text) or False
        case ParameterKind.FLAG | ParameterKind.UPSCALE:
            yes = read_flag(text)
            return value if yes is None else yes
        case ParameterKind.EXTRA:
            try:
                return read_json(text)
            except (ValueError, RecursionError):
                return value
        case ParameterKind.TEXT:
            return value
    return text


_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")


def _as_number(value: JSON) -> JSON:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _plain(spec: Spec) -> dict[str, Any]:
    plain = unstructurer(type(spec), on_wire=False)(spec)
    return {"endpoint": spec.endpoint.name, **plain}


def _canonical(plain: dict[str, Any]) -> str:
    return json.dumps(
        plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )
