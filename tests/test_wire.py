"""
Every spec has one right form on the wire, and as text.
"""

from __future__ import annotations

import json
import warnings

from typing import Any

import attrs
import pytest

from answers import (
    ANY_JSON,
    BASE,
    exchanges_about,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from modelslab_async import errors
from modelslab_async._protocol import encode, rows
from modelslab_async.specs import SPECS, Extra, Scheduler, TextToImage


def _row(exchange: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in exchange["body"].items() if k != "key"}


@pytest.mark.parametrize("exchange", exchanges_about("wire"))
def test_sampleexchanges_about(exchange: dict[str, Any]) -> None:
    """
    A documented request is read, doubted and sent as its file says.
    """
    means = exchange["means"]

    with pytest.warns(errors.SpecWarning) as caught:
        spec = rows.read_spec(_row(exchange))
    call = encode.encode(spec, base_url=BASE, track_id="7")

    assert [str(one.message).partition(":")[0] for one in caught] == (
        means["warned"]
    )
    assert json.loads(rows.spec_json(spec)) == (
        means["spec"] | {"endpoint": "text2img"}
    )
    assert json.loads(call.body) == means["wire"] | {"track_id": "7"}


@pytest.mark.parametrize("exchange", exchanges_about("problems"))
def test_sample_of_another_endpoint(exchange: dict[str, Any]) -> None:
    """
    A request for another endpoint is refused for what only that one knows.
    """
    with pytest.raises(errors.SpecError) as caught:
        rows.read_spec(_row(exchange))

    assert [problem.field for problem in caught.value.problems] == (
        exchange["means"]["problems"]
    )


@pytest.mark.parametrize("exchange", exchanges_about("request_id"))
def test_sample_poll(exchange: dict[str, Any]) -> None:
    """
    A poll names its job in the body, without the key.
    """
    call = encode.encode_poll(
        "https://x.example", exchange["means"]["request_id"]
    )

    assert json.loads(call.body) == _row(exchange)


# What we send


def test_encode() -> None:
    """
    A call is the endpoint's URL and compact JSON without the key.
    """
    spec = TextToImage(" a cat ", model_id="sdxl", seed=7, upscale=2)

    call = encode.encode(spec, base_url=BASE + "/", track_id="42")

    assert call.url == f"{BASE}/images/text2img"
    assert json.loads(call.body) == {
        "prompt": "a cat",
        "model_id": "sdxl",
        "seed": 7,
        "upscale": 2,
        "track_id": "42",
    }
    assert b", " not in call.body
    assert b": " not in call.body
    assert call.cap_bytes == 4 * 1024**2


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"safety_checker": True}, {"safety_checker": "yes"}),
        ({"base64": False}, {"base64": "no"}),
        ({"upscale": True}, {"upscale": "yes"}),
        ({"upscale": False}, {"upscale": "no"}),
        ({"upscale": 1}, {"upscale": 1}),
        ({"lora_strength": 0.45}, {"lora_strength": "0.45"}),
        ({"lora_strength": 1}, {"lora_strength": "1"}),
        ({"lora_strength": [0.45, 1.0]}, {"lora_strength": "0.45,1"}),
        ({"lora_model": "a, b"}, {"lora_model": "a,b"}),
        ({"lora_model": ("a", "b")}, {"lora_model": "a,b"}),
        ({"negative_prompt": ""}, {}),
        ({"scheduler": Scheduler.LCM}, {"scheduler": "LCMScheduler"}),
        ({"guidance_scale": 7}, {"guidance_scale": 7.0}),
        ({"extra": {"new": [1], "odd": ""}}, {"new": [1], "odd": ""}),
        ({"track_id": "mine"}, {}),
    ],
)
def test_encode_field(fields: dict[str, Any], sent: dict[str, object]) -> None:
    """
    Each kind of parameter has one form on the wire, and None has none.
    """
    spec = TextToImage("x", model_id="sdxl", **fields)

    body = json.loads(encode.encode(spec, base_url=BASE, track_id="1").body)

    assert body == {"prompt": "x", "model_id": "sdxl", "track_id": "1"} | sent


