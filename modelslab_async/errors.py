"""
What can go wrong, named by what a caller can do next.

::

    ModelsLabError
    ├── ConfigurationError
    ├── SpecError
    ├── TransportError
    ├── ApiError
    │   ├── AuthenticationError
    │   ├── PaymentRequiredError
    │   ├── PermissionDeniedError
    │   ├── InvalidRequestError
    │   │   └── ModelNotFoundError
    │   ├── RateLimitedError
    │   └── ServerError
    ├── ProtocolError
    ├── OutcomeUnknownError
    ├── JobError
    │   ├── GenerationFailedError
    │   ├── JobNotFoundError
    │   └── JobUnfinishedError   (also a TimeoutError)
    ├── DownloadError
    │   └── UnsafeUrlError
    ├── JournalError
    ├── ClientClosedError
    └── WrongLoopError

All can be pickled, all carry their facts as attributes, none holds the key.
"""

from __future__ import annotations

from typing import Literal, Protocol

import attrs

from ._fact import Fact
from .results import JSON, Generation


class SavedPath(Protocol):
    """
    A `pathlib.Path`, said without importing one into a dry room.
    """

    @property
    def name(self) -> str: ...

    def __fspath__(self) -> str: ...


class SpecWarning(UserWarning):
    """
    A request that some of the service's pages forbid and some models take.
    """


class ModelsLabError(Fact, Exception):
    """
    Anything that this library raises on purpose.
    """


