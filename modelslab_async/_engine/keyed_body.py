"""
The body of a request, to which the key is added as it is written.
"""

from __future__ import annotations

import asyncio
import select
import weakref

from collections.abc import Callable

import aiohttp

from aiohttp.abc import AbstractStreamWriter

from .api_key import ApiKey
from .response import hang_up


_CLOSED = "the server closed the connection while it was idle"


#: "The peer writes no more", also behind bytes that nobody has read; Linux
#: alone tells.
_RDHUP: int | None = getattr(select, "POLLRDHUP", None)


class KeyedBody(aiohttp.Payload):
    """
    A JSON object to which the key is added as it is written.

    aiohttp sends the headers together with the first of the body, and without
    a body nothing is bought.

    Attributes:
        refused: The server had closed the connection: nothing was written.

        begun: Some of the answer has come.
    """

    def __init__(
        self,
        body: bytes,
        key: ApiKey,
        leaving: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(None, content_type="application/json")
        self._body = body
        self._autoclose = True
        rest = body[1:]
        comma = b"," if rest != b"}" else b""
        whole = b'{"key":%b%b%b' % (key.as_json(), comma, rest)
        self._size = len(whole)
        #: Gives what is written, which no attribute shows.
        self._whole: Callable[[], bytes] = lambda: whole
        self._leaving = leaving
        self._writer: AbstractStreamWriter | None = None
        self.refused = self.begun = False

    def __repr__(self) -> str:
        return "<a body with a key>"

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(
        self,
        writer: AbstractStreamWriter,
        content_length: int | None,  # noqa: ARG002 - aiohttp gives it
    ) -> None:
        self._writer = writer
        if _is_farewell(writer):
            self.refused = True
            raise aiohttp.ClientConnectionResetError(_CLOSED)
        if self._leaving is not None:
            self._leaving()
        try:
            await writer.write(self._whole())
        except aiohttp.ClientConnectionResetError as exc:
            # It closed while a trace of the caller's was awaited.
            self.refused = "closing transport" in str(exc)
            raise

    def answered(self, status: int) -> None:
        """
        Take an answer to nothing for what it is: "408", which gateways say
        when they close what was idle, may be there before a request is.
        """
        self.begun = True
        if self._writer is None and status == 408:
            self.refused = True

    def hang_up(self) -> None:
        """
        Wait for no goodbye of a peer that keeps no connection.
        """
        hang_up(getattr(self._writer, "transport", None))

    @property
    def started(self) -> bool:
        """
        Whether the request left: its write was not refused.
        """
        writer = self._writer
        return bool(writer and writer.output_size and not self.refused)


#: What looks at connections that have carried a request.
_looks: weakref.WeakKeyDictionary[asyncio.BaseProtocol, select.poll] = (
    weakref.WeakKeyDictionary()
)


def _is_farewell(writer: AbstractStreamWriter) -> bool:
    """
    Whether the other end has closed the connection, or is about to: what it
    says unasked on one that was idle is its farewell.

    While somebody held up the loop, nobody has read that it did: a request
    that is written now gets no answer, and nobody can tell what became of it.
    """
    transport = getattr(writer, "transport", None)
    if transport is None or transport.is_closing():
        return True
    protocol = getattr(writer, "protocol", None)
    if protocol is None:
        return False
    if protocol.should_close:
        return True
    look = _looks.get(protocol)
    try:
        if look is not None:
            return bool(look.poll(0))
        return _is_closed_at_once(protocol, transport)
    except (OSError, ValueError):
        return True


def _is_closed_at_once(
    protocol: asyncio.BaseProtocol, transport: asyncio.BaseTransport
) -> bool:
    """
    The same of a new connection, where TLS has things to say of its own.
    """
    sock = transport.get_extra_info("socket")
    if sock is None:
        return False
    look, closed = select.poll(), False
    if _RDHUP is not None:
        look.register(sock.fileno(), _RDHUP)
        closed = bool(look.poll(0))
    look.register(sock.fileno(), (_RDHUP or 0) | select.POLLIN)
    _looks[protocol] = look
    return closed
