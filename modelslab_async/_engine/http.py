"""
The network: three sessions, and who may see the key.

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
import functools
import math
import time

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Mapping,
)
from contextlib import asynccontextmanager, closing
from socket import socket
from typing import TYPE_CHECKING

import aiohttp
import anyio
import attrs

from aiohttp.abc import AbstractResolver
from yarl import URL

from .._protocol.replies import (
    Call,
    Cut,
    Exchange,
    FileReply,
    Reply,
    Unsent,
)
from .._version import __version__
from ..errors import ClientClosedError, TransportError, UnsafeUrlError
from .abandoned import drop, leave_to_parent, part
from .api_key import ApiKey
from .deadline import Deadline
from .keyed_body import KeyedBody
from .links import read_link
from .network import NetworkOptions
from .reading import CLOSED, is_deflated, read_body, unheard, words_of
from .resolver import Resolver
from .response import FileResponse, Response
from .runtime import Runtime
from .sockets import Sockets, plain_socket
from .waiters import is_cancelled


if TYPE_CHECKING:
    # Only where pictures are loaded.
    from .address_guard import AddressGuard


#: Idle seconds of a submit's connection: shorter than any server's.
_KEEP_SUBMIT = 4.0


#: How often a request moves on from a connection that the server had closed.
_MOVES = 3


#: A head may be this long: some gateways add tens of kilobytes, and for a
#: reply that cannot be read somebody may have paid.
_LONGEST_LINE_BYTES = 2**18


_MOST_FIELDS = 1024


_NO_CONNECTION = Unsent("no connection")


#: A job is asked for at one URL again and again; yarl remembers fewer.
_address = functools.lru_cache(maxsize=1024)(URL)


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


_MOST_REDIRECTS = 3


_USER_AGENT = f"modelslab-async/{__version__}"


_API_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
}


@attrs.define(eq=False, repr=False)
class SessionPool:
    """
    The sessions of a client: its only way out to the network.

    What changes: the sessions, opened on the running loop by `open`.
    """

    runtime: Runtime
    key: ApiKey
    base_url: str
    options: NetworkOptions = attrs.field(factory=NetworkOptions)
    #: Takes out of replies what nobody may read.
    hide: Callable[[bytes], bytes] = attrs.field(default=bytes)
    _sessions: list[aiohttp.ClientSession] = attrs.field(
        factory=list, init=False
    )
    _submit: aiohttp.ClientSession = attrs.field(init=False)
    _poll: aiohttp.ClientSession = attrs.field(init=False)
    _files: aiohttp.ClientSession = attrs.field(init=False)
    #: Of what its asker ends: no timer for each answer.
    _swept: aiohttp.ClientTimeout = attrs.field(init=False)
    _downloads: asyncio.Semaphore = attrs.field(init=False)
    _reading: set[aiohttp.ClientResponse] = attrs.field(
        factory=set, init=False
    )
    _guard: AddressGuard | None = attrs.field(default=None, init=False)
    _sockets: Sockets = attrs.field(factory=Sockets, init=False)

    @property
    def guard(self) -> AddressGuard:
        """
        What judges links; made when the first is followed.
        """
        if self._guard is None:
            self._guard = _guard_of(self.base_url, self.options)
        return self._guard

    def open(self) -> None:
        """
        Make the sessions, on the running loop; no I/O yet.
        """
        resolver = Resolver(self.runtime)
        timeouts = self.runtime.timeouts
        self._submit = self._session(
            resolver,
            _API_HEADERS,
            silence=timeouts.submit_read,
            keepalive_timeout=_KEEP_SUBMIT,
        )
        self._poll = self._session(
            resolver, _API_HEADERS, silence=timeouts.poll
        )
        self._swept = attrs.evolve(self._poll.timeout, sock_read=None)
        self._files = self._session(
            resolver,
            {"Accept-Encoding": "identity"},
            silence=timeouts.file_read,
            make=_guarded_socket,
            kind=FileResponse,
        )
        self.runtime.in_child.append(self.leave)
        self._downloads = asyncio.Semaphore(self.options.max_downloads)

    def _session(
        self,
        resolver: AbstractResolver,
        headers: Mapping[str, str],
        *,
        silence: float,
        keepalive_timeout: float = 15.0,
        make: Callable[[aiohttp.AddrInfoType], socket] = plain_socket,
        kind: type[aiohttp.ClientResponse] = Response,
    ) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                resolver=resolver,
                ttl_dns_cache=60,
                ssl=self.options.ssl,
                keepalive_timeout=keepalive_timeout,
                socket_factory=self._sockets.noting(make),
            ),
            headers={**headers, "User-Agent": _USER_AGENT},
            max_line_size=_LONGEST_LINE_BYTES,
            max_field_size=_LONGEST_LINE_BYTES,
            max_headers=_MOST_FIELDS,
            response_class=kind,
            cookie_jar=aiohttp.DummyCookieJar(),
            # No *total*: after a stalled loop it throws away an answer that
            # has already come (measured, 15 of 15).
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self.runtime.timeouts.connect,
                sock_read=silence,
            ),
            trace_configs=list(self.options.trace_configs),
        )
        self._sessions.append(session)
        return session

    async def aclose(self) -> None:
        """
        Close the sessions, and end the downloads that go on.
        """
        for response in tuple(self._reading):
            # aiohttp would leave its reader waiting.
            response.content.set_exception(ClientClosedError())
        while self._sessions:
            await self._sessions.pop().close()
        await self._sockets.hang_up()

    def abandon(self) -> None:
        """
        Let go of sessions whose loop is closed: nothing can be awaited there.
        """
        while self._sessions:
            session = self._sessions.pop()
            connector = session.connector
            session.detach()
            if connector is not None:
                drop(connector)

    def leave(self) -> None:
        """
        Forget the sessions, which are another process's, and its loop.
        """
        cut: set[int] = set()
        while self._sessions:
            session = self._sessions.pop()
            connector = session.connector
            session.detach()
            if connector is not None:
                cut |= leave_to_parent(connector)
        part(self.runtime.loop, cut)

    def submit(
        self, call: Call, leaving: Callable[[], None] | None = None
    ) -> Coroutine[object, object, Reply | Unsent | Cut]:
        """
        Send a request that costs money, once; *leaving* is called with its
        first byte, which an `OSError` of its keeps here.
        """
        # No bound here: those who ask hold slots, which are fewer.
        limit = self.runtime.timeouts.submit
        return self._exchange(self._submit, call, limit, leaving)

    def poll(
        self, call: Call, *, swept: bool = False
    ) -> Coroutine[object, object, Reply | Unsent | Cut]:
        """
        Send a question that costs nothing.

        *swept*: whoever asks ends it where no answer comes, as the poll loop
        does for all of its questions with one timer.
        """
        bounds = self._swept if swept else None
        return self._exchange(self._poll, call, None, bounds=bounds)

    async def ask(self, call: Call) -> Reply | Unsent | Cut:
        """
        Send what costs nothing, and may be as long as a picture.
        """
        limit = self.runtime.timeouts.submit
        return await self._exchange(self._poll, call, limit)

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        call: Call,
        limit: float | None,
        leaving: Callable[[], None] | None = None,
        bounds: aiohttp.ClientTimeout | None = None,
    ) -> Reply | Unsent | Cut:
        # One look: a key that rotates must not change while it is written.
        key = self.key.snapshot()
        heard: Reply | Unsent | Cut = _NO_CONNECTION
        for _ in range(_MOVES):
            body = KeyedBody(call.body, key, leaving)
            within = bounds or session.timeout
            trip = _round_trip(self, session, call, body, key, within)
            try:
                if limit is None:
                    heard = await trip
                else:
                    async with Deadline(limit):
                        heard = await trip
            except (Exception, asyncio.CancelledError) as exc:
                if is_cancelled(exc):
                    raise
                heard = unheard(exc, body, key)
            if not body.refused:
                return heard
            # Two turns of the loop, in which it sees what else was closed.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return heard if isinstance(heard, Unsent) else _NO_CONNECTION

    @asynccontextmanager
    async def open_file(self, url: str) -> AsyncIterator[FileReply]:
        """
        Ask for a picture's bytes; at most three redirects, each checked.

        Raises:
            UnsafeUrlError: It leads where no picture can be.

            TransportError: It was not reached.

            ClientClosedError: The client was closed.
        """
        async with self._downloads:
            response = await self._found(read_link(url))
            self._reading.add(response)
            try:
                yield FileReply(
                    response.status,
                    _seconds(response.headers.get("Retry-After")),
                    _chunks(response, self.options.tap),
                    is_deflated(response),
                )
            finally:
                self._reading.discard(response)
                response.close()

    async def _found(self, url: URL) -> aiohttp.ClientResponse:
        """
        What answers where all redirects lead.
        """
        target = url
        for _ in range(_MOST_REDIRECTS + 1):
            response = await self._get(target)
            link = response.headers.get("Location")
            if response.status not in _REDIRECTS or not link:
                return response
            response.close()
            target = read_link(link, base=target)
        raise UnsafeUrlError(f"too many redirects from {str(url)!r}")

    async def _get(self, url: URL) -> aiohttp.ClientResponse:
        admission = self.guard.admit(url)
        # In all, however slowly its head comes: that costs nobody a picture.
        limit = self.runtime.timeouts.connect + self.runtime.timeouts.file_read
        invalid = False
        try:
            with admission.in_force(), anyio.fail_after(limit):
                return await self._files.get(
                    url,
                    allow_redirects=False,
                    proxy=self.options.proxy,
                    # Some hosts say that they pack pictures, and don't.
                    auto_decompress=False,
                )
        except (aiohttp.InvalidURL, ValueError) as exc:
            reason, invalid = words_of(exc), True
        except asyncio.CancelledError as exc:
            if is_cancelled(exc):
                raise
            reason = CLOSED
        except Exception as exc:  # noqa: BLE001 - of a link that others made
            reason = words_of(exc)
        if self._files.closed:
            raise ClientClosedError
        if (unsafe := admission.refused(url)) is not None:
            raise unsafe
        if invalid:
            raise UnsafeUrlError(f"no address of a picture: {str(url)!r}")
        raise TransportError(reason, sent=False)


def _guard_of(base_url: str, options: NetworkOptions) -> AddressGuard:
    from .address_guard import AddressGuard
    from .trusted_hosts import TrustedHosts

    return AddressGuard(
        URL(base_url).origin(),
        TrustedHosts.of(options.trusted_hosts)[0],
        proxied=options.proxy is not None,
    )


def _guarded_socket(info: aiohttp.AddrInfoType) -> socket:
    from .address_guard import guarded_socket

    return guarded_socket(info)


async def _round_trip(
    pool: SessionPool,
    session: aiohttp.ClientSession,
    call: Call,
    body: KeyedBody,
    key: ApiKey,
    bounds: aiohttp.ClientTimeout,
) -> Reply | Unsent | Cut:
    options = pool.options
    at = time.time() if options.tap is not None else 0.0
    response = await session.post(
        _address(call.url),
        data=body,
        allow_redirects=False,
        proxy=options.proxy,
        timeout=bounds,
        # Some gateways say what they don't.
        auto_decompress=False,
    )
    try:
        body.answered(response.status)
        if response.status == 407 and options.proxy is not None:
            return Unsent("the proxy wants a password", hopeless=True)
        came, reason = await read_body(response, key, call.cap_bytes)
    finally:
        # Read to its end it has let go of its connection.
        if response.connection is None:
            body.hang_up()
        else:
            with closing(response):
                response.release()
                await response.wait_for_close()
    came = pool.hide(key.scrub(came))
    if reason is not None:
        return Cut(reason, begun=True, came=came)
    if options.tap is not None:
        options.tap(_exchange_of(response, call.body, came, at))
    return _reply_of(response, call, came)


def _reply_of(
    response: aiohttp.ClientResponse, call: Call, body: bytes
) -> Reply:
    headers = response.headers
    return Reply(
        status=response.status,
        body=body,
        retry_after=headers.get("Retry-After"),
        date=headers.get("Date"),
        rate_reset=headers.get("X-RateLimit-Reset"),
        rate_remaining=headers.get("X-RateLimit-Remaining"),
        url=call.url,
    )


async def _chunks(
    response: aiohttp.ClientResponse,
    tap: Callable[[Exchange], None] | None,
) -> AsyncGenerator[bytes, None]:
    reason, at, seen = None, time.time(), b""
    try:
        async for chunk in response.content.iter_chunked(65536):
            if tap is not None:
                seen += chunk
            yield chunk
        if tap is not None:
            tap(_exchange_of(response, None, seen, at))
    except (aiohttp.ClientError, OSError) as exc:
        reason = words_of(exc)
    if reason is not None:
        raise TransportError(reason, sent=True)


def _exchange_of(
    response: aiohttp.ClientResponse,
    request_body: bytes | None,
    body: bytes,
    at: float,
) -> Exchange:
    request = response.request_info
    return Exchange(
        at,
        request.method,
        str(request.url),
        dict(request.headers),
        request_body,
        response.status,
        dict(response.headers),
        body,
        time.time() - at,
    )


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
