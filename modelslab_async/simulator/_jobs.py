"""
Jobs, from acceptance to their end: how long they take, what becomes of them
and where they are found.
"""

from __future__ import annotations

import asyncio
import collections
import heapq
import math
import secrets
import uuid

from collections.abc import Callable

import attrs

from . import _replies
from ._accounts import Account
from ._books import Record
from ._endpoints import Deed
from ._inputs import Inputs
from ._parameters import whole
from ._picture import Picture, Retouch
from ._requests import Request
from ._settings import Etas, Latency, Rings, Settings, matches
from ._sizes import result_size
from ._state import State


#: Ids have as many digits as real ones, and those of a seed stay below those
#: of none.
_FIRST_ID, _FIRST_OF_NO_SEED = 134_700_000, 200_000_000


#: How far apart an id and another one's are where the settings want two.
_APART = 10_000_000


@attrs.define(eq=False)
class Job:
    """
    A job. What happens to it is in its record.

    Attributes:
        hidden: Whether its pictures are made safe to see.

        shown_id: What replies call it.

        origin: Where its links lead, as its customer wrote it.

        ring: How its webhook is called.

        bell: Set when it has ended, where somebody waits.
    """

    record: Record
    request: Request
    account: Account
    uuid: str
    seed: int
    began: float
    ends: float
    fails: bool
    hidden: bool
    proxy_links: str
    shown_id: int
    eta_noise: float
    inputs: Inputs
    size: tuple[int, int]
    origin: str
    ring: Rings
    bell: asyncio.Future[None] | None = None

    @property
    def id(self) -> int:
        """
        As the service counts.
        """
        return self.record.id

    @property
    def prompt(self) -> str:
        """
        By which orders mean it.
        """
        return self.request.prompt

    @property
    def path(self) -> str:
        """
        Its endpoint's.
        """
        return self.request.endpoint.path

    @property
    def webhook(self) -> str | None:
        """
        Whom to ring, if anybody.
        """
        return self.request.text("webhook")

    @property
    def track_id(self) -> str | None:
        """
        The customer's own id.
        """
        return self.request.text("track_id")

    @property
    def has_ended(self) -> bool:
        """
        Whether its slot is free.
        """
        return self.record.ended is not None

    def picture(self, index: int) -> Picture:
        """
        What one of its pictures is drawn from.
        """
        request, endpoint = self.request, self.request.endpoint
        name = endpoint.path.rpartition("/")[2]
        retouch = None
        if endpoint.deed is not Deed.PAINT:
            retouch = Retouch(endpoint.deed, name, self.inputs, request.values)
        hidden = None
        if self.hidden:
            hidden = request.text("safety_checker_type") or "text"
        return Picture(
            prompt=request.prompt,
            negative_prompt=request.text("negative_prompt") or "",
            model_id=request.model_id or ("" if retouch else name),
            width=self.size[0],
            height=self.size[1],
            seed=self.seed,
            index=index,
            hidden=hidden,
            form=endpoint.extension,
            retouch=retouch,
        )

    def file_name(self, picture: Picture) -> str:
        """
        What one of its files is called.
        """
        if self.request.base64:
            return f"{self.uuid}-{picture.index}.base64"
        suffix = self.request.endpoint.suffix
        return f"{picture.index}-{self.uuid}{suffix}.{picture.extension}"

    @property
    def folder(self) -> str:
        """
        Where its files lie.
        """
        request = self.request
        return "temp" if request.temporary else request.endpoint.folder


