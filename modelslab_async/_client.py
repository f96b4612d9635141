"""
Here lives `ModelsLab`: it owns the rooms, and opens and closes them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
import weakref

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import TYPE_CHECKING, Self

import attrs

from ._engine.api_key import ApiKey
from ._engine.http import NetworkOptions, SessionPool, TraceConfig
from ._engine.links import origin_of
from ._engine.poller import Counts, Job, Jobs, job_of, named, to_its_end
from ._engine.slot_queue import SlotQueue
from ._engine.submitter import Submits
from ._policy.breakers import AccountBreaker
from ._policy.polling import PollSchedule
from ._policy.retry import RetryBudget, RetryPolicy
from ._policy.slots import Slots
from ._policy.timeouts import Timeouts
from .errors import (
    ClientClosedError,
    ConfigurationError,
    GenerationFailedError,
    JobUnfinishedError,
)
from .events import Observer, Observers
from .results import Generation, Image
from .specs import Endpoint, Spec, TextToImage


if TYPE_CHECKING:
    # Only where they are needed: who imports us for a picture or two should
    # not wait for what makes batches durable.
    from ._batch.batch import Batch
    from ._output.download import Downloads
    from .journal.protocol import Journal


_log = logging.getLogger("modelslab_async")


BASE_URL = "https://modelslab.com/api/v6"


_INTERACTIVE, _BATCH = 0, 10


@attrs.frozen
class Stats:
    """
    What a client has done so far, and how it stands.

    Attributes:
        accepted: Requests that the service took.

        succeeded: Jobs that ended with pictures.

        failed: Jobs that ended without.

        unknown: Requests that were sent, and of which no verdict came.

        unknown_ids: The last thousand of those, by track_id.

        polls: Questions asked.

        refusals: How often the queue was full.

        unfinished: Jobs under way now.

        waiting: Requests in line now.

        slots: How many unfinished jobs we think the account may have.

        slots_held: How many of them are ours.
    """

    accepted: int
    succeeded: int
    failed: int
    unknown: int
    unknown_ids: tuple[str, ...]
    polls: int
    refusals: int
    unfinished: int
    waiting: int
    slots: int
    slots_held: int


@attrs.define(eq=False, repr=False)
class _Rooms:
    """
    What lives on one event loop.
    """

    pool: SessionPool
    queue: SlotQueue
    jobs: Jobs
    submits: Submits
    max_downloads: int
    origin: str
    run: str | None
    batches: set[Batch] = attrs.field(factory=set)
    _downloads: Downloads | None = None

    @property
    def downloads(self) -> Downloads:
        """
        The way to disk, made when it is first gone.
        """
        if self._downloads is None:
            from ._output.download import Downloads

            self._downloads = Downloads(
                self.pool.open_file, self.jobs.timeouts
            )
        return self._downloads


class ModelsLab:
    """
    A client of the ModelsLab image API.

    Opens at ``async with``, or at first use, on the running loop; `aclose`,
    or the last ``async with`` out, closes it.

    Args:
        api_key: The account's key, or a function that gives it as it is now
            (rotation).  Default: ``MODELSLAB_API_KEY``.

        base_url: Default: ``MODELSLAB_BASE_URL``, else the real service.

        slots: Unfinished jobs to start with, and never more; None starts at 5,
            the smallest plan, and learns from refusals.

        job_timeout: Seconds after its acceptance for which a job is watched.

        max_downloads: Pictures that are loaded at once.

        polling: When to ask for a job again.

        retry: What to try again, and how often.

        observers: Functions that are told what happens; see `events`.

        trusted_hosts: Hosts (``host`` or ``host:port``) that pictures may be
            loaded from over http, or at addresses that are not global.

        proxy: URL of an http proxy.

        ssl: An `ssl.SSLContext` for the service's certificates.

        trace_configs: For aiohttp's own tracing.  They see bodies, and with
            them the key.

        waits: For simulators that run faster than life.

    Raises:
        ConfigurationError: An option cannot be; all of them are named.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str] | None = None,
        *,
        base_url: str | None = None,
        slots: int | None = None,
        job_timeout: float = 1800.0,
        max_downloads: int = 16,
        polling: PollSchedule = PollSchedule(),  # noqa: B008 - frozen
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        observers: Iterable[Observer] = (),
        trusted_hosts: Sequence[str] = (),
        proxy: str | None = None,
        ssl: SSLContext | None = None,
        trace_configs: Sequence[TraceConfig] = (),
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        self._rooms: _Rooms | None = None
        self._depth = 0
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        if api_key is None:
            api_key = os.environ.get("MODELSLAB_API_KEY") or None
        faults = list(_keyless(api_key))
        self._key = ApiKey(api_key or "")
        # The frame of an error that follows must not have it.
        del api_key
        url = base_url or os.environ.get("MODELSLAB_BASE_URL") or BASE_URL
        self._base_url = str(url).rstrip("/")
        faults += _faults(
            self._base_url, slots, job_timeout, max_downloads, polling
        )
        if faults:
            raise ConfigurationError("; ".join(faults))
        self._slots = slots
        self._job_timeout = job_timeout
        self._polling = polling
        self._retry = retry
        self._observers = tuple(observers)
        self._network = NetworkOptions(
            max_downloads=max_downloads,
            trusted_hosts=(
                (trusted_hosts,)
                if isinstance(trusted_hosts, str)
                else tuple(trusted_hosts)
            ),
            proxy=proxy,
            ssl=ssl or True,
            trace_configs=tuple(trace_configs),
        )
        self._waits = timeouts
        #: What a journal is bound to; the shell's simulator has another name.
        self._origin = origin_of(self._base_url)
        self._run_id: str | None = None

    def __repr__(self) -> str:
        rooms = self._rooms
        if self._closed:
            state = "closed"
        elif rooms is None:
            state = "not open"
        else:
            state = f"open, {len(rooms.jobs.unfinished())} unfinished"
        return f"<ModelsLab {self._base_url} {state}>"

    # Lifetime

    async def __aenter__(self) -> Self:
        closing = self._closing
        if closing and closing.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({closing})
        self._open(anew=True)
        self._depth += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth = max(0, self._depth - 1)
        if self._depth == 0:
            await self.aclose()

    async def aclose(self) -> None:
        """
        Close the client, whoever else uses it.

        New and waiting calls get `ClientClosedError`.  Requests under way are
        waited for, up to 10 s.  Those who wait for a job get
        `JobUnfinishedError` with its id, and one WARNING names each job that
        is paid and unfinished.  May be called again, and in a cancelled task.
        """
        rooms = self._rooms
        if rooms is not None and rooms.jobs.loop.is_closed():
            self._bury(rooms)
            rooms = None
        if rooms and rooms.jobs.loop is not asyncio.get_running_loop():
            rooms.jobs.check()
        self._depth = 0
        self._closed = True
        if rooms is None:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(rooms))
        # A cancelled task still has to see its paid answers in.
        await to_its_end(self._closing)

    async def _close(self, rooms: _Rooms) -> None:
        try:
            for batch in tuple(rooms.batches):
                batch.stop(ClientClosedError())
            rooms.queue.empty(ClientClosedError())
            await rooms.submits.close()
            rooms.jobs.close()
            rooms.queue.close()
            await rooms.jobs.join()
            for batch in tuple(rooms.batches):
                await batch.aclose()
            await rooms.pool.aclose()
        except asyncio.CancelledError:
            # The loop itself ends: what is paid still has to be named.
            rooms.jobs.close()
            rooms.queue.close()
            await rooms.pool.aclose()
            raise
        finally:
            self._rooms = None
            self._closing = None
            self._watch.detach()

    def _open(self, *, anew: bool = False) -> _Rooms:
        """
        The rooms on the running loop; *anew*: also after it was closed.

        Raises:
            ClientClosedError: The client was closed.

            WrongLoopError: It is open on another loop, or before a fork.
        """
        rooms = self._rooms
        if rooms is not None and rooms.jobs.loop.is_closed():
            self._bury(rooms)
            rooms = None
        if self._closed and not anew:
            raise ClientClosedError
        if rooms is None:
            rooms = self._rooms = self._build()
        rooms.jobs.check()
        self._closed = False
        return rooms

    def _bury(self, rooms: _Rooms) -> None:
        """
        The loop ended under us: say what it left behind.
        """
        self._rooms = None
        self._closing = None
        self._depth = 0
        self._watch.detach()
        left = rooms.jobs.unfinished()
        if left:
            _log.warning(
                "the event loop ended with %d unfinished: %s",
                len(left),
                named(left),
            )
        rooms.pool.abandon()

    def _build(self) -> _Rooms:
        timeouts = self._waits
        observers = Observers(list(self._observers))
        counts = Counts()
        budget = RetryBudget(self._retry.budget)
        pool = SessionPool(
            key=self._key,
            base_url=self._base_url,
            timeouts=timeouts,
            options=self._network,
        )
        slots = Slots(
            slots=self._slots,
            ageing=timeouts.queue_ageing,
            shortest=timeouts.reopen_first,
            longest=timeouts.reopen_longest,
            patience=timeouts.probe_answer,
        )
        queue = SlotQueue(
            slots, AccountBreaker(timeouts.account_probe), observers
        )
        jobs = Jobs(
            pool,
            queue,
            self._polling,
            budget,
            timeouts,
            observers,
            counts,
            self._job_timeout,
        )
        submits = Submits(
            pool,
            jobs,
            queue,
            self._retry,
            budget,
            timeouts,
            observers,
            counts,
            self._jobs_here,
        )
        pool.open()
        # Not `__del__`: it would come after that of the sessions.
        self._watch = weakref.finalize(self, _forgotten, pool, self._base_url)
        return _Rooms(
            pool,
            queue,
            jobs,
            submits,
            self._network.max_downloads,
            self._origin,
            self._run_id,
        )

    def _jobs_here(self) -> Jobs:
        return self._open().jobs

    # Calls

    async def generate(
        self,
        spec: Spec,
        *,
        timeout: float | None = None,
        priority: int = _INTERACTIVE,
    ) -> Generation:
        """
        Ask for pictures, and wait for them.

        Args:
            spec: What to ask for.

            timeout: Seconds to wait, the line included.  Neither a timeout
                nor a cancelled task loses the job: see `jobs`.

            priority: Place in the line: lower goes first, 0 for calls, 10 for
                batches.

        Raises:
            JobUnfinishedError: Time is up; *sent* says whether a request left.

            OutcomeUnknownError: A request left, and no verdict came.

            ModelsLabError: What the service, or the network, said.
        """
        clock = self._open().jobs.loop.time
        started = clock()
        tries = 0
        while True:
            left = _left(timeout, started, clock())
            job = None
            try:
                job = await self.submit(spec, timeout=left, priority=priority)
                return await job.result(_left(timeout, started, clock()))
            except GenerationFailedError:
                # Each is a new job to pay for: only if the user said so.
                if tries >= self._retry.resubmit_failed:
                    raise
                tries += 1
            except JobUnfinishedError as error:
                waited = clock() - started
                raise JobUnfinishedError(
                    error.job_id, error.track_id, waited, error.sent
                ) from None
            except ClientClosedError:
                if job is None:
                    raise
                # It is paid, and only here does its caller hear of it.
                waited = clock() - started
                raise JobUnfinishedError(
                    job.id, job.track_id, waited
                ) from None

    async def submit(
        self,
        spec: Spec,
        *,
        timeout: float | None = None,
        priority: int = _INTERACTIVE,
    ) -> Job:
        """
        Ask for pictures, and wait until the service has taken the job.

        Raises: as `generate`.
        """
        submits = self._open().submits
        submission = submits.start(spec, priority=priority)
        return await submits.wait(submission, timeout)

    def job(
        self, id_or_handle: str | int, *, endpoint: type = TextToImage
    ) -> Job:
        """
        Take up a job by its id, or by its `Job.handle`; no I/O.

        Raises:
            ConfigurationError: It is neither.
        """
        described = getattr(endpoint, "endpoint", None)
        if not isinstance(described, Endpoint):
            raise ConfigurationError(f"not an endpoint: {endpoint!r}")
        job = job_of(id_or_handle, self._jobs_here, described)
        rooms = self._rooms
        if rooms is None or rooms.jobs.loop.is_closed() or job.id is None:
            return job
        return rooms.jobs.find(job.id) or job

    def jobs(self) -> tuple[Job, ...]:
        """
        Every unfinished job, also those that nobody waits for.
        """
        return () if self._rooms is None else self._rooms.jobs.unfinished()

    def stats(self) -> Stats:
        """
        What was done so far, since the client was last opened.
        """
        rooms = self._rooms
        if rooms is None:
            return Stats(0, 0, 0, 0, (), 0, 0, 0, 0, self._slots or 5, 0)
        counts, slots = rooms.jobs.counts, rooms.queue.slots
        return Stats(
            accepted=counts.accepted,
            succeeded=counts.succeeded,
            failed=counts.failed,
            unknown=counts.unknown,
            unknown_ids=tuple(counts.unknown_ids),
            polls=counts.polls,
            refusals=counts.refusals,
            unfinished=len(rooms.jobs.unfinished()),
            waiting=slots.waiting,
            slots=slots.limit,
            slots_held=slots.held,
        )

    # Pictures

    async def download(
        self,
        generation: Generation,
        directory: str | os.PathLike[str],
        *,
        overwrite: bool = False,
    ) -> tuple[Path, ...]:
        """
        Save a generation's pictures, as ``{id}-{n}.{ext}`` in *directory*.

        Each is whole or not there at all.  A link that is missing for a while
        is waited for; then its proxy is tried, then fresh links.

        Args:
            generation: Whose pictures.

            directory: Made where it is missing.

            overwrite: Replace what is there; else the same picture is kept,
                and another one of that name is an error.

        Raises:
            DownloadError: What could not be had, with the *paths* that could.
        """
        rooms = self._open()

        async def fresh() -> Generation:
            job = job_of(str(generation.id), self._jobs_here)
            return await job.result(self._waits.late_link)

        saved = await rooms.downloads.store(
            generation,
            Path(directory),
            fresh=fresh if generation.id is not None else None,
            overwrite=overwrite,
        )
        for one in saved:
            rooms.jobs.observers.saved(
                generation.track_id, generation.id, str(one.path)
            )
        return tuple(one.path for one in saved)

    async def save(self, image: Image, path: str | os.PathLike[str]) -> Path:
        """
        Save one picture to exactly *path*, replacing what is there.

        Raises:
            DownloadError: It could not be had, or not be kept.
        """
        return await self._open().downloads.save(image, Path(path))

    async def read(self, image: Image) -> bytes:
        """
        One picture's bytes, whole.

        Raises:
            DownloadError: It could not be had.
        """
        return await self._open().downloads.read(image)

    # Batches

    def batch(
        self,
        specs: Iterable[Spec] | AsyncIterable[Spec],
        *,
        output: str | os.PathLike[str] | None = None,
        journal: str | os.PathLike[str] | Journal | None = None,
        items: Iterable[str | None] | None = None,
        ordered: bool = False,
        priority: int = _BATCH,
        max_failures: int | None = None,
        max_jobs: int | None = None,
        max_images: int | None = None,
        resubmit_unknown: bool = False,
        resubmit_failed: bool = False,
        new_key: bool = False,
    ) -> Batch:
        """
        Ask for many, lazily, within the account's slots.

        ``async with`` it and iterate for outcomes as they finish, or await it
        for a list in input order.

        Args:
            specs: Any iterable or async iterable; pulled only when there is
                room.

            output: A folder that makes it durable: pictures, a page to look
                at them, and a journal to go on from.

            journal: A journal's path, without files.

            items: Keys of one's own for the items, in the same order; None
                for an item that has none.

            ordered: Outcomes in input order.

            priority: Place in the line, lower first.

            max_failures: Stop asking after so many failed items.

            max_jobs: Stop asking after so many requests.

            max_images: Stop asking before more pictures than that.

            resubmit_unknown: Ask again for what the journal knows to be of
                unknown outcome: it may be billed twice.

            resubmit_failed: Ask again for what the service failed.

            new_key: The key is another one of the same account.

        Raises:
            ConfigurationError: Options that exclude each other.

            JournalError: When it is entered: the journal cannot be used.
        """
        from ._batch.batch import Batch
        from ._batch.outcome import BatchOptions

        return Batch(
            self._open,
            specs,
            BatchOptions(
                output=None if output is None else Path(output),
                journal=journal,
                items=items,
                ordered=ordered,
                priority=priority,
                max_failures=max_failures,
                max_jobs=max_jobs,
                max_images=max_images,
                resubmit_unknown=resubmit_unknown,
                resubmit_failed=resubmit_failed,
                new_key=new_key,
            ),
        )


