"""
The command that asks for a file of requests.
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings

from collections import deque
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
import attrs
import click

from .._batch.batch import Batch
from .._batch.outcome import Outcome
from .._client import ModelsLab
from ..errors import JobUnfinishedError, OutcomeUnknownError, SpecWarning
from ..results import JSON
from ..specs import Spec, to_dict
from . import options
from .context import Context, Service
from .exit_codes import ACCOUNT, ALL_DONE, FAILED, INTERRUPTED, REFUSED, USAGE
from .input_file import SHOWN, Check, Row, Source
from .interrupts import Interrupts
from .screen import ProgressLine, Screen, excerpt


#: Rows that are read at a time, off the loop.
_ROWS = 64


@click.command()
@click.argument("input", metavar="INPUT")
@options.model
@options.output
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
@options.as_json
@options.simulated
@click.pass_obj
def batch(
    context: Context,
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
    with Source.open(input, sys.stdin, model=model, kind=kind) as source:
        check = source.check()
        if not passed(context.screen, source, check):
            return USAGE
        if dry_run:
            context.screen.result(
                json.dumps(
                    {"requests": check.items, "pictures": check.pictures}
                )
                if as_json
                else f"would ask for {check.items} requests, "
                f"{check.pictures} pictures"
            )
            return ALL_DONE
        warnings.simplefilter("ignore", SpecWarning)
        return asyncio.run(
            _batch(
                context,
                Service(simulate, speed, slots),
                source,
                check,
                context.home / output if as_json else output,
                as_json=as_json,
                **choices,
            )
        )


def passed(screen: Screen, source: Source, check: Check) -> bool:
    """
    Whether there is something to ask for, and no fault; says what is wrong.
    """
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


class SourceSpecs:
    """
    What a source asks for, read off the loop, with its rows' keys in step.
    """

    def __init__(self, source: Source, check: Check) -> None:
        self._source = source
        self._total = check.items
        self._keys: deque[str | None] = deque()

    def __len__(self) -> int:
        return self._total

    async def __aiter__(self) -> AsyncIterator[Spec]:
        rows = self._source.rows()
        while some := await anyio.to_thread.run_sync(_some, rows):
            for row in some:
                self._keys.append(row.item)
                yield row.spec

    def keys(self) -> Iterator[str | None]:
        """
        The key of each spec, once it has been given.
        """
        while True:
            yield self._keys.popleft()


def _some(rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, _ROWS))


@attrs.define
class _Tally:
    """
    What came of a batch: counts, and who has to be looked for.
    """

    done: int = 0
    failed: int = 0
    images: int = 0
    unknown: list[str] = attrs.field(factory=list)
    #: Paid for, and not finished yet.
    unfinished: int = 0

    def count(self, outcome: Outcome) -> None:
        """
        One more.
        """
        self.images += len(outcome.paths)
        if outcome.error is None:
            self.done += 1
            return
        self.failed += 1
        if isinstance(outcome.error, OutcomeUnknownError):
            self.unknown.append(outcome.error.track_id or "?")
        elif isinstance(outcome.error, JobUnfinishedError):
            self.unfinished += 1


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
    screen, tally = context.screen, _Tally()
    specs = SourceSpecs(source, check)
    async with (
        service.lab() as lab,
        lab.batch(
            specs,
            output=output,
            items=specs.keys() if check.keyed else None,
            **choices,
        ) as running,
    ):
        interrupts = Interrupts(context, running.stop, context.go_on)
        with interrupts.watched(), screen.bars(check.items):
            looking = asyncio.create_task(_look(screen, lab, running, check))
            try:
                async for outcome in running:
                    tally.count(outcome)
                    _tell(screen, outcome, output, as_json=as_json)
                    if screen.unread and running.progress.in_flight:
                        running.stop()
            finally:
                looking.cancel()
        stopped = running.stopped
    screen.say(_summary(tally, check, output, context.home))
    if tally.done == check.items and not interrupts.told:
        return ALL_DONE
    if interrupts.told or screen.unread:
        screen.say(context.go_on())
        return INTERRUPTED
    if stopped is not None:
        screen.say(f"stopped early: {stopped}")
        screen.say(context.go_on())
        return ACCOUNT if isinstance(stopped, REFUSED) else FAILED
    return FAILED


async def _look(
    screen: Screen, lab: ModelsLab, running: Batch, check: Check
) -> None:
    while True:
        await asyncio.sleep(screen.pause)
        now, stats = running.progress, lab.stats()
        screen.show(
            ProgressLine(
                total=check.items,
                done=now.done,
                failed=now.failed,
                in_flight=now.in_flight,
                waiting=max(
                    0, check.items - now.done - now.failed - now.in_flight
                ),
                slots=(stats.slots_held, stats.slots),
                rate=now.rate,
                left=now.time_left,
            )
        )


def _tell(
    screen: Screen, outcome: Outcome, output: Path, *, as_json: bool
) -> None:
    if outcome.error is not None:
        name = outcome.item or excerpt(outcome.spec.caption)
        screen.say(
            f"failed: {name}: {type(outcome.error).__name__}: {outcome.error}"
        )
    if as_json:
        screen.result(json.dumps(_facts(outcome)))
        return
    for path in outcome.paths:
        # As the folder was named, though it is known for good by now.
        screen.result(str(output / "images" / path.name))


def _facts(outcome: Outcome) -> dict[str, JSON]:
    error = outcome.error
    generation = outcome.generation
    asked = to_dict(outcome.spec)
    return {
        "index": outcome.index,
        "item": outcome.item,
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


def _summary(tally: _Tally, check: Check, output: Path, home: Path) -> str:
    ended = tally.done + tally.failed
    lines = [
        f"{tally.done} of {check.items} done, {tally.failed} failed"
        + (f", {check.items - ended} not asked for" * (ended < check.items))
    ]
    if tally.unfinished:
        lines.append(
            f"{tally.unfinished} are paid for and not finished; "
            "run again to fetch them"
        )
    if tally.unknown:
        lines.append(
            f"{len(tally.unknown)} unknown: sent, and no answer came; they "
            "may run and be billed, so they are not sent again unless you "
            "say --resubmit-unknown; look for them in your account by their "
            "track_id:"
        )
        lines += [f"  {track_id}" for track_id in tally.unknown]
    lines.append(f"pictures: {home / output / 'images'} ({tally.images})")
    lines.append(f"to look at: {home / output / 'index.html'}")
    return "\n".join(lines)
