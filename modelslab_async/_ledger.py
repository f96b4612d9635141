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

import base64
import enum
import hashlib
import json

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, cast

import attrs

from . import errors
from .answers import JSON, Generation, Image
from .errors import (
    AuthenticationError,
    ClientClosedError,
    JournalError,
    ModelsLabError,
    OutcomeUnknownError,
    PaymentRequiredError,
    PermissionDeniedError,
    Problem,
    ProtocolError,
    RateLimitedError,
    ServerError,
    TransportError,
)


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


# What is written down.


class Secret(Protocol):
    """
    An API key that tracebacks don't show: no frame here holds its text.
    """

    def reveal(self) -> str: ...


@attrs.frozen
class Identity:
    """
    Whose batch it is.

    Attributes:
        origin: Scheme, host and port of the API, or `SIMULATOR`.

        key: The API key. A journal keeps its `fingerprint`, never itself.

        run: Which embedded simulator it is; jobs die with theirs.
    """

    origin: str
    key: Secret | str = attrs.field(default="", repr=False)
    run: str | None = None


#: The origin of the shell's embedded simulator, whatever its port.
SIMULATOR = "simulator"


@attrs.frozen
class Item:
    """
    What a batch is asked for.

    Attributes:
        spec: Canonical JSON.

        identity: Which request it is; equal for equal requests.

        key: The caller's name for it, None if it has none.
    """

    spec: str
    identity: str
    key: str | None = None


