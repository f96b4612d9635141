"""
What happened, as frozen facts, for whoever watches.

An observer is a function that takes one `Event`; it is called inline, in the
context of the call that asked for the job, and must not block.  One that
raises is logged once and switched off: it never breaks a run.
"""

from __future__ import annotations

import logging

from collections.abc import Callable
from contextvars import Context
from typing import TypeAlias

import attrs

from .results import JobState


_log = logging.getLogger("modelslab_async")


@attrs.frozen
class Event:
    """
    Something that happened; *track_id* names the request it is about.
    """

    track_id: str | None


@attrs.frozen
class JobAccepted(Event):
    """
    The service took a request: it runs, and is billed.
    """

    job_id: str | None
    eta: float | None


@attrs.frozen
class JobPolled(Event):
    """
    A job was asked for; *elapsed* seconds after its acceptance.
    """

    job_id: str | None
    polls: int
    elapsed: float


@attrs.frozen
class JobFinished(Event):
    """
    A job ended, or we stopped waiting for it.
    """

    job_id: str | None
    state: JobState
    polls: int
    elapsed: float


@attrs.frozen
class CallRetried(Event):
    """
    A request will be sent again in *pause* seconds.
    """

    reason: str
    tries: int
    pause: float


@attrs.frozen
class OutcomeUnknown(Event):
    """
    A request was sent and no verdict came.
    """

    reason: str


@attrs.frozen
class QueueFull(Event):
    """
    The account has no slot free: the request went back into the queue.
    """

    limit: int | None


@attrs.frozen
class LineClosed(Event):
    """
    The account was refused: nobody is asked for until a probe succeeds.
    """

    reason: str


@attrs.frozen
class LimitLearnt(Event):
    """
    The number of slots that we think the account has changed.
    """

    limit: int


@attrs.frozen
class FileSaved(Event):
    """
    A picture is on disk, whole.
    """

    job_id: str | None
    path: str


@attrs.frozen
class FileUploaded(Event):
    """
    A local picture lies where the service can fetch it.

    Attributes:
        path: None where bytes were given.
    """

    path: str | None
    sha256: str
    size_bytes: int
    elapsed: float


Observer: TypeAlias = Callable[[Event], None]


@attrs.define(eq=False)
class Observers:
    """
    The observers of a client.

    What changes: one that raises is taken out.
    """

    functions: list[Observer] = attrs.field(factory=list)

    def __bool__(self) -> bool:
        """
        Whether anybody listens: nothing is built when nobody does.
        """
        return bool(self.functions)

    def tell(self, event: Event, context: Context | None = None) -> None:
        """
        Hand *event* to all, in *context* where one is given.
        """
        for observer in tuple(self.functions):
            try:
                if context is None:
                    observer(event)
                else:
                    context.run(observer, event)
            except BaseException:  # noqa: BLE001 - a watcher breaks no run
                self.functions.remove(observer)
                _log.exception("an observer raised, and is switched off")

    def saved(
        self, track_id: str | None, job_id: str | None, path: str
    ) -> None:
        """
        Tell of a picture on disk.
        """
        if self.functions:
            self.tell(FileSaved(track_id, job_id, path))
