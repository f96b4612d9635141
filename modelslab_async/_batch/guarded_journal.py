"""
A journal of one's own, as a batch asks it.

Whatever it raises comes out as an `Exception`, for the item, or the batch,
that asked: "cancelled", where nobody has cancelled us, would pass for a word
of the event loop's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

import attrs

from .._engine.waiters import is_cancelled
from ..journal import Entry, Identity, Journal, Request, State, Step


_Given = TypeVar("_Given")


@attrs.frozen(eq=False)
class GuardedJournal:
    """
    A `Journal` whose every call gives an answer, or raises an `Exception`.
    """

    journal: Journal

    @property
    def id(self) -> str:
        return self.journal.id

    async def begin(
        self, identity: Identity, *, new_key: bool = False
    ) -> None:
        await _guarded(self.journal.begin(identity, new_key=new_key))

    async def rotate_key(self, key: str | Callable[[], str]) -> None:
        await _guarded(self.journal.rotate_key(key))

    async def plan(self, items: Sequence[Request]) -> Sequence[Entry]:
        return await _guarded(self.journal.plan(items))

    async def move(self, index: int, step: Step) -> Entry:
        return await _guarded(self.journal.move(index, step))

    async def get(self, index: int) -> Entry:
        return await _guarded(self.journal.get(index))

    async def entries(
        self,
        states: Collection[State],
        *,
        after: int = -1,
        limit: int = 500,
        unseen: bool = False,
    ) -> Sequence[Entry]:
        return await _guarded(
            self.journal.entries(
                states, after=after, limit=limit, unseen=unseen
            )
        )

    async def find(
        self,
        *,
        job_id: str | None = None,
        track_id: str | None = None,
        bell: str | None = None,
    ) -> Sequence[Entry]:
        return await _guarded(
            self.journal.find(job_id=job_id, track_id=track_id, bell=bell)
        )

    async def counts(self) -> Mapping[State, int]:
        return await _guarded(self.journal.counts())

    async def oldest(self) -> float | None:
        return await _guarded(self.journal.oldest())

    async def aclose(self) -> None:
        await _guarded(self.journal.aclose())


async def _guarded(call: Awaitable[_Given]) -> _Given:
    try:
        return await call
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as exc:
        if is_cancelled(exc):
            raise
        raise RuntimeError(f"the journal raised {exc!r}") from exc
