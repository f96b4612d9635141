"""
What goes wrong on demand, seen from the other end of the wire.
"""

from __future__ import annotations

import aiohttp
import pytest

from asking import FOREVER, Asker, asking

from modelslab_async.simulator import Edit, Fault, Reply, Verdict


pytestmark = pytest.mark.asyncio

_QUICK = 1000.0


async def _raw(asker: Asker, **body: object) -> tuple[int, bytes]:
    """
    Submit, and take what comes as bytes.
    """
    url = f"{asker.simulator.url}/images/text2img"
    sent = {"key": asker.key, "prompt": "a cat", "model_id": "flux", **body}
    async with asker.session.post(
        url, json=sent, allow_redirects=False
    ) as response:
        return response.status, await response.read()


@pytest.mark.parametrize(
    ("fault", "status", "kind", "jobs"),
    [
        (Fault.BAD_GATEWAY, 502, "text/html", 0),
        (Fault.GATEWAY_TIMEOUT, 504, "text/html", 1),
        (Fault.CLOUDFLARE_TIMEOUT, 524, "text/html", 1),
        (Fault.UNAVAILABLE, 503, "application/json", 0),
        (Fault.SERVER_ERROR, 500, "application/json", 0),
        (Fault.MISSING, 404, "text/html", 0),
        (Fault.HTML, 200, "text/html", 1),
        (Fault.REDIRECT, 307, "text/html", 0),
        (Fault.WRONG_TYPE, 200, "text/plain", 1),
        (Fault.HALF_BODY, 200, "text/html", 1),
        (Fault.UNSIZED, 200, "application/json", 1),
        (Fault.SLOW_BODY, 200, "application/json", 1),
        (Fault.SLOW_HEADERS, 200, "application/json", 1),
    ],
)
async def test_whole_answers(
    fault: Fault, status: int, kind: str, jobs: int
) -> None:
    """
    A fault that is an answer has its code and type; those that spoil the
    service's own leave a job behind, the others none.
    """
    async with asking(speed=_QUICK) as asker:
        asker.simulator.next("submit", fault)

        reply = await asker.submit()

    assert (reply.status, reply.kind) == (status, kind)
    assert len(asker.simulator.books.jobs) == jobs
    (entry,) = asker.simulator.books.entries
    assert (entry.verdict, entry.reason) == (Verdict.FAULT, fault.value)


@pytest.mark.parametrize(
    ("fault", "error", "jobs"),
    [
        (Fault.RESET_BEFORE, aiohttp.ClientOSError, 0),
        (Fault.RESET_AFTER, aiohttp.ClientOSError, 1),
        (Fault.TORN, aiohttp.ClientPayloadError, 1),
    ],
)
async def test_broken_lines(
    fault: Fault, error: type[Exception], jobs: int
) -> None:
    """
    A broken line is an error at the other end; whether there is a job, only
    the books know.
    """
    async with asking() as asker:
        asker.simulator.next("submit", fault)

        with pytest.raises(error):
            await asker.submit()

    assert len(asker.simulator.books.jobs) == jobs


async def test_silence() -> None:
    """
    Silence lasts as long as one listens, there is a job, and the simulator
    stops all the same.
    """
    async with asking() as asker:
        asker.simulator.next("submit", Fault.SILENCE)
        timeout = aiohttp.ClientTimeout(sock_read=0.05)

        with pytest.raises(aiohttp.SocketTimeoutError):
            async with asker.session.post(
                f"{asker.simulator.url}/images/text2img",
                json={"key": "k", "prompt": "a cat", "model_id": "flux"},
                timeout=timeout,
            ):
                pass

    assert len(asker.simulator.books.jobs) == 1


async def test_half_bodies() -> None:
    """
    Half a body is half the JSON in a well-formed answer.
    """
    async with asking() as asker:
        asker.simulator.next("submit", Fault.HALF_BODY, times=2)

        status, data = await _raw(asker)

    assert status == 200
    assert data.startswith(b'{"status": "success"')
    assert not data.endswith(b"}")


async def test_gzip_bomb() -> None:
    """
    A bomb is small on the wire and 64 MiB when it is opened.
    """
    async with asking() as asker:
        asker.simulator.next("submit", Fault.GZIP_BOMB)

        _, data = await _raw(asker)

    assert len(data) == 64 * 2**20


@pytest.mark.parametrize("accepted", [False, True])
async def test_accepted_as_told(accepted: bool) -> None:
    """
    Whether a fault leaves a job behind can be said.
    """
    async with asking() as asker:
        asker.simulator.next("submit", Fault.BAD_GATEWAY, accepted=accepted)

        reply = await asker.submit()

    assert reply.status == 502
    assert len(asker.simulator.books.accepted) == accepted


async def test_fault_after_acceptance_waits_for_one() -> None:
    """
    A fault that needs an acceptance is not used up by a refusal.
    """
    async with asking(slots=1, **FOREVER) as asker:
        asker.simulator.occupy(asker.key)
        asker.simulator.next("submit", Fault.GATEWAY_TIMEOUT)
        refused = await asker.submit()
        asker.simulator.vacate(asker.key)

        spoilt = await asker.submit()

    assert (refused.status, spoilt.status) == (200, 504)


