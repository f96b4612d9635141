"""
Every endpoint: what it takes, in which dialect it answers, and where its
jobs are found. Requests are the samples of the reference.
"""

from __future__ import annotations

from typing import Any

import pytest

from asking import BRIEF, FOREVER, asking, opened, png, uri

from modelslab_async.simulator import ENDPOINTS, Fault


pytestmark = pytest.mark.asyncio

_A = "https://i.example/a.png"
_B = "https://i.example/b.jpg"

SAMPLES: dict[str, dict[str, Any]] = {
    "v6/images/text2img": {
        "model_id": "flux",
        "prompt": "a portrait",
        "samples": 1,
        "num_inference_steps": 31,
        "safety_checker": "no",
        "seed": None,
        "webhook": None,
    },
    "v6/images/img2img": {
        "model_id": "flux-kontext-dev",
        "prompt": "the girl of image one holds the can of image two",
        "init_image": _A,
        "init_image_2": _B,
        "num_inference_steps": 28,
        "strength": 0.5,
        "guidance": 2.5,
    },
    "v6/images/inpaint": {
        "model_id": "lazymixv4-inpaint",
        "prompt": "a cat on a bench",
        "init_image": _A,
        "mask_image": _B,
        "width": 512,
        "height": 512,
        "steps": 20,
        "num_inference_steps": 20,
        "safety_checker": "no",
        "strength": 0.7,
    },
    "v5/controlnet": {
        "model_id": "midjourney",
        "controlnet_model": "openpose,canny,face_detector",
        "controlnet_type": "openpose",
        "prompt": "a frog in blue jeans",
        "init_image": _A,
        "auto_hint": "yes",
        "samples": 1,
        "controlnet_conditioning_scale": 0.4,
        "strength": 0.55,
        "guess_mode": None,
    },
    "v6/realtime/text2img": {
        "prompt": "a red fox",
        "width": 512,
        "height": 512,
        "samples": 1,
        "safety_checker": False,
        "base64": False,
    },
    "v6/realtime/img2img": {
        "prompt": "a cat on a bench",
        "init_image": _A,
        "temp": False,
        "safety_checker": False,
        "strength": 0.7,
    },
    "v6/realtime/inpaint": {
        "prompt": "a cat on a bench",
        "init_image": _A,
        "mask_image": _B,
        "strength": 0.7,
    },
    "v7/images/text-to-image": {
        "model_id": "imagen-4",
        "prompt": "a red apple",
        "aspect_ratio": "1:1",
    },
    "v7/images/image-to-image": {
        "model_id": "seedream-4.0-i2i",
        "prompt": "as an oil painting",
        "init_image": [_A, _B],
    },
    "v7/images/inpaint": {
        "model_id": "flux",
        "prompt": "a red sofa",
        "init_image": _A,
        "mask_image": _B,
    },
    "v6/image_editing/qwen_edit": {
        "model_id": "qwen-edit-2511",
        "prompt": "put the can of image 2 in her hand",
        "init_image": [_A, _B],
    },
    "v6/image_editing/removebg_mask": {
        "image": _A,
        "only_mask": False,
        "alpha_matting": False,
    },
    "v6/image_editing/super_resolution": {
        "init_image": _A,
        "scale": 3,
        "face_enhance": False,
    },
    "v6/image_editing/outpaint": {
        "image": _A,
        "prompt": "lush greenery",
        "width": 1024,
        "height": 768,
        "overlap_width": 32,
        "num_inference_steps": 15,
    },
    "v6/image_editing/object_removal": {"init_image": _A, "mask_image": _B},
    "v6/image_editing/fashion": {
        "init_image": _A,
        "cloth_image": _B,
        "cloth_type": "upper_body",
        "num_inference_steps": 21,
        "guidance_scale": 7.5,
        "temp": "no",
    },
    "v6/image_editing/face_gen": {
        "prompt": "a woman in a suit",
        "face_image": _A,
        "width": 512,
        "height": 512,
        "num_inference_steps": 21,
        "guidance_scale": 4,
        "safety_checker": False,
    },
    "v6/image_editing/head_shot": {
        "prompt": "a woman in a suit",
        "face_image": _A,
        "guidance_scale": 4,
    },
    "v6/image_editing/inpaint": {
        "prompt": "a cat on a bench",
        "init_image": _A,
        "mask_image": _B,
        "width": 512,
        "height": 512,
        "num_inference_steps": 30,
        "safety_checker": "no",
        "base64": "false",
        "guidance_scale": 5,
        "strength": 0.7,
    },
    "v6/faceswap/single_face_swap": {
        "init_image": _A,
        "target_image": _B,
        "reference_image": _A,
        "watermark": False,
    },
    "v6/faceswap/multiple_face_swap": {
        "init_image": _A,
        "target_image": _B,
        "watermark": False,
    },
    "v6/interior/make": {
        "prompt": "luxury bedroom",
        "init_image": _A,
        "strength": 0.99,
        "num_inference_steps": 31,
        "guidance_scale": 8,
    },
}
_ALL = pytest.mark.parametrize("path", SAMPLES)
_TERSE = ("v6/images/", "v5/controlnet")


