"""
What is unknown in a journal, what it may have become, and whose word counts.
"""

from __future__ import annotations

import json
import math
import time

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from shells import Type, type_

from modelslab_async import (
    Candidate,
    ModelsLab,
    Outcome,
    TextToImage,
    Timeouts,
    UnknownItem,
)
from modelslab_async._batch.unknowns import _Span
from modelslab_async._protocol.assets import read_assets
from modelslab_async._protocol.replies import Reply
from modelslab_async.errors import (
    ConfigurationError,
    JournalError,
    OutcomeUnknownError,
)
from modelslab_async.journal import Entry, SqliteJournal, State
from modelslab_async.simulator import Fault, Settings, Simulator


__all__ = ["type_"]

SPEED = 100.0
LOST = Fault.CLOUDFLARE_TIMEOUT
ITEMS = [
    TextToImage(name, model_id="flux") for name in ("one", "two", "three")
]


@asynccontextmanager
async def account(
    *lost: str, **settings: Any
) -> AsyncIterator[tuple[Simulator, ModelsLab]]:
    """
    An account with one slot, where the answers to some prompts are lost.
    """
    async with Simulator(
        speed=SPEED, pictures="plain", hold=0, **settings
    ) as simulator:
        for prompt in lost:
            simulator.next("submit", LOST, prompt=prompt)
        async with ModelsLab(
            "a-key",
            base_url=simulator.url,
            slots=1,
            timeouts=Timeouts().faster(SPEED, silence=5.0),
        ) as lab:
            yield simulator, lab


async def ran(
    simulator: Simulator, lab: ModelsLab, folder: Path
) -> list[Outcome]:
    """
    Outcomes of all items; what was lost may take longer.
    """
    outcomes = await lab.batch(ITEMS, output=folder)
    simulator.finish()
    return outcomes


async def states(folder: Path) -> list[State]:
    journal = await SqliteJournal.open(folder / "journal.sqlite")
    try:
        entries = await journal.entries(set(State))
    finally:
        await journal.aclose()
    return [entry.state for entry in entries]


@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_the_one_that_it_must_be(tmp_path: Path) -> None:
    """
    One candidate for one unknown item is probably it; accepted, it is fetched
    and saved, and nothing is bought twice.
    """
    async with account("two") as (simulator, lab):
        outcomes = await ran(simulator, lab, tmp_path)
        (item,) = await lab.unknown(tmp_path)
        assert item.probable is not None
        job_id = item.probable.job_id
        before = len(simulator.books.jobs)
        await lab.settle_unknown(tmp_path, accept={str(item.track_id): job_id})
        settled = await ran(simulator, lab, tmp_path)

    assert isinstance(outcomes[1].error, OutcomeUnknownError)
    assert item.candidates == (item.probable,)
    assert item.probable.urls
    assert (item.index, item.caption) == (1, "two")
    assert item.track_id == outcomes[1].track_id
    assert item.asked_at is not None
    assert [outcome.error for outcome in settled] == [None] * 3
    assert settled[1].job_id == job_id
    assert len(settled[1].paths) == 1
    assert len(simulator.books.jobs) == before == 3


@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_two_that_may_be_either(tmp_path: Path) -> None:
    """
    Where two are unknown, both have both candidates, and none is probable.
    """
    async with account("one", "two") as (simulator, lab):
        async with lab.batch([ITEMS[2]], output=tmp_path) as batch:
            assert [outcome.error async for outcome in batch] == [None]
        await ran(simulator, lab, tmp_path)
        items = await lab.unknown(tmp_path)

    assert [item.caption for item in items] == ["one", "two"]
    first, second = items
    assert first.candidates is not None
    assert second.candidates is not None
    assert len(first.candidates) == 2
    assert set(second.candidates) <= set(first.candidates)
    assert first.probable is None


