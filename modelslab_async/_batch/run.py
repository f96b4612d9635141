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
import random

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs

from .._engine.job import Job
from .._engine.submission import Lane, Submission
from .._output.folder import OutputFolder
from .._policy.retry import RetryPolicy, backoff
from .._protocol.rows import spec_json
from .._rooms import Rooms
from ..errors import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    GenerationFailedError,
    JobNotFoundError,
    ModelsLabError,
    OutcomeUnknownError,
    PaymentRequiredError,
    TransportError,
)
from ..events import BatchStopped
from ..journal import State
from ..results import Generation, Receipt
from .item import BatchJournal, Item, came_before
from .options import BatchOptions
from .outcome import Outcome, OutcomeQueue, Tally


_log = logging.getLogger("modelslab_async")


#: What every other item would meet too.
_FOR_ALL = (
    AuthenticationError,
    PaymentRequiredError,
    ConfigurationError,
)


@attrs.define(eq=False)
class Run:
    """
    What the items of a running batch share.

    What changes: which items are under way, and whether it was stopped.

    Attributes:
        stopped: The error that stopped it early, or None.

        stopping: Nothing more is asked for.

        full: Nothing more is pulled; what was pulled is asked for.

        exhausted: The input was read to its end.

        feeding: What pulls the input.

        items: Those that have not ended, by their tasks.

        resumed: What an earlier run had bought, by index, until it has ended.

        paid: The jobs that were bought, where they may have to be named, and
            whether the journal knows each.
    """

    rooms: Rooms
    options: BatchOptions
    outcomes: OutcomeQueue
    tally: Tally
    lane: Lane
    paid: dict[Job, bool] | None = None
    journal: BatchJournal | None = None
    folder: OutputFolder | None = None
    stopped: ModelsLabError | None = None
    stopping: bool = False
    full: bool = False
    exhausted: bool = False
    feeding: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    items: dict[asyncio.Task[None], Item] = attrs.field(
        factory=dict, init=False
    )
    resumed: dict[int, Item] = attrs.field(factory=dict, init=False)

    @property
    def policy(self) -> RetryPolicy:
        """
        How often is bought again what came to nothing.
        """
        return self.rooms.options.retry

    @property
    def in_flight_and_waiting(self) -> tuple[int, int]:
        """
        How many items are with the service, and how many are not yet.
        """
        in_flight = sum(item.in_flight for item in self.items.values())
        return in_flight, len(self.items) - in_flight

    def under_way(self) -> dict[Job, bool]:
        """
        Jobs that run, and whether the journal knows them.
        """
        items = self.items.values()
        return {i.job: i.journalled for i in items if i.job and i.runs}

    @property
    def waiting_for(self) -> str | None:
        """
        What keeps its items waiting for long, if anything does.
        """
        jobs = [item.job for item in self.items.values()]
        return self.rooms.runtime.waits.waiting_for(jobs)

    async def room(self) -> int:
        """
        Wait until fewer are in flight, or finished and not taken, than what
        keeps all slots and downloads busy, and somebody reads; give how many
        more may come.
        """
        await self.outcomes.wanted.wait()
        return await self.outcomes.room(self._most)

    async def calm(self) -> None:
        """
        Wait until no more items are under way than there is room for.
        """
        while len(self.items) >= self._most():
            await asyncio.wait(self.items, return_when=asyncio.FIRST_COMPLETED)

    def _most(self) -> int:
        rooms = self.rooms
        most = rooms.options.network.max_downloads
        return 2 * rooms.queue.slots.limit + most

    # When to ask for nothing more

    def stop(self, error: ModelsLabError | None = None) -> None:
        """
        Ask for nothing more; what is paid for still comes.
        """
        if self.stopped is None and error is not None:
            self.stopped = error
            self._tell_stopped(error)
        if self.stopping:
            return
        self.stopping = True
        # Who waits for readers goes on, and sees that it is over.
        self.outcomes.want()
        feeding, loop = self.feeding, self.rooms.runtime.loop
        if feeding is not None and feeding is not asyncio.current_task(loop):
            feeding.cancel()
        self.pause()

    def pause(self) -> None:
        """
        Take out of the queue what waits there, until somebody reads again.
        """
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
            self._tell_stopped(self.stopped)

    def _tell_stopped(self, error: ModelsLabError) -> None:
        observers = self.rooms.runtime.observers
        if observers:
            observers.tell(BatchStopped(None, str(error)))

    # From an item's beginning to its end

    def submit(self, item: Item) -> Submission:
        """
        Put a request for the item into the queue.
        """
        policy = self.policy
        if policy.resubmit_unknown:
            # That is seen to here, where the caller's bounds are known.
            policy = attrs.evolve(policy, resubmit_unknown=0)
        one = item.submission = self.rooms.submitter.start(
            item.spec,
            priority=self.options.priority,
            record=item.record,
            policy=policy,
            lane=self.lane,
        )
        item.job = one.job
        return one

    def resume(self, item: Item) -> None:
        """
        Take up a job that ran when its batch was last seen.
        """
        bell = None if item.entry is None else item.entry.bell
        item.job = self.rooms.resume(_receipt(item), item.spec, bell)
        self.resumed[item.index] = item
        self.start(item, see_through)

    def start(self, item: Item, way: Way) -> None:
        """
        Bring an item to its end, in a task of its own.
        """
        task = self.rooms.runtime.loop.create_task(self._see(item, way))
        self.items[task] = item
        task.add_done_callback(self._over)

    async def _see(self, item: Item, way: Way) -> None:
        outcome: Outcome | None
        try:
            outcome = await way(self, item)
            if item.fault is not None and outcome is not None:
                outcome = item.outcome(error=item.fault)
        except Exception as exc:  # noqa: BLE001 - the others go on
            outcome = self.fault(item, exc)
        self._end(item, outcome)

    def fault(self, item: Item, exc: BaseException) -> Outcome:
        """
        What came of an item that met what nobody foresaw.
        """
        _log.critical("item %d met a bug", item.index, exc_info=exc)
        error = ModelsLabError(f"item {item.index} met a bug: {exc!r}")
        error.__cause__ = exc
        return item.outcome(error=error)

    def _over(self, task: asyncio.Task[None]) -> None:
        item = self.items.pop(task)
        if task.cancelled():
            # Here, as it may have been before its first step.
            self._end(item, item.interrupted())
        elif (died := task.exception()) is not None:
            self._end(item, self.fault(item, died))
        self.end_if_over()

    def _end(self, item: Item, outcome: Outcome | None) -> None:
        self.resumed.pop(item.index, None)
        if self.paid is not None and item.job is not None and item.accepted:
            self.paid[item.job] = item.journalled
        self.give(item, outcome)

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

    # The end of all

    def end_if_over(self) -> None:
        """
        Let those go who wait for outcomes, once nothing more can come.
        """
        if not self.items and self.feeding is not None:
            self.outcomes.idle(over=self.feeding.done())

    async def end(self, *, quiet: bool) -> list[Submission]:
        """
        Wait for requests under way, as long as leaving may take; then let
        all items go.

        Args:
            quiet: Somebody else names what is paid.

        Returns:
            Requests that are still under way.
        """
        submissions = [
            item.submission
            for item in self.items.values()
            if item.submission is not None
        ]
        if submissions:
            timeout = self.rooms.runtime.timeouts.close
            tasks = [one.task for one in submissions]
            await asyncio.wait(tasks, timeout=timeout)
            # Their items see it too before they are counted as left.
            await asyncio.sleep(0)
        left = self.under_way()
        for task in self.items:
            task.cancel()
        if self.items:
            await asyncio.wait(self.items)
        if not quiet:
            what, place = "left a batch with %d unfinished", self.options.place
            self.rooms.naming.warn_of(what, left, place)
        return [one for one in submissions if not one.task.done()]

    def leave_to_parent(self) -> None:
        """
        In a forked child: nothing is asked for, and nothing comes.
        """
        self.stopping, self.paid = True, None
        for task in (*self.items, self.feeding):
            if task is not None:
                task.cancel()
        self.outcomes.end()

    def name_paid(self) -> None:
        """
        One WARNING of all that was paid for.
        """
        what = "an awaited batch was broken off after %d were paid for"
        self.rooms.naming.warn_of(what, self.paid or {}, self.options.place)


