"""
What a journal is asked, and whose batch it is.
"""

from __future__ import annotations

import hashlib

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import attrs

from ..errors import JournalError
from .states import Entry, State, Step


# What is written down.


@attrs.frozen
class Identity:
    """
    Whose batch it is.

    Attributes:
        origin: Scheme, host and port of the API, or `SIMULATOR`.

        key: The API key, or what gives it, so that no frame of a traceback
            holds its text. A journal keeps its `fingerprint`, never itself.

        run: Which embedded simulator it is; jobs die with theirs.
    """

    origin: str
    key: str | Callable[[], str] = attrs.field(default="", repr=False)
    run: str | None = None


#: The origin of the shell's embedded simulator, whatever its port.
SIMULATOR = "simulator"


@attrs.frozen
class Request:
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


# Whose it is.


def fingerprint(salt: bytes, key: str | Callable[[], str]) -> str:
    """
    A text that tells keys apart and does not give them away.
    """
    # Half a character is no part of a key, but is no reason to fail either.
    hashed = hashlib.blake2b(
        (key() if callable(key) else key).encode("utf-8", "surrogatepass"),
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


def item_changed(key: str) -> JournalError:
    """
    The error of an item whose key stands for something else already.
    """
    return JournalError(
        "mismatch",
        f"item {key!r} is in the journal with another request; "
        "give the changed item another key, or choose another folder",
    )


def item_repeated(key: str) -> JournalError:
    """
    The error of a key that comes twice in one input.
    """
    return JournalError(
        "mismatch",
        f"item {key!r} comes twice; give each item a key of its own",
    )


def folder_of_another(folder: str) -> JournalError:
    """
    The error of a folder whose pictures another journal knows.
    """
    return JournalError(
        "mismatch",
        f"the pictures in {folder} belong to another journal; go on with that "
        "one, or choose another folder for this batch",
    )


class Journal(Protocol):
    """
    A batch's memory.

    Each call returns when what it says is on disk. A caller that is cancelled
    loses no write.

    All raise `JournalError`: `unwritable` (nothing was written; try again) or
    `corrupt`.
    """

    @property
    def id(self) -> str:
        """
        A name that no other journal has; known when a run has begun.

        A folder of pictures knows it, so that no other journal's pictures are
        written over them.
        """

    async def begin(
        self, identity: Identity, *, new_key: bool = False
    ) -> None:
        """
        Begin a run: no item has been seen in it.

        Each item takes its `first_step`: what was submitting becomes unknown,
        what another simulator had not finished is planned again.

        Raises:
            JournalError: `mismatch`, see `check_identity`; nothing changed.
        """

    async def rotate_key(self, key: str | Callable[[], str]) -> None:
        """
        Write down that the account's key is another one from now on.
        """

    async def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
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
        self,
        *,
        job_id: str | None = None,
        track_id: str | None = None,
        bell: str | None = None,
    ) -> Sequence[Entry]:
        """
        Submitting, accepted and unknown items that have this job, this name,
        or this bell; none for None.
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
