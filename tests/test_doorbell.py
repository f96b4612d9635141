"""
A client with a doorbell, against a service that rings: truly, twice, late,
never, too early, and with lies.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import threading
import time

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio

from aiohttp import web

from modelslab_async import (
    Batch,
    ModelsLab,
    Outcome,
    PollSchedule,
    TextToImage,
    Timeouts,
)
from modelslab_async._engine.bells import Bells
from modelslab_async._engine.runtime import Runtime
from modelslab_async._observing import Observers
from modelslab_async.errors import ConfigurationError, OutcomeUnknownError
from modelslab_async.journal import Entry, SqliteJournal, State
from modelslab_async.results import JobState, Notice
from modelslab_async.simulator import Fault, Rings, Simulator
from modelslab_async.webhooks import Doorbell


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0
SECRET = "a-secret-that-nobody-guesses"
CAT = TextToImage("a cat", model_id="flux")
#: So seldom that only a ring can be why a job was noticed.
SELDOM = PollSchedule.fixed(100_000)
TOKEN = re.compile(rb"[A-Z2-7]{26}")


@asynccontextmanager
async def hung(secret: str = SECRET, port: int = 0) -> AsyncIterator[Doorbell]:
    """
    A doorbell behind a socket; the same port again after a restart.
    """
    bells: list[Doorbell] = []

    async def take(request: web.Request) -> web.StreamResponse:
        (route,) = bells[0].routes()
        number, token = request.path.split("/")[-2:]
        request.match_info.update(number=number, token=token)
        handler: Any = route.handler
        answer: web.StreamResponse = await handler(request)
        return answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    bells.append(
        Doorbell(f"http://127.0.0.1:{runner.addresses[0][1]}/ring", secret)
    )
    try:
        yield bells[0]
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture
async def bell() -> AsyncIterator[Doorbell]:
    async with hung() as doorbell:
        yield doorbell


def client(
    simulator: Simulator,
    bell: Doorbell,
    polling: PollSchedule = SELDOM,
    **options: Any,
) -> ModelsLab:
    return ModelsLab(
        "a-key",
        base_url=simulator.url,
        doorbell=bell,
        polling=polling,
        timeouts=Timeouts().faster(SPEED, silence=5.0),
        **options,
    )


@asynccontextmanager
async def ringing(
    bell: Doorbell, polling: PollSchedule = SELDOM, **settings: Any
) -> AsyncIterator[tuple[Simulator, ModelsLab]]:
    """
    A service that rings, and a client that has a doorbell.
    """
    async with (
        Simulator(
            speed=SPEED, pictures="plain", hold=0, **settings
        ) as simulator,
        client(simulator, bell, polling) as lab,
    ):
        yield simulator, lab


async def test_a_ring_is_enough(bell: Doorbell) -> None:
    """
    A job that rings is asked for at once, and once.
    """
    async with ringing(bell) as (simulator, lab):
        generation = await lab.generate(CAT)

    (record,) = simulator.books.jobs.values()
    assert generation.images
    assert record.polls == 1
    assert record.unnoticed is not None
    assert record.unnoticed < 1


async def test_each_job_has_a_url_of_its_own(bell: Doorbell) -> None:
    """
    Requests that have no webhook get one, which their names do not tell; a
    caller's own stays.
    """
    own = f"{bell.base_url}/of/another"
    async with ringing(bell) as (simulator, lab):
        first = await lab.submit(attrs.evolve(CAT, track_id="7"))
        second = await lab.submit(attrs.evolve(CAT, track_id="7"))
        await asyncio.gather(first, second)
        third = await lab.submit(attrs.evolve(CAT, webhook=own))
        simulator.finish()
        await third.refresh()

    urls = [ring.url for ring in simulator.books.rings]
    assert len({*urls[:2]}) == 2
    for url in urls[:2]:
        number, token = url.removeprefix(f"{bell.base_url}/").split("/")
        assert len(number) == 20
        assert bell.opens(number, token)
    assert urls[2:] in ([own], [])
    assert first.spec == attrs.evolve(CAT, track_id="7")


@pytest.mark.parametrize("how", list(Rings))
async def test_whatever_rings(bell: Doorbell, how: Rings) -> None:
    """
    However a webhook is called, each job is bought once and ends in its
    pictures.
    """
    async with ringing(
        bell, PollSchedule(), rings=how, late_ring=0.1 * SPEED
    ) as (simulator, lab):
        jobs = [lab.generate(CAT) for _ in range(6)]
        generations = await asyncio.gather(*jobs)
        stats = lab.stats()

    assert all(generation.images for generation in generations)
    assert len(simulator.books.jobs) == 6
    assert (stats.succeeded, stats.failed, stats.unknown) == (6, 0, 0)


async def test_rung_without_end(bell: Doorbell) -> None:
    """
    Whoever rings without end makes us ask now and then, and delays nothing.
    """
    async with ringing(bell, latency=30) as (simulator, lab):
        job = await lab.submit(CAT)
        (number,) = _numbers(simulator)
        for _ in range(200):
            bell.ring(number)
            await asyncio.sleep(0)
        simulator.finish()
        await job.result(timeout=20)

    (record,) = simulator.books.jobs.values()
    assert record.polls < 50


async def test_any_endpoint_takes_it(bell: Doorbell) -> None:
    """
    A doorbell is no matter of text to image.
    """
    from modelslab_async import RealtimeTextToImage

    async with ringing(bell) as (simulator, lab):
        await lab.generate(RealtimeTextToImage("a cat"))

    assert len(simulator.books.rings) == 1


# Tokens.


async def test_tokens_are_nowhere(
    bell: Doorbell, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    No token is in a log, an event, a result, a journal or a manifest, though
    the service repeats what it was told to call.
    """
    caplog.set_level(logging.DEBUG)
    events: list[object] = []
    async with (
        Simulator(
            speed=SPEED, pictures="plain", hold=0, instant=0.3
        ) as simulator,
        client(
            simulator, bell, PollSchedule(), observers=[events.append]
        ) as lab,
    ):
        outcomes = await lab.batch([CAT] * 6, output=tmp_path)
        job = await lab.submit(CAT)
        await job

    tokens = [
        ring.url.rpartition("/")[2].encode() for ring in simulator.books.rings
    ]
    kept = [path.read_bytes() for path in tmp_path.rglob("*.[jhs]*")]
    kept += [caplog.text.encode(), repr(events).encode(), repr(bell).encode()]
    kept += [job.handle.encode(), repr((outcomes, job.spec)).encode()]
    for outcome in outcomes:
        generation = outcome.unwrap()
        kept += [generation.meta_json, generation.raw_json]
    assert len(tokens) == 7
    assert any(b"***" in text for text in kept)
    assert [one for one in tokens for text in kept if one in text] == []


