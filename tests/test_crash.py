"""
kill -9 at any moment: by the books of the service, no paid job is lost, and
none is bought twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from killing import Service, audit, cut, run, service
from PIL import Image


#: Jobs take 50 to 200 ms, submits 50 to 300.
SPEED = 50.0
SLOTS = 5
ITEMS = 40

STEPS = (
    "begin:before",
    "plan:after",
    "submitting:after",
    "planned:before",
    "accepted:before",
    "unknown:before",
    "failed:after",
    "done:after",
    "stored:before",
)
OTHER_SIDES = (
    "begin:after",
    "plan:before",
    "submitting:before",
    "planned:after",
    "accepted:after",
    "unknown:after",
    "failed:before",
    "done:before",
    "stored:after",
)


@pytest.fixture
def simulator_apart() -> Iterator[Service]:
    """
    A service in its own process: 0.1 s to a verdict, one item in ten fails.
    """
    with service(
        SPEED, slots=SLOTS, hold=0.1 * SPEED, failing="3."
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("steps", "items"),
    [
        (STEPS[4:5], 15),
        pytest.param(STEPS, ITEMS, marks=pytest.mark.slow),
        pytest.param(OTHER_SIDES, ITEMS, marks=pytest.mark.slow),
    ],
)
def test_killed_at_every_step(
    simulator_apart: Service,
    tmp_path: Path,
    steps: tuple[str, ...],
    items: int,
) -> None:
    """
    One batch is killed just before, or after, each step of the journal, and
    then brought to its end: nothing is lost, nothing bought twice, and no
    more is unknown than was cut, or never answered.
    """
    at = simulator_apart
    # Refusals lead back to planned.
    at.settings(occupy={"a-key": 1})

    kills = [killed_at(at, tmp_path, items, step) for step in steps]
    last = run(at, tmp_path, items)
    found = audit(at.books(), tmp_path)

    assert all(kills)
    assert (last.code, last.said.count("Traceback")) == (0, 0)
    assert (found.lost, found.twice) == ((), ())
    assert found.unknown <= SLOTS * len(kills)
    assert sum(found.states.values()) == items


def killed_at(at: Service, output: Path, items: int, step: str) -> bool:
    """
    Whether a run died at *step*; one answer of it is lost on the way.
    """
    at.next("submit", "reset-after")
    return run(at, output, items, crash=step).killed


@pytest.mark.slow
def test_killed_after_some_outcomes(
    simulator_apart: Service, tmp_path: Path
) -> None:
    """
    Killed at some moment, with submits under way, and started again, a batch
    leaves exactly those unknown that were cut, and all else on disk.
    """
    at = simulator_apart

    kills = [run(at, tmp_path, ITEMS, lines=lines) for lines in (2, 6, 15)]
    submits = cut(tmp_path)
    last = run(at, tmp_path, ITEMS)
    found = audit(at.books(), tmp_path)

    assert [one.killed for one in kills] == [True] * 3
    assert (found.lost, found.twice) == ((), ())
    assert found.unknown == submits <= 3 * SLOTS
    assert last.code == 0
    assert len(last.lines) == 1 + ITEMS


@pytest.mark.slow
def test_ten_kinds_killed(simulator_apart: Service, tmp_path: Path) -> None:
    """
    A batch of ten kinds of endpoints, with a local picture, is taken up as
    one of a single kind is; what it has paid for needs the picture no more.
    """
    at, output = simulator_apart, tmp_path / "out"
    picture = tmp_path / "a.png"
    Image.new("RGB", (64, 64), "teal").save(picture)

    kills = [
        run(at, output, ITEMS, crash="accepted:after", picture=picture),
        run(at, output, ITEMS, lines=8, picture=picture),
        run(at, output, ITEMS, lines=25, picture=picture),
    ]
    last = run(at, output, ITEMS, picture=picture)
    books = at.books()
    found = audit(books, output)

    assert [one.killed for one in kills] == [True] * 3
    assert (last.code, last.said.count("Traceback")) == (0, 0)
    assert (found.lost, found.twice) == ((), ())
    assert len({one["endpoint"] for one in books["submits"]}) == 10
    assert len(last.lines) == 1 + ITEMS