def test_caps() -> None:
    """
    An answer may be long only where base64 was asked for.
    """
    spec = TextToImage("x", model_id="sdxl", base64=True)

    submit = encode.encode(spec, base_url=BASE, track_id="1")
    poll = encode.encode_poll(BASE, "1", base64=True)
    plain = encode.encode_poll(BASE, "1")

    assert submit.cap_bytes == poll.cap_bytes == 64 * 1024**2
    assert plain.cap_bytes == 4 * 1024**2


# Specs as text, and back


FULL = TextToImage(
    " a cat\u2028 \N{CAT FACE}",
    model_id="sdxl",
    negative_prompt="dogs",
    width=512,
    height=768,
    samples=2,
    guidance_scale=7,
    safety_checker=False,
    seed=0,
    scheduler="DDIMScheduler",
    lora_model=["a", "b"],
    lora_strength=[0.45, 1],
    webhook="https://me.example/?secret=1",
    track_id="42",
    upscale=True,
    extra={"new": {"b": 1, "a": [None, 1.5]}},
)


def test_spec_json_round_trip() -> None:
    """
    A spec comes back from its canonical JSON as it went in.
    """
    text = rows.spec_json(FULL)

    assert rows.read_spec(json.loads(text)) == FULL
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert json.loads(text)["endpoint"] == "text2img"


SPEC_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "negative_prompt": st.text(st.characters(codec="utf-8")),
    "width": st.integers(32, 128).map(lambda n: n * 8),
    "seed": st.integers(0, 2**32 - 1),
    "guidance_scale": st.floats(1, 20) | st.integers(1, 20),
    "base64": st.booleans(),
    "upscale": st.sampled_from([True, False, 1, 2, 3]),
    "lora_strength": st.floats(0.1, 1)
    | st.lists(st.floats(0.1, 1), min_size=1),
    "lora_model": st.sampled_from(["a", "a,b", ["a"], ("a", "b")]),
    "scheduler": st.sampled_from(list(Scheduler)),
    "extra": st.dictionaries(
        st.text(st.characters(codec="utf-8")).filter(
            lambda name: (
                name.strip().casefold() != "key"
                and name not in attrs.fields_dict(TextToImage)
            )
        ),
        st.integers() | st.text(st.characters(codec="utf-8")),
        max_size=3,
    ),
}


@given(st.fixed_dictionaries({}, optional=SPEC_FIELDS))
@settings(max_examples=80)
def test_spec_any_round_trip(fields: dict[str, Any]) -> None:
    """
    Any spec comes back from its JSON, with its identity, and can be sent.
    """
    spec = TextToImage("x", model_id="sdxl", **fields)

    back = rows.read_spec(json.loads(rows.spec_json(spec)))

    assert back == spec
    assert hash(back) == hash(spec)
    assert rows.identity(back) == rows.identity(spec)
    body = json.loads(encode.encode(spec, base_url=BASE, track_id="1").body)
    assert "key" not in body
    assert None not in body.values()


def test_identity() -> None:
    """
    What changes no picture changes no identity; what does, does.
    """
    same = attrs.evolve(FULL, track_id=None, webhook=None)
    other = attrs.evolve(FULL, seed=1)

    assert rows.identity(same) == rows.identity(FULL)
    assert rows.identity(other) != rows.identity(FULL)
    assert len(rows.identity(FULL)) == 64


def test_identity_of_respelt_numbers() -> None:
    """
    Parameters that we don't know are the same request when they are equal.
    """
    first, same, other = (
        TextToImage("a cat", model_id="flux", extra={"a": number, "b": [2]})
        for number in (1, 1.0, 1.5)
    )

    assert rows.written(first)[1] == rows.written(same)[1]
    assert rows.identity(first) == rows.identity(same)
    assert rows.identity(first) != rows.identity(other)


def test_identity_stays() -> None:
    """
    A journal's item keys stay good: this identity never changes.
    """
    spec = TextToImage("a cat", model_id="flux", seed=7)

    assert rows.identity(spec) == (
        "951a7bda1ecd8d4a71215e4048bfa06c9f038e47e0c72e9ee3b305400a3d8a0a"
    )