# The ways of an item.


#: Brings an item to its end.
Way: TypeAlias = Callable[[Run, Item], Awaitable[Outcome | None]]


async def see_through(run: Run, item: Item) -> Outcome | None:
    """
    From the queue, or from a job that is under way, to an outcome.
    """
    while True:
        try:
            generation = await _generation(item)
        except ModelsLabError as error:
            if item.withdrawn:
                if await _wait_for_readers(run) and _submit_again(run, item):
                    continue
                return item.interrupted()
            if item.accepted and isinstance(
                error, GenerationFailedError | JobNotFoundError
            ):
                await item.record.failed(error)
            again = await _buy_again(run, item, error)
            if not (again and _submit_again(run, item)):
                return _end_by(run, item, error)
        else:
            break
    item.generation = generation
    await item.record.done(generation)
    return await save(run, item)


def _submit_again(run: Run, item: Item) -> bool:
    """
    See an item into the queue once more, unless the client is closed.
    """
    try:
        run.submit(item)
    except ClientClosedError:
        return False
    return True


async def _generation(item: Item) -> Generation:
    if item.submission is not None:
        # From the queue to the end there is one wait.
        watch = item.submission.watch
        if not watch.ended:
            await watch.over.wait()
        return watch.outcome()
    if item.job is None:
        raise RuntimeError("there is nothing to wait for")
    return await item.job.result()


