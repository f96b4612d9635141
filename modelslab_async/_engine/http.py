"""
Here lives the network: bounded sessions, and who may see the key.

* The key is added by `_Keyed`, as the bytes are written, and by nothing else.
  No frame of ours names those bytes, and what aiohttp raises is never chained:
  its frames may hold them.
* Foreign errors end at `SessionPool._exchange` (submits and polls come back as
  a `Reply`, `Unsent` or `Cut`) and at `SessionPool.open_file`.
* Three sessions over one resolver.  *submit* keeps idle connections for 4 s
  only, so that a paid POST does not meet one that the server is just closing
  (uvicorn closes after 5 s, gunicorn after 2).  *files* knows no key and no
  cookie, and connects to no address that is not global.
* No API call follows a redirect: the key is in the body, and a 307 would
  carry it to another host.
"""

from __future__ import annotations

import asyncio
import json
import math

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from ssl import SSLContext
from typing import TypeAlias

import aiohttp
import anyio
import attrs

from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from .._policy.timeouts import Timeouts
from .._protocol.replies import Call, Cut, Reply, Unsent
from .._version import __version__
from ..errors import TransportError, UnsafeUrlError
from .address_guard import _check_literal, _Guard, _guard, _guarded_socket
from .api_key import ApiKey


#: Said again, so that no other room imports aiohttp.
TraceConfig: TypeAlias = aiohttp.TraceConfig


#: Idle seconds of a submit's connection: shorter than any server's.
_KEEP_SUBMIT = 4.0


#: How many polls may be on the line at once.
POLLS = 16


#: More than any plan has slots.
_SUBMITS = 256


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


_MOST_REDIRECTS = 3


class _Keyed(aiohttp.Payload):
    """
    A JSON body to which the key is added as it is written.

    *started* is the proof that a request left: aiohttp sends the headers
    together with the first of the body, and without a body nothing is bought.
    """

    def __init__(self, body: bytes, key: ApiKey) -> None:
        super().__init__(None, content_type="application/json")
        self._body = body
        self._key = key
        self._autoclose = True
        self._size = len(self._joined())
        self.started = False

    def __repr__(self) -> str:
        return "<a body with a key>"

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        self.started = True
        await writer.write(self._joined())

    def _joined(self) -> bytes:
        rest = self._body[1:]
        return b'{"key":%b%b%b' % (
            json.dumps(self._key.reveal()).encode(),
            b"," if rest != b"}" else b"",
            rest,
        )


