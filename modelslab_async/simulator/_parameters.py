"""
What a parameter may be, and how tolerant the service reads it.

* Flags, numbers and texts are taken in any spelling that was ever seen.
* What no source allows is refused, in the words of the page "Error Codes"
  or of the framework's validator.
* What the documentation forbids and the service may well let pass is
  *remarked*: it goes into the books, and is refused only where the settings
  say ``strict``.
"""

from __future__ import annotations

import enum
import re

from collections.abc import Callable, Mapping

import attrs


class Kind(enum.Enum):
    """
    What is read alike.
    """

    TEXT = enum.auto()
    """A string."""

    PARTS = enum.auto()
    """A string, perhaps with commas, or a number."""

    WORD = enum.auto()
    """A string off a list."""

    EITHER_FLAG = enum.auto()
    """A JSON boolean or "yes" and "no": the sources show both."""

    YES_NO = enum.auto()
    """"yes" or "no"."""

    BOOLEAN = enum.auto()
    """A JSON boolean."""

    TRUE_FALSE = enum.auto()
    """"true" or "false", as strings."""

    WHOLE = enum.auto()
    """An integer, perhaps as a string."""

    NUMBER = enum.auto()
    """A number, perhaps as a string."""

    IMAGE = enum.auto()
    """A URL, a data URI or base64."""

    IMAGES = enum.auto()
    """The same, or a list of them."""

    TRACK_TEXT = enum.auto()
    """The customer's own id: anything that is no list and no object."""

    TRACK_DIGITS = enum.auto()
    """The customer's own id, of a family whose schema says integer."""

    URL = enum.auto()
    """Where to ring."""


FLAGS = frozenset(
    {Kind.EITHER_FLAG, Kind.YES_NO, Kind.BOOLEAN, Kind.TRUE_FALSE}
)
PICTURES = frozenset({Kind.IMAGE, Kind.IMAGES})

_SPELLINGS: Mapping[Kind, tuple[tuple[object, ...], str]] = {
    Kind.EITHER_FLAG: ((True, False, "yes", "no"), "yes or no"),
    Kind.YES_NO: (("yes", "no"), "yes or no"),
    Kind.BOOLEAN: ((True, False), "true or false"),
    Kind.TRUE_FALSE: (("true", "false"), 'the string "true" or "false"'),
}


@attrs.frozen
class Parameter:
    """
    One field of a request.

    Attributes:
        least: Documented lower end, or None.

        most: Documented upper end, or None; of `Kind.IMAGES`, how many.

        bounds: What is outside is refused, not only remarked.

        step: Refused if not divisible by it, if given.

        words: Those that are documented.

        closed: Other words are refused, not only remarked.
    """

    name: str
    kind: Kind
    least: float | None = None
    most: float | None = None
    bounds: tuple[float, float] | None = None
    step: int | None = None
    words: tuple[str, ...] = ()
    closed: bool = False


@attrs.frozen
class Value:
    """
    A value as the service understood it.

    Attributes:
        problem: Why it is refused, if it is.

        remark: What the documentation has against it, if anything.
    """

    value: object = None
    problem: str = ""
    remark: str = ""


def read(parameter: Parameter, sent: object) -> Value:
    """
    Read what was sent for *parameter*, which is not null.
    """
    return _READERS[parameter.kind](parameter, sent)


def flag(value: object, *, default: bool) -> bool:
    """
    Read a flag in any of its forms.
    """
    if value is None:
        return default
    return str(value).strip().lower() in {"true", "yes", "1", "2", "3"}


def whole(value: object) -> int | None:
    """
    Read a whole number, or a string of one.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        try:
            return int(value.strip())
        except ValueError:
            return None
    return None


def number(value: object) -> float | None:
    """
    Read a number, or a string of one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError):
        return None


def scalar(value: object) -> str | None:
    """
    Read what is echoed as a string.
    """
    if value is None or isinstance(value, dict | list):
        return None
    return str(value)


def spoken(name: str) -> str:
    """
    A field as the framework's validator calls it.
    """
    return name.replace("_", " ")


def _text(parameter: Parameter, sent: object) -> Value:
    if not isinstance(sent, str):
        return Value(problem=f"{parameter.name} must be a string")
    return Value(sent)


