"""
What a command line says of a request, for any endpoint.
"""

from __future__ import annotations

import json
import shlex

from collections.abc import Mapping, Sequence
from pathlib import Path

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
        raise ValueError(_one_too_many(kind, row, pictures, left[0]))
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


def _one_too_many(
    kind: type[Spec],
    row: Mapping[str, JSON],
    pictures: Sequence[str],
    surplus: str,
) -> str:
    name, takes = kind.endpoint.name, picture_parameters(kind)
    if not takes:
        return f"{name} takes no picture; leave out {surplus!r}"
    said = f"{name} takes {number_of(len(takes), 'picture')}"
    if len(pictures) <= len(takes):
        said += ", and has all of them by name"
    said += f"; {surplus!r} is one too many"
    if len(takes) == 1 and takes[0] not in _STYLE:
        command = f"modelslab-async batch - -e {name}"
        prompt = row.get(first_parameter(kind))
        said += (
            "; to ask with each of several, write a line for each: "
            + asking_with_each(kind, as_words(pictures), command, prompt)
        )
    return said


def asking_with_each(
    kind: type[Spec], listed: str, command: str, prompt: JSON = None
) -> str:
    """
    What to type to ask with each of many pictures.

    Args:
        kind: What is asked for.

        listed: The pictures, as `ls` takes them.

        command: A batch of what comes by stdin.

        prompt: For all of them, where the endpoint takes one.
    """
    first, takes = first_parameter(kind), picture_parameters(kind)
    if parameters(kind)[first].is_picture:
        return f"ls {listed} | {command}"
    needed = required_parameters(kind)
    picture = min(takes, key=lambda name: name not in needed)
    said = json.dumps(prompt, ensure_ascii=False)
    if not isinstance(prompt, str) or len(said) > _SHORT or set(said) & _SED:
        prompt = "PROMPT"
    row = json.dumps({first: prompt, picture: "&"}, ensure_ascii=False)
    # Each line is put where the & stands.
    return f"ls {listed} | sed {shlex.quote(f's/.*/{row}/')} | {command}"


#: A prompt that is worth repeating.
_SHORT = 60
#: What means something else to it.
_SED = frozenset("\\/&")
#: So many files are named one by one.
_FEW = 3


def as_words(files: Sequence[str]) -> str:
    """
    Files as a shell takes them: all of them, by a pattern where there are
    many and one finds just these.
    """
    folders = {Path(file).parent for file in files}
    endings = {Path(file).suffix for file in files}
    if len(files) > _FEW and len(folders) == 1:
        (folder,) = folders
        for ending in (*endings, "")[-2:]:
            found = {
                path.name
                for path in folder.glob(f"*{ending}")
                if not path.name.startswith(".")
            }
            if found == {Path(file).name for file in files}:
                begin = "" if folder == Path() else shlex.quote(f"{folder}/")
                return f"{begin}*{ending}"
    return shlex.join(files)


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
