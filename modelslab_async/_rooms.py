"""
What a client was told, and what it has built of that on one event loop.

`build` is the one place that knows how everything below fits together.
"""

from __future__ import annotations

import asyncio
import weakref

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from ._checks import endpoint_of
from ._engine.api_key import ApiKey
from ._engine.bells import Bells, RingSource
from ._engine.http import SessionPool
from ._engine.job import (
    Job,
    TakeUp,
    Watch,
)
from ._engine.links import origin_of
from ._engine.naming import Journalled, Naming
from ._engine.network import NetworkOptions
from ._engine.on_demand import OnDemand
from ._engine.pacer import Pacer
from ._engine.poller import Poller
from ._engine.receipts import receipt_by_name, renewed
from ._engine.runtime import Runtime
from ._engine.sender import Sender
from ._engine.slot_queue import SlotQueue
from ._engine.submitter import Submitter
from ._observing import Observers
from ._policy.breakers import AccountBreaker
from ._policy.numbers import number_faults
from ._policy.polling import Pace, PollSchedule
from ._policy.retry import RetryBudget, RetryPolicy
from ._policy.slots import Slots
from ._policy.timeouts import Timeouts
from ._quoting import in_short
from .errors import ConfigurationError, DownloadError, ModelsLabError
from .results import Generation, Model, Receipt, Stats
from .specs import Spec


if TYPE_CHECKING:
    # Only where it is needed: who imports us for a picture or two should not
    # wait for what saves them.
    from ._output.download import Downloads
    from .events import Observer


@attrs.frozen(eq=False, repr=False)
class Options:
    """
    What a client was told.

    Attributes:
        origin: What a journal is bound to; a simulator's port is another
            each time, so it goes by another name.

        run: Which simulator it is; its jobs end with it.

    """

    key: ApiKey
    base_url: str
    slots: int | None = None
    job_timeout: float = 1800.0
    polling: PollSchedule = attrs.field(factory=PollSchedule)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    observers: tuple[Observer, ...] = ()
    network: NetworkOptions = attrs.field(factory=NetworkOptions)
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    origin: str = attrs.field()
    run: str | None = None
    doorbell: RingSource | None = None

    @origin.default
    def _origin_of_url(self) -> str:
        return origin_of(self.base_url)

    def check(self, others: Iterable[str] = ()) -> None:
        """
        Refuse what cannot be.

        Raises:
            ConfigurationError: All of it, and *others*.
        """
        faults = [*others, *self._faults()]
        if faults:
            raise ConfigurationError("; ".join(faults))

    def _faults(self) -> Iterator[str]:
        if not self.origin:
            given = in_short(self.base_url)
            yield f"base_url: an http(s) address, not {given}"
        yield from number_faults(
            "slots", self.slots, 1, whole=True, optional=True
        )
        yield from number_faults("job_timeout", self.job_timeout, above=True)
        yield from self.network.faults()
        for name, value, kind, example in (
            ("polling", self.polling, PollSchedule, ", as .fixed(2) gives,"),
            ("retry", self.retry, RetryPolicy, ""),
            ("timeouts", self.timeouts, Timeouts, ""),
        ):
            if not isinstance(value, kind):
                given = in_short(value)
                yield f"{name}: a {kind.__name__}{example}, not {given}"
        for observer in self.observers:
            if not _callable(observer):
                given = in_short(observer)
                yield f"observers: functions of one event, not {given}"
        if self.doorbell is not None:
            from .webhooks import Doorbell

            if not isinstance(self.doorbell, Doorbell):
                other = type(self.doorbell).__name__
                yield f"doorbell: a webhooks.Doorbell, not a {other}"


class Guest(Protocol):
    """
    What has to end before the client does: a batch, which lives above us.
    """

    def stop(self, error: ModelsLabError | None = None) -> None: ...

    def note_waiter(self, task: asyncio.Task[Any] | None) -> None: ...

    async def make_way(self, place: object) -> None: ...

    def leave_to_parent(self) -> None: ...

    async def aclose(self) -> None: ...


