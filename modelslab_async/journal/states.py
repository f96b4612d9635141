"""
What a journal means: the states of an item, what may follow what, and what a
start does with each.

::

    planned ──► submitting ──► accepted ──► done ──► stored
       ▲            │ │ │          │          │
       │◄───────────┘ │ └──────────┴──────────┴────► failed ──► planned
       │◄── unknown ◄─┘

(Not drawn: submitting may be done at once, done may get fresh links, and an
unknown item is accepted after all when its bell rings.)

A step is on disk before the next one is taken: `submitting` before the first
byte is sent, `accepted` before anything else is done with the answer. So
whatever happens in between, a start knows of each item either what it is, or
that nobody knows.

Nothing is written here. A `Journal` writes, and `after` says what.
"""

from __future__ import annotations

import enum

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import attrs

from ..errors import (
    AuthenticationError,
    ClientClosedError,
    ModelsLabError,
    OutcomeUnknownError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from ..results import Generation
from .codec import _without_data, error_json, error_of, generation_json


# The states, and what may follow what.


class State(enum.IntEnum):
    """
    How an item stands. The numbers are on disk: they never change.
    """

    #: Not asked for, or not taken.
    PLANNED = 0
    #: Its request may be on its way.
    SUBMITTING = 1
    #: The service works on it, and bills it.
    ACCEPTED = 2
    #: The links to its pictures, or the pictures themselves, are known.
    DONE = 3
    #: Its pictures are files.
    STORED = 4
    #: There will be no pictures; why is written down.
    FAILED = 5
    #: It may run, and be billed; nobody knows.
    UNKNOWN = 6


NEXT: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.PLANNED: frozenset({State.SUBMITTING}),
        State.SUBMITTING: frozenset(
            {
                State.PLANNED,
                State.ACCEPTED,
                State.DONE,
                State.FAILED,
                State.UNKNOWN,
            }
        ),
        State.ACCEPTED: frozenset({State.DONE, State.FAILED}),
        State.DONE: frozenset({State.DONE, State.STORED, State.FAILED}),
        State.STORED: frozenset(),
        State.FAILED: frozenset({State.PLANNED}),
        State.UNKNOWN: frozenset({State.ACCEPTED, State.PLANNED}),
    }
)


def may(now: State, then: State) -> bool:
    """
    Whether an item may go from one state to the other.
    """
    return then in NEXT[now]


class IllegalMove(ValueError):
    """
    A step that the table does not have: a bug of whoever took it.
    """


# What a start does with what it finds.


class Start(enum.Enum):
    """
    What a start does with an item.
    """

    #: Ask for it.
    SUBMIT = enum.auto()
    #: Move it to planned, then ask for it.
    PLAN = enum.auto()
    #: Take up its job.
    POLL = enum.auto()
    #: Save its pictures.
    DOWNLOAD = enum.auto()
    #: Give its outcome again, without a request.
    GIVE = enum.auto()
    #: Give its error again, without a request.
    REPORT = enum.auto()


#: By `Journal.begin`, what was submitting is unknown.
ON_START: Mapping[State, Start] = MappingProxyType(
    {
        State.PLANNED: Start.SUBMIT,
        State.SUBMITTING: Start.REPORT,
        State.ACCEPTED: Start.POLL,
        State.DONE: Start.DOWNLOAD,
        State.STORED: Start.GIVE,
        State.FAILED: Start.REPORT,
        State.UNKNOWN: Start.REPORT,
    }
)


#: Failed by transport or account: nothing was bought, and asking again may
#: give something else.
_AGAIN = (
    TransportError,
    ProtocolError,
    ServerError,
    RateLimitedError,
    AuthenticationError,
    PaymentRequiredError,
    PermissionDeniedError,
    ClientClosedError,
)


def on_start(
    entry: Entry,
    *,
    output: bool,
    resubmit_unknown: bool = False,
    resubmit_failed: bool = False,
) -> Start:
    """
    What a start does with *entry*.

    Args:
        entry: An item as its journal has it.

        output: Whether pictures are saved; else `done` is the end.

        resubmit_unknown: The user's word to ask again for what may have been
            paid for.

        resubmit_failed: The user's word to ask again for whatever failed.
    """
    match entry.state:
        case State.DONE if not output:
            return Start.GIVE
        case State.UNKNOWN if resubmit_unknown:
            return Start.PLAN
        case State.FAILED if resubmit_failed or isinstance(
            error_of(entry.error), _AGAIN
        ):
            return Start.PLAN
    return ON_START[entry.state]


