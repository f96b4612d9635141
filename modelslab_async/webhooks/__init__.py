"""
Webhooks: told instead of asking.

A `Doorbell` gives each job a URL of its own, and rings the job when the
service calls there.  Nothing that the caller says is believed: the service
signs nothing, so a ring only makes the client ask at once.

`parse` is for people who run a receiver of their own.
"""

from __future__ import annotations

from .._protocol.notices import read_notice
from ..errors import ProtocolError
from ..results import Notice
from .doorbell import Doorbell


__all__ = ["Doorbell", "Notice", "parse"]


def parse(body: bytes | str) -> Notice:
    """
    What a webhook's body says of its job.

    It is unsigned: whoever learns the URL may have sent it.  Take the job up
    by ``lab.job(notice.job_id)`` before you believe it.

    Raises:
        ProtocolError: Nobody can read it.
    """
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    notice = read_notice(body)
    if notice is None:
        excerpt = body[:200].decode("utf-8", "replace")
        raise ProtocolError("a webhook's body that nobody can read", excerpt)
    return notice