class Jobs:
    """
    All of them.

    Attributes:
        ended: Is told of each that has ended.
    """

    def __init__(self, state: State) -> None:
        self.ended: Callable[[Job], None] = lambda job: None
        self._state = state
        self._jobs: dict[int, Job] = {}
        self._by_uuid: dict[str, Job] = {}
        self._last_id = _first_id(state.settings)
        self._loading: collections.Counter[str] = collections.Counter()
        self._timers: set[asyncio.TimerHandle] = set()

    def close(self) -> None:
        """
        Let no job end any more.
        """
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def finish(self) -> None:
        """
        Let all that run end now.
        """
        self.close()
        now = self._state.now()
        for job in self._jobs.values():
            if not job.has_ended:
                self._end(job)
                # Its worker begins the next one now, and not when it would.
                workers = job.account.free_at
                workers[:] = [min(at, now) for at in workers]

    def next_id(self) -> int:
        """
        An id, with gaps, as if others were asking too.
        """
        self._last_id += self._state.dice.names.randint(1, 40)
        return self._last_id

    def is_loading(self, model_id: str | None) -> bool:
        """
        Whether a model is not in memory yet; counts the request for it.
        """
        if model_id is None:
            return False
        loading = self._state.settings.loading.get(model_id, 0)
        if self._loading[model_id] >= loading:
            return False
        self._loading[model_id] += 1
        return True

    def accept(
        self,
        account: Account,
        request: Request,
        inputs: Inputs,
        *,
        origin: str,
        ring: Rings,
    ) -> Job:
        """
        Begin a job; its slot is taken.
        """
        settings, dice = self._state.settings, self._state.dice
        now, job_id = self._state.now(), self.next_id()
        runs = self._state.lived(
            self._latency(request).draw(len(self._jobs), dice.latency)
        )
        # The queue is worked off in order, so a start is known beforehand.
        began = max(now, heapq.heappop(account.free_at))
        heapq.heappush(account.free_at, began + runs)

        toss, chosen = dice.fate.random(), dice.names.getrandbits(32)
        unsafe = matches(settings.nsfw, request.prompt)
        job = Job(
            record=Record(
                job_id, account.label, now, endpoint=request.endpoint.path
            ),
            request=request,
            account=account,
            uuid=str(uuid.UUID(int=dice.names.getrandbits(128), version=4)),
            seed=chosen if request.seed is None else request.seed,
            began=began,
            ends=began + runs,
            fails=toss < settings.failures
            or request.model_id in settings.failing_models
            or request.endpoint.path in settings.failing_models
            or matches(settings.failing, request.prompt),
            hidden=unsafe
            and request.flag("safety_checker", default=request.endpoint.terse),
            proxy_links=_replies.proxy_shape(settings, dice.fate),
            # "other": it can be fetched by the id in the link alone.
            shown_id=job_id
            + (_APART if settings.fetch_result == "other" else 0),
            eta_noise=dice.eta.uniform(0.7, 1.3),
            inputs=inputs,
            size=result_size(request, inputs),
            origin=origin,
            ring=ring,
        )
        self._jobs[job_id] = self._by_uuid[job.uuid] = job
        self._state.books.begin(job.record)

        account.unfinished += 1
        account.spent += settings.price * request.samples
        self._state.books.peak_of(account.label, account.unfinished)
        self._at(job.ends, job)
        return job

    def _latency(self, request: Request) -> Latency:
        settings = self._state.settings
        for name in (request.model_id or "", request.endpoint.path):
            if name in settings.latencies:
                return settings.latencies[name]
        return settings.latency

    def _at(self, when: float, job: Job) -> None:
        loop = asyncio.get_running_loop()

        def ring() -> None:
            self._timers.discard(timer)
            self._end(job)

        timer = loop.call_later(when - self._state.now(), ring)
        self._timers.add(timer)

    def _end(self, job: Job) -> None:
        job.record.ended = self._state.now()
        job.record.succeeded = not job.fails
        job.account.unfinished -= 1
        if job.bell is not None and not job.bell.done():
            job.bell.set_result(None)
        self.ended(job)

    async def hold(self, job: Job) -> None:
        """
        Keep the submit waiting, as the service does.
        """
        settings = self._state.settings
        seconds = self._state.lived(settings.hold)
        instant = self._state.dice.fate.random() < settings.instant
        if job.request.flag("instant_response", default=False):
            seconds = 0.0
        elif instant and job.began <= job.record.accepted:
            seconds = math.inf

        # A job that ends within the hold is answered when it ends.
        if job.ends - self._state.now() <= seconds:
            await self.wait(job)
        elif seconds > 0:
            await asyncio.sleep(seconds)

    async def wait(self, job: Job) -> None:
        """
        Wait for a job's end.
        """
        if job.has_ended:
            return
        if job.bell is None:
            # Made only where somebody waits: many jobs stay small.
            job.bell = asyncio.get_running_loop().create_future()
        await asyncio.shield(job.bell)
        job.bell = None

    def eta(self, job: Job) -> float | None:
        """
        Seconds the service guesses, as told.
        """
        settings = self._state.settings
        constant = job.request.endpoint.eta
        if constant is not None and settings.family_etas:
            return self._state.lived(constant)
        left = max(0.0, job.ends - self._state.now())
        match settings.etas:
            case Etas.NOISY:
                return left * job.eta_noise
            case Etas.EXACT:
                return left
            case Etas.CONSTANT:
                return self._state.lived(settings.latency.median)
            case Etas.ABSENT:
                return None
            case Etas.HIGH:
                return 3 * left * job.eta_noise
            case Etas.LOW:
                return left * job.eta_noise / 3
            case Etas.QUEUE:
                return self._state.lived(0.25 * job.account.unfinished)

    def find(self, account: Account, asked: object, family: str) -> Job | None:
        """
        The job of this account by that id, if this family knows it.
        """
        job = self._jobs.get(whole(asked) or 0)
        if job is None or job.account is not account:
            return None
        own = family in job.request.endpoint.families
        found = {"own": own, "any": True, "other": not own}
        return job if found[self._state.settings.families] else None

    def by_uuid(self, ident: str) -> Job | None:
        """
        The job whose files have this in their names.
        """
        return self._by_uuid.get(ident)

    def of(self, account: Account) -> list[Job]:
        """
        An account's, the latest first.
        """
        return [
            job
            for job in reversed(self._jobs.values())
            if job.account is account
        ]


def _first_id(settings: Settings) -> int:
    """
    Where ids begin.
    """
    if settings.first_id is not None:
        return settings.first_id
    if settings.seed is not None:
        return _FIRST_ID
    # Not one of the dice: files of the run before may lie in the same folder.
    return _FIRST_OF_NO_SEED + secrets.randbelow(_FIRST_OF_NO_SEED)
