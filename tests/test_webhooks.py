"""
The doorbell's receivers, over real sockets, and what is read of a body.
"""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import socket

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import aiohttp
import attrs
import pytest

from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from modelslab_async import JobState
from modelslab_async.errors import ConfigurationError, ProtocolError
from modelslab_async.webhooks import Doorbell, Notice, parse


SECRET = "a-secret-that-nobody-guesses"
SUCCESS = {
    "status": "success",
    "id": 134701497,
    "output": ["https://files.example/0.png"],
    "generationTime": 1.5,
    "track_id": "7",
    "meta": {"seed": 3},
}


@attrs.define
class Ears:
    """
    A client that knows some numbers.
    """

    knows: set[str]
    heard: list[tuple[str, Notice | None]] = attrs.field(factory=list)

    def __call__(self, number: str, notice: Notice | None) -> bool:
        self.heard.append((number, notice))
        return number in self.knows

    def __hash__(self) -> int:
        return id(self)


def belled(base_url: str) -> tuple[Doorbell, Ears]:
    bell, ears = Doorbell(base_url, SECRET), Ears({"42"})
    bell.attach(ears)
    return bell, ears


# Receivers of all kinds: each gives the base URL where it is mounted.

Receiver: TypeAlias = "Callable[[], AbstractAsyncContextManager[Any]]"


