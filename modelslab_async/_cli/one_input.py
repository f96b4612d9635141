"""
The one INPUT of a batch, and what to type where a shell's ``*`` gave several.
"""

from __future__ import annotations

import shlex

from collections.abc import Sequence

import click

from ..specs import SPECS, kind_of, picture_parameters
from .arguments import seems_picture
from .context import Context
from .requests import FROM_PICTURE, as_words, asking_with_each


def one_input(
    ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> str:
    """
    The one INPUT of a batch; says what to type instead of several.
    """
    if len(given) == 1 and not seems_picture(given[0]):
        return given[0]
    again = shlex.join([*_commands(ctx), "-", *_rest(ctx, given)])
    pictures = [each for each in given if seems_picture(each)]
    if not pictures:
        raise click.UsageError(
            f"one INPUT is taken, and {given[1]!r} is one too many: "
            f"cat {shlex.join(given)} | {again}",
            ctx,
        )
    # Only what was typed is there already.
    kind = kind_of(ctx.params.get("endpoint"))
    if kind is None:
        kind, again = SPECS[FROM_PICTURE], f"{again} -e ENDPOINT"
    said = "INPUT is a file of requests, and pictures stand on lines of it"
    if picture_parameters(kind):
        said += f": {asking_with_each(kind, as_words(pictures), again)}"
    else:
        said += f"; {kind.endpoint.name} takes none"
    if others := [each for each in given if each not in pictures]:
        said += f"; no picture: {shlex.join(others)}"
    raise click.UsageError(said, ctx)


def _commands(ctx: click.Context) -> list[str]:
    return ctx.command_path.split()


def _rest(ctx: click.Context, given: Sequence[str]) -> list[str]:
    """
    What was typed behind the command, but for its INPUT.
    """
    ours = ctx.find_object(Context)
    typed = () if ours is None else ours.arguments
    behind = list(typed[len(_commands(ctx)) - 1 :])
    return [word for word in behind if word not in {*given, "--"}]