async def test_every_endpoint_has_a_sample() -> None:
    """
    What is not tried here is an endpoint by another name.
    """
    paths = {endpoint.path for endpoint in ENDPOINTS.values()}

    assert paths == SAMPLES.keys()


@_ALL
async def test_sample(path: str) -> None:
    """
    The reference's own request is accepted without a remark, gives a picture
    in the end, and is written down under its endpoint.
    """
    async with asking(strict=True, proxy_links="list") as asker:
        reply = await asker.ask(path, track_id="3422", **SAMPLES[path])
        file = await asker.get(reply.body["output"][0])

    assert reply.body["status"] == "success"
    assert reply.body["meta"]["track_id"] == "3422"
    assert opened(file.body).format == "PNG"
    (entry,) = asker.simulator.books.asked[path]
    assert entry.remarks == ()
    assert entry.spec["track_id"] == "3422"
    assert asker.simulator.books.jobs[reply.body["id"]].endpoint == path


@_ALL
async def test_dialect(path: str) -> None:
    """
    What is processing is told of in the dialect of its family, and so is
    what is fetched too early.
    """
    async with asking(**FOREVER) as asker:
        body = (await asker.ask(path, **SAMPLES[path])).body
        link = body["fetch_result"].partition("/api/")[2]
        early = (await asker.ask(link)).body

    terse = path.startswith(_TERSE)
    word = "messege" if terse else "message"
    assert body["status"] == "processing"
    assert body[word] == "Try to fetch request after seconds estimated"
    assert ("webhook_status" in body) is terse
    assert body["future_links"] == body["meta"]["output"]
    assert early.keys() == {"status", word, "output", "tip"}
    assert early["output"] == ""


@pytest.mark.parametrize(
    ("path", "family", "eta"),
    [
        ("v6/images/img2img", "v6/images", None),
        ("v5/controlnet", "v6/images", None),
        ("v6/realtime/text2img", "v6/realtime", 35),
        ("v6/realtime/img2img", "v6/realtime", 33),
        ("v7/images/inpaint", "v7/images", None),
        ("v6/image_editing/qwen_edit", "v6/image_editing", 5),
        ("v6/faceswap/single_face_swap", "v6/deepfake", 605),
        ("v6/interior/make", "v6/interior", 20),
    ],
)
async def test_family(path: str, family: str, eta: float | None) -> None:
    """
    Each family has its own address for fetches, and most have an eta that
    says nothing of the job.
    """
    async with asking(**FOREVER) as asker:
        body = (await asker.ask(path, **SAMPLES[path])).body

        fetched = await asker.ask(f"{family}/fetch/{body['id']}")

    assert body["fetch_result"].endswith(f"/{family}/fetch/{body['id']}")
    assert eta is None or body["eta"] == eta
    assert fetched.body["status"] == "processing"


async def test_eta_as_set() -> None:
    """
    The constants of the families can be switched off, and speed divides
    them.
    """
    path = "v6/faceswap/multiple_face_swap"
    async with asking(speed=10, hold=0, latency=100) as asker:
        constant = await asker.ask(path, **SAMPLES[path])
        asker.simulator.change(family_etas=False, etas="exact")
        exact = await asker.ask(path, **SAMPLES[path])

    assert constant.body["eta"] == 60.5
    assert 5 < exact.body["eta"] <= 10