@attrs.frozen
class Entry:
    """
    An item as its journal has it.

    Attributes:
        index: Its place in the journal, from 0. Never changes.

        key: See `Request`; so are *spec* and *identity*.

        track_id: The name of its last request.

        attempt: How many requests have been made for it.

        job_id: The service's id of its job.

        seed: As told when the job was accepted; so are *fetch_result*, *eta*,
            *expected_urls* and *meta*. Once it is done, its generation has
            them.

        accepted_at: Seconds since the epoch; so are *done_at* and *stored_at*.

        generation: See `generation_of`.

        files: Names of its pictures, in their order.

        error: See `error_of`.
    """

    index: int
    spec: str = attrs.field(repr=False)
    identity: str
    key: str | None = None
    state: State = State.PLANNED
    track_id: str | None = None
    attempt: int = 0
    job_id: str | None = None
    fetch_result: str | None = None
    eta: float | None = None
    seed: int | None = None
    expected_urls: tuple[str, ...] = ()
    meta: bytes = attrs.field(default=b"{}", repr=False)
    accepted_at: float | None = None
    done_at: float | None = None
    stored_at: float | None = None
    generation: str | None = attrs.field(default=None, repr=False)
    files: tuple[str, ...] = ()
    error: str | None = None


# The steps.


@attrs.frozen
class Planned:
    """
    It was not taken, or is to be asked for again.
    """


@attrs.frozen
class Submitting:
    """
    The next thing that happens is the first byte.
    """

    track_id: str


@attrs.frozen
class Accepted:
    """
    The service took it.

    *at*: seconds since the epoch, as everywhere here.
    """

    job_id: str
    at: float
    fetch_result: str | None = None
    eta: float | None = None
    seed: int | None = None
    expected_urls: tuple[str, ...] = ()
    meta: bytes = attrs.field(default=b"{}", repr=False)


@attrs.frozen
class Done:
    """
    It has pictures, or fresh links to them.
    """

    generation: Generation
    at: float


@attrs.frozen
class Stored:
    """
    Its pictures are on disk, under these names.
    """

    files: tuple[str, ...]
    at: float


@attrs.frozen
class Failed:
    """
    There will be no pictures.
    """

    error: ModelsLabError


@attrs.frozen
class Unknown:
    """
    It left, and no verdict came.
    """

    error: OutcomeUnknownError


Step: TypeAlias = (
    Planned | Submitting | Accepted | Done | Stored | Failed | Unknown
)


#: Where each step leads.
LEADS: Mapping[type[Step], State] = MappingProxyType(
    {
        Planned: State.PLANNED,
        Submitting: State.SUBMITTING,
        Accepted: State.ACCEPTED,
        Done: State.DONE,
        Stored: State.STORED,
        Failed: State.FAILED,
        Unknown: State.UNKNOWN,
    }
)


def after(entry: Entry, step: Step) -> Entry:
    """
    What *entry* is after a step.

    Raises:
        IllegalMove: The table does not have it.
    """
    state = LEADS[type(step)]
    if not may(entry.state, state):
        raise IllegalMove(
            f"item {entry.index} cannot go from "
            f"{entry.state.name.lower()} to {state.name.lower()}"
        )
    match step:
        case Planned():
            return anew(entry)
        case Submitting(track_id=track_id):
            return attrs.evolve(
                anew(entry),
                state=state,
                track_id=track_id,
                attempt=entry.attempt + 1,
            )
        case Accepted():
            return attrs.evolve(
                entry,
                state=state,
                job_id=step.job_id,
                fetch_result=step.fetch_result,
                eta=step.eta,
                seed=step.seed,
                expected_urls=step.expected_urls,
                meta=step.meta,
                accepted_at=step.at,
                error=None,
            )
        case Done(generation=generation, at=at):
            # From here on the generation has the rest.
            return attrs.evolve(
                entry,
                state=state,
                job_id=generation.id or entry.job_id,
                seed=None,
                meta=b"{}",
                accepted_at=at
                if entry.accepted_at is None
                else entry.accepted_at,
                done_at=at,
                generation=generation_json(generation),
            )
        case Stored(files=files, at=at):
            return attrs.evolve(
                entry,
                state=state,
                files=files,
                stored_at=at,
                generation=_without_data(entry.generation),
            )
        case Failed(error=error) | Unknown(error=error):
            return attrs.evolve(entry, state=state, error=error_json(error))


def anew(entry: Entry) -> Entry:
    """
    The same item, planned, without the traces of its last request.
    """
    return Entry(
        entry.index,
        entry.spec,
        entry.identity,
        entry.key,
        track_id=entry.track_id,
        attempt=entry.attempt,
    )


def killed(entry: Entry) -> Unknown:
    """
    The step of an item whose process ended while it was submitting.
    """
    return Unknown(
        OutcomeUnknownError(
            entry.track_id,
            "killed",
            "the process ended before an answer was written down",
        )
    )
