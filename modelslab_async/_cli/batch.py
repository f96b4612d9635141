"""
The command that asks for a file of requests.
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings

from pathlib import Path
from typing import Any

import attrs
import click

from anyio.to_thread import run_sync

from .._batch.batch import Batch
from .._batch.outcome import Outcome
from .._client import ModelsLab
from ..errors import JournalError, ModelNotFoundError, SpecWarning
from ..journal.sqlite import SqliteJournal
from ..journal.states import State
from ..results import JSON
from ..specs import SPECS, to_dict
from . import options
from .arguments import PicturesCommand
from .context import Context, Service
from .dry_run import dry_run as run_dry
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
from .input_file import Check, Source
from .interrupts import Interrupts
from .model_names import model_meant
from .progress import ProgressLine, TimeLeft
from .requests import WITH_PICTURE
from .screen import Screen
from .source_specs import SourceSpecs, passed
from .summary import RunTally, summary
from .usual import Usual
from .words import as_typed, excerpt


#: What the same command does something about.
_GOES_ON = (State.PLANNED, State.ACCEPTED, State.DONE)


@click.command(
    cls=PicturesCommand,
    short_help="Ask for everything in a file, or go on with it.",
    epilog=f"""
    \b
    Examples:
      modelslab-async batch prompts.txt --simulate -o pictures
      modelslab-async batch rows.jsonl --slots 10 --max-images 500
      modelslab-async batch photos.csv -e {WITH_PICTURE} --image style.png
      modelslab-async batch prompts.txt --resubmit-failed
    """
    + EXIT_CODES,
)
@options.input_
@options.endpoint
@options.images
@options.model
@options.output
@options.kind
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
@options.resubmit_unknown
@options.resubmit_failed
@options.new_key
@options.as_json
@options.talk
@options.service
@click.pass_obj
def batch(
    context: Context,
    /,
    input: str,  # noqa: A002
    endpoint: str,
    images: tuple[str, ...],
    model: str | None,
    output: Path,
    kind: Any,
    slots: int | None,
    dry_run: bool,
    as_json: bool,
    service: Service,
    **choices: Any,
) -> int:
    """
    Ask for everything in INPUT; run again, it takes up where it stopped.

    INPUT is a file of prompts, one a line (.txt, # begins a comment), or of
    requests (.jsonl, .csv with field names in its first line); - is stdin.
    A field `item` is your own name for a line: it ties the line to its
    pictures when you edit the file and run again.
    """
    if input == "-" and sys.stdin is not None and sys.stdin.isatty():
        context.screen.say("prompts, one a line; Ctrl-D ends them")
    with Source.open(
        input,
        sys.stdin,
        Usual(SPECS[endpoint], model, images, context.home),
        kind=kind,
    ) as source:
        check = source.check()
        if not passed(context.screen, source, check):
            return USAGE
        service = attrs.evolve(service, slots=slots)
        warnings.simplefilter("ignore", SpecWarning)
        if dry_run:
            return run_dry(
                context,
                service,
                source,
                output,
                as_json=as_json,
                choices=choices,
            )
        return asyncio.run(
            _batch(
                context,
                service,
                source,
                check,
                output,
                as_json=as_json,
                **choices,
            )
        )


async def _batch(
    context: Context,
    service: Service,
    source: Source,
    check: Check,
    output: Path,
    *,
    as_json: bool,
    **choices: Any,
) -> int:
    """
    Ask for every row of *source*; say how it goes, and what came of it.
    """
    screen, tally = context.screen, RunTally(check.items)
    specs = SourceSpecs(source, check)
    async with service.lab(screen) as lab:
        running = lab.batch(
            specs,
            output=output,
            items=specs.keys() if check.keyed else None,
            **choices,
        )
        interrupts = Interrupts(context, running.stop, context.go_on)
        async with running:
            with interrupts.watched(), screen.bars():
                looking = asyncio.create_task(
                    _look(screen, lab, running, tally, interrupts)
                )
                try:
                    async for outcome in running:
                        tally.count(outcome)
                        await _tell_failure(screen, outcome)
                        _tell(screen, outcome, output, as_json=as_json)
                        if screen.unread and running.progress.in_flight:
                            running.stop()
                finally:
                    looking.cancel()
            stopped = running.stopped
        tally.asked = running.progress.asked
    left = await _states(output)
    screen.say(summary(tally, left, home=context.home, output=output))
    if tally.done == check.items and not interrupts.told:
        return ALL_DONE
    stopped = tally.refused or stopped
    refused = isinstance(stopped, REFUSED)
    if screen.unread and not interrupts.told:
        screen.say("nobody reads the results any more; stopped asking")
    if stopped is not None and not interrupts.told:
        why = "the account says no" if refused else "stopped early"
        screen.warn(f"{why}: {as_typed(stopped)}{why_perhaps(stopped)}")
    cut_short = interrupts.told or screen.unread
    if cut_short or stopped is not None or any(map(left.get, _GOES_ON)):
        screen.say(context.go_on())
    if cut_short:
        return INTERRUPTED
    return ACCOUNT if refused else FAILED


async def _states(output: Path) -> dict[State, int]:
    """
    How many items are in which state, as the journal has it now.
    """
    try:
        look = await SqliteJournal.inspect(output / "journal.sqlite")
    except JournalError:
        return {}
    return dict(look.counts)


async def _look(
    screen: Screen,
    lab: ModelsLab,
    running: Batch,
    tally: RunTally,
    interrupts: Interrupts,
) -> None:
    time_left, clock = TimeLeft(), asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(screen.pause)
        now, stats = running.progress, lab.stats()
        waiting = max(0, tally.total - now.done - now.failed - now.in_flight)
        # What was stopped asks for nothing more.
        waiting = 0 if interrupts.told or running.stopped else waiting
        screen.show(
            ProgressLine(
                total=tally.total,
                done=now.done,
                failed=now.failed,
                in_flight=now.in_flight,
                waiting=waiting,
                slots=(stats.slots_held, stats.slots),
                rate=now.rate or None,
                left=time_left.estimate(
                    waiting=waiting,
                    in_flight=now.in_flight,
                    rate=now.rate,
                    now=clock(),
                ),
                waiting_for=now.waiting_for,
            )
        )


async def _tell_failure(screen: Screen, outcome: Outcome) -> None:
    """
    Say what failed, but for the account's no, which is told once.
    """
    error = outcome.error
    if error is None or isinstance(error, REFUSED):
        return
    name = outcome.item or excerpt(outcome.spec.caption)
    hint = why_perhaps(error)
    if isinstance(error, ModelNotFoundError):
        hint = await run_sync(model_meant, error, outcome.spec)
    screen.warn(f"failed: {name}: {type(error).__name__}: {error}{hint}")


def _tell(
    screen: Screen, outcome: Outcome, output: Path, *, as_json: bool
) -> None:
    if as_json:
        screen.result(json.dumps(_outcome_facts(outcome)))
        return
    for path in outcome.paths:
        # As the folder was named, though it is known for good by now.
        screen.result(str(output / "images" / path.name))


def _outcome_facts(outcome: Outcome) -> dict[str, JSON]:
    error = outcome.error
    generation = outcome.generation
    asked = to_dict(outcome.spec)
    return {
        "index": outcome.index,
        "item": outcome.item,
        "endpoint": asked["endpoint"],
        "prompt": asked.get("prompt"),
        "model_id": asked.get("model_id"),
        "track_id": outcome.track_id,
        "job_id": outcome.job_id,
        "seed": None if generation is None else generation.seed,
        "paths": [str(path) for path in outcome.paths],
        "error": None
        if error is None
        else {"type": type(error).__name__, "message": str(error)},
    }
