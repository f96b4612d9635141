"""
A service that is not perfect: unusual ids, links and bodies, from a request
to its file.
"""

from __future__ import annotations

import io
import json

from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from aiohttp import web
from PIL import Image

from modelslab_async import ModelsLab, PollSchedule, TextToImage, errors


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]


def _png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    return file.getvalue()


PNG = _png()
CAT = TextToImage("a cat", model_id="flux")


@attrs.define
class Imperfect:
    """
    A service that answers as it is told to, and notes the paths it is asked
    for, as they were spelt.

    Attributes:
        submit: The answer to a submit.

        poll: The answers to polls, the last one again and again.
    """

    submit: bytes = b""
    poll: list[bytes] = attrs.field(factory=list)
    asked: list[str] = attrs.field(factory=list)
    url: str = ""

    async def post(self, request: web.Request) -> web.Response:
        await request.read()
        self.asked.append(request.raw_path.removeprefix("/api/v6"))
        if request.path.endswith("/text2img"):
            return web.Response(body=self.submit)
        several = len(self.poll) > 1
        return web.Response(body=self.poll.pop(0) if several else self.poll[0])

    async def get(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        return web.Response(body=PNG)


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Imperfect]:
    found = Imperfect()
    app = web.Application()
    app.router.add_post("/{path:.*}", found.post)
    app.router.add_get("/{path:.*}", found.get)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    found.url = f"http://{host}:{port}/api/v6"
    yield found
    await runner.cleanup()


@pytest_asyncio.fixture
async def lab(service: Imperfect) -> AsyncIterator[ModelsLab]:
    polling = PollSchedule.fixed(0.01)
    async with ModelsLab(
        "a-key", base_url=service.url, polling=polling
    ) as found:
        yield found


def said(**body: object) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("job_id", "asked"),
    [
        ("gen:12/3", "/images/fetch/gen:12%2F3"),
        ("msg.01A", "/images/fetch/msg.01A"),
        ("a b?c#d", "/images/fetch/a%20b%3Fc%23d"),
        ("50%", "/images/fetch/50%25"),
        ("\u043a\u043b", "/images/fetch/%D0%BA%D0%BB"),
    ],
)
async def test_ids_of_any_shape(
    service: Imperfect,
    lab: ModelsLab,
    tmp_path: Path,
    job_id: str,
    asked: str,
) -> None:
    """
    A paid job is asked for by the id that it has, and found again by its
    handle; no file is named by what is no name.
    """
    service.submit = said(status="processing", id=job_id)
    service.poll = [said(status="success", id=job_id, output=["/0.png"])]

    job = await lab.submit(CAT)
    generation = await job
    again = await lab.job(job.handle)
    (path,) = await lab.download(generation, tmp_path)

    assert job.id == generation.id == again.id == job_id
    assert service.asked[1] == asked
    assert path.parent == tmp_path
    assert path.read_bytes() == PNG


async def test_an_id_that_is_none_is_told_whole(
    service: Imperfect, lab: ModelsLab
) -> None:
    """
    What cannot be asked for is not lost: it is in the error.
    """
    job_id = "x" * 200
    service.submit = said(status="processing", id=job_id)

    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await lab.submit(CAT)

    assert caught.value.raw == {"status": "processing", "id": job_id}


async def test_the_id_of_a_torn_answer_is_told(
    service: Imperfect, lab: ModelsLab
) -> None:
    """
    It is no verdict, but whoever reads the error can take the job up.
    """
    service.submit = said(status="processing", id=7, eta=5)[:-3]

    with pytest.raises(errors.OutcomeUnknownError) as caught:
        await lab.submit(CAT)

    assert caught.value.raw == {"status": "processing", "id": 7}


async def test_another_jobs_answer_is_not_heard(
    service: Imperfect, lab: ModelsLab
) -> None:
    """
    Pictures and ends of another job are not taken for this one's.
    """
    service.submit = said(status="processing", id=1)
    service.poll = [
        said(status="success", id=2, output=["/2.png"]),
        said(status="failed", id=2, message="no"),
        said(status="success", id=1, output=["/1.png"]),
    ]

    generation = await lab.generate(CAT, timeout=10)

    assert generation.images[0].url == service.url.replace("/api/v6", "/1.png")


async def test_a_success_without_a_picture_is_told_whole(
    service: Imperfect, lab: ModelsLab
) -> None:
    """
    Where nobody can read a picture in it, the answer is in the error.
    """
    answer = {"status": "success", "id": 1, "output": [{"odd": 5}]}
    service.submit = said(status="processing", id=1)
    service.poll = [said(**answer)]

    with pytest.raises(errors.GenerationFailedError) as caught:
        await lab.generate(CAT, timeout=20)

    assert caught.value.raw == answer


async def test_a_notice_costs_no_paid_job(
    service: Imperfect, lab: ModelsLab
) -> None:
    """
    PHP's notices before and behind the JSON are read over.
    """
    notice = b"<b>Notice</b>: Undefined index: {x} in /var/www/x.php\n"
    service.submit = notice + said(status="processing", id=1) + b"\0\0"
    service.poll = [
        b"\xef\xbb\xbf" + said(status="success", output=["/0.png"]) + notice
    ]

    generation = await lab.generate(CAT, timeout=10)

    assert generation.id == "1"
