"""
The local ModelsLab: accounts with slots, jobs that take their time, links
that come true, and a web server in front of them.
"""

from __future__ import annotations

import asyncio
import collections
import heapq
import json
import math
import random
import time
import uuid

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

import attrs

from aiohttp import web

from . import _replies, drawing
from ._books import Books, Entry, Record, Verdict
from ._faults import (
    Answer,
    Edit,
    Fault,
    Order,
    Orders,
    Reply,
    Target,
    give,
    page,
    play,
)
from ._picture import Picture
from ._requests import (
    ENDPOINTS,
    Endpoint,
    Request,
    compact,
    fingerprint,
    read,
    scalar,
    whole,
)
from ._settings import Etas, KeyState, Latency, Matcher, Settings, matches


_DAY = 86_400.0
_KEPT_PICTURES = 32


@attrs.define(eq=False)
class _Job:
    """
    A job, from acceptance on. What happens to it is in its record.
    """

    record: Record
    request: Request
    account: _Account
    uuid: str
    seed: int
    began: float
    ends: float
    fails: bool
    hidden: bool
    proxy_links: str
    shown_id: int
    eta_noise: float
    bell: asyncio.Future[None] | None = None


@attrs.define(eq=False)
class _Account:
    """
    The slots and workers of one customer.

    Attributes:
        unfinished: Jobs that hold a slot.

        occupied: Slots that somebody else holds.

        free_at: When each worker will be free, as a heap.

        banned_until: On the clock of the simulator.

        seen: When each request that was accepted lately came.
    """

    label: str
    free_at: list[float]
    unfinished: int = 0
    occupied: int = 0
    banned_until: float = -math.inf
    seen: dict[bytes, float] = attrs.field(factory=dict)


class _Dice:
    """
    One stream for each purpose, so that what is drawn for one does not move
    the others.
    """

    def __init__(self, seed: int) -> None:
        self.latency = random.Random(f"{seed}:latency")
        self.eta = random.Random(f"{seed}:eta")
        self.fate = random.Random(f"{seed}:fate")
        self.names = random.Random(f"{seed}:names")


