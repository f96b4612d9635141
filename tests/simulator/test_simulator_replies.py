"""
The simulator's words against the reference: samples by their numbers.
"""

from __future__ import annotations

from typing import Any

import pytest

from asking import BRIEF, FOREVER, asking


pytestmark = pytest.mark.asyncio


async def test_submit_processing() -> None:
    """
    A job that is not done is told of as in S14: eta, messege, where to
    fetch, an empty output, one link foretold.
    """
    async with asking(**FOREVER) as asker:
        reply = await asker.submit(model_id="sdxl", track_id=17, seed=5)

    body = reply.body
    assert (reply.status, body["status"]) == (200, "processing")
    assert body["messege"] == "Try to fetch request after seconds estimated"
    assert 70_000 <= body["eta"] <= 130_000
    assert body["fetch_result"].endswith(f"/api/v6/images/fetch/{body['id']}")
    assert body["id"] > 134_700_000
    assert body["output"] == []
    assert body["webhook_status"] == ""
    assert body["future_links"] == body["meta"]["output"]
    assert body["meta"]["id"] == str(body["id"])
    assert body["meta"]["track_id"] == "17"
    assert body["meta"]["seed"] == 5


async def test_submit_success() -> None:
    """
    A job that ends while its submit is held is told of as in S07.
    """
    async with asking(nsfw_flag=True) as asker:
        reply = await asker.submit(samples=2)

    body = reply.body
    assert body["status"] == "success"
    assert body["generationTime"] == 0
    assert len(body["output"]) == 2
    assert body["nsfw_content_detected"] is False
    assert "eta" not in body
    assert "fetch_result" not in body


async def test_fetch_processing() -> None:
    """
    A fetch that comes too early says nothing but that (S20): no id, no eta,
    output an empty string.
    """
    async with asking(**FOREVER) as asker:
        submitted = await asker.submit()

        reply = await asker.fetch(submitted.body["id"])

    assert reply.body.keys() == {"status", "messege", "output", "tip"}
    assert reply.body["messege"] == "try again later."
    assert reply.body["output"] == ""


async def test_fetch_success() -> None:
    """
    A fetch of a finished job has status, id and output, and no more.
    """
    async with asking(**BRIEF) as asker:
        submitted = await asker.submit()

        reply = await asker.ended(submitted.body["id"])

    assert reply.body.keys() == {"status", "id", "output"}
    assert reply.body["output"] == submitted.body["future_links"]


@pytest.mark.parametrize(
    ("form", "path", "body"),
    [("both", 200, 200), ("path", 200, 404), ("body", 404, 200)],
)
async def test_fetch_forms(form: str, path: int, body: int) -> None:
    """
    The form of fetch that is not served is an unknown route.
    """
    async with asking(fetch=form) as asker:
        job_id = (await asker.submit()).body["id"]

        by_path = await asker.fetch(job_id)
        by_body = await asker.fetch_by_body(job_id)

    assert (by_path.status, by_body.status) == (path, body)


async def test_fetch_unserved_405() -> None:
    """
    The form that is not served can be a method that is not allowed.
    """
    async with asking(fetch="path", unserved=405) as asker:
        reply = await asker.fetch_by_body(1)

    assert reply.status == 405
    assert "method is not supported" in reply.body["message"]


@pytest.mark.parametrize(("allowed", "status"), [(False, 405), (True, 200)])
async def test_fetch_get(allowed: bool, status: int) -> None:
    """
    GET is answered only where it is switched on.
    """
    async with asking(fetch_get=allowed) as asker:
        url = f"{asker.simulator.url}/images/fetch/1"

        async with asker.session.get(url, json={"key": "k"}) as response:
            assert response.status == status


@pytest.mark.parametrize(
    ("profile", "status"), [("classic", 200), ("documented", 404)]
)
async def test_unknown_job(profile: str, status: int) -> None:
    """
    An id that there never was is "Request not found" (S23).
    """
    async with asking(profile=profile) as asker:
        reply = await asker.fetch(12)

    assert reply.status == status
    assert reply.body["status"] == "failed"
    assert reply.body["id"] == ""
    assert reply.body["message"] == "Request not found"


async def test_other_key_job() -> None:
    """
    The job of another account is not found; that of another key of the same
    account is.
    """
    accounts = {"one": "us", "two": "us"}
    async with asking(accounts=accounts) as asker:
        job_id = (await asker.submit(key="one")).body["id"]
        path = f"images/fetch/{job_id}"

        same = await asker.post(path, key="two")
        other = await asker.post(path, key="three")

    assert same.body["status"] == "success"
    assert other.body["message"] == "Request not found"


