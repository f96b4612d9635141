"""
Here live many jobs: lazy, bounded, and resumable.

A batch pulls an item only when there is room for one, holds one place in the
line at a time, and gives each item's `Outcome` as it comes: a failed item is
an outcome, not an exception.  What is kept of it, and what is done with what
was kept, is the desk's (`_Desk`): a batch without a journal has an empty one.
"""

from __future__ import annotations

import asyncio
import logging

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Generator,
    Iterable,
    Sized,
)
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import anyio
import attrs

from ._files import Files
from ._jobs import Job, Jobs, Line, named
from ._retrying import Brake
from ._submits import UNWRITTEN, Record, Submission, Submits
from .answers import Generation as Pictures
from .errors import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    GenerationFailedError,
    ModelsLabError,
    PaymentRequiredError,
)
from .specs import TextToImage


_log = logging.getLogger("modelslab_async")


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
    spec: TextToImage
    item: str | None = None
    track_id: str | None = None
    job_id: str | None = None
    generation: Pictures | None = None
    error: ModelsLabError | None = None
    paths: tuple[Path, ...] = ()

    def unwrap(self) -> Pictures:
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

        in_flight: Items that were asked for and have not ended.

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


@attrs.frozen
class BatchOptions:
    """
    The options of `ModelsLab.batch()`.
    """

    output: Path | None
    journal: object
    items: Iterable[str] | None
    ordered: bool
    priority: int
    max_failures: int | None
    max_jobs: int | None
    max_images: int | None
    resubmit_unknown: bool
    resubmit_failed: bool
    new_key: bool


class Rooms(Protocol):
    """
    What a batch needs of its client's rooms.
    """

    @property
    def jobs(self) -> Jobs: ...
    @property
    def submits(self) -> Submits: ...
    @property
    def line(self) -> Line: ...
    @property
    def files(self) -> Files: ...
    @property
    def batches(self) -> set[Batch]: ...
    @property
    def max_downloads(self) -> int: ...


@attrs.define(eq=False)
class _Item:
    """
    One item on its way from the input to its outcome.
    """

    #: Place in this run's input.
    position: int
    index: int
    spec: TextToImage
    key: str | None = None
    record: Record = UNWRITTEN
    submission: Submission | None = None
    job: Job | None = None

    @property
    def asked(self) -> bool:
        return self.submission is not None and self.submission.asked

    def outcome(
        self,
        generation: Pictures | None = None,
        error: ModelsLabError | None = None,
        paths: tuple[Path, ...] = (),
    ) -> Outcome:
        one, job = self.submission, self.job
        return Outcome(
            self.index,
            self.spec,
            self.key,
            None if one is None else one.track_id,
            None if job is None else job.id,
            generation,
            error,
            paths,
        )


