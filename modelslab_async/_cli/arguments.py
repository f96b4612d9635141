"""
What stands on a command line without a name: prompts, and pictures.

A shell's ``*`` puts several files after one ``--image``, so all that follows
it up to the next option, and is a picture, is its own.
"""

from __future__ import annotations

import shlex

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from .._magic import media_type
from ..results import JSON
from ..specs import (
    Spec,
    parameters,
    picture_parameters,
    required_parameters,
)
from .requests import first_parameter, with_pictures
from .words import excerpt


_IMAGE = "--image"
_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif")


class PicturesCommand(click.Command):
    """
    A command whose ``--image`` may have several pictures behind it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """
        As click does, each picture with an ``--image`` of its own.
        """
        return super().parse_args(ctx, list(_spelt_out(args)))


def _spelt_out(args: Sequence[str]) -> Iterator[str]:
    behind = named = False
    for at, word in enumerate(args):
        if word == "--":
            yield from args[at:]
            return
        if named:
            # What --image itself is followed by, whatever it is.
            behind, named = True, False
        elif word == _IMAGE:
            behind, named = False, True
        elif word.startswith("-") and word != "-":
            behind = word.startswith(f"{_IMAGE}=")
        elif behind and seems_picture(word):
            yield _IMAGE
        yield word


def seems_picture(word: str, folder: Path = Path()) -> bool:
    """
    Whether *word* is meant as a picture: an address, or a file that is one or
    is called so.
    """
    begins = word[:11].lower()
    if begins.startswith(("http://", "https://", "data:image/")):
        return not any(char.isspace() for char in word)
    if is_file(folder / word):
        try:
            with (folder / word).open("rb") as file:
                return media_type(file.read(64)) is not None
        except OSError:
            return False
    called = word.lower().endswith(_ENDINGS)
    return called and not any(char.isspace() for char in word)


def is_file(path: Path) -> bool:
    try:
        # A pipe would keep us waiting.
        return path.is_file()
    except (OSError, ValueError):
        # A prompt is longer than any name may be.
        return False


def request_of(
    kind: type[Spec],
    words: Sequence[str],
    said: Mapping[str, JSON],
    images: Sequence[str],
) -> dict[str, JSON]:
    """
    The fields of a request: what was said by name, with the prompt and the
    pictures at their places.

    Raises:
        ValueError: Something is one too many, or at a wrong place; with what
            to type.
    """
    row = dict(said)
    first = first_parameter(kind)
    if parameters(kind)[first].is_picture:
        for word in words:
            if is_prompt(word):
                alone = len(words) == 1 and not images and first not in row
                raise ValueError(no_prompt(kind, word, alone=alone))
        images = (*words, *images)
    elif words:
        _check_prompt(kind, words, row, images)
        row[first] = words[0]
    for image in images:
        if set(image) & set("*?[") and not _leads_to_something(image):
            raise ValueError(f"no file is called as {image!r} says")
    return with_pictures(kind, row, images)


def _leads_to_something(word: str) -> bool:
    return "://" in word or is_file(Path(word))


def how_to_say(kind: type[Spec], names: Sequence[str]) -> str:
    """
    What to type for these parameters.
    """
    known, first = parameters(kind), first_parameter(kind)
    pictures = [name.upper() for name in names if known[name].is_picture]
    asks = first in names and not known[first].is_picture
    said = ["PROMPT"] if asks else []
    if pictures:
        said.append(f"{_IMAGE} {' '.join(pictures)}")
    said += [
        f"--set {name}=VALUE"
        for name in names
        if name != first and not known[name].is_picture
    ]
    quotes = "; a PROMPT of several words stands in quotes" if asks else ""
    return " ".join(said) + quotes


def is_prompt(word: str, folder: Path = Path()) -> bool:
    """
    Whether *word*, where a picture is wanted, cannot be meant as one.
    """
    return not (seems_picture(word, folder) or is_file(folder / word))


def no_prompt(kind: type[Spec], word: str, *, alone: bool) -> str:
    """
    What is said of a prompt where none is taken; *alone*: it stands in the
    place of a picture.
    """
    name, shown = kind.endpoint.name, repr(excerpt(word))
    if alone:
        return (
            f"{name} takes a picture and no prompt, and there is no picture "
            f"at {shown}"
        )
    return f"{name} takes no prompt; leave out {shown}"


def _check_prompt(
    kind: type[Spec],
    words: Sequence[str],
    row: Mapping[str, JSON],
    images: Sequence[str],
) -> None:
    """
    See that *words* are one prompt, and none of them a picture.

    Raises:
        ValueError: They are not, with what to type.
    """
    pictures = [word for word in words if seems_picture(word)]
    takes = picture_parameters(kind)
    needed = set(takes) & set(required_parameters(kind))
    if pictures and not takes and len(words) > 1:
        raise ValueError(
            f"{kind.endpoint.name} takes no picture; leave out {pictures[0]!r}"
        )
    if pictures and (len(words) > 1 or (needed - set(row) and not images)):
        raise ValueError(
            "pictures stand after --image, and a prompt before or behind "
            f"them: {_IMAGE} {shlex.join(pictures)}"
        )
    if len(words) > 1:
        raise ValueError(
            "a prompt of several words stands in quotes: "
            + shlex.quote(" ".join(words))
        )
    if first_parameter(kind) in row:
        raise ValueError("the prompt is given twice, once by --set")