def test_read_row_of_text() -> None:
    """
    A row of a table is all text, and empty cells are absent.
    """
    row = {
        "prompt": "a cat",
        "model_id": "sdxl",
        "width": " 512 ",
        "guidance_scale": "7.5",
        "safety_checker": "No",
        "base64": "1",
        "upscale": "2",
        "highres_fix": "true",
        "seed": "",
        "vae": None,
        "scheduler": "LCMScheduler ",
        "lora_model": "a,b",
        "lora_strength": "0.45, 1",
        "extra": '{"new": 1}',
        "webhook": " https://me.example/ ",
    }

    spec = rows.read_spec(row)

    assert spec == TextToImage(
        "a cat",
        model_id="sdxl",
        width=512,
        guidance_scale=7.5,
        safety_checker=False,
        base64=True,
        upscale=2,
        highres_fix=True,
        scheduler=Scheduler.LCM,
        lora_model="a,b",
        lora_strength=(0.45, 1),
        extra={"new": 1},
        webhook="https://me.example/",
    )


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("upscale", "0", False),
        ("upscale", "yes", True),
        ("upscale", 3, 3),
        ("base64", 0, False),
        ("base64", True, True),
        ("lora_strength", "0.5", 0.5),
        ("lora_strength", ["0.5", 1], (0.5, 1.0)),
        ("seed", "+7", 7),
        ("extra", Extra.of({"a": 1}), {"a": 1}),
    ],
)
def test_read_field(field: str, value: Any, found: object) -> None:
    """
    A field may be text or already what it means.
    """
    spec = rows.read_spec({"prompt": "x", "model_id": "sdxl", field: value})

    assert getattr(spec, field) == found


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("width", "wide", "whole number from 64 to 2048"),
        ("width", "512.5", "whole number"),
        ("width", [1], "whole number"),
        ("guidance_scale", "nan", "must be a number"),
        ("guidance_scale", "much", "must be a number"),
        ("base64", "maybe", "True or False"),
        ("base64", 2, "True or False"),
        ("upscale", "4", "1, 2 or 3"),
        ("lora_strength", "0.5,x", "must be a number"),
        ("extra", "{", "mapping"),
        ("extra", "[1]", "mapping"),
        ("track_id", 42, "must be text"),
        ("widht", "512", "did you mean 'width'"),
        ("zzz", "1", "goes into 'extra'"),
        ("key", "sk-secret", "looks like an API key"),
        ("API_KEY", "sk-secret", "looks like an API key"),
        ("endpoint", "img3img", "did you mean 'img2img'"),
        ("endpoint", [1], "there are text2img"),
    ],
)
def test_read_fault(field: str, value: Any, reason: str) -> None:
    """
    A field that means nothing is told, with what would be right.
    """
    row = {"prompt": "x", "model_id": "sdxl", field: value}

    with pytest.raises(errors.SpecError) as caught:
        rows.read_spec(row)

    (problem,) = caught.value.problems
    assert problem.field == field
    assert reason in problem.reason
    assert "sk-secret" not in str(caught.value)


def test_read_every_fault() -> None:
    """
    All faults of a row come at once, unknown names and bad values alike.
    """
    row = {"promt": "x", "samples": "9", "width": "500"}

    with pytest.raises(errors.SpecError) as caught:
        rows.read_spec(row)

    assert [problem.field for problem in caught.value.problems] == [
        "promt",
        "prompt",
        "model_id",
        "width",
        "samples",
    ]


@given(
    st.dictionaries(
        st.sampled_from([*attrs.fields_dict(TextToImage), "endpoint", "key"]),
        ANY_JSON | st.sampled_from(["512", "yes", "flux", "text2img"]),
    )
)
def test_read_any_row(row: dict[str, Any]) -> None:
    """
    Any row is a spec or a `SpecError`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.SpecWarning)
        try:
            found: object = rows.read_spec(row)
        except errors.SpecError as error:
            found = error.problems

    assert found
    assert isinstance(found, (tuple, *SPECS.values()))
