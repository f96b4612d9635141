"""
The body of a request, to which the key is added as it is written.
"""

from __future__ import annotations

import json

import aiohttp

from aiohttp.abc import AbstractStreamWriter

from .api_key import ApiKey


class KeyedBody(aiohttp.Payload):
    """
    A JSON object to which the key is added as it is written.

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
