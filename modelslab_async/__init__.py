"""
An asyncio client for the ModelsLab image API.

It idles no slot of the account, and loses no job that was paid for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import errors
from ._client import ModelsLab, Stats
from ._jobs import Job
from ._polling import PollSchedule
from ._retrying import RetryPolicy
from .answers import Generation, Image, JobState, JobUpdate
from .specs import (
    AlgorithmType,
    IPAdapter,
    SafetyCheckerType,
    Scheduler,
    TextToImage,
)


if TYPE_CHECKING:
    from ._batch import Batch, BatchProgress, Outcome


__all__ = [
    "AlgorithmType",
    "Batch",
    "BatchProgress",
    "Generation",
    "IPAdapter",
    "Image",
    "Job",
    "JobState",
    "JobUpdate",
    "ModelsLab",
    "Outcome",
    "PollSchedule",
    "RetryPolicy",
    "SafetyCheckerType",
    "Scheduler",
    "Stats",
    "TextToImage",
    "errors",
]


def __getattr__(name: str) -> object:
    """
    What only batches need is imported when it is first named.
    """
    if name in {"Batch", "BatchProgress", "Outcome"}:
        from . import _batch

        return getattr(_batch, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
