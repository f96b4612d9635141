"""
What happens, as log records.
"""

from __future__ import annotations

import logging

import attrs

from ..events import (
    BatchStopped,
    BreakerClosed,
    BreakerOpened,
    DoorbellTrusted,
    DownloadFailed,
    Event,
    FileSaved,
    FileUploaded,
    JobAccepted,
    JobFinished,
    JobResumed,
    LimitLearnt,
    OutcomeUnknown,
    WaitsLong,
)
from ..results import JobState


_PERSON = (
    BatchStopped,
    BreakerOpened,
    DownloadFailed,
    OutcomeUnknown,
    WaitsLong,
)


_JOBS = (
    BreakerClosed,
    DoorbellTrusted,
    FileSaved,
    FileUploaded,
    JobAccepted,
    JobFinished,
    JobResumed,
    LimitLearnt,
)


@attrs.frozen
class LogObserver:
    """
    Logs every event: DEBUG for submits, polls and waits, INFO for jobs,
    WARNING for what needs a person.

    Each record has its event as ``record.event``, for formatters that write
    JSON.  Prompts are in no event.

    Args:
        logger: Default: ``modelslab_async.events``.
    """

    logger: logging.Logger = attrs.field(
        factory=lambda: logging.getLogger("modelslab_async.events")
    )

    def __call__(self, event: Event) -> None:
        level = _level(event)
        if self.logger.isEnabledFor(level):
            facts = attrs.asdict(event, recurse=False)
            words = " ".join(
                f"{name}={value:.3f}"
                if isinstance(value, float)
                else f"{name}={value}"
                for name, value in facts.items()
                if value is not None and value != ""
            )
            name = type(event).__name__
            self.logger.log(
                level, "%s %s", name, words, extra={"event": event}
            )


def _level(event: Event) -> int:
    if isinstance(event, JobFinished):
        ended_well = event.state is JobState.SUCCEEDED
        return logging.INFO if ended_well else logging.WARNING
    if isinstance(event, _PERSON):
        return logging.WARNING
    return logging.INFO if isinstance(event, _JOBS) else logging.DEBUG
