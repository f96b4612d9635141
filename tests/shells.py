"""
The shell, typed at in a folder of its own.
"""

from __future__ import annotations

import io
import json
import sys

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from modelslab_async._cli import run
from modelslab_async.simulator import Settings, Simulator


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
    return Settings(speed=100, pictures="plain", latency=0.1)


@pytest.fixture
def service(
    modelslab_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Simulator:
    """
    A service that takes keys, as the shell knows it.
    """
    monkeypatch.setenv("MODELSLAB_BASE_URL", modelslab_simulator.url)
    monkeypatch.setenv("MODELSLAB_API_KEY", "s3cret")
    return modelslab_simulator