async def _wait_for_readers(run: Run) -> bool:
    """
    Wait until somebody reads; False where what was withdrawn for want of a
    reader is not to be asked for any more.
    """
    await run.outcomes.wanted.wait()
    return not run.stopping


async def _buy_again(run: Run, item: Item, error: ModelsLabError) -> bool:
    """
    Count what came to nothing, and buy it once more where the caller said so;
    False where he did not, or nothing more is asked for.
    """
    match error:
        case GenerationFailedError() if item.position is None:
            # Not asked for, so far: it is bought if the input comes to it.
            run.tally.unmet.add(item.index)
            return False
        case GenerationFailedError():
            item.failures += 1
            again = item.failures <= run.policy.resubmit_failed
        case OutcomeUnknownError():
            item.unknowns += 1
            again = item.unknowns <= run.policy.resubmit_unknown
        case _:
            again = False
    if not again or run.stopping:
        return False
    if not run.within_bounds(item):
        run.fill()
        return False
    run.tally.ask(item.spec.pictures)
    item.before = came_before(item.entry, error)
    if isinstance(error, OutcomeUnknownError):
        timeouts = run.rooms.runtime.timeouts
        await asyncio.sleep(backoff(item.unknowns, timeouts, random.random()))
    # Somebody may have gone in the meantime, who would have read of it.
    return await _wait_for_readers(run)


def _end_by(run: Run, item: Item, error: ModelsLabError) -> Outcome | None:
    """
    End an item with an error, and the whole run where others would meet it
    too.
    """
    if isinstance(error, _FOR_ALL) or (
        isinstance(error, TransportError) and not item.left
    ):
        run.stop(error)
    elif run.lane.breaker.exhausted(run.rooms.runtime.now()):
        run.stop(run.lane.breaker.error)
    if run.stopping and not item.left:
        return item.interrupted()
    return item.outcome(error=error)


async def download(run: Run, item: Item) -> Outcome:
    """
    From links that an earlier run had, to an outcome.
    """
    if item.entry is not None:
        item.generation = item.entry.generation
    return await save(run, item)


async def save(run: Run, item: Item) -> Outcome:
    """
    Save the pictures of an item that is done, where the batch does.
    """
    generation, folder = item.generation, run.folder
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
            links = await run.rooms.renew(generation, receipt)
        except (GenerationFailedError, JobNotFoundError):
            gone = True
            raise
        await item.record.done(links)
        return links

    runtime = run.rooms.runtime
    began = runtime.now()
    try:
        saved = await folder.keep(generation, _prefix(item, generation), fresh)
        await item.record.stored(tuple(one.path.name for one in saved))
        if item.entry is not None and item.entry.state is State.STORED:
            await folder.tell(item.entry, generation, saved)
    except DownloadError as error:
        if error.disk:
            run.stop(error)
        elif gone:
            await item.record.failed(error)
        runtime.observers.not_saved(generation, error, runtime.now() - began)
        return item.outcome(error=error)
    paths = tuple(one.path for one in saved)
    runtime.observers.saved_all(generation, paths, runtime.now() - began)
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
