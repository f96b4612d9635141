"""
One batch on many machines: workers that come, go and are killed, and a
database that does so too. By the books of the service, no paid job is lost,
and none is bought twice.
"""

from __future__ import annotations

import time

from collections.abc import Iterator
from pathlib import Path

import pytest

from clustering import (
    Crew,
    Samples,
    audit,
    crew,
    finish,
    planned,
)
from killing import Service, service
from pgserver import own_server

from modelslab_async.journal import State


#: Jobs take 0.6 s.
SPEED = 8.0
SLOTS = 15


@pytest.fixture
def simulator_apart() -> Iterator[Service]:
    """
    A service in its own process.
    """
    with service(SPEED, slots=SLOTS, hold=0.1 * SPEED) as running:
        yield running


@pytest.mark.slow
def test_three_workers(
    simulator_apart: Service, database: str, tmp_path: Path
) -> None:
    """
    Three workers share a batch and its account: each item is bought once,
    and each has a folder of its own.
    """
    at = simulator_apart
    plan = planned(at, database, 60)

    with crew(at, database, tmp_path, 3) as workers:
        ended = finish(database, 60)
        said = workers.dismiss()
    found = audit(at, database, tmp_path)
    again = planned(at, database, 61)

    assert ended
    assert (plan.items, plan.added, plan.deferred) == (60, 60, 60)
    assert (found.lost, found.twice, found.unknown) == ((), (), 0)
    assert found.states == {State.STORED: 60}
    assert len(list(tmp_path.glob("cats/*/manifest.jsonl"))) == 3
    assert "Traceback" not in "".join(said)
    assert (again.items, again.added, again.deferred) == (61, 1, 1)


def storm(
    at: Service, dsn: str, output: Path, kills: int, every: float = 3.0
) -> tuple[Crew, list[float]]:
    """
    Kill one worker after the other, and start it again.
    """
    moments = []
    with crew(at, dsn, output, 3) as workers:
        for number in range(kills):
            time.sleep(every)
            moments.append(time.monotonic())
            workers.replace(number % 3)
        assert finish(dsn, 240)
        workers.dismiss()
    return workers, moments


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_workers(database: str, tmp_path: Path) -> None:
    """
    Of three workers one is killed every few seconds: what is unknown is no
    more than they were sending, and the slots are in use again at once.
    """
    # Jobs take a second: what the slots do is seen on a busy machine too.
    with service(5.0, slots=SLOTS, hold=0.5) as at:
        planned(at, database, 1000)
        samples = Samples(at)
        with samples.taken():
            workers, moments = storm(at, database, tmp_path, 5)
        found = audit(at, database, tmp_path)
    full = [samples.full_after(moment, SLOTS - 2) for moment in moments]

    assert (found.lost, found.twice) == ((), ())
    assert sum(found.states.values()) == 1000
    assert found.unknown <= SLOTS * len(moments)
    assert found.states[State.STORED] == 1000 - found.unknown
    assert all(one is None or one < workers.stalled + 5 for one in full)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_database_killed(tmp_path: Path, simulator_apart: Service) -> None:
    """
    PostgreSQL is stopped at once, and started, while three workers work.
    """
    at = simulator_apart
    with own_server() as server:
        planned(at, server.dsn, 300)
        with crew(at, server.dsn, tmp_path, 3) as workers:
            for pause in (0.0, 3.0):
                time.sleep(4.0)
                server.stop("immediate")
                time.sleep(pause)
                server.start()
            ended = finish(server.dsn, 180)
            workers.dismiss()
        found = audit(at, server.dsn, tmp_path)

    assert ended
    assert (found.lost, found.twice, found.unknown) == ((), (), 0)
    assert found.states == {State.STORED: 300}


@pytest.mark.slow
def test_late_worker(
    simulator_apart: Service, database: str, tmp_path: Path
) -> None:
    """
    A worker that starts late gets its share.
    """
    at = simulator_apart
    planned(at, database, 300)

    with crew(at, database, tmp_path, 1) as workers:
        time.sleep(4.0)
        workers.hire()
        ended = finish(database, 120)
        workers.dismiss()
    pictures = {
        folder.parent.name: len(list(folder.iterdir()))
        for folder in tmp_path.glob("cats/*/images")
    }

    assert ended
    assert pictures["w1"] >= 40


@pytest.mark.slow
def test_worker_that_is_stopped(
    simulator_apart: Service, database: str, tmp_path: Path
) -> None:
    """
    A worker that is told to end hands over what it has, at once.
    """
    at = simulator_apart
    at.settings(hold=0.5 * SPEED)
    planned(at, database, 100)

    with crew(at, database, tmp_path, 1, stalled=600.0) as workers:
        while not at.books()["totals"]["accepted"]:
            time.sleep(0.05)
        said = workers.dismiss()
        workers.hire()
        ended = finish(database, 60)
        workers.dismiss()
    found = audit(at, database, tmp_path)

    assert ended
    assert (found.lost, found.twice, found.unknown) == ((), (), 0)
    assert found.states == {State.STORED: 100}
    assert "Traceback" not in "".join(said)
