"""
Whether a request begins a job: the order in which the service looks at it.
"""

from __future__ import annotations

import asyncio

from collections.abc import Mapping

import attrs

from aiohttp import web

from . import _refusals
from ._accounts import Account, Accounts
from ._endpoints import Endpoint
from ._faults import Orders
from ._inputs import Input, InputReader, Inputs
from ._jobs import Job, Jobs
from ._refusals import Refusal
from ._requests import Request, fingerprint, read_request
from ._settings import KeyState, Rings, Unlike
from ._state import State


Body = dict[str, object]


@attrs.frozen
class Asked:
    """
    A request as it came.

    Attributes:
        body: The JSON object that was sent, or None.

        origin: As its asker wrote it.
    """

    web: web.Request
    body: Body | None
    key: str
    origin: str

    @property
    def fields(self) -> Mapping[str, object]:
        """
        Of the body and the query.
        """
        return {**self.web.query, **(self.body or {})}


class Admission:
    """
    Accepts and refuses.
    """

    def __init__(
        self,
        state: State,
        accounts: Accounts,
        jobs: Jobs,
        reader: InputReader,
        orders: Orders,
    ) -> None:
        self._state = state
        self._accounts = accounts
        self._jobs = jobs
        self._reader = reader
        self._orders = orders

    async def judge(self, asked: Asked, endpoint: Endpoint) -> Job | Refusal:
        """
        Accept or refuse. Nothing is awaited between the last look at the
        slots and the job: two requests cannot both have the last slot.
        """
        screened = self._screened(asked, endpoint)
        if isinstance(screened, Refusal):
            return screened
        account, request = screened
        mark = b""
        if self._state.settings.same_request:
            mark = fingerprint(asked.body or {})

        inputs: Inputs | None = {}
        if request.sources:
            refusal = self._room(account, mark)
            if refusal is not None:
                return refusal
            inputs = await self._inputs(request, asked.origin)
        if inputs is None:
            return _refusals.unreachable(self._state.settings, endpoint)

        refusal = self._room(account, mark)
        if refusal is not None:
            return refusal
        if self._jobs.is_loading(request.model_id):
            return _refusals.loading(self._state.settings, endpoint)
        if mark:
            account.seen[mark] = self._state.now()
        return self._jobs.accept(
            account,
            request,
            inputs,
            origin=asked.origin,
            ring=self._ring(request),
        )

    def _screened(
        self, asked: Asked, endpoint: Endpoint
    ) -> tuple[Account, Request] | Refusal:
        """
        Whether it is a request that this account may ever make.
        """
        settings, accounts = self._state.settings, self._accounts
        if asked.body is None:
            return _refusals.not_json(settings)
        state = accounts.key_state(asked.key)
        if state is KeyState.BLOCKED:
            return _refusals.bad_key(settings, asked.key)
        account, now = accounts.of(asked.key), self._state.now()
        if account.banned_until > now:
            return _refusals.banned(account.banned_until - now)

        request = read_request(
            endpoint,
            asked.body,
            strict=settings.strict,
            only_booleans=Unlike.BOOLEANS_ONLY in settings.unlike,
        )
        if isinstance(request, dict):
            return _refusals.invalid(settings, endpoint, request)
        if not self._has_model(request):
            return _refusals.unknown_model(
                settings, endpoint, request.model_id
            )
        if state is not KeyState.GOOD:
            return _refusals.account(settings, endpoint, state)
        if accounts.balance(account) < settings.price * request.samples:
            return _refusals.account(settings, endpoint, KeyState.NO_CREDIT)
        return account, request

    def _has_model(self, request: Request) -> bool:
        model_id, settings = request.model_id, self._state.settings
        if model_id is None:
            return not request.endpoint.needs_model
        if model_id in settings.unknown_models:
            return False
        return settings.models is None or model_id in settings.models

    def _room(self, account: Account, mark: bytes) -> Refusal | None:
        settings, accounts = self._state.settings, self._accounts
        if mark and accounts.was_seen(account, mark):
            return _refusals.same_request(settings)
        if accounts.is_full(account):
            return _refusals.queue_full(settings)
        return None

    async def _inputs(self, request: Request, origin: str) -> Inputs | None:
        """
        The pictures that came with it; None, if one cannot be had.
        """
        inputs: dict[str, tuple[Input, ...]] = {}
        mode = self._state.settings.inputs
        for name, sources in request.sources.items():
            found = await asyncio.gather(
                *(
                    self._reader.get(each, origin=origin, mode=mode)
                    for each in sources
                )
            )
            pictures = tuple(each for each in found if each is not None)
            if len(pictures) < len(sources):
                return None
            inputs[name] = pictures
        if self._state.settings.pictures == "plain":
            # Their sizes are all that a picture of one colour needs.
            return {
                name: tuple(attrs.evolve(each, data=None) for each in pictures)
                for name, pictures in inputs.items()
            }
        return inputs

    def _ring(self, request: Request) -> Rings:
        orders = self._orders
        order = orders.find("webhook", request.prompt, request.endpoint.path)
        if order is None or not request.text("webhook"):
            return self._state.settings.rings
        orders.fill(order)
        return Rings(str(order.answer))
