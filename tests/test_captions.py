"""
What is told of a picture on a page.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pictures import picture, row

from modelslab_async._output.captions import (
    caption_of,
    details_of,
    model_of,
)
from modelslab_async.results import JSON


DATA = "data:image/png;base64," + "iVBORw0KGgo" * 100_000


@pytest.mark.parametrize(
    ("spec", "caption"),
    [
        ({"prompt": "a cat", "init_image": "x"}, "a cat"),
        ({"init_image": "https://a.example/b/cat.png"}, "cat.png"),
        ({"init_image": "https://a.example/cat.png?key=s3cret"}, "cat.png"),
        ({"prompt": "", "width": 512, "image": "cat.png"}, "cat.png"),
        (
            {"init_image": {"path": "/home/me/cat.png", "sha256": "0"}},
            "cat.png",
        ),
        ({"images": ["https://a.example/1.png", "2"]}, "1.png"),
        ({"face": {"path": "me.jpg"}}, "me.jpg"),
        ({"image": DATA}, "data:image/png;base64"),
        ({"width": 512}, ""),
        ({"init_image": []}, ""),
        ({"init_image": [[]]}, ""),
        ({"init_image": {"path": 7}}, ""),
        ({}, ""),
    ],
)
def test_caption(spec: dict[str, JSON], caption: str) -> None:
    """
    A picture without a prompt is named by the picture that was given.
    """
    assert caption_of(spec) == caption


@pytest.mark.parametrize(
    ("spec", "model"),
    [
        ({"model_id": "flux", "endpoint": "text2img"}, "flux"),
        ({"endpoint": "super_resolution"}, "super_resolution"),
        ({}, ""),
    ],
)
def test_model(spec: dict[str, JSON], model: str) -> None:
    """
    Where an endpoint has but one model, it is named itself.
    """
    assert model_of(spec) == model


def test_details() -> None:
    """
    All that was asked for is told, what is long by its beginning.
    """
    spec: dict[str, JSON] = {
        "prompt": "a cat",
        "model_id": "flux",
        "num_inference_steps": 30,
        "upscale": None,
        "safety_checker": True,
        "init_image": DATA,
        "mask_image": {"path": str(Path("a") / "mask.png"), "sha256": "0"},
        "lora_model": ["one", "two"],
        "extra": "x" * 10_000,
    }

    found = dict(details_of(row(picture(0, spec=spec))))

    assert found["model id"] == "flux"
    assert found["num inference steps"] == "30"
    assert found["safety checker"] == "true"
    assert found["init image"] == "data:image/png;base64, …"
    assert found["mask image"] == "a/mask.png"
    assert found["lora model"] == "one; two"
    assert found["extra"] == "x" * 500 + "…"
    assert {"prompt", "upscale"}.isdisjoint(found)
