"""
A job by itself: who waits for it, by whatever name it is taken up.
"""

from __future__ import annotations

import asyncio
import base64
import json
import pickle

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import attrs
import pytest
import pytest_asyncio

from waiting import until

from modelslab_async import (
    Generation,
    Job,
    JobState,
    JobUpdate,
    ModelsLab,
    PollSchedule,
    TextToImage,
    Timeouts,
)
from modelslab_async.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    GenerationFailedError,
    InvalidRequestError,
    OutcomeUnknownError,
)
from modelslab_async.simulator import Edit, Fault, Latency, Reply, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0
TIMEOUTS = Timeouts().faster(SPEED, silence=5)
CAT = TextToImage("a cat", model_id="sdxl", seed=7)
FAILED = Reply(200, {"status": "failed", "message": "Failed, Try Again"})
REFUSED = Reply(401, {"status": "error", "message": "Invalid API key"})


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Simulator]:
    """
    Submits are held for 0.1 s; pictures come 0.15 s after acceptance.
    """
    async with Simulator(
        speed=SPEED,
        pictures="plain",
        hold=10.0,
        latency=Latency.constant(25.0),
    ) as running:
        yield running


def tasks_of_the_client() -> set[asyncio.Task[Any]]:
    """
    Those that the client has begun; the service lives on the same loop.
    """
    return {task for task in asyncio.all_tasks() if "_engine" in repr(task)}


def client(service: Simulator) -> ModelsLab:
    return ModelsLab("a-key", base_url=service.url, slots=1, timeouts=TIMEOUTS)


# By a handle, or an id


async def test_a_handle_carries_a_seed_of_zero(service: Simulator) -> None:
    """
    Zero is a seed as any other, though it is false.
    """
    service.change(hold=0.0)
    async with client(service) as lab, client(service) as elsewhere:
        job = await lab.submit(attrs.evolve(CAT, seed=0))

        again = elsewhere.job(job.handle)
        etas = job.eta, again.eta
        generation = await again

    assert generation.seed == 0
    assert etas[0] is not None
    assert etas[0] == etas[1]


async def test_one_id_is_one_job_while_it_is_watched(
    service: Simulator,
) -> None:
    """
    By number, text or handle: who asks for a watched job gets that job.
    """
    async with client(service) as lab:
        job = await lab.submit(CAT)

        again = [lab.job(int(job.id or 0)), lab.job(f"{job.id}")]
        again.append(lab.job(job.handle))
        held = lab.stats().slots_held
        await asyncio.gather(*again)
        update = await job.refresh()

    assert again == [job, job, job]
    assert held == 1
    assert service.books.jobs[int(job.id or 0)].polls == update.polls


async def test_two_jobs_of_one_id_share_one_watch(service: Simulator) -> None:
    """
    Also when both were made before either was awaited, there is one slot and
    one question at a time; each knows what either was told.
    """
    service.change(hold=0.0)
    async with client(service) as other, client(service) as lab:
        theirs = await other.submit(CAT)
        by_id, by_handle = lab.job(theirs.id or ""), lab.job(theirs.handle)
        polled = service.books.polls
        slots: list[int] = []

        async def watched(job: Job) -> Generation:
            slots.extend([lab.stats().slots_held async for _ in job.updates()])
            return await job

        first, second = await asyncio.gather(
            watched(by_id), watched(by_handle)
        )
        ours = lab.stats().polls
        await theirs

    assert first is second
    assert first.seed == 7
    assert max(slots) == 1
    assert by_id.track_id == by_handle.track_id == theirs.track_id
    assert ours <= service.books.polls - polled


def handle_of(**facts: object) -> str:
    packed = base64.urlsafe_b64encode(json.dumps(facts).encode())
    return "ml1." + packed.decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ml1.",
        "ml1.???",
        "a b",
        None,
        1.5,
        handle_of(e="text2img"),
        handle_of(i="1"),
        handle_of(e="no-such", i="1"),
        handle_of(e=["text2img"], i="1"),
    ],
)
async def test_what_is_no_job(service: Simulator, text: Any) -> None:
    """
    Neither an id nor a handle, or a handle of an endpoint that we don't
    know: it is told when it is given, not when it is awaited.
    """
    async with client(service) as lab:
        with pytest.raises(ConfigurationError):
            lab.job(text)


