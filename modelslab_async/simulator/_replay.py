"""
Answers with what was captured: one exchange a line, as JSON.

A request is answered with the first captured exchange not yet used that has
its method, path and body, where key, track_id and webhook don't count; when
all are used, with the last again. Links in the answers lead here.
"""

from __future__ import annotations

import base64
import json
import os
import re

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from ._faults import Reply


_PRIVATE = ("key", "track_id", "webhook")
# What the server sets by itself, or what no longer holds.
_DROPPED = {
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
}
_Mark = tuple[str, str, str]


@attrs.define
class _Exchange:
    reply: Reply
    used: bool = False


class Replay:
    """
    What was captured, by what was asked.

    Raises:
        ValueError: A line is no exchange; the text says which.
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self._exchanges: dict[_Mark, list[_Exchange]] = {}
        self._origins: set[str] = set()
        with Path(file).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    self._add(line, f"{file}:{number}")

    def _add(self, line: str, where: str) -> None:
        try:
            told = json.loads(line)
            url = urlsplit(told["url"])
            mark = _mark(told["method"], url.path, told.get("request_body"))
            exchange = _Exchange(_reply(told))
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            text = f"{where}: not a captured exchange: {exc!r}"
            raise ValueError(text) from exc
        self._exchanges.setdefault(mark, []).append(exchange)
        if url.netloc:
            self._origins.add(f"{url.scheme}://{url.netloc}")

    def answer(
        self, method: str, path: str, body: bytes, *, origin: str
    ) -> Reply | None:
        """
        What was answered then; None, if nobody asked that.

        *origin* is where links are to lead.
        """
        exchanges = self._exchanges.get(_mark(method, path, body))
        if exchanges is None:
            return None
        unused = [each for each in exchanges if not each.used]
        exchange = unused[0] if unused else exchanges[-1]
        exchange.used = True
        return self._moved(exchange.reply, origin)

    def _moved(self, reply: Reply, origin: str) -> Reply:
        text = reply.body
        if not isinstance(text, str):
            return reply
        for each in sorted(self._origins, key=len, reverse=True):
            # JSON may have its slashes escaped.
            for slash in ("/", r"\/"):
                there = each.replace("/", slash)
                text = re.sub(
                    rf"{re.escape(there)}(?={re.escape(slash)})",
                    lambda _, slash=slash: origin.replace("/", slash),  # type: ignore[misc] # a default is no argument
                    text,
                )
        return attrs.evolve(reply, body=text)


def _mark(method: str, path: str, body: object) -> _Mark:
    """
    What two requests have in common that are the same.
    """
    return method.upper(), path, json.dumps(_public(body), sort_keys=True)


def _public(body: object) -> object:
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return body or None
    if isinstance(body, dict):
        return {
            name: value for name, value in body.items() if name not in _PRIVATE
        }
    return body


def _reply(told: Mapping[str, Any]) -> Reply:
    body: object = told.get("body", "")
    if "body_base64" in told:
        body = base64.b64decode(told["body_base64"], validate=True)
    elif not isinstance(body, str):
        raise ValueError("body must be a text, or body_base64 be there")
    headers = {
        name: value
        for name, value in told.get("headers", {}).items()
        if name.lower() not in _DROPPED
    }
    return Reply(int(told["status"]), body, headers=headers)