@pytest.mark.parametrize(
    "echo", ["{}", r"\/", "%2F", "%2f", r"\u002f", r"\u002F"]
)
async def test_echoed_tokens_go(echo: str) -> None:
    """
    A token goes from a reply however its slash is spelt.
    """
    bell = Doorbell("https://me.example/hooks", SECRET)
    said = bell.url("7" * 20).replace("/", echo if echo != "{}" else "/")

    assert TOKEN.search(said.encode())
    assert not TOKEN.search(bell.scrub(b'{"webhook":"' + said.encode()))
    assert bell.scrub(b"nothing") == b"nothing"


# Submits without a verdict.


LOST = pytest.mark.parametrize(
    "fault", [Fault.CLOUDFLARE_TIMEOUT, Fault.RESET_AFTER, Fault.HTML]
)


@LOST
async def test_a_bell_settles_what_got_no_verdict(
    bell: Doorbell, fault: Fault
) -> None:
    """
    A submit whose answer was lost waits for its bell, and is a job like any.
    """
    async with ringing(bell) as (simulator, lab):
        simulator.next("submit", fault)
        job = await lab.submit(CAT)
        generation = await job
        stats = lab.stats()

    (job_id,) = simulator.books.jobs
    assert generation.id == job.id == str(job_id)
    assert generation.images
    assert (stats.accepted, stats.succeeded, stats.unknown) == (1, 1, 0)
    assert stats.slots_held == 0


async def test_an_early_bell_settles_it_too(bell: Doorbell) -> None:
    """
    What rang before the answer was lost is known at once.
    """
    async with ringing(bell, rings="early") as (simulator, lab):
        simulator.next("submit", Fault.CLOUDFLARE_TIMEOUT)
        generation = await lab.generate(CAT)

    assert generation.id == str(next(iter(simulator.books.jobs)))


