"""
Many generations: lazy, bounded, and resumable.

A batch is entered with ``async with`` and iterated, or awaited for a list.
While nobody is inside of it, it asks for something only as long as somebody
reads.
"""

from __future__ import annotations

import html

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
)
from types import TracebackType
from typing import Self

from .._rooms import Rooms
from ..errors import ModelsLabError
from ..specs import Spec
from .lifetime import BatchLifetime
from .options import BatchOptions, check_batch
from .outcome import BatchProgress, Outcome


class Batch:
    """
    Many generations; see `ModelsLab.batch()`.
    """

    def __init__(
        self,
        open_rooms: Callable[[], Rooms],
        specs: Iterable[Spec] | AsyncIterable[Spec],
        options: BatchOptions,
    ) -> None:
        check_batch(specs, options)
        self._lifetime = BatchLifetime(open_rooms, specs, options)
        self._entered = False
        self._given = False
        #: Of those who await it, with their items' positions.
        self._taken: list[tuple[int, Outcome]] = []

    def __repr__(self) -> str:
        now = self.progress
        return (
            f"<Batch {now.done} done, {now.failed} failed, "
            f"{now.in_flight} in flight>"
        )

    def _repr_html_(self) -> str:
        """
        How it stands, for notebooks.
        """
        now = self.progress
        # One that has no end yet has a bar that says so.
        bar = ""
        if now.total is not None:
            bar = f' value="{now.done + now.failed}" max="{now.total}"'
        told = html.escape(repr(self)[1:-1])
        return f"<progress{bar}></progress> {told}"

    def __del__(self) -> None:
        # Iterated over, and forgotten; one that cannot be has no lifetime.
        lifetime = getattr(self, "_lifetime", None)
        if lifetime is not None:
            lifetime.forget()

    async def __aenter__(self) -> Self:
        self._enter()
        try:
            await self._lifetime.begin()
        except BaseException:
            # Nobody will leave what was not entered.
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Outcome]:
        """
        Read from now on; where nobody is inside of the batch it asks for
        nothing more when this iterator is dropped.
        """
        return _Reader(self, self._lifetime)

    async def __anext__(self) -> Outcome:
        """
        Give the next outcome.

        Raises:
            BaseException: What the caller's own iterable raised, as it is,
                after the outcomes of all that was asked for.
        """
        pair = await self._lifetime.take()
        if pair is None:
            raise StopAsyncIteration
        return pair[1]

    def __await__(self) -> Generator[object, None, list[Outcome]]:
        return self._gather().__await__()

    async def _gather(self) -> list[Outcome]:
        lifetime = self._lifetime
        self._enter()
        try:
            await lifetime.begin(named=True)
            while (pair := await lifetime.take()) is not None:
                self._taken.append(pair)
        except BaseException:
            if self._given or lifetime.outcomes.hopeless():
                # Awaited once more, or by its own input, which the error ends.
                raise
            # There is no list now: what it would have had is in `outcomes`.
            try:
                await lifetime.break_off()
            finally:
                self._taken += lifetime.outcomes.rest()
            raise
        self._given = True
        return list(self.outcomes)

    def _enter(self) -> None:
        if not self._entered:
            self._entered = True
            self._lifetime.outcomes.want()

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """
        Of an awaited batch: those so far, in the order of the input.
        """
        self._taken.sort(key=lambda pair: pair[0])
        return tuple(outcome for _, outcome in self._taken)

    @property
    def progress(self) -> BatchProgress:
        """
        How it stands now.
        """
        return self._lifetime.progress()

    @property
    def stopped(self) -> ModelsLabError | None:
        """
        The error that stopped it early, or None.
        """
        return self._lifetime.stopped

    def stop(self, error: ModelsLabError | None = None) -> None:
        """
        Ask for nothing more; what is paid for still comes.
        """
        self._lifetime.stop(error)

    async def aclose(self) -> None:
        """
        Leave: ask for nothing more, wait up to 10 s for requests under way.

        One WARNING names each paid, unfinished job; the client goes on
        watching them, and a journal takes them up again.  May be called again.
        """
        await self._lifetime.leave()


class _Reader:
    """
    Somebody who iterates over a batch.
    """

    def __init__(self, batch: Batch, lifetime: BatchLifetime) -> None:
        self._batch = batch
        self._lifetime = lifetime
        self._reads = True
        lifetime.outcomes.want()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        try:
            return await anext(self._batch)
        except BaseException:
            # A loop ends so, and its traceback may keep us alive for long.
            self._go()
            raise

    def __del__(self) -> None:
        self._go()

    def _go(self) -> None:
        if self._reads:
            self._reads = False
            self._lifetime.reader_gone()
