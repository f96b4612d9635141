"""
Options that several commands have.
"""

from __future__ import annotations

import json

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from ..results import JSON


_Command = TypeVar("_Command", bound=Callable[..., Any])


class Option(Protocol):
    """
    What gives a command an option.
    """

    def __call__(self, command: _Command, /) -> _Command: ...


#: Where files go when nobody says.
_FOLDER = "pictures"


def together(*options: Option) -> Option:
    """
    Several options as one.
    """

    def put(command: _Command, /) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return put


def field(name: str, help: str, **more: Any) -> Option:  # noqa: A002
    """
    An option for a field of the request.
    """
    return click.option(f"--{name}", help=help, **more)


model = click.option(
    "-m", "--model", default="flux", show_default=True, help="Model to ask."
)
output = click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=_FOLDER,
    show_default=True,
    help="Folder for the pictures; made where it is missing.",
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, one line an outcome."
)
speed = click.FloatRange(min=0, min_open=True)
simulated = together(
    click.option(
        "--simulate",
        is_flag=True,
        help="Ask a simulator in this process: no key, no money, no network.",
    ),
    click.option(
        "--speed",
        type=speed,
        default=1.0,
        show_default=True,
        help="With --simulate: how much faster than life.",
    ),
)
timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds to wait for the pictures; the job itself goes on.",
)


def value_of(text: str) -> JSON:
    """
    What a value of ``--set`` means: JSON, or else text.
    """
    try:
        value: JSON = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value
