"""
Uploads, money, counting, models and assets.
"""

from __future__ import annotations

import hashlib

from typing import Any

import pytest

from asking import FOREVER, asking, opened, png, uri

from modelslab_async.simulator import Edit, Fault


pytestmark = pytest.mark.asyncio

UPLOAD = "v6/base64_to_url"


async def test_uploaded() -> None:
    """
    What was uploaded can be had at once by its link, byte for byte, under a
    small id; the books say what it was.
    """
    data = png()
    async with asking() as asker:
        reply = await asker.ask(UPLOAD, base64_string=uri(data))
        file = await asker.get(reply.body["output"][0])

    assert reply.body.keys() == {"status", "id", "output"}
    assert reply.body["id"] == 1047
    assert (file.status, file.kind, file.body) == (200, "image/png", data)
    (upload,) = asker.simulator.books.uploads
    assert upload.sha256 == hashlib.sha256(data).hexdigest()
    assert (upload.size, upload.url) == (len(data), reply.body["output"][0])
    assert asker.simulator.books.entries == []


async def test_other_ways_to_upload() -> None:
    """
    The family of editing counts its uploads with the jobs, and the oldest
    way answers with a link.
    """
    async with asking() as asker:
        path = "v6/image_editing/base64_to_url"
        editing = await asker.ask(path, init_image=uri(png()))
        crop = await asker.ask(
            "v3/base64_crop", image=uri(png()), crop="false"
        )
        file = await asker.get(crop.body["link"])

    assert editing.body["id"] > 134_700_000
    assert crop.body["messege"] == "image uploaded"
    assert opened(file.body).size == (64, 64)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "field is required"),
        ("", "field is required"),
        ("data:image/png;base64,%", "valid base64"),
        (uri(png()).partition(",")[2], "valid base64"),
        (7, "valid base64"),
        (uri(b"text", "text/plain"), "must be an image"),
        (uri(png() + bytes(100_000)), "may not be greater than 0.1 MB"),
    ],
)
@pytest.mark.parametrize(
    ("profile", "status"), [("classic", 200), ("documented", 400)]
)
async def test_upload_refused(
    profile: str, status: int, text: object, said: str
) -> None:
    """
    No picture, or one that is too large, is refused and written down.
    """
    async with asking(profile=profile, upload_limit=100_000) as asker:
        reply = await asker.ask(UPLOAD, base64_string=text)

    assert reply.status == status
    assert said in reply.body["message"]
    assert [each.url for each in asker.simulator.books.uploads] == [None]


@pytest.mark.parametrize(("speed", "status"), [(1, 200), (1e9, 404)])
async def test_upload_dies(speed: float, status: int) -> None:
    """
    An upload is gone after a day of the simulator's, for jobs too.
    """
    async with asking(speed=speed) as asker:
        reply = await asker.ask(UPLOAD, base64_string=uri(png()))
        link = reply.body["output"][0]
        file = await asker.get(link)
        path = "v6/image_editing/removebg_mask"
        job = await asker.ask(path, image=link)

    assert file.status == status
    assert job.body["status"] == ("success" if status == 200 else "error")


async def test_upload_takes_no_slot() -> None:
    """
    With no slot left one can upload all the same.
    """
    async with asking(slots=1, **FOREVER) as asker:
        await asker.submit()

        reply = await asker.ask(UPLOAD, base64_string=uri(png()))

    assert reply.body["status"] == "success"


@pytest.mark.parametrize(
    "path",
    [
        UPLOAD,
        "wallet_balance",
        "v6/processing/request_count",
        "v4/dreambooth/model_list",
        "assets_generated",
    ],
)
async def test_calls_need_a_key(path: str) -> None:
    """
    Nothing is told without a key, or without JSON.
    """
    async with asking(keys=["good"]) as asker:
        refused = await asker.ask(path)
        url = f"{asker.simulator.origin}/api/{path}"
        async with asker.session.post(url, data=b"{}") as response:
            unread = await response.json(content_type=None)

    assert refused.body["message"] == "Invalid Api Key"
    assert unread["message"] == "Invalid API Request"
    assert asker.simulator.books.calls[path] == 2


async def test_balance() -> None:
    """
    A picture costs its price, and with nothing left there are no more.
    """
    async with asking(balance=1.0, price=0.4) as asker:
        before = await asker.ask("wallet_balance")
        await asker.submit(samples=2)
        after = await asker.ask("wallet_balance")
        refused = await asker.submit("another")

    assert before.body == {
        "status": "success",
        "data": {"balance": 1.0, "currency": "USD"},
    }
    assert after.body["data"]["balance"] == 0.2
    assert "Insufficient credits" in refused.body["messege"]


async def test_counting_is_counted() -> None:
    """
    One may not ask too often how many jobs run.
    """
    path = "v6/processing/request_count"
    async with asking(counts_a_minute=2) as asker:
        codes = [(await asker.ask(path)).status for _ in range(3)]
        asker.simulator.change(speed=1e9)
        later = await asker.ask(path)

    assert codes == [200, 200, 429]
    assert later.status == 200


