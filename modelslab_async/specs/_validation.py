"""
How a request is checked before anything is sent.
"""

from __future__ import annotations

import enum
import inspect
import math
import reprlib
import warnings

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn
from urllib.parse import urlsplit

from ..errors import Problem, SpecError, SpecWarning
from ._parameter import Extra, Parameter, ParameterKind, Spec, near, parameters


def _settle(spec: Spec) -> None:
    """
    Bring every value to its one form; tell all faults, then all doubts.
    """
    known = parameters(type(spec))
    problems: list[Problem] = []
    doubts: list[str] = []
    for field in spec.__attrs_attrs__:
        given: object = getattr(spec, field.name)
        if given is None and field.default is None:
            continue
        parameter = known[field.name]
        try:
            value = _CHECKS[parameter.kind](parameter, given)
        except ValueError as fault:
            problems.append(Problem(field.name, str(fault)))
            continue
        if isinstance(value, Extra):
            problems += _misplaced(value, known)
        if value is not given:
            object.__setattr__(spec, field.name, value)
        if doubt := _doubt(parameter, value, spec.model_id):
            doubts.append(f"{field.name}: {doubt}")
    if problems:
        raise SpecError(tuple(problems))
    for doubt in doubts:
        warnings.warn(doubt, SpecWarning, stacklevel=_depth())


def _text(parameter: Parameter, value: object) -> object:
    if not isinstance(value, str):
        return _not(parameter, value)
    if not value.strip():
        if parameter.blank:
            return None
        raise ValueError("is empty; say something, or leave it out")
    try:
        value.encode()
    except UnicodeEncodeError:
        msg = "holds half a character (a lone surrogate); take it out"
        raise ValueError(msg) from None
    return value


def _url(parameter: Parameter, value: object) -> object:
    if not isinstance(value, str):
        return _not(parameter, value)
    _text(parameter, value)
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or any(char <= " " or char == "\x7f" for char in value):
        return _not(parameter, value)
    return value


def _flag(parameter: Parameter, value: object) -> object:
    return value if isinstance(value, bool) else _not(parameter, value)


def _upscale(parameter: Parameter, value: object) -> object:
    good = isinstance(value, int) and value in {False, 1, 2, 3}
    # 0 equals False, but only False is one.
    good = good and not (value == 0 and value is not False)
    return value if good else _not(parameter, value)


def _integer(parameter: Parameter, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        return _not(parameter, value)
    if not parameter.least <= value <= parameter.most:
        return _not(parameter, value)
    if value % parameter.step:
        lower = value - value % parameter.step
        near = f"{lower} or {lower + parameter.step}"
        msg = f"must be {parameter.wanted}, not {value}; try {near}"
        raise ValueError(msg)
    return int(value)


def _number(parameter: Parameter, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _not(parameter, value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not parameter.least <= number <= parameter.most or math.isinf(number):
        return _not(parameter, value)
    return number


def _word(parameter: Parameter, value: object) -> object:
    words = [str(word) for word in parameter.words or ()]
    if not isinstance(value, str):
        return _not(parameter, value)
    if value in words and parameter.words is not None:
        return parameter.words(value)
    return _not(parameter, value, near(value, words))


def _several(parameter: Parameter, value: object) -> object:
    one, check = (
        (_ONE_TEXT, _text)
        if parameter.kind is ParameterKind.TEXTS
        else (_ONE_NUMBER, _number)
    )
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        try:
            return check(one, value)
        except ValueError:
            if (
                isinstance(value, str)
                and parameter.kind is ParameterKind.TEXTS
            ):
                raise
            return _not(parameter, value)
    if not value:
        raise ValueError("is empty; leave it out instead")
    return tuple(check(one, each) for each in value)


def _extra(parameter: Parameter, value: object) -> object:
    if isinstance(value, Extra):
        return value
    if not isinstance(value, Mapping):
        return _not(parameter, value)
    try:
        return Extra.of(value)
    except (TypeError, ValueError, RecursionError) as error:
        # Not the values: one of them may be a secret.
        msg = f"must be {parameter.wanted} ({type(error).__name__})"
        raise ValueError(msg) from None


_ONE_TEXT = Parameter(ParameterKind.TEXT)


_ONE_NUMBER = Parameter(ParameterKind.NUMBER)


_CHECKS: Mapping[ParameterKind, Callable[[Parameter, object], object]] = {
    ParameterKind.TEXT: _text,
    ParameterKind.URL: _url,
    ParameterKind.FLAG: _flag,
    ParameterKind.INTEGER: _integer,
    ParameterKind.NUMBER: _number,
    ParameterKind.WORD: _word,
    ParameterKind.TEXTS: _several,
    ParameterKind.NUMBERS: _several,
    ParameterKind.UPSCALE: _upscale,
    ParameterKind.EXTRA: _extra,
}


def _not(parameter: Parameter, value: object, instead: str = "") -> NoReturn:
    given = "None" if value is None else reprlib.repr(value)
    raise ValueError(f"must be {parameter.wanted}, not {given}{instead}")


def _misplaced(
    extra: Extra, known: Mapping[str, Parameter]
) -> Iterator[Problem]:
    """
    What has no business among the extra parameters.
    """
    for name in extra:
        if name.strip().casefold() == "key":
            yield Problem(
                "extra",
                "must not hold 'key': the API key is the client's, "
                "give it to ModelsLab()",
            )
        elif name in known:
            yield Problem(
                "extra", f"holds {name!r}; give it as {name}=... instead"
            )


#: The family by its names on the service's page.
_FLUX = frozenset({"flux", "fluxdev", "fluxschnell"})


def _doubt(parameter: Parameter, value: object, model_id: str) -> str:
    """
    What some sources have against *value*, or nothing.
    """
    if not parameter.flux and value and str(model_id).strip() in _FLUX:
        return f"{model_id} does not take it, says the service's page"
    numbers = value if isinstance(value, tuple) else (value,)
    low, high = parameter.usual
    for number in numbers:
        if isinstance(number, (int, float)) and not low <= number <= high:
            return (
                f"{number:g} is outside of {low:g} to {high:g}; not every "
                "model takes it"
            )
    return ""


def _depth() -> int:
    """
    The *stacklevel* of the line that asked for the spec.

    Between that line and us lie attrs' generated code and, for
    `attrs.evolve`, attrs itself.
    """
    depth, frame = 0, inspect.currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        ours = name.partition(".")[0] in {"attr", "attrs", "cattrs", _HOUSE}
        if not (ours or frame.f_code.co_filename.startswith("<attrs ")):
            break
        depth, frame = depth + 1, frame.f_back
    return depth


_HOUSE = __name__.partition(".")[0]


def _shown(spec: Spec) -> str:
    """
    What was asked for, without the thirty things that were not.
    """
    shown = [repr(spec.prompt)]
    for field in spec.__attrs_attrs__[1:]:
        value: object = getattr(spec, field.name)
        if value != field.default:
            text = str(value) if isinstance(value, enum.Enum) else value
            shown.append(f"{field.name}={text!r}")
    return f"{type(spec).__name__}({', '.join(shown)})"
