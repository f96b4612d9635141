"""
The local ModelsLab: how it is started, told what to do, and stopped.
"""

from __future__ import annotations

import asyncio
import os

from collections.abc import Awaitable, Callable
from typing import Any, Self

import attrs

from aiohttp import web

from . import drawing
from ._accounts import Accounts
from ._books import Books
from ._calls import Calls
from ._control import control
from ._faults import Answer, Edit, Fault, Order, Orders, Target, give, page
from ._files import Files
from ._inputs import InputReader
from ._jobs import Jobs
from ._listener import Listener
from ._outside import Outside
from ._replay import Replay
from ._server import Rooms, Server
from ._settings import Matcher, Rings, Settings
from ._state import State
from ._uploads import Uploads
from ._webhooks import Webhooks


_LARGEST_BODY = 64 * 2**20


class Simulator:
    """
    ModelsLab on loopback.

    It behaves as `Settings` say, which can be given as keywords, and change
    with `change()` while it runs. An ``async with`` starts and stops it on
    the running loop.

    Attributes:
        books: What happened so far.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        replay: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        """
        Make one.

        Args:
            settings: How it is to behave.

            replay: A file of captured exchanges, which are all that it then
                answers with.

            **options: Win over *settings*.

        Raises:
            OSError: *replay* cannot be read.

            ValueError: A line of *replay* is no exchange.
        """
        self._state = State(attrs.evolve(settings or Settings(), **options))
        self.books: Books = self._state.books
        self._orders = Orders()
        self._accounts = Accounts(self._state)
        self._jobs = Jobs(self._state)
        uploads = Uploads(self._state)
        self._files = Files(self._state, self._jobs, uploads)
        self._outside = Outside()
        self._webhooks = Webhooks(self._state, self._files, self._outside)
        self._jobs.ended = self._webhooks.ended
        self._server = Server(
            Rooms(
                state=self._state,
                orders=self._orders,
                accounts=self._accounts,
                jobs=self._jobs,
                uploads=uploads,
                files=self._files,
                calls=Calls(
                    self._state, self._accounts, self._jobs, self._files
                ),
                inputs=InputReader(self._files.read, self._outside),
                webhooks=self._webhooks,
            )
        )
        self._replay = None if replay is None else Replay(replay)
        self._listener: Listener | None = None
        self._origin: str | None = None

    @property
    def settings(self) -> Settings:
        """
        How it behaves now.
        """
        return self._state.settings

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
        if self._listener is not None:
            return
        if self.settings.pictures == "drawn":
            await asyncio.to_thread(drawing.load)

        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._listener = await Listener.start(app, port, host)
        self._origin = self._listener.origin

    async def stop(self) -> None:
        """
        Hang up. The books stay; unfinished jobs stay unfinished.
        """
        listener, self._listener = self._listener, None
        self._jobs.close()
        await self._webhooks.close()
        if listener is not None:
            await listener.stop()
        await self._outside.close()

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
        endpoint: str | None = None,
        accepted: bool | None = None,
        seconds: float = 5.0,
    ) -> None:
        """
        Answer the next request of this kind with that.

        Args:
            kind: ``submit``, ``fetch``, ``file``, ``upload``, ``call`` (of
                the account's own), or ``webhook``: the next that is to be
                rung.

            answer: A `Fault`; a `Reply` to give as it stands; an `Edit` of
                what would be said; or, for a webhook, one of `Rings`.

            times: For how many requests.

            prompt: Only those whose prompt it means: a part of it, several
                parts, or a function. None means all.

            endpoint: Only those of endpoints with this in their path, or of
                their jobs.

            accepted: Whether a submit begins a job all the same, or an
                upload is kept. None: as the fault says; for a `Reply`, no.
                Where it does, a submit that is refused anyhow is refused,
                and the order stays.

            seconds: How long slow things take in all, at ``speed=1``.

        Raises:
            ValueError: A webhook cannot be answered so, or nothing else.
        """
        if isinstance(answer, Rings) is not (kind == "webhook"):
            raise ValueError(f"{answer!r} is no answer to a {kind}")
        if isinstance(answer, Fault):
            begins = answer.accepted
        else:
            begins = isinstance(answer, Edit)
        if accepted is not None:
            begins = accepted
        self._orders.add(
            Order(kind, answer, times, prompt, endpoint, begins, seconds)
        )

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
        self._state.settings = attrs.evolve(self.settings, **options)

    def finish(self) -> None:
        """
        Let every job that runs end now.
        """
        self._jobs.finish()

    def occupy(self, key: str, slots: int = 1) -> None:
        """
        Let somebody else hold slots of this account.
        """
        self._accounts.of(key).occupied += slots

    def vacate(self, key: str, slots: int | None = None) -> None:
        """
        Let somebody else give slots back: so many, or all.
        """
        account = self._accounts.of(key)
        if slots is None:
            slots = account.occupied
        account.occupied = max(0, account.occupied - slots)

    def ban(self, key: str, seconds: float = 1800.0) -> None:
        """
        Refuse whatever this account asks for, for a while.
        """
        until = self._state.now() + self._state.lived(seconds)
        self._accounts.of(key).banned_until = until

    def unfinished(self, key: str) -> int:
        """
        How many of our jobs hold a slot of this account.
        """
        return self._accounts.of(key).unfinished

    # -- Web

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.startswith("/simulator/"):
            return await control(self, request)
        if self._replay is not None:
            return await self._replayed(request, self._replay)
        if path.startswith("/api/"):
            return await self._server.api(request, path.removeprefix("/api/"))
        response = None
        if request.method in {"GET", "HEAD"}:
            response = await self._server.file(request)
        return self._stray(request) if response is None else response

    async def _replayed(
        self, request: web.Request, replay: Replay
    ) -> web.StreamResponse:
        reply = replay.answer(
            request.method,
            request.path,
            await request.read(),
            origin=f"{request.scheme}://{request.host}",
        )
        return self._stray(request) if reply is None else give(reply)

    def _stray(self, request: web.Request) -> web.StreamResponse:
        self.books.strays.append(f"{request.method} {request.path}")
        return give(page(404))


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