async def test_aimed_at_a_prompt() -> None:
    """
    A fault can be aimed: others ask undisturbed, also when they come first.
    """
    async with asking(slots=9) as asker:
        asker.simulator.next("submit", Fault.UNAVAILABLE, prompt="dog")
        asker.simulator.next(
            "submit", Fault.BAD_GATEWAY, prompt=lambda text: text == "cow"
        )
        asker.simulator.next("submit", Fault.MISSING, prompt=("ox", "yak"))

        codes = [
            (await asker.submit(prompt)).status
            for prompt in ("cat", "a dog", "a cow", "cow", "a yak", "a dog")
        ]

    assert codes == [200, 503, 200, 502, 404, 200]


async def test_times() -> None:
    """
    Orders are met in turn, each as often as was said, and can be dropped.
    """
    async with asking() as asker:
        asker.simulator.next("fetch", Fault.BAD_GATEWAY, times=2)
        asker.simulator.next("fetch", Fault.UNAVAILABLE, times=9)

        codes = [(await asker.fetch(1)).status for _ in range(3)]
        asker.simulator.forget_orders()
        codes.append((await asker.fetch(1)).status)

    assert codes == [502, 502, 503, 200]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"status": "queued"}, "application/json"),
        (b"<html>", "text/html"),
        ("text", "text/html"),
    ],
)
async def test_reply(body: object, kind: str) -> None:
    """
    A reply is given as it stands, and begins no job.
    """
    async with asking() as asker:
        given = Reply(418, body, headers={"Retry-After": "7"})
        asker.simulator.next("submit", given)

        reply = await asker.submit()

    assert (reply.status, reply.kind) == (418, kind)
    assert asker.simulator.books.jobs == {}


async def test_reply_headers() -> None:
    """
    The headers of a reply win.
    """
    async with asking() as asker:
        given = Reply(200, "{}", headers={"Content-Type": "text/x"})
        asker.simulator.next("fetch", given)

        reply = await asker.fetch(1)

    assert reply.kind == "text/x"


async def test_edit() -> None:
    """
    An edit changes what would be said, and nothing else: there is a job, and
    it is noticed.
    """
    async with asking() as asker:
        edit = Edit({"eta": "soon"}, without=("output",), status=500)
        asker.simulator.next("submit", edit)

        reply = await asker.submit()

    assert reply.status == 500
    assert reply.body["eta"] == "soon"
    assert "output" not in reply.body
    (record,) = asker.simulator.books.jobs.values()
    assert record.noticed is not None


async def test_edited_word_is_no_notice() -> None:
    """
    A job whose success was edited away has not been noticed.
    """
    async with asking(latency=0.01) as asker:
        job_id = (await asker.submit()).body["id"]
        asker.simulator.next("fetch", Edit({"status": "queued"}), times=9999)

        while asker.simulator.books.jobs[job_id].ended is None:
            await asker.fetch(job_id)
        await asker.fetch(job_id)

    assert asker.simulator.books.jobs[job_id].noticed is None


async def test_edit_of_bytes() -> None:
    """
    Of an answer that is no JSON, an edit changes the code alone.
    """
    async with asking() as asker:
        asker.simulator.next("file", Edit({"a": 1}, status=403))

        reply = await asker.get(f"{asker.simulator.origin}/generations/x.png")

    assert reply.status == 403
    assert reply.body.startswith(b"<!DOCTYPE html>")


async def test_fetch_spoilt_is_no_notice() -> None:
    """
    An end that was lost on the line has not been noticed.
    """
    async with asking(latency=0.01) as asker:
        job_id = (await asker.submit()).body["id"]
        asker.simulator.next("fetch", Fault.RESET_AFTER, times=9999)

        while asker.simulator.books.jobs[job_id].ended is None:
            with pytest.raises(aiohttp.ClientOSError):
                await asker.fetch(job_id)
        with pytest.raises(aiohttp.ClientOSError):
            await asker.fetch(job_id)

    record = asker.simulator.books.jobs[job_id]
    assert record.noticed is None
    assert record.polls >= 1


async def test_redirect_followed_is_a_stray() -> None:
    """
    Whoever follows a redirect with the key is found in the books.
    """
    async with asking() as asker:
        asker.simulator.next("fetch", Fault.REDIRECT)
        url = f"{asker.simulator.url}/images/fetch/1"

        async with asker.session.post(url, json={"key": "k"}) as response:
            assert response.status == 404

    assert asker.simulator.books.strays == ["POST /elsewhere"]


async def test_file_faults() -> None:
    """
    Files are torn, cut without a trace, mislabelled or missing on demand.
    """
    async with asking() as asker:
        link = (await asker.submit()).body["output"][0]
        whole = await asker.get(link)

        asker.simulator.next("file", Fault.TORN, prompt="cat")
        with pytest.raises(aiohttp.ClientPayloadError):
            await asker.get(link)
        asker.simulator.next("file", Fault.UNSIZED)
        cut = await asker.get(link)
        asker.simulator.next("file", Fault.WRONG_TYPE)
        mislabelled = await asker.get(link)
        asker.simulator.next("file", Fault.MISSING)
        missing = await asker.get(link)

    assert whole.body.startswith(cut.body)
    assert len(cut.body) < len(whole.body)
    assert mislabelled.body == whole.body
    assert mislabelled.kind == "text/plain"
    assert missing.status == 404
