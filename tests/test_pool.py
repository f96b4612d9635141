"""
The network over real sockets: whether a request left, who may see the key,
and where a picture may lie.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
import threading
import time

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import attrs
import pytest
import trustme

from aiohttp.client_reqrep import ConnectionKey
from aioresponses import aioresponses

from modelslab_async import ModelsLab, TextToImage
from modelslab_async._engine import http
from modelslab_async._engine.api_key import ApiKey
from modelslab_async._engine.http import NetworkOptions, SessionPool
from modelslab_async._policy.timeouts import Timeouts
from modelslab_async._protocol.replies import Call, Cut, Reply, Unsent
from modelslab_async.errors import (
    ConfigurationError,
    TransportError,
    UnsafeUrlError,
)
from modelslab_async.simulator import Simulator


pytestmark = pytest.mark.asyncio

KEY = "s3cret-canary/key"
BODY = b'{"prompt":"a cat"}'
CAP = 10_000
WAITS = attrs.evolve(
    Timeouts(), connect=5.0, submit_read=0.15, submit=0.25, poll=0.15
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@attrs.define(eq=False)
class Peer:
    """
    The other end: it reads a request, and does what it is told.

    Attributes:
        requests: Each as it came: its head, and its body.

        connections: How many were made.

        open: How many requests are under way, and the most at once.
    """

    act: Act
    port: int = 0
    requests: list[tuple[bytes, bytes]] = attrs.field(factory=list)
    connections: int = 0
    open: int = 0
    most: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def call(self) -> Call:
        return Call(f"{self.url}/api", BODY, CAP)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await read(reader))
                self.open += 1
                self.most = max(self.most, self.open)
                try:
                    await self.act(reader, writer)
                finally:
                    self.open -= 1
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


async def read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """
    One request.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head, await reader.readexactly(length)


@asynccontextmanager
async def peer(act: Act) -> AsyncIterator[Peer]:
    """
    Somebody who answers as told.
    """
    one = Peer(act)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    async with server:
        yield one


@asynccontextmanager
async def a_pool(
    base_url: str = "https://api.example/v6", **options: Any
) -> AsyncIterator[SessionPool]:
    """
    An open pool.
    """
    given: dict[str, Any] = {"key": ApiKey(KEY), "timeouts": WAITS, **options}
    own = {one: given.pop(one) for one in ("key", "timeouts")}
    pool = SessionPool(
        base_url=base_url, options=NetworkOptions(**given), **own
    )
    pool.open()
    try:
        yield pool
    finally:
        await pool.aclose()


def says(*parts: bytes, pause: float | None = 0.0, more: bool = True) -> Act:
    """
    Write these, one after the other; then wait for more, or hang up.

    *pause* seconds between them; None: wait for ever after the first.
    """

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            if pause is None:
                await reader.read()
            elif pause:
                await asyncio.sleep(pause)
        if not more:
            raise EOFError

    return act