@attrs.frozen
class Entry:
    """
    An item as its journal has it.

    Attributes:
        index: Its place in the journal, from 0. Never changes.

        key: See `Item`; so are *spec* and *identity*.

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


# Whose it is.


def fingerprint(salt: bytes, key: Secret | str) -> str:
    """
    A text that tells keys apart and does not give them away.
    """
    # Half a character is no part of a key, but is no reason to fail either.
    hashed = hashlib.blake2b(
        (key if isinstance(key, str) else key.reveal()).encode(
            "utf-8", "surrogatepass"
        ),
        salt=salt,
        digest_size=20,
    )
    return hashed.hexdigest()


def check_identity(
    known: Identity, now: Identity, *, same_key: bool, new_key: bool
) -> None:
    """
    Refuse a batch that belongs to somebody else.

    Args:
        known: What the journal has; its key is not looked at.

        now: Who asks.

        same_key: Whether the fingerprints are equal.

        new_key: The user's word that it is another key of the same account.

    Raises:
        JournalError: `mismatch`, with what to do.
    """
    if known.origin != now.origin:
        instead = "choose another folder"
        if SIMULATOR not in {known.origin, now.origin}:
            instead = "go back to that address, or choose another folder"
        raise JournalError(
            "mismatch",
            f"this batch was begun against {known.origin}, not {now.origin}; "
            f"{instead}",
        )
    if not (same_key or new_key or now.origin == SIMULATOR):
        raise JournalError(
            "mismatch",
            "this batch was begun with another API key, and jobs can be "
            "fetched only by the account that asked for them; if the new key "
            "is of the same account, say so with new_key=True or --new-key; "
            "else choose another folder",
        )


def another_spec(key: str) -> JournalError:
    """
    The error of an item whose key stands for something else already.
    """
    return JournalError(
        "mismatch",
        f"item {key!r} is in the journal with another request; "
        "give the changed item another key, or choose another folder",
    )


def twice(key: str) -> JournalError:
    """
    The error of a key that comes twice in one input.
    """
    return JournalError(
        "mismatch",
        f"item {key!r} comes twice; give each item a key of its own",
    )


class Journal(Protocol):
    """
    A batch's memory.

    Each call returns when what it says is on disk. A caller that is cancelled
    loses no write.

    All raise `JournalError`: `unwritable` (nothing was written; try again) or
    `corrupt`.
    """

    async def begin(
        self, identity: Identity, *, new_key: bool = False
    ) -> None:
        """
        Begin a run: no item has been seen in it.

        What was submitting becomes unknown. What another simulator had not
        finished is planned again.

        Raises:
            JournalError: `mismatch`, see `check_identity`; nothing changed.
        """

    async def rotated(self, key: Secret | str) -> None:
        """
        Write down that the account's key is another one from now on.
        """

    async def plan(self, items: Sequence[Item]) -> Sequence[Entry]:
        """
        Recognise those items that are known, add those that are not.

        An item without a key is known by what it asks for, and by how many
        that ask for the same came before it in this run.

        Raises:
            JournalError: `mismatch`: a key stands for another request, or
                comes twice in this run. None of *items* was planned.
        """

    async def move(self, index: int, step: Step) -> Entry:
        """
        Take one step with one item.

        Raises:
            IllegalMove: The table does not have it; a bug.
        """

    async def get(self, index: int) -> Entry:
        """
        One item.

        Raises:
            IndexError: There is none; a bug.
        """

    async def entries(
        self,
        states: Collection[State],
        *,
        after: int = -1,
        limit: int = 500,
        unseen: bool = False,
    ) -> Sequence[Entry]:
        """
        A page of the items in one of these states, in order of their index.

        Args:
            states: Which.

            after: Only items beyond this index.

            limit: How many at most.

            unseen: Only items that were not planned in this run: they have
                left the input.
        """

    async def find(
        self, *, job_id: str | None = None, track_id: str | None = None
    ) -> Sequence[Entry]:
        """
        Submitting, accepted and unknown items that have this job or name.
        """

    async def counts(self) -> Mapping[State, int]:
        """
        How many items are in each state, also those with none.
        """

    async def oldest(self) -> float | None:
        """
        When the oldest accepted or done item was accepted: links die at 24 h.
        """

    async def aclose(self) -> None:
        """
        Write what is waiting, and let go of the file. Idempotent.
        """


# Generations as text, and back.


def generation_json(generation: Generation) -> str:
    """
    All of a generation, as text for `generation_of`.
    """
    return _compact(_generation_facts(generation))


def generation_of(text: str) -> Generation:
    """
    The generation that `generation_json` was given.
    """
    return _generation(json.loads(text))


def _generation_facts(generation: Generation) -> dict[str, JSON]:
    return {
        "id": generation.id,
        "track_id": generation.track_id,
        "images": [
            {
                "index": image.index,
                "url": image.url,
                "proxy_url": image.proxy_url,
                "data": None
                if image.data is None
                else base64.b64encode(image.data).decode(),
            }
            for image in generation.images
        ],
        "seed": generation.seed,
        "generation_time": generation.generation_time,
        "nsfw": generation.nsfw,
        "meta": generation.meta_json.decode("utf-8", "surrogateescape"),
        "raw": generation.raw_json.decode("utf-8", "surrogateescape"),
    }


def _generation(facts: dict[str, Any]) -> Generation:
    return Generation(
        facts["id"],
        facts["track_id"],
        tuple(
            Image(
                image["index"],
                image["url"],
                image["proxy_url"],
                None
                if image["data"] is None
                else base64.b64decode(image["data"]),
            )
            for image in facts["images"]
        ),
        facts["seed"],
        facts["generation_time"],
        facts["nsfw"],
        facts["meta"].encode("utf-8", "surrogateescape"),
        facts["raw"].encode("utf-8", "surrogateescape"),
    )


def _without_data(text: str | None) -> str | None:
    """
    The same generation without the pictures that came inside of it: they are
    files now, and *raw* has them a second time.
    """
    if text is None or '"data":"' not in text:
        return text
    generation = generation_of(text)
    images = [attrs.evolve(image, data=None) for image in generation.images]
    return generation_json(
        attrs.evolve(generation, images=tuple(images), raw_json=b"{}")
    )


# Errors as text, and back.

_ERRORS: Mapping[str, type[ModelsLabError]] = {
    name: found
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, ModelsLabError)
}


@attrs.frozen
class SavedName:
    """
    A path of a `DownloadError` that was written down: open() takes it.
    """

    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def __fspath__(self) -> str:
        return self.path


def error_json(error: ModelsLabError) -> str:
    """
    All facts of one of our errors, and of its causes that are ours too, as
    text for `error_of`.

    A class that is not in `errors` is written down as its nearest parent.
    """
    return _compact(_error_facts(error))


def error_of(text: str | None) -> ModelsLabError:
    """
    The error that `error_json` was given.

    What cannot be read is a plain `ModelsLabError`, so that a report never
    fails.
    """
    try:
        return _error(json.loads(text or ""))
    except (ValueError, TypeError, LookupError, AttributeError):
        return ModelsLabError(f"an error that cannot be read: {text!r:.200}")


def _error_facts(error: ModelsLabError) -> dict[str, JSON]:
    kind = next(
        kind for kind in type(error).__mro__ if kind.__name__ in _ERRORS
    )
    facts: dict[str, JSON] = {"error": kind.__name__}
    if attrs.has(kind):
        facts["facts"] = {
            field.name: _packed(field.name, getattr(error, field.name))
            for field in attrs.fields(kind)
        }
    else:
        facts["facts"] = {"": str(error)}
    if isinstance(error.__cause__, ModelsLabError):
        facts["cause"] = _error_facts(error.__cause__)
    return facts


def _error(facts: dict[str, Any]) -> ModelsLabError:
    kind = _ERRORS[facts["error"]]
    error = kind(
        *(_unpacked(name, value) for name, value in facts["facts"].items())
    )
    if "cause" in facts:
        error.__cause__ = _error(facts["cause"])
    return error


def _packed(name: str, value: Any) -> JSON:
    match name, value:
        case "problems", tuple():
            return [[problem.field, problem.reason] for problem in value]
        case "generation", Generation():
            return _generation_facts(value)
        case "paths", tuple():
            return [path.__fspath__() for path in value]
    return cast("JSON", value)


def _unpacked(name: str, value: Any) -> Any:
    match name, value:
        case "problems", list():
            return tuple(Problem(*problem) for problem in value)
        case "generation", dict():
            return _generation(value)
        case "paths", list():
            return tuple(SavedName(path) for path in value)
    return value


def _compact(facts: JSON) -> str:
    # ASCII: half a character, which the service may send, goes on as an
    # escape. What no JSON has becomes its own text.
    return json.dumps(facts, separators=(",", ":"), default=str)
