"""
Taking up again, in any order of events: the same batch again does what is
missing, and nothing twice.
"""

from __future__ import annotations

import asyncio

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterator,
    Sequence,
)
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from journals import MemoryJournal

from modelslab_async import ModelsLab, RetryPolicy, TextToImage, Timeouts
from modelslab_async._batch.batch import Batch
from modelslab_async._batch.outcome import Outcome
from modelslab_async._protocol.rows import written
from modelslab_async.errors import (
    ApiError,
    AuthenticationError,
    GenerationFailedError,
    JobUnfinishedError,
    JournalError,
    ModelsLabError,
    OutcomeUnknownError,
    ProtocolError,
    ServerError,
    TransportError,
)
from modelslab_async.journal import (
    Entry,
    Failed,
    Identity,
    Request,
    State,
    Submitting,
)
from modelslab_async.simulator import (
    Fault,
    KeyState,
    Latency,
    Reply,
    Simulator,
)


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0
SLOTS = 5


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """
    A service with workers to spare: endless jobs keep no others waiting.
    """
    async with Simulator(
        speed=SPEED, pictures="plain", workers=100
    ) as running:
        yield running


def spec(number: int) -> TextToImage:
    return TextToImage(f"picture {number}.", model_id="sdxl", seed=number)


def specs(count: int) -> list[TextToImage]:
    return [spec(number) for number in range(count)]


def numbers(outcomes: list[Outcome]) -> list[int | None]:
    return [outcome.spec.given_seed for outcome in outcomes]


def errors(outcomes: list[Outcome]) -> list[type]:
    return [type(outcome.error) for outcome in outcomes]


def asked(simulator: Simulator) -> tuple[int, int, int]:
    """
    How much was asked of the service: submits, polls, files.
    """
    books = simulator.books
    return len(books.entries), books.polls, books.downloads


OK = type(None)
GONE = GenerationFailedError("1", "1", "it failed", {})


# What is known already.


