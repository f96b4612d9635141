"""
What a page of pictures shows, and what it lets nobody do.
"""

from __future__ import annotations

import base64
import hashlib
import re

from typing import Any

import attrs
import pytest

from pictures import ReadPage, picture, row

from modelslab_async._output.manifest import Row
from modelslab_async._output.page import Failure, Page, Summary, stamp_of
from modelslab_async.results import JSON


def hostile(text: str) -> Row:
    """
    A picture whose every text is *text*.
    """
    one = picture(
        0,
        spec={"prompt": text, "model_id": text, text: text, "lora": [text]},
        item=text,
        id=text,
        track_id=text,
    )
    return row(one)


def shown(*rows: Row, title: str = "out", **summary: Any) -> ReadPage:
    """
    The first page of a gallery of these.
    """
    stamp = stamp_of(len(rows), last=True)
    page = Page(title, 0, 1, stamp, rows, Summary(**summary))
    return ReadPage(page.html())


def test_only_our_files_are_linked() -> None:
    """
    A manifest that somebody wrote into leads nowhere else.
    """
    files = ["//evil.example/a.png", "../a.png", "a/../../b.png", "a b.png"]

    page = shown({}, *(row(picture(0, file=file)) for file in files))

    assert page.all("img", "src") == [None]


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</title></style></script><script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "]]>&lt;script&gt;",
    "javascript:alert(1)",
    "\ud800 half, \x00 nothing, \x1b[31m red",
]


@pytest.mark.parametrize("text", NASTY)
def test_everything_is_escaped(text: str) -> None:
    """
    Whatever a prompt, a model, an item, an id, a title or a reason is, a page
    has the elements of a harmless one.
    """
    tame, page = (
        shown(
            hostile(said),
            title=said,
            counts=(said,),
            failures=(Failure(1, {"prompt": said}, said, said, said),),
            failed=1,
        )
        for said in ("a cat", text)
    )

    assert [tag for tag, _ in page.elements] == [t for t, _ in tame.elements]
    assert page.inline == tame.inline
    assert [set(found) for _, found in page.elements] == [
        set(found) for _, found in tame.elements
    ]


def test_failures_are_shown() -> None:
    """
    Each failure stands there with its reason; more are counted.
    """
    failure = Failure(1, {"prompt": NASTY[1]}, NASTY[0], "mine", "13")

    page = shown(
        counts=("1 picture", "3 failed"), failures=(failure,), failed=3
    )

    assert "1 picture · 3 failed" in page.text
    assert f"{NASTY[0]}{NASTY[1]}#1 · mine · job 13" in page.text
    assert "and 2 more" in page.text


def test_policy() -> None:
    """
    The page's policy lets its own style and script run, by their hashes, and
    pictures beside it be shown; nothing else, and the page needs nothing else.
    """
    page = shown(hostile(NASTY[0]), row(picture(1, width=99)))

    def told(tag: str) -> str:
        (code,) = page.inline[tag]
        digest = hashlib.sha256(code.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    assert page.policy == {
        "default-src": "'none'",
        "img-src": "'self' data:",
        "script-src": told("script"),
        "style-src": told("style"),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not re.search("url|@import|fetch|http", page.inline["style"][0])
    assert not re.search("innerHTML|eval|fetch|http", page.inline["script"][0])
    for _, found in page.elements:
        assert not any(name.startswith("on") for name in found)
        assert "style" not in found


def test_links_are_relative() -> None:
    """
    All that a page leads to lies beside it.
    """
    page = shown(row(picture(0)), row(picture(1)))

    links = page.all("a", "href") + page.all("img", "src")

    assert sorted(filter(None, links)) == [
        "images/000000-9-0.png",
        "images/000000-9-0.png",
        "images/000001-9-0.png",
        "images/000001-9-0.png",
    ]


def test_a_picture_is_told() -> None:
    """
    Beside each picture stand its prompt, number, model, seed and times; its
    shape is known before it is loaded.
    """
    page = shown(row(picture(4, item="mine")))

    img = next(found for tag, found in page.elements if tag == "img")
    assert "cat 4#4 · mine · flux · seed 9 · 2.5 s" in page.text
    assert "512 \u00d7 768 pixels, 1,500 kB" in page.text
    assert "accepted2026-11-23 10:33:20 UTC" in page.text
    assert "aspect-ratio: 512 / 768;" in page.inline["style"][0]
    assert img == {
        "src": "images/000004-9-0.png",
        "width": "512",
        "height": "768",
        "loading": "eager",
        "alt": "cat 4",
    }


def test_pictures_further_down_wait() -> None:
    """
    Only the pictures that one sees first are loaded at once.
    """
    page = shown(*map(row, map(picture, range(42))))

    loading = page.all("img", "loading")
    assert loading == ["eager"] * 40 + ["lazy"] * 2 + [None]


def test_pictures_without_facts() -> None:
    """
    What is not known of a picture is left out.
    """
    bare = picture(0, spec={}, seed=None, generation_time=None, id=None)

    page = shown(row(attrs.evolve(bare, accepted_at=None)))

    assert "None" not in page.text
    assert "accepted" not in page.text


@pytest.mark.parametrize(
    ("spec", "caption"),
    [
        ({"prompt": "a cat", "init_image": "x"}, "a cat"),
        ({"init_image": "https://a.example/b/cat.png"}, "cat.png"),
        ({"prompt": "", "width": 512, "image": "cat.png"}, "cat.png"),
        ({"width": 512}, ""),
    ],
)
def test_caption(spec: dict[str, JSON], caption: str) -> None:
    """
    A picture without a prompt is named by the picture that was given.
    """
    page = shown(row(picture(0, spec=spec)))

    assert page.all("img", "alt")[0] == caption


def test_a_folder_without_pictures() -> None:
    """
    An empty batch has a page too.
    """
    page = shown()

    assert "No pictures yet." in page.text
    assert "0 pictures" in page.text
    assert page.text.count("out") == 2
