"""
What can go wrong between the service and whoever asks, on demand:
answers that are made up, changed, or never come whole.
"""

from __future__ import annotations

import asyncio
import enum
import functools
import gzip
import json
import socket
import struct

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import attrs

from aiohttp import web

from ._settings import Matcher, Rings, matches


Target = Literal["submit", "fetch", "file", "upload", "call", "webhook"]
TARGETS: frozenset[str] = frozenset(get_args(Target))

_HTML = (
    "<!DOCTYPE html>\n<html><head><title>{0}</title></head>"
    "<body><center><h1>{0}</h1></center><hr>"
    "<center>cloudflare</center></body></html>\n"
)
_REASONS = {
    404: "Object not found",
    502: "502 Bad gateway",
    504: "504 Gateway time-out",
    524: "524 A timeout occurred",
}


class Fault(enum.StrEnum):
    """
    A way to go wrong.

    Those of the first group come instead of the answer: a submit is not
    accepted. Those of the second spoil the answer: a submit has been
    accepted, and is billed. *accepted* of `Simulator.next` says otherwise.
    """

    RESET_BEFORE = "reset-before"
    """The connection is reset, and nothing was done."""

    BAD_GATEWAY = "bad-gateway"
    """502 with a page of HTML."""

    UNAVAILABLE = "unavailable"
    """503 with the service's JSON."""

    SERVER_ERROR = "server-error"
    """500 with the service's JSON."""

    REDIRECT = "redirect"
    """307 to another address, where whatever comes is a stray."""

    MISSING = "missing"
    """404 with a page of HTML, as of a file that is not there."""

    RESET_AFTER = "reset-after"
    """The connection is reset after the work was done."""

    SILENCE = "silence"
    """No answer, ever; the connection stays open."""

    GATEWAY_TIMEOUT = "gateway-timeout"
    """504 with a page of HTML."""

    CLOUDFLARE_TIMEOUT = "cloudflare-timeout"
    """524 with a page of HTML."""

    TORN = "torn"
    """Half the bytes that Content-Length tells, then the end."""

    HALF_BODY = "half-body"
    """A well-formed answer that holds half of the bytes."""

    UNSIZED = "unsized"
    """Half of the bytes without Content-Length: nobody can see the loss."""

    SLOW_HEADERS = "slow-headers"
    """The head of the answer comes byte by byte."""

    SLOW_BODY = "slow-body"
    """The body comes in drops."""

    WRONG_TYPE = "wrong-type"
    """The right bytes under a wrong Content-Type."""

    HTML = "html"
    """200 with a page of HTML."""

    GZIP_BOMB = "gzip-bomb"
    """64 MiB of zeros in 64 KiB of gzip."""

    @property
    def accepted(self) -> bool:
        """
        Whether a submit has been accepted when this comes, by default.
        """
        return self not in _INSTEAD


_INSTEAD = frozenset(
    {
        Fault.RESET_BEFORE,
        Fault.BAD_GATEWAY,
        Fault.UNAVAILABLE,
        Fault.SERVER_ERROR,
        Fault.REDIRECT,
        Fault.MISSING,
    }
)


def _words(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


def _frozen(value: Mapping[str, str]) -> dict[str, str]:
    return dict(value)


@attrs.frozen
class Reply:
    """
    An answer that is given as it stands.

    Attributes:
        status: HTTP code.

        body: Bytes and text as they are, all else as JSON.

        headers: Win over what would be sent.
    """

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = attrs.field(
        factory=dict, converter=_frozen, kw_only=True
    )

    @property
    def payload(self) -> bytes:
        """
        The body as it is sent.
        """
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body).encode()

    @property
    def fields(self) -> dict[str, str]:
        """
        The headers as they are sent.
        """
        kind = (
            "text/html; charset=UTF-8"
            if isinstance(self.body, bytes | str)
            else "application/json"
        )
        return {"Content-Type": kind, **self.headers}


@attrs.frozen
class Edit:
    """
    The service's own answer with changes; a submit is judged as ever.

    Attributes:
        fields: Put into the JSON object.

        without: Taken out of it.

        status: HTTP code instead of the service's own.

        headers: Put among the headers.
    """

    fields: Mapping[str, object] = attrs.field(factory=dict)
    without: tuple[str, ...] = attrs.field(
        default=(), converter=_words, kw_only=True
    )
    status: int | None = attrs.field(default=None, kw_only=True)
    headers: Mapping[str, str] = attrs.field(factory=dict, kw_only=True)

    def apply(self, reply: Reply) -> Reply:
        """
        The changed answer.
        """
        body = reply.body
        if isinstance(body, dict):
            body = {
                key: value
                for key, value in {**body, **self.fields}.items()
                if key not in self.without
            }
        return Reply(
            reply.status if self.status is None else self.status,
            body,
            headers={**reply.headers, **self.headers},
        )


Answer = Reply | Edit | Fault | Rings


@attrs.define(eq=False)
class Order:
    """
    "Answer the next requests of this kind with that."
    """

    kind: Target
    answer: Answer
    times: int
    prompt: Matcher
    endpoint: str | None
    accepted: bool
    seconds: float

    def takes(self, kind: Target, prompt: str | None, path: str) -> bool:
        """
        Whether it means this request.
        """
        if self.kind != kind:
            return False
        if self.endpoint is not None and self.endpoint not in path:
            return False
        return self.prompt is None or (
            prompt is not None and matches(self.prompt, prompt)
        )