@pytest.mark.parametrize("instant", [False, True])
async def test_failed_job(instant: bool) -> None:
    """
    A failed job says so as in S24, and its slot is free.
    """
    latency = 0 if instant else 0.02
    async with asking(failing="cat", latency=latency) as asker:
        submitted = await asker.submit("a cat")
        job_id = next(iter(asker.simulator.books.jobs))

        reply = await asker.ended(job_id)

    expected = "failed" if instant else "processing"
    assert submitted.body["status"] == expected
    assert reply.body == {
        "status": "failed",
        "id": "",
        "message": "Failed, Try Again",
        "output": "",
    }
    assert asker.simulator.unfinished(asker.key) == 0


_KEYS = {
    "good": "good",
    "blocked": "blocked",
    "poor": "no-credit",
    "late": "monthly-limit",
    "plain": "premium-only",
}


@pytest.mark.parametrize(
    ("change", "options", "status", "text"),
    [
        ({"key": ""}, {}, 401, "api key"),
        ({"key": None}, {}, 401, "api key"),
        ({"key": "blocked"}, {"keys": _KEYS}, 401, "invalid api key"),
        ({"key": "unheard"}, {"keys": _KEYS}, 401, "invalid api key"),
        ({"key": "poor"}, {"keys": _KEYS}, 402, "insufficient credits"),
        ({"key": "late"}, {"keys": _KEYS}, 402, "monthly limit exceeded"),
        ({"key": "plain"}, {"keys": _KEYS}, 403, "premium subscription"),
        ({"model_id": None}, {}, 404, "model id not found"),
        ({"model_id": "no"}, {"unknown_models": ["no"]}, 404, "not found"),
        ({"model_id": "no"}, {"models": ["flux"]}, 404, "not found"),
        ({"prompt": None}, {}, 400, "the prompt field is required"),
        ({"prompt": 7}, {}, 400, "prompt must be a string"),
        ({"width": 63}, {}, 400, "width must be between"),
        ({"height": 516}, {}, 400, "height must be divisible by 8"),
        ({"samples": 5}, {}, 400, "samples must be between 1 and 4"),
        ({"guidance_scale": 21}, {}, 400, "guidance_scale must be between"),
    ],
)
@pytest.mark.parametrize("profile", ["classic", "documented"])
async def test_refused(
    profile: str,
    change: dict[str, object],
    options: dict[str, Any],
    status: int,
    text: str,
) -> None:
    """
    What is refused is refused at 200 in one profile, with its code in the
    other, in the reference's words, and begins no job.
    """
    async with asking(profile=profile, **options) as asker:
        reply = await asker.submit(**change)

    assert reply.status == (200 if profile == "classic" else status)
    assert reply.body["status"] == "error"
    said = reply.body.get("message") or reply.body.get("messege")
    assert text in str(said).lower()
    assert asker.simulator.books.jobs == {}
    assert len(asker.simulator.books.refused) == 1


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"key":"k"}', "text/plain"),
    ],
)
async def test_not_json(data: bytes, kind: str) -> None:
    """
    A body that is no JSON object, or not called one, is an invalid request.
    """
    async with asking() as asker:
        url = f"{asker.simulator.url}/images/text2img"
        headers = {"Content-Type": kind}

        async with asker.session.post(
            url, data=data, headers=headers
        ) as response:
            body = await response.json()

    assert body["message"] == "Invalid API Request"


async def test_every_problem_at_once() -> None:
    """
    The classic profile names every wrong field in a dict of lists (S28).
    """
    async with asking() as asker:
        reply = await asker.submit(None, samples="many")

    assert reply.body["message"] == {
        "prompt": ["The prompt field is required."],
        "samples": ["samples must be between 1 and 4"],
    }


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (
            {},
            {
                "message": "Rate limit exceeded. Maximum 1 queued requests "
                "allowed.",
                "retry_after": 30,
            },
        ),
        (
            {"queue_full": "bare", "retry_after": None},
            {"message": "Rate limit exceeded"},
        ),
        ({"queue_full": "bare", "speed": 60}, {"retry_after": 0.5}),
    ],
)
@pytest.mark.parametrize(
    ("profile", "status"), [("classic", 200), ("documented", 429)]
)
async def test_queue_full(
    profile: str, status: int, options: dict[str, Any], body: dict[str, object]
) -> None:
    """
    One job more than there are slots is refused as in S26, and never with
    the tips of the same-request filter.
    """
    async with asking(
        slots=1, latency=1e6, profile=profile, **options
    ) as asker:
        await asker.submit("one")

        reply = await asker.submit("two")

    assert reply.status == status
    assert reply.body.items() >= body.items()
    assert "tips" not in reply.body
    assert asker.simulator.books.refusals == {"queue": 1}


