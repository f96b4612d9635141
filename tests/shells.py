"""
The shell, typed at in a folder of its own.
"""

from __future__ import annotations

import io
import json
import sys

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from modelslab_async import ModelsLab, Timeouts
from modelslab_async._cli import run
from modelslab_async.simulator import Settings, Simulator


#: How much faster than life the simulator is, and who asks it.
SPEED = 100.0


@attrs.frozen
class Ran:
    """
    What a command came to.
    """

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def objects(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines]


Type = Callable[..., Ran]


@pytest.fixture
def type_(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Type:
    """
    Type a command, in a folder of its own.
    """
    monkeypatch.chdir(tmp_path)

    def type_(*words: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(words)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return type_


@pytest.fixture
def modelslab_settings() -> Settings:
    """
    As fast as a client with its own long waits can see.
    """
    return Settings(speed=SPEED, pictures="plain", latency=0.1)


class Hurried(ModelsLab):
    """
    A client that is as fast as the suite's simulator.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        timeouts = Timeouts().faster(SPEED, silence=5.0)
        # What is under way is answered as soon as the machine can.
        patient = attrs.evolve(timeouts, close=10.0)
        super().__init__(*given, timeouts=patient, **options)


@pytest.fixture
def service(
    modelslab_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Simulator:
    """
    A service that takes keys, as the shell knows it: as fast as it in this
    process, with its own long waits in others.
    """
    monkeypatch.setenv("MODELSLAB_BASE_URL", modelslab_simulator.url)
    monkeypatch.setenv("MODELSLAB_API_KEY", "s3cret")
    monkeypatch.setattr("modelslab_async._cli.context.ModelsLab", Hurried)
    return modelslab_simulator