@asynccontextmanager
async def served(app: web.Application, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def aiohttp_routes() -> AsyncIterator[tuple[Doorbell, Ears]]:
    """
    An application of aiohttp.web whose routes are the doorbell's.
    """
    port = free_port()
    bell, ears = belled(f"http://127.0.0.1:{port}/hooks/modelslab")
    app = web.Application()
    app.add_routes(bell.routes())
    async with served(app, port):
        yield bell, ears


@asynccontextmanager
async def aiohttp_subapp() -> AsyncIterator[tuple[Doorbell, Ears]]:
    """
    The same, below another path.
    """
    port = free_port()
    bell, ears = belled(f"http://127.0.0.1:{port}/hooks")
    app, below = web.Application(), web.Application()
    below.add_routes(bell.routes("/"))
    app.add_subapp("/hooks", below)
    async with served(app, port):
        yield bell, ears


@asynccontextmanager
async def uvicorned(app: Any, port: int) -> AsyncIterator[None]:
    # As all frameworks, not before it is needed.
    import uvicorn

    config = uvicorn.Config(
        app, port=port, log_level="critical", lifespan="on", ws="none"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def bare_asgi() -> AsyncIterator[tuple[Doorbell, Ears]]:
    """
    uvicorn with nothing but the doorbell, lifespan included.
    """
    port = free_port()
    bell, ears = belled(f"http://127.0.0.1:{port}")
    async with uvicorned(bell.asgi, port):
        yield bell, ears


@asynccontextmanager
async def on_fastapi() -> AsyncIterator[tuple[Doorbell, Ears]]:
    """
    FastAPI.
    """
    import fastapi

    port = free_port()
    bell, ears = belled(f"http://127.0.0.1:{port}/api/hooks")
    app = fastapi.FastAPI()
    app.mount("/api/hooks", bell.asgi)
    async with uvicorned(app, port):
        yield bell, ears


@asynccontextmanager
async def on_starlette() -> AsyncIterator[tuple[Doorbell, Ears]]:
    """
    Starlette, two mounts deep.
    """
    from starlette.applications import Starlette
    from starlette.routing import Mount

    port = free_port()
    bell, ears = belled(f"http://127.0.0.1:{port}/a/b")
    app = Starlette(
        routes=[Mount("/a", routes=[Mount("/b", bell.asgi)])],
    )
    async with uvicorned(app, port):
        yield bell, ears


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


RECEIVERS = pytest.mark.parametrize(
    "receiver",
    [aiohttp_routes, aiohttp_subapp, bare_asgi, on_fastapi, on_starlette],
)


@RECEIVERS
@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_rings(receiver: Receiver) -> None:
    """
    A call of a job's own URL is answered with 200, and rings.
    """
    async with (
        receiver() as (bell, ears),
        aiohttp.ClientSession() as session,
        session.post(bell.url("42"), json=SUCCESS) as answer,
    ):
        status, body = answer.status, await answer.read()

    assert (status, body) == (200, b"")
    ((number, notice),) = ears.heard
    assert number == "42"
    assert notice is not None
    assert notice.job_id == "134701497"


@RECEIVERS
@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_refuses(receiver: Receiver) -> None:
    """
    A wrong token is not found, what is no POST is not allowed, and what is
    too long is not taken.
    """
    found = {}
    async with receiver() as (bell, ears), aiohttp.ClientSession() as session:
        good = bell.url("42")
        other = bell.url("43").rpartition("/")[2]
        for name, method, url, data in (
            ("another's", "POST", f"{bell.base_url}/42/{other}", b"{}"),
            ("cut", "POST", good[:-1], b"{}"),
            ("lower", "POST", good.lower(), b"{}"),
            ("odd", "POST", f"{bell.base_url}/42/%C3%A9%00", b"{}"),
            ("get", "GET", good, None),
            ("put", "PUT", good, b"{}"),
            ("head", "HEAD", good, None),
            ("options", "OPTIONS", good, None),
        ):
            async with session.request(method, url, data=data) as answer:
                found[name] = answer.status
        silent = list(ears.heard)
        async with session.post(good, data=b"x" * 262_145) as answer:
            found["long"] = answer.status
        async with session.post(good, data=_pieces(300)) as answer:
            found["long, in pieces"] = answer.status
        async with session.post(good, data=_pieces(200)) as answer:
            found["in pieces"] = answer.status

    assert silent == []
    assert found == {
        "another's": 404,
        "cut": 404,
        "lower": 404,
        "odd": 404,
        "get": 405,
        "put": 405,
        "head": 405,
        "options": 405,
        "long": 413,
        "long, in pieces": 413,
        "in pieces": 200,
    }


async def _pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 1024


@RECEIVERS
@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_goes_on(receiver: Receiver) -> None:
    """
    A caller who hangs up in the middle harms nobody.
    """
    async with receiver() as (bell, ears):
        host, _, path = bell.url("42")[7:].partition("/")
        name, _, port = host.partition(":")
        _, writer = await asyncio.open_connection(name, int(port))
        writer.write(
            f"POST /{path} HTTP/1.1\r\nHost: {host}\r\n"
            "Content-Length: 100\r\n\r\nhalf".encode()
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with (
            aiohttp.ClientSession() as session,
            session.post(bell.url("42"), json=SUCCESS) as answer,
        ):
            status = answer.status

    assert status == 200
    assert len(ears.heard) == 1


@pytest.mark.asyncio
@pytest.mark.usefixtures("hurried")
async def test_websockets_are_refused() -> None:
    """
    The ASGI application closes a websocket, and leaves unknown scopes alone.
    """
    bell = Doorbell("https://me.example/hooks", SECRET)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await bell.asgi({"type": "websocket", "path": "/"}, receive, send)
    await bell.asgi({"type": "news"}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1008}]


# The doorbell itself.


def test_urls_are_the_secrets() -> None:
    """
    The same secret makes the same URL; another one, or another number, does
    not.
    """
    bell = Doorbell("https://me.example/hooks/", SECRET)
    again = Doorbell("https://me.example/hooks", SECRET.encode())
    other = Doorbell("https://me.example/hooks", SECRET[::-1])

    assert bell.url(42) == again.url("42")
    assert bell.url("42").startswith("https://me.example/hooks/42/")
    assert len({bell.url("42"), bell.url("43"), other.url("42")}) == 3


def test_keeps_its_secret() -> None:
    """
    No repr, pickle or copy of a doorbell has its secret.
    """
    bell = Doorbell("https://me.example/hooks", SECRET)

    assert repr(bell) == "<Doorbell https://me.example/hooks>"
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            take(bell)


@pytest.mark.parametrize(
    ("base_url", "secret", "match"),
    [
        ("me.example/hooks", SECRET, "base_url: an http"),
        ("ftp://me.example", SECRET, "base_url"),
        ("https://", SECRET, "base_url"),
        ("https://me.example:port", SECRET, "base_url"),
        ("https://me.example/?a=1", SECRET, "query"),
        ("https://me.example/#a", SECRET, "query"),
        ("https://me.example/{a}", SECRET, "base_url"),
        ("https://me.example/a b", SECRET, "base_url"),
        ("https://u:p@me.example/", SECRET, "without a user"),
        (None, SECRET, "base_url"),
        ("https://me.example", "short", "secret: at least 16"),
        ("https://me.example", None, "secret: a text"),
    ],
)
def test_what_cannot_be(base_url: Any, secret: Any, match: str) -> None:
    """
    A doorbell that cannot ring says why, and not its secret.
    """
    with pytest.raises(ConfigurationError, match=match) as caught:
        Doorbell(base_url, secret)

    assert "short" not in str(caught.value)


def test_what_nobody_knows_is_kept() -> None:
    """
    A ring that comes before its client is kept for it, once, and not too many
    of them.
    """
    bell, ears = Doorbell("https://me.example", SECRET), Ears({"2"})
    body = json.dumps(SUCCESS).encode()
    bell.ring("1", body)
    bell.ring("1")
    bell.attach(ears)
    bell.ring("2", body)

    assert [number for number, _ in bell.kept()] == ["1"]
    assert bell.kept()[0][1] == parse(body)
    bell.taken("1")
    bell.detach(ears)
    for number in range(2000):
        bell.ring(str(number))
    assert len(bell.kept()) == 1000


def test_what_is_kept_grows_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    After a minute nobody is waited for any more.
    """
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    bell = Doorbell("https://me.example", SECRET)
    bell.ring("1")
    now = 1059.0
    bell.ring("2")
    assert len(bell.kept()) == 2
    now = 1061.0
    assert [number for number, _ in bell.kept()] == ["2"]


@given(st.text(max_size=600), st.text(max_size=80))
def test_nothing_else_opens(number: str, token: str) -> None:
    """
    No path but our own opens, whatever it is made of.
    """
    bell = Doorbell("https://me.example/hooks", SECRET)

    assert bell.opens(number, token) is False


# Bodies.


@pytest.mark.parametrize(
    ("body", "state", "job_id", "track_id", "message"),
    [
        (SUCCESS, "succeeded", "134701497", "7", None),
        ({"status": "success", "id": 1}, "succeeded", "1", None, None),
        (
            {"status": "failed", "id": 1, "message": "no", "track_id": 34},
            "failed",
            "1",
            "34",
            "no",
        ),
        ({"status": "error", "messege": "no"}, "failed", None, None, "no"),
        (
            {"status": "processing", "request_id": "1", "eta": 3},
            "processing",
            "1",
            None,
            None,
        ),
        ({"status": "finished", "id": 1}, "processing", "1", None, None),
        ({"id": 1}, "processing", "1", None, None),
        ({"meta": {"track_id": "x"}}, "processing", None, "x", None),
    ],
)
def test_parse(
    body: dict[str, Any],
    state: str,
    job_id: str | None,
    track_id: str | None,
    message: str | None,
) -> None:
    """
    Each body that the service may send has one reading.
    """
    notice = parse(json.dumps(body).encode())

    assert notice.state is JobState(state)
    assert (notice.job_id, notice.track_id) == (job_id, track_id)
    assert notice.message == message
    assert pickle.loads(pickle.dumps(notice)) == notice


@pytest.mark.parametrize(
    "spell",
    [
        json.dumps,
        lambda body: json.dumps(body).encode(),
        lambda body: bytearray(json.dumps(body).encode()),
        dict,
    ],
)
def test_parse_takes_a_body_in_any_form(
    spell: Callable[[dict[str, object]], Any],
) -> None:
    """
    As it came, or as a framework has read it.
    """
    assert parse(spell(SUCCESS)) == parse(json.dumps(SUCCESS))


@pytest.mark.parametrize("given", [None, 5, [SUCCESS], object()])
def test_what_is_no_body(given: Any) -> None:
    """
    What nobody can have posted is told so.
    """
    with pytest.raises(ConfigurationError, match="a webhook's body is needed"):
        parse(given)


@pytest.mark.parametrize("body", [{"a": object()}, {"a": {1}}, {(1,): 2}])
def test_a_dict_that_is_no_json(body: Any) -> None:
    """
    A dict of something else is a body that nobody can read.
    """
    with pytest.raises(ProtocolError):
        parse(body)


def test_parse_has_the_pictures() -> None:
    """
    A success has a generation, as a fetch would give it.
    """
    generation = parse(json.dumps(SUCCESS)).generation

    assert generation is not None
    assert generation.images[0].url == "https://files.example/0.png"
    assert (generation.id, generation.track_id) == ("134701497", "7")
    assert (generation.seed, generation.generation_time) == (3, 1.5)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"{" * 100_000,
        b'{"a":' * 100_000,
        b"<html>\x00 {not json",
        b'{"message": "hello"}',
        b"\xff\xfe",
        b"1" * 10_000,
        b'{"id": true}',
    ],
)
def test_what_nobody_can_read(body: bytes) -> None:
    """
    What is no notice is a `ProtocolError`.
    """
    with pytest.raises(ProtocolError):
        parse(body)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["success", "failed", "processing", "https://a.b/c"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "track_id", "status", "output", "meta", "message"]
            )
            | st.text(max_size=8),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(st.binary(max_size=300) | JSON_VALUES.map(json.dumps))
def test_any_body(body: bytes | str) -> None:
    """
    Whatever is sent, it is a notice or a `ProtocolError`.
    """
    try:
        notice = parse(body)
    except ProtocolError:
        return
    assert isinstance(notice.state, JobState)
    Doorbell("https://me.example", SECRET).ring(
        "1", body.encode() if isinstance(body, str) else body
    )
