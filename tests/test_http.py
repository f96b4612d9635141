"""
The network over real sockets: whether a request left, and who may see the key.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import html
import json
import socket
import ssl
import threading
import time

from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import attrs
import pytest
import trustme

from aiohttp.client_reqrep import ConnectionKey
from aioresponses import aioresponses
from peers import (
    BODY,
    CAP,
    KEY,
    OK,
    PATIENT,
    TIMEOUTS,
    Act,
    Peer,
    a_pool,
    fetched,
    head,
    peer,
    resets,
    says,
    served,
)
from waiting import until

from modelslab_async import Image, ModelsLab, TextToImage, Timeouts
from modelslab_async._engine.api_key import ApiKey
from modelslab_async._protocol.replies import Call, Cut, Reply, Unsent
from modelslab_async.errors import (
    ClientClosedError,
    ConfigurationError,
    TransportError,
)
from modelslab_async.simulator import Simulator


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]


SLOW = [bytes([byte]) for byte in head(b"Content-Length: 2") + b"{}"]
#: What they do, and whether an answer has begun; None: it may have.
BROKEN: dict[str, tuple[Act, bool | None]] = {
    "reset": (resets, False),
    "hung up": (says(more=False), False),
    "silence": (says(b"", pause=None), False),
    "half a status line": (says(b"HTTP/1.1 2", more=False), False),
    "half a head": (says(b"HTTP/1.1 200 OK\r\nConte", more=False), False),
    "a slow head": (says(*SLOW, pause=0.05), False),
    "no status line": (says(b"what?\r\n\r\n", more=False), False),
    "a head of 1 MB": (
        says(head(b"X: " + b"x" * 1_000_000), more=False),
        False,
    ),
    "a promise, then nothing": (
        says(b"HTTP/1.1 100 Continue\r\n\r\n", more=False),
        False,
    ),
    "no body": (says(head(b"Content-Length: 9"), more=False), True),
    "half a body": (says(head(b"Content-Length: 9"), b"{", more=False), True),
    "half a body, then silence": (
        says(head(b"Content-Length: 9") + b"{", pause=None),
        True,
    ),
    "a slow body": (
        says(head(b"Content-Length: 99"), *[b"x"] * 99, pause=0.05),
        True,
    ),
    "a body over the cap": (
        says(head(b"Content-Length: 10001") + b"x" * 10_001),
        True,
    ),
    "an endless body": (
        says(head(), *[b"x" * 5_000] * 9, pause=0.0),
        True,
    ),
    "a bomb": (
        says(
            head(b"Content-Encoding: gzip", b"Content-Length: 4097")
            + gzip.compress(bytes(4_000_000), mtime=0).ljust(4_097, b"\0")
        ),
        True,
    ),
    "half a gzip": (
        says(head(b"Content-Length: 12") + gzip.compress(b"{}")[:12]),
        True,
    ),
    "a chunk of no length": (
        says(head(b"Transfer-Encoding: chunked") + b"{}\r\n"),
        None,
    ),
}


#: What nothing but a timeout ends.
TIMED_OUT = {
    "silence",
    "a slow head",
    "half a body, then silence",
    "a slow body",
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("kind", ["submit", "poll"])
async def test_an_answer_that_does_not_come_whole(
    what: str, kind: str
) -> None:
    """
    Once a request has left, whatever breaks is `Cut`: never an exception,
    never "not sent", never an answer.
    """
    act, begun = BROKEN[what]
    timeouts = TIMEOUTS if what in TIMED_OUT else PATIENT
    async with peer(act) as other, a_pool(timeouts=timeouts) as pool:
        send = pool.submit if kind == "submit" else pool.poll
        # As the poll loop does it: polls that drip are ended from outside.
        limit = timeouts.poll * 2 if kind == "poll" else None
        try:
            heard = await asyncio.wait_for(send(other.call), limit)
        except TimeoutError:
            heard = Cut("swept", begun=bool(begun))

    assert isinstance(heard, Cut), heard
    assert begun in {None, heard.begun}
    assert heard.reason
    assert len(other.requests) == 1


async def test_a_head_that_is_reset_before_its_body_is_read() -> None:
    """
    A connection that breaks while the request is on its way is `Cut`: how
    much of it arrived, nobody knows.
    """

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(1)
        await resets(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    large = b'{"prompt":"' + b"x" * 4_000_000 + b'"}'
    async with server, a_pool() as pool:
        heard = await pool.submit(
            Call(f"http://127.0.0.1:{port}/api", large, CAP)
        )

    assert isinstance(heard, Cut)


async def test_a_port_where_nobody_listens() -> None:
    """
    A refused connection is `Unsent`, and worth another try.
    """
    async with peer(says(OK)) as other:
        pass

    async with a_pool() as pool:
        heard = await pool.submit(other.call)

    assert isinstance(heard, Unsent)
    assert not heard.hopeless


async def test_somebody_who_is_not_who_he_says() -> None:
    """
    A certificate of nobody we know ends it before a byte of ours is sent.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    other = Peer(says(OK))
    server = await asyncio.start_server(
        other.serve, "127.0.0.1", 0, ssl=context
    )
    port = server.sockets[0].getsockname()[1]
    async with server, a_pool() as pool:
        heard = await pool.submit(
            Call(f"https://127.0.0.1:{port}/api", BODY, CAP)
        )

    assert isinstance(heard, Unsent)
    assert heard.hopeless
    assert other.requests == []