@pytest.mark.parametrize(
    ("families", "own", "other"),
    [
        ("own", "success", "failed"),
        ("any", "success", "success"),
        ("other", "failed", "success"),
    ],
)
async def test_families(families: str, own: str, other: str) -> None:
    """
    A job is found under its own family alone, unless it is said to be
    elsewhere.
    """
    path = "v6/image_editing/removebg_mask"
    async with asking(families=families) as asker:
        job_id = (await asker.ask(path, **SAMPLES[path])).body["id"]

        here = await asker.ask(f"v6/image_editing/fetch/{job_id}")
        there = await asker.ask(f"v6/images/fetch/{job_id}")

    assert (here.body["status"], there.body["status"]) == (own, other)


async def test_both_names_of_a_family() -> None:
    """
    A face swap is found where it was asked for and where it is told to be.
    """
    path = "v6/deepfake/single_face_swap"
    sample = SAMPLES["v6/faceswap/single_face_swap"]
    async with asking() as asker:
        job_id = (await asker.ask(path, **sample)).body["id"]

        replies = [
            await asker.ask(f"v6/{family}/fetch/{job_id}")
            for family in ("faceswap", "deepfake")
        ]

    assert [reply.body["status"] for reply in replies] == ["success"] * 2


async def test_fetched_by_body_too() -> None:
    """
    The form with the id in the body works for every family.
    """
    path = "v7/images/text-to-image"
    async with asking() as asker:
        job_id = (await asker.ask(path, **SAMPLES[path])).body["id"]

        reply = await asker.ask("v7/images/fetch", request_id=str(job_id))

    assert reply.body["status"] == "success"


async def test_slots_are_the_accounts() -> None:
    """
    All endpoints together share the slots of an account.
    """
    async with asking(slots=2, **FOREVER) as asker:
        await asker.submit()
        path = "v6/realtime/text2img"
        await asker.ask(path, **SAMPLES[path])
        path = "v7/images/inpaint"

        reply = await asker.ask(path, **SAMPLES[path])

    assert "Maximum 2 queued" in reply.body["message"]
    assert asker.simulator.books.peak == 2


@pytest.mark.parametrize(
    ("path", "missing", "said"),
    [
        (
            "v6/images/inpaint",
            "mask_image",
            {"mask_image": ["The mask image field is required."]},
        ),
        (
            "v6/realtime/img2img",
            "init_image",
            "The init image field is required.",
        ),
        (
            "v6/image_editing/fashion",
            "cloth_type",
            "The cloth type field is required.",
        ),
        (
            "v6/faceswap/single_face_swap",
            "reference_image",
            "The reference image field is required.",
        ),
        ("v7/images/text-to-image", "prompt", "The prompt field is required."),
        (
            "v5/controlnet",
            "controlnet_model",
            {"controlnet_model": ["The controlnet model field is required."]},
        ),
    ],
)
@pytest.mark.parametrize(
    ("profile", "status"), [("classic", 200), ("documented", 400)]
)
async def test_missing(
    profile: str, status: int, path: str, missing: str, said: object
) -> None:
    """
    What is missing is named in the dialect of the family.
    """
    async with asking(profile=profile) as asker:
        reply = await asker.ask(path, **{**SAMPLES[path], missing: None})

    assert reply.status == status
    if profile == "documented" and isinstance(said, dict):
        said = said[missing][0]
    assert reply.body["message"] == said


@pytest.mark.parametrize(
    ("path", "missing", "status"),
    [
        ("v6/images/img2img", "model_id", "error"),
        ("v5/controlnet", "model_id", "error"),
        ("v6/image_editing/qwen_edit", "model_id", "success"),
        ("v7/images/text-to-image", "model_id", "success"),
    ],
)
async def test_model_missing(path: str, missing: str, status: str) -> None:
    """
    A model is asked for where there is none by default.
    """
    async with asking() as asker:
        reply = await asker.ask(path, **{**SAMPLES[path], missing: None})

    assert reply.body["status"] == status


