"""
The laws that hold in any storm: what was paid for, by the books of the
service, against all that a client said of it, and what it holds.
"""

from __future__ import annotations

import json
import logging

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from modelslab_async import (
    Batch,
    Generation,
    Job,
    JobState,
    ModelsLab,
    Outcome,
    events,
)
from modelslab_async._policy.tickets import Standing, Ticket
from modelslab_async.errors import (
    ClientClosedError,
    DownloadError,
    GenerationFailedError,
    JobError,
    JobUnfinishedError,
    ModelsLabError,
    OutcomeUnknownError,
    UnsafeUrlError,
)
from modelslab_async.journal import Entry, State
from modelslab_async.simulator import Books
from modelslab_async.simulator import Entry as Submit


@attrs.define(eq=False)
class Call:
    """
    A call of one job beside the batches, and what came of it.
    """

    prompt: str
    result: Generation | BaseException | Job | None = None


@attrs.define(eq=False)
class Run:
    """
    A batch from its beginning to when it was left, and its outcomes.

    Attributes:
        name: What its prompts begin with.

        since: How many submits there had been before.

        whole: All outcomes were taken that it would give; *until* how many
            submits there had been then.

        most: How many jobs it may have bought, if that was bounded.
    """

    name: str
    batch: Batch
    since: int
    awaited: bool = False
    whole: bool = False
    until: int = 0
    most: int | None = None
    outcomes: list[Outcome] = attrs.field(factory=list)


@attrs.define(eq=False)
class Told(logging.Handler):
    """
    Everything that a client said, by whatever way.

    What changes: it grows.
    """

    calls: list[Call] = attrs.field(factory=list)
    runs: list[Run] = attrs.field(factory=list)
    handles: list[str] = attrs.field(factory=list)
    pictures: list[Generation] = attrs.field(factory=list)
    events: list[events.Event] = attrs.field(factory=list)
    lines: list[str] = attrs.field(factory=list)
    faults: list[str] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if record.exc_info:
            line += "\n" + logging.Formatter().formatException(record.exc_info)
        self.lines.append(line)


# At any moment


def slots_fault(lab: ModelsLab) -> Iterator[str]:
    """
    Slots held are those of jobs that are watched, of requests under way, and,
    for a while, of requests that got no verdict.
    """
    rooms = lab._lifetime.rooms
    if rooms is None or rooms.runtime.closed:
        return
    stats, slots = lab.stats(), rooms.queue.slots
    watched = [job._watch.ticket for job in rooms.poller.jobs()]
    asking = [one.ticket for one in rooms.submitter.under_way]
    holding = [
        ticket
        for ticket in (*watched, *asking)
        if ticket is not None and _holds(ticket)
    ]
    unaccounted = slots.held - len(holding)
    if len(holding) != len(set(map(id, holding))):
        yield "two jobs hold one slot"
    if not 0 <= unaccounted <= stats.unknown:
        yield (
            f"{slots.held} slots are held, {len(holding)} by jobs and "
            f"requests; {stats.unknown} were unknown; {lab!r} {lab.jobs()}"
        )
    if any(ticket is not None and not _holds(ticket) for ticket in watched):
        yield "a watched job has given its slot away"


def _holds(ticket: Ticket) -> bool:
    return ticket.standing in {Standing.ASKING, Standing.RUNNING}


def idle_fault(lab: ModelsLab) -> Iterator[str]:
    """
    When all is over nothing is watched, nothing waits, and no slot is held.
    """
    stats = lab.stats()
    if lab.jobs():
        yield f"never finished: {lab.jobs()}"
    if stats.waiting:
        yield f"{stats.waiting} still wait in a queue without anybody"
    if stats.slots_held:
        yield f"{stats.slots_held} slots are held for nothing"


# At the end


