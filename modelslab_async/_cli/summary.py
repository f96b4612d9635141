"""
What came of a batch, in a few lines: counts, causes, and what to do.
"""

from __future__ import annotations

import shlex

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from .._batch.outcome import Outcome
from ..errors import (
    JobUnfinishedError,
    ModelsLabError,
    OutcomeUnknownError,
    PermissionDeniedError,
)
from ..journal.causes import Cause, cause_of
from ..journal.states import State
from .context import program
from .exit_codes import REFUSED


#: So many causes, and unknown items, are named one by one.
MOST = 20


@attrs.define
class RunTally:
    """
    What came of a batch: counts, and who has to be looked for.
    """

    total: int
    done: int = 0
    failed: int = 0
    images: int = 0
    #: Requests that this run made.
    asked: int = 0
    unknown: list[str] = attrs.field(factory=list)
    #: Failures by cause; those that are unknown or unfinished apart.
    causes: Counter[Cause] = attrs.field(factory=Counter)
    refused: ModelsLabError | None = None

    def count(self, outcome: Outcome) -> None:
        """
        One more.
        """
        self.images += len(outcome.paths)
        error = outcome.error
        if error is None:
            self.done += 1
            return
        if isinstance(error, REFUSED):
            # The account's no, not the item's: it is told once, for all.
            self.refused = error
            if not isinstance(error, PermissionDeniedError):
                return
        self.failed += 1
        if isinstance(error, OutcomeUnknownError):
            self.unknown.append(error.track_id or "?")
        elif not isinstance(error, JobUnfinishedError):
            self.causes[cause_of(error)] += 1


def summary(
    tally: RunTally,
    left: Mapping[State, int],
    *,
    home: Path,
    output: Path,
) -> str:
    """
    The lines.

    Args:
        tally: What came of it.

        left: How many items are in which state.

        home: Where commands are typed.

        output: The folder, as it was typed.
    """
    return "\n".join(_sentences(tally, left, home, output))


def _sentences(
    tally: RunTally, left: Mapping[State, int], home: Path, output: Path
) -> Iterator[str]:
    ended = tally.done + tally.failed
    there = max(0, ended - tally.asked)
    said = f"{tally.done} of {tally.total} done, {tally.failed} failed"
    if ended < tally.total:
        said += f", {tally.total - ended} not asked for"
    if there:
        said += f" ({there} were there, {tally.asked} asked for)"
    yield said
    yield from causes(tally.causes)
    if count := left.get(State.ACCEPTED, 0) + left.get(State.DONE, 0):
        yield (
            f"{count} paid for, and not here yet; run again to fetch "
            + ("it" if count == 1 else "them")
        )
    if tally.unknown:
        yield (
            f"{len(tally.unknown)} unknown: sent, and no answer came; they "
            "may run and be billed, so they are not sent again unless you "
            "say --resubmit-unknown; what they may have become: "
            f"{program()} unknown {shlex.quote(str(output))}"
        )
        yield from first_of(tally.unknown)
    if tally.images:
        yield f"pictures: {home / output / 'images'} ({tally.images})"
        yield f"to look at: {home / output / 'index.html'}"


def causes(found: Mapping[Cause, int]) -> Iterator[str]:
    """
    How many failed of what, the most frequent first.
    """
    ranked = Counter(found).most_common()
    for cause, count in ranked[:MOST]:
        again = " (the next run asks again)"
        if cause.option:
            again = f" (--{cause.option.replace('_', '-')} asks again)"
        yield f"  {count} {cause.state}: {cause.reason}{again}"
    if len(ranked) > MOST:
        rest = sum(count for _, count in ranked[MOST:])
        yield f"  {rest} of {len(ranked) - MOST} other causes"


def first_of(track_ids: list[str]) -> Iterator[str]:
    """
    The first of them, a line each.
    """
    yield from (f"  {track_id}" for track_id in track_ids[:MOST])
    if len(track_ids) > MOST:
        yield f"  … and {len(track_ids) - MOST} more"