def _parts(parameter: Parameter, sent: object) -> Value:
    if isinstance(sent, dict | list | bool):
        return Value(problem=f"{parameter.name} must be a string")
    return Value(sent)


def _word(parameter: Parameter, sent: object) -> Value:
    if not isinstance(sent, str):
        return Value(problem=f"{parameter.name} must be a string")
    strange = [part for part in sent.split(",") if part not in parameter.words]
    if not strange:
        return Value(sent)
    text = f"The selected {spoken(parameter.name)} is invalid."
    if parameter.closed:
        return Value(problem=text)
    return Value(sent, remark=text)


def _flag(parameter: Parameter, sent: object) -> Value:
    documented, text = _SPELLINGS[parameter.kind]
    # 1 equals True, and is another spelling.
    if sent in documented and isinstance(sent, bool | str):
        return Value(flag(sent, default=False))
    remark = f"The {spoken(parameter.name)} field must be {text}."
    return Value(flag(sent, default=False), remark=remark)


def _whole(parameter: Parameter, sent: object) -> Value:
    value = whole(sent)
    if value is not None:
        return _within(parameter, value)
    if parameter.bounds:
        return Value(problem=_outside(parameter, parameter.bounds))
    return Value(remark=f"{parameter.name} must be an integer")


def _number(parameter: Parameter, sent: object) -> Value:
    value = number(sent)
    if value is not None:
        return _within(parameter, value)
    if parameter.bounds:
        return Value(problem=_outside(parameter, parameter.bounds))
    return Value(remark=f"{parameter.name} must be a number")


def _within(parameter: Parameter, value: float) -> Value:
    if parameter.bounds:
        low, high = parameter.bounds
        if not low <= value <= high:
            return Value(problem=_outside(parameter, parameter.bounds))
    if parameter.step and value % parameter.step:
        text = f"{parameter.name} must be divisible by {parameter.step}"
        return Value(problem=text)
    low = value if parameter.least is None else parameter.least
    high = value if parameter.most is None else parameter.most
    if not low <= value <= high:
        return Value(value, remark=_outside(parameter, (low, high)))
    return Value(value)


def _outside(parameter: Parameter, bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{parameter.name} must be between {low:g} and {high:g}"


def _image(parameter: Parameter, sent: object) -> Value:
    if not isinstance(sent, str):
        text = f"The {spoken(parameter.name)} must be a string."
        return Value(problem=text)
    return Value((sent,))


def _images(parameter: Parameter, sent: object) -> Value:
    sources = sent if isinstance(sent, list) else [sent]
    if not all(isinstance(each, str) and each for each in sources):
        text = f"The {spoken(parameter.name)} must be a string or an array."
        return Value(problem=text)
    most = parameter.most or 1
    if len(sources) > most:
        return Value(
            problem=f"The {spoken(parameter.name)} may not have more than "
            f"{most:g} items."
        )
    return Value(tuple(sources))


def _track_text(parameter: Parameter, sent: object) -> Value:
    return Value(scalar(sent))


def _track_digits(parameter: Parameter, sent: object) -> Value:
    if whole(sent) is None:
        return Value(scalar(sent), remark="The track id must be an integer.")
    return Value(scalar(sent))


def _url(parameter: Parameter, sent: object) -> Value:
    text = scalar(sent) or ""
    if re.match(r"https?://[^/\s]+", text):
        return Value(text)
    return Value(remark=f"The {spoken(parameter.name)} must be a valid URL.")


_READERS: Mapping[Kind, Callable[[Parameter, object], Value]] = {
    Kind.TEXT: _text,
    Kind.PARTS: _parts,
    Kind.WORD: _word,
    Kind.EITHER_FLAG: _flag,
    Kind.YES_NO: _flag,
    Kind.BOOLEAN: _flag,
    Kind.TRUE_FALSE: _flag,
    Kind.WHOLE: _whole,
    Kind.NUMBER: _number,
    Kind.IMAGE: _image,
    Kind.IMAGES: _images,
    Kind.TRACK_TEXT: _track_text,
    Kind.TRACK_DIGITS: _track_digits,
    Kind.URL: _url,
}
