"""
Links and pictures in an answer, whatever holds them.
"""

from __future__ import annotations

import base64
import json

import pytest

from answers import (
    BASE,
    LINK,
    OTHER,
    PNG,
    PNG_BASE64,
    PROXY,
    told,
)

from modelslab_async._protocol import decode
from modelslab_async._protocol.links import read_url
from modelslab_async._protocol.replies import Reply, Success


#: Behind another link, with one of its slashes.
ONE_SLASH = LINK.replace("//", "/")


@pytest.mark.parametrize(
    ("body", "images"),
    [
        ({"output": [LINK, OTHER]}, [(LINK, None), (OTHER, None)]),
        ({"output": LINK}, [(LINK, None)]),
        ({"output": {"1": OTHER, "0": LINK}}, [(LINK, None), (OTHER, None)]),
        ({"output": {"10": OTHER, "9": LINK}}, [(LINK, None), (OTHER, None)]),
        ({"output": {"b": OTHER, "a": LINK}}, [(LINK, None), (OTHER, None)]),
        ({"output": [LINK, LINK]}, [(LINK, None)]),
        ({"output": ["", None, 5, {}, LINK]}, [(LINK, None)]),
        ({"output": f"  {LINK}\n"}, [(LINK, None)]),
        ({"output": f"'{LINK}'"}, [(LINK, None)]),
        ({"output": f"{LINK}?sign=x'"}, [(f"{LINK}?sign=x'", None)]),
        ({"output": f'["{LINK}", "{OTHER}"]'}, [(LINK, None), (OTHER, None)]),
        ({"output": "[torn"}, []),
        ({"output": ""}, []),
        ({"output": None}, []),
        ({"output": ["not a link", "/half/a/link"]}, []),
        ({"output": ["https://files.example/\ud800"]}, []),
        ({"output": [[LINK, OTHER]]}, [(LINK, None), (OTHER, None)]),
        ({"output": [[LINK], [[OTHER]]]}, [(LINK, None), (OTHER, None)]),
        ({"output": [[[[[[[LINK]]]]]]]}, []),
        ({"output": {"url": LINK, "thumb": OTHER}}, [(LINK, None)]),
        ({"output": {"images": [{"url": LINK}]}}, [(LINK, None)]),
        ({"output": [{"image": LINK, "seed": 5}]}, [(LINK, None)]),
        ({"output": [{"picture": LINK, "seed": 5}]}, [(LINK, None)]),
        ({"output": {"0": {"link": LINK}}}, [(LINK, None)]),
        ({"output": f"{LINK},{OTHER}"}, [(LINK, None), (OTHER, None)]),
        ({"output": f"{OTHER},{ONE_SLASH}"}, [(OTHER, None), (LINK, None)]),
        ({"output": f"{LINK}\r\n{OTHER}\n"}, [(LINK, None), (OTHER, None)]),
        ({"output": [f"{LINK} ; {OTHER}"]}, [(LINK, None), (OTHER, None)]),
        ({"output": f"{LINK}?a=b,c;d|e f"}, [(f"{LINK}?a=b,c;d|e f", None)]),
        (
            {"output": f"{LINK}?w=1,x=/{OTHER}"},
            [(f"{LINK}?w=1,x=/{OTHER}", None)],
        ),
        ({"output": json.dumps({"url": LINK})}, [(LINK, None)]),
        ({"output": [json.dumps([LINK])]}, [(LINK, None)]),
        ({"output": json.dumps(json.dumps([LINK]))}, [(LINK, None)]),
        ({"output": f"['{LINK}', '{OTHER}']"}, [(LINK, None), (OTHER, None)]),
        ({"output": [None, LINK, False]}, [(LINK, None)]),
        (
            {"output": [[None], LINK], "proxy_links": [[OTHER], PROXY]},
            [(LINK, PROXY)],
        ),
        ({"output": [LINK], "proxy_links": [PROXY]}, [(LINK, PROXY)]),
        ({"output": [LINK], "proxy_links": PROXY}, [(LINK, PROXY)]),
        ({"output": [LINK], "proxy_links": {"0": PROXY}}, [(LINK, PROXY)]),
        ({"output": [LINK], "proxy_links": ""}, [(LINK, None)]),
        ({"output": [LINK], "proxy_links": None}, [(LINK, None)]),
        ({"output": [LINK], "proxy_links": [LINK]}, [(LINK, None)]),
        (
            {"output": ["", LINK], "proxy_links": [OTHER, PROXY]},
            [(LINK, PROXY)],
        ),
        ({"output": [], "proxy_links": [PROXY]}, [(PROXY, None)]),
        ({"output": [], "proxy_links": {"0": PROXY}}, [(PROXY, None)]),
        ({"output": [], "future_links": [LINK]}, []),
        ({"link": LINK}, [(LINK, None)]),
        ({"output": [LINK], "link": OTHER}, [(LINK, None)]),
    ],
)
def test_links(body: dict[str, object], images: list[object]) -> None:
    """
    Links are read from any shape, in order, each once, with its proxy.
    """
    heard = told({"status": "success", "id": 1} | body)

    assert [(one.url, one.proxy_url) for one in heard.images] == images
    assert [one.index for one in heard.images] == list(range(len(images)))


