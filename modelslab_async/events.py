"""
What happened, as frozen facts, for whoever watches.

An observer is a function that takes one `Event`; it is called inline, in the
context of the call that asked for the job, and must not block.  One that
raises is logged once and switched off: it never breaks a run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from .results import JobState


@attrs.frozen
class Event:
    """
    Something that happened.

    Attributes:
        track_id: The request that it is about, where it is about one.

        endpoint: The name of what was asked.

        model_id: Of what model, where the endpoint has several.
    """

    track_id: str | None
    endpoint: str | None = attrs.field(default=None, kw_only=True)
    model_id: str | None = attrs.field(default=None, kw_only=True)


# From the queue to acceptance


@attrs.frozen
class JobQueued(Event):
    """
    A request waits for a slot; lower *priority* goes first.
    """

    priority: int


@attrs.frozen
class JobSubmitted(Event):
    """
    A request has a slot and is being sent, for the *tries*-th time.

    Attributes:
        queued: Seconds from its first place in the queue until now.
    """

    tries: int
    queued: float


@attrs.frozen
class QueueFull(Event):
    """
    The account has no slot free: the request went back into the queue.

    Attributes:
        limit: The number of slots that the refusal names, if it does.

        held: How many of them are ours.
    """

    limit: int | None
    held: int | None = None


@attrs.frozen
class CallRetried(Event):
    """
    A request will be sent again in *pause* seconds.

    Attributes:
        reason: The row of the table of answers, such as ``NOT_SENT``.

        cause: What happened, in words.
    """

    reason: str
    tries: int
    pause: float
    cause: str = ""


@attrs.frozen
class OutcomeUnknown(Event):
    """
    A request was sent and no verdict came.
    """

    reason: str
    phase: str = ""


@attrs.frozen
class JobAccepted(Event):
    """
    The service took a request: it runs, and is billed.

    Attributes:
        eta: Seconds that the service guesses.

        queued: Seconds that it waited for its slot, all tries together.

        submitting: Seconds from its slot to the answer, of the last try.
    """

    job_id: str | None
    eta: float | None
    queued: float | None = None
    submitting: float | None = None


# From acceptance to the end


@attrs.frozen
class JobResumed(Event):
    """
    A job that was asked for before, or elsewhere, is watched from now on.
    """

    job_id: str | None


@attrs.frozen
class JobPolled(Event):
    """
    A job was asked for; *elapsed* seconds after its acceptance.

    Attributes:
        verdict: What the answer means: ``AGAIN``, ``DONE``, ``FAILED``, ….

        took: Seconds until the answer.
    """

    job_id: str | None
    polls: int
    elapsed: float
    verdict: str = ""
    took: float | None = None


@attrs.frozen
class PollRetried(Event):
    """
    A poll said nothing of its job, which is asked for again in *pause*
    seconds; *tries* of them in a row.
    """

    job_id: str | None
    cause: str
    tries: int
    pause: float


@attrs.frozen
class JobFinished(Event):
    """
    A job ended, or we stopped waiting for it.

    Attributes:
        job_id: None where its request came to nothing.

        elapsed: Seconds from acceptance to when we knew.

        queued: Seconds that it waited for its slot.

        running: Seconds after its acceptance at which it was last seen to
            run; it ended after that.

        noticed: Seconds from then, or from when its bell rang, until we knew:
            the most by which we were late.

        eta: What the service guessed when it took the request.

        error: Why there are no pictures, by the error's class.

        cause: The same in words.
    """

    job_id: str | None
    state: JobState
    polls: int
    elapsed: float
    queued: float | None = None
    running: float | None = None
    noticed: float | None = None
    eta: float | None = None
    error: str | None = None
    cause: str = ""


# Files


@attrs.frozen
class FileSaved(Event):
    """
    A picture is on disk, whole.

    Attributes:
        took: Seconds, for all pictures of its job together.
    """

    job_id: str | None
    path: str
    took: float | None = None


@attrs.frozen
class DownloadRetried(Event):
    """
    A picture could not be had by its links, and is tried again in *pause*
    seconds.
    """

    cause: str
    tries: int
    pause: float


@attrs.frozen
class DownloadFailed(Event):
    """
    Not all pictures of a job could be had, or kept.

    Attributes:
        disk: It is our disk, and not the service.

        took: Seconds.
    """

    job_id: str | None
    cause: str
    disk: bool = False
    took: float | None = None


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


@attrs.frozen
class FreeCallRetried(Event):
    """
    What costs nothing is asked again in *pause* seconds.

    Attributes:
        what: Such as "upload of cat.png".
    """

    what: str
    cause: str
    tries: int
    pause: float


# The client as a whole


@attrs.frozen
class LineClosed(Event):
    """
    The account was refused: nobody is asked for until a probe succeeds.
    """

    reason: str


@attrs.frozen
class BreakerOpened(Event):
    """
    Requests are held back but for a probe now and then.

    Attributes:
        breaker: ``account`` for all, ``outage`` for one batch.

        cause: What was refused, or could not be reached.
    """

    breaker: str
    cause: str


@attrs.frozen
class BreakerClosed(Event):
    """
    A probe was accepted: all goes on.
    """

    breaker: str


@attrs.frozen
class LimitLearnt(Event):
    """
    The number of slots that we think the account has changed.
    """

    limit: int


@attrs.frozen
class SlotsChanged(Event):
    """
    How many slots there are, how many are ours, and how many requests wait.
    """

    limit: int
    held: int
    waiting: int


@attrs.frozen
class DoorbellTrusted(Event):
    """
    Webhooks ring, or don't: then jobs are asked for as without them.
    """

    trusted: bool


@attrs.frozen
class BatchStopped(Event):
    """
    A batch asks for nothing more before the end of its input.
    """

    cause: str


@attrs.frozen
class WaitsLong(Event):
    """
    Something waits for long; told ever more seldom while it does.

    Attributes:
        reason: Such as ``slot`` or ``loading``.

        waits_for: The same in words.

        waited: Seconds, of whoever waits longest.

        count: How many wait for that.
    """

    reason: str
    waits_for: str
    waited: float
    count: int


Observer: TypeAlias = Callable[[Event], None]
