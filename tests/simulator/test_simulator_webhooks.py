"""
Webhooks: when they are called, and what with.
"""

from __future__ import annotations

import asyncio
import json

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_asyncio

from aiohttp import web
from aiohttp.test_utils import TestServer
from asking import Asker, asking

from modelslab_async.simulator import Fault, Reply, Rings


pytestmark = pytest.mark.asyncio


@attrs.frozen
class Call:
    """
    A call of the webhook.
    """

    data: bytes
    kind: str

    @property
    def body(self) -> Any:
        return json.loads(self.data)


@attrs.define
class Listener:
    """
    Somebody with a webhook.
    """

    url: str = ""
    calls: list[Call] = attrs.field(factory=list)
    _came: asyncio.Condition = attrs.field(factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        data = await request.read()
        async with self._came:
            self.calls.append(Call(data, request.content_type))
            self._came.notify_all()
        return web.Response()

    async def heard(self, count: int) -> list[Call]:
        """
        Wait for so many calls.
        """
        async with self._came:
            await self._came.wait_for(lambda: len(self.calls) >= count)
        return self.calls


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[Listener]:
    """
    A webhook on loopback.
    """
    heard = Listener()
    app = web.Application(client_max_size=2**22)
    app.router.add_post("/ring/{token}", heard.take)
    async with TestServer(app) as server:
        heard.url = str(server.make_url("/ring/token"))
        yield heard


async def submit(asker: Asker, listener: Listener, **more: Any) -> Any:
    """
    Ask for a picture and to be rung.
    """
    reply = await asker.submit(webhook=listener.url, track_id="7", **more)
    return reply.body


async def test_once(listener: Listener) -> None:
    """
    When a job has ended its webhook is told what became of it, once.
    """
    async with asking(latency=1e6) as asker:
        body = await submit(asker, listener, seed=3)
        assert listener.calls == []
        asker.simulator.finish()
        (call,) = await listener.heard(1)

    assert call.kind == "application/json"
    assert call.body["status"] == "success"
    assert call.body["id"] == body["id"]
    assert call.body["track_id"] == "7"
    assert call.body["output"] == body["future_links"]
    (ring,) = asker.simulator.books.rings
    assert (ring.job_id, ring.how, ring.status) == (body["id"], "once", 200)
    assert ring.url == listener.url


async def test_a_failed_job(listener: Listener) -> None:
    """
    A failed job's webhook is told so.
    """
    async with asking(failures=1) as asker:
        await submit(asker, listener)
        (call,) = await listener.heard(1)

    assert call.body.keys() == {"status", "id", "message", "track_id"}
    assert call.body["status"] == "failed"


async def test_a_lost_answer(listener: Listener) -> None:
    """
    A job whose submit was never answered rings all the same.
    """
    async with asking() as asker:
        asker.simulator.next("submit", Fault.CLOUDFLARE_TIMEOUT)
        await asker.submit(webhook=listener.url, track_id="7")
        (call,) = await listener.heard(1)

    assert call.body["track_id"] == "7"


async def test_any_endpoint_rings(listener: Listener) -> None:
    """
    Webhooks are no matter of text to image.
    """
    async with asking() as asker:
        await asker.ask(
            "v6/realtime/text2img", prompt="a", webhook=listener.url
        )
        (call,) = await listener.heard(1)

    assert call.body["status"] == "success"


async def test_twice(listener: Listener) -> None:
    """
    The same can be said twice.
    """
    async with asking(rings="twice") as asker:
        await submit(asker, listener)
        one, other = await listener.heard(2)

    assert one == other


async def test_late(listener: Listener) -> None:
    """
    A late ring comes when everything is known already.
    """
    async with asking(rings="late", late_ring=0.05) as asker:
        body = await submit(asker, listener)
        assert listener.calls == []
        await listener.heard(1)

    record = asker.simulator.books.jobs[body["id"]]
    (ring,) = asker.simulator.books.rings
    assert record.ended is not None
    assert ring.at - record.ended >= 0.05


async def test_never(listener: Listener) -> None:
    """
    A webhook can stay silent; one job after another is told what it is.
    """
    async with asking() as asker:
        asker.simulator.next("webhook", Rings.NEVER, prompt="quiet")
        await submit(asker, listener, prompt="quiet one")
        await submit(asker, listener, prompt="another")
        (call,) = await listener.heard(1)

    assert call.body["meta"]["prompt"] == "another"
    assert len(asker.simulator.books.rings) == 1


async def test_early(listener: Listener) -> None:
    """
    A webhook can ring before its submit is answered.
    """
    async with asking(rings="early", latency=0.02) as asker:
        body = await submit(asker, listener)
        calls = list(listener.calls)

    assert [call.body["id"] for call in calls] == [body["id"]]
    assert body["status"] == "success"


async def test_announced(listener: Listener) -> None:
    """
    A webhook can be told that a job runs, before it has ended.
    """
    async with asking(rings="announced", latency=1e6) as asker:
        await submit(asker, listener)
        await listener.heard(1)
        asker.simulator.finish()
        calls = await listener.heard(2)

    said = [call.body["status"] for call in calls]
    assert said == ["processing", "success"]


@pytest.mark.parametrize("how", [Rings.FAILED, Rings.OTHER_STATUS])
async def test_lies_about_the_state(how: Rings, listener: Listener) -> None:
    """
    A webhook can say something else than what became of the job.
    """
    async with asking(rings=how) as asker:
        body = await submit(asker, listener)
        (call,) = await listener.heard(1)

    assert body["status"] == "success"
    assert call.body["status"] in {"failed", "finished"}


async def test_lies_about_the_job(listener: Listener) -> None:
    """
    A webhook can speak of another job.
    """
    async with asking(rings="other-id") as asker:
        body = await submit(asker, listener)
        (call,) = await listener.heard(1)

    assert call.body["id"] == body["id"] + 1


async def test_garbage(listener: Listener) -> None:
    """
    A webhook can be given what nobody can read, under a wrong name, or far
    too much.
    """
    async with asking() as asker:
        for how in (Rings.GARBAGE, Rings.WRONG_TYPE, Rings.HUGE):
            asker.simulator.next("webhook", how)
        for number in range(3):
            await submit(asker, listener, seed=number)
            await listener.heard(number + 1)

    garbage, wrong, huge = listener.calls
    with pytest.raises(ValueError, match="Expecting value"):
        _ = garbage.body
    assert wrong.kind == "text/plain"
    assert wrong.body["status"] == "success"
    assert len(huge.data) > 2**20


async def test_nobody_listens() -> None:
    """
    A webhook that cannot be reached is written down, and no more.
    """
    async with asking(rings="early") as asker:
        reply = await asker.submit(webhook="http://127.0.0.1:9/ring")

    assert reply.body["status"] == "success"
    (ring,) = asker.simulator.books.rings
    assert ring.status is None


async def test_stopped_while_a_ring_waits(listener: Listener) -> None:
    """
    A simulator that stops rings no more.
    """
    async with asking(rings="late", late_ring=1e6) as asker:
        await submit(asker, listener)

    assert listener.calls == []


async def test_wrong_orders() -> None:
    """
    A webhook is not answered, and nothing else is rung.
    """
    async with asking() as asker:
        with pytest.raises(ValueError, match="no answer to a webhook"):
            asker.simulator.next("webhook", Reply(200))
        with pytest.raises(ValueError, match="no answer to a submit"):
            asker.simulator.next("submit", Rings.LATE)


async def test_ordered_from_outside(listener: Listener) -> None:
    """
    Another process can say how the next webhook is called.
    """
    async with asking() as asker:
        reply = await asker.control("next", kind="webhook", ring="failed")
        await submit(asker, listener)
        (call,) = await listener.heard(1)

    assert reply.status == 200
    assert call.body["status"] == "failed"