@attrs.frozen
class Ends:
    """
    How it ended.

    Attributes:
        books: The service's.

        told: What was said.

        journals: By what the prompts of their items begin with.

        again: How often a job that failed may have been bought again.
    """

    books: Books
    told: Told
    journals: Mapping[str, Sequence[Entry]]
    again: int = 0

    def faults(self) -> Iterator[str]:
        """
        What does not hold.
        """
        yield from self.told.faults
        yield from _bugs(self.told.lines)
        for name, entries in self.journals.items():
            yield from journal_faults(
                name,
                entries,
                self.books,
                again=8 * self.again,
                heard={
                    outcome.job_id
                    for run in self.told.runs
                    for outcome in run.outcomes
                    if isinstance(outcome.error, GenerationFailedError)
                }
                if self.again
                else (),
            )
        for run in self.told.runs:
            yield from self._run(run)
        for call in self.told.calls:
            yield from self._call(call)
        yield from self._untold()
        yield from self._unheard()
        yield from self._ends()

    def _run(self, run: Run) -> Iterator[str]:
        """
        Each item has one outcome, and none that was bought has none.
        """
        told = Counter(outcome.index for outcome in run.outcomes)
        for index, times in told.items():
            if times > 1:
                yield f"{run.name} {index} has {times} outcomes in one run"
        bought = self._bought(run)
        alone = not any(
            other is not run
            and other.name == run.name
            and other.since <= run.until
            and run.since <= (other.until or run.until)
            for other in self.told.runs
        )
        if alone and run.most is not None and len(bought) > run.most:
            yield f"{run.name}: {len(bought)} bought, {run.most} allowed"

    def _bought(self, run: Run) -> list[Submit]:
        """
        What was bought under its name while it ran; maybe by another run.
        """
        return [
            one
            for one in self.books.entries[run.since : run.until]
            if one.job_id is not None and _prompt(one).startswith(run.name)
        ]

    def _untold(self) -> Iterator[str]:
        """
        What was bought while all who may have bought it told all they had
        is in what one of them told.
        """
        runs = self.told.runs
        for at, one in enumerate(self.books.entries):
            prompt = _prompt(one)
            if one.job_id is None:
                continue
            buyers = [
                run
                for run in runs
                if prompt.startswith(run.name)
                and run.since <= at
                and (at < run.until or not run.whole)
            ]
            told = [
                outcome.spec.caption
                for run in buyers
                for outcome in run.outcomes
            ]
            whole = buyers and all(run.whole for run in buyers)
            if whole and prompt not in told:
                yield f"{prompt!r}, job {one.job_id}, has no outcome: {buyers}"

    def _call(self, call: Call) -> Iterator[str]:
        """
        Whoever asked knows whether it was paid for.
        """
        bought = [
            one for one in self.books.accepted if _prompt(one) == call.prompt
        ]
        result = call.result
        if len(bought) > 1 + self.again:
            yield f"{call.prompt!r} was bought {len(bought)} times"
        if result is None:
            yield f"{call.prompt!r} never came back"
        if not bought:
            if isinstance(result, Generation | Job):
                yield f"{call.prompt!r} has pictures that nobody paid for"
            return
        if isinstance(result, JobUnfinishedError):
            unsent = not result.sent
        else:
            # An account that is refused is told to those who wait for jobs.
            unsent = (
                isinstance(result, ModelsLabError)
                and not isinstance(result, JobError | OutcomeUnknownError)
                and getattr(result, "job_id", None) is None
            )
        if unsent:
            yield f"{call.prompt!r} was paid, its caller was told {result!r}"

    def _unheard(self) -> Iterator[str]:
        """
        What was paid for is in a journal, or was told by its name.
        """
        names = set[str | None]()
        for event in self.told.events:
            match event:
                case events.JobFinished(job_id=job_id):
                    if event.state is not JobState.UNFINISHED:
                        names |= {job_id, event.track_id}
                case events.OutcomeUnknown():
                    names.add(event.track_id)
        for entries in self.journals.values():
            for entry in entries:
                if entry.state is not State.PLANNED:
                    names |= {entry.job_id, entry.track_id}
        said = "\n".join(self.told.lines)
        for one in self.books.accepted:
            if (
                not {str(one.job_id), one.track_id} & names
                and f"job {one.job_id} " not in said
                and f"track_id {one.track_id}" not in said
            ):
                yield f"job {one.job_id}, {_prompt(one)!r}, is lost"

    def _ends(self) -> Iterator[str]:
        """
        A job ends once, unless it is taken up again.
        """
        ended = set[str]()
        for event in self.told.events:
            match event:
                case events.JobResumed(job_id=str(job_id)):
                    ended.discard(job_id)
                case events.JobFinished(job_id=str(job_id)) if (
                    event.state is not JobState.UNFINISHED
                ):
                    if job_id in ended:
                        yield f"job {job_id} ended twice"
                    ended.add(job_id)


def _bugs(lines: Iterable[str]) -> Iterator[str]:
    """
    What is never to be said; the last three by asyncio.
    """
    for line in lines:
        if any(
            words in line
            for words in (
                " bug",
                "IllegalMove",
                "destroyed but it is pending",
                "was never retrieved",
                "in callback",
            )
        ):
            yield line


