"""
The command that says what a batch's folder knows, while it runs and after.

While a batch runs its journal is locked, and ``status.json`` speaks for it;
after that the journal does, also where the process was killed.
"""

from __future__ import annotations

import asyncio
import json
import time

from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from ..errors import JournalError
from ..journal import JournalSummary, SqliteJournal, State
from ..results import JSON
from . import options
from .context import Context
from .input_file import InputError
from .screen import Screen, duration


STATE_WORDS = {
    State.STORED: "saved",
    State.DONE: "finished, and not saved yet",
    State.ACCEPTED: "paid for, and not finished yet",
    State.UNKNOWN: "unknown: sent, and no answer came",
    State.FAILED: "failed",
    State.PLANNED: "not asked for",
}
#: Seconds that the service keeps some links.
_LINKS_LIVE = 86_400.0


@click.command()
@click.argument(
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@options.as_json
@click.pass_obj
def status(context: Context, /, folder: Path, as_json: bool) -> int:
    """
    Say what the batch in DIR is doing, or has done.
    """
    return _report(context.screen, folder, as_json=as_json)


def _report(screen: Screen, folder: Path, *, as_json: bool) -> int:
    """
    Say what the batch in *folder* is doing, or has done.

    Raises:
        JournalError: There is none, or it cannot be read.

        InputError: It runs, and has not said anything yet.
    """
    try:
        found = asyncio.run(SqliteJournal.inspect(folder / "journal.sqlite"))
    except JournalError as exc:
        if exc.reason != "locked":
            raise
        facts: Mapping[str, JSON] = {"running": True, **_said(folder)}
        lines = ["running", *_said_lines(facts)]
    else:
        counts = dict(found.counts)
        # Nobody is asking any more: so the next start will find it.
        cut = counts.pop(State.SUBMITTING, 0)
        counts[State.UNKNOWN] = counts.get(State.UNKNOWN, 0) + cut
        age = None if found.oldest is None else time.time() - found.oldest
        facts = {
            "running": False,
            "states": {
                state.name.lower(): count for state, count in counts.items()
            },
            "unknown": list(found.unknown),
            "oldest_age": age,
        }
        lines = ["not running", *_counted(counts, found, age)]
    if as_json:
        screen.result(json.dumps(facts))
    else:
        for line in lines:
            screen.result(line)
    return 0


def _counted(
    counts: Mapping[State, int], found: JournalSummary, age: float | None
) -> Iterator[str]:
    for state, words in STATE_WORDS.items():
        if count := counts.get(state, 0):
            yield f"{count} {words}"
    yield from (f"  unknown: {track_id}" for track_id in found.unknown)
    if age is not None:
        yield (
            f"the oldest result that is not saved was asked for "
            f"{duration(age)} ago"
            + ("; its links may be gone" if age > _LINKS_LIVE else "")
        )


def _said(folder: Path) -> dict[str, JSON]:
    try:
        said = json.loads((folder / "status.json").read_bytes())
    except (OSError, ValueError) as exc:
        raise InputError(
            f"the batch in {folder} runs, and has not said anything yet"
        ) from exc
    return said if isinstance(said, dict) else {}


def _said_lines(facts: Mapping[str, JSON]) -> Iterator[str]:
    """
    Each fact on a line, whatever the facts are.
    """
    for name, value in facts.items():
        words = name.replace("_", " ")
        if name == "running" or value is None or value in ([], {}):
            continue
        if isinstance(value, dict):
            yield from _said_lines(value)
        elif isinstance(value, list):
            yield from (f"  {words}: {each}" for each in value)
        elif isinstance(value, float):
            yield f"{words}: {value:.1f}"
        else:
            yield f"{words}: {value}"
