"""
A service that differs from what is known of it.
"""

from __future__ import annotations

from typing import Any

import pytest

from asking import FOREVER, Asker, asking, png, uri
from yarl import URL

from modelslab_async.simulator import Unlike


pytestmark = pytest.mark.asyncio


async def jobs(asker: Asker) -> tuple[Any, Any]:
    """
    What is said of a job that runs, and of one that was refused.
    """
    running = await asker.submit()
    refused = await asker.submit(None)
    return running.body, refused.body


async def test_none_by_default() -> None:
    """
    The simulator is like the service unless told otherwise, and knows more
    than ten ways to differ.
    """
    async with asking() as asker:
        assert asker.simulator.settings.unlike == frozenset()

    assert len(Unlike) > 10


async def test_key_in_a_header() -> None:
    """
    The key in the body is not looked at.
    """
    async with asking(unlike=["key-in-header"], keys=["good"]) as asker:
        url = f"{asker.simulator.url}/images/text2img"
        body = {"prompt": "a", "model_id": "flux", "key": "good"}
        headers = {"key": "good"}
        refused = await asker.submit(key="good")
        async with asker.session.post(
            url, json=body, headers=headers
        ) as response:
            said = await response.json()

    assert refused.body["message"] == "Invalid Api Key"
    assert said["status"] == "success"


@pytest.mark.parametrize(
    ("flag", "status"), [("yes", "error"), (True, "success")]
)
async def test_booleans_only(flag: object, status: str) -> None:
    """
    Flags as words are refused.
    """
    async with asking(unlike=["booleans-only"]) as asker:
        reply = await asker.submit(safety_checker=flag)

    assert reply.body["status"] == status


async def test_get_fetch() -> None:
    """
    Fetch answers GET alone.
    """
    async with asking(unlike=["get-fetch"]) as asker:
        job_id = (await asker.submit()).body["id"]
        posted = await asker.fetch(job_id)
        url = f"{asker.simulator.url}/images/fetch/{job_id}"
        async with asker.session.get(url, params={"key": asker.key}) as got:
            body = await got.json()

    assert posted.status == 405
    assert body["status"] == "success"


async def test_status_words() -> None:
    """
    The words for a job's state are others.
    """
    async with asking(unlike=["status-words"], latency=1e6) as asker:
        body = (await asker.submit()).body
        asker.simulator.finish()
        fetched = (await asker.fetch(body["id"])).body
        missing = (await asker.fetch(1)).body

    assert body["status"] == "queued"
    assert fetched["status"] == "completed"
    assert missing["status"] == "cancelled"
    assert asker.simulator.books.jobs[body["id"]].noticed is not None


async def test_nested_output() -> None:
    """
    The links are elsewhere.
    """
    async with asking(unlike=["nested-output"]) as asker:
        body = (await asker.submit()).body
        file = await asker.get(body["data"]["images"][0])

    assert "output" not in body
    assert file.status == 200


async def test_text_ids() -> None:
    """
    Ids are words, by which jobs are found.
    """
    async with asking(unlike=["text-ids"], **FOREVER) as asker:
        body = (await asker.submit()).body
        fetched = await asker.fetch(body["id"])

    assert body["id"].startswith("gen_")
    assert body["fetch_result"].endswith(body["id"])
    assert fetched.body["status"] == "processing"


async def test_milliseconds() -> None:
    """
    The eta is a thousand times what it was.
    """
    async with asking(
        unlike=["milliseconds"], latency=1000, etas="exact"
    ) as asker:
        body, _ = await jobs(asker)

    assert 900_000 < body["eta"] <= 1_000_000


@pytest.mark.parametrize(
    ("unlike", "name"),
    [("no-eta", "eta"), ("no-echo", "meta"), ("no-foresight", "future_links")],
)
async def test_missing(unlike: str, name: str) -> None:
    """
    What is told of a job else can be missing.
    """
    async with asking(**FOREVER) as asker:
        usual, _ = await jobs(asker)
        asker.simulator.change(unlike=[unlike])
        body, _ = await jobs(asker)

    assert usual.keys() - body.keys() == {name}


async def test_error_object() -> None:
    """
    A no has no status.
    """
    async with asking(unlike=["error-object"]) as asker:
        body, refused = await jobs(asker)

    assert body["status"] == "success"
    assert refused.keys() == {"error"}
    assert "prompt field is required" in refused["error"]["detail"]


async def test_files() -> None:
    """
    Links are signed, and files called anything.
    """
    unlike = ["signed-links", "untyped-files"]
    async with asking(unlike=unlike) as asker:
        link = (await asker.submit()).body["output"][0]
        plain = await asker.get(link.partition("?")[0])
        requoted = await asker.get(link)
        # A signature is for the link as it came.
        async with asker.session.get(URL(link, encoded=True)) as response:
            kind = response.content_type

    assert (plain.status, requoted.status) == (403, 403)
    assert response.status == 200
    assert kind == "application/octet-stream"


async def test_calls() -> None:
    """
    The account's calls answer in other shapes, or not at all.
    """
    unlike = ["models-object", "flat-balance", "no-count", "upload-link"]
    async with asking(unlike=unlike) as asker:
        models = await asker.ask("v4/dreambooth/model_list")
        balance = await asker.ask("wallet_balance")
        count = await asker.ask("v6/processing/request_count")
        upload = await asker.ask("v6/base64_to_url", base64_string=uri(png()))

    assert models.body["data"][0]["model_id"] == "flux"
    assert balance.body == {"balance": "1000000.0 USD"}
    assert count.status == 404
    assert upload.body.keys() == {"status", "link"}