async def test_same_request() -> None:
    """
    The filter refuses what was accepted a moment ago (S25), whatever its
    track_id, and nothing else.
    """
    async with asking(same_request=30) as asker:
        first = await asker.submit(track_id="1")

        second = await asker.submit(track_id="2")
        other = await asker.submit(seed=1)

    assert first.body["status"] == "success"
    assert second.body["message"] == "Rate limit exceeded"
    assert "please wait for 30 seconds" in second.body["tips"]
    assert other.body["status"] == "success"


async def test_same_request_forgets() -> None:
    """
    The filter's time is divided by speed, and ends.
    """
    async with asking(same_request=30, speed=1e9) as asker:
        await asker.submit()

        again = await asker.submit()

    assert again.body["status"] == "success"


@pytest.mark.parametrize(
    ("speed", "wait"), [(1, "30 minutes"), (100, "seconds")]
)
async def test_ban(speed: float, wait: str) -> None:
    """
    A ban is a 429 that tells how long, and it holds for its account alone.
    """
    async with asking(speed=speed) as asker:
        asker.simulator.ban(asker.key)

        reply = await asker.submit()
        other = await asker.submit(key="another")

    assert reply.status == 429
    assert "try again in" in reply.body["message"]
    assert wait in reply.body["message"]
    assert other.body["status"] == "success"


@pytest.mark.parametrize("text", ["Try Again", "Failed, Try Again"])
async def test_loading(text: str) -> None:
    """
    The first requests for a model that is not loaded are told to try again.
    """
    async with asking(loading={"flux": 2}, loading_text=text) as asker:
        replies = [await asker.submit() for _ in range(3)]

    said = [
        reply.body.get("messege") or reply.body.get("message")
        for reply in replies
    ]
    assert said == [text, text, None]


async def test_documented_message() -> None:
    """
    The documented profile spells it ``message``.
    """
    async with asking(profile="documented", **FOREVER) as asker:
        submitted = await asker.submit()
        fetched = await asker.fetch(submitted.body["id"])

    assert "message" in submitted.body
    assert "message" in fetched.body
    assert "messege" not in {**submitted.body, **fetched.body}


@pytest.mark.parametrize(
    ("model_id", "here", "not_here", "steps"),
    [
        ("flux", ("width", "num_inference_steps"), ("W", "steps"), 31),
        ("sdxl", ("W", "steps"), ("width", "num_inference_steps"), 20),
    ],
)
async def test_meta_dialects(
    model_id: str,
    here: tuple[str, str],
    not_here: tuple[str, str],
    steps: int,
) -> None:
    """
    Flux echoes width and num_inference_steps, the rest W and steps, clamped
    to what the model takes.
    """
    async with asking() as asker:
        reply = await asker.submit(
            model_id=model_id, width="768", num_inference_steps="31"
        )

    meta = reply.body["meta"]
    assert (meta[here[0]], meta[here[1]]) == (768, steps)
    assert not set(not_here) & meta.keys()


@pytest.mark.parametrize(
    ("value", "longer"),
    [
        ("yes", True),
        (True, True),
        ("1", True),
        (None, True),
        ("no", False),
        (False, False),
        (0, False),
        ("false", False),
    ],
)
async def test_prompt_rewritten(value: object, longer: bool) -> None:
    """
    The prompt comes back with a space before it, and with a style behind it
    unless enhance_prompt is off, in whatever form.
    """
    async with asking() as asker:
        reply = await asker.submit("a cat", enhance_prompt=value)

    prompt = reply.body["meta"]["prompt"]
    assert prompt.startswith(" a cat")
    assert (len(prompt) > len(" a cat")) is longer


async def test_negative_prompt_rewritten() -> None:
    """
    A given negative prompt is lengthened, or left alone if nothing is to be
    enhanced; a missing one becomes the stock list.
    """
    async with asking() as asker:
        longer = await asker.submit(negative_prompt="fog")
        same = await asker.submit(negative_prompt="fog", enhance_prompt="no")
        stock = await asker.submit(enhance_prompt="no")

    assert longer.body["meta"]["negative_prompt"].startswith("fog (worst")
    assert same.body["meta"]["negative_prompt"] == "fog"
    assert stock.body["meta"]["negative_prompt"].startswith(" (worst")


@pytest.mark.parametrize("seed", [None, "null", -1, 2**32, True, 1.5, [], "x"])
async def test_seed_chosen(seed: object) -> None:
    """
    What is no seed is replaced by one of 32 bits, which is told.
    """
    async with asking() as asker:
        reply = await asker.submit(seed=seed)

    assert 1 < reply.body["meta"]["seed"] < 2**32


async def test_unknown_fields() -> None:
    """
    What the service does not know it does not mind.
    """
    async with asking() as asker:
        reply = await asker.submit(tomesd="yes", anything={"at": ["all"]})

    assert reply.body["status"] == "success"