def _forgotten(pool: SessionPool, base_url: str) -> None:
    """
    Say that a client was left open, and close what it had open.
    """
    pool.abandon()
    warnings.warn(
        f"the client of {base_url} was left open; "
        "use `async with`, or `aclose()`",
        ResourceWarning,
        stacklevel=1,
    )


def _left(timeout: float | None, started: float, now: float) -> float | None:
    return None if timeout is None else max(0.0, timeout - (now - started))


def _keyless(api_key: object) -> Iterable[str]:
    if api_key is None or (isinstance(api_key, str) and not api_key.strip()):
        yield (
            "api_key: none given; get one at "
            "https://modelslab.com/dashboard/api-keys and set "
            "MODELSLAB_API_KEY"
        )
    elif not (isinstance(api_key, str) or callable(api_key)):
        yield "api_key: a text, or a function that gives one"


def _faults(
    base_url: str,
    slots: object,
    job_timeout: float,
    max_downloads: object,
    polling: object,
) -> Iterable[str]:
    if not origin_of(base_url):
        yield f"base_url: an http(s) address, not {base_url!r}"
    if slots is not None and not _whole(slots):
        yield f"slots: a whole number from 1, or None, not {slots!r}"
    if not job_timeout > 0:
        yield f"job_timeout: seconds above 0, not {job_timeout!r}"
    if not _whole(max_downloads):
        yield f"max_downloads: a whole number from 1, not {max_downloads!r}"
    if not isinstance(polling, PollSchedule):
        yield f"polling: a PollSchedule, as .fixed(2) gives, not {polling!r}"


def _whole(number: object) -> bool:
    return (
        isinstance(number, int)
        and not isinstance(number, bool)
        and number >= 1
    )