@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_others_on_the_account(tmp_path: Path) -> None:
    """
    What somebody else made at the same time makes a candidate less.
    """
    async with account("two", slots=5) as (simulator, lab):
        await ran(simulator, lab, tmp_path)
        async with ModelsLab(
            "a-key",
            base_url=simulator.url,
            timeouts=Timeouts().faster(SPEED, silence=5.0),
        ) as other:
            await other.generate(ITEMS[0])
        (item,) = await lab.unknown(tmp_path)

    # It came after the third item, which came after the loss.
    assert item.candidates is not None
    assert len(item.candidates) == 1
    assert item.probable == item.candidates[0]


@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("assets", "told"),
    [("both", True), ("v6", True), ("refused", False)],
)
async def test_where_assets_are(
    tmp_path: Path, assets: str, told: bool
) -> None:
    """
    Assets are looked for where either page says; an account that may not ask
    is told its unknown items all the same.
    """
    async with account("two", assets=assets) as (simulator, lab):
        await ran(simulator, lab, tmp_path)
        (item,) = await lab.unknown(tmp_path)

    assert (item.candidates is not None) is told
    assert (item.probable is not None) is told


@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_nothing_unknown(tmp_path: Path) -> None:
    """
    A batch whose requests were all answered has no unknown items.
    """
    async with account() as (simulator, lab):
        await ran(simulator, lab, tmp_path)
        assert await lab.unknown(tmp_path) == ()
        assert await lab.unknown(tmp_path / "journal.sqlite") == ()


@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_resubmit(tmp_path: Path) -> None:
    """
    By a person's word it is asked for again, by the next run.
    """
    async with account("two") as (simulator, lab):
        await ran(simulator, lab, tmp_path)
        (item,) = await lab.unknown(tmp_path)
        await lab.settle_unknown(tmp_path, resubmit=[str(item.track_id)])
        assert (await states(tmp_path))[1] is State.PLANNED
        assert len(simulator.books.jobs) == 3
        outcomes = await ran(simulator, lab, tmp_path)

    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert len(simulator.books.jobs) == 4


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "words",
    [{"accept": ["1"]}, {"accept": "1"}, {"resubmit": "1"}, {"resubmit": 1}],
)
async def test_words_of_a_wrong_kind(
    tmp_path: Path, words: dict[str, Any]
) -> None:
    """
    They are told before anything is looked at.
    """
    async with ModelsLab("a-key") as lab:
        with pytest.raises(ConfigurationError, match=r"accept: |resubmit: "):
            await lab.settle_unknown(tmp_path, **words)


@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_wrong_words(tmp_path: Path) -> None:
    """
    What cannot be is refused, and nothing is changed.
    """
    async with account("two") as (simulator, lab):
        outcomes = await ran(simulator, lab, tmp_path)
        (item,) = await lab.unknown(tmp_path)
        name, other = str(item.track_id), str(outcomes[0].job_id)
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"accept": {name: other}}, "is that of item 0"),
            ({"accept": {name: "1"}}, "knows no job 1"),
            ({"accept": {"nobody": "1"}}, "none is called so"),
            ({"resubmit": ["nobody"]}, "none is called so"),
            (
                {"accept": {name: "1"}, "resubmit": [name]},
                "accepted or asked for again",
            ),
        ]
        for words, match in wrong:
            with pytest.raises(ConfigurationError, match=match):
                await lab.settle_unknown(tmp_path, **words)
        with pytest.raises(JournalError, match="there is no journal"):
            await lab.unknown(tmp_path / "nowhere")

    assert (await states(tmp_path))[1] is State.UNKNOWN


@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_a_running_batch_is_left_alone(tmp_path: Path) -> None:
    """
    While a batch runs, its journal is its own.
    """
    async with account() as (_, lab), lab.batch(ITEMS, output=tmp_path):
        with pytest.raises(JournalError) as caught:
            await lab.unknown(tmp_path)

    assert caught.value.reason == "locked"


# Between which ids.


def entry(index: int, **facts: Any) -> Entry:
    return Entry(index, "{}", "", **facts)


