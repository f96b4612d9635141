"""
What came of one item, how a batch stands, and who takes its outcomes.
"""

from __future__ import annotations

import asyncio
import os

from collections import deque
from collections.abc import (
    AsyncIterable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from itertools import islice
from pathlib import Path
from typing import Self

import attrs

from .._rooms import priority_faults
from ..errors import ConfigurationError, ModelsLabError
from ..journal.protocol import Journal
from ..results import Generation
from ..specs import Spec


@attrs.frozen
class Outcome:
    """
    What came of one item: exactly one of *generation* and *error*.

    Attributes:
        index: The item's number, from 0; with a journal the one it was given
            when it was first seen.

        item: The key of one's own, where one was given.

        paths: Its pictures, where the batch saves them.
    """

    index: int
    spec: Spec
    item: str | None = None
    track_id: str | None = None
    job_id: str | None = None
    generation: Generation | None = None
    error: ModelsLabError | None = None
    paths: tuple[Path, ...] = ()

    def unwrap(self) -> Generation:
        """
        The generation.

        Raises:
            ModelsLabError: The item's error, if it has one.
        """
        if self.generation is not None:
            return self.generation
        raise self.error or ConfigurationError("an outcome of nothing")


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


def _path(place: str | os.PathLike[str] | None) -> Path | None:
    # What is no path stays, and is told of.
    return Path(place) if isinstance(place, str | os.PathLike) else place


def _path_or_journal(
    place: str | os.PathLike[str] | Journal | None,
) -> Path | Journal | None:
    return Path(place) if isinstance(place, str | os.PathLike) else place


@attrs.frozen
class BatchOptions:
    """
    The options of `ModelsLab.batch()`.

    Attributes:
        output: A folder that makes it durable: pictures, a page to look
            at them, and a journal to go on from.

        journal: A journal's path, without files.

        items: Keys of one's own for the items, in the same order; None
            for an item that has none.

        ordered: Outcomes in input order.

        priority: Place in the queue, lower first.

        max_failures: Stop asking after so many failed items.

        max_jobs: Stop asking after so many requests.

        max_images: Stop asking before more pictures than that.

        resubmit_unknown: Ask again for what the journal knows to be of
            unknown outcome: it may be billed twice.

        resubmit_failed: Ask again for what the service failed.

        new_key: The key is another one of the same account.
    """

    output: Path | None = attrs.field(converter=_path)
    journal: Path | Journal | None = attrs.field(converter=_path_or_journal)
    items: Iterable[str | None] | None
    ordered: bool
    priority: int
    max_failures: int | None
    max_jobs: int | None
    max_images: int | None
    resubmit_unknown: bool
    resubmit_failed: bool
    new_key: bool

    @property
    def place(self) -> object:
        """
        What no two batches share at a time: a journal's path, or itself.
        """
        if self.journal is None and self.output is not None:
            return self.output / "journal.sqlite"
        return self.journal

    def absolute(self) -> Self:
        """
        The same, wherever the program goes; asks the disk where it is now.
        """
        output, journal = self.output, self.journal
        return attrs.evolve(
            self,
            output=None if output is None else output.absolute(),
            journal=journal.absolute()
            if isinstance(journal, Path)
            else journal,
        )

    def faults(self) -> Iterator[str]:
        """
        What cannot be.
        """
        output: object = self.output
        if not isinstance(output, Path | None):
            yield f"output: a path, not {output!r}"
        journal: object = self.journal
        if journal is not None and not (
            isinstance(journal, Path) or hasattr(journal, "plan")
        ):
            yield f"journal: a path, or a Journal, not {journal!r}"
        yield from _keys_faults(self.items)
        yield from priority_faults(self.priority)
        for name in ("max_failures", "max_jobs", "max_images"):
            most = getattr(self, name)
            if most is not None and not _countable(most):
                yield f"{name}: a whole number, or None, not {most!r}"
        for name in (
            "ordered",
            "resubmit_unknown",
            "resubmit_failed",
            "new_key",
        ):
            flag = getattr(self, name)
            if not isinstance(flag, bool):
                yield f"{name}: True or False, not {flag!r}"

    def bound_reached(self) -> ModelsLabError:
        """
        Why nothing more is asked for.
        """
        bounds = [
            f"{name}={bound}"
            for name, bound in (
                ("max_jobs", self.max_jobs),
                ("max_images", self.max_images),
            )
            if bound is not None
        ]
        return ModelsLabError(
            f"{' or '.join(bounds)} is reached; nothing more is asked for"
        )


def check_batch(specs: object, options: BatchOptions) -> None:
    """
    Refuse what cannot be asked for.

    Raises:
        ConfigurationError: All that is wrong, as far as it can be seen
            before the input is read.
    """
    faults: list[str] = []
    if isinstance(specs, Spec | str | bytes) or not isinstance(
        specs, Iterable | AsyncIterable
    ):
        faults.append(
            "a batch takes an iterable of specs, such as a list, "
            f"not {str(specs)[:40]!r}"
        )
    faults += options.faults()
    if faults:
        raise ConfigurationError("; ".join(faults))


def key_fault(key: object) -> str | None:
    """
    What is wrong with a key of one's own.
    """
    if key is None or isinstance(key, str):
        return None
    return f"items: each a text, or None, not {key!r}"


def _keys_faults(items: object) -> Iterator[str]:
    if items is None:
        return
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        yield f"items: an iterable of texts, not {items!r}"
    elif isinstance(items, Sequence):
        # What is lazy is seen to when it is read.
        faults = (key_fault(key) for key in items)
        yield from islice((fault for fault in faults if fault), 1)


def _countable(number: object) -> bool:
    return (
        isinstance(number, int)
        and not isinstance(number, bool)
        and number >= 0
    )


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

    def count(self, outcome: Outcome, *, fresh: bool) -> None:
        """
        One more item has come to its end.
        """
        self.fresh += fresh
        if outcome.generation is None:
            self.failed += 1
            self.fresh_failed += fresh
        else:
            self.done += 1
            self.images += len(outcome.generation.images)

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
    ) -> BatchProgress:
        """
        How it stands after *elapsed* seconds.

        Args:
            elapsed: Seconds.

            in_flight: Items under way.

            waiting: Items in the queue.

            cut_short: The input will not be read to its end, so that nobody
                can say what is not in it.
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
    """

    ordered: bool
    wanted: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
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
    _ended: bool = attrs.field(default=False, init=False)

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
        if self._wanting > 0 or self._ended:
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

    def end(self) -> None:
        """
        Nothing more will be put.
        """
        self._ended = True
        self.wanted.set()
        early, self._early = self._early, {}
        # Those between were not asked for.
        for position in sorted(early):
            self._offer(position, early[position])
        self._wake()

    async def take(self) -> tuple[int, Outcome] | None:
        """
        The next outcome and its position; None when there are no more.
        """
        while not self._ready:
            if self._ended:
                return None
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
