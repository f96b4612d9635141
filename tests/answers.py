"""
The captured samples, and answers made by hand.
"""

from __future__ import annotations

import json

from pathlib import Path
from typing import Any

import attrs
import pytest

from hypothesis import strategies as st

from modelslab_async._policy.verdicts import (
    judge_poll,
    judge_submit,
)
from modelslab_async._protocol import decode, refusals
from modelslab_async._protocol.replies import (
    Processing,
    Refusal,
    Reply,
    Success,
)
from modelslab_async.specs import TextToImage


BASE = "https://modelslab.com/api/v6"
TEXT2IMG = TextToImage.endpoint
DATE = "Mon, 23 Nov 2026 12:00:00 GMT"
PNG = b"\x89PNG\r\n\x1a\n and more"
PNG_BASE64 = "iVBORw0KGgogYW5kIG1vcmU="
LINK = "https://files.example/0.png"
OTHER = "https://files.example/1.png"
PROXY = "https://proxy.example/0.png"


def _exchanges() -> list[Any]:
    found = []
    for path in sorted((Path(__file__).parent / "samples").glob("S*.json")):
        sample = json.loads(path.read_text(encoding="utf-8"))
        for number, exchange in enumerate(sample["exchanges"]):
            name = f"{sample['sample']}-{number}"
            found.append(pytest.param(exchange, id=name))
    return found


EXCHANGES = _exchanges()
TOLD = [one for one in EXCHANGES if one.values[0]["kind"] != "request"]


def exchanges_about(about: str) -> list[Any]:
    return [one for one in EXCHANGES if about in one.values[0]["means"]]


def reply(body: object, http: int, **headers: str) -> Reply:
    """
    A reply whose body is *body* as JSON.
    """
    return Reply(http, json.dumps(body).encode(), **headers)


def told(body: object, http: int = 200, **headers: str) -> Any:
    """
    What that reply says.
    """
    return decode.decode(reply(body, http, **headers))


def facts(heard: Any) -> dict[str, object]:
    """
    What was heard, in the words of the samples.
    """
    said = attrs.asdict(heard, recurse=False)
    said |= {
        "told": type(heard).__name__,
        "submit": judge_submit(heard).name,
        "poll": judge_poll(heard).name,
    }
    if isinstance(heard, Success):
        said["urls"] = [image.url for image in heard.images]
        said["proxies"] = [image.proxy_url for image in heard.images]
    if isinstance(heard, (Success, Processing)):
        said["expected_urls"] = list(heard.expected_urls)
    if isinstance(heard, Refusal):
        said["topics"] = sorted(topic.name for topic in heard.topics)
        said["error"] = type(refusals.refusal_error(heard)).__name__
    return said


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([LINK, "success", "Try Again", "rate limit", "1e999"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)
