"""
The states of an item, the steps between them, and what a run does with each
when it starts.

::

    planned ──► submitting ──► accepted ──► done ──► stored
       ▲            │ │ │          │          │
       │◄───────────┘ │ └──────────┴──────────┴────► failed ──► planned
       │◄── unknown ◄─┘

(Not drawn: submitting may be done at once, done may get fresh links, an
unknown item is accepted after all when its bell rings, and what another
simulator had not finished is planned again.)

A step is on disk before the next one is taken: `submitting` before the first
byte is sent, `accepted` before anything else is done with the answer. So
whatever happens in between, a start knows of each item either what it is, or
that nobody knows.

Nothing is written here. A `Journal` writes, and `after` says what; no other
way leads from one state to another.
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
from ..results import Generation, Receipt
from .codec import (
    error_json,
    error_of,
    generation_json,
    generation_of,
    without_pictures,
)


# What an item is.


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

        receipt: What was told when its job was accepted.

        accepted_at: Seconds since the epoch; so are *done_at* and *stored_at*.

        files: Names of its pictures, in their order.

        bell: The number of its last request's webhook; without its token it
            opens nothing.

        mark: The highest job id that was known when that request left: its
            own is above.

        asked_at: When it left, in seconds since the epoch.

        unknown_at: When it was found that nobody knows what came of it; None
            where its process ended first.
    """

    index: int
    spec: str = attrs.field(repr=False)
    identity: str
    key: str | None = None
    state: State = State.PLANNED
    track_id: str | None = None
    attempt: int = 0
    job_id: str | None = None
    receipt: Receipt | None = None
    accepted_at: float | None = None
    done_at: float | None = None
    stored_at: float | None = None
    generation_json: str | None = attrs.field(default=None, repr=False)
    files: tuple[str, ...] = ()
    error_json: str | None = None
    bell: str | None = None
    mark: str | None = None
    asked_at: float | None = None
    unknown_at: float | None = None

    @property
    def generation(self) -> Generation | None:
        """
        Its pictures, where it is done; parsed at each call.
        """
        text = self.generation_json
        return None if text is None else generation_of(text)

    @property
    def error(self) -> ModelsLabError | None:
        """
        Why it failed, or is unknown; parsed at each call.
        """
        return None if self.error_json is None else error_of(self.error_json)


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

    See `Entry` for *bell* and *mark*; *at* is its *asked_at*.
    """

    track_id: str
    bell: str | None = None
    mark: str | None = None
    at: float | None = None


@attrs.frozen
class Accepted:
    """
    The service took it.

    *at*: seconds since the epoch, as everywhere here.
    """

    receipt: Receipt
    at: float


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

    Attributes:
        at: When that was found; see `Entry.unknown_at`.

        request: Which request that was, where a later one came to nothing.
    """

    error: OutcomeUnknownError
    at: float | None = None
    request: Submitting | None = None


@attrs.frozen
class Discarded:
    """
    Its job was in a simulator, and ended with it: it is planned again.
    """


Step: TypeAlias = (
    Planned
    | Submitting
    | Accepted
    | Done
    | Stored
    | Failed
    | Unknown
    | Discarded
)


@attrs.frozen
class Move:
    """
    Between which states a step leads.
    """

    sources: frozenset[State]
    target: State


def _move(sources: set[State], target: State) -> Move:
    return Move(frozenset(sources), target)


#: All that may happen to an item.
MOVES: Mapping[type[Step], Move] = MappingProxyType(
    {
        Planned: _move(
            {State.SUBMITTING, State.FAILED, State.UNKNOWN}, State.PLANNED
        ),
        Submitting: _move({State.PLANNED}, State.SUBMITTING),
        Accepted: _move({State.SUBMITTING, State.UNKNOWN}, State.ACCEPTED),
        Done: _move(
            {State.SUBMITTING, State.ACCEPTED, State.DONE}, State.DONE
        ),
        Stored: _move({State.DONE}, State.STORED),
        Failed: _move(
            {State.SUBMITTING, State.ACCEPTED, State.DONE}, State.FAILED
        ),
        Unknown: _move({State.SUBMITTING}, State.UNKNOWN),
        Discarded: _move(
            {State.SUBMITTING, State.ACCEPTED, State.DONE, State.UNKNOWN},
            State.PLANNED,
        ),
    }
)


class IllegalMove(ValueError):
    """
    A step that the table does not have: a bug of whoever took it.
    """


def may(entry: Entry, step: Step) -> bool:
    """
    Whether an item may take a step.
    """
    return entry.state in MOVES[type(step)].sources


def after(entry: Entry, step: Step) -> Entry:
    """
    What *entry* is after a step.

    Raises:
        IllegalMove: The table does not have it.
    """
    state = MOVES[type(step)].target
    if not may(entry, step):
        raise IllegalMove(
            f"item {entry.index} cannot go from "
            f"{entry.state.name.lower()} to {state.name.lower()}"
        )
    match step:
        case Planned() | Discarded():
            return _without_traces(entry)
        case Submitting():
            begun = _with_request(_without_traces(entry), step)
            return attrs.evolve(begun, state=state, attempt=begun.attempt + 1)
        case Accepted(receipt=receipt, at=at):
            return attrs.evolve(
                entry,
                state=state,
                job_id=receipt.id,
                receipt=receipt,
                accepted_at=at,
                error_json=None,
            )
        case Done(generation=generation, at=at):
            began = entry.accepted_at
            return attrs.evolve(
                entry,
                state=state,
                job_id=generation.id or entry.job_id,
                accepted_at=at if began is None else began,
                done_at=at,
                generation_json=generation_json(generation),
            )
        case Stored(files=files, at=at):
            return attrs.evolve(
                entry,
                state=state,
                files=files,
                stored_at=at,
                # Its generation has what is still of use.
                receipt=None,
                generation_json=without_pictures(entry.generation_json or ""),
            )
        case Failed(error=error):
            return attrs.evolve(
                entry, state=state, error_json=error_json(error)
            )
        case Unknown(error=error, at=at, request=request):
            return attrs.evolve(
                _with_request(entry, request),
                state=state,
                error_json=error_json(error),
                unknown_at=at,
            )


def _with_request(entry: Entry, request: Submitting | None) -> Entry:
    """
    The same item with the names of a request.
    """
    if request is None:
        return entry
    return attrs.evolve(
        entry,
        track_id=request.track_id,
        bell=request.bell,
        mark=request.mark,
        asked_at=request.at,
    )


def _without_traces(entry: Entry) -> Entry:
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


# What a run does with what it finds.


def first_step(entry: Entry, *, another_simulator: bool) -> Step | None:
    """
    The step that an item takes when a run begins, if it takes one.

    Args:
        entry: An item as the last run left it.

        another_simulator: Whether the jobs of that run are gone with their
            simulator.
    """
    discarded = Discarded()
    if another_simulator and may(entry, discarded):
        return discarded
    if entry.state is State.SUBMITTING:
        return Unknown(
            OutcomeUnknownError(
                entry.track_id,
                "killed",
                "the process ended before an answer was written down",
            )
        )
    return None


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


#: By `first_step`, what was submitting is unknown.
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
ASKED_AGAIN = (
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
            entry.error, ASKED_AGAIN
        ):
            return Start.PLAN
    return ON_START[entry.state]