async def resets(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """
    Break the connection off.
    """
    peer = writer.get_extra_info("socket")
    peer.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    writer.transport.abort()


def head(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """
    The head of an answer.
    """
    return b"\r\n".join([line, *fields, b"", b""])


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
    "a head of 20 KB": (
        says(head(b"X: " + b"x" * 20_000), more=False),
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
    "no gzip": (
        says(head(b"Content-Encoding: gzip", b"Content-Length: 2") + b"{}"),
        True,
    ),
    "a chunk of no length": (
        says(head(b"Transfer-Encoding: chunked") + b"{}\r\n"),
        None,
    ),
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
    async with peer(act) as other, a_pool() as pool:
        send = pool.submit if kind == "submit" else pool.poll
        # As the poll loop does it: polls that drip are ended from outside.
        limit = WAITS.poll * 2 if kind == "poll" else None
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
        time.sleep(WAITS.submit + WAITS.submit_read)
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


# Where a picture may lie.


async def fetched(pool: SessionPool, url: str) -> bytes:
    """
    The bytes of a file.
    """
    async with pool.open_file(url) as reply:
        return b"".join([chunk async for chunk in reply.chunks])


def _named(host: str) -> str:
    """
    The worst that a resolver can make of a host: an address of this machine,
    or of its network.
    """
    try:
        return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return "127.0.0.1"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Every name leads where it should not, and so does every odd notation.
    """

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> Any:
        if host == "six.example":
            six = ("::1", port, 0, 0)
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", six)]
        four = (_named(host), port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", four)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


HERE = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fec0::1]",
    "[fd00::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "0.0.0.0",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "2130706433",
    "127.0.0.1.",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "pictures.example",
    "six.example",
]


@pytest.mark.parametrize("host", HERE)
async def test_no_picture_lies_here(host: str, names: None) -> None:
    """
    No address that is not global is connected to, in no notation and by no
    name.
    """
    async with peer(says(OK)) as other, a_pool() as pool:
        with pytest.raises(UnsafeUrlError):
            await fetched(pool, f"https://{host}:{other.port}/0.png")

    assert other.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://pictures.example/0.png",
        "gopher://pictures.example/",
        "data:image/png;base64,AAAA",
        "//pictures.example/0.png",
        "/0.png",
        "",
        "https://",
        "https://[::1",
        "http://pictures.example/0.png",
        "http://8.8.8.8/0.png",
        "http://127.0.0.1:1/0.png",
    ],
)
async def test_no_picture_lies_there(url: str, names: None) -> None:
    """
    Only http and https lead to pictures, and http only to the API's own
    origin and trusted hosts.
    """
    async with a_pool() as pool:
        with pytest.raises(UnsafeUrlError):
            await fetched(pool, url)


@pytest.mark.parametrize(
    "where",
    [
        "http://localhost:{port}/0.png",
        "https://localhost:{port}/0.png",
        "https://127.0.0.1:{port}/0.png",
        "https://pictures.example:{port}/0.png",
        "//169.254.169.254/latest",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/",
    ],
)
async def test_a_redirect_is_checked_as_a_link_is(
    where: str, names: None
) -> None:
    """
    A host that we trust cannot send us to one that we do not.
    """
    async with peer(says(OK)) as elsewhere:
        location = where.format(port=elsewhere.port)
        answer = head(
            f"Location: {location}".encode(),
            b"Content-Length: 0",
            line=b"HTTP/1.1 302 Found",
        )
        async with (
            peer(says(answer)) as other,
            a_pool(trusted_hosts=[f"127.0.0.1:{other.port}"]) as pool,
        ):
            with pytest.raises(UnsafeUrlError):
                await fetched(pool, f"{other.url}/0.png")

    assert len(other.requests) == 1
    assert elsewhere.connections == 0


@pytest.mark.parametrize(("hops", "arrives"), [(3, True), (4, False)])
async def test_three_redirects_are_enough(hops: int, arrives: bool) -> None:
    """
    At most three are followed.
    """

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        on = head(
            b"Location: /on",
            b"Content-Length: 0",
            line=b"HTTP/1.1 302 Found",
        )
        writer.write(on if len(other.requests) <= hops else OK)

    async with peer(act) as other, a_pool(base_url=other.url) as pool:
        try:
            found: bytes | str = await fetched(pool, f"{other.url}/0.png")
        except UnsafeUrlError as error:
            found = error.reason

    assert (found == b"{}") is arrives
    assert len(other.requests) == 4


@pytest.mark.parametrize("exempt", ["origin", "host", "host and port"])
async def test_our_own_hosts_may_be_anywhere(exempt: str) -> None:
    """
    The API's own origin and *trusted_hosts* may be on this machine.
    """
    async with peer(says(OK)) as other:
        options: dict[str, dict[str, Any]] = {
            "origin": {"base_url": f"{other.url}/api/v6"},
            "host": {"trusted_hosts": ["127.0.0.1"]},
            "host and port": {"trusted_hosts": [f"127.0.0.1:{other.port}"]},
        }
        async with a_pool(**options[exempt]) as pool:
            found = await fetched(pool, f"{other.url}/0.png")

    assert found == b"{}"


async def test_our_own_origin_is_one_port(names: None) -> None:
    """
    Another port of the API's host is somebody else.
    """
    async with (
        peer(says(OK)) as other,
        peer(says(OK)) as own,
        a_pool(base_url=own.url) as pool,
    ):
        with pytest.raises(UnsafeUrlError):
            await fetched(pool, f"http://127.0.0.1:{other.port}/0.png")
        with pytest.raises(UnsafeUrlError):
            await fetched(pool, f"https://127.0.0.1:{other.port}/0.png")

    assert other.connections == 0


async def test_exactly_the_proxy_is_exempt(names: None) -> None:
    """
    With a proxy only the proxy is connected to; it is asked for names, and
    for no literal address that is not global, in any notation.
    """
    shut = head(b"Content-Length: 0", line=b"HTTP/1.1 502 Bad Gateway")
    literals = [host for host in HERE if not host.endswith(".example")]
    async with (
        peer(says(shut)) as proxy,
        peer(says(OK)) as other,
        a_pool(proxy=proxy.url) as pool,
    ):
        for host in literals:
            with pytest.raises(UnsafeUrlError):
                await fetched(pool, f"https://{host}:{other.port}/0.png")
        asked_for_literals = len(proxy.requests)
        with pytest.raises(TransportError):
            await fetched(pool, "https://pictures.example/0.png")

    assert asked_for_literals == 0
    assert other.connections == 0
    assert [one.split(b"\r\n")[0] for one, _ in proxy.requests] == [
        b"CONNECT pictures.example:443 HTTP/1.1"
    ]
    assert KEY.encode() not in proxy.requests[0][0]


async def test_a_download_carries_nothing_of_ours() -> None:
    """
    Neither key nor cookie goes to where the pictures are, whoever set it.
    """
    baked = OK.replace(
        b"\r\n\r\n", b"\r\nSet-Cookie: id=crumb; Path=/\r\n\r\n"
    )
    async with (
        peer(says(baked)) as other,
        a_pool(base_url=other.url) as pool,
    ):
        await pool.submit(other.call)
        await pool.submit(other.call)
        await fetched(pool, f"{other.url}/0.png")
        await fetched(pool, f"{other.url}/1.png")

    heads = [head for head, _ in other.requests]
    assert b"crumb" not in b"".join(heads)
    assert b"Authorization" not in b"".join(heads)
    assert b"canary" not in b"".join(heads)
    assert [body for _, body in other.requests[2:]] == [b"", b""]


# How many at once.


@pytest.mark.parametrize(("kind", "most"), [("submit", 7), ("file", 3)])
async def test_no_more_at_once_than_allowed(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    However many ask, each kind of request has its bound, and reaches it.
    """
    monkeypatch.setattr(http, "_SUBMITS", 7)
    count = 3 * most
    full = asyncio.Event()

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if other.open >= most:
            full.set()
        await full.wait()
        writer.write(OK)

    timeouts = attrs.evolve(WAITS, submit=20.0, submit_read=20.0, poll=20.0)
    async with (
        peer(act) as other,
        a_pool(base_url=other.url, timeouts=timeouts, max_downloads=3) as pool,
    ):
        asks: dict[str, Callable[[], Awaitable[object]]] = {
            "submit": lambda: pool.submit(other.call),
            "file": lambda: fetched(pool, f"{other.url}/0.png"),
        }
        await asyncio.gather(*(asks[kind]() for _ in range(count)))

    assert other.most == most
    assert len(other.requests) == count
