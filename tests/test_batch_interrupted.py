"""
Ctrl-C in a program of one's own, as docs/batches.md has it.
"""

from __future__ import annotations

import os
import re
import signal

from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from modelslab_async import ModelsLab
from modelslab_async.simulator import Latency, Simulator


PAGE = Path(__file__).parent.parent / "docs" / "batches.md"


@attrs.define
class Keyboard:
    """
    What the snippet prints with: after its first line somebody presses
    Ctrl-C so many *times*.
    """

    times: int
    lines: list[tuple[object, ...]] = attrs.field(factory=list)

    def print(self, *words: object) -> None:
        self.lines.append(words)
        if len(self.lines) <= self.times:
            os.kill(os.getpid(), signal.SIGINT)


def run(simulator: Simulator, keyboard: Keyboard, slots: int = 8) -> None:
    (text,) = (
        one
        for one in re.findall(
            r"^```python\n(.*?)^```$",
            PAGE.read_text(),
            re.MULTILINE | re.DOTALL,
        )
        if "signal.SIGINT" in one
    )
    lab = partial(
        ModelsLab.simulated, simulator.url, speed=100, slots=slots, run="owls"
    )
    text = re.sub(
        "^from modelslab_async import ModelsLab, ",
        "from modelslab_async import ",
        text,
        flags=re.MULTILINE,
    )
    names: dict[str, Any] = {"ModelsLab": lab, "print": keyboard.print}
    exec(compile(text, str(PAGE), "exec"), names)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_ctrl_c_saves_what_is_paid_for(modelslab_simulator: Simulator) -> None:
    """
    Nothing more is asked for, what was asked for is saved, and the next run
    asks for the rest.
    """
    books = modelslab_simulator.books
    modelslab_simulator.change(pictures="plain", latency=Latency.constant(2.0))
    keyboard = Keyboard(1)

    run(modelslab_simulator, keyboard, slots=1)
    first = len(books.accepted)
    run(modelslab_simulator, after := Keyboard(0))

    assert 0 < first < 8
    assert keyboard.lines[-1] == (first, "of", 8, "are there")
    assert len(keyboard.lines) == first + 1
    assert after.lines[-1] == (8, "of", 8, "are there")
    assert len(books.accepted) == 8


def test_a_second_ctrl_c_leaves(modelslab_simulator: Simulator) -> None:
    """
    What was under way is saved by the next run, bought once.
    """
    books = modelslab_simulator.books
    modelslab_simulator.change(pictures="plain", latency=Latency.constant(2.0))

    with pytest.raises(KeyboardInterrupt):
        run(modelslab_simulator, Keyboard(2), slots=2)
    run(modelslab_simulator, after := Keyboard(0))

    assert after.lines[-1] == (8, "of", 8, "are there")
    assert len(books.accepted) == 8
