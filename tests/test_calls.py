"""
One call: whoever waits may go at any time, and nothing paid is lost.
"""

from __future__ import annotations

import asyncio
import socket

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
import pytest_asyncio

from waiting import until

from modelslab_async import (
    Generation,
    Image,
    JobState,
    ModelsLab,
    RetryPolicy,
    TextToImage,
    Timeouts,
)
from modelslab_async.errors import (
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    GenerationFailedError,
    JobNotFoundError,
    JobUnfinishedError,
    OutcomeUnknownError,
    RateLimitedError,
)
from modelslab_async.events import CallRetried, Event, JobFinished
from modelslab_async.simulator import Latency, Reply, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

SPEED = 100.0
CAT = TextToImage("a cat", model_id="sdxl", seed=7)

Way = Callable[[Awaitable[Generation]], Awaitable[None]]


@pytest_asyncio.fixture
async def slow() -> AsyncIterator[Simulator]:
    """
    A service whose submits are held for 0.12 s, and whose jobs take 0.35 s.
    """
    async with Simulator(
        speed=SPEED,
        pictures="plain",
        hold=12.0,
        latency=Latency.constant(35.0),
    ) as running:
        yield running


@pytest_asyncio.fixture
async def slow_lab(slow: Simulator) -> AsyncIterator[ModelsLab]:
    """
    A client of `slow`, with two slots.
    """
    timeouts = Timeouts().faster(SPEED, silence=5)
    async with ModelsLab(
        "a-key", base_url=slow.url, timeouts=timeouts, slots=2
    ) as lab:
        yield lab


