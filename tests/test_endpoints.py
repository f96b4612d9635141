"""
Every endpoint: its request on the wire, its replies, its ranges.
"""

from __future__ import annotations

import json
import re
import warnings

from pathlib import Path
from typing import Any

import attrs
import endpoints_page
import field_docstrings
import pytest

import modelslab_async

from modelslab_async import specs
from modelslab_async._protocol import decode, encode, job_ids, rows
from modelslab_async._protocol.replies import Processing, Reply, Success
from modelslab_async.errors import SpecError, SpecWarning


API = "https://modelslab.com/api"
BASE = f"{API}/v6"
A, B, M = "https://i.example/a.jpg", "https://i.example/b.jpg", "https://m/m"
README = Path(__file__).parent.parent / "README.md"
ROOMS = Path(modelslab_async.__file__).parent


#: The requests of the service's pages, but for the key: what stands in the
#: page's sample, by the endpoint's class, path, and where it is fetched.
SAMPLES: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "RealtimeTextToImage",
        "v6/realtime/text2img",
        "v6/realtime/fetch",
        {
            "prompt": "a red fox",
            "width": 512,
            "height": 512,
            "samples": 1,
            "safety_checker": False,
            "base64": False,
        },
    ),
    (
        "RealtimeImageToImage",
        "v6/realtime/img2img",
        "v6/realtime/fetch",
        {
            "prompt": "a cat on a bench",
            "init_image": A,
            "width": 512,
            "height": 512,
            "samples": 1,
            "temp": False,
            "safety_checker": False,
            "strength": 0.7,
        },
    ),
    (
        "RealtimeInpaint",
        "v6/realtime/inpaint",
        "v6/realtime/fetch",
        {
            "prompt": "a cat on a bench",
            "init_image": A,
            "mask_image": M,
            "samples": 1,
            "safety_checker": False,
            "strength": 0.7,
        },
    ),
    (
        "ImageToImage",
        "v6/images/img2img",
        "v6/images/fetch",
        {
            "model_id": "realistic-vision-51",
            "prompt": "women playing tennis",
            "init_image": A,
            "strength": 0.7,
            "samples": 1,
            "num_inference_steps": 31,
            "safety_checker": "yes",
        },
    ),
    (
        "ImageToImage",
        "v6/images/img2img",
        "v6/images/fetch",
        {
            "model_id": "flux-kontext-dev",
            "prompt": "the girl of image one holds the can of image two",
            "init_image": A,
            "init_image_2": B,
            "num_inference_steps": 28,
            "strength": 0.5,
            "guidance": 2.5,
        },
    ),
    (
        "Inpaint",
        "v6/images/inpaint",
        "v6/images/fetch",
        {
            "model_id": "lazymixv4-inpaint",
            "prompt": "a cat on a bench",
            "init_image": A,
            "mask_image": M,
            "width": 512,
            "height": 512,
            "samples": 1,
            "steps": 21,
            "num_inference_steps": 21,
            "safety_checker": "no",
            "strength": 0.7,
        },
    ),
    (
        "ControlNet",
        "v5/controlnet",
        "v6/images/fetch",
        {
            "model_id": "midjourney",
            "controlnet_model": "canny",
            "controlnet_type": "canny",
            "prompt": "a frog in blue jeans",
            "init_image": A,
            "auto_hint": "yes",
            "samples": 1,
            "controlnet_conditioning_scale": 0.4,
            "strength": 0.55,
        },
    ),
    (
        "TextToImageV7",
        "v7/images/text-to-image",
        "v7/images/fetch",
        {
            "model_id": "imagen-4",
            "prompt": "a red apple",
            "aspect_ratio": "1:1",
        },
    ),
    (
        "ImageToImageV7",
        "v7/images/image-to-image",
        "v7/images/fetch",
        {
            "model_id": "seedream-4.0-i2i",
            "prompt": "as an oil painting",
            "init_image": [A],
        },
    ),
    (
        "InpaintV7",
        "v7/images/inpaint",
        "v7/images/fetch",
        {
            "model_id": "flux",
            "prompt": "a red sofa",
            "init_image": A,
            "mask_image": M,
        },
    ),
    (
        "QwenEdit",
        "v6/image_editing/qwen_edit",
        "v6/image_editing/fetch",
        {
            "model_id": "qwen-edit-2511",
            "prompt": "put the can of image 2 in her hand",
            "init_image": [A, B],
        },
    ),
    (
        "RemoveBackground",
        "v6/image_editing/removebg_mask",
        "v6/image_editing/fetch",
        {"image": A, "only_mask": False, "alpha_matting": False},
    ),
    (
        "SuperResolution",
        "v6/image_editing/super_resolution",
        "v6/image_editing/fetch",
        {"init_image": A, "scale": 3, "face_enhance": False},
    ),
    (
        "Outpaint",
        "v6/image_editing/outpaint",
        "v6/image_editing/fetch",
        {
            "image": A,
            "prompt": "lush greenery",
            "width": 1024,
            "height": 768,
            "overlap_width": 32,
            "num_inference_steps": 15,
        },
    ),
    (
        "RemoveObject",
        "v6/image_editing/object_removal",
        "v6/image_editing/fetch",
        {"init_image": A, "mask_image": M},
    ),
    (
        "TryOn",
        "v6/image_editing/fashion",
        "v6/image_editing/fetch",
        {
            "init_image": A,
            "cloth_image": B,
            "cloth_type": "upper_body",
            "num_inference_steps": 21,
            "guidance_scale": 7.5,
            "temp": "no",
        },
    ),
    (
        "FaceGen",
        "v6/image_editing/face_gen",
        "v6/image_editing/fetch",
        {
            "prompt": "a woman in a suit",
            "face_image": A,
            "width": 512,
            "height": 512,
            "samples": 1,
            "num_inference_steps": 21,
            "guidance_scale": 4,
            "safety_checker": False,
        },
    ),
    (
        "HeadShot",
        "v6/image_editing/head_shot",
        "v6/image_editing/fetch",
        {"prompt": "a woman in a suit", "face_image": A, "guidance_scale": 4},
    ),
    (
        "EditInpaint",
        "v6/image_editing/inpaint",
        "v6/image_editing/fetch",
        {
            "prompt": "a cat on a bench",
            "init_image": A,
            "mask_image": M,
            "width": 512,
            "height": 512,
            "num_inference_steps": 30,
            "safety_checker": "no",
            "guidance_scale": 5,
            "strength": 0.7,
        },
    ),
    (
        "FaceSwap",
        "v6/faceswap/single_face_swap",
        "v6/faceswap/fetch",
        {
            "init_image": A,
            "target_image": B,
            "reference_image": M,
            "watermark": False,
        },
    ),
    (
        "FaceSwapAll",
        "v6/faceswap/multiple_face_swap",
        "v6/faceswap/fetch",
        {"init_image": A, "target_image": B, "watermark": True},
    ),
    (
        "Interior",
        "v6/interior/make",
        "v6/interior/fetch",
        {
            "init_image": A,
            "prompt": "luxury bedroom",
            "strength": 0.99,
            "num_inference_steps": 31,
            "guidance_scale": 8,
        },
    ),
    (
        "TextToImage",
        "v6/images/text2img",
        "v6/images/fetch",
        {"prompt": "a cat", "model_id": "sdxl", "base64": "no"},
    ),
]