@pytest.mark.parametrize(
    "output",
    [
        f"data:image/png;base64,{PNG_BASE64}",
        [PNG_BASE64],
        f"DATA:image/png;charset=x;base64,{PNG_BASE64[:8]}\n{PNG_BASE64[8:]}",
    ],
)
def test_inline_picture(output: object) -> None:
    """
    A picture inside the answer is bytes, not a URL.
    """
    (image,) = told({"status": "success", "output": output}).images

    assert (image.url, image.data) == (None, PNG)


@pytest.mark.parametrize(
    "output", ["data:image/png;base64,!!!", "data:,x", "YWJj", "data:;base64,"]
)
def test_inline_nothing(output: str) -> None:
    """
    What only looks like base64 is no picture.
    """
    assert told({"status": "success", "output": output}).images == ()


def test_base64_link() -> None:
    """
    A link to a text file with base64 stays a link.
    """
    link = "https://files.example/temp/a-0.base64"

    (image,) = told({"status": "success", "output": [link]}).images

    assert (image.url, image.data) == (link, None)


def test_expected_urls() -> None:
    """
    Where future links are missing, the echo's output has them.
    """
    heard = told(
        {"status": "processing", "id": 1, "meta": {"output": [LINK, LINK]}}
    )

    assert heard.expected_urls == (LINK,)


def test_success_without_picture() -> None:
    """
    Success may come before the links; what is expected is kept.
    """
    heard = told(
        {"status": "success", "id": 1, "output": [], "future_links": [LINK]}
    )

    assert (heard.images, heard.expected_urls) == ((), (LINK,))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://h.example/a b.png", "https://h.example/a b.png"),
        ("https://h.example/caf\u00e9.png", "https://h.example/caf\u00e9.png"),
        (
            "https://h.example/x?Signature=x%2Fy%2Bz%3D&b=/foo%27",
            "https://h.example/x?Signature=x%2Fy%2Bz%3D&b=/foo%27",
        ),
        ("//h.example/x.png", "https://h.example/x.png"),
        ("/x.png", "https://modelslab.com/x.png"),
        ("h.example/x.png", "https://h.example/x.png"),
        ('"https://h.example/x.png"', "https://h.example/x.png"),
        ("https:\\/\\/h.example\\/x.png", "https://h.example/x.png"),
        ("https://h.example/\nx.png", "https://h.example/x.png"),
        ("\ufeffhttps://h.example/x.png\0", "https://h.example/x.png"),
        (
            "\u200bhttps://h.example/x.png \xa0\u200b",
            "https://h.example/x.png",
        ),
        ("`https://h.example/x.png`", "https://h.example/x.png"),
        ("\u201chttps://h.example/x.png\u201d", "https://h.example/x.png"),
        ("https:\\\\/\\\\/h.example\\\\/x.png", "https://h.example/x.png"),
        ("https:\\u002f\\u002Fh.example/x.png", "https://h.example/x.png"),
        ("https%3A%2f%2Fh.example%2Fx.png", "https://h.example/x.png"),
        (
            "https://h.example/?u=https%3A%2F",
            "https://h.example/?u=https%3A%2F",
        ),
        ("https:/h.example/x.png", "https://h.example/x.png"),
        ("https:\\\\h.example\\x.png", "https://h.example/x.png"),
        ("https://h.example/a\\x.png", "https://h.example/a\\x.png"),
        ("h.example:8443/x.png", "https://h.example:8443/x.png"),
        ("x.png", "https://modelslab.com/x.png"),
        ("./a b/x.jpeg?s=1", None),
        ("./a/x.jpeg?s=1", "https://modelslab.com/a/x.jpeg?s=1"),
        ("a.png or b", None),
        ("javascript:x.png", None),
        ("https://h.example/\x01x.png", None),
        ("https://", None),
        ("https:// x", None),
        ("//", None),
        ("///x.png", None),
        ("/", None),
        ("no picture", None),
        ("and/or", None),
        ("see h.example/x.png", None),
    ],
)
def test_links_are_read_though_imperfect(text: str, url: str | None) -> None:
    """
    A link is kept as it came; what it lacks is the API's.
    """
    assert read_url(text, BASE) == url


def test_links_in_objects() -> None:
    """
    A link may be the *url* of an object.
    """
    heard = told({"status": "success", "output": [{"url": LINK}]})

    assert [image.url for image in heard.images] == [LINK]


def test_relative_links_of_an_answer() -> None:
    """
    Pictures, their second hosts, future links and the fetch path are seen
    from the API's origin.
    """
    body = {
        "status": "success",
        "output": ["/0.png"],
        "proxy_links": ["//proxy.example/0.png"],
        "future_links": ["/1.png"],
        "fetch_result": "/api/v6/images/fetch/8",
    }

    heard = decode.decode(Reply(200, json.dumps(body).encode(), url=BASE))

    assert isinstance(heard, Success)
    assert heard.images[0].url == "https://modelslab.com/0.png"
    assert heard.images[0].proxy_url == PROXY
    assert heard.expected_urls == ("https://modelslab.com/1.png",)
    assert heard.id == "8"


def test_a_picture_that_looks_like_a_path() -> None:
    """
    The base64 of a JPEG begins with a slash; it is no link.
    """
    jpeg = b"\xff\xd8\xff\xe0 and more"
    body = {"status": "success", "output": [base64.b64encode(jpeg).decode()]}

    heard = decode.decode(Reply(200, json.dumps(body).encode(), url=BASE))

    assert isinstance(heard, Success)
    assert heard.images[0].data == jpeg
