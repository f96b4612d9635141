"""
Why items failed, in words that are the same for all that failed alike, and
what makes a batch ask for them again.
"""

from __future__ import annotations

import re

import attrs

from ..errors import (
    ApiError,
    DownloadError,
    GenerationFailedError,
    JobNotFoundError,
    JobUnfinishedError,
    ModelsLabError,
    OutcomeUnknownError,
)
from .states import ASKED_AGAIN


@attrs.frozen
class Cause:
    """
    Why an item has no pictures.

    Attributes:
        state: `failed`, `unknown`, `unfinished` or `not saved`.

        reason: One line, without what differs from item to item.

        option: What a batch has to be told to ask again; empty where it does
            so unasked.
    """

    state: str
    reason: str
    option: str = ""


def cause_of(error: ModelsLabError) -> Cause:
    """
    Why an item failed.
    """
    match error:
        case OutcomeUnknownError():
            reason = f"sent, and no verdict came: {error.reason}"
            return Cause("unknown", _alike(reason), "resubmit_unknown")
        case JobUnfinishedError():
            return Cause("unfinished", "paid for, and not finished in time")
        case DownloadError():
            return Cause("not saved", _alike(error.reason))
        case JobNotFoundError():
            reason = "the service does not know the job"
            return Cause("failed", reason, "resubmit_failed")
        case GenerationFailedError():
            reason = f"the service gave up: {error.message}"
            return Cause("failed", _alike(reason), "resubmit_failed")
        case ApiError():
            reason = error.message
        case _:
            reason = str(error)
    option = "" if isinstance(error, ASKED_AGAIN) else "resubmit_failed"
    return Cause("failed", _alike(reason), option)


#: Links, and numbers that are ids.
_DIFFERS = re.compile(r" at https?://\S+|https?://\S+|[0-9]{5,}")


_LONGEST = 200


def _alike(reason: str) -> str:
    found = _DIFFERS.sub("", reason[: 5 * _LONGEST].partition(";")[0])
    return " ".join(found.split())[:_LONGEST] or "no reason was given"
