"""
The web server in front of it all: which path is answered by whom.
"""

from __future__ import annotations

import json

import attrs

from aiohttp import web

from . import _refusals, _replies
from ._accounts import Account, Accounts
from ._admission import Admission, Asked
from ._books import Entry, Verdict
from ._calls import CALLS, Answering, Calls, Question
from ._endpoints import ENDPOINTS, FAMILIES, Endpoint
from ._faults import (
    Answer,
    Edit,
    Fault,
    Order,
    Orders,
    Reply,
    Target,
    give,
    play,
)
from ._files import Files
from ._inputs import InputReader
from ._jobs import Job, Jobs
from ._parameters import scalar
from ._refusals import Refusal
from ._requests import compact
from ._settings import KeyState, Rings, Unlike
from ._state import State
from ._unlike import about_account, about_file, about_job, number_in
from ._uploads import UPLOADS, UploadEndpoint, Uploads
from ._webhooks import Webhooks


@attrs.define
class Rooms:
    """
    Who answers.
    """

    state: State
    orders: Orders
    accounts: Accounts
    jobs: Jobs
    uploads: Uploads
    files: Files
    calls: Calls
    inputs: InputReader
    webhooks: Webhooks


@attrs.frozen
class _Answered:
    """
    What is said, of which job, and what is to go wrong with it.
    """

    reply: Reply
    job: Job | None = None
    order: Order | None = None