@pytest.mark.parametrize(
    ("shape", "kind"), [("list", list), ("str", str), ("object", dict)]
)
async def test_output_shapes(shape: str, kind: type) -> None:
    """
    The links can come as a list, a string or an object.
    """
    async with asking(output=shape) as asker:
        reply = await asker.submit()

    assert type(reply.body["output"]) is kind


async def test_output_empty() -> None:
    """
    The links can be in proxy_links alone (S12), also when fetched.
    """
    async with asking(output="empty") as asker:
        submitted = await asker.submit()

        fetched = await asker.fetch(submitted.body["id"])

    assert submitted.body["output"] == fetched.body["output"] == []
    assert len(fetched.body["proxy_links"]) == 1


@pytest.mark.parametrize(
    ("shape", "kind"),
    [("list", list), ("empty", str), ("null", type(None)), ("dict", dict)],
)
async def test_proxy_links_shapes(shape: str, kind: type) -> None:
    """
    proxy_links can have any shape that was seen.
    """
    async with asking(proxy_links=shape) as asker:
        reply = await asker.submit()

    assert type(reply.body["proxy_links"]) is kind


async def test_proxy_links_absent() -> None:
    """
    proxy_links can be missing.
    """
    async with asking(proxy_links="absent") as asker:
        reply = await asker.submit()

    assert "proxy_links" not in reply.body


async def test_proxy_links_mixed() -> None:
    """
    As they come, most are lists, some are empty strings.
    """
    async with asking(slots=100) as asker:
        replies = [await asker.submit() for _ in range(60)]

    kinds = [type(reply.body["proxy_links"]) for reply in replies]
    assert kinds.count(list) > 40
    assert kinds.count(str) >= 1


async def test_fetch_reply_full() -> None:
    """
    A fetch can say all that a submit says.
    """
    async with asking(fetch_reply="full", **BRIEF) as asker:
        submitted = await asker.submit()

        reply = await asker.ended(submitted.body["id"])

    assert {"generationTime", "meta", "proxy_links"} <= reply.body.keys()


async def test_fetch_result_absent() -> None:
    """
    A reply can fail to say where to fetch.
    """
    async with asking(fetch_result="absent", **FOREVER) as asker:
        reply = await asker.submit()

    assert "fetch_result" not in reply.body


@pytest.mark.parametrize(
    ("kind", "link", "own"),
    [
        ("other", "processing", "failed"),
        ("wrong", "failed", "processing"),
    ],
)
async def test_fetch_result_differs(kind: str, link: str, own: str) -> None:
    """
    The id in the link can be another than the reply's, and one of the two
    is no good.
    """
    async with asking(fetch_result=kind, **FOREVER) as asker:
        body = (await asker.submit()).body
        linked = body["fetch_result"].rpartition("/")[2]

        by_link = await asker.fetch(linked)
        by_own = await asker.fetch(body["id"])

    assert by_link.body["status"] == link
    assert by_own.body["status"] == own


@pytest.mark.parametrize(("how", "count"), [("first", 1), ("all", 3)])
async def test_future_links(how: str, count: int) -> None:
    """
    Fewer links may be foretold than pictures were asked for (S15).
    """
    async with asking(future_links=how, **FOREVER) as asker:
        reply = await asker.submit(samples=3)

    assert len(reply.body["future_links"]) == count


async def test_future_links_absent() -> None:
    """
    As in 2023, no links need be foretold (S18).
    """
    async with asking(future_links="absent", **FOREVER) as asker:
        reply = await asker.submit()

    assert "future_links" not in reply.body


@pytest.mark.parametrize(
    "path", ["images/img3img", "nowhere", "nowhere/fetch/1"]
)
async def test_unknown_route(path: str) -> None:
    """
    What is not played is not found.
    """
    async with asking() as asker:
        reply = await asker.post(path)

    assert reply.status == 404
    assert "could not be found" in reply.body["message"]


async def test_request_count() -> None:
    """
    The service counts the account's unfinished jobs, somebody else's too.
    """
    async with asking(keys=["secret-key"], **FOREVER) as asker:
        asker.simulator.occupy(asker.key, 2)
        await asker.submit()

        reply = await asker.post("processing/request_count")
        refused = await asker.post("processing/request_count", key="x")

    assert reply.body["processing_count"] == 3
    assert refused.body["message"] == "Invalid Api Key"


async def test_fetch_needs_key() -> None:
    """
    A fetch with a key that is not good is refused, one with no JSON too.
    """
    async with asking(keys={"secret-key": "good"}) as asker:
        job_id = (await asker.submit()).body["id"]
        url = f"{asker.simulator.url}/images/fetch/{job_id}"

        refused = await asker.post(f"images/fetch/{job_id}", key="x")
        async with asker.session.post(url) as response:
            empty = await response.json()

    assert refused.body["message"] == "Invalid Api Key"
    assert empty["message"] == "Invalid API Request"
