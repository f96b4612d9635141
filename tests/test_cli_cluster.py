"""
The shell's commands for many machines.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from killing import Service, service

from modelslab_async import ModelsLab, TextToImage
from modelslab_async._cli import run
from modelslab_async.cluster import (
    SCHEMA_VERSION,
    PostgresJournal,
    plan,
    report,
)
from modelslab_async.errors import (
    GenerationFailedError,
    JournalError,
    OutcomeUnknownError,
)
from modelslab_async.journal import (
    Failed,
    State,
    Submitting,
    Unknown,
)
from modelslab_async.simulator import Simulator


Type = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def simulator_apart() -> Iterator[Service]:
    with service(20.0, slots=5) as running:
        yield running


@pytest.fixture
def environment(database: str, simulator_apart: Service) -> dict[str, str]:
    return {
        **os.environ,
        "MODELSLAB_API_KEY": "a-key",
        "MODELSLAB_BASE_URL": simulator_apart.url,
        "MODELSLAB_CLUSTER_DSN": database,
    }


@pytest.fixture
def type_(environment: dict[str, str]) -> Type:
    """
    What types ``modelslab-async cluster`` and some words.
    """

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "modelslab_async", "cluster", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return typed


def prompts(folder: Path, *texts: str) -> str:
    path = folder / "prompts.txt"
    path.write_text("\n".join(texts))
    return str(path)


def test_from_plan_to_pictures(
    type_: Type, environment: dict[str, str], tmp_path: Path
) -> None:
    """
    What is planned is worked on by whoever comes, and is seen by whoever
    looks; a worker that is told to end ends.
    """
    planned = type_(
        "batch", prompts(tmp_path, "a cat", "a dog"), "--name", "pets"
    )
    before = type_("status")
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "modelslab_async", "cluster", "worker"),
            *("-o", str(tmp_path / "out"), "--worker-name", "ann"),
        ],
        env=environment,
    ) as worker:
        while "2 saved" not in type_("status", "--name", "pets").stdout:
            time.sleep(0.2)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(30)
    after = json.loads(type_("status", "--json").stdout)
    again = type_(
        "batch", prompts(tmp_path, "a cat", "a fox"), "--name", "pets"
    )

    assert planned.stdout == "2 items, 2 of them new; 2 given to the workers\n"
    assert "2 not asked for" in before.stdout
    assert "2 items wait for a worker" in before.stdout
    assert "no worker" in before.stdout
    assert code == 0
    assert after["batches"][0]["states"]["stored"] == 2
    assert after["workers"] == []
    assert len(list(tmp_path.glob("out/pets/ann/images/*"))) == 2
    assert again.stdout == "2 items, 1 of them new; 1 given to the workers\n"


def test_faults_are_told_first(
    type_: Type, database: str, tmp_path: Path
) -> None:
    """
    An input with a fault plans nothing.
    """
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a cat"}\n{"prompt": ""}\n')

    said = type_("batch", str(path), "--name", "pets")

    assert said.returncode == 2
    assert "rows.jsonl:2" in said.stderr
    assert asyncio.run(report(database)).batches == ()


@pytest.mark.slow
def test_another_account(
    type_: Type, environment: dict[str, str], tmp_path: Path
) -> None:
    """
    A batch of another key is refused, and said how to go on.
    """
    words = ("batch", prompts(tmp_path, "a cat"), "--name", "pets")
    type_(*words)
    environment["MODELSLAB_API_KEY"] = "b-key"

    refused = type_(*words)
    allowed = type_(*words, "--new-key")

    assert refused.returncode == 2
    assert "--new-key" in refused.stderr
    assert allowed.returncode == 0


@pytest.mark.parametrize("words", [("status",), ("migrate",), ("worker",)])
def test_no_database(
    type_: Type, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    """
    Without a database there is an error in words, and no password in them.
    """
    environment["MODELSLAB_CLUSTER_DSN"] = (
        "host=127.0.0.1 port=9 password=secret"
    )

    said = type_(*words)

    assert said.returncode == 2
    assert "Traceback" not in said.stderr
    assert "secret" not in said.stderr


def test_without_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Where a library is missing, one line says what to install.
    """
    really = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "psycopg" else really(name),
    )

    code = run(["cluster", "status", "--dsn", "host=nowhere"])

    assert code == 2
    assert '[cli,cluster]"' in capsys.readouterr().err


def test_migrate(type_: Type) -> None:
    """
    Tables are made once.
    """
    first, second = type_("migrate"), type_("migrate")

    assert first.stdout == f"version {SCHEMA_VERSION}, before: none\n"
    assert second.stdout == f"version {SCHEMA_VERSION}, as before\n"


# Planning again.


def cats(count: int) -> list[TextToImage]:
    return [
        TextToImage(f"cat {number}", model_id="sdxl")
        for number in range(count)
    ]


@pytest.mark.asyncio
async def test_planned_again(
    lab: ModelsLab, simulator: Simulator, database: str
) -> None:
    """
    What is at its end is left alone, until the user says otherwise; what
    nobody would deliver any more is delivered.
    """

    async def again(**options: Any) -> tuple[int, int, int]:
        found = await plan(lab, cats(4), dsn=database, batch="cats", **options)
        return found.items, found.added, found.deferred

    first = await again()
    async with PostgresJournal(database, batch="cats") as journal:
        for index in (0, 1):
            await journal.move(index, Submitting("t"))
        await journal.move(0, Unknown(OutcomeUnknownError("t", "waiting")))
        await journal.move(1, Failed(GenerationFailedError("1", "t")))
        await journal.with_tables(
            lambda tables: tables.connection.execute(
                "DELETE FROM procrastinate_jobs"
            )
        )
    second = await again()
    third = await again(resubmit_failed=True)
    fourth = await again(resubmit_unknown=True, resubmit_failed=True)
    fifth = await again(resubmit_unknown=True, resubmit_failed=True)

    assert first == (4, 4, 4)
    assert second == (4, 0, 2)
    assert third == (4, 0, 1)
    assert fourth == (4, 0, 1)
    assert fifth == (4, 0, 0)
    assert simulator.books.entries == []


@pytest.mark.asyncio
async def test_report(lab: ModelsLab, database: str) -> None:
    """
    A report names what is unknown, and counts each state.
    """
    await plan(lab, cats(3), dsn=database, batch="cats", items=["a", "b", "c"])
    async with PostgresJournal(database, batch="cats") as journal:
        await journal.move(0, Submitting("t-0"))
        await journal.move(0, Unknown(OutcomeUnknownError("t-0", "waiting")))

    found = await report(database, "cats")
    nothing = await report(database, "dogs")

    (batch,) = found.batches
    assert batch.unknown == ("t-0",)
    assert batch.counts[State.PLANNED] == 2
    assert (found.waiting, found.workers) == (3, ())
    assert (nothing.batches, nothing.waiting) == ((), 0)


@pytest.mark.asyncio
async def test_key_that_changed(lab: ModelsLab, database: str) -> None:
    """
    A key of one's own stands for one request, for planners too.
    """
    await plan(lab, cats(1), dsn=database, batch="cats", items=["a"])
    other = [TextToImage("a dog", model_id="sdxl")]

    with pytest.raises(JournalError, match="another request"):
        await plan(lab, other, dsn=database, batch="cats", items=["a"])