class Batch:
    """
    Many generations; see `ModelsLab.batch()`.

    Attributes:
        stopped: The error that stopped it early, or None.
    """

    def __init__(
        self,
        rooms: Callable[[], Rooms],
        specs: Iterable[TextToImage] | AsyncIterable[TextToImage],
        options: BatchOptions,
    ) -> None:
        self.stopped: ModelsLabError | None = None
        self._rooms_now = rooms
        self._rooms: Rooms | None = None
        self._specs = specs
        self._options = options
        self._total = len(specs) if isinstance(specs, Sized) else None
        self._keys = None if options.items is None else iter(options.items)
        self._feeder: asyncio.Task[None] | None = None
        self._tasks: dict[asyncio.Task[None], _Item] = {}
        self._brake: Brake | None = None
        #: Outcomes that nobody has taken yet, with their items' positions.
        self._ready: deque[tuple[int, Outcome]] = deque()
        #: Those that wait for an earlier one, where order is wanted.
        self._early: dict[int, Outcome | None] = {}
        self._next = 0
        self._pulled = 0
        self._inside = 0
        self._news: asyncio.Future[None] | None = None
        self._space: asyncio.Future[None] | None = None
        self._stopping = False
        self._over = False
        self._broken: BaseException | None = None
        self._done = self._failed = self._images = 0
        self._asked_jobs = self._asked_images = 0
        self._unasked = 0
        self._started = 0.0

    def __repr__(self) -> str:
        return (
            f"<Batch {self._done} done, {self._failed} failed, "
            f"{len(self._tasks)} under way>"
        )

    # For whoever reads

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        """
        Give the next outcome.

        Raises:
            BaseException: What the caller's own iterable raised, as it is,
                after the outcomes of all that was asked for.
        """
        _, outcome = await self._take()
        return outcome

    def __await__(self) -> Generator[object, None, list[Outcome]]:
        return self._gather().__await__()

    async def _gather(self) -> list[Outcome]:
        found: list[tuple[int, Outcome]] = []
        async with self:
            while True:
                try:
                    found.append(await self._take())
                except StopAsyncIteration:
                    break
        found.sort(key=lambda pair: pair[0])
        return [outcome for _, outcome in found]

    async def _take(self) -> tuple[int, Outcome]:
        await self._begin()
        while not self._ready:
            if self._finished:
                broken, self._broken = self._broken, None
                if broken is not None:
                    raise broken
                raise StopAsyncIteration
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        pair = self._ready.popleft()
        self._leave_room()
        return pair

    @property
    def _finished(self) -> bool:
        fed = self._feeder is None or self._feeder.done()
        return self._over or (fed and not self._tasks)

    @property
    def progress(self) -> BatchProgress:
        """
        How it stands now.
        """
        elapsed = 0.0
        if self._rooms is not None:
            elapsed = self._rooms.jobs.loop.time() - self._started
        ended = self._done + self._failed
        flying = sum(item.asked for item in self._tasks.values())
        rate = ended / elapsed if elapsed > 0 else 0.0
        left = None
        if self._total is not None and rate > 0:
            left = max(0, self._total - ended) / rate
        return BatchProgress(
            total=self._total,
            done=self._done,
            failed=self._failed,
            in_flight=flying,
            waiting=len(self._tasks) - flying,
            finished_elsewhere=0,
            images=self._images,
            elapsed=elapsed,
            rate=rate,
            time_left=left,
        )

    def stop(self, error: ModelsLabError | None = None) -> None:
        """
        Ask for nothing more; what is paid for still comes.
        """
        if self.stopped is None:
            self.stopped = error
        if self._stopping:
            return
        self._stopping = True
        if self._feeder is not None:
            self._feeder.cancel()
        for item in self._tasks.values():
            if item.submission is not None and not item.submission.sent:
                item.submission.task.cancel()

    async def aclose(self) -> None:
        """
        Leave: ask for nothing more, wait up to 10 s for requests under way.

        One WARNING names each paid, unfinished job; the client goes on
        watching them.  May be called again.
        """
        if self._over or self._rooms is None:
            self._over = True
            return
        self.stop()
        rooms = self._rooms
        cancelled: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            try:
                await self._submits_end(rooms.jobs.waits.leave)
            except asyncio.CancelledError as exc:
                cancelled = exc
            left = [
                item.job
                for item in self._tasks.values()
                if item.job is not None and item.job.id is not None
            ]
            tasks = [task for task in (self._feeder, *self._tasks) if task]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            self._over = True
            rooms.batches.discard(self)
            if left:
                _log.warning(
                    "left a batch with %d unfinished: %s",
                    len(left),
                    named(left),
                )
        if cancelled is not None:
            raise cancelled

    async def _submits_end(self, timeout: float) -> None:
        under_way = [
            item.submission.task
            for item in self._tasks.values()
            if item.submission is not None
        ]
        if under_way:
            await asyncio.wait(under_way, timeout=timeout)
            # Their items see it too before they are counted as left.
            await asyncio.sleep(0)

    # From the input into the line

    async def _begin(self) -> None:
        if self._over:
            raise ClientClosedError("the batch is over; make a new one")
        if self._rooms is not None:
            return
        self._rooms = rooms = self._rooms_now()
        rooms.batches.add(self)
        self._started = rooms.jobs.loop.time()
        self._brake = Brake(rooms.jobs.waits)
        self._feeder = rooms.jobs.loop.create_task(self._feed(rooms))
        self._feeder.add_done_callback(lambda _: self._wake())

    async def _feed(self, rooms: Rooms) -> None:
        """
        Pull an item when there is room, and see it into the line.
        """
        source = _pull(self._specs)
        try:
            while not self._enough():
                await self._room(rooms)
                try:
                    spec = await anext(source)
                except StopAsyncIteration:
                    break
                item = self._item(spec)
                if not self._within_bounds(spec):
                    break
                await self._enter(rooms, item)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        except ModelsLabError as error:
            self.stop(error)
        except BaseException as exc:  # noqa: BLE001
            # The caller's own; it comes out after what was paid for.
            self._broken = exc
        finally:
            await source.aclose()

    async def _room(self, rooms: Rooms) -> None:
        """
        Wait until fewer are in flight, or finished and not taken, than what
        keeps all slots and downloads busy.
        """
        while self._inside >= 2 * rooms.line.slots.limit + rooms.max_downloads:
            self._space = rooms.jobs.loop.create_future()
            await self._space

    def _leave_room(self) -> None:
        self._inside -= 1
        if self._space is not None and not self._space.done():
            self._space.set_result(None)

    def _item(self, spec: TextToImage) -> _Item:
        if not isinstance(spec, TextToImage):
            raise ConfigurationError(
                f"a batch takes TextToImage, not {type(spec).__name__}"
            )
        key = None
        if self._keys is not None:
            key = next(self._keys, None)
            if key is None:
                raise ConfigurationError("items: fewer than there are specs")
        item = _Item(self._pulled, self._pulled, spec, key)
        self._pulled += 1
        return item

    def _enough(self) -> bool:
        most = self._options.max_jobs
        return self._stopping or (
            most is not None and self._asked_jobs >= most
        )

    def _within_bounds(self, spec: TextToImage) -> bool:
        most = self._options.max_images
        images = self._asked_images + (spec.samples or 1)
        if most is not None and images > most:
            return False
        self._asked_jobs += 1
        self._asked_images = images
        return True

    async def _enter(self, rooms: Rooms, item: _Item) -> None:
        """
        See an item into the line; a batch holds one place there at a time.
        """
        self._inside += 1
        submission = self._submission(rooms, item)
        task = rooms.jobs.loop.create_task(self._see_through(rooms, item))
        self._tasks[task] = item
        task.add_done_callback(self._seen)
        await asyncio.wait({submission.entered})

    def _submission(self, rooms: Rooms, item: _Item) -> Submission:
        item.submission = rooms.submits.start(
            item.spec,
            priority=self._options.priority,
            record=item.record,
            brake=self._brake,
        )
        return item.submission

    # From the line to an outcome

    async def _see_through(self, rooms: Rooms, item: _Item) -> None:
        tries = 0
        while True:
            outcome = await self._outcome(rooms, item)
            again = (
                outcome is not None
                and isinstance(outcome.error, GenerationFailedError)
                and tries < rooms.submits.policy.resubmit_failed
                and not self._stopping
            )
            if not again:
                break
            tries += 1
            self._submission(rooms, item)
        self._give(item, outcome)

    async def _outcome(self, rooms: Rooms, item: _Item) -> Outcome | None:
        submission = item.submission
        if submission is None:
            return None
        try:
            item.job = await rooms.submits.wait(submission, None)
            generation = await item.job.result()
        except ModelsLabError as error:
            self._after(rooms, item, error)
            if item.asked:
                return item.outcome(error=error)
            return None
        return await self._kept(rooms, item, generation)

    async def _kept(
        self, rooms: Rooms, item: _Item, generation: Pictures
    ) -> Outcome:
        """
        Save the pictures, where the batch does.
        """
        output = self._options.output
        if output is None:
            return item.outcome(generation)

        async def fresh() -> Pictures:
            if item.job is None:
                return generation
            await item.job.refresh()
            return await item.job.result()

        try:
            saved = await rooms.files.store(
                generation,
                output / "images",
                f"{item.index:06d}-{generation.seed or 0}",
                fresh=fresh,
                overwrite=True,
            )
        except DownloadError as error:
            if isinstance(error.__cause__, OSError):
                self.stop(error)
            return item.outcome(error=error)
        return item.outcome(generation, paths=tuple(one.path for one in saved))

    def _after(self, rooms: Rooms, item: _Item, error: ModelsLabError) -> None:
        """
        Whether an item's error ends the asking.
        """
        brake = self._brake
        now = rooms.jobs.loop.time()
        if isinstance(error, AuthenticationError | PaymentRequiredError):
            self.stop(error)
        elif brake is not None and brake.spent(now):
            self.stop(brake.error)
        elif not item.asked and not isinstance(error, ClientClosedError):
            self.stop(error)

    def _seen(self, task: asyncio.Task[None]) -> None:
        item = self._tasks.pop(task)
        if not task.cancelled() and task.exception() is not None:
            _log.critical(
                "an item of a batch died of a bug", exc_info=task.exception()
            )
            self._give(item, None)
        self._wake()

    def _give(self, item: _Item, outcome: Outcome | None) -> None:
        if outcome is None:
            self._unasked += 1
        elif outcome.error is None:
            self._done += 1
            self._images += len(outcome.unwrap().images)
        else:
            self._failed += 1
            most = self._options.max_failures
            if most is not None and self._failed >= most:
                self.stop(outcome.error)
        if not self._options.ordered:
            self._put(item.position, outcome)
            return
        self._early[item.position] = outcome
        while self._next in self._early:
            self._put(self._next, self._early.pop(self._next))
            self._next += 1

    def _put(self, position: int, outcome: Outcome | None) -> None:
        if outcome is None:
            self._leave_room()
        else:
            self._ready.append((position, outcome))
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


async def _pull(
    specs: Iterable[TextToImage] | AsyncIterable[TextToImage],
) -> AsyncGenerator[TextToImage, None]:
    """
    Any iterable as an async one.
    """
    if isinstance(specs, AsyncIterable):
        async for spec in specs:
            yield spec
    else:
        for spec in specs:
            yield spec