async def test_a_proxy_that_wants_a_password() -> None:
    """
    A proxy's 407 is no answer of the service, and trying again gives the
    same.
    """
    wants = head(
        b"Content-Length: 0", line=b"HTTP/1.1 407 Proxy Authentication"
    )
    async with (
        peer(says(wants)) as proxy,
        a_pool(proxy=proxy.url) as pool,
    ):
        plain = await pool.submit(Call("http://api.example/v6", BODY, CAP))
        tunnel = await pool.submit(Call("https://api.example/v6", BODY, CAP))

    assert isinstance(plain, Unsent)
    assert isinstance(tunnel, Unsent)
    assert plain.hopeless
    assert tunnel.hopeless
    assert KEY.encode() not in proxy.requests[1][0] + proxy.requests[1][1]


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_proxys_password_is_not_told(status: int) -> None:
    """
    What a proxy says no with does not name the password that it got.
    """
    line = f"HTTP/1.1 {status} No".encode()
    shut = head(b"Content-Length: 0", line=line)
    async with peer(says(shut)) as other:
        proxy = f"http://user:pa55word@127.0.0.1:{other.port}"
        async with a_pool(proxy=proxy) as pool:
            heard = await pool.submit(Call("https://a.example/", BODY, CAP))
            with pytest.raises(TransportError) as caught:
                await fetched(pool, "https://b.example/0.png")

    assert str(status) in str(heard)
    assert "pa55word" not in f"{heard} {caught.value!r} {pool!r}"