async def test_the_same_again_asks_nothing(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    A batch that is done gives the same outcomes again without one request.
    """
    first = await lab.batch(specs(12), output=tmp_path)
    before = asked(simulator)

    second = await lab.batch(specs(12), output=tmp_path)

    assert asked(simulator) == before
    assert second == first
    assert all(outcome.paths[0].is_file() for outcome in second)


async def test_equals_are_counted(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Three equal items are three pictures, and a fourth costs one more.
    """
    first = await lab.batch([spec(1)] * 3, output=tmp_path)
    second = await lab.batch([spec(1)] * 4, output=tmp_path)

    assert len(simulator.books.accepted) == 4
    assert [outcome.index for outcome in second] == [0, 1, 2, 3]
    assert second[:3] == first
    assert len({outcome.paths[0] for outcome in second}) == 4


async def test_an_edited_input_overwrites_nothing(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Lines that are moved, dropped and put in keep the others' files.
    """
    first = await lab.batch(specs(4), output=tmp_path)
    before = {o.paths[0]: o.paths[0].read_bytes() for o in first}
    edited = [spec(9), spec(3), spec(0), spec(1)]

    second = await lab.batch(edited, output=tmp_path)

    assert numbers(second) == [9, 3, 0, 1]
    assert [outcome.index for outcome in second] == [4, 3, 0, 1]
    assert {path: path.read_bytes() for path in before} == before
    assert len(simulator.books.accepted) == 5


async def test_keys_of_ones_own(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    With keys, order and equality do not matter: each key is one item.
    """
    same = [spec(1)] * 3

    first = await lab.batch(same, output=tmp_path, items=["a", "b", "c"])
    second = await lab.batch(same, output=tmp_path, items=["c", "d", "a"])

    assert len(simulator.books.accepted) == 4
    assert [outcome.item for outcome in second] == ["c", "d", "a"]
    assert [outcome.index for outcome in second] == [2, 3, 0]
    assert second[0].paths == first[2].paths


async def test_done_without_a_folder_is_given_again(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    Where only a journal is kept, links are the end, and given again.
    """
    path = tmp_path / "links.sqlite"
    first = await lab.batch(specs(3), journal=path)
    before = asked(simulator)

    second = await lab.batch(specs(3), journal=path)

    assert asked(simulator) == before
    assert second == first
    assert simulator.books.downloads == 0


async def test_in_order_though_half_is_known(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    *ordered* holds between what is known and what is new.
    """
    await lab.batch(specs(30)[1::2], output=tmp_path)

    async with lab.batch(specs(30), output=tmp_path, ordered=True) as batch:
        given = [outcome.spec.given_seed async for outcome in batch]

    assert given == list(range(30))
    assert len(simulator.books.accepted) == 30


# What was under way.


def endless(simulator: Simulator) -> None:
    simulator.change(latency=Latency.constant(1000.0), hold=0.0)


async def leave_under_way(
    lab: ModelsLab, wanted: list[TextToImage], output: Path, jobs: int
) -> None:
    """
    Buy so many, and go.
    """
    async with lab.batch(wanted, output=output):
        while sum(job.id is not None for job in lab.jobs()) < jobs:
            await asyncio.sleep(0)


def client(
    simulator: Simulator,
    key: str = "a-key",
    *,
    speed: float = SPEED,
    job_timeout: float = 1800.0,
    resubmit_failed: int = 0,
) -> ModelsLab:
    return ModelsLab(
        key,
        base_url=simulator.url,
        job_timeout=job_timeout,
        retry=RetryPolicy(resubmit_failed=resubmit_failed),
        timeouts=Timeouts().faster(speed),
    )


async def test_what_was_accepted_is_polled(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    Jobs that were under way are taken up, with all that was told of them,
    and the rest is bought.
    """
    endless(simulator)
    async with client(simulator) as lab:
        await leave_under_way(lab, specs(8), tmp_path, SLOTS)
    bought = len(simulator.books.accepted)
    simulator.finish()
    simulator.change(latency=Latency.constant(1.0))

    async with client(simulator) as lab:
        outcomes = await lab.batch(specs(8), output=tmp_path)

    assert bought == SLOTS
    assert errors(outcomes) == [OK] * 8
    assert [outcome.unwrap().seed for outcome in outcomes] == list(range(8))
    assert simulator.books.alike == {}


async def test_what_left_the_input(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    Paid items that are not in the input any more are saved all the same,
    without an outcome; planned ones are not asked for.
    """
    endless(simulator)
    async with client(simulator) as lab:
        await leave_under_way(lab, specs(20), tmp_path, SLOTS)
    simulator.finish()

    async with (
        client(simulator) as lab,
        lab.batch([spec(0)], output=tmp_path) as batch,
    ):
        outcomes = [outcome async for outcome in batch]

    assert numbers(outcomes) == [0]
    assert batch.progress.finished_elsewhere == SLOTS - 1
    assert batch.progress.done == 1
    assert len(simulator.books.accepted) == SLOTS
    assert len(list((tmp_path / "images").iterdir())) == SLOTS


async def test_found_late_in_the_input(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    An old job that ends before the input comes to its item is one of the
    input all the same, and counted once.
    """
    endless(simulator)
    async with client(simulator) as lab:
        await leave_under_way(lab, specs(2), tmp_path, 2)
    simulator.finish()

    simulator.change(latency=Latency.constant(1.0))

    async def late() -> AsyncIterator[TextToImage]:
        while batch.progress.finished_elsewhere < 2:
            await asyncio.sleep(0)
        for one in [spec(7), *specs(2)]:
            yield one

    async with (
        client(simulator) as lab,
        lab.batch(late(), output=tmp_path) as batch,
    ):
        outcomes = [outcome async for outcome in batch]

    assert set(numbers(outcomes)) == {0, 1, 7}
    assert batch.progress.finished_elsewhere == 0
    assert batch.progress.done == 3


async def failed_under_way(
    simulator: Simulator, output: Path, wanted: AsyncIterable[TextToImage]
) -> Batch:
    """
    Take up two jobs that have failed, where failed ones are bought again.
    """
    endless(simulator)
    simulator.change(failing="picture")
    async with client(simulator) as lab:
        await leave_under_way(lab, specs(2), output, 2)
    simulator.change(failing=None, latency=Latency.constant(1.0))
    simulator.finish()

    async with (
        client(simulator, resubmit_failed=1) as lab,
        lab.batch(wanted, output=output) as batch,
    ):
        async for _ in batch:
            pass
    return batch


async def test_what_left_the_input_is_not_bought_again(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    An old job that fails is not paid for once more where its item is not in
    the input any more.
    """

    async def another() -> AsyncIterator[TextToImage]:
        yield spec(7)

    batch = await failed_under_way(simulator, tmp_path, another())

    assert len(simulator.books.accepted) == 3
    assert (batch.progress.done, batch.progress.failed) == (1, 0)


async def test_found_late_and_bought_again(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    An old job that fails before the input comes to its item is paid for once
    more when it does, as often as one that fails later.
    """

    async def late() -> AsyncIterator[TextToImage]:
        while not all(job.noticed for job in simulator.books.jobs.values()):
            await asyncio.sleep(0.001)
        for one in [spec(7), *specs(2)]:
            yield one

    batch = await failed_under_way(simulator, tmp_path, late())

    assert len(simulator.books.accepted) == 5
    assert (batch.progress.done, batch.progress.failed) == (3, 0)


async def test_a_job_that_outlived_its_time(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    A job that is unfinished after *job_timeout* is an outcome that says so,
    and is polled by the next run instead of being bought again.
    """
    endless(simulator)
    async with client(simulator, job_timeout=0.05) as lab:
        first = await lab.batch(specs(1), output=tmp_path)
    simulator.finish()

    async with client(simulator) as lab:
        second = await lab.batch(specs(1), output=tmp_path)

    assert errors(first) == [JobUnfinishedError]
    assert errors(second) == [OK]
    assert len(simulator.books.accepted) == 1


# What failed, and what nobody knows.


async def test_unknown_is_reported_until_the_user_has_spoken(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    An item whose answer was lost is named, run after run, and bought again
    only with *resubmit_unknown*.
    """
    simulator.next("submit", Fault.RESET_AFTER, prompt="picture 1.")

    runs = [
        await lab.batch(specs(3), output=tmp_path),
        await lab.batch(specs(3), output=tmp_path),
    ]
    bought = len(simulator.books.accepted)
    last = await lab.batch(specs(3), output=tmp_path, resubmit_unknown=True)

    assert [errors(run) for run in runs] == [[OK, OutcomeUnknownError, OK]] * 2
    assert runs[0][1].track_id == runs[1][1].track_id
    assert bought == 3
    assert errors(last) == [OK] * 3
    assert len(simulator.books.alike) == 1


async def test_failed_by_the_service_is_reported_again(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    A job that the service failed costs: it is told again, and asked for
    again only with *resubmit_failed*.
    """
    simulator.change(failing="picture 1.")
    first = await lab.batch(specs(2), output=tmp_path)
    simulator.change(failing=None)

    second = await lab.batch(specs(2), output=tmp_path)
    bought = len(simulator.books.accepted)
    third = await lab.batch(specs(2), output=tmp_path, resubmit_failed=True)

    assert errors(first) == errors(second) == [OK, GenerationFailedError]
    assert second[1].job_id == first[1].job_id
    assert bought == 2
    assert errors(third) == [OK, OK]


@pytest.mark.parametrize(
    "error",
    [
        TransportError("no route", sent=False),
        ServerError(503, "later", None),
        AuthenticationError(401, "key", None),
    ],
)
async def test_failed_by_the_way_is_asked_for_again(
    lab: ModelsLab, simulator: Simulator, error: ModelsLabError
) -> None:
    """
    What the network or the account failed was never bought: it is planned
    again.
    """
    journal = MemoryJournal()
    await lab.batch(specs(2), journal=journal)
    journal._entries[1] = Entry(
        1,
        journal._entries[1].spec,
        journal._entries[1].identity,
        state=State.SUBMITTING,
    )
    await journal.move(1, Failed(error))
    before = len(simulator.books.accepted)

    outcomes = await lab.batch(specs(2), journal=journal)

    assert errors(outcomes) == [OK, OK]
    assert len(simulator.books.accepted) == before + 1


async def test_a_picture_that_is_gone_for_a_while(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    A finished job whose picture could not be had is loaded by the next run,
    and not bought again.
    """
    simulator.change(late_links=100000.0)
    timeouts = attrs.evolve(Timeouts().faster(SPEED), late_link=0.01)
    async with ModelsLab(
        "a-key", base_url=simulator.url, timeouts=timeouts
    ) as lab:
        first = await lab.batch(specs(1), output=tmp_path)
    simulator.change(late_links=0.0)

    async with client(simulator) as lab:
        second = await lab.batch(specs(1), output=tmp_path)

    assert first[0].error is not None
    assert errors(second) == [OK]
    assert len(simulator.books.accepted) == 1


# Whose it is.


async def test_a_key_that_rotates_is_written_down(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    A key that changes while a batch runs is the key of the next run.
    """
    simulator.change(accounts={"old": "us", "new": "us"})
    keys = iter(["old"] * 3)

    async with ModelsLab(
        lambda: next(keys, "new"),
        base_url=simulator.url,
        timeouts=Timeouts().faster(SPEED),
    ) as lab:
        await lab.batch(specs(12), output=tmp_path)
    async with client(simulator, "new") as lab:
        outcomes = await lab.batch(specs(12), output=tmp_path)
    async with client(simulator, "old") as lab:
        with pytest.raises(JournalError, match="another API key"):
            await lab.batch(specs(12), output=tmp_path)

    assert errors(outcomes) == [OK] * 12
    assert len(simulator.books.accepted) == 12


def embedded(simulator: Simulator, run: str) -> ModelsLab:
    """
    A client as the shell's ``--simulate`` makes it.
    """
    return ModelsLab.simulated(simulator.url, speed=SPEED, run=run)


async def test_jobs_die_with_their_simulator(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    Under another run id an embedded simulator's unfinished items are planned
    again; what is stored stays.
    """
    async with embedded(simulator, "first") as lab:
        await lab.batch(specs(2), output=tmp_path)
        endless(simulator)
        await leave_under_way(lab, specs(4), tmp_path, 2)
    simulator.vacate("simulated")
    simulator.finish()
    simulator.change(latency=Latency.constant(1.0))

    async with embedded(simulator, "second") as lab:
        outcomes = await lab.batch(specs(4), output=tmp_path)
    async with client(simulator) as lab:
        with pytest.raises(JournalError, match="choose another folder"):
            await lab.batch(specs(4), output=tmp_path)

    assert errors(outcomes) == [OK] * 4
    assert len(simulator.books.accepted) == 6
    assert len(simulator.books.alike) == 2


# Any history.

EVENTS = st.sampled_from(
    ["", "reset-after", "bad-gateway", "leave", "unavailable", "fails"]
)


@settings(max_examples=25)
@given(
    history=st.lists(
        st.tuples(st.lists(st.integers(0, 5), max_size=8), EVENTS),
        min_size=1,
        max_size=4,
    )
)
async def test_any_history(history: list[tuple[list[int], str]]) -> None:
    """
    Whatever inputs a journal was given, and whatever befell each run: each
    accepted job has an item of its own, which knows how it ended or says that
    nobody does; and a last run of everything leaves no item of it undone.
    """
    journal = MemoryJournal()
    async with Simulator(
        speed=2 * SPEED, pictures="plain", latency=1.0, hold=0.5
    ) as simulator:
        for wanted, event in [*history, ([0, 1, 2, 3, 4, 5], "")]:
            await one_run(simulator, journal, wanted, event)
        bought = [entry.track_id for entry in simulator.books.accepted]

    ended = {State.DONE, State.UNKNOWN, State.FAILED}
    states = {entry.track_id: entry.state for entry in journal._entries}
    known = {entry.identity for entry in journal._entries}
    assert len(known) == 6
    assert len(bought) == len(set(bought))
    assert {states.get(track_id) for track_id in bought} <= ended
    assert {
        entry.state
        for entry in journal._entries
        if entry.index in journal._seen
    } <= ended


async def one_run(
    simulator: Simulator,
    journal: MemoryJournal,
    wanted: list[int],
    event: str,
) -> None:
    simulator.forget_orders()
    simulator.change(failures=float(event == "fails"))
    if "-" in event or event == "unavailable":
        simulator.next("submit", Fault(event))
    async with client(simulator, speed=2 * SPEED) as lab:
        inputs = [spec(number) for number in wanted]
        async with lab.batch(inputs, journal=journal) as batch:
            async for _ in batch:
                if event == "leave":
                    break


# The breakers.


async def run_of_100(
    simulator: Simulator, output: Path, breaker: float = 18.0
) -> tuple[Batch, list[Outcome]]:
    simulator.change(latency=Latency.constant(0.5), hold=0.0)
    lab = ModelsLab(
        "a-key",
        base_url=simulator.url,
        timeouts=attrs.evolve(Timeouts().faster(SPEED), outage=breaker),
    )
    async with (
        lab,
        lab.batch(specs(100), journal=output / "links.sqlite") as batch,
    ):
        outcomes = [outcome async for outcome in batch]
    return batch, outcomes


async def after_the_outage(
    simulator: Simulator, output: Path
) -> list[Outcome]:
    simulator.forget_orders()
    simulator.change(keys=None)
    _, outcomes = await run_of_100(simulator, output)
    return outcomes


async def test_gateways_that_say_no_to_all(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    Where every submit meets a gateway's page, as many are burnt as there are
    slots, and then one for each probe; the next run asks for the rest.
    """
    simulator.next("submit", Fault.BAD_GATEWAY, times=1000)

    batch, outcomes = await run_of_100(simulator, tmp_path, breaker=0.3)
    burnt = len(simulator.books.entries)
    last = await after_the_outage(simulator, tmp_path)

    assert set(errors(outcomes)) == {OutcomeUnknownError}
    assert isinstance(batch.stopped, OutcomeUnknownError)
    assert SLOTS <= burnt == len(outcomes) <= 2 * SLOTS + 10
    assert errors(last).count(OK) == 100 - burnt
    assert len(simulator.books.accepted) == 100 - burnt


async def test_a_captive_portal_burns_little(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    A portal that sends each request elsewhere is no verdict on 3,000 items:
    twenty are burnt, and then one for each probe.
    """
    simulator.next("submit", Fault.REDIRECT, times=100_000)
    wanted = (spec(number) for number in range(3000))
    timeouts = attrs.evolve(Timeouts().faster(SPEED), outage=0.3)

    async with (
        ModelsLab("a-key", base_url=simulator.url, timeouts=timeouts) as lab,
        lab.batch(wanted, journal=tmp_path / "links.sqlite") as batch,
    ):
        outcomes = [outcome async for outcome in batch]

    assert isinstance(batch.stopped, ProtocolError)
    assert len(outcomes) <= 20 + SLOTS + 10
    assert len(simulator.books.entries) <= 20 + SLOTS + 10


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, None])
async def test_an_outage_burns_nothing(
    simulator: Simulator, tmp_path: Path, fault: Fault | None
) -> None:
    """
    503 and a refused connection are no verdict on any item: the batch asks
    ever less, stops with that error, and nothing has failed.
    """
    if fault is None:
        await simulator.stop()
        port = int(simulator.origin.rpartition(":")[2])
    else:
        simulator.next("submit", fault, times=10000)

    batch, outcomes = await run_of_100(simulator, tmp_path, breaker=0.3)
    asked_for = len(simulator.books.entries)
    if fault is None:
        await simulator.start(port)
    last = await after_the_outage(simulator, tmp_path)

    assert isinstance(batch.stopped, TransportError | ServerError)
    assert asked_for <= 20 + 2 * SLOTS + 30
    assert {type(outcome.error) for outcome in outcomes} <= {ServerError}
    assert errors(last) == [OK] * 100
    assert simulator.books.alike == {}


async def test_an_outage_that_ends_fails_nothing(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    A batch waits an outage out, and goes on at full speed.
    """
    simulator.next("submit", Fault.UNAVAILABLE, times=26)

    batch, outcomes = await run_of_100(simulator, tmp_path)

    assert batch.stopped is None
    assert errors(outcomes) == [OK] * 100
    assert len(simulator.books.accepted) == 100


def _portal(number: int) -> Reply:
    return Reply(302, headers={"Location": f"https://wifi.example/{number}"})


def _page(number: int) -> Reply:
    return Reply(403, f"<html>Access denied. Ray {number}</html>")


def _words(number: int) -> Reply:
    return Reply(200, {"status": "error", "message": "Under maintenance"})


@pytest.mark.slow
@pytest.mark.parametrize("answer", [_portal, _page, _words])
async def test_equal_refusals_burn_no_batch(
    simulator: Simulator, tmp_path: Path, answer: Callable[[int], Reply]
) -> None:
    """
    Behind a portal, a firewall or a service that says the same to all, no
    more than 20 items fail: the batch asks ever less, and stops with that
    error.
    """
    for number in range(1000):
        simulator.next("submit", answer(number))

    batch, outcomes = await run_of_100(simulator, tmp_path, breaker=0.3)
    asked_for = len(simulator.books.entries)
    last = await after_the_outage(simulator, tmp_path)

    assert isinstance(batch.stopped, ProtocolError | ApiError)
    assert asked_for <= 20 + 2 * SLOTS + 30
    assert len(outcomes) <= 20 + 2 * SLOTS
    assert errors(last).count(OK) >= 80
    assert simulator.books.alike == {}


async def test_a_portal_that_opens_fails_no_more(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    An item that met the outage as a probe is asked for again.
    """
    for number in range(26):
        simulator.next("submit", _portal(number))

    batch, outcomes = await run_of_100(simulator, tmp_path)

    assert batch.stopped is None
    assert errors(outcomes).count(ProtocolError) == 20
    assert errors(outcomes).count(OK) == 80


async def test_a_key_that_is_refused(
    simulator: Simulator, tmp_path: Path
) -> None:
    """
    A bad key is told after a handful of requests, and costs nothing: with a
    good one the same batch does all.
    """
    simulator.change(keys={"another": KeyState.GOOD})

    batch, outcomes = await run_of_100(simulator, tmp_path)
    tries = len(simulator.books.entries)
    last = await after_the_outage(simulator, tmp_path)

    assert isinstance(batch.stopped, AuthenticationError)
    assert tries <= SLOTS
    assert set(errors(outcomes)) <= {AuthenticationError}
    assert errors(last) == [OK] * 100


# How fast.


async def test_known_items_are_looked_up_in_pages(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    Items that are known are looked up by the hundred, for there is one wait
    for the disk for each look; what nobody takes is still bounded.
    """
    pulled: list[int] = []

    def counted() -> Iterator[TextToImage]:
        for number in range(600):
            pulled.append(number)
            yield spec(number)

    journal = Looks()
    await journal.begin(Identity(simulator.origin, "a-key"))
    entries = await journal.plan(
        [Request(*written(spec(number))) for number in range(600)]
    )
    for entry in entries:
        await journal.move(entry.index, Submitting(str(entry.index)))
        await journal.move(entry.index, Failed(GONE))

    async with lab.batch(counted(), journal=journal) as batch:
        await anext(batch)
        most = batch.progress.failed - 1
        outcomes = [outcome async for outcome in batch]

    assert len(outcomes) == 599
    assert len(pulled) == 600
    assert most <= 2 * SLOTS + 16
    assert max(journal.pages[1:]) > 100


@attrs.define(eq=False)
class Looks(MemoryJournal):
    """
    A journal that notes how many items it was asked for at once.
    """

    pages: list[int] = attrs.field(factory=list, init=False)

    async def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
        self.pages.append(len(items))
        return await super().plan(items)
