"""
Here lives the shell: commands, their options, and their exit codes.

0: all done.  1: some items failed.  2: wrong usage or input.  3: the account
says no (key, credit, plan).  130: interrupted; how to go on is printed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from .._protocol.rows import read_spec
from ..errors import (
    ConfigurationError,
    JournalError,
    ModelsLabError,
    PermissionDeniedError,
    SpecError,
    SpecWarning,
)
from ..results import JSON
from ..simulator import Etas, Settings, Simulator, serve
from . import _run
from ._input import SHOWN, Check, InputError, Source
from ._run import ACCOUNT, ALL_DONE, FAILED, INTERRUPTED, REFUSED, USAGE
from ._screen import Screen, clean
from ._status import status as report


_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Option(Protocol):
    """
    What gives a command an option.
    """

    def __call__(self, command: _Command, /) -> _Command: ...


#: Where files go when nobody says.
_FOLDER = "pictures"


def run(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:
        arguments: Without the program's name; None takes the process's own.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    screen = Screen()
    try:
        with screen.logs(), warnings.catch_warnings():
            found = shell.main(
                list(arguments),
                prog_name=_run.program(),
                standalone_mode=False,
                obj=_run.Shell(screen, tuple(arguments)),
            )
        return found if isinstance(found, int) else ALL_DONE
    except click.ClickException as exc:
        exc.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        screen.say("interrupted; nothing was asked for")
        return INTERRUPTED
    except (*REFUSED, PermissionDeniedError) as exc:
        screen.say(f"the account says no: {exc}")
        return ACCOUNT
    except (
        ConfigurationError,
        InputError,
        JournalError,
        SpecError,
        ImportError,
    ) as exc:
        screen.say(f"{_run.program()}: {exc}")
        return USAGE
    except ModelsLabError as exc:
        screen.say(f"{type(exc).__name__}: {exc}")
        return FAILED


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 79,
    },
)
@click.version_option(package_name="modelslab-async")
def shell() -> None:
    """
    Pictures from prompts, by the ModelsLab API.

    The key is read from MODELSLAB_API_KEY; --simulate needs none.
    """


def _options(*options: _Option) -> _Option:
    def put(command: _Command, /) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return put


_model = click.option(
    "-m", "--model", default="flux", show_default=True, help="Model to ask."
)
_output = click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=_FOLDER,
    show_default=True,
    help="Folder for the pictures; made where it is missing.",
)
_json = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, one line an outcome."
)
_simulated = _options(
    click.option(
        "--simulate",
        is_flag=True,
        help="Ask a simulator in this process: no key, no money, no network.",
    ),
    click.option(
        "--speed",
        type=click.FloatRange(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="With --simulate: how much faster than life.",
    ),
)
_timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds to wait for the pictures; the job itself goes on.",
)


def _field(name: str, help: str, **more: Any) -> _Option:  # noqa: A002
    return click.option(f"--{name}", help=help, **more)


@shell.command()
@click.argument("prompt")
@_model
@_output
@_field("width", "Pixels, divisible by 8.", type=int)
@_field("height", "Pixels, divisible by 8.", type=int)
@click.option("-n", "--samples", type=int, help="Pictures, from 1 to 4.")
@_field("seed", "For the same picture again.", type=int)
@_field("steps", "Steps of denoising.", type=int)
@_field("guidance", "How closely to follow the prompt.", type=float)
@_field("negative", "What should not be in the picture.")
@click.option(
    "--set",
    "more",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Any other field of the request; the value is JSON, or text.",
)
@_timeout
@_json
@_simulated
@click.pass_obj
def generate(
    ours: _run.Shell,
    /,
    prompt: str,
    model: str,
    output: Path,
    more: tuple[str, ...],
    timeout: float | None,
    as_json: bool,
    simulate: bool,
    speed: float,
    steps: int | None,
    guidance: float | None,
    negative: str | None,
    **fields: JSON,
) -> int:
    """
    Ask for one generation, save its pictures, and print where they are.
    """
    fields |= {
        "prompt": prompt,
        "model_id": model,
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        "negative_prompt": negative,
    }
    for text in more:
        name, equals, value = text.partition("=")
        if not equals or not name or name.strip().lower() == "key":
            raise click.UsageError(f"--set wants FIELD=VALUE, not {name!r}")
        fields[name] = _value(value)
    row = {name: value for name, value in fields.items() if value is not None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SpecWarning)
        spec = read_spec(row)
    for warning in caught:
        ours.screen.say(f"note: {warning.message}")
    return _run_now(
        _run.generate(
            ours,
            _run.Service(simulate, speed),
            spec,
            ours.home / output if as_json else output,
            timeout=timeout,
            as_json=as_json,
        )
    )


def _value(text: str) -> JSON:
    try:
        value: JSON = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


@shell.command()
@click.argument("input", metavar="INPUT")
@_model
@_output
@click.option(
    "--format",
    "kind",
    type=click.Choice(["txt", "jsonl", "csv"]),
    help="What INPUT is, where its name does not say.",
)
@click.option(
    "--slots",
    type=click.IntRange(min=1),
    help="Unfinished jobs at once, at most; learnt if not given.",
)
@click.option(
    "--max-failures",
    type=click.IntRange(min=1),
    help="Stop asking after so many failed items.",
)
@click.option(
    "--max-images",
    type=click.IntRange(min=1),
    help="Stop asking before more pictures than this are paid for.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check the input, say what would be asked for, and ask nothing.",
)
@click.option(
    "--resubmit-unknown",
    is_flag=True,
    help="Ask again for items whose outcome is unknown; they may be paid "
    "for twice.",
)
@click.option(
    "--resubmit-failed",
    is_flag=True,
    help="Ask again for items that failed.",
)
@click.option(
    "--new-key",
    is_flag=True,
    help="The key is another one of the same account as before.",
)
@_json
@_simulated
@click.pass_obj
def batch(
    ours: _run.Shell,
    /,
    input: str,  # noqa: A002
    model: str,
    output: Path,
    kind: Any,
    slots: int | None,
    dry_run: bool,
    as_json: bool,
    simulate: bool,
    speed: float,
    **choices: Any,
) -> int:
    """
    Ask for everything in INPUT; run again, it takes up where it stopped.

    INPUT is a file of prompts, one a line (.txt, # begins a comment), or of
    requests (.jsonl, .csv with field names in its first line); - is stdin.
    A field `item` is your own name for a line: it ties the line to its
    pictures when you edit the file and run again.
    """
    with Source.open(
        input, sys.stdin.buffer, model=model, kind=kind
    ) as source:
        check = source.check()
        if not _passed(ours.screen, source, check):
            return USAGE
        if dry_run:
            ours.screen.result(
                json.dumps(
                    {"requests": check.items, "pictures": check.pictures}
                )
                if as_json
                else f"would ask for {check.items} requests, "
                f"{check.pictures} pictures"
            )
            return ALL_DONE
        warnings.simplefilter("ignore", SpecWarning)
        return _run_now(
            _run.batch(
                ours,
                _run.Service(simulate, speed, slots),
                source,
                check,
                ours.home / output if as_json else output,
                as_json=as_json,
                **choices,
            )
        )


def _passed(screen: Screen, source: Source, check: Check) -> bool:
    for warned in check.first_warned:
        screen.say(f"{source.name}:{warned}")
    if check.warned > len(check.first_warned):
        screen.say(f"{source.name}: {check.warned} notes, {SHOWN} shown")
    for fault in check.first:
        screen.say(f"{source.name}:{fault}")
    if check.faults:
        shown = f", {SHOWN} shown" if check.faults > SHOWN else ""
        screen.say(
            f"{source.name}: {check.faults} "
            f"{'fault' if check.faults == 1 else 'faults'}{shown}; "
            "nothing was asked for"
        )
    elif not check.items:
        screen.say(f"{source.name}: nothing to ask for")
    return bool(check.items and not check.faults)


@shell.command()
@click.argument("job")
@_output
@_timeout
@_json
@_simulated
@click.pass_obj
def fetch(
    ours: _run.Shell,
    /,
    job: str,
    output: Path,
    timeout: float | None,
    as_json: bool,
    simulate: bool,
    speed: float,
) -> int:
    """
    Take up JOB, an id or a handle: wait for it, and save its pictures.
    """
    return _run_now(
        _run.fetch(
            ours,
            _run.Service(simulate, speed),
            job,
            ours.home / output if as_json else output,
            timeout=timeout,
            as_json=as_json,
        )
    )


@shell.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen on; a free one if not given.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on.",
)
@click.option(
    "--slots",
    type=click.IntRange(min=1),
    help="Unfinished jobs that an account may have.  [default: 5]",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    help="How much faster than life.",
)
@click.option(
    "--profile",
    type=click.Choice(["classic", "documented"]),
    help="How it says no: with HTTP 200, or as the pages say.",
)
@click.option(
    "--fetch",
    type=click.Choice(["both", "path", "body"]),
    help="Which forms of fetch it serves.",
)
@click.option(
    "--etas",
    type=click.Choice([str(each) for each in Etas]),
    help="How good its guesses are.",
)
@click.option("--latency", type=float, help="Seconds that each job takes.")
@click.option("--failures", type=float, help="Share of jobs that fail.")
@click.option("--seed", type=int, help="Of all its dice.")
@click.option(
    "--set",
    "more",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other of `simulator.Settings`; the value is JSON, or text.",
)
@click.pass_obj
def simulate(
    ours: _run.Shell,
    /,
    port: int,
    host: str,
    more: tuple[str, ...],
    **options: Any,
) -> int:
    """
    Run a local ModelsLab until Ctrl-C; its URL is printed first.

    Set MODELSLAB_BASE_URL to the URL, and MODELSLAB_API_KEY to anything.
    """
    said = {
        name: value for name, value in options.items() if value is not None
    }
    for text in more:
        name, _, value = text.partition("=")
        said[name] = _value(value)
    try:
        settings = Settings(**said)
    except (TypeError, ValueError) as exc:
        raise click.UsageError(str(exc)) from exc

    def started(simulator: Simulator) -> None:
        ours.screen.result(simulator.url)

    try:
        asyncio.run(
            _run.until_told(
                serve(port=port, host=host, started=started, settings=settings)
            )
        )
    except OSError as exc:
        raise click.UsageError(
            f"cannot listen on {host} port {port}: {clean(exc)}"
        ) from exc
    return ALL_DONE


@shell.command()
@click.argument(
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@_json
@click.pass_obj
def status(ours: _run.Shell, /, folder: Path, as_json: bool) -> int:
    """
    Say what the batch in DIR is doing, or has done.
    """
    return report(ours.screen, folder, as_json=as_json)


def _run_now(work: Coroutine[None, None, int]) -> int:
    return asyncio.run(work)