class Server:
    """
    Answers the service's own paths.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._state = rooms.state
        self._admission = Admission(
            rooms.state,
            rooms.accounts,
            rooms.jobs,
            rooms.inputs,
            rooms.orders,
        )

    async def api(self, request: web.Request, path: str) -> web.StreamResponse:
        """
        Answer what lies behind ``/api/``.
        """
        endpoint = ENDPOINTS.get(path)
        if endpoint is not None and request.method == "POST":
            answered = await self._submit(await self._asked(request), endpoint)
            return await self._give(request, answered)

        family, slash, rest = path.partition("/fetch")
        if slash and family in FAMILIES and rest[:1] in {"", "/"}:
            asked = await self._asked(request)
            answered = await self._fetch(asked, family, rest[1:])
            return await self._give(request, answered)

        return await self._other(request, path)

    async def file(self, request: web.Request) -> web.StreamResponse | None:
        """
        Answer what lies elsewhere; None, if nothing can lie there.
        """
        files, orders = self._rooms.files, self._rooms.orders
        found = files.find(request.path)
        if found is None:
            return None
        self._state.books.downloads += 1
        job = found.job
        if job is not None:
            job.record.downloads += 1
        order = None
        if job is None:
            order = orders.find("file", None, request.path)
        else:
            order = orders.find("file", job.prompt, job.path)
        if order is not None:
            orders.fill(order)
        reply = about_file(
            await files.reply(found),
            self._state.settings.unlike,
            request.raw_path.partition("?")[2],
        )
        if order is not None:
            return await self._spoil(request, order, reply, job)
        return give(reply)

    async def _asked(self, request: web.Request) -> Asked:
        body = None
        if request.content_type == "application/json":
            try:
                body = json.loads(await request.read())
            except (ValueError, RecursionError):
                body = None
        if not isinstance(body, dict):
            body = None
        key = (body or {}).get("key")
        if Unlike.KEY_IN_HEADER in self._state.settings.unlike:
            key = request.headers.get("key")
        return Asked(
            request,
            body,
            key if isinstance(key, str) else "",
            f"{request.scheme}://{request.host}",
        )

    async def _give(
        self, request: web.Request, answered: _Answered
    ) -> web.StreamResponse:
        reply = about_job(answered.reply, self._state.settings.unlike)
        if answered.order is not None:
            return await self._spoil(
                request, answered.order, reply, answered.job
            )
        self._note_end(answered.job, answered.reply)
        return give(reply)

    async def _spoil(
        self,
        request: web.Request,
        order: Order,
        reply: Reply,
        job: Job | None = None,
    ) -> web.StreamResponse:
        answer = order.answer
        if isinstance(answer, Fault):
            seconds = self._state.lived(order.seconds)
            return await play(answer, request, reply, seconds=seconds)
        if isinstance(answer, Edit):
            reply = answer.apply(reply)
            self._note_end(job, reply)
        elif isinstance(answer, Reply):
            reply = answer
        return give(reply)

    def _note_end(self, job: Job | None, reply: Reply) -> None:
        """
        Note when the end of a job was first told.
        """
        if job is None or not isinstance(reply.body, dict):
            return
        record = job.record
        final = reply.body.get("status") in {"success", "failed"}
        if final and record.ended is not None and record.noticed is None:
            record.noticed = self._state.now()

    # -- Submit

    async def _submit(self, asked: Asked, endpoint: Endpoint) -> _Answered:
        rooms, at = self._rooms, self._state.now()
        prompt = str((asked.body or {}).get("prompt"))
        order = rooms.orders.find("submit", prompt, endpoint.path)

        if order is not None:
            # At once: pictures are waited for, and others come meanwhile.
            rooms.orders.fill(order)
        if order is not None and not order.accepted:
            reason = _name(order.answer)
            self._write(at, asked, endpoint, Verdict.FAULT, reason=reason)
            return _Answered(Reply(), order=order)

        verdict = await self._admission.judge(asked, endpoint)
        if isinstance(verdict, Refusal):
            if order is not None:
                rooms.orders.put_back(order)
            reason = verdict.reason
            self._write(at, asked, endpoint, Verdict.REFUSED, reason=reason)
            return _Answered(verdict.reply)

        job = verdict
        fault = order is not None and not isinstance(order.answer, Edit)
        self._write(
            at,
            asked,
            endpoint,
            Verdict.FAULT if fault else Verdict.ACCEPTED,
            job=job,
            reason=None if order is None else _name(order.answer),
        )
        rooms.webhooks.announce(job)
        await rooms.jobs.hold(job)
        if job.webhook and job.ring is Rings.EARLY:
            await rooms.jobs.wait(job)
            await rooms.webhooks.ring_early(job)
        return _Answered(await self._first_reply(job), job, order)

    def _write(
        self,
        at: float,
        asked: Asked,
        endpoint: Endpoint,
        verdict: Verdict,
        *,
        job: Job | None = None,
        reason: str | None = None,
    ) -> None:
        body = asked.body or {}
        entry = Entry(
            at=at,
            account=self._rooms.accounts.of(asked.key).label,
            track_id=scalar(body.get("track_id")),
            body=compact(body, without=("key",)),
            verdict=verdict,
            job_id=None if job is None else job.id,
            reason=reason,
            endpoint=endpoint.path,
            remarks=() if job is None else job.request.remarks,
        )
        self._state.books.entries.append(entry)

    async def _first_reply(self, job: Job) -> Reply:
        settings = self._state.settings
        if job.has_ended and job.fails:
            return _refusals.failed(job.shown_id)
        facts = await self._rooms.files.facts(job, job.origin)
        if not job.has_ended:
            return _replies.processing(settings, facts)
        return _replies.success(settings, facts, envelope="full")

    # -- Fetch

    async def _fetch(
        self, asked: Asked, family: str, path_id: str
    ) -> _Answered:
        settings, rooms = self._state.settings, self._rooms
        method, path = asked.web.method, asked.web.path
        self._state.books.polls += 1
        only_get = Unlike.GET_FETCH in settings.unlike
        by_get = method == "GET" and (settings.fetch_get or only_get)
        if not by_get and (method != "POST" or only_get):
            reply = _refusals.unserved(settings, method, path)
            return _Answered(attrs.evolve(reply, status=405))

        asked_id: object = path_id or asked.fields.get("request_id")
        if Unlike.TEXT_IDS in settings.unlike:
            asked_id = number_in(asked_id)
        key = asked.key or str(asked.web.query.get("key") or "")
        account = rooms.accounts.of(key)
        job = rooms.jobs.find(account, asked_id, family)
        if job is None:
            order = rooms.orders.find("fetch", None, path)
        else:
            order = rooms.orders.find("fetch", job.prompt, job.path)
            job.record.polls += 1
        if order is not None:
            rooms.orders.fill(order)

        if settings.fetch not in {"both", "path" if path_id else "body"}:
            reply = _refusals.unserved(settings, method, path)
        elif asked.body is None and not by_get:
            reply = _refusals.not_json(settings).reply
        elif rooms.accounts.key_state(key) is KeyState.BLOCKED:
            reply = _refusals.bad_key(settings, key).reply
        elif job is None:
            reply = _refusals.unknown_job(settings)
        else:
            reply = await self._state_of(job, asked.origin)
        return _Answered(reply, job, order)

    async def _state_of(self, job: Job, origin: str) -> Reply:
        settings = self._state.settings
        if not job.has_ended:
            return _replies.still_processing(settings, job.request.endpoint)
        if job.fails:
            return _refusals.failed("")
        facts = await self._rooms.files.facts(job, origin)
        return _replies.success(settings, facts, envelope=settings.fetch_reply)

    # -- All else

    async def _other(
        self, request: web.Request, path: str
    ) -> web.StreamResponse:
        settings, orders = self._state.settings, self._rooms.orders
        upload = UPLOADS.get(path) if request.method == "POST" else None
        call = self._call(request.method, path)
        if call is None and upload is None:
            return give(
                _refusals.unserved(settings, request.method, request.path)
            )

        self._state.books.calls[path] += 1
        kind: Target = "call" if upload is None else "upload"
        order = orders.find(kind, None, path)
        reply = Reply()
        if order is None or order.accepted:
            asked = await self._asked(request)
            reply = await self._said(asked, upload, call)
            reply = about_account(reply, settings.unlike)
        if order is None:
            return give(reply)
        orders.fill(order)
        return await self._spoil(request, order, reply)

    def _call(self, method: str, path: str) -> Answering | None:
        """
        Who answers a call, if this service has it.
        """
        settings = self._state.settings
        uncounted = Unlike.NO_COUNT in settings.unlike
        if uncounted and path.endswith("request_count"):
            return None
        if settings.assets == "v6" and path == "assets_generated":
            return None
        return CALLS.get((method, path))

    async def _said(
        self,
        asked: Asked,
        upload: UploadEndpoint | None,
        call: Answering | None,
    ) -> Reply:
        settings, accounts = self._state.settings, self._rooms.accounts
        if asked.body is None and asked.web.method == "POST":
            return _refusals.not_json(settings).reply
        key = asked.key or _key_elsewhere(asked.web)
        if accounts.key_state(key) is KeyState.BLOCKED:
            return _refusals.bad_key(settings, key).reply
        if upload is not None:
            return self._upload(upload, accounts.of(key), asked)
        assert call is not None  # noqa: S101 - one of the two is there
        question = Question(accounts.of(key), asked.fields, asked.origin)
        return await call(self._rooms.calls, question)

    def _upload(
        self, upload: UploadEndpoint, account: Account, asked: Asked
    ) -> Reply:
        job_id = 0 if upload.own_ids else self._rooms.jobs.next_id()
        return self._rooms.uploads.take(
            upload,
            account,
            asked.body or {},
            origin=asked.origin,
            job_id=job_id,
        )


def _key_elsewhere(request: web.Request) -> str:
    """
    The key of a GET: in the query, in a header, or as a bearer's token.
    """
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return (
        request.query.get("key") or request.headers.get("key") or bearer or ""
    )


def _name(answer: Answer) -> str:
    if isinstance(answer, Fault):
        return answer.value
    return type(answer).__name__.lower()