@pytest.mark.parametrize("endpoint", ["text3img", CAT, int, object()])
async def test_what_is_no_endpoint(service: Simulator, endpoint: Any) -> None:
    """
    An endpoint is a kind of spec, or its name.
    """
    async with client(service) as lab:
        with pytest.raises(ConfigurationError, match="endpoint: a class of"):
            lab.job("1", endpoint=endpoint)


async def test_a_job_that_was_taken_up_teaches_no_duration(
    service: Simulator,
) -> None:
    """
    How long it took us to notice yesterday's job says nothing of how long
    jobs take: a request without a verdict keeps its slot all the same.
    """
    service.change(hold=0.0, latency=Latency.constant(0.0))
    async with client(service) as other, client(service) as lab:
        for _ in range(3):
            theirs = await other.submit(CAT)
            await lab.job(theirs.handle)
        service.next("submit", Fault.RESET_AFTER)
        with pytest.raises(OutcomeUnknownError):
            await lab.generate(CAT)
        await asyncio.sleep(0.2)
        held = lab.stats().slots_held

    assert held == 1


async def test_a_job_by_id_holds_a_slot_once_it_is_seen_to_run(
    service: Simulator,
) -> None:
    """
    A job of somebody else's counts from the first poll that says it runs.
    """
    async with client(service) as other, client(service) as lab:
        job = lab.job((await other.submit(CAT)).id or "")
        before = lab.stats().slots_held

        update = await job.refresh()
        during = lab.stats().slots_held
        await job
        after = lab.stats().slots_held

    assert update.state is JobState.PROCESSING
    assert (before, during, after) == (0, 1, 0)


# Who goes away, and when

#: Longer than anybody here waits, on any machine.
LONG = Latency.constant(60.0)

Call = Callable[[], Awaitable[object]]
Way = Callable[[Call, Callable[[], object]], Awaitable[None]]


async def by_cancel(call: Call, struck: Callable[[], object]) -> None:
    """
    asyncio's own.
    """
    task = asyncio.ensure_future(call())
    await until(struck)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_timeout(call: Call, struck: Callable[[], object]) -> None:
    """
    `asyncio.timeout`.
    """
    timeout = asyncio.timeout(None)
    strike = asyncio.ensure_future(until(struck))
    strike.add_done_callback(lambda _: timeout.reschedule(0.0))
    with pytest.raises(TimeoutError):
        async with timeout:
            await call()


async def by_wait_for(call: Call, struck: Callable[[], object]) -> None:
    """
    `asyncio.wait_for`; it takes no sign, only seconds.
    """
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call(), 0.2)


async def by_sibling(call: Call, struck: Callable[[], object]) -> None:
    """
    A task group, one of whose tasks fails.
    """

    async def fail() -> None:
        await until(struck)
        raise KeyError("a sibling's")

    async def wait() -> None:
        await call()

    with pytest.raises(ExceptionGroup) as got:  # noqa: PT012 - both are its
        async with asyncio.TaskGroup() as group:
            group.create_task(wait())
            group.create_task(fail())
    assert got.group_contains(KeyError)


async def by_move_on(call: Call, struck: Callable[[], object]) -> None:
    """
    `anyio.move_on_after`.
    """
    with anyio.move_on_after(None) as scope:
        strike = asyncio.ensure_future(until(struck))
        strike.add_done_callback(lambda _: scope.cancel())
        await call()
    assert scope.cancelled_caught


async def by_fail_after(call: Call, struck: Callable[[], object]) -> None:
    """
    `anyio.fail_after`.
    """
    with pytest.raises(TimeoutError), anyio.fail_after(None) as scope:  # noqa: PT012
        strike = asyncio.ensure_future(until(struck))
        strike.add_done_callback(
            lambda _: setattr(scope, "deadline", anyio.current_time())
        )
        await call()


WAYS = pytest.mark.parametrize(
    "way",
    [
        by_cancel,
        by_timeout,
        by_wait_for,
        by_sibling,
        by_move_on,
        by_fail_after,
    ],
)


@WAYS
@pytest.mark.parametrize("name", ["generate", "submit"])
async def test_who_leaves_the_line_asks_for_nothing(
    service: Simulator, way: Way, name: str
) -> None:
    """
    A call that goes before its turn is taken out of the queue: it is not sent
    when the slot is free, and nothing of it is left.
    """
    service.change(hold=0.0, latency=LONG)
    async with client(service) as lab:
        first = await lab.submit(CAT)
        before = tasks_of_the_client()

        await way(lambda: getattr(lab, name)(CAT), lambda: lab.stats().waiting)
        await until(lambda: tasks_of_the_client() <= before)
        waiting = lab.stats().waiting
        await first

    assert waiting == 0
    assert len(service.books.entries) == 1


