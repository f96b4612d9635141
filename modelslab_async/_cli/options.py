"""
Options that several commands have.
"""

from __future__ import annotations

import functools

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from ..specs import SPECS, parameters
from .context import Context, Service
from .model_names import complete_model
from .names import EndpointName, Word
from .one_input import one_input
from .requests import USUAL_ENDPOINT, USUAL_MODEL
from .screen import Screen, Talk


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


def field(name: str, *names: str, about: str, **more: Any) -> Option:
    """
    An option for a parameter of the request, with its range.
    """
    wanted = parameters(SPECS[USUAL_ENDPOINT])[name].wanted
    return click.option(
        *names, name, help=f"{about}: {wanted}.", **{"type": str, **more}
    )


input_ = click.argument(
    "input",
    metavar="INPUT",
    nargs=-1,
    required=True,
    type=click.Path(allow_dash=True),
    callback=one_input,
)
endpoint = click.option(
    "-e",
    "--endpoint",
    type=EndpointName(),
    default=USUAL_ENDPOINT,
    show_default=True,
    metavar="NAME",
    help="What to ask for; `modelslab-async endpoints` lists them.",
)
images = click.option(
    "--image",
    "images",
    multiple=True,
    metavar="PATH_OR_URL",
    type=click.Path(),
    help="A picture to begin with, from here or from the web; as many as the "
    "endpoint takes, each after an --image or all after one, those that it "
    "needs first.",
)
model = click.option(
    "-m",
    "--model",
    metavar="MODEL",
    shell_complete=complete_model,
    help=f"Model to ask.  [default: {USUAL_MODEL}, where one is needed]",
)
output = click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=_FOLDER,
    show_default=True,
    help="Folder for the pictures; made where it is missing.",
)
kind = click.option(
    "--format",
    "kind",
    type=Word(["txt", "jsonl", "csv"]),
    help="What INPUT is, where its name does not say.",
)
resubmit_unknown = click.option(
    "--resubmit-unknown",
    is_flag=True,
    help="Ask again for items whose outcome is unknown; they may be paid "
    "for twice.",
)
resubmit_failed = click.option(
    "--resubmit-failed",
    is_flag=True,
    help="Ask again for items that failed.",
)
new_key = click.option(
    "--new-key",
    is_flag=True,
    help="The key is another one of the same account as before.",
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, one line an outcome."
)
speed = click.FloatRange(min=0, min_open=True)
timeout = click.option(
    "--timeout",
    type=speed,
    metavar="SECONDS",
    help="How long to wait for the pictures; the job itself goes on.",
)


def talk(command: _Command, /) -> _Command:
    """
    How much is said.
    """

    def louder(context: click.Context, _: click.Parameter, count: int) -> None:
        if count:
            _screen(context).set_talk(Talk.ALL if count > 1 else Talk.MORE)

    def quieter(
        context: click.Context, _: click.Parameter, quiet: bool
    ) -> None:
        if quiet:
            _screen(context).set_talk(Talk.LITTLE)

    return together(
        click.option(
            "-v",
            "--verbose",
            count=True,
            expose_value=False,
            callback=louder,
            help="Say what happens; -vv says each request.",
        ),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            expose_value=False,
            callback=quieter,
            help="Say nothing but results and what went wrong.",
        ),
    )(command)


def _screen(context: click.Context) -> Screen:
    ours: Context = context.obj
    return ours.screen


_SIMULATOR = together(
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
        help="With --simulate: divides every duration; 10 is ten times as "
        "fast as the service.",
    ),
)
_NETWORK = together(
    click.option(
        "--proxy",
        metavar="URL",
        help="An http proxy.  [default: MODELSLAB_PROXY]",
    ),
    click.option(
        "--trusted-host",
        "trusted_hosts",
        multiple=True,
        metavar="HOST",
        help="A host or network that pictures may be loaded from, although "
        "it is not global; may be said again.",
    ),
)


def service(command: Callable[..., int], /) -> Callable[..., int]:
    """
    Whom to ask, and by which way; the command is given a `Service`.
    """

    @functools.wraps(command)
    def with_service(
        *args: Any,
        simulate: bool,
        speed: float,
        proxy: str | None,
        trusted_hosts: tuple[str, ...],
        **more: Any,
    ) -> int:
        asked = Service(simulate, speed, proxy, trusted_hosts)
        return command(*args, service=asked, **more)

    return together(_SIMULATOR, _NETWORK)(with_service)


def network(command: Callable[..., int], /) -> Callable[..., int]:
    """
    By which way to ask the service itself; the command is given a `Service`.
    """

    @functools.wraps(command)
    def with_network(
        *args: Any,
        proxy: str | None,
        trusted_hosts: tuple[str, ...],
        **more: Any,
    ) -> int:
        asked = Service(False, proxy=proxy, trusted_hosts=trusted_hosts)
        return command(*args, service=asked, **more)

    return _NETWORK(with_network)
