"""
Somebody who asks the simulator with nothing but aiohttp.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import attrs

from PIL import Image

from modelslab_async.simulator import Simulator


@attrs.frozen
class Reply:
    """
    What came back; *body* is the JSON, or the bytes if it is none.
    """

    status: int
    body: Any
    kind: str


@attrs.frozen
class Asker:
    """
    A key, and a session to send it with.
    """

    simulator: Simulator
    session: aiohttp.ClientSession
    key: str = "secret-key"

    async def post(self, path: str, **body: object) -> Reply:
        """
        Send JSON with the key in it.
        """
        url = f"{self.simulator.url}/{path}".replace("/v6/../", "/")
        sent = {"key": self.key, **body}
        async with self.session.post(
            url, json=sent, allow_redirects=False
        ) as response:
            return await _reply(response)

    async def ask(self, path: str, **body: object) -> Reply:
        """
        Send JSON with the key in it, to a path behind ``/api/``.
        """
        return await self.post(f"../{path}", **body)

    async def submit(
        self,
        prompt: object = "a cat",
        model_id: object = "flux",
        **more: object,
    ) -> Reply:
        """
        Request for a picture.
        """
        return await self.post(
            "images/text2img", prompt=prompt, model_id=model_id, **more
        )

    async def fetch(self, job_id: object) -> Reply:
        """
        Request by the id in the path.
        """
        return await self.post(f"images/fetch/{job_id}")

    async def fetch_by_body(self, job_id: object) -> Reply:
        """
        Request by the id in the body.
        """
        return await self.post("images/fetch", request_id=str(job_id))

    async def ended(self, job_id: object) -> Reply:
        """
        Request until there is an end.
        """
        while True:
            reply = await self.fetch(job_id)
            if reply.body["status"] != "processing":
                return reply

    async def get(self, url: str) -> Reply:
        """
        Get a file.
        """
        async with self.session.get(url) as response:
            return await _reply(response)

    async def control(self, name: str, **body: object) -> Reply:
        """
        Use the simulator's own door.
        """
        url = f"{self.simulator.origin}/simulator/{name}"
        async with self.session.post(url, json=body) as response:
            return await _reply(response)


async def _reply(response: aiohttp.ClientResponse) -> Reply:
    data = await response.read()
    body: Any = data
    with contextlib.suppress(ValueError):
        body = json.loads(data)
    return Reply(response.status, body, response.content_type)


@contextlib.asynccontextmanager
async def asking(**options: Any) -> AsyncIterator[Asker]:
    """
    A simulator and somebody who asks it. Unless told otherwise, jobs end at
    once, and pictures are plain.
    """
    options = {"latency": 0, "hold": 0, "pictures": "plain", **options}
    async with (
        Simulator(**options) as simulator,
        aiohttp.ClientSession() as session,
    ):
        yield Asker(simulator, session)


def png(width: int = 64, height: int = 64, colour: str = "navy") -> bytes:
    """
    A picture to send.
    """
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def uri(data: bytes, kind: str = "image/png") -> str:
    """
    The same as text.
    """
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def opened(data: bytes) -> Image.Image:
    """
    A picture that came.
    """
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


FOREVER: dict[str, Any] = {"latency": 100_000}
BRIEF: dict[str, Any] = {"latency": 0.02}
