"""
What is raised on one item's way is that item's outcome: its slot is free
again, nobody waits for ever, and the others are done.
"""

from __future__ import annotations

import asyncio
import logging

from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from journals import MemoryJournal
from waiting import Clock, until

from modelslab_async import (
    Batch,
    ModelsLab,
    Outcome,
    TextToImage,
    Timeouts,
)
from modelslab_async.errors import (
    AuthenticationError,
    GenerationFailedError,
    JournalError,
    ModelsLabError,
    PaymentRequiredError,
)
from modelslab_async.journal import (
    Accepted,
    Done,
    Entry,
    Failed,
    IllegalMove,
    Planned,
    State,
    Step,
    Stored,
    Submitting,
    Unknown,
)
from modelslab_async.simulator import Fault, Latency, Reply, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]


#: Enough that the faulty one, number 2, has others on both sides.
ITEMS = 4


def specs(count: int) -> list[TextToImage]:
    return [
        TextToImage(f"picture {number}.", model_id="sdxl", seed=number)
        for number in range(count)
    ]


@attrs.define(eq=False)
class Faulty(MemoryJournal):
    """
    A journal of somebody's own, with a bug: it raises *error* when item 2
    takes the step *step*, the first *times* times.

    What changes: *times*.
    """

    step: type[Step] = attrs.field(kw_only=True)
    error: BaseException = attrs.field(kw_only=True)
    times: int = attrs.field(default=1000, kw_only=True)

    async def move(self, index: int, step: Step) -> Entry:
        if index == 2 and type(step) is self.step and self.times:
            self.times -= 1
            raise self.error
        return await super().move(index, step)


async def outcomes_of(
    lab: ModelsLab, journal: MemoryJournal, output: Path | None = None
) -> list[Outcome]:
    """
    What came of the items, within a time.
    """
    async with asyncio.timeout(20.0):
        return await lab.batch(specs(ITEMS), journal=journal, output=output)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


class Unforeseen(BaseException):
    """
    What is not even an `Exception`, as signals of other libraries are.
    """


ERRORS = pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a bug"),
        IllegalMove("a bug"),
        TimeoutError("a bug"),
        # Of the service it would stop the batch, or buy again.
        AuthenticationError(401, "a bug"),
        GenerationFailedError("1", "a-name", "a bug"),
    ],
    ids=["foreign", "illegal", "timeout", "key", "failed"],
)


@ERRORS
@pytest.mark.parametrize("step", [Submitting, Accepted, Done, Stored])
async def test_a_journal_with_a_bug(
    lab: ModelsLab,
    simulator: Simulator,
    tmp_path: Path,
    step: type[Step],
    error: Exception,
) -> None:
    """
    A step that raises what no journal should is the outcome of its item, as
    an error of ours with the other as its cause.
    """
    # Each is accepted first: none is ready while we wait for the answer.
    simulator.change(hold=0.0)
    journal = Faulty(step=step, error=error)

    outcomes = await outcomes_of(lab, journal, tmp_path)

    (faulty,) = [one for one in outcomes if one.error is not None]
    stats = lab.stats()
    assert len(outcomes) == ITEMS
    assert faulty.index == 2
    assert isinstance(faulty.error, JournalError)
    assert faulty.error.__cause__ is error
    assert (stats.slots_held, stats.waiting, stats.unfinished) == (0, 0, 0)
    assert len(simulator.books.accepted) == ITEMS - (step is Submitting)


@ERRORS
@pytest.mark.parametrize(
    ("step", "fault"),
    [(Failed, None), (Unknown, Fault.RESET_AFTER), (Planned, "occupied")],
)
async def test_a_journal_with_a_bug_where_it_fails(
    lab: ModelsLab,
    simulator: Simulator,
    step: type[Step],
    fault: Fault | str | None,
    error: Exception,
) -> None:
    """
    So it is with the steps of an item that comes to nothing, or is put back.
    """
    if isinstance(fault, Fault):
        simulator.next("submit", fault, prompt="picture 2.")
    elif fault is None:
        simulator.change(failing="picture 2.")
    else:
        simulator.occupy("a-key", 3)
    journal = Faulty(step=step, error=error)

    outcomes = await outcomes_of(lab, journal)

    failed = [one.index for one in outcomes if one.error is not None]
    assert len(outcomes) == ITEMS
    assert failed in ([2], [])
    assert lab.stats().slots_held in {0, 1}
    assert lab.stats().waiting == 0


