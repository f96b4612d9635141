"""
The command that runs the simulator as a server of its own.
"""

from __future__ import annotations

import asyncio

from typing import Any

import attrs
import click

from ..simulator import Etas, Settings, Simulator, serve
from ..specs import near
from . import options
from .context import Context
from .exit_codes import ALL_DONE
from .interrupts import until_told
from .names import Word
from .requests import settings_of
from .words import clean


@click.command(
    short_help="Run a local ModelsLab until Ctrl-C.",
    epilog="""
    \b
    Examples:
      modelslab-async simulate --port 8080 --speed 10
      modelslab-async simulate --slots 2 --profile documented
    """,
)
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
    type=options.speed,
    help="Divides every duration; 10 is ten times as fast as the service.",
)
@click.option(
    "--profile",
    type=Word(["classic", "documented"]),
    help="How it says no: with HTTP 200, or as the pages say.",
)
@click.option(
    "--fetch",
    type=Word(["both", "path", "body"]),
    help="Which forms of fetch it serves.",
)
@click.option(
    "--etas",
    type=Word([str(each) for each in Etas]),
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
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False),
    help="Answer with the exchanges captured in this file, and no others.",
)
@click.pass_obj
def simulate(
    context: Context,
    /,
    port: int,
    host: str,
    more: tuple[str, ...],
    replay: str | None,
    **choices: Any,
) -> int:
    """
    Run a local ModelsLab until Ctrl-C; its URL is printed first.

    Set MODELSLAB_BASE_URL to the URL, and MODELSLAB_API_KEY to anything.
    """
    said: dict[str, Any] = settings_of(
        more,
        {name: value for name, value in choices.items() if value is not None},
    )
    known = [field.name for field in attrs.fields(Settings) if field.init]
    for name in said:
        if name not in known:
            raise click.UsageError(
                f"there is no setting {name!r}{near(name, known)}"
            )
    try:
        settings = Settings(**said)
        Simulator(settings, replay=replay)
    except (OSError, TypeError, ValueError) as exc:
        raise click.UsageError(str(exc)) from exc

    def started(simulator: Simulator) -> None:
        context.screen.result(simulator.url)

    try:
        asyncio.run(
            until_told(
                serve(
                    port=port,
                    host=host,
                    started=started,
                    settings=settings,
                    replay=replay,
                )
            )
        )
    except OSError as exc:
        raise click.UsageError(
            f"cannot listen on {host} port {port}: {clean(exc)}"
        ) from exc
    return ALL_DONE
