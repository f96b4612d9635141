"""
What the items of a running batch share, and their ways to their outcomes.

An item ends with an `Outcome`, or is withdrawn (None) where no request for it
has left. Whatever is raised on its way is its own outcome and nobody else's;
only what would be raised for every item (the account, the journal, the disk)
stops the batch, which then asks for nothing more.
"""

from __future__ import annotations

import asyncio
import logging

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs

from .._engine.submission import Submission
from .._output.folder import OutputFolder
from .._policy.breakers import OutageBreaker
from .._protocol.rows import spec_json
from .._rooms import Rooms
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    DownloadError,
    GenerationFailedError,
    JobNotFoundError,
    ModelsLabError,
    PaymentRequiredError,
    TransportError,
)
from ..journal import Failed, State
from ..results import Generation, Receipt
from .item import BatchJournal, Item
from .outcome import BatchOptions, Outcome, OutcomeQueue, Tally


_log = logging.getLogger("modelslab_async")


#: What every other item would meet too.
_FOR_ALL = (
    AuthenticationError,
    PaymentRequiredError,
    ConfigurationError,
)


#: Brings an item to its end.
Work: TypeAlias = Callable[[Item], Awaitable[Outcome | None]]


@attrs.define(eq=False)
class Run:
    """
    What the items of a running batch share, and their way to their outcomes.

    What changes: which items are under way, and whether it was stopped.

    Attributes:
        stopped: The error that stopped it early, or None.

        stopping: Nothing more is asked for.

        full: Nothing more is pulled; what was pulled is asked for.

        feeding: What pulls the input.

        items: Those that have not ended, by their tasks.

        resumed: What an earlier run had bought, by index, until it has ended.
    """

    rooms: Rooms
    options: BatchOptions
    outcomes: OutcomeQueue
    tally: Tally
    breaker: OutageBreaker
    journal: BatchJournal | None = None
    folder: OutputFolder | None = None
    stopped: ModelsLabError | None = None
    stopping: bool = False
    full: bool = False
    feeding: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    items: dict[asyncio.Task[None], Item] = attrs.field(
        factory=dict, init=False
    )
    resumed: dict[int, Item] = attrs.field(factory=dict, init=False)

    async def room(self) -> int:
        """
        Wait until fewer are in flight, or finished and not taken, than what
        keeps all slots and downloads busy; give how many more may come.
        """
        return await self.outcomes.room(self._most)

    def _most(self) -> int:
        rooms = self.rooms
        most = rooms.options.network.max_downloads
        return 2 * rooms.queue.slots.limit + most

    def stop(self, error: ModelsLabError | None = None) -> None:
        """
        Ask for nothing more; what is paid for still comes.
        """
        if self.stopped is None:
            self.stopped = error
        if self.stopping:
            return
        self.stopping = True
        if self.feeding is not None:
            self.feeding.cancel()
        for item in self.items.values():
            if item.submission is not None:
                item.submission.withdraw()

    def within_bounds(self, item: Item) -> bool:
        """
        Whether one more request, for this item, may be made.
        """
        return self.tally.within_bounds(self.options, item.spec.pictures)

    def fill(self) -> None:
        """
        A bound of the caller's is reached: pull nothing more.
        """
        self.full = True
        if self.stopped is None:
            self.stopped = self.options.bound_reached()

    def start(self, item: Item, work: Work) -> None:
        """
        Bring an item to its end, in a task of its own.
        """
        task = self.rooms.runtime.loop.create_task(self._see(item, work))
        self.items[task] = item
        task.add_done_callback(self._over)

    def submit(self, item: Item) -> Submission:
        """
        Put a request for the item into the queue.
        """
        one = item.submission = self.rooms.submitter.start(
            item.spec,
            priority=self.options.priority,
            record=item.record,
            breaker=self.breaker,
        )
        item.job = one.job
        self.tally.ask(item.spec.pictures)
        return one

    def give(
        self, item: Item, outcome: Outcome | None, *, fresh: bool = True
    ) -> None:
        """
        Tell what came of an item; None: it was withdrawn.
        """
        if item.position is None:
            if outcome is not None and outcome.error is None:
                self.tally.elsewhere.add(item.index)
            return
        if outcome is not None:
            self.tally.count(outcome, fresh=fresh)
            if outcome.error is not None:
                self._show(outcome, outcome.error)
                if fresh and self.tally.failed_enough(self.options):
                    self.stop(outcome.error)
        self.outcomes.put(item.position, outcome)

    def _show(self, outcome: Outcome, error: ModelsLabError) -> None:
        if self.folder is not None:
            self.folder.failed(
                outcome.index,
                spec_json(outcome.spec),
                error,
                outcome.item,
                outcome.job_id,
            )

    async def _see(self, item: Item, work: Work) -> None:
        outcome: Outcome | None
        try:
            outcome = await work(item)
            if item.fault is not None and outcome is not None:
                outcome = item.outcome(error=item.fault)
        except Exception as exc:  # noqa: BLE001 - the others go on
            _log.critical("item %d met a bug", item.index, exc_info=exc)
            error = ModelsLabError(f"item {item.index} met a bug: {exc!r}")
            error.__cause__ = exc
            outcome = item.outcome(error=error)
        self._end(item, outcome)

    def _end(self, item: Item, outcome: Outcome | None) -> None:
        self.resumed.pop(item.index, None)
        self.give(item, outcome)

    def _over(self, task: asyncio.Task[None]) -> None:
        item = self.items.pop(task)
        if task.cancelled():
            # Here, as it may have been before its first step.
            self._end(item, item.interrupted())
        self.end_if_over()

    def end_if_over(self) -> None:
        """
        Let those go who wait for outcomes, once nothing more can come.
        """
        if not self.items and self.feeding is not None and self.feeding.done():
            self.outcomes.end()

    async def answered(self) -> None:
        """
        Wait for requests under way, as long as leaving may take.
        """
        under_way = [
            item.submission.task
            for item in self.items.values()
            if item.submission is not None
        ]
        if under_way:
            timeout = self.rooms.runtime.timeouts.close
            await asyncio.wait(under_way, timeout=timeout)
            # Their items see it too before they are counted as left.
            await asyncio.sleep(0)

    # The ways of an item

    def resume(self, item: Item) -> None:
        """
        Take up a job that ran when its batch was last seen.
        """
        item.job = self.rooms.resume(_receipt(item), item.spec)
        self.resumed[item.index] = item
        self.start(item, self.see_through)

    def download(self, item: Item) -> None:
        """
        Save the pictures of a job that was done when its batch was last seen.
        """
        entry = item.entry
        item.generation = None if entry is None else entry.generation
        self.start(item, self.save)

    async def see_through(self, item: Item) -> Outcome | None:
        """
        From the queue, or from a job that is under way, to an outcome.
        """
        while True:
            try:
                generation = await self._generation(item)
            except GenerationFailedError as error:
                if item.accepted:
                    await item.record.failed(error)
                if not self._buys_again(item):
                    return self._failed(item, error)
                item.before = Failed(error)
                item.again += 1
                self.submit(item)
            except ModelsLabError as error:
                if item.accepted and isinstance(error, JobNotFoundError):
                    await item.record.failed(error)
                return self._failed(item, error)
            else:
                break
        item.generation = generation
        await item.record.done(generation)
        return await self.save(item)

    async def _generation(self, item: Item) -> Generation:
        if item.submission is not None:
            # From the queue to the end there is one wait.
            watch = item.submission.watch
            if not watch.ended:
                await watch.over.wait()
            return watch.outcome()
        if item.job is None:
            raise RuntimeError("there is nothing to wait for")
        return await item.job.result()

    def _buys_again(self, item: Item) -> bool:
        most = self.rooms.options.retry.resubmit_failed
        return item.again < most and not self.stopping

    def _failed(self, item: Item, error: ModelsLabError) -> Outcome | None:
        """
        What an error means for the item, and for those that come after it.
        """
        if item.withdrawn:
            return None
        if isinstance(error, _FOR_ALL) or (
            isinstance(error, TransportError) and not item.left
        ):
            self.stop(error)
        elif self.breaker.exhausted(self.rooms.runtime.now()):
            self.stop(self.breaker.error)
        if self.stopping and not item.left:
            return None
        return item.outcome(error=error)

    async def save(self, item: Item) -> Outcome:
        """
        Save the pictures of an item that is done, where the batch does.
        """
        generation, folder = item.generation, self.folder
        if generation is None:
            raise RuntimeError("there is nothing to save")
        if folder is None:
            return item.outcome(generation)
        gone = False

        async def fresh() -> Generation:
            nonlocal gone
            receipt = _receipt(item)
            if receipt.id is None:
                return generation
            try:
                links = await self.rooms.renew(generation, receipt)
            except (GenerationFailedError, JobNotFoundError):
                gone = True
                raise
            await item.record.done(links)
            return links

        try:
            saved = await folder.keep(
                generation, _prefix(item, generation), fresh
            )
            await item.record.stored(tuple(one.path.name for one in saved))
            if item.entry is not None and item.entry.state is State.STORED:
                await folder.tell(item.entry, generation, saved)
        except DownloadError as error:
            if error.disk:
                self.stop(error)
            elif gone:
                await item.record.failed(error)
            return item.outcome(error=error)
        paths = tuple(one.path for one in saved)
        for path in paths:
            self.rooms.runtime.observers.saved(
                generation.track_id, generation.id, str(path)
            )
        return item.outcome(generation, paths=paths)


def _prefix(item: Item, generation: Generation) -> str:
    """
    What the names of its files begin with: the journal's index, so that no
    item's file is another's.
    """
    given = item.spec.given_seed
    seed = given if generation.seed is None else generation.seed
    return f"{item.index:06d}-{'x' if seed is None else seed}"


def _receipt(item: Item) -> Receipt:
    """
    What was told when its job was accepted, as far as it is known.
    """
    entry = item.entry
    if item.job is not None:
        return item.job.receipt
    if entry is not None and entry.receipt is not None:
        return entry.receipt
    name = item.spec.endpoint.name
    if entry is None:
        return Receipt(None, name)
    return Receipt(entry.job_id, name, entry.track_id)