async def test_models() -> None:
    """
    The models are a bare array; the newer way searches them in pages.
    """
    async with asking(unknown_models=["midjourney"]) as asker:
        listed = await asker.ask("v4/dreambooth/model_list")
        url = f"{asker.simulator.origin}/api/agents/v1/models"
        query = {"search": "FLUX", "per_page": "2", "page": "2"}
        headers = {"Authorization": "Bearer token"}
        async with asker.session.get(
            url, params=query, headers=headers
        ) as response:
            found = await response.json()

    ids = [each["model_id"] for each in listed.body]
    assert "flux" in ids
    assert "midjourney" not in ids
    assert {"status", "instance_prompt", "model_name"} <= listed.body[0].keys()
    assert found["meta"]["total"] == 4
    assert len(found["data"]) == 2
    assert all("flux" in each["model_id"] for each in found["data"])


async def test_models_as_set() -> None:
    """
    Where the settings name models, these are listed.
    """
    async with asking(models=["b", "a"]) as asker:
        listed = await asker.ask("v4/dreambooth/model_list")

    assert [each["model_id"] for each in listed.body] == ["a", "b"]


async def test_products() -> None:
    """
    A plan's use is told to a GET with a body.
    """
    async with asking() as asker:
        await asker.submit()
        url = f"{asker.simulator.origin}/api/subscribed_products"
        async with asker.session.get(url, json={"key": asker.key}) as response:
            body = await response.json()

    plan = body["data"]["imagen"]
    assert plan["total_api_call"] - plan["api_call_remaining"] == 1


async def test_assets() -> None:
    """
    What was made is listed in pages, by id and links, without a word of what
    it was made from.
    """
    async with asking(slots=50) as asker:
        made = [(await asker.submit(f"a {n}")).body for n in range(12)]
        await asker.submit("another's", key="other")
        pages = [
            (await asker.ask("assets_generated", type="image", page=n)).body
            for n in (1, 2, 3)
        ]
        same = await asker.ask(
            "v6/assets_generated", type="image", per_page=100
        )

    found = {each["id"]: each["output"] for each in same.body["data"]}
    assert found == {each["id"]: each["output"] for each in made}
    assert [len(page["data"]) for page in pages] == [10, 2, 0]
    assert pages[0]["data"][0].keys() == {"id", "output"}
    assert pages[1]["pagination"] == {
        "current_page": 2,
        "per_page": 10,
        "total": 12,
        "last_page": 2,
        "from": 11,
        "to": 12,
    }
    assert pages[2]["pagination"]["from"] is None


@pytest.mark.parametrize(
    ("body", "options", "status"),
    [
        ({}, {}, 400),
        ({"type": "song"}, {}, 400),
        ({"type": "image"}, {"assets": "refused"}, 403),
        ({"type": "image"}, {"assets": "v6"}, 404),
    ],
)
async def test_assets_refused(
    body: dict[str, Any], options: dict[str, Any], status: int
) -> None:
    """
    A kind must be named, and a plain key may be refused.
    """
    async with asking(profile="documented", **options) as asker:
        reply = await asker.ask("assets_generated", **body)
        other = await asker.ask("v6/assets_generated", type="video")

    assert reply.status == status
    assert (other.status == 200) is (options != {"assets": "refused"})


@pytest.mark.parametrize(
    ("fault", "kept"), [(Fault.BAD_GATEWAY, 0), (Fault.GATEWAY_TIMEOUT, 1)]
)
async def test_upload_spoilt(fault: Fault, kept: int) -> None:
    """
    An upload can go wrong before or after the picture was kept.
    """
    async with asking() as asker:
        asker.simulator.next("upload", fault)
        spoilt = await asker.ask(UPLOAD, base64_string=uri(png()))
        again = await asker.ask(UPLOAD, base64_string=uri(png()))

    assert spoilt.status in {502, 504}
    assert again.body["status"] == "success"
    assert len(asker.simulator.books.uploads) == kept + 1
    assert len(asker.simulator.books.uploaded_twice) == kept


async def test_call_spoilt() -> None:
    """
    One of the account's calls can be aimed at by its path.
    """
    async with asking() as asker:
        asker.simulator.next("call", Fault.HTML, endpoint="wallet")
        models = await asker.ask("v4/dreambooth/model_list")
        balance = await asker.ask("wallet_balance")
        asker.simulator.next("call", Edit({"processing_count": "three"}))
        count = await asker.ask("v6/processing/request_count")

    assert isinstance(models.body, list)
    assert balance.kind == "text/html"
    assert count.body["processing_count"] == "three"


async def test_old_uploads_are_dropped() -> None:
    """
    What has died is not kept.
    """
    async with asking(upload_life=1e-9) as asker:
        for number in range(20):
            text = uri(png(64 + number))
            await asker.ask(UPLOAD, base64_string=text)

        kept = asker.simulator._server._rooms.uploads._kept

    assert len(kept) < 3