@pytest.mark.parametrize("how", ["never", "other-id", "garbage", "huge"])
async def test_no_bell_settles_nothing(
    bell: Doorbell, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Where no ring names a job that can be the request's, it stays unknown, and
    is told so after a while.
    """
    async with ringing(bell, rings=how) as (simulator, lab):
        simulator.next("submit", Fault.CLOUDFLARE_TIMEOUT)
        with pytest.raises(OutcomeUnknownError):
            await lab.generate(CAT)
        stats = lab.stats()

    assert len(simulator.books.jobs) == 1
    assert (stats.unknown, stats.slots_held) == (1, 0)


async def test_a_bell_names_no_job_of_another(bell: Doorbell) -> None:
    """
    A ring that names a job which is another request's settles nothing.
    """
    async with ringing(bell, rings="never", latency=20) as (simulator, lab):
        job = await lab.submit(CAT)
        simulator.next("submit", Fault.CLOUDFLARE_TIMEOUT)
        lost = asyncio.create_task(lab.submit(CAT))
        while len(simulator.books.jobs) < 2:
            await asyncio.sleep(0.01)
        number = _numbers(simulator)[1]
        bell.ring(number, f'{{"status":"success","id":{job.id}}}'.encode())
        with pytest.raises(OutcomeUnknownError):
            await lost


def _numbers(simulator: Simulator) -> list[str]:
    """
    The numbers of the bells of all requests, in their order.
    """
    urls = [str(one.spec["webhook"]) for one in simulator.books.entries]
    return [url.split("/")[-2] for url in urls]


async def test_closing_waits_for_no_bell(bell: Doorbell) -> None:
    """
    A client that closes tells at once what got no verdict.
    """
    async with ringing(bell, rings="never") as (simulator, _):
        slow = ModelsLab("a-key", base_url=simulator.url, doorbell=bell)
        async with slow:
            simulator.next("submit", Fault.CLOUDFLARE_TIMEOUT)
            lost = asyncio.create_task(slow.submit(CAT))
            while not simulator.books.jobs:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert [job.id for job in slow.jobs()] == [None]
            began = time.monotonic()
        with pytest.raises(OutcomeUnknownError):
            await lost

    assert time.monotonic() - began < 5


async def test_a_late_bell_is_told(
    bell: Doorbell, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A bell that rings when its call was told that nobody knows names the job
    in one WARNING.
    """
    async with ringing(bell, rings="never") as (simulator, lab):
        simulator.next("submit", Fault.CLOUDFLARE_TIMEOUT)
        lost = asyncio.create_task(lab.submit(attrs.evolve(CAT, track_id="x")))
        while not (numbers := _numbers(simulator)):
            await asyncio.sleep(0.01)
        with pytest.raises(OutcomeUnknownError):
            await lost
        (job_id,) = simulator.books.jobs
        for _ in range(2):
            bell.ring(
                numbers[0], f'{{"status":"success","id":{job_id}}}'.encode()
            )
        await asyncio.sleep(0)

    told = [line for line in caplog.messages if str(job_id) in line]
    assert len(told) == 1
    assert "track_id x" in told[0]


# More than one client, loop and thread.


async def test_one_bell_for_several_clients(bell: Doorbell) -> None:
    """
    Each client hears its own rings only.
    """
    async with (
        ringing(bell) as (simulator, lab),
        client(simulator, bell) as other,
    ):
        first, second = await asyncio.gather(
            lab.generate(CAT), other.generate(CAT)
        )

    assert first.id != second.id
    assert [one.polls for one in simulator.books.jobs.values()] == [1, 1]
    assert bell.kept() == []


async def test_a_client_on_another_loop(bell: Doorbell) -> None:
    """
    A doorbell may be rung on another loop than its client's.
    """
    found: list[object] = []

    def run(url: str) -> None:
        async def ask() -> None:
            async with ModelsLab(
                "a-key",
                base_url=url,
                doorbell=bell,
                polling=SELDOM,
                timeouts=Timeouts().faster(SPEED, silence=5.0),
            ) as lab:
                found.append(await lab.generate(CAT))

        asyncio.run(ask())

    async with Simulator(speed=SPEED, pictures="plain", hold=0) as simulator:
        thread = threading.Thread(target=run, args=(simulator.url,))
        thread.start()
        await asyncio.to_thread(thread.join, 30)

    assert len(found) == 1
    assert [one.polls for one in simulator.books.jobs.values()] == [1]


async def test_a_closed_client_hears_nothing(bell: Doorbell) -> None:
    """
    A ring for a client that is gone is kept for the next, and harms nobody.
    """
    async with ringing(bell, latency=1e6) as (simulator, lab):
        await lab.submit(CAT)
        (number,) = _numbers(simulator)
        await lab.aclose()
        bell.ring(number)

    assert [one for one, _ in bell.kept()] == [number]


async def test_a_forgotten_client_is_let_go(bell: Doorbell) -> None:
    """
    A doorbell keeps no client alive.
    """
    async with Simulator(speed=SPEED, pictures="plain") as simulator:
        lab = await client(simulator, bell).__aenter__()
        assert len(bell._listeners) == 1
        with pytest.warns(ResourceWarning, match="left"):  # noqa: PT031
            # Now, or when cycles are looked for.
            del lab
            gc.collect()

    assert len(bell._listeners) == 0


@pytest.mark.parametrize("wrong", ["https://me.example", 7, Doorbell])
async def test_no_doorbell(wrong: Any) -> None:
    """
    What is no doorbell is refused, and what to give is said.
    """
    with pytest.raises(ConfigurationError, match="doorbell: a webhooks"):
        ModelsLab("a-key", doorbell=wrong)


# Whether bells ring.


@attrs.define(eq=False)
class Source:
    """
    A doorbell that is rung by hand.
    """

    told: list[str] = attrs.field(factory=list)
    rings: list[tuple[str, Notice | None]] = attrs.field(factory=list)

    def url(self, number: str) -> str:
        return f"https://me.example/{number}"

    def scrub(self, body: bytes) -> bytes:
        return body

    def attach(self, listener: Callable[[str, Notice | None], bool]) -> None:
        self.told.append("attach")

    def detach(self, listener: Callable[[str, Notice | None], bool]) -> None:
        self.told.append("detach")

    def kept(self) -> list[tuple[str, Notice | None]]:
        return self.rings

    def taken(self, number: str) -> None:
        self.rings = [ring for ring in self.rings if ring[0] != number]


def bells_of(source: Source | None) -> Bells:
    return Bells(Runtime(Timeouts(), Observers()), source)


async def test_two_that_do_not_ring() -> None:
    """
    After two bells in a row that did not ring none is relied on, until one
    rings.
    """
    bells = bells_of(Source())
    silenced: list[bool] = []
    bells.silenced = lambda: silenced.append(bells.trusted)
    first, second, third = bells.hang(), bells.hang(), bells.hang()
    assert first is not None
    assert second is not None
    assert third is not None

    expected = []
    for one in (first, second):
        one.take_down(noticed=True)
        expected.append(third.expected)
    assert (expected, silenced) == ([True, False], [False])
    bells.ring(third.number, None)
    assert bells.trusted
    # It has rung: nothing more is expected of it.
    assert not third.expected


async def test_just_late() -> None:
    """
    A ring that comes just after its job was found to be over shows that bells
    ring; one that comes long after does not.
    """
    bells = bells_of(Source())
    hung_up = [bells.hang() for _ in range(2)]
    for one in hung_up:
        assert one is not None
        one.take_down(noticed=True)

    old, new = bells._past
    bells._past[old] -= 10
    trusted = []
    for number in (old, new):
        assert bells.ring(number, None)
        trusted.append(bells.trusted)
    assert trusted == [False, True]


async def test_what_was_kept_rings_when_it_is_hung() -> None:
    """
    A ring that came before its number was known rings it then.
    """
    notice = Notice("1", None, JobState.SUCCEEDED)
    source = Source(rings=[("8", None), ("7", notice)])
    bell = bells_of(source).hang("7")

    assert bell is not None
    assert (bell.rung, bell.named) == (True, ["1"])
    assert source.rings == [("8", None)]


async def test_an_announcement_is_no_end() -> None:
    """
    Told that a job runs, it is asked for, and its end still expected.
    """
    bell = bells_of(Source()).hang()
    assert bell is not None

    bell.ring(Notice("1", None, JobState.PROCESSING))

    assert bell.pending
    assert bell.expected


async def test_no_source_no_bell() -> None:
    """
    Without a doorbell no request has a bell.
    """
    assert bells_of(None).hang() is None


# Late, in a batch's journal.


async def test_a_late_bell_settles_it_in_the_journal(
    bell: Doorbell, tmp_path: Path
) -> None:
    """
    An item that was told as unknown is accepted, fetched and saved when its
    bell rings while the batch runs; bought once.
    """
    specs = [attrs.evolve(CAT, seed=seed) for seed in range(2)]
    async with ringing(
        bell, PollSchedule(), rings="never", latency=[0.1, 500]
    ) as (simulator, lab):
        simulator.next("submit", Fault.CLOUDFLARE_TIMEOUT)
        told = []
        async with lab.batch(specs, output=tmp_path) as batch:
            async for outcome in batch:
                told.append(outcome)
                if isinstance(outcome.error, OutcomeUnknownError):
                    number = _numbers(simulator)[0]
                    job_id = min(simulator.books.jobs)
                    bell.ring(number, _said(job_id))
                    await _saved(tmp_path, 1)
                    simulator.finish()

    assert [outcome.error is None for outcome in told] == [False, True]
    assert len(simulator.books.jobs) == 2
    assert len([*(tmp_path / "images").iterdir()]) == 2
    again = await _again(tmp_path, simulator, bell, specs)
    assert [outcome.error for outcome in again] == [None, None]
    assert len(simulator.books.jobs) == 2


async def test_a_bell_survives_a_restart(tmp_path: Path) -> None:
    """
    With the same secret, the same URL settles what an earlier process left
    unknown: also where it rang before the batch was there.
    """
    specs = [CAT]
    async with Simulator(
        speed=SPEED, pictures="plain", hold=0, rings="never"
    ) as simulator:
        async with hung() as first, client(simulator, first) as lab:
            simulator.next("submit", Fault.CLOUDFLARE_TIMEOUT)
            (outcome,) = await lab.batch(specs, output=tmp_path)
            assert isinstance(outcome.error, OutcomeUnknownError)
        (entry,) = await _unknown(tmp_path)
        assert entry.bell is not None
        (job_id,) = simulator.books.jobs
        async with hung() as second, client(simulator, second) as lab:
            second.ring(entry.bell, _said(job_id))
            async with lab.batch(_slowly(tmp_path), output=tmp_path) as batch:
                assert [one async for one in batch] == []
        (done,) = await _again(tmp_path, simulator, second, specs)

    assert done.error is None
    assert len(done.paths) == 1
    assert len(simulator.books.jobs) == 1


async def test_accepted_jobs_ring_after_a_restart(tmp_path: Path) -> None:
    """
    A job that an earlier process was told of as accepted rings in this one.
    """
    async with Simulator(
        speed=SPEED, pictures="plain", hold=0, latency=1e5
    ) as simulator:
        async with hung() as first, client(simulator, first) as lab:
            batch = lab.batch([CAT], output=tmp_path)
            async with batch:
                while not batch.progress.in_flight or not lab.stats().accepted:
                    await asyncio.sleep(0.01)
            port = int(first.base_url.split(":")[2].split("/")[0])
        async with hung(port=port) as second, client(simulator, second) as lab:
            asking = asyncio.ensure_future(
                _gathered(lab.batch([CAT], output=tmp_path))
            )
            while not lab.stats().polls:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            simulator.finish()
            (outcome,) = await asyncio.wait_for(asking, 20)

    assert outcome.error is None
    (record,) = simulator.books.jobs.values()
    assert record.polls == 2


async def test_a_lie_settles_nothing_in_the_journal(
    bell: Doorbell, tmp_path: Path
) -> None:
    """
    A late ring that names no job, or another item's, leaves it unknown.
    """
    specs = [attrs.evolve(CAT, seed=seed) for seed in range(2)]
    async with ringing(
        bell, PollSchedule(), rings="never", latency=[0.1, 300]
    ) as (simulator, lab):
        simulator.next("submit", Fault.CLOUDFLARE_TIMEOUT)
        async with lab.batch(specs, output=tmp_path) as batch:
            async for outcome in batch:
                if isinstance(outcome.error, OutcomeUnknownError):
                    number = _numbers(simulator)[0]
                    other = max(simulator.books.jobs)
                    bell.ring(number, _said(other))
                    bell.ring(number, _said(1))
                    bell.ring(number, b"{not json")
                    await asyncio.sleep(0.1)
                    simulator.finish()

    (entry,) = await _unknown(tmp_path)
    assert entry.bell == number


def _said(job_id: int) -> bytes:
    return f'{{"status":"success","id":{job_id}}}'.encode()


async def _saved(folder: Path, count: int) -> None:
    def saved() -> int:
        return len([*(folder / "images").glob("*.png")])

    async with asyncio.timeout(20):
        while await asyncio.to_thread(saved) < count:
            await asyncio.sleep(0.01)


async def _unknown(folder: Path) -> Sequence[Entry]:
    journal = await SqliteJournal.open(folder / "journal.sqlite")
    try:
        return await journal.entries({State.UNKNOWN})
    finally:
        await journal.aclose()


async def _slowly(folder: Path) -> AsyncIterator[TextToImage]:
    """
    No item, but time for a bell.
    """
    await _saved(folder, 1)
    no_more: tuple[TextToImage, ...] = ()
    for nothing in no_more:
        yield nothing


async def _again(
    folder: Path,
    simulator: Simulator,
    bell: Doorbell,
    specs: list[TextToImage],
) -> list[Outcome]:
    async with client(simulator, bell, PollSchedule()) as lab:
        return await lab.batch(specs, output=folder)


async def _gathered(batch: Batch) -> list[Outcome]:
    return await batch
