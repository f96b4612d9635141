"""
The doorbell's receiver as an ASGI application.

It needs no framework, and looks at the last two parts of a path only, so it
may be mounted anywhere.
"""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import attrs


Message: TypeAlias = "MutableMapping[str, Any]"


Receive: TypeAlias = "Callable[[], Awaitable[Message]]"


Send: TypeAlias = "Callable[[Message], Awaitable[None]]"


#: How much a body may have, and how many seconds it may take to come.
CALL_CAP_BYTES, PATIENCE = 256 * 1024, 30.0


#: Says whether a URL with this number and token at its end is ours.
Opens: TypeAlias = "Callable[[str, str], bool]"


#: Is told that a number was called, and with which body; empty: too long.
Ring: TypeAlias = "Callable[[str, bytes], None]"


@attrs.frozen
class AsgiReceiver:
    """
    Takes the service's calls; see `Doorbell.asgi`.
    """

    opens: Opens
    ring: Ring

    async def __call__(
        self, scope: Message, receive: Receive, send: Send
    ) -> None:
        """
        Answer one call.
        """
        match scope["type"]:
            case "lifespan":
                await _live(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            case "http":
                status = await self._status(scope, receive)
                if status is not None:
                    await _respond(status, send)

    async def _status(self, scope: Message, receive: Receive) -> int | None:
        """
        Ring, and give the answer's code; None where the caller has gone.
        """
        if scope["method"] != "POST":
            return 405
        number, token = ends_of(scope["path"])
        if not self.opens(number, token):
            return 404
        try:
            async with asyncio.timeout(PATIENCE):
                body = await _body(receive)
        except TimeoutError:
            return 408
        if body is None:
            return None
        if len(body) > CALL_CAP_BYTES:
            self.ring(number, b"")
            return 413
        self.ring(number, body)
        return 200


def ends_of(path: str) -> tuple[str, str]:
    """
    A path's number and token, as far as it has any.
    """
    rest, _, token = path[-_LONGEST_PATH:].rpartition("/")
    return rest.rpartition("/")[2], token


#: Characters of a path's end that are looked at.
_LONGEST_PATH = 512


async def _body(receive: Receive) -> bytes | None:
    """
    A call's body, or a little more than is taken; None where it breaks off.
    """
    body = bytearray()
    while len(body) <= CALL_CAP_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


async def _respond(status: int, send: Send) -> None:
    headers = [(b"content-length", b"0")]
    if status == 405:
        headers.append((b"allow", b"POST"))
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": headers,
        }
    )
    await send({"type": "http.response.body", "body": b""})


async def _live(receive: Receive, send: Send) -> None:
    """
    There is nothing to open, and nothing to close.
    """
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
