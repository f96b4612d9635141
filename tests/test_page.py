"""
What a page of pictures shows, and what it lets nobody do.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from pictures import ReadPage, picture, row

from modelslab_async._output.manifest import ManifestRow
from modelslab_async._output.page import (
    Failure,
    Page,
    Summary,
    pause_of,
    stamp_of,
)
from modelslab_async.journal.causes import Cause


def hostile(text: str) -> ManifestRow:
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


def shown(*rows: ManifestRow, title: str = "out", **summary: Any) -> ReadPage:
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
            failures=(
                Failure(1, {"prompt": said}, Cause(said, said), said, said),
            ),
            running=datetime(2026, 11, 26, tzinfo=UTC),
            failed=1,
        )
        for said in ("a cat", text)
    )

    assert [tag for tag, _ in page.elements] == [t for t, _ in tame.elements]
    assert page.inline == tame.inline
    assert [set(found) for _, found in page.elements] == [
        set(found) for _, found in tame.elements
    ]


REFUSED = Cause("failed", "the service gave up: no", "resubmit_failed")
UNKNOWN = Cause("unknown", "no verdict came", "resubmit_unknown")
GONE = Cause("not saved", "HTTP 404")


def test_failures_are_grouped_by_cause() -> None:
    """
    What failed alike stands together, the most first, with its count, and
    with what asks again; what is too much is counted.
    """
    page = shown(
        failures=tuple(
            Failure(index, {"prompt": NASTY[1]}, cause, NASTY[0], "mine", "13")
            for index, cause in enumerate((GONE, REFUSED, UNKNOWN, REFUSED))
        ),
        failed=6,
    )

    summaries = re.findall(
        r"\d (?:failed|unknown|not saved): [^\n]*", page.text
    )
    assert summaries == [
        "2 failed: the service gave up: no",
        "1 not saved: HTTP 404",
        "1 unknown: no verdict came",
    ]
    assert f"{NASTY[1]}{NASTY[0]}#1 · mine · job 13" in page.text
    assert "modelslab-async batch INPUT -o DIR --resubmit-failed" in page.text
    assert "resubmit_failed=True" in page.text
    assert "may be paid for twice" in page.text
    assert "To go on: modelslab-async batch INPUT -o DIR\n" in page.text
    assert "and 2 more" in page.text


@pytest.mark.parametrize("folder", ["my cats", "it's", "$(rm -rf .)", "<b>"])
def test_commands_can_be_pasted(folder: str) -> None:
    """
    Whatever a folder is called, the shell takes the command for what it is.
    """
    failure = Failure(1, {}, REFUSED, "no")
    page = Page("out", 0, 1, "", (), Summary((), (failure,), 1), folder)

    text = ReadPage(page.html()).text
    (command,) = re.findall("To ask again: (.*), in Python", text)
    assert shlex.split(command) == [
        "modelslab-async",
        "batch",
        "INPUT",
        "-o",
        folder,
        "--resubmit-failed",
    ]


def test_samples_say_which_they_are() -> None:
    """
    Pictures of one item stand together and say "2 of 4", each with a link of
    its own; one that is alone says nothing.
    """
    samples = [row(picture(1, n, of=4)) for n in (3, 1, 0, 2)]

    page = shown(row(picture(2)), *samples, row(picture(0)))

    assert page.all("figure", "id") == [
        "item-0",
        "item-1",
        "item-1-2",
        "item-1-3",
        "item-1-4",
        "item-2",
    ]
    assert re.findall(r"(\d) of (\d) · flux", page.text) == [
        ("1", "4"),
        ("2", "4"),
        ("3", "4"),
        ("4", "4"),
    ]


def test_the_filter_knows_what_it_looks_in() -> None:
    """
    Each picture and each failure has its item, model, endpoint and seed where
    the filter finds them, and nothing else.
    """
    spec = {"prompt": "a cat", "model_id": "flux", "endpoint": "text2img"}

    page = shown(
        row(picture(0, spec=spec, item="mine")),
        failures=(Failure(1, {"endpoint": "upscale", "seed": 7}, GONE, "no"),),
        failed=1,
    )

    found = {
        tag: {
            name: value
            for name, value in attributes.items()
            if name.startswith("data-") and name != "data-name"
        }
        for tag, attributes in page.elements
        if tag in {"figure", "li"}
    }
    assert found == {
        "figure": {
            "data-item": "mine",
            "data-model": "flux",
            "data-endpoint": "text2img",
            "data-seed": "9",
            "data-state": "pictures",
        },
        "li": {
            "data-model": "upscale",
            "data-endpoint": "upscale",
            "data-seed": "7",
            "data-state": "not saved",
        },
    }


def chips(page: ReadPage) -> dict[str, str]:
    """
    What can be chosen, by its value.
    """
    return {
        found["data-value"] or "": found["data-choose"] or ""
        for tag, found in page.elements
        if tag == "button" and "data-choose" in found
    }


def test_chips() -> None:
    """
    Models can be chosen where there are several, the most used first, and
    states where something failed.
    """
    one = [row(picture(n)) for n in range(2)]
    other = row(picture(3, spec={"model_id": "sdxl"}))
    failure = Failure(4, {"model_id": "sdxl"}, UNKNOWN, "no")

    plain = shown(*one)
    models = shown(other, *one)
    both = shown(other, *one, failures=(failure,) * 2, failed=2)

    assert chips(plain) == {}
    assert list(chips(models)) == ["flux", "sdxl"]
    assert chips(both) == {
        "sdxl": "model",
        "flux": "model",
        "pictures": "state",
        "unknown": "state",
    }
    assert "sdxl 3flux 2" in both.text


def test_many_models_are_not_all_chips() -> None:
    """
    As many models as items would bury the page.
    """
    rows = [row(picture(n, spec={"model_id": f"m{n}"})) for n in range(99)]

    assert len(chips(shown(*rows))) == 12


def test_a_running_batch_says_so() -> None:
    """
    A page says of when it is, and how often it looks at itself, only while
    its batch runs.
    """
    then = datetime(2026, 11, 26, 17, 5, 9, tzinfo=UTC)

    done, running = shown(), shown(running=then)

    assert done.all("html", "data-refresh") == [None]
    assert running.all("html", "data-refresh") == ["5"]
    assert running.all("html", "data-made") == ["2026-11-26T17:05:09Z"]
    assert "as of 17:05:09 UTC" in running.text
    assert not any(
        "refresh" in str(value) for value in done.all("meta", "http-equiv")
    )


@pytest.mark.parametrize(
    ("pictures", "seconds"),
    [(0, 5), (166, 5), (300, 9), (1000, 30), (1_000_000, 30)],
)
def test_small_pages_are_fresh(pictures: int, seconds: int) -> None:
    """
    What costs little is written often: the first picture is seen soon.
    """
    assert pause_of(pictures) == seconds


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

    assert sorted(link for link in links if link and link != "#") == [
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


def test_a_name_is_no_prompt() -> None:
    """
    What stands for a missing prompt is not copied as one.
    """
    page = shown(
        row(picture(0)), row(picture(1, spec={"init_image": "a/cat.png"}))
    )

    captions = [found for found in page.all("p", "class") if found]
    assert [name for name in captions if "prompt" in name] == [
        "prompt",
        "prompt name",
    ]
    assert page.all("img", "alt")[:2] == ["cat 0", "cat.png"]


def test_a_folder_without_pictures() -> None:
    """
    An empty batch has a page too.
    """
    page = shown()

    assert "No pictures yet." in page.text
    assert "0 pictures" in page.text
    assert page.text.count("out") == 2
