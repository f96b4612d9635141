"""
The shell: a file for each command, and what all of them share.

Its exit codes are in `exit_codes`, and in docs/shell.md.
"""

from __future__ import annotations

import sys
import warnings

from collections.abc import Sequence

import click

from .._version import __version__
from ..errors import (
    ConfigurationError,
    JournalError,
    ModelsLabError,
    SpecError,
)
from . import (
    batch,
    catalogue,
    cluster,
    doctor,
    generate,
    simulate,
    status,
    unknown,
)
from .context import PROGRAM, Context
from .environment import why_perhaps
from .exit_codes import (
    ACCOUNT,
    ALL_DONE,
    EXIT_CODES,
    FAILED,
    INTERRUPTED,
    REFUSED,
    USAGE,
)
from .input_file import InputError
from .names import Commands, no_such_option
from .screen import Screen
from .streams import begin, finish


def run(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:
        arguments: Without the program's name; None takes the process's own.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    begin()
    stdout = sys.stdout
    screen = Screen()
    try:
        return _run(screen, tuple(arguments))
    except SystemExit:
        # Click ends so, and puts another stdout there, where nobody reads its
        # pages to their end.
        if sys.stdout is stdout:
            raise
        return ALL_DONE
    finally:
        finish()


def _run(screen: Screen, arguments: tuple[str, ...]) -> int:
    try:
        with screen.logs(), warnings.catch_warnings():
            found = shell.main(
                list(arguments),
                prog_name=PROGRAM,
                standalone_mode=False,
                obj=Context(screen, arguments),
            )
        return found if isinstance(found, int) else ALL_DONE
    except click.ClickException as exc:
        screen.warn(_usage(exc))
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        screen.warn("interrupted")
        return INTERRUPTED
    except REFUSED as exc:
        screen.warn(f"the account says no: {exc}{why_perhaps(exc)}")
        return ACCOUNT
    except (
        ConfigurationError,
        InputError,
        JournalError,
        SpecError,
        ImportError,
    ) as exc:
        screen.warn(f"{PROGRAM}: {exc}")
        return USAGE
    except ModelsLabError as exc:
        screen.warn(f"{type(exc).__name__}: {exc}{why_perhaps(exc)}")
        return FAILED
    except BrokenPipeError:
        raise
    except OSError as exc:
        # Help and lists are written by others.
        what = exc.strerror if exc.filename is None else None
        screen.warn(f"{PROGRAM}: {what or exc}")
        return FAILED


def _usage(exc: click.ClickException) -> str:
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        return exc.format_message()
    context = exc.ctx if isinstance(exc, click.UsageError) else None
    said = exc.format_message()
    if isinstance(exc, click.NoSuchOption):
        said = no_such_option(exc.option_name, context)
    lines = [f"error: {said}"]
    if context is not None:
        lines.append(context.get_usage())
        lines.append(f"more: {context.command_path} --help")
    return "\n".join(lines)


@click.group(
    cls=Commands,
    epilog="""
    \b
    Try it, without a key or a cent:
      modelslab-async generate "a red fox in fresh snow" --simulate
    """
    + EXIT_CODES
    + """
    \b
    Completion, for bash (or zsh, fish):
      eval "$(_MODELSLAB_ASYNC_COMPLETE=bash_source modelslab-async)"
    """,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 79,
    },
)
@click.version_option(__version__, prog_name=PROGRAM)
def shell() -> None:
    """
    Pictures from prompts and pictures, by the ModelsLab API.

    The key is read from MODELSLAB_API_KEY; --simulate needs none.
    MODELSLAB_BASE_URL names another service, MODELSLAB_PROXY a proxy.
    """


for _command in (
    generate.generate,
    batch.batch,
    cluster.cluster,
    generate.fetch,
    status.status,
    unknown.unknown,
    catalogue.endpoints,
    catalogue.models,
    doctor.doctor,
    simulate.simulate,
):
    shell.add_command(_command)