class Simulator:
    """
    ModelsLab on loopback.

    It behaves as `Settings` say, which can be given as keywords, and change
    with `change()` while it runs. An ``async with`` starts and stops it on
    the running loop.

    Attributes:
        settings: How it behaves now.

        books: What happened so far.
    """

    def __init__(
        self, settings: Settings | None = None, **options: Any
    ) -> None:
        self.settings = attrs.evolve(settings or Settings(), **options)
        self._born = time.monotonic()
        self.books = Books(self._now)
        self._orders = Orders()
        self._dice = _Dice(self.settings.seed)
        self._accounts: dict[str, _Account] = {}
        self._jobs: dict[int, _Job] = {}
        self._by_uuid: dict[str, _Job] = {}
        self._last_id = self.settings.first_id
        self._loading: collections.Counter[str] = collections.Counter()
        self._pictures: collections.OrderedDict[bytes, bytes] = (
            collections.OrderedDict()
        )
        self._timers: set[asyncio.TimerHandle] = set()
        self._runner: web.AppRunner | None = None
        self._origin: str | None = None

    # -- Life

    @property
    def origin(self) -> str:
        """
        Scheme, host and port.

        Raises:
            RuntimeError: It was never started.
        """
        if self._origin is None:
            raise RuntimeError("the simulator has not been started")
        return self._origin

    @property
    def url(self) -> str:
        """
        What to give a client as its base URL.
        """
        return f"{self.origin}/api/v6"

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """
        Listen.

        Args:
            port: 0 takes one that is free.

            host: An address of this machine.

        Raises:
            ImportError: Pictures are to be drawn, and Pillow is missing.

            OSError: The port is taken.
        """
        if self._runner is not None:
            return
        if self.settings.pictures == "drawn":
            await asyncio.to_thread(drawing.load)

        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        # Handlers end with their connections: silence costs nothing.
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=0.05,
        )
        await runner.setup()
        site = web.TCPSite(runner, host, port, backlog=1024)
        try:
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        taken = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        self._origin = f"http://{shown}:{taken}"

    async def stop(self) -> None:
        """
        Hang up. The books stay; unfinished jobs stay unfinished.
        """
        runner, self._runner = self._runner, None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    # -- Control

    def next(
        self,
        kind: Target,
        answer: Answer,
        *,
        times: int = 1,
        prompt: Matcher = None,
        accepted: bool | None = None,
        seconds: float = 5.0,
    ) -> None:
        """
        Answer the next request of this kind with that.

        Args:
            kind: ``submit``, ``fetch`` or ``file``.

            answer: A `Fault`; a `Reply` to give as it stands; or an `Edit`
                of what would be said.

            times: For how many requests.

            prompt: Only those whose prompt it means: a part of it, several
                parts, or a function. None means all.

            accepted: Whether a submit begins a job all the same. None: as
                the fault says; for a `Reply`, no. Where it does, a submit
                that is refused anyhow is refused, and the order stays.

            seconds: How long slow things take in all, at ``speed=1``.
        """
        if isinstance(answer, Fault):
            begins = answer.accepted
        else:
            begins = isinstance(answer, Edit)
        if accepted is not None:
            begins = accepted
        self._orders.add(Order(kind, answer, times, prompt, begins, seconds))

    def forget_orders(self) -> None:
        """
        Drop what `next()` has ordered and nobody has met.
        """
        self._orders.clear()

    def change(self, **options: Any) -> None:
        """
        Change settings. Jobs that run keep their time.

        *workers*, *seed* and *first_id* count only from the start.
        """
        self.settings = attrs.evolve(self.settings, **options)

    def occupy(self, key: str, slots: int = 1) -> None:
        """
        Let somebody else hold slots of this account.
        """
        self._account(key).occupied += slots

    def vacate(self, key: str, slots: int | None = None) -> None:
        """
        Let somebody else give slots back: so many, or all.
        """
        account = self._account(key)
        if slots is None:
            slots = account.occupied
        account.occupied = max(0, account.occupied - slots)

    def ban(self, key: str, seconds: float = 1800.0) -> None:
        """
        Refuse whatever this account asks for, for a while.
        """
        until = self._now() + seconds / self.settings.speed
        self._account(key).banned_until = until

    def unfinished(self, key: str) -> int:
        """
        How many of our jobs hold a slot of this account.
        """
        return self._account(key).unfinished

    # -- Clock and accounts

    def _now(self) -> float:
        return time.monotonic() - self._born

    def _lived(self, seconds: float) -> float:
        return seconds / self.settings.speed

    def _account(self, key: str) -> _Account:
        name = self.settings.accounts.get(key, key)
        account = self._accounts.get(name)
        if account is None:
            workers = self.settings.workers or self.settings.slots
            account = _Account(Books.label(name), [0.0] * workers)
            self._accounts[name] = account
        return account

    def _key_state(self, key: str) -> KeyState:
        if not key:
            return KeyState.BLOCKED
        if self.settings.keys is None:
            return KeyState.GOOD
        return self.settings.keys.get(key, KeyState.BLOCKED)

    # -- Web

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.startswith("/api/"):
            return await self._api(request, path)
        if request.method in {"GET", "HEAD"}:
            name = path.rpartition("/")[2]
            folder = path.removesuffix(name)
            if folder in {
                "/generations/",
                "/temp/",
                "/cdn2/generations/",
                "/cdn2/temp/",
            }:
                return await self._file(request, name, "temp" in folder)
        if path.startswith("/simulator/"):
            return await self._control(request, path)

        self.books.strays.append(f"{request.method} {path}")
        return give(page(404))

    async def _api(
        self, request: web.Request, path: str
    ) -> web.StreamResponse:
        version, _, rest = path.removeprefix("/api/").partition("/")
        if version != "v6":
            return give(_replies.unserved(self.settings, "POST", path))

        family, _, tail = rest.partition("/")
        known = {each.family for each in ENDPOINTS.values()}
        if family in known and tail.partition("/")[0] == "fetch":
            return await self._fetch(request, tail.partition("/")[2])

        endpoint = ENDPOINTS.get(rest)
        if request.method == "POST":
            if endpoint is not None:
                return await self._submit(request, endpoint)
            if rest == "processing/request_count":
                return await self._count(request)
        return give(_replies.unserved(self.settings, request.method, path))

    async def _body(self, request: web.Request) -> dict[str, object] | None:
        """
        The JSON object that was sent, or None.
        """
        if request.content_type != "application/json":
            return None
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            return None
        return body if isinstance(body, dict) else None

    # -- Submit

    async def _submit(
        self, request: web.Request, endpoint: Endpoint
    ) -> web.StreamResponse:
        at = self._now()
        body = await self._body(request)
        prompt = "" if body is None else str(body.get("prompt"))
        order = self._orders.find("submit", prompt)

        if order is not None and not order.accepted:
            self._orders.fill(order)
            self._write_down(
                at, body, Verdict.FAULT, reason=_name(order.answer)
            )
            return await self._spoil(request, order, Reply())

        verdict = self._judge(endpoint, body)
        if isinstance(verdict, _replies.Refusal):
            self._write_down(at, body, Verdict.REFUSED, reason=verdict.reason)
            return give(verdict.reply)

        job = verdict
        fault = order is not None and not isinstance(order.answer, Edit)
        self._write_down(
            at,
            body,
            Verdict.FAULT if fault else Verdict.ACCEPTED,
            job=job,
            reason=None if order is None else _name(order.answer),
        )
        if order is not None:
            self._orders.fill(order)

        await self._hold(job)
        reply = await self._first_reply(request, job)
        if order is None:
            self._note_end(job)
            return give(reply)
        return await self._spoil(request, order, reply, job)

    def _write_down(
        self,
        at: float,
        body: dict[str, object] | None,
        verdict: Verdict,
        *,
        job: _Job | None = None,
        reason: str | None = None,
    ) -> None:
        body = body or {}
        entry = Entry(
            at=at,
            account=self._account(_key(body)).label,
            track_id=scalar(body.get("track_id")),
            body=compact(body, without=("key",)),
            verdict=verdict,
            job_id=None if job is None else job.record.id,
            reason=reason,
        )
        self.books.entries.append(entry)

    def _judge(
        self, endpoint: Endpoint, body: dict[str, object] | None
    ) -> _Job | _replies.Refusal:
        """
        Accept or refuse. Nothing is awaited: two requests cannot both have
        the last slot.
        """
        settings = self.settings
        if body is None:
            return _replies.not_json(settings)

        key = _key(body)
        state = self._key_state(key)
        if state is KeyState.BLOCKED:
            return _replies.bad_key(settings, key)

        account = self._account(key)
        now = self._now()
        if account.banned_until > now:
            return _replies.banned(account.banned_until - now)

        request = read(endpoint, body)
        if isinstance(request, dict):
            return _replies.invalid(settings, request)
        if not self._has_model(request.model_id):
            return _replies.unknown_model(settings, request.model_id)
        if state is not KeyState.GOOD:
            return _replies.account(settings, state)

        mark = fingerprint(body) if settings.same_request else b""
        if mark and self._seen(account, mark, now):
            return _replies.same_request(settings)
        if account.unfinished + account.occupied >= settings.slots:
            return _replies.queue_full(settings)
        if self._is_loading(request.model_id):
            return _replies.loading(settings)

        if mark:
            account.seen[mark] = now
        return self._accept(account, request, now)

    def _has_model(self, model_id: str | None) -> bool:
        if model_id is None or model_id in self.settings.unknown_models:
            return False
        models = self.settings.models
        return models is None or model_id in models

    def _seen(self, account: _Account, mark: bytes, now: float) -> bool:
        window = self._lived(self.settings.same_request or 0.0)
        account.seen = {
            each: at for each, at in account.seen.items() if at > now - window
        }
        return mark in account.seen

    def _is_loading(self, model_id: str | None) -> bool:
        if model_id is None:
            return False
        if self._loading[model_id] >= self.settings.loading.get(model_id, 0):
            return False
        self._loading[model_id] += 1
        return True

    def _accept(self, account: _Account, request: Request, now: float) -> _Job:
        settings, dice = self.settings, self._dice
        # With gaps, as if others were asking too.
        self._last_id += dice.names.randint(1, 40)
        latency: Latency = settings.latencies.get(
            request.model_id or "", settings.latency
        )
        runs = self._lived(latency.draw(len(self._jobs), dice.latency))
        # The queue is worked off in order, so a start is known beforehand.
        began = max(now, heapq.heappop(account.free_at))
        heapq.heappush(account.free_at, began + runs)

        toss, chosen = dice.fate.random(), dice.names.getrandbits(32)
        job = _Job(
            record=Record(self._last_id, account.label, now),
            request=request,
            account=account,
            uuid=str(uuid.UUID(int=dice.names.getrandbits(128), version=4)),
            seed=chosen if request.seed is None else request.seed,
            began=began,
            ends=began + runs,
            fails=toss < settings.failures
            or request.model_id in settings.failing_models
            or matches(settings.failing, request.prompt),
            hidden=request.safety_checker
            and matches(settings.nsfw, request.prompt),
            proxy_links=_replies.proxy_shape(settings, dice.fate),
            shown_id=self._last_id,
            eta_noise=dice.eta.uniform(0.7, 1.3),
        )
        self._jobs[job.record.id] = job
        self._by_uuid[job.uuid] = job
        self.books.jobs[job.record.id] = job.record
        if settings.fetch_result == "other":
            # It can be fetched by the id in the link alone.
            job.shown_id = self._last_id + 10_000_000

        account.unfinished += 1
        peak = self.books.peaks.get(account.label, 0)
        self.books.peaks[account.label] = max(peak, account.unfinished)
        self._at(job.ends, lambda: self._end(job))
        return job

    def _at(self, when: float, act: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()

        def ring() -> None:
            self._timers.discard(timer)
            act()

        timer = loop.call_later(when - self._now(), ring)
        self._timers.add(timer)

    def _end(self, job: _Job) -> None:
        """
        A job ends, and its slot is free. Webhooks would ring from here.
        """
        job.record.ended = self._now()
        job.record.succeeded = not job.fails
        job.account.unfinished -= 1
        if job.bell is not None and not job.bell.done():
            job.bell.set_result(None)

    async def _hold(self, job: _Job) -> None:
        """
        Keep the submit waiting, as the service does.
        """
        settings = self.settings
        hold = self._lived(settings.hold)
        instant = self._dice.fate.random() < settings.instant
        if job.request.instant_response:
            hold = 0.0
        elif instant and job.began <= job.record.accepted:
            hold = math.inf

        # A job that ends within the hold is answered when it ends.
        left = job.ends - self._now()
        if left <= hold:
            # Made only where somebody waits: books of many jobs stay small.
            job.bell = asyncio.get_running_loop().create_future()
            await job.bell
            job.bell = None
        elif hold > 0:
            await asyncio.sleep(hold)

    async def _first_reply(self, request: web.Request, job: _Job) -> Reply:
        if job.record.ended is None:
            facts = await self._facts(request, job)
            return _replies.processing(self.settings, facts)
        if job.fails:
            return _replies.failed(job.shown_id)
        facts = await self._facts(request, job)
        return _replies.success(self.settings, facts, envelope="full")

    def _eta(self, job: _Job) -> float | None:
        """
        Seconds the service guesses, as told.
        """
        left = max(0.0, job.ends - self._now())
        match self.settings.etas:
            case Etas.NOISY:
                return left * job.eta_noise
            case Etas.EXACT:
                return left
            case Etas.CONSTANT:
                return self._lived(self.settings.latency.median)
            case Etas.ABSENT:
                return None
            case Etas.HIGH:
                return 3 * left * job.eta_noise
            case Etas.LOW:
                return left * job.eta_noise / 3
            case Etas.QUEUE:
                return self._lived(0.25 * job.account.unfinished)

    async def _facts(self, request: web.Request, job: _Job) -> _replies.Facts:
        """
        What a reply about this job is made of.
        """
        origin = f"{request.scheme}://{request.host}"
        folder = "temp" if job.request.temp else "generations"
        pictures = [
            self._picture_of(job, index)
            for index in range(job.request.samples)
        ]
        names = [self._file_name(job, each) for each in pictures]
        links = [f"{origin}/{folder}/{name}" for name in names]
        proxies = [f"{origin}/cdn2/{folder}/{name}" for name in names]

        style = self.settings.base64
        inline = job.request.base64 and style.startswith("inline")
        if inline and job.record.ended is not None:
            links = proxies = [
                drawing.as_text(
                    await self._drawn(each), uri=style == "inline-uri"
                )
                for each in pictures
            ]

        where: str | None = (
            f"{origin}/api/v6/{job.request.endpoint.family}/fetch"
        )
        match self.settings.fetch_result:
            case "absent":
                where = None
            case "wrong":
                where = f"{where}/{job.record.id + 10_000_000}"
            case _:
                where = f"{where}/{job.record.id}"
        return _replies.Facts(
            id=job.record.id,
            shown_id=job.shown_id,
            request=job.request,
            seed=job.seed,
            file_prefix=f"{job.uuid}.{pictures[0].extension}",
            links=links,
            proxies=proxies,
            fetch_result=where,
            eta=self._eta(job),
            took=job.ends - job.began,
            nsfw=job.hidden,
            proxy_links=job.proxy_links,
        )

    # -- Fetch

    async def _fetch(
        self, request: web.Request, path_id: str
    ) -> web.StreamResponse:
        settings = self.settings
        self.books.polls += 1
        if request.method != "POST" and not (
            settings.fetch_get and request.method == "GET"
        ):
            reply = _replies.unserved(settings, request.method, request.path)
            return give(attrs.evolve(reply, status=405))

        body = await self._body(request)
        key = _key(body or {})
        asked = path_id or (body or {}).get("request_id")
        job = self._find(key, asked)
        order = self._orders.find("fetch", job.request.prompt if job else None)
        if job is not None:
            job.record.polls += 1
        if order is not None:
            self._orders.fill(order)

        if settings.fetch not in {"both", "path" if path_id else "body"}:
            reply = _replies.unserved(settings, request.method, request.path)
        elif body is None:
            reply = _replies.not_json(settings).reply
        elif self._key_state(key) is KeyState.BLOCKED:
            reply = _replies.bad_key(settings, key).reply
        elif job is None:
            reply = _replies.unknown_job(settings)
        elif job.record.ended is None:
            reply = _replies.still_processing(settings)
        elif job.fails:
            reply = _replies.failed("")
        else:
            facts = await self._facts(request, job)
            reply = _replies.success(
                settings, facts, envelope=settings.fetch_reply
            )

        if order is not None:
            return await self._spoil(request, order, reply, job)
        if job is not None and isinstance(reply.body, dict):
            self._note_end(job, reply)
        return give(reply)

    def _find(self, key: str, asked: object) -> _Job | None:
        """
        The job of this account by that id.
        """
        job = self._jobs.get(whole(asked) or 0)
        if job is None or job.account is not self._account(key):
            return None
        return job

    def _note_end(self, job: _Job, reply: Reply | None = None) -> None:
        """
        Note when the end of a job was first told.
        """
        if reply is not None and isinstance(reply.body, dict):
            final = reply.body.get("status") in {"success", "failed"}
        else:
            final = True
        record = job.record
        if final and record.ended is not None and record.noticed is None:
            record.noticed = self._now()

    # -- Files

    def _picture_of(self, job: _Job, index: int) -> Picture:
        wanted = job.request
        return Picture(
            prompt=wanted.prompt,
            negative_prompt=wanted.negative_prompt or "",
            model_id=wanted.model_id or "",
            width=wanted.width,
            height=wanted.height,
            seed=job.seed,
            index=index,
            hidden=wanted.safety_checker_type if job.hidden else None,
        )

    def _file_name(self, job: _Job, picture: Picture) -> str:
        if job.request.base64:
            return f"{job.uuid}-{picture.index}.base64"
        return f"{picture.index}-{job.uuid}.{picture.extension}"

    async def _drawn(self, picture: Picture) -> bytes:
        """
        The bytes of a picture, drawn when first asked for.
        """
        mark = picture.digest
        kept = self._pictures.get(mark)
        if kept is not None:
            self._pictures.move_to_end(mark)
            return kept

        draw = drawing.drawn
        if self.settings.pictures == "plain":
            draw = drawing.plain
        data = await asyncio.to_thread(draw, picture)
        self._pictures[mark] = data
        while len(self._pictures) > _KEPT_PICTURES:
            self._pictures.popitem(last=False)
        return data

    async def _file(
        self, request: web.Request, name: str, temporary: bool
    ) -> web.StreamResponse:
        self.books.downloads += 1
        stem = name.rpartition(".")[0]
        if name.endswith(".base64"):
            ident, _, index = stem.rpartition("-")
        else:
            index, _, ident = stem.partition("-")
        job = self._by_uuid.get(ident)
        prompt = None if job is None else job.request.prompt
        order = self._orders.find("file", prompt)
        if order is not None:
            self._orders.fill(order)

        reply = page(404)
        if job is not None:
            job.record.downloads += 1
            picture = self._picture_of(job, whole(index) or 0)
            if (
                name == self._file_name(job, picture)
                and picture.index < job.request.samples
                and temporary is job.request.temp
                and self._is_there(job)
            ):
                reply = await self._file_reply(job, picture)
        if order is not None:
            return await self._spoil(request, order, reply, job)
        return give(reply)

    def _is_there(self, job: _Job) -> bool:
        ended = job.record.ended
        if ended is None or job.fails:
            return False
        age = self._now() - ended
        if job.request.temp and age > self._lived(_DAY):
            return False
        return age >= self._lived(self.settings.late_links)

    async def _file_reply(self, job: _Job, picture: Picture) -> Reply:
        data = await self._drawn(picture)
        if job.request.base64:
            uri = self.settings.base64.endswith("uri")
            text = drawing.as_text(data, uri=uri)
            return Reply(200, text, headers={"Content-Type": "text/plain"})
        kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
        return Reply(200, data, headers={"Content-Type": f"image/{kind}"})

    # -- Orders, and the service's other words

    async def _spoil(
        self,
        request: web.Request,
        order: Order,
        reply: Reply,
        job: _Job | None = None,
    ) -> web.StreamResponse:
        answer = order.answer
        if isinstance(answer, Fault):
            return await play(
                answer,
                request,
                reply,
                seconds=self._lived(order.seconds),
            )
        if isinstance(answer, Edit):
            answer = answer.apply(reply)
            if job is not None:
                self._note_end(job, answer)
        return give(answer)

    async def _count(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        key = _key(body or {})
        if self._key_state(key) is KeyState.BLOCKED:
            return give(_replies.bad_key(self.settings, key).reply)
        account = self._account(key)
        text = "Current processing request count retrieved successfully"
        return give(
            Reply(
                200,
                {
                    "status": "success",
                    "processing_count": account.unfinished + account.occupied,
                    "message": text,
                },
            )
        )

    async def _control(
        self, request: web.Request, path: str
    ) -> web.StreamResponse:
        """
        What a test in another process may do.
        """
        name = path.removeprefix("/simulator/")
        if name == "books" and request.method == "GET":
            return give(Reply(200, self.books.to_json()))
        acts: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "next": self._order_from,
            "settings": self._settings_from,
        }
        if name not in acts or request.method != "POST":
            return give(page(404))

        body = await self._body(request)
        try:
            acts[name]({} if body is None else body)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            text = f"{type(exc).__name__}: {exc}"
            return give(Reply(400, {"status": "error", "message": text}))
        return give(Reply(200, {"status": "success"}))

    def _order_from(self, body: dict[str, Any]) -> None:
        body = dict(body)
        answer: Answer
        if "fault" in body:
            answer = Fault(body.pop("fault"))
        elif "edit" in body:
            answer = Edit(**body.pop("edit"))
        else:
            answer = Reply(**body.pop("reply"))
        kind = body.pop("kind")
        if kind not in {"submit", "fetch", "file"}:
            raise ValueError(f"no such kind: {kind!r}")
        self.next(kind, answer, **body)

    def _settings_from(self, body: dict[str, Any]) -> None:
        body = dict(body)
        acts: Mapping[str, Callable[[str, Any], None]] = {
            "occupy": self.occupy,
            "vacate": self.vacate,
            "ban": self.ban,
        }
        for name, act in acts.items():
            for key, value in body.pop(name, {}).items():
                act(key, value)
        self.change(**body)


def _key(body: Mapping[str, object]) -> str:
    key = body.get("key")
    return key if isinstance(key, str) else ""


def _name(answer: Answer) -> str:
    if isinstance(answer, Fault):
        return answer.value
    return type(answer).__name__.lower()


async def serve(
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    started: Callable[[Simulator], Awaitable[None] | None] | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> None:
    """
    Run a simulator until cancelled.

    Args:
        port: 0 takes one that is free.

        host: An address of this machine.

        started: Is given the simulator once it listens. Without it, the
            URL is printed.

        settings: How it is to behave.

        **options: Win over *settings*.
    """
    simulator = Simulator(settings, **options)
    await simulator.start(port, host)
    try:
        if started is None:
            print(simulator.url, flush=True)  # noqa: T201
        else:
            said = started(simulator)
            if said is not None:
                await said
        await asyncio.get_running_loop().create_future()
    finally:
        await simulator.stop()