@attrs.define(eq=False, repr=False)
class Rooms:
    """
    What lives on one event loop.

    What changes: the batches that run there.
    """

    options: Options
    runtime: Runtime
    pool: SessionPool
    queue: SlotQueue
    poller: Poller
    submitter: Submitter
    on_demand: OnDemand
    take_up: TakeUp
    bells: Bells
    batches: set[Guest] = attrs.field(factory=set, init=False)
    naming: Naming = attrs.field(factory=Naming, init=False)
    #: What the journals that are open know of jobs that are under way.
    journals: set[Callable[[], Journalled]] = attrs.field(
        factory=set, init=False
    )
    _downloads: Downloads | None = attrs.field(default=None, init=False)
    _models: tuple[Model, ...] | None = attrs.field(default=None, init=False)

    @property
    def downloads(self) -> Downloads:
        """
        The way to disk, made when it is first gone.
        """
        if self._downloads is None:
            from ._output.disk import Disk
            from ._output.download import Downloads

            self._downloads = Downloads(
                self.pool.open_file,
                self.runtime.timeouts,
                Disk(self.runtime.executor),
                observers=self.runtime.observers,
            )
        return self._downloads

    def leave_to_parent(self) -> None:
        """
        In a forked child: let those go who wait, and touch nothing.
        """
        for batch in tuple(self.batches):
            batch.leave_to_parent()
        self.submitter.leave_to_parent()
        self.poller.leave_to_parent()
        self.queue.close()
        self.bells.close()
        self.runtime.waits.close()

    def jobs(self) -> tuple[Job, ...]:
        """
        Every unfinished job, and the requests that may be at the service.
        """
        return (*self.poller.jobs(), *self.submitter.jobs())

    def name(self, what: str, jobs: Iterable[Job]) -> None:
        """
        Warn of *jobs* that are left behind, with what takes them up again.
        """
        self.naming.warn(what, jobs, [known() for known in self.journals])

    def resume(
        self,
        receipt: Receipt,
        spec: Spec | None = None,
        bell: str | None = None,
    ) -> Job:
        """
        Take up a job that ran when it was last seen: it holds a slot at once.

        *bell* is the number of its webhook.
        """
        watch = Watch(receipt, spec)
        if bell is not None:
            watch.inquiry.bell = self.bells.hang(bell)
        watch = self.poller.resume(watch)
        if watch.job is None:
            watch.job = Job(watch, self.take_up)
        return watch.job

    async def renew(
        self, generation: Generation, receipt: Receipt | None = None
    ) -> Generation:
        """
        Ask for fresh links of a generation; all else of it stays.

        Args:
            generation: Which has an id.

            receipt: What its acceptance told, where that is known.

        Raises:
            JobError: There are none any more.
        """
        if receipt is None:
            receipt = receipt_by_name(
                generation.id or "", endpoint_of(generation.endpoint)
            )
        watch = Watch(receipt)
        watch.inquiry.again = True
        job = Job(watch, self.take_up)
        links = await job.result(self.runtime.timeouts.late_link)
        return renewed(generation, links)

    async def download(
        self, generation: Generation, directory: Path, *, overwrite: bool
    ) -> tuple[Path, ...]:
        """
        Save a generation's pictures; see `ModelsLab.download`.
        """
        observers, began = self.runtime.observers, self.runtime.now()
        fresh = partial(self.renew, generation) if generation.id else None
        try:
            saved = await self.downloads.store(
                generation, directory, fresh=fresh, overwrite=overwrite
            )
        except DownloadError as error:
            took = self.runtime.now() - began
            observers.not_saved(generation, error, took)
            raise
        paths = tuple(one.path for one in saved)
        observers.saved_all(generation, paths, self.runtime.now() - began)
        return paths

    async def models(self) -> tuple[Model, ...]:
        """
        The public models, asked for once.
        """
        if self._models is None:
            from ._protocol.uploads import encode_model_list, read_model_list

            self._models = await self.on_demand.calls.answer(
                encode_model_list(self.pool.base_url),
                read_model_list,
                "the list of models",
            )
        return self._models

    def stats(self) -> Stats:
        """
        What was done so far.
        """
        tally, slots = self.runtime.stats, self.queue.slots
        return Stats(
            accepted=tally.accepted,
            succeeded=tally.succeeded,
            failed=tally.failed,
            unknown=tally.unknown,
            unknown_ids=tuple(tally.unknown_ids),
            polls=tally.polls,
            refusals=tally.refusals,
            unfinished=len(self.jobs()),
            waiting=slots.waiting,
            slots=slots.limit,
            slots_held=slots.held,
            uploads=tally.uploads,
            waiting_for=self.runtime.waits.waiting_for(),
        )


def build(options: Options, take_up: TakeUp) -> Rooms:
    """
    All that a client needs, on the running loop; no I/O yet.
    """
    timeouts = options.timeouts
    runtime = Runtime(timeouts, Observers(list(options.observers)))
    budget = RetryBudget(options.retry.budget)
    bells = Bells(runtime, options.doorbell)
    pool = SessionPool(runtime, options.key, options.base_url, options.network)
    slots = Slots(
        slots=options.slots,
        ageing=timeouts.queue_ageing,
        usual=timeouts.reopen_first,
        longest=timeouts.reopen_longest,
        patience=timeouts.probe_answer,
    )
    account = AccountBreaker(timeouts.account_probe)
    queue = SlotQueue(slots, account, runtime)
    poller = Poller(
        runtime,
        pool,
        queue,
        budget,
        options.job_timeout,
        Pacer(runtime, Pace(options.polling)),
    )
    on_demand = OnDemand(runtime, pool, poller, options.retry)
    bells.silenced = poller.ask_as_without_bells
    if options.doorbell is not None:
        pool.hide = options.doorbell.scrub
    sender = Sender(runtime, pool, queue, poller, budget, bells, on_demand)
    submitter = Submitter(
        runtime, poller, bells, sender, options.retry, take_up
    )
    pool.open()
    bells.listen()
    rooms = Rooms(
        options,
        runtime,
        pool,
        queue,
        poller,
        submitter,
        on_demand,
        take_up,
        bells,
    )
    runtime.in_child.append(partial(_leave, weakref.ref(rooms)))
    return rooms


def _leave(ref: weakref.ref[Rooms]) -> None:
    # They know their client, which may be forgotten.
    rooms = ref()
    if rooms is not None:
        rooms.leave_to_parent()


def _callable(value: object) -> bool:
    return callable(value)
