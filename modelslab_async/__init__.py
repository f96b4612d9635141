"""
An asyncio client for the ModelsLab image API.

It idles no slot of the account, and loses no job that was paid for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import errors, specs
from ._client import ModelsLab
from ._engine.job import Job
from ._policy.polling import PollSchedule
from ._policy.retry import RetryPolicy
from ._policy.timeouts import Timeouts
from ._version import __version__
from .results import Generation, Image, JobState, JobUpdate, Stats
from .specs import (
    AlgorithmType,
    IPAdapter,
    SafetyCheckerType,
    Scheduler,
    TextToImage,
)


if TYPE_CHECKING:
    from ._batch.batch import Batch
    from ._batch.outcome import BatchProgress, Outcome


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
    "Timeouts",
    "__version__",
    "errors",
    "specs",
]


def __getattr__(name: str) -> object:
    """
    What only batches need is imported when it is first named.
    """
    if name == "Batch":
        from ._batch.batch import Batch

        return Batch
    if name in {"BatchProgress", "Outcome"}:
        from ._batch import outcome

        return getattr(outcome, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
