"""
The checks of a parameter's value: one for each kind of parameter.

A check gives the value in its one form, or raises a ValueError whose text
goes on after the parameter's name: "must be ..., not ...".  What goes out
equal has one form: texts without the blanks around them, 7 as 7.0 where a
number is wanted, `"a,b"` and `"1,2"` as tuples of two, a sequence of one as
that one.
"""

from __future__ import annotations

import math
import re
import reprlib

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn
from urllib.parse import urlsplit

from ._extra import Extra
from ._local_file import DOUBTFUL_BYTES, LocalFile, is_path
from ._parameter import Parameter, ParameterKind, near
from ._picture import bare_base64, begins_as_data, is_data_uri


def checked(parameter: Parameter, value: object) -> object:
    """
    *value* in its one form.

    Raises:
        ValueError: It is none that *parameter* takes.
    """
    try:
        return _CHECKS[parameter.kind](parameter, value)
    except ValueError:
        raise
    except Exception:  # noqa: BLE001
        # What can be given is anything, with any methods.
        msg = f"must be {parameter.wanted}, not a {type(value).__name__}"
        raise ValueError(msg) from None


#: Words that are named all, also where it is clear which was meant.
_MOST_SHOWN = 8


#: The family by its names on the service's page.
_FLUX = frozenset({"flux", "fluxdev", "fluxschnell"})


def doubt(parameter: Parameter, value: object, model_id: object) -> str:
    """
    What some sources have against a checked *value*, or nothing.
    """
    if isinstance(value, LocalFile) and value.size_bytes > DOUBTFUL_BYTES:
        return (
            f"{value.name} may be too large to upload: 5 MB is the limit, "
            "and base64 is a third longer"
        )
    if not parameter.flux and value and model_id in _FLUX:
        return f"{model_id} does not take it, says the service's page"
    if isinstance(value, tuple):
        found = (doubt(parameter, one, model_id) for one in value)
        return next(filter(None, found), "")
    if isinstance(value, str) and not parameter.is_usual(value):
        return f"{value!r} is none of {parameter.usually}"
    if isinstance(value, (int, float)) and not parameter.is_usual(value):
        where = "none of" if parameter.usual_values else "outside of"
        return (
            f"{value:g} is {where} {parameter.usually}; "
            "not every model takes it"
        )
    return ""


def _refuse(
    parameter: Parameter, value: object, instead: str = ""
) -> NoReturn:
    raise ValueError(f"must be {parameter.wanted}, not {told(value)}{instead}")


def told(value: object) -> str:
    """
    Any value in a few words.
    """
    try:
        return reprlib.repr(value)
    except Exception:  # noqa: BLE001
        # A number of 5,000 digits, or what has no way to say what it is.
        return f"such {type(value).__name__}"


def _check_text(parameter: Parameter, value: object) -> str | None:
    if not isinstance(value, str):
        return _refuse(parameter, value)
    text = str.strip(value)
    if not text:
        if parameter.blank:
            return None
        raise ValueError("is empty; say something, or leave it out")
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = "holds half a character (a lone surrogate); take it out"
        raise ValueError(msg) from None
    return text


def _check_url(parameter: Parameter, value: object) -> object:
    if not isinstance(value, str):
        return _refuse(parameter, value)
    _check_text(parameter, value)
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or any(char <= " " or char == "\x7f" for char in value):
        return _refuse(parameter, value)
    return value


def _check_flag(parameter: Parameter, value: object) -> object:
    return value if isinstance(value, bool) else _refuse(parameter, value)


def _check_upscale(parameter: Parameter, value: object) -> object:
    good = isinstance(value, int) and value in {False, 1, 2, 3}
    # 0 equals False, but only False is one.
    good = good and not (value == 0 and value is not False)
    return value if good else _refuse(parameter, value)


