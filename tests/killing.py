"""
A simulator and a batch in processes of their own, and the audit of one by the
books of the other; for `test_crash` and ``benchmarks/kill.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import threading
import urllib.request

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from modelslab_async.journal import Entry, SqliteJournal, State


_SERVE = """
import asyncio, json, sys
from modelslab_async.simulator import serve
asyncio.run(serve(**json.loads(sys.argv[1])))
"""
_WORKER = Path(__file__).with_name("worker.py")


@attrs.frozen
class Service:
    """
    A simulator in its own process.
    """

    url: str
    speed: float

    def books(self) -> dict[str, Any]:
        return self._ask("books")

    def settings(self, **options: object) -> None:
        self._ask("settings", options)

    def next(self, kind: str, fault: str, **options: object) -> None:
        self._ask("next", {"kind": kind, "fault": fault, **options})

    def _ask(
        self, name: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        origin = self.url.removesuffix("/api/v6")
        request = urllib.request.Request(
            f"{origin}/simulator/{name}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as reply:
            found: dict[str, Any] = json.load(reply)
        return found


@contextlib.contextmanager
def service(speed: float, **options: object) -> Iterator[Service]:
    """
    Run a simulator meanwhile.
    """
    told = json.dumps({"speed": speed, "pictures": "plain", **options})
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE, told], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Service(process.stdout.readline().strip(), speed)
        finally:
            process.kill()


@attrs.frozen
class Run:
    """
    How a run of the batch ended.

    *code*: 0 where it came to its end; *lines*: what it printed.
    """

    code: int
    lines: tuple[str, ...]
    said: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def run(
    at: Service,
    output: Path,
    items: int,
    *,
    crash: str = "",
    lines: int | None = None,
    seconds: float | None = None,
    picture: Path | None = None,
) -> Run:
    """
    Run the batch until its end, or until it is killed.

    Args:
        at: Against which service.

        output: Its folder.

        items: How many it has.

        crash: The step of the journal that it kills itself at, as
            ``accepted:before`` or ``plan:after``.

        lines: Kill it when it has printed so many.

        seconds: Kill it so long after its start.

        picture: Where it has one, its items are of ten kinds.
    """
    command = [
        *(str(_WORKER), at.url, str(output), str(items), str(at.speed)),
        crash,
        *([] if picture is None else [str(picture)]),
    ]
    with subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        timer = threading.Timer(seconds or 0.0, process.kill)
        if seconds is not None:
            timer.start()
        printed = []
        for line in process.stdout:
            printed.append(line.strip())
            if len(printed) == lines:
                process.kill()
        said = process.stderr.read()
        timer.cancel()
    return Run(process.returncode, tuple(printed), said)


def journal(output: Path) -> list[Entry]:
    """
    All that the journal says, as a start would find it.
    """

    return entries_of(output / "journal.sqlite")


def entries_of(path: Path) -> list[Entry]:
    """
    All that a journal at some path says.
    """

    async def read() -> list[Entry]:
        book = await SqliteJournal.open(path)
        found: list[Entry] = []
        while page := await book.entries(
            set(State), after=found[-1].index if found else -1
        ):
            found.extend(page)
        await book.aclose()
        return found

    return asyncio.run(read())


@attrs.frozen
class Audit:
    """
    What the books say of what the journal says.

    Attributes:
        accepted: Jobs that the service took, and bills.

        lost: Those of them that are neither on disk, nor failed, nor named as
            unknown.

        twice: Items that more than one job was begun for.

        unknown: Items whose outcome nobody knows.

        unknown_paid: How many of those were paid for.

        states: How many items are in each state.
    """

    accepted: int
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    unknown: int
    unknown_paid: int
    states: Mapping[State, int]


def audit(books: dict[str, Any], output: Path) -> Audit:
    """
    Hold the journal and the folder against the books.
    """

    def saved(name: str) -> bool:
        return (output / "images" / name).stat().st_size > 0

    return compare(books, journal(output), saved)


def compare(
    books: dict[str, Any],
    entries: Sequence[Entry],
    saved: Callable[[str], bool],
) -> Audit:
    """
    Hold what a journal says against the books.

    Args:
        books: What the service knows.

        entries: All items.

        saved: Whether there is a picture of that name.
    """
    by_job = {entry.job_id: entry for entry in entries if entry.job_id}
    by_track = {entry.track_id: entry for entry in entries}
    accepted = [s for s in books["submits"] if s["job_id"] is not None]
    bought = Counter(
        (s["spec"]["prompt"], s["spec"]["seed"]) for s in accepted
    )
    return Audit(
        accepted=len(accepted),
        lost=tuple(
            str(s["spec"]["prompt"])
            for s in accepted
            if not _kept(
                by_job.get(str(s["job_id"])) or by_track.get(s["track_id"]),
                saved,
            )
        ),
        twice=tuple(
            str(prompt) for (prompt, _), times in bought.items() if times > 1
        ),
        unknown=sum(entry.state is State.UNKNOWN for entry in entries),
        unknown_paid=sum(
            by_track[s["track_id"]].state is State.UNKNOWN
            for s in accepted
            if s["track_id"] in by_track
        ),
        states=Counter(entry.state for entry in entries),
    )


def _kept(entry: Entry | None, saved: Callable[[str], bool]) -> bool:
    """
    Whether what was paid for is on disk, or somebody is told why not.
    """
    if entry is None:
        return False
    return entry.state in {State.FAILED, State.UNKNOWN} or (
        entry.state is State.STORED
        and bool(entry.files)
        and all(map(saved, entry.files))
    )


def cut(output: Path) -> int:
    """
    How many submits have no verdict, by the journal of a killed process.
    """
    path = output / "journal.sqlite"
    if not path.exists():
        return 0

    async def read() -> int:
        counts = (await SqliteJournal.inspect(path)).counts
        return counts[State.SUBMITTING] + counts[State.UNKNOWN]

    return asyncio.run(read())