@pytest.mark.parametrize(
    ("path", "sent", "said"),
    [
        (
            "v6/realtime/text2img",
            {"safety_checker": "no"},
            "safety_checker: The safety checker field must be true or false.",
        ),
        (
            "v5/controlnet",
            {"auto_hint": True},
            "auto_hint: The auto hint field must be yes or no.",
        ),
        (
            "v6/image_editing/inpaint",
            {"base64": True},
            'base64: The base64 field must be the string "true" or "false".',
        ),
        (
            "v6/image_editing/inpaint",
            {"safety_checker": False},
            "safety_checker: The safety checker field must be yes or no.",
        ),
        (
            "v6/images/text2img",
            {"temp": "1"},
            "temp: The temp field must be yes or no.",
        ),
        (
            "v6/image_editing/removebg_mask",
            {"track_id": "cat-1"},
            "track_id: The track id must be an integer.",
        ),
        (
            "v6/image_editing/removebg_mask",
            {"init_image": _A},
            "init_image: not a parameter of this endpoint",
        ),
        (
            "v6/interior/make",
            {"scale_down": "much"},
            "scale_down: scale_down must be an integer",
        ),
        (
            "v6/realtime/img2img",
            {"strength": 2},
            "strength: strength must be between 0 and 1",
        ),
        (
            "v6/image_editing/face_gen",
            {"style": "cubist"},
            "style: The selected style is invalid.",
        ),
        (
            "v6/images/text2img",
            {"webhook": "here"},
            "webhook: The webhook must be a valid URL.",
        ),
    ],
)
async def test_remarked(path: str, sent: dict[str, Any], said: str) -> None:
    """
    What the documentation has against a request is written down, and refused
    only by a strict service.
    """
    body = {**SAMPLES[path], **sent}
    async with asking() as asker:
        reply = await asker.ask(path, **body)
        asker.simulator.change(strict=True)
        refused = await asker.ask(path, **body)

    assert reply.body["status"] == "success"
    assert asker.simulator.books.accepted[0].remarks == (said,)
    assert refused.body["status"] == "error"


@pytest.mark.parametrize(
    ("path", "sent", "said"),
    [
        (
            "v6/image_editing/fashion",
            {"cloth_type": "dress"},
            "The selected cloth type is invalid.",
        ),
        (
            "v6/image_editing/qwen_edit",
            {"init_image": [_A] * 5},
            "The init image may not have more than 4 items.",
        ),
        (
            "v6/image_editing/qwen_edit",
            {"init_image": [7]},
            "The init image must be a string or an array.",
        ),
        (
            "v7/images/inpaint",
            {"init_image": [_A]},
            "The init image must be a string.",
        ),
        (
            "v6/realtime/text2img",
            {"width": 5000},
            "width must be between 64 and 2048",
        ),
        (
            "v6/image_editing/face_gen",
            {"samples": 9},
            "samples must be between 1 and 4",
        ),
    ],
)
async def test_refused(path: str, sent: dict[str, Any], said: str) -> None:
    """
    What no source allows begins no job.
    """
    async with asking() as asker:
        reply = await asker.ask(path, **{**SAMPLES[path], **sent})

    assert reply.body["message"] == said
    assert asker.simulator.books.jobs == {}


@pytest.mark.parametrize(
    ("path", "sent", "folder"),
    [
        ("v6/image_editing/face_gen", {}, "temp"),
        ("v6/image_editing/face_gen", {"temp": False}, "temp"),
        ("v6/image_editing/outpaint", {}, "temp"),
        ("v6/image_editing/outpaint", {"temp": False}, "generations"),
        ("v6/realtime/text2img", {}, "modelslab"),
        ("v5/controlnet", {}, "livewire-tmp"),
        ("v6/images/img2img", {"temp": "yes"}, "temp"),
    ],
)
async def test_folders(path: str, sent: dict[str, Any], folder: str) -> None:
    """
    Some families keep files for a day unless told otherwise, or always.
    """
    async with asking() as asker:
        reply = await asker.ask(path, **{**SAMPLES[path], **sent})
        link = reply.body["output"][0]
        file = await asker.get(link)

    assert link.split("/")[3] == folder
    assert file.status == 200


async def test_quirks_of_replies() -> None:
    """
    What single families are known for: an empty string for an output, no
    time told, other names in meta, an id that is a number there.
    """
    data = uri(png())
    async with asking(**FOREVER) as asker:
        control = await asker.ask("v5/controlnet", **SAMPLES["v5/controlnet"])
        path = "v6/image_editing/removebg_mask"
        cut_out = await asker.ask(path, image=data)
        path = "v6/interior/make"
        interior = await asker.ask(path, **SAMPLES[path])
        path = "v6/image_editing/qwen_edit"
        edited = await asker.ask(path, **SAMPLES[path])
        asker.simulator.finish()
        done = await asker.ask(f"v6/images/fetch/{control.body['id']}")

    assert control.body["output"] == ""
    assert done.body.keys() == {"status", "id", "output"}
    assert cut_out.body["proxy_links"] == ""
    assert cut_out.body["meta"]["only_mask"] == "0"
    assert len(cut_out.body["meta"]["image_url"]) < len(data)
    assert interior.body["meta"]["id"] == interior.body["id"]
    assert interior.body["meta"]["room_image"] == _A
    assert edited.body["meta"]["init_image_2"] == _B