@attrs.define
class Orders:
    """
    The orders that are still open, first in, first out.
    """

    _open: deque[Order] = attrs.field(factory=deque)

    def add(self, order: Order) -> None:
        """
        Put it last.
        """
        self._open.append(order)

    def find(
        self, kind: Target, prompt: str | None, path: str
    ) -> Order | None:
        """
        The first that means this request; it stays open.

        *path* is its endpoint's, or that of the endpoint of its job.
        """
        # A copy: orders may come in from another thread.
        for order in tuple(self._open):
            if order.takes(kind, prompt, path):
                return order
        return None

    def fill(self, order: Order) -> None:
        """
        Count one request against it.
        """
        order.times -= 1
        if order.times <= 0:
            self._open.remove(order)

    def put_back(self, order: Order) -> None:
        """
        Don't count that request.
        """
        order.times += 1
        if order not in self._open:
            self._open.appendleft(order)

    def clear(self) -> None:
        """
        Forget them all.
        """
        self._open.clear()


def page(status: int) -> Reply:
    """
    A page of HTML, as gateways and stores send.
    """
    return Reply(status, _HTML.format(_REASONS.get(status, str(status))))


def give(reply: Reply) -> web.Response:
    """
    Send it as it stands.
    """
    return web.Response(
        status=reply.status, body=reply.payload, headers=reply.fields
    )


async def play(
    fault: Fault,
    request: web.Request,
    reply: Reply,
    *,
    seconds: float,
) -> web.StreamResponse:
    """
    Let *fault* happen to *reply*.

    Args:
        fault: What to play.

        request: Whose answer it is.

        reply: What the service would have said.

        seconds: How long slow things take, in all, as lived.

    """
    payload = reply.payload
    half = payload[: len(payload) // 2]

    match fault:
        case Fault.RESET_BEFORE | Fault.RESET_AFTER:
            return await _reset(request)
        case Fault.SILENCE:
            return await _nothing_more()
        case Fault.BAD_GATEWAY:
            return give(page(502))
        case Fault.GATEWAY_TIMEOUT:
            return give(page(504))
        case Fault.CLOUDFLARE_TIMEOUT:
            return give(page(524))
        case Fault.MISSING:
            return give(page(404))
        case Fault.HTML:
            return give(page(200))
        case Fault.UNAVAILABLE:
            text = "Service temporarily unavailable. Please try again later."
            return give(Reply(503, {"status": "error", "message": text}))
        case Fault.SERVER_ERROR:
            text = "Internal server error. Please try again."
            return give(Reply(500, {"status": "error", "message": text}))
        case Fault.REDIRECT:
            where = f"{request.scheme}://{request.host}/elsewhere"
            return give(Reply(307, headers={"Location": where}))
        case Fault.TORN:
            return await _write(request, _head(reply, len(payload)) + half)
        case Fault.HALF_BODY:
            return give(attrs.evolve(reply, body=half))
        case Fault.UNSIZED:
            return await _write(request, _head(reply, None) + half)
        case Fault.SLOW_HEADERS:
            head = _head(reply, len(payload))
            return await _drip(request, head, payload, seconds)
        case Fault.SLOW_BODY:
            head = _head(reply, len(payload))
            return await _drip(request, payload, b"", seconds, first=head)
        case Fault.WRONG_TYPE:
            headers = {"Content-Type": "text/plain; charset=utf-8"}
            return give(Reply(reply.status, payload, headers=headers))
        case Fault.GZIP_BOMB:
            bomb = await asyncio.to_thread(_bomb)
            headers = {**reply.fields, "Content-Encoding": "gzip"}
            return give(Reply(reply.status, bomb, headers=headers))


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(bytes(64 * 2**20), 9, mtime=0)


def _head(reply: Reply, length: int | None) -> bytes:
    fields = {**reply.fields, "Connection": "close"}
    if length is not None:
        fields["Content-Length"] = str(length)
    lines = [f"HTTP/1.1 {reply.status} OK"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def _nothing_more() -> web.StreamResponse:
    # Ends by cancellation: when the peer has gone, or the simulator stops.
    forever: asyncio.Future[web.Response] = (
        asyncio.get_running_loop().create_future()
    )
    return await forever


async def _reset(request: web.Request) -> web.StreamResponse:
    transport = request.transport
    if transport is not None:
        peer = transport.get_extra_info("socket")
        # Without lingering the close is a reset.
        peer.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        transport.abort()
    return await _nothing_more()


async def _write(request: web.Request, data: bytes) -> web.StreamResponse:
    transport = request.transport
    if isinstance(transport, asyncio.Transport):
        transport.write(data)
        transport.close()
    return await _nothing_more()


async def _drip(
    request: web.Request,
    slow: bytes,
    rest: bytes,
    seconds: float,
    *,
    first: bytes = b"",
) -> web.StreamResponse:
    transport = request.transport
    if not isinstance(transport, asyncio.Transport):
        return await _nothing_more()

    if first:
        transport.write(first)
    # Not more than a hundred drops, else naps too short to be kept add up.
    size = max(1, -(-len(slow) // 100))
    drops = [slow[at : at + size] for at in range(0, len(slow), size)]
    for drop in drops:
        transport.write(drop)
        await asyncio.sleep(seconds / len(drops))
    return await _write(request, rest)