async def test_a_journal_that_comes_round(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    What a journal could not take at first is written in the end.
    """
    simulator.change(latency=Latency.constant(5.0))
    journal = Faulty(step=Accepted, error=OSError("cut off"), times=1)

    outcomes = await outcomes_of(lab, journal)

    states = [entry.state for entry in await journal.entries(set(State))]
    assert [one.error for one in outcomes] == [None] * ITEMS
    assert states == [State.DONE] * ITEMS


SIGNALS = pytest.mark.parametrize(
    "signal",
    [asyncio.CancelledError("its own"), Unforeseen("its own")],
    ids=["cancelled", "unforeseen"],
)


@SIGNALS
@pytest.mark.parametrize("step", [Submitting, Accepted, Done, Stored])
async def test_a_journal_that_cancels(
    lab: ModelsLab,
    simulator: Simulator,
    tmp_path: Path,
    step: type[Step],
    signal: BaseException,
) -> None:
    """
    A journal that says "cancelled", where nobody has cancelled anything, or
    raises what is no `Exception`, strands nobody: that is its item's outcome.
    """
    simulator.change(hold=0.0)
    journal = Faulty(step=step, error=signal)

    outcomes = await outcomes_of(lab, journal, tmp_path)

    (faulty,) = [one for one in outcomes if one.error is not None]
    assert faulty.index == 2
    assert isinstance(faulty.error, JournalError)
    assert len(outcomes) == ITEMS
    assert lab.stats().slots_held == 0


@attrs.define(eq=False)
class Unreadable(MemoryJournal):
    """
    A journal of somebody's own that cannot give item 2.
    """

    error: Exception = attrs.field(kw_only=True)

    async def get(self, index: int) -> Entry:
        if index == 2:
            raise self.error
        return await super().get(index)


@ERRORS
async def test_a_journal_that_cannot_give_an_item(
    lab: ModelsLab, tmp_path: Path, error: Exception
) -> None:
    """
    An item that a journal cannot give again fails alone.
    """
    journal = Unreadable(error=error)
    await outcomes_of(lab, journal)

    outcomes = await outcomes_of(lab, journal, tmp_path)

    (faulty,) = [one for one in outcomes if one.error is not None]
    assert faulty.index == 2
    assert faulty.error is not None
    assert faulty.error.__cause__ is error
    assert len(outcomes) == ITEMS


@attrs.define(eq=False)
class Uncountable(MemoryJournal):
    """
    A journal of somebody's own that raises *signal* when it is looked at.
    """

    signal: BaseException = attrs.field(kw_only=True)

    async def counts(self) -> Mapping[State, int]:
        raise self.signal

    async def oldest(self) -> float | None:
        raise self.signal


@SIGNALS
async def test_a_journal_that_cannot_be_looked_at(
    lab: ModelsLab, tmp_path: Path, signal: BaseException
) -> None:
    """
    What a look at the journal raises keeps no job from being asked for.
    """
    outcomes = await outcomes_of(lab, Uncountable(signal=signal), tmp_path)

    assert [one.error for one in outcomes] == [None] * ITEMS


@pytest.mark.parametrize("step", [Accepted, Done])
async def test_a_bug_is_shouted_out(
    lab: ModelsLab,
    caplog: pytest.LogCaptureFixture,
    step: type[Step],
) -> None:
    """
    A paid job that is not written down is named where somebody sees it.
    """
    journal = Faulty(step=step, error=RuntimeError("a bug"))

    await outcomes_of(lab, journal)

    assert "item 2 cannot be written down" in caplog.text


async def test_a_batch_without_a_journal_has_no_such_fault(
    lab: ModelsLab,
) -> None:
    """
    Nothing of this costs a batch that writes nothing down.
    """
    outcomes = await lab.batch(specs(ITEMS))

    assert not any(isinstance(one.error, ModelsLabError) for one in outcomes)


@pytest.mark.parametrize(
    "host", ["a" * 70 + ".example", "a..example", ".example", "ex ample"]
)
async def test_one_bad_link(
    simulator: Simulator, tmp_path: Path, host: str
) -> None:
    """
    A link that nobody can follow is its item's error, run after run, and
    keeps no other item from its picture.
    """
    link = f"http://{host}/picture.png"
    answer = {"status": "success", "id": 77, "output": [link]}
    simulator.next("submit", Reply(200, answer), prompt="picture 2.")
    simulator.next("fetch", Reply(200, answer), prompt="picture 2.", times=99)
    lab = client(simulator)

    async with lab:
        first = await lab.batch(specs(ITEMS), output=tmp_path)
        second = await lab.batch(specs(ITEMS), output=tmp_path)

    for outcomes in (first, second):
        failed = [one.index for one in outcomes if one.error is not None]
        assert failed == [2]
        assert len(outcomes) == ITEMS


# What is known of a job already.


async def test_a_job_that_is_watched_already(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    A batch that takes up a job which `ModelsLab.job` watches by its bare id
    has all that was told of it when it was accepted.
    """
    simulator.change(latency=Latency.constant(1e6), hold=0.0)
    async with client(simulator) as lab:
        async with lab.batch(specs(1), output=tmp_path):
            await until(lambda: any(job.id for job in lab.jobs()))
        (job,) = lab.jobs()

    async with client(simulator) as lab:
        bare = lab.job(str(job.id))
        waiting = asyncio.ensure_future(bare.result())
        await asyncio.sleep(0)
        batch = lab.batch(specs(1), output=tmp_path)
        both = asyncio.ensure_future(gathered(batch))
        await until(lambda: batch.progress.in_flight)
        simulator.finish()
        (outcome,) = await both
        alone = await waiting

    generation = outcome.unwrap()
    assert generation.seed == alone.seed == 0
    assert generation.track_id == outcome.track_id == job.track_id
    assert generation.meta["prompt"]


async def gathered(batch: Batch) -> list[Outcome]:
    return await batch


def client(simulator: Simulator) -> ModelsLab:
    return ModelsLab(
        "a-key",
        base_url=simulator.url,
        timeouts=attrs.evolve(
            Timeouts().faster(100.0, silence=5.0), late_link=0.2
        ),
    )


@pytest_asyncio.fixture
async def clock() -> Clock:
    return Clock.of_this_loop()


async def test_an_account_that_is_good_again(
    clock: Clock, lab: ModelsLab, simulator: Simulator
) -> None:
    """
    A batch that begins when a refused account has been topped up waits for
    its own first request, which sees that, instead of being stopped by the
    refusal of before.
    """
    simulator.change(hold=5.0)
    simulator.next("submit", Reply(402, {"message": "Insufficient credits"}))
    with pytest.raises(PaymentRequiredError):
        await lab.generate(specs(1)[0])
    clock.ahead += Timeouts().account_probe

    outcomes = await lab.batch(specs(ITEMS))

    assert [outcome.error for outcome in outcomes] == [None] * ITEMS


async def test_an_account_that_is_refused_still(
    clock: Clock, lab: ModelsLab, simulator: Simulator
) -> None:
    """
    A batch whose probe is refused has asked once, and is stopped by that.
    """
    simulator.change(hold=5.0)
    no = Reply(402, {"message": "Insufficient credits"})
    simulator.next("submit", no, times=2)
    with pytest.raises(PaymentRequiredError):
        await lab.generate(specs(1)[0])
    clock.ahead += Timeouts().account_probe

    async with asyncio.timeout(20.0):
        async with lab.batch(specs(ITEMS)) as batch:
            outcomes = [outcome async for outcome in batch]

    assert isinstance(batch.stopped, PaymentRequiredError)
    assert [type(one.error) for one in outcomes] == [PaymentRequiredError]
    assert len(simulator.books.entries) == 2


async def test_what_failed_at_once_has_its_id(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    A job that the service gave a number and up on in one answer is told by
    its number, as any other: support asks for it.
    """
    answer = {"status": "failed", "id": 1347, "message": "Failed"}
    simulator.next("submit", Reply(200, answer), prompt="picture 2.")

    outcomes = await lab.batch(specs(4))

    failed = outcomes[2]
    assert isinstance(failed.error, GenerationFailedError)
    assert failed.job_id == failed.error.job_id == "1347"
