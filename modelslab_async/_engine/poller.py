"""
Here lives time: `Job`, the one poll loop that resolves all of them, and the
line for slots.

A job holds its slot (a `Ticket`) from just before its request is sent until
its end is known, also when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import heapq
import json
import logging
import os
import random

from collections import deque
from collections.abc import AsyncIterator, Generator, Hashable, Iterable
from contextvars import Context, copy_context
from typing import Protocol

import anyio
import attrs

from .._policy.polling import Pace, PollSchedule, TokenBucket
from .._policy.retry import RetryBudget, backoff
from .._policy.tickets import Ticket
from .._policy.timeouts import Timeouts
from .._policy.verdicts import PollVerdict, judge_poll
from .._protocol.decode import decode
from .._protocol.encode import (
    clean_id,
    encode_poll,
    fetch_result_id,
    fetch_url,
    other_fetch_url,
)
from .._protocol.refusals import refusal_error
from .._protocol.replies import (
    Call,
    CallResult,
    Processing,
    Refusal,
    Reply,
    Success,
    Topic,
    Unreadable,
    Unsent,
)
from ..errors import (
    ClientClosedError,
    ConfigurationError,
    GenerationFailedError,
    JobNotFoundError,
    JobUnfinishedError,
    ModelsLabError,
    WrongLoopError,
)
from ..events import Event, JobAccepted, JobFinished, JobPolled, Observers
from ..results import JSON, Generation, Image, JobState, JobUpdate
from ..specs import Endpoint, Spec, TextToImage
from .http import POLLS, SessionPool
from .slot_queue import SlotQueue, afresh


_log = logging.getLogger("modelslab_async")


_HANDLE = "ml1."


#: How often a success without a picture is asked again, and an unknown id.
_EMPTY, _LOST = 3, 3


class Home(Protocol):
    """
    What a job asks for its client's rooms.
    """

    def __call__(self) -> Jobs: ...


@attrs.define(eq=False, repr=False)
class Job:
    """
    A request that was accepted, or is about to be.

    Await it, or `result`, for its `Generation`; it goes on being watched
    when whoever waits goes away.

    What changes: what the service has told of it, and who waits.

    Attributes:
        id: The service's id; None until it has answered.

        track_id: The name of the request.

        spec: What was asked for; None for jobs taken up by their id.

        state: See `JobState`.

        eta: Seconds that the service guessed last.

        expected_urls: Where the pictures will lie; answers 404 until then.
    """

    _home: Home
    endpoint: Endpoint
    id: str | None = None
    track_id: str | None = None
    spec: Spec | None = None
    state: JobState = JobState.PROCESSING
    eta: float | None = None
    expected_urls: tuple[str, ...] = ()
    #: The rest is told by the submit's answer, and not by the polls'.
    _fetch_result: str | None = None
    _seed: int | None = None
    _meta: bytes = b"{}"
    #: What the service guessed when it accepted the job.
    _guess: float | None = None
    #: The clock of the loop.
    _since: float = 0.0
    _due: float = 0.0
    _last: float = 0.0
    _asked: int = 0
    _fails: int = 0
    _empty: int = 0
    _lost: int = 0
    _lost_since: float = 0.0
    _other_form: bool = False
    _other_id: bool = False
    #: The question, made once; None when what it is made of has changed.
    _call: Call | None = None
    #: The last answer that said "not yet", and what it means.
    _body: bytes = b""
    _heard: Processing | None = None
    _asking: bool = False
    _message: str | None = None
    _ticket: Ticket | None = None
    _ended: Generation | ModelsLabError | None = None
    #: Done when the job ends, or with what those who wait now have to know.
    _signals: set[asyncio.Future[ModelsLabError | None]] | None = None
    _news: asyncio.Future[ModelsLabError | None] | None = None
    _context: Context | None = None
    _jobs: Jobs | None = None

    def __repr__(self) -> str:
        return f"<Job {self.id or self.track_id} {self.state.value}>"

    @property
    def handle(self) -> str:
        """
        A text to store: `ModelsLab.job()` takes the job up from it, in any
        process, with all that the service told when it accepted it.
        """
        facts: dict[str, JSON] = {
            "e": self.endpoint.name,
            "i": self.id,
            "t": self.track_id,
            "f": self._fetch_result,
            "s": self._seed,
            "u": list(self.expected_urls),
        }
        known = {
            k: fact for k, fact in facts.items() if fact not in (None, [])
        }
        text = json.dumps(known, separators=(",", ":"))
        packed = base64.urlsafe_b64encode(text.encode()).decode()
        return _HANDLE + packed.rstrip("=")

    def __await__(self) -> Generator[object, None, Generation]:
        return self.result().__await__()

    async def result(self, timeout: float | None = None) -> Generation:
        """
        Wait for the pictures.

        Args:
            timeout: Seconds to wait; None waits until the client's
                *job_timeout* after the job's acceptance.

        Raises:
            GenerationFailedError: The service gave up on it.

            JobNotFoundError: The service does not know it.

            JobUnfinishedError: Time is up; the job goes on.

            OutcomeUnknownError: Its request got no verdict.

            ApiError: The account was refused while we waited.
        """
        if isinstance(self._ended, Generation):
            return self._ended
        if self._ended is None or self.state is JobState.UNFINISHED:
            await self._here().wait(self, timeout)
        return self._outcome()

    def _here(self) -> Jobs:
        """
        Where it is watched; a job does not move to another loop by itself.
        """
        jobs = self._jobs
        if jobs is not None and jobs.closed_here():
            # The client may be open anew.
            return self._home()
        return jobs or self._home()

    def _outcome(self) -> Generation:
        if isinstance(self._ended, Generation):
            return self._ended
        if self._ended is None:
            raise JobUnfinishedError(self.id, self.track_id)
        raise afresh(self._ended) from self._ended.__cause__

    async def refresh(self) -> JobUpdate:
        """
        Ask the service now, once; give how the job stands.

        Raises:
            ApiError: The account was refused.
        """
        if self._ended is None or self.state is JobState.UNFINISHED:
            await self._here().ask_now(self)
        return self._update()

    async def updates(self) -> AsyncIterator[JobUpdate]:
        """
        Give how the job stands, now and after each poll, until it ends.

        Raises:
            ApiError: The account was refused while we waited.
        """
        yield self._update()
        while self._ended is None:
            await self._here().news(self)
            yield self._update()

    def _update(self) -> JobUpdate:
        elapsed = self._last
        if self._since and self._ended is None:
            elapsed = asyncio.get_running_loop().time() - self._since
        return JobUpdate(
            self.state, self.eta, elapsed, self._asked, self._message
        )

    def _kind(self) -> Hashable:
        return self.endpoint.name if self.spec is None else self.spec.kind


def job_of(
    text: str | int, home: Home, endpoint: Endpoint = TextToImage.endpoint
) -> Job:
    """
    A job by its id or its handle; no I/O.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(text, str) and text.startswith(_HANDLE):
        facts = _unpacked(text)
        job_id = clean_id(facts.get("i"))
        if job_id is None or facts.get("e") != endpoint.name:
            raise ConfigurationError(f"not a job's handle: {text[:40]!r}")
        track_id, link, seed, urls = (facts.get(k) for k in "tfsu")
        return Job(
            home,
            endpoint,
            job_id,
            track_id if isinstance(track_id, str) else None,
            fetch_result=link if isinstance(link, str) else None,
            seed=seed if isinstance(seed, int) else None,
            expected_urls=tuple(u for u in urls if isinstance(u, str))
            if isinstance(urls, list)
            else (),
        )
    job_id = clean_id(text)
    if job_id is None:
        raise ConfigurationError(
            f"not a job's id: {str(text)[:40]!r}; "
            "an id has up to 128 letters, digits, - and _"
        )
    return Job(home, endpoint, job_id)