async def by_cancel(call: Awaitable[Generation]) -> None:
    task = asyncio.ensure_future(call)
    asyncio.get_running_loop().call_later(0.05, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_timeout(call: Awaitable[Generation]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await call


async def by_wait_for(call: Awaitable[Generation]) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call, 0.05)


async def by_sibling(call: Awaitable[Generation]) -> None:
    async def fail() -> None:
        await asyncio.sleep(0.05)
        raise KeyError("a sibling's")

    async def wait() -> None:
        await call

    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(wait())
            group.create_task(fail())


async def by_scope(call: Awaitable[Generation]) -> None:
    with anyio.move_on_after(0.05) as scope:
        await call
    assert scope.cancelled_caught


WAYS = [by_cancel, by_timeout, by_wait_for, by_sibling, by_scope]


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_that_is_cut_short_keeps_its_job(
    slow_lab: ModelsLab, slow: Simulator, way: Way
) -> None:
    """
    While its submit is under way the call returns at once, the job is in
    `jobs()` under its track_id, and its pictures can still be had.
    """
    clock = asyncio.get_running_loop().time
    started = clock()

    await way(slow_lab.generate(CAT))
    took = clock() - started
    (job,) = slow_lab.jobs()
    before = job.id
    generation = await job

    assert took < 0.12
    assert (before, job.track_id) == (None, generation.track_id)
    assert generation.images
    assert len(slow.books.accepted) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_waiter_that_is_cut_short_leaves_the_job(
    slow_lab: ModelsLab, way: Way
) -> None:
    """
    After its acceptance a job goes on being watched, and holds its slot.
    """
    job = await slow_lab.submit(CAT)

    await way(job.result())

    assert slow_lab.jobs() == (job,)
    assert slow_lab.stats().slots_held == 1
    assert (await job).images
    assert slow_lab.stats().slots_held == 0


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_cut_short_in_line_asks_for_nothing(
    slow_lab: ModelsLab, slow: Simulator, way: Way
) -> None:
    """
    Before it is sent a request is taken out of the queue, and never billed.
    """
    others = [await slow_lab.submit(CAT), await slow_lab.submit(CAT)]

    await way(slow_lab.generate(TextToImage("a dog", model_id="sdxl")))
    await asyncio.gather(*others)

    assert len(slow.books.accepted) == 2
    assert slow_lab.jobs() == ()
    assert slow_lab.stats().waiting == 0


async def test_a_timeout_in_line_says_that_nothing_was_sent(
    slow_lab: ModelsLab,
) -> None:
    """
    `sent` is False: it can be asked for again without a second thought.
    """
    for _ in range(2):
        await slow_lab.submit(CAT)

    with pytest.raises(JobUnfinishedError, match="nothing was asked") as got:
        await slow_lab.generate(CAT, timeout=0.05)

    assert (got.value.sent, got.value.job_id) == (False, None)


async def test_a_timeout_under_way_says_not_to_ask_again(
    slow_lab: ModelsLab,
) -> None:
    """
    `sent` is True without an id: the job is in `jobs()` by its track_id.
    """
    with pytest.raises(JobUnfinishedError, match="do not ask again") as got:
        await slow_lab.generate(CAT, timeout=0.05)

    (job,) = slow_lab.jobs()
    assert (got.value.sent, got.value.job_id) == (True, None)
    assert job.track_id == got.value.track_id


async def test_a_timeout_after_acceptance_names_the_job(
    slow_lab: ModelsLab,
) -> None:
    """
    Running out of patience says how to come back.
    """
    with pytest.raises(JobUnfinishedError, match="by its id") as got:
        await slow_lab.generate(CAT, timeout=0.25)

    (job,) = slow_lab.jobs()
    assert job.id == got.value.job_id
    assert got.value.waited >= 0.25
    assert slow_lab.job(str(job.id)) is job


async def test_updates_end_with_the_job(lab: ModelsLab) -> None:
    """
    The present state comes first, the last one last.
    """
    job = await lab.submit(CAT)

    updates = [update async for update in job.updates()]

    assert updates[0].state is JobState.PROCESSING
    assert updates[-1].state is JobState.SUCCEEDED
    assert [one.polls for one in updates] == sorted(
        one.polls for one in updates
    )


async def test_a_handle_carries_what_fetch_replies_lack(
    lab: ModelsLab, simulator: Simulator
) -> None:
    """
    Taken up elsewhere, a job still knows its seed and its track_id.
    """
    job = await lab.submit(CAT)
    timeouts = Timeouts().faster(SPEED, silence=5)

    async with ModelsLab(
        "a-key", base_url=simulator.url, timeouts=timeouts
    ) as elsewhere:
        generation = await elsewhere.job(job.handle)

    assert (generation.id, generation.seed) == (job.id, 7)
    assert generation.track_id == job.track_id


async def test_a_job_nobody_knows_is_lost(lab: ModelsLab) -> None:
    """
    After three polls and 30 s an unknown id is given up.
    """
    job = lab.job(99)

    with pytest.raises(JobNotFoundError, match="99"):
        await job

    assert job.state is JobState.LOST


@pytest.mark.parametrize(
    "text", ["", "a\nb", "a/../b", "ml1.nonsense", "x" * 129, True]
)
async def test_what_is_no_job_is_refused(lab: ModelsLab, text: str) -> None:
    """
    Neither an id nor a handle: told at once, without a request.
    """
    with pytest.raises(ConfigurationError, match="not a job"):
        lab.job(text)


@pytest.mark.parametrize("profile", ["classic", "documented"])
@pytest.mark.parametrize("fetch", ["both", "path", "body"])
async def test_every_dialect_gives_pictures(profile: str, fetch: str) -> None:
    """
    In both dialects of errors, by each form of fetch, a busy account gives
    every picture.
    """
    timeouts = Timeouts().faster(SPEED, silence=5)
    async with (
        Simulator(
            speed=SPEED,
            pictures="plain",
            profile=profile,
            fetch=fetch,
            slots=2,
        ) as service,
        ModelsLab("a-key", base_url=service.url, timeouts=timeouts) as lab,
    ):
        generations = await asyncio.gather(
            *(lab.generate(CAT) for _ in range(6))
        )
        pictures = [await lab.read(one.images[0]) for one in generations]

    assert all(one.startswith(b"\x89PNG") for one in pictures)
    assert len(service.books.accepted) == 6


async def test_a_job_outlives_our_patience(simulator: Simulator) -> None:
    """
    After *job_timeout* its slot is free, and it can be waited for anew.
    """
    simulator.change(latency=Latency.constant(40.0))
    timeouts = Timeouts().faster(SPEED, silence=5)

    async with ModelsLab(
        "a-key", base_url=simulator.url, timeouts=timeouts, job_timeout=0.1
    ) as lab:
        job = await lab.submit(CAT)
        with pytest.raises(JobUnfinishedError):
            await job
        state, held = job.state, lab.stats().slots_held
        while job.state is not JobState.SUCCEEDED:
            with suppress(JobUnfinishedError):
                await job

    assert (state, held) == (JobState.UNFINISHED, 0)


async def test_the_inner_of_two_leaves_it_open(
    lab: ModelsLab,
) -> None:
    """
    The last ``async with`` out closes the client, not the first.
    """
    async with lab:
        await lab.generate(CAT)

    generation = await lab.generate(CAT)

    assert generation.images


async def test_closing_waits_for_what_is_under_way(
    slow: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A paid answer is waited for; its job is named, and those who wait hear.
    """
    timeouts = Timeouts().faster(SPEED / 10, silence=5)
    lab = ModelsLab("a-key", base_url=slow.url, timeouts=timeouts, slots=1)
    async with lab:
        call = asyncio.ensure_future(lab.generate(CAT))
        behind = asyncio.ensure_future(lab.generate(CAT))
        while not lab.jobs():
            await asyncio.sleep(0)

    ended = await asyncio.gather(call, behind, return_exceptions=True)
    (paid,) = slow.books.accepted

    assert isinstance(ended[0], JobUnfinishedError)
    assert isinstance(ended[1], ClientClosedError)
    assert str(paid.job_id) in caplog.text
    with pytest.raises(ClientClosedError):
        await lab.generate(CAT)


async def test_it_opens_anew(lab: ModelsLab) -> None:
    """
    After `aclose`, which may be called again, ``async with`` opens it.
    """
    await lab.aclose()
    await lab.aclose()

    async with lab:
        generation = await lab.generate(CAT)

    assert generation.images


async def test_it_closes_in_a_cancelled_task(
    slow: Simulator,
) -> None:
    """
    A task that is cancelled inside ``async with`` leaves nothing open.
    """
    timeouts = Timeouts().faster(SPEED / 10, silence=5)
    lab = ModelsLab("a-key", base_url=slow.url, timeouts=timeouts)
    before = asyncio.all_tasks()

    with anyio.move_on_after(0.05):
        async with lab:
            await lab.generate(CAT)

    assert "closed" in repr(lab)
    assert asyncio.all_tasks() == before
    assert len(slow.books.accepted) == 1


async def test_an_option_that_cannot_be_is_told_with_the_others() -> None:
    """
    All faults of a client's options are named together.
    """
    with pytest.raises(ConfigurationError) as got:
        ModelsLab("", base_url="nowhere", slots=0, job_timeout=-1)

    words = str(got.value)
    assert all(
        name in words
        for name in ("api_key", "base_url", "slots", "job_timeout")
    )
    assert "https://modelslab.com" in words


# What cannot be asked for


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"spec": "a cat"}, r"TextToImage\('a cat', model_id="),
        ({"spec": None}, "a spec is needed, such as TextToImage"),
        ({"spec": TextToImage}, r"not its class: TextToImage\("),
        ({"spec": {"prompt": "a cat"}}, "a spec is needed"),
        ({"priority": None}, "priority: a whole number"),
        ({"priority": "high"}, "priority: a whole number"),
        ({"priority": 1.5}, "priority: a whole number"),
        ({"priority": True}, "priority: a whole number"),
        ({"timeout": "60"}, "timeout: seconds"),
        ({"timeout": -1}, "timeout: seconds"),
        ({"timeout": float("nan")}, "timeout: seconds"),
        ({"timeout": True}, "timeout: seconds"),
        (
            {"spec": "a cat", "timeout": "60", "priority": None},
            "a spec is needed.*timeout: .*priority: ",
        ),
    ],
)
@pytest.mark.parametrize("name", ["generate", "submit"])
async def test_what_cannot_be_asked_for_is_told(
    lab: ModelsLab,
    simulator: Simulator,
    name: str,
    wrong: dict[str, Any],
    told: str,
) -> None:
    """
    All that is wrong with a call is told at once, with what to write, and
    nothing is sent.
    """
    facts = {"spec": CAT} | wrong

    with pytest.raises(ConfigurationError, match=told):
        await getattr(lab, name)(facts.pop("spec"), **facts)

    assert simulator.books.entries == []


@pytest.mark.parametrize("timeout", ["60", -1, float("nan"), True, []])
async def test_a_wait_that_cannot_be(lab: ModelsLab, timeout: Any) -> None:
    """
    A job is not waited for by something else than seconds.
    """
    job = await lab.submit(CAT)

    with pytest.raises(ConfigurationError, match="timeout: seconds"):
        await job.result(timeout)


IMAGE = Image(0, "https://cdn.example/0.png")
PICTURES = Generation("1", None, (IMAGE,))


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("read", ("https://cdn.example/0.png",), "an Image is needed"),
        ("read", (PICTURES,), "an Image is needed"),
        ("read", (None,), "an Image is needed"),
        ("save", ("https://cdn.example/0.png", "0.png"), "an Image is needed"),
        ("save", (IMAGE, None), "a path is needed"),
        ("save", (IMAGE, b"0.png"), "a path is needed"),
        ("save", (IMAGE, "a\0.png"), "a path is needed"),
        ("save", (IMAGE, "\ud800.png"), "a path is needed"),
        ("download", (PICTURES, "out\0"), "a path is needed"),
        ("download", (IMAGE, "out"), "a Generation is needed"),
        ("unknown", (None,), "a path or a Journal is needed"),
        ("unknown", (object(),), "a path or a Journal is needed"),
        ("unknown", ("a\0",), "a path or a Journal is needed"),
        ("settle_unknown", (5,), "a path or a Journal is needed"),
        ("download", (PICTURES, 1), "a path is needed"),
        ("download", ("1", 1), "a Generation is needed.*a path is needed"),
    ],
)
async def test_what_has_no_pictures_is_told(
    lab: ModelsLab, name: str, given: tuple[Any, ...], told: str
) -> None:
    """
    What is no picture, and what is no place for one, or for a batch.
    """
    with pytest.raises(ConfigurationError, match=told):
        await getattr(lab, name)(*given)


# How long a call waits for the service's sake


@pytest.mark.parametrize(
    ("answer", "tries"),
    [
        (
            {
                "message": "Rate limit exceeded",
                "tips": "you are sending same request multiple times",
                "retry_after": 86400,
            },
            1,
        ),
        ({"message": "banned, try again in 1 day"}, 1),
    ],
)
async def test_no_call_sleeps_for_a_day(
    lab: ModelsLab, simulator: Simulator, answer: dict[str, Any], tries: int
) -> None:
    """
    A service that wants to be asked tomorrow is told of today.
    """
    simulator.next("submit", Reply(200, {"status": "error", **answer}))

    with pytest.raises(RateLimitedError) as told:
        async with asyncio.timeout(5):
            await lab.generate(CAT)

    assert told.value.retry_after == 86400
    assert len(simulator.books.entries) == tries


async def test_retries_are_counted(simulator: Simulator) -> None:
    """
    Each event of a retry says the how-manieth try came to nothing.
    """
    loading = Reply(200, {"status": "error", "message": "Try Again"})
    unavailable = Reply(503, {"status": "error", "message": "unavailable"})
    for answer in (loading, unavailable, loading):
        simulator.next("submit", answer)
    seen: list[Event] = []
    async with ModelsLab(
        "a-key",
        base_url=simulator.url,
        timeouts=Timeouts().faster(1000, silence=5),
        observers=[seen.append],
    ) as lab:
        await lab.generate(CAT)

    retried = [one for one in seen if isinstance(one, CallRetried)]
    assert [one.tries for one in retried] == [1, 2, 3]
    assert [one.reason for one in retried] == [
        "LOADING",
        "UNAVAILABLE",
        "LOADING",
    ]


# What has left


async def test_what_was_held_when_it_was_closed_is_unknown(
    simulator: Simulator,
) -> None:
    """
    Of 400 requests at once, those that the service has seen are unknown, and
    no others.
    """
    service = simulator
    service.change(slots=500, hold=1e6, latency=Latency.constant(1e6))
    async with ModelsLab(
        "a-key",
        base_url=service.url,
        slots=400,
        timeouts=Timeouts().faster(SPEED, silence=5),
    ) as lab:
        calls = [
            asyncio.ensure_future(lab.generate(attrs.evolve(CAT, seed=seed)))
            for seed in range(400)
        ]
        await until(lambda: len(service.books.entries) > 100)
        await lab.aclose()
        ends = await asyncio.gather(*calls, return_exceptions=True)

    unknown = [one for one in ends if isinstance(one, OutcomeUnknownError)]
    seen = {entry.track_id for entry in service.books.entries}
    assert {one.track_id for one in unknown} == seen
    assert {type(one) for one in ends} <= {
        OutcomeUnknownError,
        ClientClosedError,
    }


@pytest.fixture
def unreached() -> Iterator[str]:
    """
    An address where nobody answers a knock.
    """
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        # Until its queue of those who knock is full.
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}/api/v6"


#: What a call is told that never left.
UNSENT: dict[str, type[BaseException]] = {
    "close": ClientClosedError,
    "cancel": asyncio.CancelledError,
    "timeout": JobUnfinishedError,
}


@pytest.mark.parametrize("way", UNSENT)
async def test_what_never_left_is_not_unknown(
    unreached: str, way: str
) -> None:
    """
    Who still knocks has sent nothing, and is in no list of jobs.
    """
    strike: dict[str, Callable[[ModelsLab, Any], object]] = {
        "close": lambda lab, _: asyncio.ensure_future(lab.aclose()),
        "cancel": lambda _, call: call.cancel(),
        "timeout": lambda *_: None,
    }
    async with ModelsLab("a-key", base_url=unreached) as lab:
        timeout = 0.2 if way == "timeout" else None
        call = asyncio.ensure_future(lab.generate(CAT, timeout=timeout))
        await until(lambda: lab.stats().slots_held)
        await asyncio.sleep(0.1)
        jobs = lab.jobs()
        strike[way](lab, call)
        (told,) = await asyncio.gather(call, return_exceptions=True)
        unknown = lab.stats().unknown

    assert jobs == ()
    assert unknown == 0
    assert type(told) is UNSENT[way]
    assert not getattr(told, "sent", False)


# Fresh links


async def test_fresh_links_change_nothing_else(
    lab: ModelsLab, simulator: Simulator, tmp_path: Path
) -> None:
    """
    What the service told with its first answer stays: fresh links come
    without it. And a job that is asked for its links has not succeeded twice.
    """
    simulator.change(hold=1e6, latency=Latency.constant(0.0))
    known = await lab.generate(CAT)
    old = attrs.evolve(
        known, images=(Image(0, f"{simulator.url}/gone/0.png"),)
    )
    simulator.next("file", Reply(404, "gone"), times=999)

    with pytest.raises(DownloadError) as told:
        await lab.download(old, tmp_path)
    simulator.forget_orders()
    (path,) = await lab.download(old, tmp_path)
    stats = lab.stats()

    fresh = told.value.generation
    assert fresh is not None
    assert fresh.images[0].url == known.images[0].url
    assert known.generation_time is not None
    assert attrs.evolve(fresh, raw_json=b"", images=()) == attrs.evolve(
        known, raw_json=b"", images=()
    )
    assert path.stat().st_size > 0
    assert (stats.accepted, stats.succeeded, stats.failed) == (1, 1, 0)


@pytest.mark.parametrize("way", ["timeout", "close"])
async def test_one_that_failed_was_asked_for(
    simulator: Simulator, way: str
) -> None:
    """
    A call whose paid job failed, and whose second request never left, is told
    of the failure: not that nothing was asked for.
    """
    simulator.change(failing="cat")

    def full(event: Event) -> None:
        if isinstance(event, JobFinished) and event.job_id is not None:
            simulator.occupy("a-key", 10)

    async with ModelsLab(
        "a-key",
        base_url=simulator.url,
        retry=RetryPolicy(resubmit_failed=1),
        timeouts=Timeouts().faster(SPEED),
        observers=[full],
    ) as lab:
        timeout = 1.0 if way == "timeout" else None
        call = asyncio.ensure_future(lab.generate(CAT, timeout=timeout))
        if way == "close":
            await until(lambda: simulator.books.refused)
            await lab.aclose()
        with pytest.raises(GenerationFailedError) as told:
            await call

    (bought,) = simulator.books.accepted
    assert told.value.job_id == str(bought.job_id)
