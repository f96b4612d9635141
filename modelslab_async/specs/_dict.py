"""
Specs as dicts of plain data, and back.

What comes from outside is read kindly, as files and forms have text where
JSON has numbers and flags: "512" is 512, "yes" is True, and None and `""` are
a parameter that was left out.
"""

from __future__ import annotations

import functools
import json
import re

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .._quoting import in_short
from ..errors import Problem, SpecError
from ._arguments import stranger
from ._extra import Extra
from ._local_file import AnyPath, LocalFile, below, matching
from ._parameter import Parameter, ParameterKind, near
from ._registry import MODULES, SPECS, public
from ._spec import (
    Spec,
    for_each_kind,
    parameters,
    required_parameters,
)
from ._validation import told


def to_dict(spec: Spec) -> dict[str, Any]:
    """
    What was asked for: parameters by name, the endpoint's under `endpoint`.

    Raises:
        SpecError: It is no spec.
    """
    given: object = spec
    if not isinstance(given, Spec):
        fault = f"must be a spec, not {in_short(given)}"
        raise SpecError((Problem("spec", fault),))
    said: dict[str, Any] = {"endpoint": spec.endpoint.name}
    for name, default in _defaults(type(spec)):
        value: object = getattr(spec, name)
        # What we say unless told not to is told as None.
        if value != default and (value is not None or default is not None):
            said[name] = _plain(value)
    return said


def from_dict(
    data: Mapping[str, Any], *, folder: AnyPath | str | None = None
) -> Spec:
    """
    The spec that *data* describes.

    Args:
        data:
            Parameters by name, and the endpoint's name under `endpoint`
            (`text2img` where it says nothing).  A local picture is a path, or
            what `to_dict` gives for one, which names its SHA-256: nobody
            learns by it what is in a file of this machine.

        folder:
            Where a text that stands for a picture, and is no URL, is taken
            for a path: relative to this folder.  Only for data that may read
            this machine's files.

    Raises:
        SpecError: With every fault of it.
    """
    return _made(data, functools.partial(_given_picture, folder=folder))


def from_record(data: Mapping[str, Any]) -> Spec:
    """
    As `from_dict`, of what we wrote ourselves: local files are believed.

    They are not looked at: who paid for a picture may throw its input away.
    """
    return _made(data, _recorded_picture)


def _made(
    data: Mapping[str, Any], picture: Callable[[object], object]
) -> Spec:
    data = _as_dict(data)
    problems: list[Problem] = []
    name: object = data.pop("endpoint", None)
    kind = kind_of("text2img" if name in (None, "") else name)
    if kind is None:
        guess = near(name, SPECS) if type(name) is str else ""
        others = guess or f"; there are {', '.join(SPECS)}"
        wrong = f"there is none called {told(name)}{others}"
        problems.append(Problem("endpoint", wrong))
        # Nobody knows what else it takes.
        raise SpecError(tuple(problems))
    known = parameters(kind)
    ours = {
        name
        for name, default in _defaults(kind)
        if default not in (None, attrs.NOTHING, Extra())
    }
    values: dict[str, Any] = {}
    unread: set[str] = set()
    for field, value in data.items():
        if field in known:
            try:
                meant = _read(known[field], value, picture)
            except ValueError as fault:
                problems.append(Problem(field, str(fault)))
                unread.add(field)
                continue
            if meant is not None or (value is None and field in ours):
                values[field] = meant
        else:
            # Who sends thousands of them has made no slip.
            names = known if len(problems) < _GUESSES else ()
            problems.append(stranger(kind.endpoint.name, field, names))
    for required in required_parameters(kind):
        if required not in values:
            if required not in unread:
                problems.append(Problem(required, "is required"))
            # Fine in itself, so that only the other faults are told.
            values[required] = _SOMETHING[known[required].kind]
    try:
        spec = kind(**values)
    except SpecError as error:
        raise SpecError((*problems, *error.problems)) from None
    if problems:
        raise SpecError(tuple(problems))
    return spec