def _unpacked(handle: str) -> dict[str, JSON]:
    packed = handle.removeprefix(_HANDLE)
    try:
        found = json.loads(
            base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
        )
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@attrs.define(eq=False)
class Counts:
    """
    What a client has done so far, for `ModelsLab.stats()`.
    """

    accepted: int = 0
    succeeded: int = 0
    failed: int = 0
    polls: int = 0
    refusals: int = 0
    unknown: int = 0
    #: The last of them, by track_id.
    unknown_ids: deque[str] = attrs.field(factory=lambda: deque(maxlen=1000))


@attrs.define(eq=False, repr=False)
class Jobs:
    """
    Every unfinished job of a client, and the loop that asks for them.

    What changes: which jobs are watched, and when each is due.
    """

    pool: SessionPool
    queue: SlotQueue
    schedule: PollSchedule
    budget: RetryBudget
    timeouts: Timeouts
    observers: Observers
    counts: Counts
    job_timeout: float
    #: Seconds that a job took lately; None before the first.
    usual: float | None = attrs.field(default=None, init=False)
    loop: asyncio.AbstractEventLoop = attrs.field(
        factory=asyncio.get_running_loop, init=False, repr=False
    )
    _closed: bool = attrs.field(default=False, init=False)
    _pid: int = attrs.field(factory=os.getpid, init=False, repr=False)
    _pace: Pace = attrs.field(init=False, repr=False)
    _bucket: TokenBucket = attrs.field(init=False, repr=False)
    _all: dict[Job, None] = attrs.field(factory=dict, init=False, repr=False)
    _by_id: dict[str, Job] = attrs.field(factory=dict, init=False, repr=False)
    _heap: list[tuple[float, int, Job]] = attrs.field(
        factory=list, init=False, repr=False
    )
    _count: int = attrs.field(default=0, init=False, repr=False)
    _asking: dict[Job, tuple[float, asyncio.Task[None]]] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _timer: asyncio.TimerHandle | None = attrs.field(
        default=None, init=False, repr=False
    )
    #: Polls are nobody's: not in the context of whoever came last.
    _context: Context = attrs.field(
        factory=copy_context, init=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        self._pace = Pace(self.schedule)
        self._bucket = TokenBucket(self.schedule.budget * self.timeouts.speed)

    def unfinished(self) -> tuple[Job, ...]:
        """
        Every unfinished job, also those that nobody waits for.
        """
        return tuple(self._all)

    def find(self, job_id: str) -> Job | None:
        """
        The job of this id, while it is watched.
        """
        return self._by_id.get(job_id)

    def check(self) -> None:
        """
        Refuse what comes too late, or from elsewhere.

        Raises:
            ClientClosedError: The client was closed.

            WrongLoopError: This is another loop, or another process.
        """
        if os.getpid() != self._pid:
            raise WrongLoopError(
                "the client was opened before a fork; make one in each process"
            )
        if self.loop.is_closed():
            raise WrongLoopError(
                "the job's event loop is closed; "
                "take it up with `lab.job(job.handle)`"
            )
        if asyncio.get_running_loop() is not self.loop:
            raise WrongLoopError(
                "the client is open on another event loop; "
                "use one client for each loop"
            )
        if self._closed:
            raise ClientClosedError

    def closed_here(self) -> bool:
        """
        Whether this was closed, on the loop that runs now.
        """
        return self._closed and self.loop is asyncio.get_running_loop()

    # From a request to a job

    def begin(self, job: Job, ticket: Ticket) -> None:
        """
        A request for *job* is about to leave.
        """
        job._ticket, job._jobs = ticket, self
        self._all[job] = None

    def accept(self, job: Job, answer: Processing | Success) -> None:
        """
        The service took the request: watch the job to its end.
        """
        now = self.loop.time()
        job.id = answer.id
        job.expected_urls = answer.expected_urls
        job._fetch_result = answer.fetch_result
        job._seed = answer.seed
        job._meta = answer.meta_json
        self.counts.accepted += 1
        eta = None
        if isinstance(answer, Processing):
            eta = job.eta = job._guess = answer.eta
            job._message = answer.message
        if self.observers:
            self.tell(job, JobAccepted(job.track_id, answer.id, eta))
        if isinstance(answer, Success) and answer.images:
            job._since = now
            self._end(job, _generation(job, answer))
        else:
            self._watch(job, now)

    def resume(self, job: Job) -> None:
        """
        Take up a job that ran when it was last seen: it holds a slot at once.
        """
        job._ticket = self.queue.adopt()
        self._watch(job, self.loop.time(), first=0.0)

    def forget(self, job: Job) -> None:
        """
        A try came to nothing, its place given back by the caller.
        """
        self._all.pop(job, None)
        job._ticket = None

    def lose(self, job: Job, error: ModelsLabError) -> None:
        """
        A request came to nothing: those who wait for its job hear why.
        """
        if job._ended is None:
            self._settle(job, error, JobState.LOST)

    def _watch(self, job: Job, now: float, first: float | None = None) -> None:
        job._since, job._jobs = now, self
        job._ended = None
        job.state = JobState.PROCESSING
        self._all[job] = None
        if job.id is not None:
            self._by_id[job.id] = job
        self._plan(job, now, first)

    # From a job to its end

    async def wait(self, job: Job, timeout: float | None) -> None:
        """
        Wait until *job* has ended.

        Raises:
            JobUnfinishedError: *timeout* seconds are over.

            ApiError: The account was refused.
        """
        self.check()
        started = self.loop.time()
        self._take_up(job)
        signal = self.loop.create_future()
        if job._signals is None:
            job._signals = set()
        signals = job._signals
        signals.add(signal)
        timer = None
        if timeout is not None:
            timer = self.loop.call_later(timeout, settle, signal)
        try:
            said = await signal
        finally:
            if timer is not None:
                timer.cancel()
            signals.discard(signal)
        if said is not None:
            raise afresh(said)
        if job._ended is None:
            waited = self.loop.time() - started
            raise JobUnfinishedError(job.id, job.track_id, waited)

    async def news(self, job: Job) -> None:
        """
        Wait until *job* has been asked for once more.

        Raises:
            ApiError: The account was refused.
        """
        self.check()
        self._take_up(job)
        if job._news is None:
            job._news = self.loop.create_future()
        news = job._news
        await asyncio.wait({news})
        said = news.result()
        if said is not None:
            raise afresh(said)

    async def ask_now(self, job: Job) -> None:
        """
        Ask for *job* without waiting for its turn.
        """
        self.check()
        self._take_up(job)
        if job.id is not None and not job._asking:
            self._plan(job, self.loop.time(), 0.0)
        await self.news(job)

    def _take_up(self, job: Job) -> None:
        if self.observers and job._context is None:
            job._context = copy_context()
        # Without an id its request is under way, and will be heard of.
        if job not in self._all and job.id is not None:
            self._watch(job, self.loop.time(), first=0.0)

    def _plan(self, job: Job, now: float, pause: float | None = None) -> None:
        """
        Put the job's next poll on the heap.
        """
        if pause is None:
            pause = self._pause(job, now)
        end = job._since + self.job_timeout
        job._due = max(now, min(now + pause, end))
        self._count += 1
        heapq.heappush(self._heap, (job._due, self._count, job))
        if self._heap[0][2] is job:
            self._wake(job._due)

    def _pause(self, job: Job, now: float) -> float:
        speed = self.timeouts.speed
        try:
            pause = self._pace.pause(
                job._kind(),
                eta=None if job._guess is None else job._guess * speed,
                waited=(now - job._since) * speed,
                dice=random.random(),
            )
        except Exception:  # noqa: BLE001 - a paid job is not left unasked
            _log.critical("the schedule died of a bug", exc_info=True)
            pause = self.schedule.longest
        return pause / speed

    # The loop

    def _wake(self, at: float) -> None:
        """
        See that the loop's next turn comes no later than *at*.
        """
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        if not self._closed:
            self._timer = self.loop.call_at(
                at, self._turn, context=self._context
            )

    def _turn(self) -> None:
        """
        One turn of the loop: end polls that hang, start those that are due.
        """
        self._timer = None
        now = self.loop.time()
        try:
            self._sweep(now)
            due = self._ask_due(now)
        except Exception:  # noqa: BLE001 - jobs go on
            _log.critical(
                "the poll loop died of a bug and is started again",
                exc_info=True,
            )
            for job in self.unfinished():
                if job.id is not None:
                    self._say(job, JobUnfinishedError(job.id, job.track_id))
            due = now + self.schedule.shortest
        if due is not None:
            self._wake(due)

    def _ask_due(self, now: float) -> float | None:
        """
        Start the polls that are due; give when to look again.
        """
        swept = None
        if self._asking:
            started, _ = next(iter(self._asking.values()))
            swept = started + self.timeouts.poll
        while self._heap:
            due, _, job = self._heap[0]
            if due != job._due or job not in self._all or job._asking:
                heapq.heappop(self._heap)
                continue
            if due > now:
                return due if swept is None else min(due, swept)
            if len(self._asking) >= POLLS:
                return swept
            pause = self._bucket.ready_in(now)
            if pause > 0:
                return now + pause
            self._bucket.take(now)
            heapq.heappop(self._heap)
            job._asking = True
            self._asking[job] = (now, self.loop.create_task(self._ask(job)))
        return swept

    def _sweep(self, now: float) -> None:
        """
        End polls that hang: one look at the oldest, instead of a timer each.
        """
        for job, (started, task) in tuple(self._asking.items()):
            # The timer's own sum: a difference may round to less, and spin.
            if now < started + self.timeouts.poll:
                break
            if not task.cancel():
                # Somebody cancelled it before it began.
                self._asked(job, well=False)

    async def _ask(self, job: Job) -> None:
        well = False
        heard: CallResult
        try:
            try:
                heard = await self._look(job)
            except ConfigurationError as error:
                _log.warning("job %s cannot be asked for: %s", job.id, error)
                heard = Unsent(error.reason)
            job._asking = False
            if job in self._all:
                self._hear(job, heard)
            well = True
        except Exception:  # noqa: BLE001 - other jobs go on
            _log.critical("a poll died of a bug", exc_info=True)
        finally:
            self._asked(job, well=well)

    def _asked(self, job: Job, *, well: bool) -> None:
        """
        A poll is over; not in a callback, which costs a turn of the loop.
        """
        del self._asking[job]
        job._asking = False
        if self._closed or self.loop.is_closed():
            return
        if not well:
            self._again(job, None)
        if len(self._asking) == POLLS - 1:
            # Others may have been due, and found no room.
            self._wake(self.loop.time())

    async def _look(self, job: Job) -> CallResult:
        """
        Ask for the job, in the form of fetch that it is known to answer.
        """
        heard = await self._fetch(job)
        if _no_such_route(heard):
            self._switch(job)
            other = await self._fetch(job)
            if not _no_such_route(other):
                return other
            self._switch(job)
        return heard

    def _switch(self, job: Job) -> None:
        """
        Ask for the job in the other form from now on.
        """
        job._other_form = not job._other_form
        job._call = None

    async def _fetch(self, job: Job) -> CallResult:
        if job._call is None:
            job._call = self._question(job)
        self.counts.polls += 1
        job._asked += 1
        reply = await self.pool.poll(job._call)
        if not isinstance(reply, Reply):
            return reply
        # Most answers repeat the one before, to the byte.
        if job._heard is not None and (
            reply.body == job._body and reply.status == job._heard.http
        ):
            return job._heard
        heard = decode(reply)
        if isinstance(heard, Processing):
            job._body, job._heard = reply.body, heard
        return heard

    def _question(self, job: Job) -> Call:
        base, link, job_id = self.pool.base_url, job._fetch_result, job.id
        if job_id is None:
            raise ConfigurationError("a job without an id cannot be fetched")
        if job._other_id:
            link = None
        url = fetch_url(base, link, job.endpoint, job_id)
        if url == link:
            # The same text, kept once: there may be 10,000 of these.
            url = link
        # The id of the link and the job's own may differ: the link's is asked.
        asked = fetch_result_id(url) or job_id
        if job._other_form:
            url = other_fetch_url(base, job.endpoint)
        large = job.spec is not None and job.spec.inline
        return encode_poll(url, asked, base64=large)

    # What a poll said: the second table of `_retrying`, played out

    def _hear(self, job: Job, heard: CallResult) -> None:
        now = self.loop.time()
        elapsed = now - job._since
        row = judge_poll(heard)
        if self.observers:
            self.tell(
                job, JobPolled(job.track_id, job.id, job._asked, elapsed)
            )
        if isinstance(heard, Processing | Refusal):
            job._message = heard.message
        elif isinstance(heard, Success):
            job._message = None
        if row is not PollVerdict.NOT_FOUND:
            job._lost = 0
        match row, heard:
            case PollVerdict.DONE, Success():
                self._done(job, heard, elapsed)
            case PollVerdict.EMPTY, Success():
                self._empty(job, heard)
            case PollVerdict.FAILED, Refusal():
                self._end(
                    job,
                    GenerationFailedError(
                        job.id,
                        job.track_id,
                        heard.message,
                        json.loads(heard.raw_json),
                    ),
                )
            case PollVerdict.NOT_FOUND, _:
                self._not_found(job, now)
            case PollVerdict.ACCOUNT, Refusal() | Unreadable():
                error = refusal_error(heard)
                self.queue.shut(error)
                self._say(job, error)
                if not self._late(job, now):
                    self._plan(job, now, self.timeouts.account_probe)
            case PollVerdict.AGAIN, Processing():
                self._runs(job, heard, now)
            case _:
                self._again(job, heard)

    def _runs(self, job: Job, answer: Processing, now: float) -> None:
        """
        The service works on it: ask again on schedule.
        """
        if job._ticket is None:
            job._ticket = self.queue.adopt()
        job._fails = 0
        job._last = now - job._since
        if answer.eta is not None:
            job.eta = answer.eta
        job.expected_urls = job.expected_urls or answer.expected_urls
        self.budget.earn()
        self._say_news(job)
        if not self._late(job, now):
            self._plan(job, now)

    def _done(self, job: Job, answer: Success, elapsed: float) -> None:
        speed = self.timeouts.speed
        if job._guess is not None or job.spec is not None:
            self._pace.learn(
                job._kind(),
                eta=None if job._guess is None else job._guess * speed,
                after=job._last * speed,
                by=elapsed * speed,
            )
        self.usual = _smooth(self.usual, elapsed)
        self.budget.earn()
        self._end(job, _generation(job, answer))

    def _empty(self, job: Job, answer: Success) -> None:
        """
        Done, but where? After three more looks, where it was said to be.
        """
        job._empty += 1
        job.expected_urls = answer.expected_urls or job.expected_urls
        if job._empty <= _EMPTY:
            self._again(job, answer)
        elif job.expected_urls:
            images = tuple(
                Image(index, url)
                for index, url in enumerate(job.expected_urls)
            )
            self._end(
                job, _generation(job, attrs.evolve(answer, images=images))
            )
        else:
            words = "the service says that it is done, and gives no picture"
            self._end(job, GenerationFailedError(job.id, job.track_id, words))

    def _not_found(self, job: Job, now: float) -> None:
        """
        Unknown to the service; right after a submit that may pass.
        """
        job._lost += 1
        if job._lost == 1:
            job._lost_since = now
        long = now - job._lost_since >= self.timeouts.not_found
        if job._lost < _LOST or not long:
            self._again(job, None)
            return
        linked = fetch_result_id(job._fetch_result)
        if linked not in {None, job.id} and not job._other_id:
            job._other_id, job._call = True, None
            self._plan(job, now, 0.0)
            return
        self._end(job, JobNotFoundError(job.id, job.track_id))

    def _again(self, job: Job, heard: CallResult | None) -> None:
        """
        That said nothing of the job: ask again, backing off.
        """
        now = self.loop.time()
        self._say_news(job)
        if job not in self._all or self._late(job, now):
            return
        pause = backoff(job._fails, self.timeouts, 1.0 - random.random() / 2)
        if not self.budget.spend():
            pause = max(pause, self.timeouts.retry_longest)
        answer = getattr(heard, "retry_after", None)
        if answer is not None:
            pause = max(pause, min(answer, self.timeouts.ban_call))
        job._fails += 1
        self._plan(job, now, pause)

    def _late(self, job: Job, now: float) -> bool:
        """
        End the watch of a job that outlives *job_timeout*.
        """
        waited = now - job._since
        if waited < self.job_timeout:
            return False
        _log.warning(
            "job %s is unfinished after %.0f s; its handle is %s",
            job.id,
            waited,
            job.handle,
        )
        self._end(
            job,
            JobUnfinishedError(job.id, job.track_id, waited),
            JobState.UNFINISHED,
        )
        return True

    def _end(
        self,
        job: Job,
        ended: Generation | ModelsLabError,
        state: JobState | None = None,
    ) -> None:
        """
        The job is over: free its slot, tell all who wait.
        """
        self._all.pop(job, None)
        if job.id is not None and self._by_id.get(job.id) is job:
            del self._by_id[job.id]
        if job._ticket is not None:
            ticket, job._ticket = job._ticket, None
            if state is JobState.UNFINISHED:
                self.queue.release(ticket)
            else:
                self.queue.finished(ticket)
        if isinstance(ended, Generation):
            self.counts.succeeded += 1
            state = JobState.SUCCEEDED
        elif state is None:
            self.counts.failed += 1
            lost = isinstance(ended, JobNotFoundError)
            state = JobState.LOST if lost else JobState.FAILED
        self._settle(job, ended, state)

    def _settle(
        self, job: Job, ended: Generation | ModelsLabError, state: JobState
    ) -> None:
        job._ended, job.state = ended, state
        job._call, job._body, job._heard = None, b"", None
        job._last = self.loop.time() - job._since if job._since else 0.0
        if self.observers:
            self.tell(
                job,
                JobFinished(
                    job.track_id, job.id, state, job._asked, job._last
                ),
            )
        self._say(job, None)

    # Who is told

    def _say(self, job: Job, error: ModelsLabError | None) -> None:
        """
        Wake those who wait now: with *error*, or to see how the job ended.
        """
        for signal in job._signals or ():
            settle(signal, error)
        self._say_news(job, error)

    def _say_news(self, job: Job, error: ModelsLabError | None = None) -> None:
        news, job._news = job._news, None
        if news is not None:
            settle(news, error)

    def tell(self, job: Job, event: Event) -> None:
        self.observers.tell(event, job._context)

    # The end

    def close(self) -> None:
        """
        Stop asking; those who wait get `JobUnfinishedError` with the id.
        """
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for _, task in self._asking.values():
            task.cancel()
        left = self.unfinished()
        if left:
            _log.warning(
                "closed with %d unfinished: %s", len(left), named(left)
            )
        now = self.loop.time()
        for job in left:
            waited = now - job._since if job._since else 0.0
            # It may be taken up again, in another line.
            job._ticket = None
            self._say(job, JobUnfinishedError(job.id, job.track_id, waited))

    async def join(self) -> None:
        """
        Wait until nothing of the loop runs any more.
        """
        if self._asking:
            await asyncio.wait([task for _, task in self._asking.values()])


def taken_up(
    home: Home,
    spec: Spec,
    job_id: str,
    *,
    track_id: str | None,
    fetch_result: str | None,
    eta: float | None,
    seed: int | None,
    expected_urls: tuple[str, ...],
    meta: bytes,
) -> Job:
    """
    A job as it was written down when the service accepted it.
    """
    return Job(
        home,
        spec.endpoint,
        job_id,
        track_id,
        spec,
        eta=eta,
        expected_urls=expected_urls,
        fetch_result=fetch_result,
        seed=seed,
        meta=meta,
        guess=eta,
    )


def settle(
    future: asyncio.Future[ModelsLabError | None],
    said: ModelsLabError | None = None,
) -> None:
    """
    End somebody's wait, unless it is over.
    """
    if not future.done():
        future.set_result(said)


async def to_its_end(task: asyncio.Future[None]) -> None:
    """
    Wait until *task* is done, also in a cancelled task, which hears of it
    then.
    """
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as exc:
                cancelled = exc
    task.result()
    if cancelled is not None:
        raise cancelled


def named(jobs: Iterable[Job]) -> str:
    """
    Jobs by what takes them up again: handles, or track_ids where none is.
    """
    return ", ".join(
        f"track_id {job.track_id}"
        if job.id is None
        else f"job {job.id} ({job.handle})"
        for job in jobs
    )


def generation(
    answer: Success,
    job_id: str | None,
    track_id: str | None,
    *,
    seed: int | None = None,
    meta: bytes = b"{}",
) -> Generation:
    """
    A fetch reply lacks seed and meta: they come from the submit's.
    """
    return Generation(
        id=job_id,
        track_id=track_id,
        images=answer.images,
        seed=seed if answer.seed is None else answer.seed,
        generation_time=answer.generation_time,
        nsfw=answer.nsfw,
        meta_json=meta if answer.meta_json == b"{}" else answer.meta_json,
        raw_json=answer.raw_json,
    )


def _generation(job: Job, answer: Success) -> Generation:
    return generation(
        answer, job.id, job.track_id, seed=job._seed, meta=job._meta
    )


def _no_such_route(heard: CallResult) -> bool:
    match heard:
        case Refusal(http=404 | 405, topics=topics):
            return Topic.NOT_FOUND not in topics
        case Unreadable(http=404 | 405):
            return True
    return False


def _smooth(before: float | None, now: float) -> float:
    return now if before is None else 0.8 * before + 0.2 * now
