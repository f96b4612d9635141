"""
The doorbell's receiver as routes of aiohttp's own server.
"""

from __future__ import annotations

import asyncio

import aiohttp

from aiohttp import web

from .asgi import CALL_CAP_BYTES, PATIENCE, Opens, Ring


def web_routes(opens: Opens, ring: Ring, path: str) -> list[web.RouteDef]:
    """
    Routes that *ring*, below *path*, where a URL *opens*.
    """

    async def take(request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        number, token = (request.match_info[name] for name in _PARTS)
        if not opens(number, token):
            return web.Response(status=404)
        try:
            async with asyncio.timeout(PATIENCE):
                body = await _read_body(request)
        except TimeoutError:
            return web.Response(status=408)
        except (aiohttp.ClientError, web.PayloadAccessError, ValueError):
            return web.Response(status=400)
        if body is None:
            ring(number, b"")
            return web.Response(status=413)
        ring(number, body)
        return web.Response()

    route = "/".join(("", *filter(None, path.split("/")), *_PLACES))
    return [web.route("*", route, take)]


_PARTS = ("number", "token")


_PLACES = tuple(f"{{{name}}}" for name in _PARTS)


async def _read_body(request: web.Request) -> bytes | None:
    """
    A call's body; None where it is longer than is taken.
    """
    if (request.content_length or 0) > CALL_CAP_BYTES:
        return None
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > CALL_CAP_BYTES:
            return None
    return bytes(body)
