"""
The shell's commands for many machines.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import threading

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shells import Hurried, Ran, Type, type_

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


__all__ = ["type_"]


@pytest.fixture
def cluster(
    type_: Type,
    emptied: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Type:
    """
    What types ``modelslab-async cluster`` and some words.
    """
    monkeypatch.setenv("MODELSLAB_API_KEY", "a-key")
    monkeypatch.setenv("MODELSLAB_CLUSTER_DSN", emptied)

    def typed(*words: str) -> Ran:
        return type_("cluster", *words)

    return typed


def prompts(folder: Path, *texts: str) -> str:
    path = folder / "prompts.txt"
    path.write_text("\n".join(texts))
    return str(path)


@contextmanager
def told_to_end(dsn: str, saved: int) -> Iterator[None]:
    """
    Meanwhile, this process is told to end, once so many pictures are saved.
    """
    over = threading.Event()

    def tell() -> None:
        while not over.wait(0.02):
            (found,) = asyncio.run(report(dsn)).batches
            if found.counts[State.STORED] == saved:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_from_plan_to_pictures(
    cluster: Type,
    emptied: str,
    modelslab_simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """
    What is planned is worked on by whoever comes, and is seen by whoever
    looks; a worker that is told to end ends.
    """
    monkeypatch.setenv("MODELSLAB_BASE_URL", modelslab_simulator.url)
    monkeypatch.setattr("modelslab_async._cli.context.ModelsLab", Hurried)
    planned = cluster(
        "batch", prompts(tmp_path, "a cat", "a dog"), "--name", "pets"
    )
    before = cluster("status")
    with told_to_end(emptied, saved=2):
        worked = cluster("worker", "-o", "out", "--worker-name", "ann")
    saved = cluster("status", "--name", "pets")
    after = json.loads(cluster("status", "--json").out)
    again = cluster(
        "batch", prompts(tmp_path, "a cat", "a fox"), "--name", "pets"
    )

    assert planned.out == "2 items, 2 of them new; 2 given to the workers\n"
    assert "2 not asked for" in before.out
    assert "2 items wait for a worker" in before.out
    assert "no worker" in before.out
    assert worked.code == 0
    assert "2 saved" in saved.out
    assert after["batches"][0]["states"]["stored"] == 2
    assert after["workers"] == []
    assert len(list(tmp_path.glob("out/pets/ann/images/*"))) == 2
    assert again.out == "2 items, 1 of them new; 1 given to the workers\n"


def test_faults_are_told_first(
    cluster: Type, emptied: str, tmp_path: Path
) -> None:
    """
    An input with a fault plans nothing.
    """
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a cat"}\n{"prompt": ""}\n')

    said = cluster("batch", str(path), "--name", "pets")

    assert said.code == 2
    assert "rows.jsonl:2" in said.err
    assert asyncio.run(report(emptied)).batches == ()


@pytest.mark.slow
def test_another_account(
    cluster: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    A batch of another key is refused, and said how to go on.
    """
    words = ("batch", prompts(tmp_path, "a cat"), "--name", "pets")
    cluster(*words)
    monkeypatch.setenv("MODELSLAB_API_KEY", "b-key")

    refused = cluster(*words)
    allowed = cluster(*words, "--new-key")

    assert refused.code == 2
    assert "--new-key" in refused.err
    assert allowed.code == 0


@pytest.mark.parametrize("words", [("status",), ("migrate",), ("worker",)])
def test_no_database(
    cluster: Type, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """
    Without a database there is an error in words, and no password in them.
    """
    monkeypatch.setenv(
        "MODELSLAB_CLUSTER_DSN", "host=127.0.0.1 port=9 password=secret"
    )

    said = cluster(*words)

    assert said.code == 2
    assert "Traceback" not in said.err
    assert "secret" not in said.err


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


def test_migrate(
    cluster: Type, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Tables are made once.
    """
    monkeypatch.setenv("MODELSLAB_CLUSTER_DSN", database)

    first, second = cluster("migrate"), cluster("migrate")

    assert first.out == f"version {SCHEMA_VERSION}, before: none\n"
    assert second.out == f"version {SCHEMA_VERSION}, as before\n"


# Planning again.


def cats(count: int) -> list[TextToImage]:
    return [
        TextToImage(f"cat {number}", model_id="sdxl")
        for number in range(count)
    ]


@pytest.mark.asyncio
async def test_planned_again(
    lab: ModelsLab, simulator: Simulator, emptied: str
) -> None:
    """
    What is at its end is left alone, until the user says otherwise; what
    nobody would deliver any more is delivered.
    """

    async def again(**options: Any) -> tuple[int, int, int]:
        found = await plan(lab, cats(4), dsn=emptied, batch="cats", **options)
        return found.items, found.added, found.deferred

    first = await again()
    async with PostgresJournal(emptied, batch="cats") as journal:
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
async def test_report(lab: ModelsLab, emptied: str) -> None:
    """
    A report names what is unknown, and counts each state.
    """
    await plan(lab, cats(3), dsn=emptied, batch="cats", items=["a", "b", "c"])
    async with PostgresJournal(emptied, batch="cats") as journal:
        await journal.move(0, Submitting("t-0"))
        await journal.move(0, Unknown(OutcomeUnknownError("t-0", "waiting")))

    found = await report(emptied, "cats")
    nothing = await report(emptied, "dogs")

    (batch,) = found.batches
    assert batch.unknown == ("t-0",)
    assert batch.counts[State.PLANNED] == 2
    assert (found.waiting, found.workers) == (3, ())
    assert (nothing.batches, nothing.waiting) == ((), 0)


@pytest.mark.asyncio
async def test_key_that_changed(lab: ModelsLab, emptied: str) -> None:
    """
    A key of one's own stands for one request, for planners too.
    """
    await plan(lab, cats(1), dsn=emptied, batch="cats", items=["a"])
    other = [TextToImage("a dog", model_id="sdxl")]

    with pytest.raises(JournalError, match="another request"):
        await plan(lab, other, dsn=emptied, batch="cats", items=["a"])
