"""
Whatever comes together, nothing paid is lost, bought twice or left hanging.

A seed that fails is played alone by ``benchmarks/storm.py --first SEED --seeds
1``, as often as it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storm import Storm
from storm_kills import Forks, KillStorm, forks


pytestmark = pytest.mark.slow

#: How many storms of processes are played at once: most of each is waiting.
AT_ONCE = 4


@pytest.fixture(scope="session")
def warm() -> Iterator[Forks]:
    """
    A process that forks.
    """
    with forks() as running:
        yield running


@pytest.mark.parametrize("seed", [n for n in range(50) if n % 3 != 2])
def test_a_storm(seed: int, tmp_path: Path) -> None:
    """
    Each paid job has one outcome, each slot one job, and nobody waits for
    ever.
    """
    assert Storm(seed, tmp_path).run() == []


@pytest.mark.parametrize("first", [2, 14, 26, 38])
def test_storms_of_killed_processes(
    first: int, tmp_path: Path, warm: Forks
) -> None:
    """
    Whenever a batch's process is killed, and whatever the service says, each
    paid job has one end in the journal, and is paid once.
    """

    def play(seed: int) -> list[str]:
        folder = tmp_path / str(seed)
        folder.mkdir()
        return KillStorm(seed, folder, warm).run()

    with ThreadPoolExecutor(AT_ONCE) as at_once:
        faults = list(at_once.map(play, range(first, first + 12, 3)))

    assert faults == [[]] * AT_ONCE
