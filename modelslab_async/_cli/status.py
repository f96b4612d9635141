"""
The command that says what a batch's folder knows, while it runs and after.

While a batch runs its journal is locked, and ``status.json`` speaks for it;
after that the journal does, also where the process was killed.  Both say the
same in the same words.
"""

from __future__ import annotations

import asyncio
import json
import time

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import click

from ..errors import JournalError
from ..journal.causes import Cause
from ..journal.sqlite import SqliteJournal
from ..journal.states import State
from ..results import JSON
from . import options
from .context import Context
from .exit_codes import ALL_DONE
from .input_file import InputError
from .summary import causes, first_of
from .words import as_typed, duration


STATE_WORDS = {
    State.STORED: "saved",
    State.DONE: "finished, and not saved yet",
    State.ACCEPTED: "paid for, and not finished yet",
    State.SUBMITTING: "being asked for now",
    State.UNKNOWN: "unknown: sent, and no answer came",
    State.FAILED: "failed",
    State.PLANNED: "not asked for",
}
#: Seconds that the service keeps some links.
_LINKS_LIVE = 86_400.0


@click.command(
    short_help="Say how a batch stands.",
    epilog="""
    \b
    Example:
      modelslab-async status pictures

    \b
    Exit codes: 0 it is said, whatever it is; 2 there is no batch, or it
    cannot be read.
    """,
)
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
    stand = _stand_of(folder)
    if as_json:
        context.screen.result(json.dumps(stand.facts()))
    else:
        for line in stand.lines():
            context.screen.result(line)
    return ALL_DONE


@attrs.frozen
class _Stand:
    """
    How a batch stands.

    Attributes:
        now: What a running batch says besides, for one line.
    """

    running: bool
    counts: Mapping[State, int]
    unknown: list[str]
    failures: Mapping[Cause, int]
    oldest_age: float | None
    stopped: str | None = None
    now: tuple[str, ...] = ()

    def facts(self) -> dict[str, JSON]:
        """
        All of it, for programs.
        """
        return {
            "running": self.running,
            "states": {
                state.name.lower(): count
                for state, count in self.counts.items()
            },
            "unknown": list(self.unknown),
            "failures": [
                attrs.asdict(cause) | {"count": count}
                for cause, count in self.failures.items()
            ],
            "oldest_age": self.oldest_age,
            "stopped": self.stopped,
        }

    def lines(self) -> Iterator[str]:
        """
        All of it, for people.
        """
        yield "running" if self.running else "not running"
        if self.now:
            yield ", ".join(self.now)
        if self.stopped:
            yield f"stopped early: {as_typed(self.stopped)}"
        for state, words in STATE_WORDS.items():
            count = self.counts.get(state, 0)
            if not count:
                continue
            yield f"{count} {words}"
            if state is State.UNKNOWN:
                yield from first_of(self.unknown)
            if state is State.FAILED:
                yield from causes(self.failures)
        if self.oldest_age is not None:
            yield (
                "the oldest result that is not saved was asked for "
                f"{duration(self.oldest_age)} ago"
                + (
                    "; its links may be gone"
                    if self.oldest_age > _LINKS_LIVE
                    else ""
                )
            )


def _stand_of(folder: Path) -> _Stand:
    """
    How the batch in *folder* stands.

    Raises:
        JournalError: Its journal cannot be read.

        InputError: There is none, or it has not said anything yet.
    """
    journal = batch_journal(folder)
    said = _said(folder)
    try:
        look = asyncio.run(SqliteJournal.inspect(journal))
    except JournalError as exc:
        if exc.reason != "locked":
            raise
        if said is None:
            raise InputError(
                f"the batch in {str(folder)!r} runs, and has not said "
                "anything yet"
            ) from exc
        return _running(said)
    counts = dict(look.counts)
    # Nobody is asking any more: so the next start will find it.
    counts[State.UNKNOWN] += counts[State.SUBMITTING]
    counts[State.SUBMITTING] = 0
    return _Stand(
        running=False,
        counts=_with_the_rest(counts, said),
        unknown=list(look.unknown),
        failures=look.failures,
        oldest_age=None if look.oldest is None else time.time() - look.oldest,
        stopped=_words_of((said or {}).get("stopped")),
    )


def batch_journal(folder: Path) -> Path:
    """
    The journal of the batch in *folder*.

    Raises:
        InputError: There is none.
    """
    journal = folder / "journal.sqlite"
    if not journal.exists():
        raise InputError(f"there is no batch in {str(folder)!r}")
    return journal


def _running(said: dict[str, Any]) -> _Stand:
    found = said.get("states") or {}
    counts = {state: found.get(state.name.lower(), 0) for state in State}
    now = []
    if said.get("rate"):
        now.append(f"{said['rate'] * 60:.1f} a minute")
    if said.get("time_left") is not None:
        now.append(f"{duration(said['time_left'])} left")
    if said.get("slots"):
        now.append(f"{said.get('slots_held', 0)} of {said['slots']} slots")
    if said.get("waiting_for"):
        now.append(f"waiting for {said['waiting_for']}")
    return _Stand(
        running=True,
        counts=_with_the_rest(counts, said),
        unknown=[str(each) for each in said.get("unknown") or ()],
        failures={
            Cause(each["state"], each["reason"], each["option"]): each["count"]
            for each in said.get("failures") or ()
            if each["state"] == "failed"
        },
        oldest_age=said.get("oldest_age"),
        stopped=_words_of(said.get("stopped")),
        now=tuple(now),
    )


def _with_the_rest(
    counts: dict[State, int], said: dict[str, Any] | None
) -> dict[State, int]:
    """
    With what was not even read from the input: the journal knows none of it.
    """
    total = (said or {}).get("total")
    if isinstance(total, int):
        known = sum(counts.values()) - counts.get(State.PLANNED, 0)
        counts[State.PLANNED] = max(
            counts.get(State.PLANNED, 0), total - known
        )
    return counts


def _said(folder: Path) -> dict[str, Any] | None:
    try:
        said = json.loads((folder / "status.json").read_bytes())
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def _words_of(said: object) -> str | None:
    return said if isinstance(said, str) else None
