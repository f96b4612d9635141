"""
What a command line says of a request, for any endpoint.
"""

from __future__ import annotations

import json

from collections.abc import Mapping, Sequence

import click

from ..results import JSON
from ..specs import (
    SPECS,
    ParameterKind,
    Spec,
    parameters,
    picture_parameters,
    required_parameters,
)
from .words import number_of


#: The endpoint that is asked where nobody says.
USUAL_ENDPOINT = next(iter(SPECS))


#: The model that is asked where one is needed and nobody says.
USUAL_MODEL = "flux"


def first_parameter(kind: type[Spec]) -> str:
    """
    What needs no name: the prompt, or the picture where there is no prompt.
    """
    return next(iter(parameters(kind)))


#: Parameters that change how a picture is made, not what it begins with.
_STYLE = frozenset({"ip_adapter_image"})


#: For examples: one that takes a prompt and a picture, one that takes no
#: prompt.
WITH_PICTURE = next(
    name
    for name, kind in SPECS.items()
    if set(picture_parameters(kind)) & set(required_parameters(kind))
)
FROM_PICTURE = next(
    name
    for name, kind in SPECS.items()
    if parameters(kind)[first_parameter(kind)].is_picture
)


def with_model(
    kind: type[Spec], row: dict[str, JSON], model: str | None = None
) -> dict[str, JSON]:
    """
    *row* with a model, where it names none and one is meant or needed.
    """
    if row.get("model_id") not in (None, ""):
        return row
    if model is None and "model_id" in required_parameters(kind):
        model = USUAL_MODEL
    return row if model is None else row | {"model_id": model}


def with_pictures(
    kind: type[Spec], row: dict[str, JSON], pictures: Sequence[str]
) -> dict[str, JSON]:
    """
    *row* with pictures where it has none yet: those that it needs first, and
    one that only lends its style last.

    Raises:
        ValueError: The endpoint takes fewer.
    """
    known, needed = parameters(kind), required_parameters(kind)
    free = free_pictures(kind, row)
    free.sort(key=lambda name: (name not in needed, name in _STYLE))
    left = list(pictures)
    row = dict(row)
    for name in free:
        if not left:
            break
        if known[name].kind is ParameterKind.PICTURES and len(left) > 1:
            others = sum(one in needed for one in free) - (name in needed)
            taken = max(1, len(left) - others)
            row[name] = [*left[:taken]]
            left = left[taken:]
        else:
            row[name] = left.pop(0)
    if left:
        raise ValueError(_one_too_many(kind, len(pictures), left[0]))
    return row


def free_pictures(kind: type[Spec], row: Mapping[str, JSON]) -> list[str]:
    """
    Where *row* can have a picture, and has none.
    """
    return [
        name
        for name in picture_parameters(kind)
        if row.get(name) in (None, "")
    ]


def _one_too_many(kind: type[Spec], given: int, surplus: str) -> str:
    name, takes = kind.endpoint.name, picture_parameters(kind)
    if not takes:
        return f"{name} takes no picture; leave out {surplus!r}"
    said = f"{name} takes {number_of(len(takes), 'picture')}"
    if given <= len(takes):
        said += ", and has all of them by name"
    said += f"; {surplus!r} is one too many"
    if len(takes) == 1 and takes[0] == first_parameter(kind):
        said += (
            "; to ask with each of several, write a line for each: "
            f"ls *.png | modelslab-async batch - -e {name}"
        )
    return said


def value_of(text: str) -> JSON:
    """
    What a value of ``--set`` means: JSON, or else text.
    """
    try:
        value: JSON = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def settings_of(
    more: Sequence[str], known: Mapping[str, JSON]
) -> dict[str, JSON]:
    """
    What all ``--set`` say, beside what options of their own have said.

    Raises:
        click.UsageError: One of them is no FIELD=VALUE, or says again what
            was said.
    """
    said = dict(known)
    for text in more:
        name, equals, value = text.partition("=")
        if not equals or not name or name.strip().lower() == "key":
            raise click.UsageError(f"--set wants FIELD=VALUE, not {name!r}")
        if name in said:
            raise click.UsageError(f"{name} is given twice, once by --set")
        said[name] = value_of(value)
    return said
