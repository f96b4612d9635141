"""
The network: bounded sessions, and who may see the key.

* The key is added by `KeyedBody`, as the bytes are written, and by nothing
  else.  No frame of ours names those bytes, and what aiohttp raises is never
  chained: its frames may hold them.
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
import math

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, nullcontext, suppress
from socket import socket
from ssl import SSLContext
from typing import TypeAlias

import aiohttp
import anyio
import attrs

from aiohttp.abc import AbstractResolver
from yarl import URL

from .._policy.timeouts import Timeouts
from .._protocol.replies import Call, Cut, FileReply, Reply, Unsent
from .._version import __version__
from ..errors import TransportError, UnsafeUrlError
from .address_guard import AddressGuard, guarded_socket
from .api_key import ApiKey
from .keyed_body import KeyedBody
from .links import read_link


#: Said again, so that no other room imports aiohttp.
TraceConfig: TypeAlias = aiohttp.TraceConfig


#: Idle seconds of a submit's connection: shorter than any server's.
_KEEP_SUBMIT = 4.0


#: More than any plan has slots.
_SUBMITS = 256


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


_MOST_REDIRECTS = 3


_USER_AGENT = f"modelslab-async/{__version__}"


_API_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
}


@attrs.frozen(kw_only=True)
class NetworkOptions:
    """
    What the caller of `ModelsLab` says about the network.
    """

    max_downloads: int = 16
    trusted_hosts: Sequence[str] = ()
    proxy: str | None = attrs.field(default=None, repr=False)
    ssl: SSLContext | bool = True
    trace_configs: Sequence[TraceConfig] = ()


@attrs.define(eq=False)
class SessionPool:
    """
    Sessions bounded by semaphores: the only way out to the network.

    What changes: the sessions, opened on the running loop by `open`.
    """

    key: ApiKey
    base_url: str
    timeouts: Timeouts
    options: NetworkOptions = NetworkOptions()
    _sessions: list[aiohttp.ClientSession] = attrs.field(
        factory=list, init=False, repr=False
    )
    _submit: aiohttp.ClientSession = attrs.field(init=False, repr=False)
    _poll: aiohttp.ClientSession = attrs.field(init=False, repr=False)
    _files: aiohttp.ClientSession = attrs.field(init=False, repr=False)
    _submits: asyncio.Semaphore = attrs.field(init=False, repr=False)
    _downloads: asyncio.Semaphore = attrs.field(init=False, repr=False)
    _guard: AddressGuard = attrs.field(init=False, repr=False)

    def open(self) -> None:
        """
        Make the sessions, on the running loop; no I/O yet.
        """
        self._guard = AddressGuard(
            URL(self.base_url).origin(),
            self.options.trusted_hosts,
            proxied=self.options.proxy is not None,
        )
        resolver = aiohttp.ThreadedResolver()
        timeouts = self.timeouts
        self._submit = self._session(
            resolver,
            _API_HEADERS,
            silence=timeouts.submit_read,
            keepalive_timeout=_KEEP_SUBMIT,
        )
        self._poll = self._session(
            resolver, _API_HEADERS, silence=timeouts.poll
        )
        self._files = self._session(
            resolver,
            {"Accept-Encoding": "identity"},
            silence=timeouts.file_read,
            socket_factory=guarded_socket,
        )
        self._submits = asyncio.Semaphore(_SUBMITS)
        self._downloads = asyncio.Semaphore(self.options.max_downloads)

    def _session(
        self,
        resolver: AbstractResolver,
        headers: Mapping[str, str],
        *,
        silence: float,
        keepalive_timeout: float = 15.0,
        socket_factory: Callable[..., socket] | None = None,
    ) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                resolver=resolver,
                ttl_dns_cache=60,
                ssl=self.options.ssl,
                keepalive_timeout=keepalive_timeout,
                socket_factory=socket_factory,
            ),
            headers={**headers, "User-Agent": _USER_AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
            # No *total*: after a stalled loop it throws away an answer that
            # has already come (measured, 15 of 15).
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self.timeouts.connect,
                sock_read=silence,
            ),
            trace_configs=list(self.options.trace_configs),
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
        return await self._exchange(self._poll, call, limit=None)

    async def ask(self, call: Call) -> Reply | Unsent | Cut:
        """
        Send what costs nothing, and may be as long as a picture.
        """
        return await self._exchange(
            self._poll, call, limit=self.timeouts.submit
        )

    def vouch(self, url: str) -> None:
        """
        Check a link that others will follow.

        Raises:
            UnsafeUrlError: No picture may lie there.
        """
        self._guard.vouch(read_link(url))

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        call: Call,
        *,
        limit: float | None,
    ) -> Reply | Unsent | Cut:
        # One look: a key that rotates must not change while it is written.
        key = self.key.snapshot()
        body = KeyedBody(call.body, key)
        begun = False
        reached = anyio.fail_after(limit) if limit else nullcontext()
        try:
            with reached:
                async with session.post(
                    call.url,
                    data=body,
                    allow_redirects=False,
                    proxy=self.options.proxy,
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
        if response.status == 407 and self.options.proxy is not None:
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
            body=key.scrub(b"".join(chunks)),
            retry_after=headers.get("Retry-After"),
            date=headers.get("Date"),
            rate_reset=headers.get("X-RateLimit-Reset"),
            rate_remaining=headers.get("X-RateLimit-Remaining"),
            url=self.base_url,
        )

    @asynccontextmanager
    async def open_file(self, url: str) -> AsyncIterator[FileReply]:
        """
        Ask for a picture's bytes; at most three redirects, each checked.

        Raises:
            UnsafeUrlError: It leads where no picture can be.

            TransportError: It was not reached.
        """
        async with self._downloads:
            target = read_link(url)
            for _ in range(_MOST_REDIRECTS + 1):
                response = await self._get(target)
                try:
                    link = response.headers.get("Location")
                    if response.status in _REDIRECTS and link:
                        target = read_link(link, base=target)
                        continue
                    yield FileReply(
                        response.status,
                        _seconds(response.headers.get("Retry-After")),
                        _chunks(response),
                    )
                    return
                finally:
                    response.close()
            raise UnsafeUrlError(f"too many redirects from {url!r}")

    async def _get(self, url: URL) -> aiohttp.ClientResponse:
        admission = self._guard.admit(url)
        try:
            with admission.in_force():
                return await self._files.get(
                    url, allow_redirects=False, proxy=self.options.proxy
                )
        except (aiohttp.ClientError, OSError) as exc:
            reason = _words(exc)
            invalid = isinstance(exc, aiohttp.InvalidURL)
        if admission.blocked is not None:
            raise UnsafeUrlError(
                f"{url.host} is at {admission.blocked}, which is not global"
            )
        if invalid:
            raise UnsafeUrlError(f"no address of a picture: {str(url)!r}")
        raise TransportError(reason, sent=False)


async def _chunks(
    response: aiohttp.ClientResponse,
) -> AsyncGenerator[bytes, None]:
    reason = None
    try:
        async for chunk in response.content.iter_chunked(65536):
            yield chunk
    except (aiohttp.ClientError, OSError) as exc:
        reason = _words(exc)
    if reason is not None:
        raise TransportError(reason, sent=True)


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
        text = key.scrub(text.encode("utf-8", "replace")).decode()
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