def _check_integer(parameter: Parameter, value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return _refuse(parameter, value)
    if not parameter.least <= value <= parameter.most:
        return _refuse(parameter, value, parameter.instead)
    if value % parameter.step:
        lower = value - value % parameter.step
        near = f"{lower} or {lower + parameter.step}"
        msg = f"must be {parameter.wanted}, not {value}; try {near}"
        raise ValueError(msg)
    return int(value)


def _check_number(parameter: Parameter, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _refuse(parameter, value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not parameter.least <= number <= parameter.most or math.isinf(number):
        return _refuse(parameter, value)
    # 0 has a twin below it, which goes out as "-0.0".
    return number or 0.0


def _check_word(parameter: Parameter, value: object) -> object:
    words = [str(word) for word in parameter.words or ()]
    if not isinstance(value, str):
        return _refuse(parameter, value)
    if value in words and parameter.words is not None:
        return parameter.words(value)
    if value in parameter.more_words:
        return str(value)
    known = (*words, *parameter.more_words)
    guess = near(value, known)
    if guess and len(known) > _MOST_SHOWN:
        # All of them would hide the one that was meant.
        raise ValueError(f"has no {told(value)}{guess}")
    return _refuse(parameter, value, guess)


def _check_picture(parameter: Parameter, value: object) -> object:
    if isinstance(value, LocalFile):
        return value
    if is_path(value):
        return LocalFile.at(value)
    if isinstance(value, _BYTES):
        return _refuse(parameter, value, _FOR_BYTES)
    if not isinstance(value, str):
        return _refuse(parameter, value)
    if begins_as_data(value):
        if is_data_uri(value):
            return value
        raise ValueError("must be a data URI of an image in base64")
    if "://" not in value:
        return _refuse(parameter, value, _meant_as(value))
    return _check_url(parameter, value)


def _meant_as(text: str) -> str:
    """
    What to write for a *text* that is no URL, if that can be seen.
    """
    if (kind := bare_base64(text)) is not None:
        return f"; for bare base64, 'data:{kind};base64,' before it"
    if text.lower().endswith(_ENDINGS):
        return f"; for a file of this machine, Path({told(text)})"
    return ""


_BYTES = (bytes, bytearray, memoryview)


_FOR_BYTES = "; for bytes, (await lab.upload(…)).url"


_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif")


def _check_pictures(parameter: Parameter, value: object) -> object:
    if isinstance(value, (str, *_BYTES)) or not isinstance(value, Sequence):
        return _check_picture(parameter, value)
    if not value:
        raise ValueError("is empty; a picture is wanted")
    if len(value) > parameter.most:
        msg = f"must be {parameter.wanted}, not {len(value)}"
        raise ValueError(msg)
    return tuple(_check_picture(parameter, one) for one in value)


def _check_texts(parameter: Parameter, value: object) -> object:
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        return _refuse(parameter, value)
    texts = [
        _check_text(_ONE_TEXT, text)
        for each in value
        for text in (each.split(",") if isinstance(each, str) else (each,))
    ]
    if parameter.words is not None:
        one = Parameter(ParameterKind.WORD, words=parameter.words)
        return _one_or_several([_check_word(one, text) for text in texts])
    return _one_or_several(texts)


def _check_numbers(parameter: Parameter, value: object) -> object:
    if isinstance(value, (int, float)):
        value = (value,)
    if isinstance(value, str) and "," in value:
        # One for each of a text with several models.
        figures = [each.strip() for each in value.split(",")]
        if all(map(_FIGURE.fullmatch, figures)):
            value = [float(each) for each in figures]
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return _refuse(parameter, value)
    if any(isinstance(each, bool) for each in value):
        return _refuse(parameter, value)
    return _one_or_several([_check_number(_ONE_NUMBER, one) for one in value])


_FIGURE = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


def _one_or_several(values: Sequence[object]) -> object:
    if not values:
        raise ValueError("is empty; leave it out instead")
    return values[0] if len(values) == 1 else tuple(values)


def _check_extra(parameter: Parameter, value: object) -> object:
    if isinstance(value, Extra):
        return value
    if not isinstance(value, Mapping):
        return _refuse(parameter, value)
    try:
        return Extra.of(value)
    except Exception as error:  # noqa: BLE001
        # Not the values: one of them may be a secret.
        msg = f"must be {parameter.wanted} ({type(error).__name__})"
        raise ValueError(msg) from None


_ONE_TEXT = Parameter(ParameterKind.TEXT)


_ONE_NUMBER = Parameter(ParameterKind.NUMBER)


_CHECKS: Mapping[ParameterKind, Callable[[Parameter, object], object]] = {
    ParameterKind.TEXT: _check_text,
    ParameterKind.URL: _check_url,
    ParameterKind.FLAG: _check_flag,
    ParameterKind.INTEGER: _check_integer,
    ParameterKind.NUMBER: _check_number,
    ParameterKind.WORD: _check_word,
    ParameterKind.TEXTS: _check_texts,
    ParameterKind.NUMBERS: _check_numbers,
    ParameterKind.UPSCALE: _check_upscale,
    ParameterKind.PICTURE: _check_picture,
    ParameterKind.PICTURES: _check_pictures,
    ParameterKind.EXTRA: _check_extra,
}
