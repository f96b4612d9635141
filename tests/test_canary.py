"""
The key is nowhere to be found: not in a repr, a log, an error with all its
frames, a pickle or a file.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import pickle
import traceback
import types

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

from modelslab_async import ModelsLab, RetryPolicy, TextToImage, Timeouts
from modelslab_async._engine.api_key import ApiKey
from modelslab_async._engine.http import SessionPool
from modelslab_async._engine.runtime import Runtime
from modelslab_async._observing import Observers
from modelslab_async._protocol.replies import Call, Cut
from modelslab_async.errors import ConfigurationError, ModelsLabError
from modelslab_async.events import Event
from modelslab_async.results import Generation
from modelslab_async.simulator import Edit, Fault, Reply, Settings, Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]

#: What is looked for is its beginning, so that a part of it counts as well.
CANARY = "c4nary"
SPEED = 1000.0
CAT = TextToImage("a cat", model_id="flux", seed=7)
TIMEOUTS = attrs.evolve(
    Timeouts().faster(SPEED, silence=5.0),
    submit_read=0.1,
    submit=0.2,
    poll=0.1,
)


def secret() -> str:
    """
    The key; no test has it in a variable, else it would find itself.
    """
    return f"{CANARY}/K3Y-0123456789-abcdef"


def leaks(*things: object) -> list[str]:
    """
    All that can be read of these things and holds the key.
    """
    return [
        text[max(0, text.index(CANARY) - 200) :][:400]
        for thing in things
        for text in readings(thing)
        if CANARY in text
    ]


def readings(thing: object) -> Iterator[str]:
    """
    What can be read of a thing: printed, looked into, pickled; of an error
    its frames too, and all errors that it hangs on.
    """
    yield repr(thing)
    yield str(thing)
    for name, value in fields(thing):
        yield f"{name}={value!r}"
    with suppress(TypeError, AttributeError, pickle.PicklingError):
        yield pickle.dumps(thing).decode("latin-1")
    if isinstance(thing, Generation):
        yield json.dumps([thing.raw, thing.meta])
    if isinstance(thing, bytes):
        yield thing.decode("latin-1")
    if isinstance(thing, BaseException):
        for error in chain(thing):
            yield repr((error, str(error), vars(error), error.args))
            yield "".join(
                traceback.TracebackException.from_exception(
                    error, capture_locals=True
                ).format(chain=False)
            )


def fields(thing: object) -> Iterator[tuple[str, object]]:
    """
    What a thing is made of, one level deep, with or without slots.
    """
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        for name in getattr(kind, "__slots__", ()):
            with suppress(AttributeError):
                yield name, getattr(thing, name)


def chain(error: BaseException) -> list[BaseException]:
    """
    An error, its causes and contexts, the suppressed ones too.
    """
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or one in found:
            continue
        found.append(one)
        todo += [one.__cause__, one.__context__]
    return found


def frames(awaited: object) -> Iterator[types.FrameType]:
    """
    The frames in which a suspended coroutine is, down to its future.
    """
    while awaited is not None:
        for prefix in ("cr", "gi", "ag"):
            frame = getattr(awaited, f"{prefix}_frame", None)
            if frame is not None:
                yield frame
        awaited = next(
            (
                deeper
                for name in ("cr_await", "gi_yieldfrom", "ag_await")
                if (deeper := getattr(awaited, name, None)) is not None
            ),
            None,
        )


def suspended(only: str = "") -> list[str]:
    """
    The locals of all suspended tasks, of files whose path has *only* in it.
    """
    return [
        f"{frame.f_code.co_qualname} {name}={value!r}"
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task()
        for frame in (*task.get_stack(), *frames(task.get_coro()))
        if only in frame.f_code.co_filename
        for name, value in frame.f_locals.items()
    ]


@pytest.fixture(autouse=True)
def everything_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> Iterator[None]:
    """
    All loggers at DEBUG, asyncio's and aiohttp's too; none tells the key.
    """
    caplog.set_level(logging.DEBUG)
    yield
    formatter = logging.Formatter("%(name)s %(message)s")
    told = [formatter.format(one) for one in caplog.get_records("call")]
    assert [line for line in told if CANARY in line] == []


@pytest.fixture
def modelslab_settings() -> Settings:
    """
    For a simulator in a thread of its own: it knows the key, and its tasks
    and frames are not ours.
    """
    return Settings(speed=SPEED, pictures="plain")


@pytest.fixture
def service(modelslab_simulator: Simulator) -> Simulator:
    """
    That simulator.
    """
    return modelslab_simulator


@asynccontextmanager
async def watched(
    service: Simulator, **settings: Any
) -> AsyncIterator[tuple[ModelsLab, list[Event]]]:
    """
    A client with the key, on a loop that tells all it does.
    """
    service.change(**settings)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    seen: list[Event] = []
    async with ModelsLab(
        secret(),
        base_url=service.url,
        timeouts=TIMEOUTS,
        retry=RetryPolicy(attempts=2),
        observers=[seen.append],
    ) as lab:
        yield lab, seen


def echo(http: int = 200, **more: object) -> Reply:
    """
    An answer that repeats the key, in both spellings of JSON.
    """
    said = {
        "status": "error",
        "message": f"Invalid Api Key: {secret()}",
        "key": secret(),
        "tip": f"https://x.example/?key={secret()}",
        "meta": {"key": secret(), "prompt": f"a {secret()}"},
        **more,
    }
    text = json.dumps(said)
    return Reply(
        http, text[:-1] + ', "again": ' + text.replace("/", "\\/") + "}"
    )


SUBMITS: dict[str, Reply | Edit | Fault] = {
    "account": echo(),
    "account, 401": echo(401),
    "ban": echo(message=f"{secret()}, try again in 3 days"),
    "refused": echo(400, message=f"no {secret()}"),
    "failed": echo(status="failed", id=7, message=f"no {secret()}"),
    "server": echo(500),
    "redirect": Reply(307, secret(), headers={"Location": f"/{secret()}"}),
    "html": Reply(502, f"<html>{secret()}</html>"),
    "torn json": Reply(200, f'{{"status": "processing", "id": "{secret()}'),
    "reset": Fault.RESET_AFTER,
    "silence": Fault.SILENCE,
    "half an answer": Fault.TORN,
    "bomb": Fault.GZIP_BOMB,
    "unavailable": echo(503),
}


@pytest.mark.parametrize("what", SUBMITS)
async def test_a_request_that_fails(service: Simulator, what: str) -> None:
    """
    However a request fails, and whatever the service repeats: nothing that
    is raised, told or left has the key.
    """
    async with watched(service) as (lab, seen):
        service.next("submit", SUBMITS[what], times=9)
        with pytest.raises(ModelsLabError) as caught:
            await lab.generate(CAT)

        found = leaks(caught.value, lab, lab.stats(), *lab.jobs(), *seen)

    assert found == []


POLLS: dict[str, Reply | Edit | Fault] = {
    "account": echo(401),
    "failed": echo(message=f"no {secret()}"),
    "not found": echo(message=f"Request not found: {secret()}"),
}


@pytest.mark.parametrize("what", POLLS)
async def test_a_job_that_fails(service: Simulator, what: str) -> None:
    """
    So it is with what polls are told.
    """
    async with watched(service, hold=0.0, latency=1e4) as (lab, seen):
        service.next("fetch", POLLS[what], times=99)
        job = await lab.submit(CAT)
        with pytest.raises(ModelsLabError) as caught:
            await job.result()
        update = await anext(job.updates())

        found = leaks(caught.value, lab, job, update, *seen)

    assert found == []


async def test_pictures_of_a_talkative_service(service: Simulator) -> None:
    """
    Where the service repeats the key in all it says, a generation, its job
    and its handle have asterisks in its place.
    """
    chatter = {
        "message": secret(),
        "key": secret(),
        "meta": {"prompt": secret(), "key": secret(), "seed": 7},
    }
    async with watched(service, hold=0.0, latency=50.0) as (lab, seen):
        service.next("submit", Edit(chatter))
        service.next("fetch", Edit(chatter), times=99)
        job = await lab.submit(CAT)
        updates = [update async for update in job.updates()]
        generation = await job
        data = await lab.read(generation.images[0])
        handle = base64.urlsafe_b64decode(job.handle.split(".")[1] + "===")

        found = leaks(
            generation, job, handle, data, lab, *updates, *seen, *vars(lab)
        )

    assert generation.raw["key"] == "***"
    assert generation.meta["prompt"] == "***"
    assert found == []


async def test_who_stops_waiting(service: Simulator) -> None:
    """
    Neither a timeout nor a cancelled task has the key in its frames, nor
    have the tasks that go on.
    """
    async with watched(service, hold=60.0, latency=90.0) as (lab, _):
        with pytest.raises(TimeoutError) as late:
            await lab.generate(CAT, timeout=0.02)
        # A busy machine may not even have sent it.
        before = len(service.books.entries)
        waiting = asyncio.create_task(lab.generate(CAT))
        while len(service.books.entries) == before:
            await asyncio.sleep(0)
        on_the_way = suspended()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await waiting

        found = leaks(late.value, cancelled.value, *lab.jobs())

    assert any("_exchange" in line for line in on_the_way)
    assert leaks(*on_the_way) == []
    assert found == []


async def test_a_submit_that_is_itself_cancelled(service: Simulator) -> None:
    """
    The frames from our submit down through aiohttp, on their way out.
    """
    service.next("submit", Fault.SILENCE)
    runtime = Runtime(Timeouts(), Observers([]))
    pool = SessionPool(runtime, ApiKey(secret()), service.url)
    pool.open()
    call = Call(f"{service.url}/images/text2img", b'{"prompt":"a cat"}')
    task = asyncio.create_task(pool.submit(call))
    while not service.books.entries:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    found = leaks(caught.value, pool, pool.key)
    await pool.aclose()

    assert found == []


async def test_a_request_that_cannot_be_written() -> None:
    """
    While a body is too long for the line, none of our frames has its bytes;
    when the line breaks, nobody is told of them.
    """
    arrived, over = asyncio.Event(), asyncio.Event()

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        arrived.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    runtime = Runtime(TIMEOUTS, Observers([]))
    pool = SessionPool(runtime, ApiKey(secret()), f"http://127.0.0.1:{port}")
    pool.open()
    call = Call(f"http://127.0.0.1:{port}/", b'{"p":"%b"}' % bytes(2**24))
    task = asyncio.create_task(pool.submit(call))
    await arrived.wait()
    on_the_way = suspended("modelslab_async")
    heard = await task
    await pool.aclose()
    over.set()
    server.close()
    await server.wait_closed()

    assert any("_exchange" in line for line in on_the_way)
    assert leaks(*on_the_way) == []
    assert isinstance(heard, Cut)
    assert leaks(heard) == []


@pytest.mark.parametrize("where", [200, 290])
async def test_an_answer_that_is_no_http(where: int) -> None:
    """
    What aiohttp quotes of an answer that it cannot read has no part of the
    key, also where the quotation ends within it.
    """

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x" * where + secret().encode() + b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        ModelsLab(
            secret(), base_url=f"http://127.0.0.1:{port}/v6", timeouts=TIMEOUTS
        ) as lab,
    ):
        with pytest.raises(ModelsLabError) as caught:
            await lab.generate(CAT)

    assert leaks(caught.value) == []


async def test_a_service_that_is_not_there() -> None:
    """
    A refused connection tells where it went, not with what.
    """
    async with Simulator(speed=SPEED, pictures="plain") as service:
        pass
    async with ModelsLab(
        secret(),
        base_url=service.url,
        timeouts=TIMEOUTS,
        retry=RetryPolicy(attempts=2),
    ) as lab:
        with pytest.raises(ModelsLabError) as caught:
            await lab.generate(CAT)

    assert leaks(caught.value) == []


@pytest.mark.parametrize(
    "options",
    [
        {"slots": 0},
        {"base_url": "ftp://x.example"},
        {"job_timeout": -1.0},
        {"max_downloads": 0, "slots": "many"},
        {"base_url": 7},
    ],
    ids=str,
)
async def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    """
    A client that refuses its options does not show the key that it got.
    """
    with pytest.raises(ModelsLabError) as caught:
        ModelsLab(secret(), **options)

    assert leaks(caught.value) == []


async def test_the_canary_sings() -> None:
    """
    Where the key is to be seen, it is found: in a repr, a field, an error's
    words, its frames, what it hangs on, and a pickle.
    """

    class Leaky:
        __slots__ = ("hidden",)

        def __init__(self) -> None:
            self.hidden = secret()

        def __repr__(self) -> str:
            return "<Leaky>"

    def dies() -> None:
        with suppress(ValueError):
            raise ValueError(secret())
        try:
            said = secret()
            raise LookupError(len(said))
        except LookupError:
            raise KeyError from None

    with pytest.raises(KeyError) as caught:
        dies()
    hidden = KeyError()
    hidden.__context__ = ValueError(secret())

    assert leaks([secret()], secret().encode()) != []
    assert leaks(Leaky()) != []
    assert leaks(caught.value) != []
    assert leaks(hidden) != []
    assert leaks(ModelsLabError(secret())) != []


def _bytes() -> Any:
    return secret().encode()


def _broken() -> str:
    raise LookupError(secret())


def _cancelled() -> str:
    raise asyncio.CancelledError(secret())


@pytest.mark.parametrize("give", [_bytes, _broken, _cancelled])
async def test_a_key_that_is_none(give: Any) -> None:
    """
    A key of the wrong type, or whose function fails, is not shown either.
    """
    async with ModelsLab(give, base_url="http://127.0.0.1:9/v6") as lab:
        with pytest.raises(ConfigurationError) as caught:
            await lab.generate(CAT)

    ours = [
        frame
        for error in chain(caught.value)
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if "modelslab_async" in frame.f_code.co_filename
    ]
    assert leaks(str(caught.value), *[frame.f_locals for frame in ours]) == []


async def test_the_client_itself(service: Simulator) -> None:
    """
    Open, closed or left open, a client is silent about its key, and is not
    pickled with it.
    """
    async with watched(service) as (lab, _):
        rooms = lab._lifetime.open()
        opened = leaks(
            lab,
            rooms,
            rooms.pool,
            rooms.pool.key,
            rooms.poller,
            rooms.submitter,
            rooms.runtime,
            rooms.queue,
            rooms.downloads,
        )
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(rooms.pool.key)

    with pytest.raises(ModelsLabError) as caught:
        await lab.generate(CAT)

    assert opened == []
    assert leaks(lab, caught.value) == []


async def test_a_folder_of_a_batch(service: Simulator, tmp_path: Path) -> None:
    """
    No file that a batch writes has the key: the journal, its log, the
    manifest, the page, the status, the pictures; while it runs and after.
    """
    specs = [
        TextToImage(f"picture {number}", model_id="flux", seed=number)
        for number in range(8)
    ]
    chatter = Edit({"message": secret(), "meta": {"prompt": secret()}})
    during: dict[str, bytes] = {}
    async with watched(service) as (lab, seen):
        service.next("submit", chatter, prompt="picture 0")
        service.next("submit", echo(400, message=secret()), prompt="picture 1")
        service.next("submit", Fault.TORN, prompt="picture 2")
        service.next("submit", Reply(502, secret()), prompt="picture 3")
        service.next("fetch", echo(message=secret()), prompt="picture 4")
        async with lab.batch(specs, output=tmp_path / "out") as batch:
            outcomes = []
            async for outcome in batch:
                outcomes.append(outcome)
                during |= contents(tmp_path)
        found = leaks(
            batch,
            batch.progress,
            *outcomes,
            *[one.error for one in outcomes if one.error],
            *seen,
        )
    after = contents(tmp_path)

    names = {Path(name).name for name in after}
    assert {"journal.sqlite", "manifest.jsonl", "index.html"} <= names
    assert "status.json" in names
    assert sum(one.error is not None for one in outcomes) >= 3
    assert found == []
    assert leaks(*during.values(), *after.values()) == []


def contents(folder: Path) -> dict[str, bytes]:
    """
    Every file below, all its bytes; what cannot be read fails the test,
    but for files that were put in place meanwhile.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with suppress(FileNotFoundError):
                found[str(path)] = path.read_bytes()
    return found


async def test_a_bug_beside_the_key() -> None:
    """
    Where the key is looked for, what went wrong is shown without it.
    """
    body: Any = None
    with pytest.raises(AttributeError) as bug:
        ApiKey(CANARY).scrub(body)

    shown = traceback.TracebackException.from_exception(
        bug.value, capture_locals=True
    )
    told = "".join(shown.format())
    # The test's own frame comes first, and names none of it.
    assert "forms = " in told
    assert CANARY not in told