@WAYS
async def test_who_leaves_a_submit_under_way_finds_its_job(
    service: Simulator, way: Way
) -> None:
    """
    The call returns before the service has answered; the job is in `jobs()`
    by its track_id, then gets its id, and its pictures can still be had.
    """
    service.change(hold=200.0, latency=LONG)
    async with client(service) as lab:
        await way(lambda: lab.submit(CAT), lambda: service.books.entries)
        (job,) = lab.jobs()
        before = job.id

        generation = await job
        stats = lab.stats()

    (paid,) = service.books.accepted
    assert before is None
    assert job.track_id == paid.track_id
    assert generation.id == job.id == str(paid.job_id)
    assert (stats.slots_held, stats.unknown) == (0, 0)


async def generated(lab: ModelsLab) -> None:
    await lab.generate(CAT)


async def resulted(lab: ModelsLab) -> None:
    await (await lab.submit(CAT)).result()


async def updated(lab: ModelsLab) -> None:
    async for _ in (await lab.submit(CAT)).updates():
        pass


async def refreshed(lab: ModelsLab) -> None:
    job = await lab.submit(CAT)
    while True:
        await job.refresh()


@WAYS
@pytest.mark.parametrize("wait", [generated, resulted, updated, refreshed])
async def test_who_leaves_a_job_leaves_it_watched(
    service: Simulator,
    way: Way,
    wait: Callable[[ModelsLab], Awaitable[None]],
) -> None:
    """
    After its acceptance a job whose waiter goes is in `jobs()`, holds its
    slot, and its pictures can still be had.
    """
    service.change(hold=0.0, latency=LONG)
    async with client(service) as lab:
        await way(lambda: wait(lab), lambda: lab.stats().accepted)
        (job,) = lab.jobs()
        held = lab.stats().slots_held

        generation = await job
        stats = lab.stats()

    assert held == 1
    assert generation.images
    assert (stats.slots_held, stats.unfinished) == (0, 0)
    assert len(service.books.accepted) == 1


# How it stands


async def test_refresh_asks_once_and_now(service: Simulator) -> None:
    """
    One question, whenever the next one would have been due; none after the
    end.
    """
    service.change(latency=Latency.constant(1000.0), hold=0.0)
    async with ModelsLab(
        "a-key",
        base_url=service.url,
        timeouts=TIMEOUTS,
        polling=PollSchedule.fixed(2000.0),
    ) as lab:
        job = await lab.submit(CAT)
        polls = [(await job.refresh()).polls for _ in range(3)]
        service.next("fetch", FAILED)
        last = await job.refresh()
        over = await job.refresh()

    assert polls == [1, 2, 3]
    assert (last.state, last.polls) == (JobState.FAILED, 4)
    assert (over.polls, over.message) == (4, "Failed, Try Again")


async def test_the_last_state_reaches_a_slow_reader(
    service: Simulator,
) -> None:
    """
    A job that ends while its reader is busy is told of all the same.
    """
    service.change(hold=0.0, latency=Latency.constant(5.0))
    async with client(service) as lab:
        job = await lab.submit(CAT)
        updates = job.updates()
        first = await anext(updates)
        await job
        rest = [update.state async for update in updates]

    assert first.state is JobState.PROCESSING
    assert rest == [JobState.SUCCEEDED]


async def test_an_answer_about_another_job_is_none_of_its_own(
    service: Simulator,
) -> None:
    """
    Neither another job's pictures nor its failure are taken for this one's.
    """
    service.change(hold=0.0, latency=Latency.constant(5.0))
    picture = ["https://cdn.example/another.png"]
    done = {"status": "success", "id": 99, "output": picture}
    failed = {"status": "failed", "id": "99", "message": "no"}
    for told in (done, failed):
        service.next("fetch", Reply(200, told), times=2)
    async with client(service) as lab:
        generation = await lab.generate(CAT)

    (paid,) = service.books.accepted
    assert generation.id == str(paid.job_id)
    assert [image.url for image in generation.images] != picture