def _key_of(host: str) -> ConnectionKey:
    return ConnectionKey(host, 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("exc", "hopeless"),
    [
        (
            aiohttp.ClientConnectorDNSError(
                _key_of("api.example"), OSError(-2, "Name not known")
            ),
            False,
        ),
        (
            aiohttp.ClientConnectorSSLError(
                _key_of("api.example"), OSError(1, "wrong version number")
            ),
            False,
        ),
        (aiohttp.ConnectionTimeoutError("too slow"), False),
        (aiohttp.InvalidURL("https://"), True),
        (RuntimeError("something new"), True),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_fails_before_anything_is_sent(
    exc: Exception, hopeless: bool
) -> None:
    """
    Names that are not found, handshakes that fail, bugs of others: `Unsent`.
    """
    with aioresponses() as service:
        service.post("https://api.example/v6", exception=exc)
        async with a_pool() as pool:
            heard = await pool.submit(
                Call("https://api.example/v6", BODY, CAP)
            )

    assert isinstance(heard, Unsent)
    assert heard.hopeless is hopeless
    assert type(exc).__name__ in heard.reason


async def test_an_answer_comes_as_it_is() -> None:
    """
    Status, body and the headers that speak of time are handed on; the key
    is the first field of what was sent.
    """
    answer = head(
        b"Content-Length: 4",
        b"Retry-After: 7",
        b"Date: Mon, 01 Jan 2001 00:00:00 GMT",
        line=b"HTTP/1.1 503 Service Unavailable",
    )
    async with peer(says(answer + b"[{}]")) as other, a_pool() as pool:
        heard = await pool.submit(other.call)

    assert heard == Reply(
        503,
        b"[{}]",
        retry_after="7",
        date="Mon, 01 Jan 2001 00:00:00 GMT",
    )
    assert json.loads(other.requests[0][1]) == {"key": KEY, "prompt": "a cat"}
    assert b"modelslab-async/" in other.requests[0][0]
    assert KEY.encode() not in other.requests[0][0]


async def test_an_idle_connection_grows_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A paid request never meets a connection that was idle for more than 4 s,
    which its server may just be closing.
    """
    clock = [time.monotonic()]
    monkeypatch.setattr("aiohttp.connector.monotonic", lambda: clock[0])
    made = []
    async with peer(says(OK)) as other, a_pool() as pool:
        for pause in (0.0, 3.9, 4.1):
            clock[0] += pause
            heard = await pool.submit(other.call)
            assert isinstance(heard, Reply)
            made.append(other.connections)

    assert made == [1, 1, 2]


async def test_a_stalled_loop_loses_no_answer() -> None:
    """
    An answer that came while our own process hung, longer than the
    deadline, is read: somebody has paid for it.
    """
    server = socket.create_server(("127.0.0.1", 0))
    asked, answered = threading.Event(), threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            asked.set()
            connection.sendall(OK)
            answered.set()
            connection.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = server.getsockname()[1]
    async with a_pool() as pool:
        call = Call(f"http://127.0.0.1:{port}/api", BODY, CAP)
        task = asyncio.create_task(pool.submit(call))
        while not asked.is_set():
            await asyncio.sleep(0)
        answered.wait(5)
        time.sleep(TIMEOUTS.submit + TIMEOUTS.submit_read)
        heard = await task
    server.close()
    thread.join(5)

    assert heard == Reply(200, b"{}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_call_follows_nobody(status: int) -> None:
    """
    A redirect is an answer as any other: its target never sees the key.
    """
    async with peer(says(OK)) as elsewhere:
        where = f"Location: {elsewhere.url}/".encode()
        line = f"HTTP/1.1 {status} Elsewhere".encode()
        answer = head(where, b"Content-Length: 0", line=line)
        async with peer(says(answer)) as other, a_pool() as pool:
            heard = [
                await pool.submit(other.call),
                await pool.poll(other.call),
            ]

    assert [one.status for one in heard if isinstance(one, Reply)] == [
        status,
        status,
    ]
    assert elsewhere.connections == 0


# The key.


async def echoes(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """
    Say the key as it was sent, and as JSON may spell it.
    """
    said = json.dumps({"message": f"no such key: {KEY}", "key": KEY})
    body = (said + said.replace("/", "\\/")).encode()
    writer.write(head(b"Content-Length: %d" % len(body)) + body)


async def test_an_echo_is_scrubbed() -> None:
    """
    A service that repeats the key tells it to nobody.
    """
    async with peer(echoes) as other, a_pool() as pool:
        heard = await pool.submit(other.call)

    assert isinstance(heard, Reply)
    assert b"no such key: ***" in heard.body
    assert b"canary" not in heard.body


ODD_KEY = 's3cret-c+n"ry/k\\ey='


@pytest.mark.parametrize("key", [KEY, ODD_KEY, "s3cret-plain-0123", "\\" * 9])
@pytest.mark.parametrize(
    "spell",
    [
        json.dumps,
        lambda key: json.dumps(key).replace("/", "\\/"),
        lambda key: "".join(f"\\u{ord(sign):04x}" for sign in key),
        lambda key: "".join(f"\\u{ord(sign):04X}" for sign in key),
        lambda key: "".join(
            f"\\u{ord(sign):04x}" if place % 2 else json.dumps(sign)[1:-1]
            for place, sign in enumerate(key)
        ),
        quote_plus,
        lambda key: quote_plus(key).lower(),
        lambda key: "".join(f"%{ord(sign):02x}" for sign in key),
        lambda key: base64.b64encode(key.encode()).decode(),
        lambda key: base64.b64encode(f"x:{key}".encode()).decode(),
        lambda key: base64.b64encode(f"me:{key}\n".encode()).decode(),
        lambda key: base64.urlsafe_b64encode(f"?{key}".encode()).decode(),
        lambda key: json.dumps(json.dumps(key))[1:-1],
        lambda key: json.dumps("".join(f"\\u{ord(sign):04x}" for sign in key)),
        lambda key: quote_plus(quote_plus(key)),
        lambda key: "".join(f"%25{ord(sign):02x}" for sign in key),
        lambda key: "".join(f"\\x{ord(sign):02x}" for sign in key),
        lambda key: "".join(f"&#{ord(sign)};" for sign in key),
        lambda key: "".join(f"&#x{ord(sign):X};" for sign in key),
        html.escape,
        str.upper,
        str.title,
        lambda key: key.encode().hex(),
        lambda key: key.encode().hex().upper(),
        "\0".join,
        lambda key: f"\0{key.encode('utf-16-be').decode()}",
    ],
)
async def test_an_echo_in_any_spelling(
    key: str, spell: Callable[[str], str]
) -> None:
    """
    However the key is written in a reply, it is not to be read there.
    """
    spelt = spell(key)
    body = f'{{"message": "no {spelt}!"}}'.encode()
    answer = head(b"Content-Length: %d" % len(body)) + body
    async with peer(says(answer)) as other, a_pool(key=ApiKey(key)) as pool:
        heard = await pool.submit(other.call)

    assert isinstance(heard, Reply)
    assert b"***" in heard.body
    assert spelt.strip('"').encode() not in heard.body


@pytest.mark.parametrize(
    "size", [2**17, pytest.param(2**20, marks=pytest.mark.slow)]
)
async def test_scrubbing_is_linear(size: int) -> None:
    """
    A megabyte of what looks like the key is looked through at once.
    """
    started = time.perf_counter()
    for key in ("\\" * 40, "%" * 40, "a" * 40, "u0061" * 8, "%25" * 13):
        for sign in (
            *(b"\\u0061", b"\\", b"%25", b"%", b"a", b"\\u005c"),
            *(b"\\x61", b"&#97;", b"&#x0", b"A", b"a\0", b"6"),
        ):
            ApiKey(key).scrub(b"\\u" + sign * (size // len(sign)))

    assert time.perf_counter() - started < 10


async def test_a_key_that_rotates_meanwhile_is_scrubbed() -> None:
    """
    What is scrubbed is the key that was sent, not the one of today.
    """
    keys = iter([KEY])
    async with (
        peer(echoes) as other,
        a_pool(key=ApiKey(lambda: next(keys, "another-key"))) as pool,
    ):
        heard = await pool.submit(other.call)

    assert isinstance(heard, Reply)
    assert b"canary" not in heard.body


async def test_a_key_that_is_gone_loses_no_answer() -> None:
    """
    Where the key cannot be had any more, what was paid for is still read.
    """
    keys = iter([KEY])
    async with (
        peer(says(OK)) as other,
        a_pool(key=ApiKey(lambda: next(keys, ""))) as pool,
    ):
        heard = await pool.submit(other.call)

    assert heard == Reply(200, b"{}")


@pytest.mark.parametrize("key", ["", "  ", None, 7, b"bytes"])
async def test_no_key_is_no_request(key: Any) -> None:
    """
    Without a key nothing is sent, and the slot is free again.
    """
    keys: Iterator[Any] = iter([key])
    async with (
        Simulator(speed=1000, pictures="plain") as service,
        ModelsLab(
            lambda: next(keys, KEY),
            base_url=service.url,
            timeouts=Timeouts().faster(1000, silence=5.0),
        ) as lab,
    ):
        with pytest.raises(ConfigurationError, match="API key"):
            await lab.submit(TextToImage("a cat", model_id="flux"))
        held = lab.stats().slots_held
        sent = len(service.books.entries)
        await lab.generate(TextToImage("a cat", model_id="flux"))

    assert (held, sent) == (0, 0)


async def test_a_key_that_cannot_be_fetched_is_no_request() -> None:
    """
    What the caller's own function raises comes out, and the slot is free.
    """

    def broken() -> str:
        raise LookupError("the vault is shut")

    async with (
        Simulator(speed=1000, pictures="plain") as service,
        ModelsLab(broken, base_url=service.url) as lab,
    ):
        with pytest.raises(ConfigurationError, match="LookupError"):
            await lab.submit(TextToImage("a cat", model_id="flux"))

        assert lab.stats().slots_held == 0
        assert lab.jobs() == ()
    assert service.books.entries == []


async def test_a_job_waits_for_its_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """
    A paid job whose key cannot be had for a moment is asked for again.
    """
    keys = iter([KEY, "", ""])
    async with (
        Simulator(speed=1000, pictures="plain") as service,
        ModelsLab(
            lambda: next(keys, KEY),
            base_url=service.url,
            timeouts=Timeouts().faster(1000, silence=5.0),
        ) as lab,
    ):
        service.change(latency=50.0, hold=0.0)
        generation = await lab.generate(TextToImage("a cat", model_id="flux"))

    assert generation.images
    assert caplog.text.count("cannot be asked for") == 2
    assert {record.levelname for record in caplog.records} == {"WARNING"}


# How many at once.


@pytest.mark.parametrize(("kind", "most"), [("submit", 300), ("file", 3)])
async def test_no_more_at_once_than_allowed(kind: str, most: int) -> None:
    """
    However many ask, files have their bound, and reach it; those who submit
    hold slots, which are bound enough.
    """
    count = most if kind == "submit" else 3 * most
    full = asyncio.Event()

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if other.open >= most:
            full.set()
        await full.wait()
        writer.write(OK)

    async with (
        peer(act) as other,
        a_pool(base_url=other.url, timeouts=PATIENT, max_downloads=3) as pool,
    ):
        asks: dict[str, Callable[[], Awaitable[object]]] = {
            "submit": lambda: pool.submit(other.call),
            "file": lambda: fetched(pool, f"{other.url}/0.png"),
        }
        await asyncio.gather(*(asks[kind]() for _ in range(count)))

    assert other.most == most
    assert len(other.requests) == count


# Connections that were idle.


@pytest.mark.parametrize("kind", ["submit", "poll"])
@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("turns", [0, 1])
async def test_a_connection_that_was_closed_while_the_loop_hung(
    kind: str, count: int, turns: int
) -> None:
    """
    A server closes what is idle, and our own process hangs meanwhile: what is
    asked for then is answered on another connection, and was sent once.
    """

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(OK)
        await writer.drain()

    with served(act) as (other, close_idle):
        async with a_pool(base_url=other.url, timeouts=PATIENT) as pool:
            ask = pool.submit if kind == "submit" else pool.poll
            await asyncio.gather(*(ask(other.call) for _ in range(count)))
            made = other.connections
            close_idle()
            heard = [] if turns else [await ask(other.call)]
            heard += await asyncio.gather(
                *(ask(other.call) for _ in range(count))
            )

    assert {type(one) for one in heard} == {Reply}
    assert len(other.requests) == count + len(heard)
    assert other.connections > made


FAREWELL = head(
    b"Content-Length: 0",
    b"Connection: close",
    line=b"HTTP/1.1 408 Request Timeout",
)


@pytest.mark.parametrize("kind", ["submit", "poll"])
@pytest.mark.parametrize("turns", [0, 9])
async def test_a_farewell_is_no_answer(kind: str, turns: int) -> None:
    """
    What a gateway says when it closes what was idle was said to nobody: the
    request goes out on another connection, once.
    """
    idle: list[asyncio.StreamWriter] = []

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        idle.append(writer)
        writer.write(OK)
        await writer.drain()

    async with (
        peer(act) as other,
        a_pool(base_url=other.url, timeouts=PATIENT) as pool,
    ):
        ask = pool.submit if kind == "submit" else pool.poll
        await ask(other.call)
        idle[0].write(FAREWELL)
        for _ in range(turns):
            await asyncio.sleep(0)
        heard = await ask(other.call)

    assert isinstance(heard, Reply)
    assert heard.status == 200
    assert (other.connections, len(other.requests)) == (2, 2)


async def test_a_connection_that_closes_under_a_trace() -> None:
    """
    What was refused by a closing connection was not sent, whatever the
    caller's tracing did in between.
    """
    trace = aiohttp.TraceConfig()

    @trace.on_request_chunk_sent.append
    async def hang_up(*_: object) -> None:
        await asyncio.sleep(0.05)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)

    writers: list[asyncio.StreamWriter] = []

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writers.append(writer)
        requests.append(await reader.read())
        writer.close()

    requests: list[bytes] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, a_pool(trace_configs=[trace]) as pool:
        heard = await pool.submit(Call(f"http://127.0.0.1:{port}/", BODY, CAP))

    assert isinstance(heard, Unsent)
    assert b"".join(requests) == b""


# Replies with much around them.


@pytest.mark.parametrize(
    "fields",
    [
        [b"X-Long: " + b"x" * 20_000],
        [b"Set-Cookie: " + b"x" * 100_000],
        [b"X-%d: y" % number for number in range(150)],
        [b"X-%d: %b" % (number, b"y" * 7_000) for number in range(60)],
    ],
    ids=["20 KB", "100 KB", "150 fields", "60 long fields"],
)
@pytest.mark.parametrize("kind", ["submit", "poll", "file"])
async def test_a_long_head(kind: str, fields: list[bytes]) -> None:
    """
    However much a gateway puts around an answer, it is read: somebody may
    have paid for it.
    """
    answer = head(b"Content-Length: 2", *fields) + b"{}"
    async with peer(says(answer)) as other, a_pool(other.url) as pool:
        if kind == "file":
            assert await fetched(pool, f"{other.url}/0.png") == b"{}"
            return
        heard = await getattr(pool, kind)(other.call)

    assert isinstance(heard, Reply)
    assert heard.body == b"{}"


# Downloads that never begin, or end early.


@pytest.mark.parametrize("what", ["trickled", "continue"])
async def test_a_head_that_never_ends(what: str) -> None:
    """
    A picture host that says something for ever, and never a whole head, is
    given up.
    """

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"" if what == "continue" else b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            writer.write(
                b"HTTP/1.1 100 Continue\r\n\r\n"
                if what == "continue"
                else b"x"
            )
            await writer.drain()
            await asyncio.sleep(0.02)

    timeouts = attrs.evolve(TIMEOUTS, connect=0.1, file_read=0.1)
    async with (
        peer(act) as other,
        a_pool(base_url=other.url, timeouts=timeouts) as pool,
    ):
        with pytest.raises(TransportError):
            async with asyncio.timeout(5):
                await fetched(pool, f"{other.url}/0.png")


@pytest.mark.parametrize("when", ["before", "in the head", "in the body"])
async def test_a_download_that_outlives_its_client(when: str) -> None:
    """
    Who loads a picture while the client closes is told that it closed.
    """
    answers = {
        "before": [OK],
        "in the head": [b"HTTP/1.1 200"],
        "in the body": [head(b"Content-Length: 9") + b"{"],
    }
    arrived = asyncio.Event()

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for part in answers[when]:
            writer.write(part)
            await writer.drain()
        arrived.set()
        await reader.read()

    async with peer(act) as other:
        timeouts = attrs.evolve(TIMEOUTS, file_read=30.0)
        async with a_pool(base_url=other.url, timeouts=timeouts) as pool:
            if when == "before":
                await pool.aclose()
                task = asyncio.create_task(fetched(pool, other.url))
            else:
                task = asyncio.create_task(fetched(pool, other.url))
                await arrived.wait()
                await asyncio.sleep(0.02)
                await pool.aclose()
            with pytest.raises(ClientClosedError):
                await task


# Names.


async def test_names_are_looked_up_elsewhere(names: None) -> None:
    """
    The loop's own executor may be full of callers who wait for us.
    """
    loop = asyncio.get_running_loop()
    full = threading.Event()
    with ThreadPoolExecutor(1) as callers:
        loop.set_default_executor(callers)
        callers.submit(full.wait, 10)
        async with peer(says(OK)) as other, a_pool() as pool:
            async with asyncio.timeout(5):
                heard = await pool.submit(
                    Call(f"http://api.example:{other.port}/", BODY, CAP)
                )
        full.set()

    assert isinstance(heard, Reply)


@pytest.mark.parametrize("what", ["balance", "models", "read"])
async def test_closed_while_a_name_is_looked_up(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Who waits for a name while the client closes is told that it closed, and
    is not cancelled.
    """
    asked, answered = threading.Event(), threading.Event()

    def getaddrinfo(*_: object, **__: object) -> Any:
        asked.set()
        answered.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    lab = ModelsLab("key", base_url="https://api.example/api/v6")
    calls: dict[str, Callable[[], Awaitable[object]]]
    calls = {"balance": lab.balance, "models": lab.models}
    image = Image(0, "https://files.example/0.png")
    call = calls.get(what, lambda: lab.read(image))
    task = asyncio.ensure_future(call())
    await until(asked.is_set)
    await lab.aclose()
    answered.set()

    with pytest.raises(ClientClosedError):
        await task


@pytest.mark.parametrize(
    "exc",
    [UnicodeError("label empty or too long"), socket.gaierror(-2, "what?")],
)
async def test_names_that_are_none(
    exc: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Whatever the resolver raises, nothing was sent.
    """

    def getaddrinfo(*_: object, **__: object) -> Any:
        raise exc

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with a_pool() as pool:
        heard = await pool.submit(Call("https://api.example/", BODY, CAP))
        with pytest.raises(TransportError):
            await fetched(pool, "https://pictures.example/0.png")

    assert isinstance(heard, Unsent)
    assert not heard.hopeless
