"""
Webhooks: told instead of asking.

A `Doorbell` gives each job a URL of its own, and rings the job when the
service calls there.  Nothing that the caller says is believed: the service
signs nothing, so a ring only makes the client ask at once.

`parse` is for people who run a receiver of their own.
"""

from __future__ import annotations

import json

from collections.abc import Mapping
from typing import Any

from .._protocol.notices import read_notice
from .._quoting import in_short
from ..errors import ConfigurationError, ProtocolError
from ..results import Notice
from .doorbell import Doorbell


__all__ = ["Doorbell", "Notice", "parse"]


def parse(body: bytes | str | Mapping[str, Any]) -> Notice:
    """
    What a webhook's body says of its job; as it came, or as JSON.

    It is unsigned: whoever learns the URL may have sent it.  Take the job up
    by its handle, or by ``lab.job(notice.job_id, endpoint=…)``, before you
    believe it.

    Raises:
        ProtocolError: Nobody can read it.

        ConfigurationError: It is no body.
    """
    data: bytes | str
    try:
        data = json.dumps({**body}) if isinstance(body, Mapping) else body
    except (TypeError, ValueError, RecursionError):
        raise ProtocolError("a webhook's body that is no JSON") from None
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ConfigurationError(
            "parse: a webhook's body is needed, as bytes, text or a dict, "
            f"not {in_short(body)}"
        )
    data = bytes(data)
    notice = read_notice(data)
    if notice is None:
        excerpt = data[:200].decode("utf-8", "replace")
        raise ProtocolError("a webhook's body that nobody can read", excerpt)
    return notice