def kind_of(name: str) -> type[specs.Spec]:
    """
    The class of that name.
    """
    kind: type[specs.Spec] = getattr(specs, name)
    return kind


def made(name: str, **changes: Any) -> specs.Spec:
    """
    The first sample of that class, changed; None takes a parameter out.
    """
    sample = next(body for kind, _, _, body in SAMPLES if kind == name)
    said = {"endpoint": kind_of(name).endpoint.name} | sample | changes
    return specs.from_dict(said)


def body_of(spec: specs.Spec) -> Any:
    """
    What goes out, but for the track_id.
    """
    body = json.loads(encode.encode(spec, base_url=BASE, track_id="7").body)
    assert body.pop("track_id") == "7"
    return body


KINDS = [*specs.SPECS.values()]
NAMES = [kind.__name__ for kind in KINDS]


@pytest.mark.parametrize(("name", "path", "fetch", "body"), SAMPLES)
def test_sample_on_the_wire(
    name: str, path: str, fetch: str, body: dict[str, Any]
) -> None:
    """
    The page's own sample goes out as it stands there, and is fetched there.
    """
    kind = kind_of(name)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spec = specs.from_dict({"endpoint": kind.endpoint.name} | body)

    call = encode.encode(spec, base_url=BASE, track_id="7")
    assert type(spec) is kind
    assert call.url == f"{API}/{path}"
    assert json.loads(call.body) == body | {"track_id": "7"}
    assert job_ids.fetch_url(BASE, None, kind.endpoint, "5") == (
        f"{API}/{fetch}/5"
    )