def journal_faults(
    name: str,
    entries: Sequence[Entry],
    books: Books,
    *,
    again: int = 0,
    heard: Collection[str | None] = (),
) -> Iterator[str]:
    """
    Each item that was paid for has one end in its journal, and is paid once.

    Args:
        name: What the prompts of its items begin with.

        entries: All items.

        books: The service's.

        again: How often an item may have been bought again in all, as its
            job had failed.

        heard: Jobs that are known to have failed.
    """
    bought = defaultdict[tuple[str, object], list[Submit]](list)
    for one in books.accepted:
        if _prompt(one).startswith(name):
            bought[_prompt(one), one.spec.get("seed")].append(one)
    by_name: dict[str | None, Entry] = {
        known: entry for entry in entries for known in _names(entry)
    }
    for (prompt, _), ones in bought.items():
        one = ones[-1]
        entry = by_name.get(str(one.job_id)) or by_name.get(one.track_id)
        if len(ones) > 1 + again:
            yield f"{prompt!r} was bought {len(ones)} times"
        elif entry is None:
            if str(one.job_id) not in heard:
                yield f"{prompt!r}, job {one.job_id}, is not in the journal"
        elif entry.state in {State.PLANNED, State.SUBMITTING, State.ACCEPTED}:
            yield f"{prompt!r} was bought, and is {entry.state.name} at last"
        elif entry.state is State.FAILED and not isinstance(
            entry.error, JobError | DownloadError | OutcomeUnknownError
        ):
            yield f"{prompt!r} was bought, and failed by {entry.error!r}"


def _names(entry: Entry) -> set[str]:
    """
    What an item's request, and its job, are called.
    """
    names = {entry.job_id, entry.track_id}
    if isinstance(entry.error, JobError):
        names |= {entry.error.job_id, entry.error.track_id}
    return {name for name in names if name is not None}


def folder_faults(folder: Path, entries: Sequence[Entry]) -> Iterator[str]:
    """
    Each picture of an item is on disk and in the manifest, once, and no part
    of one is there; a whole one may be of an item that failed later.
    """
    stored = Counter(
        f"images/{name}"
        for entry in entries
        if entry.state is State.STORED
        for name in entry.files
    )
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    told = Counter(json.loads(line)["file"] for line in lines)
    there = {f"images/{path.name}" for path in (folder / "images").iterdir()}
    for entry in entries:
        if entry.state is State.STORED and not entry.files:
            yield f"{entry.index} is stored in no files"
    if told != stored:
        yield f"too much in the manifest: {told - stored}"
        yield f"too little in the manifest: {stored - told}"
    if missing := set(stored) - there:
        yield f"not on disk: {missing}"
    whole = {
        f"images/{entry.index:06d}"
        for entry in entries
        if entry.state is not State.STORED
    }
    for stray in there - set(stored):
        if stray.partition("-")[0] not in whole:
            yield f"nobody's: {stray}"


def outcome_faults(
    name: str,
    outcomes: Sequence[Outcome],
    items: int,
    books: Books,
    *,
    saved: bool,
) -> Iterator[str]:
    """
    In fine weather each item has one outcome: its pictures, or a reason that
    is no passing one.
    """
    indices = Counter(outcome.index for outcome in outcomes)
    if len(indices) != items or set(indices.values()) != {1}:
        yield f"{name}: {len(outcomes)} outcomes of {items}: {indices}"
    for outcome in outcomes:
        prompt, error = outcome.spec.caption, outcome.error
        if error is None:
            files = [path.stat().st_size for path in outcome.paths]
            if saved and not (files and all(files)):
                yield f"{prompt!r} has no pictures"
        elif isinstance(error, UnsafeUrlError) or (
            isinstance(error, DownloadError)
            and outcome.job_id is not None
            and books.jobs[int(outcome.job_id)].succeeded is False
        ):
            # A link that may not be followed stays one; and who was lied to
            # that a job is done looks for its pictures.
            continue
        elif isinstance(
            error, JobUnfinishedError | ClientClosedError | DownloadError
        ):
            yield f"{prompt!r} ended in fine weather by {error!r}"
        elif type(error).__module__.partition(".")[0] != "modelslab_async":
            yield f"{prompt!r} ended by a stranger: {error!r}"
        elif type(error) is ModelsLabError:
            yield f"{prompt!r} ended by {error!r}"


def _prompt(one: Submit) -> str:
    return str(one.spec.get("prompt"))