async def test_no_time_told() -> None:
    """
    A controlnet job that is done at once tells no generationTime.
    """
    async with asking() as asker:
        reply = await asker.ask("v5/controlnet", **SAMPLES["v5/controlnet"])

    assert "generationTime" not in reply.body
    assert reply.body["future_links"] == reply.body["output"]


async def test_seed_zero() -> None:
    """
    Where 0 means any seed, another one is told.
    """
    async with asking() as asker:
        any_seed = await asker.ask(
            "v6/interior/make", **SAMPLES["v6/interior/make"], seed=0
        )
        zero = await asker.submit(seed=0)

    assert any_seed.body["meta"]["seed"] > 0
    assert zero.body["meta"]["seed"] == 0


async def test_latency_of_an_endpoint() -> None:
    """
    How long jobs run can be said for one endpoint.
    """
    path = "v6/faceswap/multiple_face_swap"
    async with asking(latencies={path: 1e6}) as asker:
        slow = await asker.ask(path, **SAMPLES[path])
        fast = await asker.submit()

    assert slow.body["status"] == "processing"
    assert fast.body["status"] == "success"


async def test_alike_is_by_endpoint_and_pictures() -> None:
    """
    The same prompt and seed are bought twice only where endpoint and
    pictures are the same; a picture uploaded again is the same picture.
    """
    path = "v6/realtime/img2img"
    async with asking() as asker:
        links = [
            (
                await asker.ask("v6/base64_to_url", base64_string=uri(png()))
            ).body["output"][0]
            for _ in range(2)
        ]
        await asker.submit("a", seed=1)
        await asker.ask("v6/realtime/text2img", prompt="a", seed=1)
        for link in (*links, _A):
            await asker.ask(path, prompt="a", seed=1, init_image=link)

    books = asker.simulator.books
    ids = [entry.job_id for entry in books.asked[path]]
    assert books.alike == {("a", "1"): ids[:2]}
    assert list(books.uploaded_twice.values()) == [2]


async def test_failed_and_fetched() -> None:
    """
    A failed job of any family says so alike.
    """
    path = "v6/realtime/text2img"
    async with asking(failures=1, **BRIEF) as asker:
        body = (await asker.ask(path, **SAMPLES[path])).body
        asker.simulator.finish()
        reply = await asker.ask(f"v6/realtime/fetch/{body['id']}")

    assert reply.body["message"] == "Failed, Try Again"


async def test_orders_for_an_endpoint() -> None:
    """
    A fault can be meant for an endpoint, or for the jobs of one.
    """
    path = "v6/image_editing/removebg_mask"
    async with asking() as asker:
        asker.simulator.next(
            "submit", Fault.BAD_GATEWAY, endpoint="removebg_mask"
        )
        asker.simulator.next("fetch", Fault.HTML, endpoint="removebg_mask")
        asker.simulator.next("file", Fault.MISSING, endpoint="removebg_mask")
        other = await asker.submit()
        spoilt = await asker.ask(path, **SAMPLES[path])
        body = (await asker.ask(path, **SAMPLES[path])).body
        own = await asker.ask(f"v6/image_editing/fetch/{body['id']}")
        fetched = await asker.fetch(other.body["id"])
        missing = await asker.get(body["output"][0])
        file = await asker.get(other.body["output"][0])

    assert (other.status, spoilt.status) == (200, 502)
    assert (own.kind, fetched.kind) == ("text/html", "application/json")
    assert (missing.status, file.status) == (404, 200)


async def test_failing_endpoint() -> None:
    """
    All jobs of an endpoint can fail.
    """
    path = "v6/realtime/text2img"
    async with asking(failing_models=[path]) as asker:
        failed = await asker.ask(path, **SAMPLES[path])
        other = await asker.submit()

    assert failed.body["status"] == "failed"
    assert other.body["status"] == "success"