@pytest.mark.parametrize(
    ("unknown", "others", "low", "high", "known"),
    [
        ({}, [], -math.inf, math.inf, False),
        ({"asked_at": 10.0}, [], -math.inf, math.inf, False),
        ({"asked_at": 10.0, "mark": "100"}, [], 100, math.inf, True),
        (
            {"asked_at": 10.0, "unknown_at": 20.0, "mark": "100"},
            [("105", 5.0, 9.0), ("120", 15.0, 16.0), ("130", 21.0, 22.0)],
            105,
            130,
            True,
        ),
        # Without that, by the longest that a submit may take.
        (
            {"asked_at": 10.0},
            [("90", 5.0, 9.0), ("120", 150.0, 160.0), ("130", 201.0, 202.0)],
            90,
            130,
            True,
        ),
        (
            {"asked_at": 10.0},
            [("gen:1", 5.0, 9.0)],
            -math.inf,
            math.inf,
            False,
        ),
    ],
)
def test_spans(
    unknown: dict[str, Any],
    others: list[tuple[str, float, float]],
    low: float,
    high: float,
    known: bool,
) -> None:
    """
    A lost job lies above what was known when it left, and below what was
    asked for when its loss was known.
    """
    before = [
        entry(at, job_id=job_id, asked_at=asked, accepted_at=accepted)
        for at, (job_id, asked, accepted) in enumerate(others, 1)
    ]

    span = _Span.of(entry(0, **unknown), before, longest=190.0)

    assert span == _Span(low, high, known)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"status": "success", "data": []}, ((), 1)),
        (
            {
                "data": [
                    {"id": 7, "output": ["https://o.example/b.png"]},
                    {"id": "8", "output": ""},
                    {"id": None},
                    "x",
                    {"id": "gen:9"},
                ],
                "pagination": {"last_page": "4"},
            },
            (
                (
                    Candidate("7", ("https://o.example/b.png",)),
                    Candidate("8", ()),
                ),
                4,
            ),
        ),
        ({"data": [], "pagination": {"last_page": 1e999}}, ((), 1)),
        ({"status": "error", "data": []}, None),
        ({"data": None}, None),
        ([], None),
    ],
)
def test_assets(body: Any, found: object) -> None:
    """
    Any list of assets is read; what is none, is none.
    """
    assert read_assets(Reply(200, json.dumps(body).encode())) == found


# In the shell.


@pytest.fixture
def modelslab_settings() -> Settings:
    """
    Fast.
    """
    return Settings(speed=100, pictures="plain")


@pytest.mark.slow
def test_shell(
    type_: Type,
    modelslab_simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The shell lists what is unknown, and takes a person's word: what is
    accepted is saved, and its files are printed.
    """
    monkeypatch.setenv("MODELSLAB_BASE_URL", modelslab_simulator.url)
    monkeypatch.setenv("MODELSLAB_API_KEY", "any")
    modelslab_simulator.next("submit", LOST, prompt="two")
    prompts = b"one\ntwo\nthree\n"
    batch = ["batch", "-", "-o", "out", "--slots", "1"]
    assert type_(*batch, stdin=prompts).code == 1

    jobs = modelslab_simulator.books.jobs
    while any(one.ended is None for one in [*jobs.values()]):
        time.sleep(0.01)
    listed = type_("unknown", "out")
    (found,) = type_("unknown", "out", "--json").objects
    probable: Any = found["probable"]
    word = f"{found['track_id']}={probable['job_id']}"
    bad = type_("unknown", "out", "--accept", "nothing")
    accepted = type_("unknown", "out", "--accept", word)

    assert listed.code == 0
    assert "probably this one: job" in listed.out
    assert "two" in listed.out
    assert bad.code == 2
    assert accepted.code == 0
    (path,) = accepted.lines
    assert Path(path).is_file()
    assert type_("unknown", "out").err.startswith("nothing is unknown")
    assert type_(*batch, stdin=prompts).code == 0
    assert len(modelslab_simulator.books.jobs) == 3


def test_public_results() -> None:
    """
    What is told is frozen.
    """
    assert attrs.has(UnknownItem)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Candidate("1", ()).job_id = "2"  # type: ignore[misc]  # frozen