def test_every_endpoint_has_a_sample() -> None:
    """
    No endpoint is left out of the tests, and each is public by its class.
    """
    assert {name for name, *_ in SAMPLES} == set(NAMES)
    assert f"[The {len(NAMES)} endpoints]" in README.read_text()
    for name in NAMES:
        assert getattr(modelslab_async, name) is kind_of(name)
        assert name in modelslab_async.__all__
        assert name in dir(specs)


@pytest.mark.parametrize("name", NAMES)
def test_dict_and_back(name: str) -> None:
    """
    A spec of any kind is a dict of JSON, and back; so it is for a journal.
    """
    spec = made(name, webhook="https://w.example", extra={"new": [1]})

    said = json.loads(json.dumps(specs.to_dict(spec)))

    assert specs.from_dict(said) == spec
    assert rows.read_spec(json.loads(rows.spec_json(spec))) == spec
    assert hash(specs.from_dict(said)) == hash(spec)


@pytest.mark.parametrize("name", NAMES)
def test_evolve(name: str) -> None:
    """
    A spec of any kind can be changed in a copy, which is checked.
    """
    spec = made(name)

    changed = attrs.evolve(spec, track_id="12", extra={"a": 1})

    assert (changed.track_id, changed.extra) == ("12", {"a": 1})
    assert body_of(changed) == body_of(spec) | {"a": 1}
    with pytest.raises(SpecError):
        attrs.evolve(spec, webhook="no URL")


@pytest.mark.parametrize("name", NAMES)
def test_docstring(name: str) -> None:
    """
    A class tells each of its parameters, with its source.
    """
    kind = kind_of(name)
    doc = kind.__doc__ or ""

    for parameter, facts in specs.parameters(kind).items():
        text = re.search(
            rf"^    {parameter}: (.*?)(?:\n\n|\Z)",
            doc,
            re.MULTILINE | re.DOTALL,
        )
        assert text, parameter
        told = " ".join(text[1].split())
        assert facts.kind.value.split(",")[0] in told
        assert "Source: " in told, parameter


@pytest.mark.parametrize("name", NAMES)
def test_required(name: str) -> None:
    """
    What must be said is told where it is not, all of it at once.
    """
    kind = kind_of(name)

    with pytest.raises(SpecError) as caught:
        specs.from_dict({"endpoint": kind.endpoint.name})

    missing = [one.field for one in caught.value.problems]
    assert missing[: len(specs.required_parameters(kind))] == list(
        specs.required_parameters(kind)
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_others_ask(name: str) -> None:
    """
    Any spec answers what the rest of the house asks.
    """
    spec = made(name)

    assert spec.caption
    assert spec.pictures == 1
    assert not spec.inline
    assert spec.uploads == ()
    assert hash(spec.kind) is not None
    assert repr(spec).startswith(f"{name}(")


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (BASE, f"{API}/v7/images/inpaint"),
        (f"{BASE}/", f"{API}/v7/images/inpaint"),
        ("http://own:8000/api/v6", "http://own:8000/api/v7/images/inpaint"),
        ("http://own:8000", "http://own:8000/v7/images/inpaint"),
        ("http://own/proxy/", "http://own/proxy/v7/images/inpaint"),
        (f"{API}/v7", f"{API}/v7/images/inpaint"),
    ],
)
def test_base_url(base: str, url: str) -> None:
    """
    The versions lie beside that of the base, and below one of one's own.
    """
    assert encode.api_url(base, "v7/images/inpaint") == url


def test_own_base_without_version() -> None:
    """
    A base of one's own that names no version stands for v6.
    """
    assert encode.api_url("http://own/x", "v6/images/img2img") == (
        "http://own/x/images/img2img"
    )
    assert encode.api_url(f"{API}/v7", "v6/images/img2img") == (
        f"{BASE}/images/img2img"
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("FaceSwap", "v6/realtime/fetch"),
        ("Interior", "v6/realtime/fetch"),
        ("TryOn", "v6/realtime/fetch"),
        ("QwenEdit", "v6/images/fetch"),
        ("InpaintV7", "v6/images/fetch"),
        ("TextToImage", None),
        ("RealtimeInpaint", None),
    ],
)
def test_other_family(name: str, path: str | None) -> None:
    """
    Where a family does not know its job, another may.
    """
    endpoint = kind_of(name).endpoint

    url = job_ids.other_family_url(BASE, endpoint, "5")

    assert url == (path and f"{API}/{path}/5")


