"""
A storm over processes: a batch whose process is killed again and again, while
the service lies, and is taken up by a new one each time, to the end; for
`test_storm` and ``benchmarks/storm.py``.

The service lives here, and its books are held against the journal; what is
killed is forked by a warm process (`storm_child`).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from killing import entries_of
from PIL import Image
from storm_audit import folder_faults, journal_faults
from storm_child import BROKEN, Errand
from storm_weather import (
    ITEMS,
    clear,
    items,
    order,
    served,
    service,
)

from modelslab_async.errors import OutcomeUnknownError
from modelslab_async.journal import Entry, State
from modelslab_async.simulator import Simulator, Verdict
from modelslab_async.specs import to_dict


#: Seconds that a process may take; far more than any does.
PATIENCE = 40.0

_CHILD = Path(__file__).with_name("storm_child.py")


@attrs.define(eq=False)
class Life:
    """
    A process from its start to its end.

    What changes: what it has printed, and its exit code, once it has one.
    """

    errand: Errand
    line: socket.socket
    pid: int = 0
    printed: list[str] = attrs.field(factory=list)
    code: int | None = None
    _born: threading.Event = attrs.field(factory=threading.Event)
    _over: threading.Event = attrs.field(factory=threading.Event)

    def __attrs_post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()
        if not self._born.wait(PATIENCE):
            msg = "no process was born"
            raise RuntimeError(msg)

    def _read(self) -> None:
        with self.line, self.line.makefile("r", errors="replace") as said:
            self.pid = int(said.readline())
            self._born.set()
            for text in said:
                if text.startswith("ended "):
                    self.code = int(text.split()[1])
                elif text.strip():
                    self.printed.append(text.strip())
        self._over.set()

    def kill(self, which: signal.Signals) -> None:
        # Nought would be all of us.
        if self.code is None and self.pid > 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, which)

    def ended(self, seconds: float) -> bool:
        """
        Wait for its end; whether it came.
        """
        return self._over.wait(seconds)

    @property
    def said(self) -> str:
        """
        What it printed for people.
        """
        return Path(self.errand.errors).read_text(errors="replace")


@attrs.frozen
class Forks:
    """
    Where processes come from.
    """

    path: str

    def start(self, errand: Errand) -> Life:
        line = socket.socket(socket.AF_UNIX)
        line.connect(self.path)
        line.sendall(json.dumps(attrs.asdict(errand)).encode() + b"\n")
        return Life(errand, line)


@contextlib.contextmanager
def forks() -> Iterator[Forks]:
    """
    A warm process that forks, meanwhile.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "forks")
        with subprocess.Popen(
            [sys.executable, str(_CHILD), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield Forks(path)
            process.stdin.close()


@attrs.define(eq=False)
class KillStorm:
    """
    One seed's deaths.

    What changes: which submits were cut off so far, and what did not hold.
    """

    seed: int
    folder: Path
    forks: Forks
    at: Simulator = attrs.field(init=False)
    #: What every process of it is told.
    errand: Errand = attrs.field(init=False)
    cut: set[int] = attrs.field(factory=set, init=False)
    faults: list[str] = attrs.field(factory=list, init=False)
    _lives: int = attrs.field(default=0, init=False)

    def run(self) -> list[str]:
        """
        Play it; give what did not hold, which should be nothing.
        """
        dice = random.Random(f"{self.seed}/kills")
        speed = dice.choice([100.0, 200.0, 400.0])
        try:
            with served(service(dice, speed)) as (self.at, _):
                self.errand = self._errand(dice, speed)
                for _ in range(dice.randint(1, 4)):
                    if dice.random() < 0.7:
                        order(self.at, dice)
                    self._life(dice)
                clear(self.at)
                self._to_the_end()
        except Exception:  # noqa: BLE001 - it is what did not hold
            self.faults.append(traceback.format_exc())
        return [f"seed {self.seed}: {fault}" for fault in self.faults]

    def _errand(self, dice: random.Random, speed: float) -> Errand:
        picture: str | None = None
        words: tuple[str, ...] = ()
        if dice.random() < 0.4:
            picture = str(self.folder / "a.png")
            Image.new("RGB", (64, 64), "teal").save(picture)
        slots = dice.choice([1, 2, 5, 8])
        if dice.random() < 0.4:
            words = self._words(picture, slots, named=dice.random() < 0.5)
        return Errand(
            url=self.at.url,
            speed=speed,
            silence=dice.choice([0.5, 1.0]),
            output=str(self.folder / "out"),
            errors="",
            words=words,
            picture=picture,
            slots=slots,
            ordered=dice.random() < 0.3,
        )

    def _words(
        self, picture: str | None, slots: int, *, named: bool
    ) -> tuple[str, ...]:
        """
        A command for the same batch.
        """
        rows = [
            to_dict(spec) | ({"item": f"no. {number}"} if named else {})
            for number, spec in enumerate(
                items(None if picture is None else Path(picture))
            )
        ]
        source = self.folder / "rows.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        words = ("batch", str(source), "-o", str(self.folder / "out"))
        return (*words, "--json", "--slots", str(slots))

    # Lives

    def _start(self) -> Life:
        self._lives += 1
        errors = self.folder / f"stderr.{self._lives}"
        errors.touch()
        return self.forks.start(attrs.evolve(self.errand, errors=str(errors)))

    def _life(self, dice: random.Random) -> None:
        """
        A process, until it is killed at some moment.
        """
        life = self._start()
        if dice.random() < 0.6:
            time.sleep(dice.uniform(0.0, 0.5))
        else:
            self._until(life, dice.randint(1, 8), patience=1.0)
        other = None
        if dice.random() < 0.15:
            other = self._start()
        which = signal.SIGKILL
        if self.errand.words and dice.random() < 0.7:
            which = dice.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
        life.kill(which)
        if which is not signal.SIGKILL and dice.random() < 0.5:
            # Not everybody waits for what is paid for.
            time.sleep(dice.uniform(0.0, 0.2))
            life.kill(dice.choice([signal.SIGKILL, which]))
            which = signal.SIGKILL
        if other is not None:
            # It was told to wait, unless it came when the first had gone.
            self._end(life)
            other.kill(signal.SIGKILL)
            self._see(other, kills=2)
        self._see(life, kindly=which is not signal.SIGKILL)

    def _until(self, life: Life, lines: int, patience: float) -> None:
        """
        Wait until it has printed so many lines.
        """
        end = time.monotonic() + patience
        while len(life.printed) < lines and time.monotonic() < end:
            if life.ended(0.005):
                break

    def _see(
        self, life: Life, *, kindly: bool = False, kills: int = 1
    ) -> None:
        """
        Wait for its end, and see what it has cut off.
        """
        self._end(life)
        said = life.said
        cut = {entry.index for entry in self._cut_off()} - self.cut
        self.cut |= cut
        if len(cut) > kills * (self.errand.slots or ITEMS):
            self.faults.append(
                f"{len(cut)} were cut off, of {self.errand.slots} slots"
            )
        if kindly and cut and life.code == 130 and "interrupted" in said:
            self.faults.append(f"asked to end, it cut off {cut}: {said}")

    def _end(self, life: Life) -> None:
        """
        Wait for its end.
        """
        if not life.ended(PATIENCE):
            self._hangs(life)
        said = life.said
        if life.code == BROKEN or "Traceback" in said or " bug" in said:
            self.faults.append(f"a process ended with {life.code}: {said}")

    def _hangs(self, life: Life) -> None:
        for which in (signal.SIGUSR2, signal.SIGUSR1):
            life.kill(which)
            life.ended(1.0)
        life.kill(signal.SIGKILL)
        life.ended(5.0)
        self.faults.append(f"a process hangs: {life.said}")

    # The books

    def _entries(self) -> Sequence[Entry]:
        path = self.folder / "out" / "journal.sqlite"
        return entries_of(path) if path.exists() else ()

    def _cut_off(self) -> list[Entry]:
        """
        What was being asked for when a process ended.
        """
        return [
            entry
            for entry in self._entries()
            if entry.state is State.SUBMITTING
        ]

    def _to_the_end(self) -> None:
        """
        In fine weather it comes to its end, and then there is nothing to do.
        """
        last = self._start()
        self._see(last)
        bought = len(self.at.books.accepted)
        again = self._start()
        self._see(again)
        books = self.at.books
        for life in (last, again):
            indices = {line.split()[0] for line in life.printed}
            if self.errand.words:
                indices = {json.loads(line)["index"] for line in life.printed}
            if len(life.printed) != ITEMS or len(indices) != ITEMS:
                self.faults.append(
                    f"outcomes: {life.printed}, {life.code}, {life.said}"
                )
        if len(books.accepted) != bought:
            self.faults.append(
                f"{len(books.accepted) - bought} bought when all was done"
            )
        self._audit()

    def _audit(self) -> None:
        """
        Hold the journal and the folder against the books.
        """
        books, entries = self.at.books, self._entries()
        self.faults += journal_faults("picture ", entries, books)
        spoilt = {
            one.track_id
            for one in books.entries
            if one.verdict is Verdict.FAULT
        }
        accepted = {one.track_id: one.job_id for one in books.accepted}
        for entry in entries:
            job_id = accepted.get(entry.track_id)
            if (
                entry.state is State.UNKNOWN
                and job_id is not None
                and books.jobs[job_id].polls
            ):
                self.faults.append(
                    f"{entry.index} was asked for before it was written down"
                )
            if (
                isinstance(entry.error, OutcomeUnknownError)
                # A starved machine is silent for longer than we wait.
                and entry.error.phase in {"killed", "verdict"}
                and entry.index not in self.cut
                and entry.track_id not in spoilt
            ):
                self.faults.append(
                    f"{entry.index} is unknown, and nothing cut it off"
                )
        self.faults += folder_faults(self.folder / "out", entries)