@attrs.define(eq=False)
class FileStream:
    """
    A file as it comes in: its bytes by *chunks*.
    """

    status: int
    content_type: str
    retry_after: float | None
    _response: aiohttp.ClientResponse = attrs.field(repr=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """
        Give the bytes as they come.

        Raises:
            TransportError: They stopped coming.
        """
        reason = None
        try:
            async for chunk in self._response.content.iter_chunked(65536):
                yield chunk
        except (aiohttp.ClientError, OSError) as exc:
            reason = _words(exc)
        if reason is not None:
            raise TransportError(reason, sent=True)


@attrs.define(eq=False)
class SessionPool:
    """
    Sessions bounded by semaphores: the only way out to the network.

    What changes: the sessions, opened on the running loop by `open`.
    """

    key: ApiKey
    base_url: str
    timeouts: Timeouts
    max_downloads: int = 16
    trusted_hosts: Sequence[str] = ()
    proxy: str | None = attrs.field(default=None, repr=False)
    ssl: SSLContext | bool = True
    trace_configs: Sequence[TraceConfig] = ()
    _sessions: list[aiohttp.ClientSession] = attrs.field(
        factory=list, init=False, repr=False
    )
    _submit: aiohttp.ClientSession = attrs.field(init=False, repr=False)
    _poll: aiohttp.ClientSession = attrs.field(init=False, repr=False)
    _files: aiohttp.ClientSession = attrs.field(init=False, repr=False)
    _submits: asyncio.Semaphore = attrs.field(init=False, repr=False)
    _polls: asyncio.Semaphore = attrs.field(init=False, repr=False)
    _downloads: asyncio.Semaphore = attrs.field(init=False, repr=False)
    _origin: URL = attrs.field(init=False, repr=False)

    def open(self) -> None:
        """
        Make the sessions, on the running loop; no I/O yet.
        """
        self._origin = URL(self.base_url).origin()
        resolver = aiohttp.ThreadedResolver()
        timeouts = self.timeouts
        api = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
        }
        self._submit = self._session(
            aiohttp.TCPConnector(
                limit=0,
                resolver=resolver,
                ttl_dns_cache=60,
                ssl=self.ssl,
                keepalive_timeout=_KEEP_SUBMIT,
            ),
            api,
            silence=timeouts.submit_read,
        )
        self._poll = self._session(
            aiohttp.TCPConnector(
                limit=0, resolver=resolver, ttl_dns_cache=60, ssl=self.ssl
            ),
            api,
            silence=timeouts.poll,
        )
        self._files = self._session(
            aiohttp.TCPConnector(
                limit=0,
                resolver=resolver,
                ttl_dns_cache=60,
                ssl=self.ssl,
                socket_factory=_guarded_socket,
            ),
            {"Accept-Encoding": "identity"},
            silence=timeouts.file_read,
        )
        self._submits = asyncio.Semaphore(_SUBMITS)
        self._polls = asyncio.Semaphore(POLLS)
        self._downloads = asyncio.Semaphore(self.max_downloads)

    def _session(
        self,
        connector: aiohttp.TCPConnector,
        headers: dict[str, str],
        *,
        silence: float,
    ) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=connector,
            headers=headers | {"User-Agent": f"modelslab-async/{__version__}"},
            cookie_jar=aiohttp.DummyCookieJar(),
            # No *total*: after a stalled loop it throws away an answer that
            # has already come (measured, 15 of 15).
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self.timeouts.connect,
                sock_read=silence,
            ),
            trace_configs=list(self.trace_configs),
        )
        self._sessions.append(session)
        return session

    async def aclose(self) -> None:
        """
        Close the sessions.
        """
        while self._sessions:
            await self._sessions.pop().close()

    def abandon(self) -> None:
        """
        Let go of sessions whose loop is closed: nothing can be awaited there.
        """
        while self._sessions:
            session = self._sessions.pop()
            connector = session.connector
            session.detach()
            if connector is not None:
                _drop(connector)

    async def submit(self, call: Call) -> Reply | Unsent | Cut:
        """
        Send a request that costs money, once.
        """
        async with self._submits:
            return await self._exchange(
                self._submit, call, limit=self.timeouts.submit
            )

    async def poll(self, call: Call) -> Reply | Unsent | Cut:
        """
        Send a question that costs nothing.
        """
        async with self._polls:
            return await self._exchange(self._poll, call, limit=None)

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        call: Call,
        *,
        limit: float | None,
    ) -> Reply | Unsent | Cut:
        # One look: a key that rotates must not change while it is written.
        key = self.key.snapshot()
        body = _Keyed(call.body, key)
        begun = False
        reached = anyio.fail_after(limit) if limit else nullcontext()
        try:
            with reached:
                async with session.post(
                    call.url,
                    data=body,
                    allow_redirects=False,
                    proxy=self.proxy,
                ) as response:
                    begun = True
                    return await self._reply(response, call.cap_bytes, key)
        except aiohttp.ClientHttpProxyError as exc:
            return Unsent(_words(exc, key), hopeless=exc.status == 407)
        except (
            aiohttp.ClientConnectorCertificateError,
            aiohttp.ServerFingerprintMismatch,
            aiohttp.InvalidURL,
        ) as exc:
            reason, hopeless = _words(exc, key), True
        except (aiohttp.ClientError, OSError) as exc:
            reason, hopeless = _words(exc, key), False
        except Exception as exc:  # noqa: BLE001
            # Whatever else aiohttp thinks of: after the first byte it must
            # not look like a request that was never sent.
            reason, hopeless = _words(exc, key), True
        if body.started:
            return Cut(reason, begun=begun)
        return Unsent(reason, hopeless=hopeless)

    async def _reply(
        self, response: aiohttp.ClientResponse, cap_bytes: int, key: ApiKey
    ) -> Reply | Unsent | Cut:
        if response.status == 407 and self.proxy is not None:
            return Unsent("the proxy wants a password", hopeless=True)
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > cap_bytes:
                return Cut(f"over {cap_bytes} bytes long", begun=True)
            chunks.append(chunk)
        headers = response.headers
        return Reply(
            status=response.status,
            body=_scrubbed(b"".join(chunks), key),
            retry_after=headers.get("Retry-After"),
            date=headers.get("Date"),
            rate_reset=headers.get("X-RateLimit-Reset"),
            rate_remaining=headers.get("X-RateLimit-Remaining"),
        )

    @asynccontextmanager
    async def open_file(self, url: str) -> AsyncIterator[FileStream]:
        """
        Ask for a picture's bytes; at most three redirects, each checked.

        Raises:
            UnsafeUrlError: It leads where no picture can be.

            TransportError: It was not reached.
        """
        async with self._downloads:
            target = _url(url)
            for _ in range(_MOST_REDIRECTS + 1):
                response = await self._get(target)
                try:
                    link = response.headers.get("Location")
                    if response.status in _REDIRECTS and link:
                        target = _url(link, base=target)
                        continue
                    yield FileStream(
                        response.status,
                        response.content_type,
                        _seconds(response.headers.get("Retry-After")),
                        response,
                    )
                    return
                finally:
                    response.close()
            raise UnsafeUrlError(f"too many redirects from {url!r}")

    async def _get(self, url: URL) -> aiohttp.ClientResponse:
        guard = self._allowed(url)
        token = _guard.set(guard)
        try:
            return await self._files.get(
                url, allow_redirects=False, proxy=self.proxy
            )
        except (aiohttp.ClientError, OSError) as exc:
            reason = _words(exc)
            invalid = isinstance(exc, aiohttp.InvalidURL)
        finally:
            _guard.reset(token)
        if guard.blocked is not None:
            raise UnsafeUrlError(
                f"{url.host} is at {guard.blocked}, which is not global"
            )
        if invalid:
            raise UnsafeUrlError(f"no address of a picture: {str(url)!r}")
        raise TransportError(reason, sent=False)

    def _allowed(self, url: URL) -> _Guard:
        """
        Check what can be told from the address alone.
        """
        ours = url.origin() == self._origin or any(
            host in (url.host, f"{url.host}:{url.port}")
            for host in self.trusted_hosts
        )
        if url.scheme == "http" and not ours:
            raise UnsafeUrlError(
                f"{url.host} over http; add it to trusted_hosts to allow it"
            )
        if not ours and self.proxy is not None:
            # The proxy resolves names: only literals can be checked here.
            _check_literal(url)
        return _Guard(anywhere=ours or self.proxy is not None)