# Dialects


@pytest.mark.parametrize(
    ("name", "given", "sent"),
    [
        ("ImageToImage", {"safety_checker": True}, {"safety_checker": "yes"}),
        ("ControlNet", {"guess_mode": False}, {"guess_mode": "no"}),
        ("RealtimeInpaint", {"temp": True}, {"temp": True}),
        ("RemoveBackground", {"only_mask": True}, {"only_mask": True}),
        ("TryOn", {"temp": True}, {"temp": "yes"}),
        ("EditInpaint", {"safety_checker": True}, {"safety_checker": "yes"}),
        ("EditInpaint", {"enhance_prompt": False}, {"enhance_prompt": "no"}),
        ("EditInpaint", {"base64": True}, {"base64": "true"}),
        ("EditInpaint", {"instant_response": True},
         {"instant_response": "true"}),
        ("EditInpaint", {"base64": False, "instant_response": False}, {}),
        ("FaceSwap", {"watermark": None}, {}),
        ("FaceSwap", {"watermark": ""}, {"watermark": False}),
        ("FaceSwap", {"watermark": True}, {"watermark": True}),
        ("Outpaint", {"temp": False, "seed": -1}, {"temp": False, "seed": -1}),
        ("ControlNet", {"controlnet_model": "canny, depth"},
         {"controlnet_model": "canny,depth"}),
        ("ControlNet", {"controlnet_model": ["canny", "depth"]},
         {"controlnet_model": "canny,depth"}),
        ("ControlNet", {"lora_strength": 0.5}, {"lora_strength": "0.5"}),
        ("ImageToImage", {"lora_strength": [1, 0.5]},
         {"lora_strength": "1,0.5"}),
        ("ImageToImage", {"model_id": "flux-klein", "init_image": [A, B]},
         {"model_id": "flux-klein", "init_image": [A, B]}),
        ("ImageToImageV7", {"init_image": A}, {"init_image": A}),
        ("QwenEdit", {"init_image": A}, {"init_image": A}),
        ("Inpaint", {"steps": 21, "num_inference_steps": None},
         {"steps": 21, "num_inference_steps": 21}),
        ("Inpaint", {"steps": None, "num_inference_steps": 31},
         {"steps": 31, "num_inference_steps": 31}),
        ("Interior", {"strength": 7}, {"strength": 7.0}),
        ("SuperResolution", {"model_id": "ultra_resolution"},
         {"model_id": "ultra_resolution"}),
        ("TextToImageV7", {"scheduler": "Euler a"}, {"scheduler": "Euler a"}),
        ("TextToImage", {"scheduler": "DPM++ 2M"}, {"scheduler": "DPM++ 2M"}),
    ],
)  # fmt: skip
def test_dialect(
    name: str, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    """
    Each family has its own words for the same thing.
    """
    body = body_of(made(name, **given))

    assert {key: body[key] for key in body if key in given or key in sent} == (
        sent
    )


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("Inpaint", {"steps": 21, "num_inference_steps": None}, {}),
        ("Inpaint", {"steps": None, "num_inference_steps": 21}, {}),
        ("EditInpaint", {"base64": False}, {}),
        ("EditInpaint", {"instant_response": False}, {}),
        ("FaceSwapAll", {"watermark": ""}, {"watermark": False}),
        ("QwenEdit", {"seed": 7.0}, {"seed": 7}),
    ],
)
def test_same_wire_same_item(
    name: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    """
    What goes out equal is the same item, however it was written.
    """
    first, second = made(name, **one), made(name, **other)

    assert body_of(first) == body_of(second)
    assert rows.identity(first) == rows.identity(second)
    assert first == second


def test_watermark_can_be_left_to_the_service() -> None:
    """
    None is not sent, also where we have a default of our own.
    """
    spec = kind_of("FaceSwapAll")(A, target_image=B, watermark=None)  # type: ignore[call-arg]

    assert body_of(spec) == {"init_image": A, "target_image": B}
    assert rows.identity(spec) != rows.identity(
        attrs.evolve(
            spec,
            watermark=False,  # type: ignore[call-arg]
        )
    )


# Ranges


@pytest.mark.parametrize(
    ("name", "changes", "fields"),
    [
        ("HeadShot", {"guidance_scale": 7.5}, ["guidance_scale"]),
        ("FaceGen", {"guidance_scale": 7.5}, []),
        ("FaceGen", {"samples": 3}, ["samples"]),
        ("FaceGen", {"width": 1024}, ["width"]),
        ("FaceGen", {"s_scale": 7.5}, ["s_scale"]),
        ("FaceGen", {"num_inference_steps": 20}, ["num_inference_steps"]),
        ("FaceGen", {"num_inference_steps": 31}, []),
        ("Interior", {"num_inference_steps": 51}, ["num_inference_steps"]),
        ("Interior", {"strength": 10}, []),
        ("Outpaint", {"overlap_width": 64}, ["overlap_width"]),
        ("Outpaint", {"width": 1440, "height": 1440}, []),
        ("SuperResolution", {"model_id": "newer"}, ["model_id"]),
        ("QwenEdit", {"model_id": "qwen-edit-2601"}, []),
        ("ImageToImage", {"num_inference_steps": 50}, []),
        ("TryOn", {"num_inference_steps": 51}, ["num_inference_steps"]),
        ("ControlNet", {"num_inference_steps": 30}, []),
        ("ControlNet", {"num_inference_steps": 25}, ["num_inference_steps"]),
        ("ControlNet", {"controlnet_conditioning_scale": 4},
         ["controlnet_conditioning_scale"]),
        ("TextToImageV7", {"width": 1536}, ["width"]),
        ("RemoveBackground", {"track_id": "mine"}, ["track_id"]),
        ("RemoveBackground", {"track_id": "12"}, []),
        ("RealtimeTextToImage", {"track_id": "mine"}, []),
        ("EditInpaint", {"guidance_scale": 7.5}, ["guidance_scale"]),
        ("Inpaint", {"model_id": "flux"}, ["model_id"]),
        ("Inpaint", {"model_id": "fluxdev"}, []),
        ("ImageToImage", {"model_id": "z-image-turbo"}, ["strength"]),
        ("ImageToImage",
         {"model_id": "flux-kontext-dev", "guidance_scale": 3},
         ["guidance_scale"]),
        ("ImageToImage", {"model_id": "flux", "init_image": [A, B]},
         ["init_image"]),
        ("ImageToImage", {"model_id": "flux", "init_image": [A]}, []),
        ("ImageToImage", {"model_id": "flux-klein", "init_image": [A] * 4},
         []),
        ("ImageToImage", {"model_id": "flux-klein", "init_image": [A] * 5},
         ["init_image"]),
        ("ImageToImage", {"model_id": "flux-2-dev", "init_image": [A] * 10},
         []),
        ("QwenEdit", {"init_image": [A] * 4}, []),
        ("ControlNet", {"controlnet_type": "depth"}, ["controlnet_type"]),
        ("ControlNet", {"controlnet_model": "depth,canny"}, []),
    ],
)  # fmt: skip
def test_doubted(
    name: str, changes: dict[str, Any], fields: list[str]
) -> None:
    """
    What one source forbids and another does is sent, with a warning.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made(name, **changes)

    assert [str(one.message).partition(":")[0] for one in caught] == fields
    assert all(one.category is SpecWarning for one in caught)


@pytest.mark.parametrize(
    ("name", "changes", "fields"),
    [
        ("RealtimeTextToImage", {"samples": 5}, ["samples"]),
        ("RealtimeImageToImage", {"strength": 1.5}, ["strength"]),
        ("RealtimeImageToImage", {"strength": -0.1}, ["strength"]),
        ("Interior", {"strength": 11}, ["strength"]),
        ("RemoveBackground", {"alpha_matting_erode_size": 6},
         ["alpha_matting_erode_size"]),
        ("SuperResolution", {"scale": 9}, ["scale"]),
        ("SuperResolution", {"scale": 0}, ["scale"]),
        ("Outpaint", {"seed": -2}, ["seed"]),
        ("RealtimeTextToImage", {"seed": -1}, ["seed"]),
        ("TryOn", {"cloth_type": "dress"}, ["cloth_type"]),
        ("FaceGen", {"style": "oil"}, ["style"]),
        ("ControlNet", {"controlnet_model": "edges"}, ["controlnet_model"]),
        ("ControlNet", {"controlnet_model": "canny,edges"},
         ["controlnet_model"]),
        ("ControlNet", {"controlnet_type": "edges"}, ["controlnet_type"]),
        ("ControlNet", {"prompt": None}, ["prompt"]),
        ("ControlNet", {"init_image": None}, ["init_image"]),
        ("Inpaint", {"steps": 22}, ["steps"]),
        ("ImageToImage", {"guidance": 21}, ["guidance"]),
        ("ImageToImage", {"init_image": [A] * 11}, ["init_image"]),
        ("ImageToImage", {"init_image": []}, ["init_image"]),
        ("QwenEdit", {"init_image": [A] * 5}, ["init_image"]),
        ("ImageToImageV7", {"init_image": [A] * 15}, ["init_image"]),
        ("InpaintV7", {"init_image": [A]}, ["init_image"]),
        ("RealtimeTextToImage", {"model_id": "x"}, ["model_id"]),
        ("RealtimeTextToImage", {"extra": {"width": 5}}, ["extra"]),
        ("RemoveObject", {"prompt": "x"}, ["prompt"]),
        ("RemoveObject", {"mask_image": None}, ["mask_image"]),
        ("RemoveObject", {"mask_image": "https://", "init_image": None},
         ["init_image", "mask_image"]),
    ],
)  # fmt: skip
def test_refused(
    name: str, changes: dict[str, Any], fields: list[str]
) -> None:
    """
    What no source allows is told by its name, before it costs.
    """
    with pytest.raises(SpecError) as caught:
        made(name, **changes)

    assert sorted(one.field for one in caught.value.problems) == fields


def test_guess_mode_needs_no_prompt() -> None:
    """
    A request without a prompt is named by its picture.
    """
    spec = made("ControlNet", prompt=None, guess_mode=True)

    assert spec.caption == "a.jpg"


def test_unknown_models_are_sent() -> None:
    """
    A list of models is never a gate.
    """
    assert body_of(made("TextToImageV7", model_id="of-tomorrow"))[
        "model_id"
    ] == ("of-tomorrow")


# Replies


REPLIES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "realtime",
        {
            "status": "processing",
            "eta": 35,
            "message": "…",
            "fetch_result": f"{API}/v6/realtime/fetch/134686749",
            "id": 134686749,
            "output": [],
            "future_links": ["https://o.example/f-0.jpg"],
            "meta": {
                "instant_response": "no",
                "safety_checker": "no",
                "guidance_scale": 1,
            },
        },
        {"id": "134686749", "eta": 35.0},
    ),
    (
        "v7",
        {
            "status": "processing",
            "eta": 10,
            "fetch_result": f"{API}/v7/images/fetch/123456",
            "id": 123456,
            "output": [],
            "future_links": ["https://o.example/f.png"],
        },
        {"id": "123456", "eta": 10.0},
    ),
    (
        "v7 with an id as text",
        {"status": "processing", "id": "12345678", "eta": 5},
        {"id": "12345678", "eta": 5.0},
    ),
    (
        "v7 at once",
        {
            "status": "success",
            "generationTime": 10,
            "id": 123457,
            "output": ["https://o.example/a.png"],
            "proxy_links": ["https://p.example/a.png"],
        },
        {"id": "123457", "generation_time": 10.0},
    ),
    (
        "image_editing",
        {
            "status": "processing",
            "tip": "…",
            "eta": 5,
            "message": "…",
            "fetch_result": f"{API}/v6/image_editing/fetch/134932313",
            "id": 134932313,
            "output": [],
            "future_links": ["https://o.example/b.png"],
            "proxy_links": "",
            "meta": {"id": "134932313", "track_id": "3422", "seed": 4141},
        },
        {"id": "134932313", "eta": 5.0, "seed": 4141},
    ),
    (
        "super_resolution",
        {
            "status": "success",
            "generationTime": 7.42,
            "id": 235706,
            "output": ["https://o.example/d_out.png"],
            "proxy_links": ["https://o.example/d_out.png"],
            "meta": {"upscale_factor": 4, "steps": 20},
        },
        {"id": "235706", "generation_time": 7.42},
    ),
    (
        "fashion, without output",
        {
            "status": "success",
            "id": 13204,
            "output": [],
            "proxy_links": ["https://p.example/284c4f3d.png"],
        },
        {"id": "13204"},
    ),
    (
        "faceswap",
        {
            "status": "processing",
            "eta": 605,
            "message": "…",
            "fetch_result": f"{API}/v6/deepfake/fetch/134807469",
            "id": 134807469,
            "output": [],
            "future_links": ["https://o.example/s.jpg"],
            "meta": {"watermark": "yes", "id": "134807469"},
        },
        {
            "id": "134807469",
            "eta": 605.0,
            "fetch_result": f"{API}/v6/deepfake/fetch/134807469",
        },
    ),
    (
        "interior",
        {
            "status": "processing",
            "eta": 20,
            "message": "…",
            "fetch_result": f"{API}/v6/interior/fetch/134805074",
            "id": 134805074,
            "output": [],
            "future_links": ["https://o.example/i-0.png"],
            "meta": {"room_image": "https://i.example/r.jpg", "id": 134805074},
        },
        {"id": "134805074", "eta": 20.0},
    ),
    (
        "interior, done",
        {
            "status": "success",
            "id": 134805074,
            "output": ["https://o.example/i-0.png"],
            "meta": {"id": None, "seed": 7},
        },
        {"id": "134805074", "seed": 7},
    ),
    (
        "fetched",
        {
            "status": "success",
            "id": 134686749,
            "output": ["https://o.example/a-0.jpg"],
            "proxy_links": ["https://o.example/a-0.jpg"],
        },
        {"id": "134686749"},
    ),
    (
        "asked too early",
        {
            "status": "processing",
            "message": "try again later.",
            "output": "",
            "tip": "…",
        },
        {"id": None, "eta": None, "message": "try again later."},
    ),
]


@pytest.mark.parametrize(
    ("body", "facts"),
    [pytest.param(body, facts, id=name) for name, body, facts in REPLIES],
)
def test_reply(body: dict[str, Any], facts: dict[str, Any]) -> None:
    """
    Each documented reply of the families is read.
    """
    answer = decode.decode(Reply(200, json.dumps(body).encode()))

    assert isinstance(answer, (Success, Processing))
    assert isinstance(answer, Success) == (body["status"] == "success")
    assert {name: getattr(answer, name) for name in facts} == facts
    if isinstance(answer, Success):
        assert answer.images


# The pages


def test_page_of_all_endpoints() -> None:
    """
    The docs' table is the specs'.
    """
    # Run `python tests/endpoints_page.py` if one differs.
    assert endpoints_page.PAGE.read_text() == endpoints_page.page()
    assert endpoints_page.API.read_text() == endpoints_page.api()


@pytest.mark.parametrize(
    "path", field_docstrings.modules(), ids=lambda path: path.stem
)
def test_what_an_editor_shows(path: Path) -> None:
    """
    Below each parameter stands what it may be, for who points at it in an
    editor: as its declaration says.
    """
    # Run `python tests/field_docstrings.py` if it differs.
    assert path.read_text() == field_docstrings.written(path)


def test_bounds_are_told_as_they_are() -> None:
    """
    A bound of 7.5 is not told as 8, and a long one not as 4.29e+09.
    """
    facts = specs.parameters(specs.SPECS["face_gen"])

    assert facts["s_scale"].wanted == "a number from 0 to 7.5"
    assert facts["seed"].wanted == "a whole number from 0 to 4294967295"


# The house


def test_endpoints_are_named_in_specs_only() -> None:
    """
    No room but specs and the simulator knows an endpoint by name.
    """
    words = {
        *NAMES,
        *(kind.endpoint.path.rpartition("/")[2] for kind in KINDS),
        *(kind.endpoint.name for kind in KINDS),
    }
    # Words of English, and what is imported by its class at the front door.
    words -= {"inpaint", "interior", "make"}
    named = re.compile(rf"\b(?:{'|'.join(sorted(words))})\b")
    found = {
        f"{room.relative_to(ROOMS)}: {hit[0]}"
        for room in ROOMS.rglob("*.py")
        if room.relative_to(ROOMS).parts[0] not in {"specs", "simulator"}
        and room != ROOMS / "__init__.py"
        for hit in named.finditer(room.read_text())
    }

    assert found == set()


def test_size() -> None:
    """
    Each endpoint is at most sixty lines of specs, what it shares and what
    is made from it for editors apart.
    """
    for module in sorted((ROOMS / "specs").glob("[a-z]*.py")):
        source = field_docstrings.declared(module)
        for part in source.split("\n@attrs.frozen")[1:]:
            lines = [line for line in part.splitlines() if line.strip()]
            assert len(lines) <= 90, part[:80]