def _as_dict(data: object) -> dict[str, Any]:
    """
    A copy of *data*, which can be anything.
    """
    try:
        if isinstance(data, Mapping):
            copy = dict(data)
            if all(type(name) is str for name in copy):
                return copy
    except Exception:  # noqa: BLE001, S110 - told below
        pass
    wrong = "must be a mapping of parameters by name"
    raise SpecError((Problem("spec", wrong),))


def kind_of(name: object) -> type[Spec] | None:
    """
    The kind of spec of an endpoint's name, spelt with _ or -, or of a class's.
    """
    if type(name) is not str:
        return None
    plain = name.strip()
    if plain in MODULES:
        found = public(plain)
        return found if issubclass(found, Spec) else None
    return SPECS.get(plain.lower().replace("-", "_"))


@for_each_kind
def _defaults(kind: type[Spec]) -> tuple[tuple[str, object], ...]:
    fields = attrs.fields_dict(kind)
    return tuple((name, fields[name].default) for name in parameters(kind))


def _plain(value: object) -> object:
    match value:
        case Extra():
            return dict(value)
        case tuple():
            return [_plain(one) for one in value]
        case LocalFile():
            return {"path": value.path, "sha256": value.sha256}
        case str():
            # Also of a word, which is a member of its enumeration.
            return str(value)
    return value


_GUESSES = 20


def _given_picture(value: object, *, folder: AnyPath | str | None) -> object:
    """
    What stands for a picture in data of anyone's.
    """
    if type(value) is str and folder is not None and not _is_address(value):
        return below(folder, value)
    known = _known_file(value)
    return value if known is None else matching(known.path, known.sha256)


def _recorded_picture(value: object) -> object:
    """
    What stands for a picture in what we wrote.
    """
    known = _known_file(value)
    return value if known is None else known


def _known_file(value: object) -> LocalFile | None:
    if type(value) is not dict or value.keys() != {"path", "sha256"}:
        return None
    path, digest = value["path"], value["sha256"]
    if type(path) is not str or type(digest) is not str:
        return None
    return LocalFile(path, digest)


def _is_address(text: str) -> bool:
    return "://" in text or text[:5].lower() == "data:"


#: A required parameter that is not there, so that the others are checked.
_SOMETHING: Mapping[ParameterKind, object] = {
    ParameterKind.TEXT: "?",
    ParameterKind.TEXTS: "canny",
    ParameterKind.WORD: "upper_body",
    ParameterKind.PICTURE: "https://example.com",
    ParameterKind.PICTURES: "https://example.com",
}


def _read(
    parameter: Parameter, value: object, picture: Callable[[object], object]
) -> object:
    """
    What *value* means; as it is where it means nothing, for others to judge.

    None: that the parameter was left out.
    """
    # A value's own methods are not asked: it can be anything.
    if type(value) is str:
        value = value.strip()
        if not value:
            return None
    if parameter.is_picture:
        if type(value) is list:
            return [picture(one) for one in value]
        return picture(value)
    if type(value) is str:
        return _read_text(parameter.kind, value)
    if type(value) is list and parameter.kind is ParameterKind.NUMBERS:
        return [_as_number(each) for each in value]
    if type(value) is int and parameter.kind is ParameterKind.FLAG:
        return {0: False, 1: True}.get(value, value)
    return value


def _read_text(kind: ParameterKind, text: str) -> object:
    match kind:
        case ParameterKind.INTEGER if _WHOLE.fullmatch(text):
            return int(text)
        case ParameterKind.INTEGER | ParameterKind.NUMBER:
            return _as_number(text)
        case ParameterKind.NUMBERS if "," in text:
            return [_as_number(each) for each in text.split(",")]
        case ParameterKind.NUMBERS:
            return _as_number(text)
        case ParameterKind.UPSCALE if _WHOLE.fullmatch(text):
            return int(text) or False
        case ParameterKind.FLAG | ParameterKind.UPSCALE:
            return _FLAGS.get(text.lower(), text)
        case ParameterKind.EXTRA:
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return text
    return text


_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")


_FLAGS: Mapping[str, bool] = {
    "yes": True,
    "true": True,
    "1": True,
    "no": False,
    "false": False,
    "0": False,
}


def _as_number(value: object) -> object:
    if type(value) is not str:
        return value
    try:
        return float(value)
    except ValueError:
        return value
