"""
Exchanges as lines of JSON, for a bug report: what was sent and what came, but
for the key.

`Simulator(replay=FILE)` answers with them, so that who has no key sees what
the one saw who has.
"""

from __future__ import annotations

import base64
import json
import os

from collections.abc import Iterable
from pathlib import Path

from .._protocol.replies import Exchange
from ..results import JSON


def write_capture(path: Path, exchanges: Iterable[Exchange]) -> None:
    """
    Write them into *path*, which only its owner may read.

    Raises:
        OSError: It cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        for one in exchanges:
            file.write(json.dumps(_row(one), ensure_ascii=False) + "\n")


def _row(one: Exchange) -> dict[str, JSON]:
    body: dict[str, JSON]
    try:
        body = {"body": one.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(one.body).decode()}
    return {
        "at": one.at,
        "method": one.method,
        "url": one.url,
        "request_headers": dict(one.request_headers),
        "request_body": None
        if one.request_body is None
        else one.request_body.decode("utf-8", "replace"),
        "status": one.status,
        "headers": dict(one.headers),
        **body,
        "elapsed": one.elapsed,
    }
