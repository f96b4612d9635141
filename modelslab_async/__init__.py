"""
An asyncio client for the ModelsLab image API.

It idles no slot of the account, and loses no job that was paid for.
"""

from __future__ import annotations

from . import errors, events
from ._batch import Batch, BatchProgress, Outcome
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
    "events",
]