def origin_of(base_url: str) -> str:
    """
    Scheme, host and port of an API; empty if it is no http address.
    """
    try:
        url = URL(base_url)
        right = url.scheme in {"http", "https"} and bool(url.host)
        return str(url.origin()) if right else ""
    except ValueError:
        return ""


def _scrubbed(body: bytes, key: ApiKey) -> bytes:
    """
    The body without the key, which some APIs echo.
    """
    plain = key.reveal()
    quoted = json.dumps(plain).encode()
    body = body.replace(quoted, b'"***"')
    # A short key is a word that may stand anywhere.
    if len(plain) >= 8:
        bare = quoted[1:-1]
        for form in (
            plain.encode(errors="replace"),
            bare,
            bare.replace(b"/", b"\\/"),
        ):
            body = body.replace(form, b"***")
    return body


def _url(text: str, base: URL | None = None) -> URL:
    url = None
    try:
        url = URL(text) if base is None else base.join(URL(text))
        if url.scheme not in {"http", "https"} or not url.host:
            url = None
    except ValueError:
        url = None
    if url is None:
        raise UnsafeUrlError(f"no http address: {text[:200]!r}")
    return url


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _words(exc: BaseException, key: ApiKey | None = None) -> str:
    """
    What an error says, on one line, without its frames and the key.
    """
    text = str(exc)
    if isinstance(exc, aiohttp.ClientResponseError):
        # Its own words have the URL, and with it a proxy's password.
        text = f"{exc.status} {exc.message}"
    if key is not None:
        text = _scrubbed(text.encode("utf-8", "replace"), key).decode()
    text = " ".join(text.split())[:300]
    name = type(exc).__name__
    return f"{name}: {text}" if text else name


def _drop(connector: aiohttp.BaseConnector) -> None:
    """
    Close a connector's transports without its loop.
    """
    # Neither aiohttp nor asyncio has a public way once the loop is closed:
    # `abort` marks a transport as closing and fails to tell the loop, then
    # `_call_connection_lost` closes the socket.
    for waiting in connector._conns.values():  # noqa: SLF001
        for protocol, _ in waiting:
            transport = protocol.transport
            if transport is None:
                continue
            with suppress(RuntimeError):
                transport.abort()
            tls = getattr(transport, "_ssl_protocol", None)
            lower = transport if tls is None else tls._transport  # noqa: SLF001
            lost = getattr(lower, "_call_connection_lost", None)
            if lost is not None:
                with suppress(RuntimeError):
                    lost(None)
    connector._conns.clear()  # noqa: SLF001
    connector._closed = True  # noqa: SLF001
