"""
What came of one item, how a batch stands, and who takes its outcomes.
"""

from __future__ import annotations

import asyncio

from collections import Counter, deque
from collections.abc import (
    Callable,
)
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    TypeAlias,
    TypeVar,
    cast,
)

import attrs

from ..errors import ConfigurationError, ModelsLabError
from ..journal.causes import Cause, cause_of
from ..results import JSON, Generation
from ..specs import Spec
from .options import BatchOptions


G_co = TypeVar("G_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)


@attrs.frozen
class AnyOutcome(Generic[G_co, E_co]):
    """
    What came of one item: exactly one of *generation* and *error*.

    Attributes:
        index: The item's number, from 0; with a journal the one it was given
            when it was first seen.

        item: The key of one's own, where one was given.

        paths: Its pictures, where the batch saves them.

        ok: Whether there is a generation; type checkers know it by that.
    """

    index: int
    spec: Spec
    item: str | None = None
    track_id: str | None = None
    job_id: str | None = None
    generation: G_co = attrs.field(default=cast("Any", None))
    error: E_co = attrs.field(default=cast("Any", None))
    paths: tuple[Path, ...] = ()

    def unwrap(self) -> Generation:
        """
        The generation.

        Raises:
            ModelsLabError: The item's error, if it has one.
        """
        if isinstance(self.generation, Generation):
            return self.generation
        if isinstance(self.error, ModelsLabError):
            raise self.error
        raise ConfigurationError("an outcome of nothing")


@attrs.frozen
class FinishedOutcome(AnyOutcome[Generation, None]):
    """
    An item that has its pictures.
    """

    ok: Literal[True] = attrs.field(
        default=True, init=False, repr=False, eq=False
    )


@attrs.frozen
class FailedOutcome(AnyOutcome[None, ModelsLabError]):
    """
    An item that has none; a `DownloadError` knows the generation.
    """

    ok: Literal[False] = attrs.field(
        default=False, init=False, repr=False, eq=False
    )


if TYPE_CHECKING:
    # One of two, told apart by *ok*, by *error*, or by their classes.
    Outcome: TypeAlias = FinishedOutcome | FailedOutcome
else:
    # A class all the same: for isinstance, and for patterns.
    Outcome = AnyOutcome


@attrs.frozen
class BatchProgress:
    """
    How a batch stands.

    Attributes:
        total: Items in all, where that can be told.

        done: Outcomes with pictures.

        failed: Outcomes with errors.

        in_flight: Items whose request left and that have not ended.

        waiting: Items that were pulled and not yet asked for.

        finished_elsewhere: Items of earlier runs that are not in the input
            any more, and were finished all the same.

        images: Pictures so far.

        elapsed: Seconds.

        rate: Outcomes a second, of those that were asked for in this run.

        time_left: Seconds, from the rate; None if nobody can say.

        asked: Requests that were made in this run.

        waiting_for: What keeps it waiting, if something has for 10 s; None
            where it goes on.
    """

    total: int | None
    done: int
    failed: int
    in_flight: int
    waiting: int
    finished_elsewhere: int
    images: int
    elapsed: float
    rate: float
    time_left: float | None
    asked: int = 0
    waiting_for: str | None = None


#: How many causes of failures the status tells apart.
_CAUSES = 50


@attrs.define(eq=False)
class Tally:
    """
    What a batch counts.

    What changes: the counts.

    Attributes:
        total: Items in all, where that can be told.

        fresh: Outcomes of this run, and not of an earlier one; so many of
            them failed as *fresh_failed* says.

        requests: What was asked for in this run; *pictures* so many of them.

        elsewhere: Items that ended before the input came to them, if it ever
            does, by index.

        unmet: Items whose jobs failed before the input came to them, if it
            ever does, by index.

        causes: How many failed of what.
    """

    total: int | None = None
    done: int = 0
    failed: int = 0
    images: int = 0
    fresh: int = 0
    fresh_failed: int = 0
    requests: int = 0
    pictures: int = 0
    elsewhere: set[int] = attrs.field(factory=set)
    unmet: set[int] = attrs.field(factory=set)
    causes: Counter[Cause] = attrs.field(factory=Counter)

    def count(self, outcome: Outcome, *, fresh: bool) -> None:
        """
        One more item has come to its end.
        """
        self.fresh += fresh
        if outcome.generation is None:
            self.failed += 1
            self.fresh_failed += fresh
            if outcome.error is not None:
                self.causes[cause_of(outcome.error)] += 1
        else:
            self.done += 1
            self.images += len(outcome.generation.images)

    def failures(self) -> list[JSON]:
        """
        How many failed of what, the most frequent causes first.
        """
        return [
            attrs.asdict(cause) | {"count": count}
            for cause, count in self.causes.most_common(_CAUSES)
        ]

    def ask(self, pictures: int) -> None:
        """
        One more request is made, for so many pictures.
        """
        self.requests += 1
        self.pictures += pictures

    def within_bounds(self, options: BatchOptions, pictures: int) -> bool:
        """
        Whether one more request, for so many pictures, may be made.
        """
        jobs, images = options.max_jobs, options.max_images
        return (jobs is None or self.requests < jobs) and (
            images is None or self.pictures + pictures <= images
        )

    def failed_enough(self, options: BatchOptions) -> bool:
        """
        Whether as many have failed in this run as the caller bears.
        """
        most = options.max_failures
        return most is not None and self.fresh_failed >= most

    def progress(
        self,
        elapsed: float = 0.0,
        in_flight: int = 0,
        waiting: int = 0,
        *,
        cut_short: bool = False,
        waiting_for: str | None = None,
    ) -> BatchProgress:
        """
        How it stands after *elapsed* seconds.

        Args:
            elapsed: Seconds.

            in_flight: Items under way.

            waiting: Items in the queue.

            cut_short: The input will not be read to its end, so that nobody
                can say what is not in it.

            waiting_for: What keeps it waiting.
        """
        ended = self.done + self.failed
        rate = self.fresh / elapsed if elapsed > 0 else 0.0
        left = None
        if self.total is not None and rate > 0:
            left = max(0, self.total - ended) / rate
        return BatchProgress(
            total=self.total,
            done=self.done,
            failed=self.failed,
            in_flight=in_flight,
            waiting=waiting,
            finished_elsewhere=0 if cut_short else len(self.elsewhere),
            images=self.images,
            elapsed=elapsed,
            rate=rate,
            time_left=left,
            asked=self.requests,
            waiting_for=waiting_for,
        )


@attrs.define(eq=False)
class OutcomeQueue:
    """
    Outcomes that nobody has taken yet, and whoever waits for one, or for the
    room that a taken one leaves.

    Any number of readers share it: each outcome is taken once.  While nobody
    reads, and nobody is inside of its batch, nothing more is to be asked for.

    What changes: what is in it, and who waits.

    Attributes:
        wanted: Set while there is somebody to ask for.

        ended: Nothing more will be put.

        hopeless: Whether none comes to the task that asks now.
    """

    ordered: bool
    wanted: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    hopeless: Callable[[], bool] = attrs.field(default=bool, init=False)
    #: Who is inside of its batch, iterates over it, or waits for an outcome.
    _wanting: int = attrs.field(default=0, init=False)
    #: With their items' positions in the input.
    _ready: deque[tuple[int, Outcome]] = attrs.field(factory=deque, init=False)
    #: Those that wait for an earlier one, where order is wanted.
    _early: dict[int, Outcome | None] = attrs.field(factory=dict, init=False)
    _next: int = attrs.field(default=0, init=False)
    #: Let in, and not taken yet.
    _inside: int = attrs.field(default=0, init=False)
    _readers: list[asyncio.Future[None]] = attrs.field(
        factory=list, init=False
    )
    _room: asyncio.Future[None] | None = attrs.field(default=None, init=False)
    ended: bool = attrs.field(default=False, init=False)

    def want(self) -> None:
        """
        Somebody has come for outcomes.
        """
        self._wanting += 1
        self.wanted.set()

    def unwant(self) -> bool:
        """
        Somebody has gone; whether it was the last.
        """
        self._wanting -= 1
        if self._wanting > 0 or self.ended:
            return False
        self.wanted.clear()
        return True

    def enter(self) -> None:
        """
        Keep room for the outcome of one more item.
        """
        self._inside += 1

    async def room(self, most: Callable[[], int]) -> int:
        """
        Wait until fewer than *most* are inside; how many more may come.
        """
        while (room := most() - self._inside) <= 0:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        return room

    def put(self, position: int, outcome: Outcome | None) -> None:
        """
        Tell what came of an item; None: it was withdrawn.
        """
        if not self.ordered:
            self._offer(position, outcome)
            return
        self._early[position] = outcome
        while self._next in self._early:
            self._offer(self._next, self._early.pop(self._next))
            self._next += 1

    def idle(self, *, over: bool) -> None:
        """
        No item is under way now; *over*: nor will one be.
        """
        if over:
            self.end()
        else:
            # The input itself may wait for an outcome.
            self._wake()

    def end(self) -> None:
        """
        Nothing more will be put.
        """
        self.ended = True
        self.wanted.set()
        early, self._early = self._early, {}
        # Those between were not asked for.
        for position in sorted(early):
            self._offer(position, early[position])
        self._wake()

    async def take(self) -> tuple[int, Outcome] | None:
        """
        The next outcome and its position; None when there are no more.

        Raises:
            ConfigurationError: It is hopeless to wait for one.
        """
        while not self._ready:
            if self.ended:
                return None
            if self.hopeless():
                raise ConfigurationError(
                    "the input of a batch waits for an outcome of its own "
                    "batch, and no item is under way that could have one"
                )
            reader = asyncio.get_running_loop().create_future()
            self._readers.append(reader)
            await reader
        pair = self._ready.popleft()
        self._leave()
        return pair

    def rest(self) -> list[tuple[int, Outcome]]:
        """
        All that nobody has taken yet.
        """
        rest = list(self._ready)
        self._ready.clear()
        for _ in rest:
            self._leave()
        return rest

    def _offer(self, position: int, outcome: Outcome | None) -> None:
        if outcome is None:
            self._leave()
        else:
            self._ready.append((position, outcome))
            self._wake()

    def _wake(self) -> None:
        readers, self._readers = self._readers, []
        for reader in readers:
            if not reader.done():
                reader.set_result(None)

    def _leave(self) -> None:
        self._inside -= 1
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