@attrs.define(eq=False, repr=False, slots=False)
class ConfigurationError(ModelsLabError):
    """
    The client cannot work with the options that it was given.

    Attributes:
        reason: What is wrong, and what to do.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@attrs.frozen(repr=False)
class Problem(Fact):
    """
    One fault of a request.

    Attributes:
        field: The parameter's name.

        reason: What is wrong with it, and what would be right.
    """

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


@attrs.define(eq=False, repr=False, slots=False)
class SpecError(ModelsLabError, ValueError):
    """
    A request that no source allows; nothing was sent.

    Attributes:
        problems: Every fault of the request, not only the first.
    """

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.problems))


@attrs.define(eq=False, repr=False, slots=False)
class TransportError(ModelsLabError):
    """
    The service was not reached, or its answer did not come whole.

    Attributes:
        reason: What broke.

        sent: Whether the request may have reached the service.
    """

    reason: str
    sent: bool

    def __str__(self) -> str:
        return self.reason


@attrs.define(eq=False, repr=False, slots=False)
class ApiError(ModelsLabError):
    """
    The service said no.

    Attributes:
        status: HTTP code; the service often says no with 200.

        message: The service's words.

        code: The service's own code, if it gave one.

        raw: The whole answer, without the key.

        job_id: The job that was asked for, which is paid and goes on; None
            where a request was refused.

        handle: Takes that job up again: `ModelsLab.job`.

        hint: What to look at, where the answer lets us guess.
    """

    status: int
    message: str
    code: str | None = None
    raw: JSON = attrs.field(default=None, repr=False)
    job_id: str | None = attrs.field(default=None, init=False)
    handle: str | None = attrs.field(default=None, init=False, repr=False)
    hint: str = attrs.field(default="", init=False, repr=False)

    def __str__(self) -> str:
        told = f"{self.message!r} (HTTP {self.status})"
        if self.hint:
            told += f"; {self.hint}"
        if self.job_id is None:
            return told
        return f"{told}; job {self.job_id} is paid, and goes on"


class AuthenticationError(ApiError):
    """
    The key is unknown, revoked or expired.
    """


class PaymentRequiredError(ApiError):
    """
    The account has no credit left, or its plan's quota is used up.
    """


class PermissionDeniedError(ApiError):
    """
    The account's plan does not include what was asked for.
    """


class InvalidRequestError(ApiError):
    """
    The service will not do what was asked; asking again will not help.
    """


class ModelNotFoundError(InvalidRequestError):
    """
    There is no such model.
    """


@attrs.define(eq=False, repr=False, slots=False)
class RateLimitedError(ApiError):
    """
    The service wants to be asked later: queue full, same request, or a ban.

    Attributes:
        retry_after: Seconds to wait, where the service said.

        limit: How many unfinished jobs the account may have, where it said.
    """

    retry_after: float | None = None
    limit: int | None = None


class ServerError(ApiError):
    """
    The service is not able to; nothing was started.
    """


@attrs.define(eq=False, repr=False, slots=False)
class ProtocolError(ModelsLabError):
    """
    An answer that nobody can read.

    Attributes:
        reason: What is wrong with it.

        excerpt: Its beginning, without the key.
    """

    reason: str
    excerpt: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.excerpt!r}"


#: How far a submit had come when its verdict was lost.
Phase = Literal["waiting", "reading", "verdict", "cancelled", "killed"]


@attrs.define(eq=False, repr=False, slots=False)
class OutcomeUnknownError(ModelsLabError):
    """
    A request was sent and no verdict came: it may run, and be billed.

    Attributes:
        track_id: The name of the request, to look for in one's account.

        phase:
            `waiting` (no answer began), `reading` (it did not come whole),
            `verdict` (it says nothing of the job), `cancelled` (our own task
            was cancelled), `killed` (our process ended).

        reason: What happened.

        raw: The answer without the key, or of one that is torn what came
            whole, where it could be read.
    """

    track_id: str | None
    phase: Phase
    reason: str = ""
    raw: JSON = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        return (
            f"the outcome of request {self.track_id} is unknown "
            f"({self.phase}: {self.reason}); it may run and be billed, "
            "so it was not sent again"
        )


@attrs.define(eq=False, repr=False, slots=False)
class JobError(ModelsLabError):
    """
    A job that was accepted gave no pictures.

    Attributes:
        job_id: The service's id; None if it is not known.

        track_id: The name of the request.

        endpoint: The name of the endpoint that it was asked for as; jobs are
            known to the service by their endpoint and their id.

        handle: Takes the job up again, by itself: `ModelsLab.job`.
    """

    job_id: str | None
    track_id: str | None = None
    endpoint: str | None = attrs.field(default=None, init=False)
    handle: str | None = attrs.field(default=None, init=False, repr=False)


@attrs.define(eq=False, repr=False, slots=False)
class GenerationFailedError(JobError):
    """
    The service gave up on the job.

    Attributes:
        message: The service's words.

        raw: The last answer, without the key.
    """

    message: str = ""
    raw: JSON = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        return f"job {self.job_id} failed: {self.message!r}"


class JobNotFoundError(JobError):
    """
    The service does not know the job.
    """

    def __str__(self) -> str:
        others = "of another account, or long gone?"
        if self.endpoint is None:
            return (
                f"the service does not know job {self.job_id}; is it {others}"
            )
        return (
            f"the service does not know job {self.job_id} as one of "
            f"{self.endpoint}; is it of another endpoint "
            f"(lab.job(id, endpoint=…), or its handle), {others}"
        )


@attrs.define(eq=False, repr=False, slots=False)
class JobUnfinishedError(JobError, TimeoutError):
    """
    We stopped waiting; the job has not stopped running.

    Attributes:
        waited: Seconds we waited.

        sent:
            False: it was never asked for.  True without a *job_id*: the
            request is under way; it is in `ModelsLab.jobs()` under its
            track_id, do not ask again.
    """

    waited: float = 0.0
    sent: bool = True

    def __str__(self) -> str:
        if not self.sent:
            return (
                f"request {self.track_id} still waited in the queue after "
                f"{self.waited:.1f} s; nothing was asked for"
            )
        if self.job_id is None:
            return (
                f"request {self.track_id} was unanswered after "
                f"{self.waited:.1f} s; it is under way, do not ask again"
            )
        told = (
            f"job {self.job_id} is unfinished after {self.waited:.1f} s; "
            "it can be taken up again by its id"
        )
        if self.endpoint is None:
            return told
        return f'{told}: lab.job("{self.job_id}", endpoint="{self.endpoint}")'


@attrs.define(eq=False, repr=False, slots=False)
class DownloadError(ModelsLabError):
    """
    A finished picture could not be had, or not be kept.

    Attributes:
        reason: What went wrong.

        generation: What it belongs to, where that is known.

        paths: What was saved already.

        disk: Whether the fault is ours, not theirs: the disk refused.
    """

    reason: str
    generation: Generation | None = None
    paths: tuple[SavedPath, ...] = ()
    disk: bool = False

    def __str__(self) -> str:
        if self.generation is None:
            return self.reason
        return f"job {self.generation.id}: {self.reason}"


class UnsafeUrlError(DownloadError):
    """
    A link leads where no picture of the service can be.
    """


@attrs.define(eq=False, repr=False, slots=False)
class JournalError(ModelsLabError):
    """
    A batch's journal cannot be used; nothing was submitted.

    Attributes:
        reason: `locked`, `mismatch`, `corrupt`, `newer` or `unwritable`.

        detail: What was found where, and what to do.
    """

    reason: Literal["locked", "mismatch", "corrupt", "newer", "unwritable"]
    detail: str

    def __str__(self) -> str:
        return f"{self.detail} ({self.reason})"


@attrs.define(eq=False, repr=False, slots=False)
class ClientClosedError(ModelsLabError):
    """
    The client is closed; `async with` opens it anew.
    """

    reason: str = (
        "the client is closed: its `async with` was left, or aclose() was "
        "called; open it anew with `async with`"
    )

    def __str__(self) -> str:
        return self.reason


@attrs.define(eq=False, repr=False, slots=False)
class WrongLoopError(ModelsLabError):
    """
    The client, or the job, belongs to another event loop or process.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason
