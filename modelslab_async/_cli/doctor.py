"""
The command that tries the service with a key, and says what differs from what
this library assumes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import IO, cast

import attrs
import click

from rich.console import Console
from rich.text import Text

from .._client import url_asked
from .._engine.api_key import ApiKey
from ..simulator import Simulator
from . import options
from .assumptions import Finding, Verdict
from .capture import write_capture
from .context import Context, Service
from .examination import Examination
from .exit_codes import ALL_DONE, FAILED
from .input_file import InputError
from .screen import Screen
from .streams import Forgiving
from .words import clean, wrapped


@click.command(
    short_help="Try the service with your key.",
    epilog="""
    \b
    Examples:
      modelslab-async doctor
      modelslab-async doctor --simulate --spend --speed 10
      modelslab-async doctor --capture report.jsonl

    \b
    Exit codes: 0 all is as this library assumes, 1 something differs or could
    not be tried, 2 wrong usage, or no key.
    """,
)
@click.option(
    "--spend",
    is_flag=True,
    help="Also upload one pixel and ask for one smallest picture, which is "
    "paid for.",
)
@click.option(
    "--capture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write every exchange into FILE, without the key: for a bug report.",
)
@options.as_json
@options.talk
@options.service
@click.pass_obj
def doctor(
    context: Context,
    /,
    *,
    spend: bool,
    capture: Path | None,
    as_json: bool,
    service: Service,
) -> int:
    """
    Try the service with your key, and say what is not as it should be.

    What costs nothing is tried first: configuration, name and certificate,
    key and balance, jobs under way, the list of models, a request that is
    wrong on purpose, and both forms of fetch.
    """
    screen = context.screen
    if capture is not None:
        try:
            # Before anything is paid for.
            write_capture(capture, ())
        except OSError as exc:
            raise InputError(
                f"cannot write {str(capture)!r}: {exc.strerror or exc}"
            ) from exc
    found, examination = asyncio.run(_examined(screen, service, spend=spend))
    if as_json:
        for finding in found:
            screen.result(json.dumps(attrs.asdict(finding)))
    else:
        _print(screen, found)
    if capture is not None:
        write_capture(capture, examination.exchanges)
        screen.say(
            f"{len(examination.exchanges)} exchanges are in {capture}, "
            "without the key; prompts and links are in it"
        )
    screen.say(_in_all(found))
    return FAILED if any(map(_is_bad, found)) else ALL_DONE


async def _examined(
    screen: Screen, service: Service, *, spend: bool
) -> tuple[list[Finding], Examination]:
    async with _whom(service) as examination:
        found = []
        with screen.working() as line:
            line.say("trying the service")
            async for finding in examination.run(spend=spend):
                found.append(finding)
                line.say(f"{finding.step}: {finding.verdict}; next")
        return found, examination


@asynccontextmanager
async def _whom(service: Service) -> AsyncIterator[Examination]:
    async with AsyncExitStack() as stack:
        if service.simulate:
            simulator = Simulator(speed=service.speed)
            await stack.enter_async_context(simulator)
            url, key = simulator.url, ApiKey("simulated")
        else:
            url = url_asked()
            key = ApiKey(os.environ.get("MODELSLAB_API_KEY") or "")
        examination = Examination.of(url, key, service)
        stack.push_async_callback(examination.aclose)
        yield examination


# For people


_COLOURS = {
    Verdict.FINE: "green",
    Verdict.DIFFERS: "bold yellow",
    Verdict.FAILED: "bold red",
    Verdict.SKIPPED: "dim",
}
#: As wide as the longest verdict, and a gap.
_INDENT = 2 + max(map(len, Verdict))


def _print(screen: Screen, found: Iterable[Finding]) -> None:
    console = Console(
        file=cast("IO[str]", Forgiving(sys.stdout)),
        markup=False,
        highlight=False,
        emoji=False,
    )
    shown = console.is_terminal
    for verdict, line in lines_of(found, console.width if shown else None):
        if shown:
            text = Text(line)
            if verdict is not None:
                text.stylize(_COLOURS[verdict], 0, _INDENT)
            console.print(text, soft_wrap=True)
        else:
            screen.result(line)


def lines_of(
    found: Iterable[Finding], width: int | None
) -> Iterator[tuple[Verdict | None, str]]:
    """
    Findings as lines, each with the verdict that it begins with, if any.

    Args:
        found: What failed alike is told together, its cause once.

        width:
            Columns of a terminal: what is longer is wrapped between words,
            and what was found has lines of its own.  None: a line a finding.
    """
    head = "what: what we assume", "what we found"
    yield from _lines_of_one(None, *head, width)
    for one in _by_cause(found):
        said = f"{one.step}: {one.assumption}"
        yield from _lines_of_one(one.verdict, said, clean(one.found), width)


def _lines_of_one(
    verdict: Verdict | None, assumed: str, found: str, width: int | None
) -> Iterator[tuple[Verdict | None, str]]:
    begin = f"{verdict or '':{_INDENT}}"
    if width is None:
        yield verdict, f"{begin}{assumed}; {found}"
        return
    further = " " * (_INDENT + 2)
    for text, indent in ((assumed, begin), (found, further)):
        for line in wrapped(text, width, first=indent, further=further):
            yield verdict, line
            verdict = None


def _by_cause(found: Iterable[Finding]) -> list[Finding]:
    """
    The findings, those that failed for one cause as one.
    """
    told: dict[object, Finding] = {}
    for one in found:
        failed = one.verdict is Verdict.FAILED
        key: object = (one.assumption, one.found) if failed else id(one)
        known = told.get(key, one)
        if known is not one:
            known = attrs.evolve(known, step=f"{known.step}, {one.step}")
        told[key] = known
    return list(told.values())


def _is_bad(finding: Finding) -> bool:
    return finding.verdict in {Verdict.DIFFERS, Verdict.FAILED}


def _in_all(found: Iterable[Finding]) -> str:
    count = Counter(one.verdict for one in found)
    differs, failed = count[Verdict.DIFFERS], count[Verdict.FAILED]
    if not (differs or failed):
        return "all is as this library assumes"
    said = []
    if differs:
        verb = "is" if differs == 1 else "are"
        said.append(f"{differs} {verb} not as this library assumes")
    if failed:
        said.append(f"{failed} could not be tried")
    return f"of {count.total()}, {' and '.join(said)}"
