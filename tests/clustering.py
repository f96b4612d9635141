"""
Workers in processes of their own, and the audit of what they did by the books
of the service; for `test_cluster` and ``benchmarks/cluster.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from killing import Audit, Service, compare

from modelslab_async import ModelsLab, TextToImage
from modelslab_async.cluster import PlanSummary, PostgresJournal, plan
from modelslab_async.journal import Entry, State


_WORKER = Path(__file__).with_name("cluster_worker.py")
NAME = "cats"


def specs(items: int) -> list[TextToImage]:
    return [
        TextToImage(f"picture {number}.", model_id="sdxl", seed=number)
        for number in range(items)
    ]


def planned(at: Service, dsn: str, items: int) -> PlanSummary:
    """
    Plan so many items.
    """

    async def work() -> PlanSummary:
        async with ModelsLab("a-key", base_url=at.url) as lab:
            return await plan(lab, specs(items), dsn=dsn, batch=NAME)

    return asyncio.run(work())


@attrs.define
class Crew:
    """
    Workers of one cluster.

    What changes: who works.
    """

    at: Service
    dsn: str
    output: Path
    stalled: float = 3.0
    processes: list[subprocess.Popen[bytes]] = attrs.field(
        factory=list, init=False
    )

    def hire(self) -> None:
        """
        Start one more.
        """
        number = len(self.processes)
        self.processes.append(self._start(number))

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable,
                str(_WORKER),
                self.at.url,
                self.dsn,
                str(self.output),
                str(self.at.speed),
                f"w{number}",
                str(self.stalled),
            ],
            stderr=subprocess.PIPE,
        )

    def replace(self, number: int) -> None:
        """
        Kill one, and start it again.
        """
        one = self.processes[number]
        one.send_signal(signal.SIGKILL)
        one.communicate()
        self.processes[number] = self._start(number)

    def dismiss(self) -> list[str]:
        """
        Have all end; give what they said.
        """
        for one in self.processes:
            one.terminate()
        said = [one.communicate()[1].decode() for one in self.processes]
        self.processes.clear()
        return said


@contextlib.contextmanager
def crew(
    at: Service, dsn: str, output: Path, workers: int, **options: Any
) -> Iterator[Crew]:
    """
    So many workers meanwhile.
    """
    found = Crew(at, dsn, output, **options)
    try:
        for _ in range(workers):
            found.hire()
        yield found
    finally:
        for one in found.processes:
            one.kill()
            one.communicate()


@attrs.define
class Samples:
    """
    How many slots of the service were in use, over time.

    What changes: what was seen.
    """

    at: Service
    every: float = 0.25
    seen: list[tuple[float, int]] = attrs.field(factory=list, init=False)
    _over: threading.Event = attrs.field(factory=threading.Event, init=False)

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """
        Look meanwhile.
        """
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _look(self) -> None:
        while not self._over.wait(self.every):
            totals = self.at.books()["totals"]
            self.seen.append(
                (time.monotonic(), totals["accepted"] - totals["ended"])
            )

    def full_after(self, moment: float, slots: int) -> float | None:
        """
        How long after a moment all slots were in use; None: never again.
        """
        for at, used in self.seen:
            if at > moment and used >= slots:
                return at - moment
        return None


def entries(dsn: str) -> list[Entry]:
    """
    All that the journal says.
    """

    async def read() -> list[Entry]:
        found: list[Entry] = []
        async with PostgresJournal(dsn, batch=NAME) as journal:
            while page := await journal.entries(
                set(State), after=found[-1].index if found else -1
            ):
                found.extend(page)
        return found

    return asyncio.run(read())


def open_items(dsn: str) -> int:
    """
    How many items are not at their end.
    """

    async def read() -> int:
        async with PostgresJournal(dsn, batch=NAME) as journal:
            counts = await journal.counts()
        return sum(
            counts[state]
            for state in (
                State.PLANNED,
                State.SUBMITTING,
                State.ACCEPTED,
                State.DONE,
            )
        )

    return asyncio.run(read())


def finish(dsn: str, within: float) -> bool:
    """
    Wait until every item is at its end; whether that came.
    """
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not open_items(dsn):
            return True
        time.sleep(0.3)
    return False


def audit(at: Service, dsn: str, output: Path) -> Audit:
    """
    Hold journal and folders against the books.
    """
    sizes = {
        path.name: path.stat().st_size for path in output.rglob("images/*")
    }
    return compare(
        at.books(), entries(dsn), lambda name: sizes.get(name, 0) > 0
    )
