"""
A simulator that answers with what was captured.
"""

from __future__ import annotations

import base64
import json

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from asking import Asker

from modelslab_async.simulator import Simulator


pytestmark = pytest.mark.asyncio

API = "https://modelslab.com/api"
SUBMIT = f"{API}/v6/images/text2img"
FILES = "https://pub-1.r2.dev"


def exchange(
    url: str, request: object = None, body: object = "", **more: Any
) -> dict[str, Any]:
    """
    One exchange as a client captures it.
    """
    if isinstance(body, dict | list):
        body = json.dumps(body)
    if isinstance(request, dict):
        request = json.dumps(request)
    return {
        "at": 1764_000_000.5,
        "method": "POST",
        "url": url,
        "request_headers": {"Content-Type": "application/json"},
        "request_body": request,
        "status": 200,
        "headers": {"Content-Type": "application/json"},
        "body": body,
        "elapsed": 0.25,
        **more,
    }


def written(path: Path, *exchanges: object) -> Path:
    """
    A file of captured exchanges.
    """
    file = path / "capture.jsonl"
    lines = [json.dumps(each) for each in exchanges]
    file.write_text("\n".join([*lines, "", ""]))
    return file


async def test_the_same_is_answered_the_same(tmp_path: Path) -> None:
    """
    A request is answered as it was: code, headers and body; the key, the
    track_id and the webhook don't matter, nor the order of fields.
    """
    file = written(
        tmp_path,
        exchange(
            SUBMIT,
            {"prompt": "a", "model_id": "flux", "track_id": "1"},
            {"status": "error", "messege": "Try Again"},
            status=418,
            headers={
                "Content-Type": "application/json",
                "CF-Ray": "8a",
                "Transfer-Encoding": "chunked",
            },
        ),
    )
    async with (
        Simulator(replay=file) as simulator,
        aiohttp.ClientSession() as session,
    ):
        body = {"model_id": "flux", "webhook": "https://x", "prompt": "a"}
        sent = {"key": "any", "track_id": "2", **body}
        url = f"{simulator.url}/images/text2img"
        async with session.post(url, json=sent) as response:
            said = await response.json()

    assert response.status == 418
    assert response.headers["CF-Ray"] == "8a"
    assert said == {"status": "error", "messege": "Try Again"}


async def test_in_order_and_the_last_again(tmp_path: Path) -> None:
    """
    The same request is answered with one exchange after the other, and with
    the last of them from then on.
    """
    url = f"{API}/v6/images/fetch/12"
    file = written(
        tmp_path,
        exchange(url, {}, {"status": "processing"}),
        exchange(url, {}, {"status": "processing"}),
        exchange(url, {}, {"status": "success"}),
    )
    async with (
        Simulator(replay=file) as simulator,
        aiohttp.ClientSession() as session,
    ):
        asker = Asker(simulator, session)
        said = [(await asker.fetch(12)).body["status"] for _ in range(5)]

    assert said == [
        "processing",
        "processing",
        "success",
        "success",
        "success",
    ]


async def test_links_lead_here(tmp_path: Path) -> None:
    """
    Links in an answer lead to the simulator, also with escaped slashes, and
    files are what they were, byte for byte.
    """
    picture = bytes(range(256))
    file = written(
        tmp_path,
        exchange(
            SUBMIT,
            {"prompt": "a"},
            json.dumps(
                {
                    "fetch_result": f"{API}/v6/images/fetch/1",
                    "output": [f"{FILES}/generations/a.png"],
                    "tip": "https://other.example/",
                }
            ).replace("/", r"\/"),
        ),
        exchange(
            f"{FILES}/generations/a.png",
            method="GET",
            headers={"Content-Type": "image/png", "Content-Length": "9"},
            body_base64=base64.b64encode(picture).decode(),
        ),
    )
    async with (
        Simulator(replay=file) as simulator,
        aiohttp.ClientSession() as session,
    ):
        asker = Asker(simulator, session)
        said = (await asker.post("images/text2img", prompt="a")).body
        async with session.get(said["output"][0]) as response:
            data = await response.read()

    assert said["fetch_result"] == f"{simulator.url}/images/fetch/1"
    assert said["tip"] == "https://other.example/"
    assert data == picture


async def test_what_nobody_asked(tmp_path: Path) -> None:
    """
    What was not captured is not found, and noted.
    """
    file = written(tmp_path, exchange(SUBMIT, {"prompt": "a"}, {}))
    async with (
        Simulator(replay=file) as simulator,
        aiohttp.ClientSession() as session,
    ):
        asker = Asker(simulator, session)
        reply = await asker.post("images/text2img", prompt="b")

    assert reply.status == 404
    assert simulator.books.strays == ["POST /api/v6/images/text2img"]


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "[]",
        "{}",
        json.dumps({"url": SUBMIT, "method": "POST"}),
        json.dumps(exchange(SUBMIT, {}, 7)),
        json.dumps(exchange(SUBMIT, {}, body_base64="%")),
    ],
)
async def test_no_capture(line: str, tmp_path: Path) -> None:
    """
    A line that is no exchange is named before anything is served.
    """
    file = tmp_path / "capture.jsonl"
    file.write_text(f"\n{line}\n")

    with pytest.raises(ValueError, match=r"capture\.jsonl:2: not a captured"):
        Simulator(replay=file)


async def test_no_file(tmp_path: Path) -> None:
    """
    A file that is not there is said at once.
    """
    with pytest.raises(FileNotFoundError):
        Simulator(replay=tmp_path / "nothing")