@pytest.mark.parametrize("status", [401, 402])
async def test_a_refused_account_names_the_job_that_goes_on(
    service: Simulator, status: int
) -> None:
    """
    Whoever waits for a paid job, and is told of the account, is told which
    job it is; who comes after it, with another request, is not.
    """
    service.change(hold=0.0)
    refused = Reply(status, {"status": "error", "message": "no"})
    service.next("fetch", refused)
    async with client(service) as lab:
        with pytest.raises(ApiError) as told:
            await lab.generate(CAT)
        (job,) = lab.jobs()
        with pytest.raises(ApiError) as later:
            await lab.generate(CAT)
        await job

    again = pickle.loads(pickle.dumps(told.value))
    assert told.value.job_id == again.job_id == job.id
    assert f"job {job.id} is paid" in str(told.value)
    assert later.value.job_id is None


async def test_all_who_wait_are_told_of_a_refused_account(
    service: Simulator,
) -> None:
    """
    A poll's 401 reaches `result`, `updates` and `refresh`, each with an error
    of its own; the job runs on, and ends well.
    """
    service.change(hold=0.0)
    service.next("fetch", REFUSED)
    async with client(service) as lab:
        job = await lab.submit(CAT)
        told = await asyncio.gather(
            job.result(), *(all_of(job), job.refresh()), return_exceptions=True
        )
        state = job.state
        generation = await job

    assert [type(one) for one in told] == [AuthenticationError] * 3
    assert len(set(map(id, told))) == 3
    assert state is JobState.PROCESSING
    assert generation.images


async def all_of(job: Job) -> list[JobUpdate]:
    return [update async for update in job.updates()]


async def test_updates_end_with_a_job_that_failed(service: Simulator) -> None:
    """
    `updates` tells of a failure, and does not raise it; `result` does, to
    each who asks.
    """
    service.change(hold=0.0, failing="cat")
    async with client(service) as lab:
        job = await lab.submit(CAT)
        updates = await all_of(job)

        told = await asyncio.gather(
            job.result(), job.result(), return_exceptions=True
        )

    assert updates[-1].state is job.state is JobState.FAILED
    assert [type(one) for one in told] == [GenerationFailedError] * 2
    assert told[0] is not told[1]


async def test_who_waits_for_a_refused_request_is_told_why(
    service: Simulator,
) -> None:
    """
    A job whose request is refused after its caller has gone tells those who
    wait for it what the service said.
    """
    service.next("submit", Reply(400, {"status": "error", "message": "no"}))
    async with client(service) as lab:
        call = asyncio.ensure_future(lab.submit(CAT))
        while not lab.jobs():
            await asyncio.sleep(0)
        (job,) = lab.jobs()
        call.cancel()

        with pytest.raises(InvalidRequestError, match="no"):
            await job

    assert job.state is JobState.FAILED
    assert lab.jobs() == ()


# Where it is asked for


@pytest.mark.parametrize(
    ("fetch", "unserved"),
    [
        ("path", 404),
        ("path", 405),
        ("body", 404),
        ("body", 405),
        ("both", 404),
    ],
)
@pytest.mark.parametrize("link", ["absent", "other"])
async def test_every_form_of_fetch_is_found(
    service: Simulator, fetch: str, unserved: int, link: str
) -> None:
    """
    Whatever form of fetch the service serves, and whether or not it says
    where, or under another id: the job is found.
    """
    service.change(
        hold=0.0,
        latency=Latency.constant(5.0),
        fetch=fetch,
        unserved=unserved,
        fetch_result=link,
    )
    async with client(service) as lab:
        generation = await lab.generate(CAT)

    (paid,) = service.books.accepted
    assert generation.track_id == paid.track_id
    assert generation.images


async def test_a_link_to_elsewhere_is_not_followed(service: Simulator) -> None:
    """
    Where `fetch_result` names another host, or no fetch path, the key does
    not go there: the job is asked for at the API itself.
    """
    service.change(hold=0.0, latency=Latency.constant(5.0))
    async with Simulator(speed=SPEED, pictures="plain") as stranger:
        for link in (f"{stranger.url}/images/fetch/1", "http://[", "file:/a"):
            service.next("submit", Edit({"fetch_result": link}))
            async with client(service) as lab:
                await lab.generate(CAT)

    assert stranger.books.polls == 0
    assert stranger.books.strays == []
