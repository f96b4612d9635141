"""
What a batch's folder shows: its manifest, its status, its pages.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import stat

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio

from modelslab_async._output import page as module
from modelslab_async._output.page import Failure, Gallery, Picture


pytestmark = pytest.mark.asyncio


def picture(index: int, n: int = 0, **more: Any) -> Picture:
    """
    A picture of a batch, with a prompt that can be told.
    """
    plain = Picture(
        file=f"{index:06d}-9-{n}.png",
        index=index,
        n=n,
        spec={"prompt": f"cat {index}", "model_id": "flux", "extra": [1]},
        item=None,
        seed=9,
        id="134",
        track_id="18",
        generation_time=2.5,
        accepted_at=1795430000.0,
        finished_at=1795430004.25,
        sha256="0" * 64,
        size_bytes=1_500_000,
        width=512,
        height=768,
    )
    return attrs.evolve(plain, **more)


def hostile(text: str) -> Picture:
    """
    A picture whose every text is *text*.
    """
    return picture(
        0,
        spec={"prompt": text, "model_id": text, text: text, "lora": [text]},
        item=text,
        id=text,
        track_id=text,
    )


class Page(HTMLParser):
    """
    A page as a browser reads it: its elements, its text, its inline code.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        tag = self.elements[-1][0] if self.elements else ""
        if self.cdata_elem is not None:
            self.inline[tag].append(data)
        else:
            self.text += data

    def all(self, tag: str, attribute: str) -> list[str | None]:
        return [
            found.get(attribute)
            for name, found in self.elements
            if name == tag
        ]

    @property
    def policy(self) -> dict[str, str]:
        content = next(
            found["content"] or ""
            for tag, found in self.elements
            if found.get("http-equiv") == "Content-Security-Policy"
        )
        return dict(rule.strip().split(" ", 1) for rule in content.split(";"))


@pytest_asyncio.fixture
async def folder(tmp_path: Path) -> Path:
    """
    Where a gallery is.
    """
    return tmp_path / "out"


async def shown(folder: Path, *pictures: Picture) -> Page:
    """
    The first page of a gallery of these.
    """
    gallery = await Gallery.open(folder)
    await gallery.append(pictures)
    await gallery.refresh({}, final=True)
    await gallery.aclose()
    return Page(folder / "index.html")


def lines(folder: Path) -> list[dict[str, object]]:
    text = (folder / "manifest.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


async def test_private(folder: Path) -> None:
    """
    Folder, manifest, status and pages are their owner's only.
    """
    await shown(folder, picture(0))

    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (folder, *folder.iterdir())
    }
    assert modes == {
        "out": 0o700,
        "images": 0o700,
        "manifest.jsonl": 0o600,
        "status.json": 0o600,
        "index.html": 0o600,
    }


async def test_one_line_for_a_picture(folder: Path) -> None:
    """
    A line says where the picture is, what was asked for and what came.
    """
    await shown(folder, picture(3, item="mine"))

    (line,) = lines(folder)
    assert line == {
        "file": "images/000003-9-0.png",
        "index": 3,
        "n": 0,
        "spec": {"prompt": "cat 3", "model_id": "flux", "extra": [1]},
        "item": "mine",
        "seed": 9,
        "id": "134",
        "track_id": "18",
        "generation_time": 2.5,
        "accepted_at": "2026-11-23T10:33:20.000Z",
        "finished_at": "2026-11-23T10:33:24.250Z",
        "sha256": "0" * 64,
        "size_bytes": 1_500_000,
        "width": 512,
        "height": 768,
    }


async def test_no_line_twice(folder: Path) -> None:
    """
    A picture gets one line, also in one call, and after opening anew.
    """
    pictures = [picture(0), picture(0), picture(0, 1), picture(70_000, 9)]
    for _ in range(2):
        gallery = await Gallery.open(folder)
        await gallery.append(pictures)
        await gallery.append(pictures)
        await gallery.aclose()
        await gallery.aclose()

    known = [gallery.lacks(0, n) for n in (0, 1, 2, 9)]
    known += [gallery.lacks(70_000, 9), gallery.lacks(10**9, 0)]

    assert known == [False, False, True, True, False, True]
    assert [(line["index"], line["n"]) for line in lines(folder)] == [
        (0, 0),
        (0, 1),
        (70_000, 9),
    ]


@pytest.mark.parametrize("cut", [1, 20, 200])
async def test_a_torn_line_is_mended(cut: int, folder: Path) -> None:
    """
    A line that a crash cut is taken away, known as lacking, and can be
    written again.
    """
    await shown(folder, picture(0), picture(1))
    manifest = folder / "manifest.jsonl"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-cut])

    gallery = await Gallery.open(folder)
    lacks = [gallery.lacks(0, 0), gallery.lacks(1, 0)]
    await gallery.append([picture(1)])
    await gallery.aclose()

    assert lacks == [False, True]
    assert manifest.read_bytes() == whole


@pytest.mark.parametrize(
    "line", [b"rubbish", b"[1]", b"[" * 9999, b'{"index": -1, "n": 0}', b""]
)
async def test_strange_lines_are_passed_over(
    line: bytes, folder: Path
) -> None:
    """
    A line that is not ours is left, and neither shown nor counted as ours.
    """
    folder.mkdir()
    (folder / "manifest.jsonl").write_bytes(line + b"\n")

    page = await shown(folder, picture(0))

    assert page.all("img", "src") == ["images/000000-9-0.png", None]
    assert (folder / "manifest.jsonl").read_bytes().startswith(line + b"\n")


async def test_only_our_files_are_linked(folder: Path) -> None:
    """
    A manifest that somebody wrote into leads nowhere else.
    """
    files = ["//evil.example/a.png", "../a.png", "a/../../b.png", "a b.png"]

    page = await shown(
        folder, *(picture(n, file=file) for n, file in enumerate(files))
    )

    assert page.all("img", "src") == [None]


async def test_a_full_disk_leaves_whole_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A line that the disk took in part is taken back.
    """
    real = os.write

    def half(fd: int, data: bytes) -> int:
        if len(data) < 300:
            raise OSError(errno.ENOSPC, "no space")
        return real(fd, data[:200])

    gallery = await Gallery.open(folder)
    await gallery.append([picture(0)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(OSError, match="space"):
            await gallery.append([picture(1)])
    await gallery.append([picture(2)])
    await gallery.aclose()

    assert [line["index"] for line in lines(folder)] == [0, 2]
    assert gallery.lacks(1, 0)


async def test_status_and_pages_have_their_pauses(folder: Path) -> None:
    """
    Neither is written again within its pause, but both at the end, whole,
    with no other file left.
    """
    gallery = await Gallery.open(folder)

    await gallery.refresh({"done": 1})
    (folder / "index.html").unlink()
    await gallery.refresh({"done": 2})
    between = json.loads((folder / "status.json").read_text())
    gone = not (folder / "index.html").exists()
    await gallery.refresh({"done": 3}, final=True)
    await gallery.aclose()

    assert between == {"done": 1}
    assert gone
    assert json.loads((folder / "status.json").read_text()) == {"done": 3}
    assert {path.name for path in folder.iterdir()} == {
        "images",
        "index.html",
        "manifest.jsonl",
        "status.json",
    }


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
async def test_everything_is_escaped(text: str, folder: Path) -> None:
    """
    Whatever a prompt, a model, an item, an id, a title or a reason is, a page
    has the elements of a harmless one.
    """
    tame = await shown(folder / "tame", hostile("a cat"))
    gallery = await Gallery.open(folder, text)
    await gallery.append([hostile(text)])
    await gallery.refresh({"in_flight": text}, final=True)
    await gallery.aclose()

    page = Page(folder / "index.html")

    assert [tag for tag, _ in page.elements] == [t for t, _ in tame.elements]
    assert page.inline == tame.inline
    assert [set(found) for _, found in page.elements] == [
        set(found) for _, found in tame.elements
    ]


async def test_failures_are_shown_and_escaped(folder: Path) -> None:
    """
    Each failure stands there with its reason, as text, until its item has a
    picture.
    """
    gallery = await Gallery.open(folder)
    for index in (0, 1, 1):
        gallery.failed(
            Failure(index, {"prompt": NASTY[1]}, NASTY[0], "mine", "13")
        )
    await gallery.append([picture(0)])
    await gallery.refresh({"in_flight": 5, "waiting": 0}, final=True)
    await gallery.aclose()

    page = Page(folder / "index.html")

    assert "1 picture · 1 failed · 5 in the making" in page.text
    assert f"{NASTY[0]}{NASTY[1]}#1 · mine · job 13" in page.text
    assert len(page.all("li", "class")) == 1
    assert len(page.all("script", "src")) == 1


async def test_failures_are_bounded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Failures beyond a page's worth are counted only.
    """
    monkeypatch.setattr(module, "_MOST_FAILURES", 3)
    gallery = await Gallery.open(folder)
    for index in range(5):
        gallery.failed(Failure(index, {}, "no"))
    await gallery.refresh({}, final=True)
    await gallery.aclose()

    page = Page(folder / "index.html")

    assert "5 failed" in page.text
    assert "and 2 more" in page.text
    assert len(page.all("li", "class")) == 3


async def test_policy(folder: Path) -> None:
    """
    The page's policy lets its own style and script run, by their hashes, and
    pictures beside it be shown; nothing else, and the page needs nothing else.
    """
    page = await shown(folder, hostile(NASTY[0]), picture(1, width=99))

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


async def test_links_are_relative(folder: Path) -> None:
    """
    All that a page leads to lies beside it.
    """
    page = await shown(folder, picture(0), picture(1))

    links = page.all("a", "href") + page.all("img", "src")

    assert sorted(filter(None, links)) == [
        "images/000000-9-0.png",
        "images/000000-9-0.png",
        "images/000001-9-0.png",
        "images/000001-9-0.png",
    ]


async def test_a_picture_is_told(folder: Path) -> None:
    """
    Beside each picture stand its prompt, number, model, seed and times; its
    shape is known before it is loaded.
    """
    page = await shown(folder, picture(4, item="mine"))

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


async def test_pictures_further_down_wait(folder: Path) -> None:
    """
    Only the pictures that one sees first are loaded at once.
    """
    page = await shown(folder, *map(picture, range(42)))

    loading = page.all("img", "loading")
    assert loading == ["eager"] * 40 + ["lazy"] * 2 + [None]


async def test_pictures_without_facts(folder: Path) -> None:
    """
    What is not known of a picture is left out.
    """
    bare = picture(0, spec={}, seed=None, generation_time=None, id=None)

    page = await shown(folder, attrs.evolve(bare, accepted_at=None))

    assert "None" not in page.text
    assert "accepted" not in page.text


async def test_a_folder_without_pictures(folder: Path) -> None:
    """
    An empty batch has a page too, named by its folder.
    """
    page = await shown(folder)

    assert "No pictures yet." in page.text
    assert "0 pictures" in page.text
    assert page.text.count("out") == 2


async def test_pages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Pages are stretches of the manifest, each in the order of its items, and
    lead to each other.
    """
    monkeypatch.setattr(module, "PAGE", 2)
    first = await shown(folder, *map(picture, (1, 0, 3, 2, 4)))

    second, third = (Page(folder / f"page-{n}.html") for n in (2, 3))

    assert [
        re.findall(r"cat (\d)#", page.text) for page in (first, second, third)
    ] == [["0", "1"], ["2", "3"], ["4"]]
    assert "5 pictures" in first.text
    assert [
        [link for link in page.all("a", "href") if "html" in str(link)]
        for page in (first, second, third)
    ] == [
        ["page-2.html", "page-3.html"],
        ["index.html", "page-3.html"],
        ["index.html", "page-2.html"],
    ]


async def test_only_changed_pages_are_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A page that is full is written no more, neither in this run nor the next,
    unless it is missing, or the next page is new.
    """
    monkeypatch.setattr(module, "PAGE", 2)
    written: list[str] = []
    put = Gallery._put

    def noting(gallery: Gallery, name: str, data: bytes) -> None:
        written.append(name)
        put(gallery, name, data)

    monkeypatch.setattr(Gallery, "_put", noting)
    gallery = await Gallery.open(folder)
    rounds = []
    for upto in (4, 6, 7, 7):
        await gallery.append(map(picture, range(upto)))
        await gallery.refresh({}, final=True)
        rounds.append(written[1:])
        written.clear()
    await gallery.aclose()
    (folder / "page-3.html").unlink()
    await shown(folder)

    assert rounds == [
        ["page-2.html", "index.html"],
        ["page-2.html", "page-3.html", "index.html"],
        ["page-3.html", "page-4.html", "index.html"],
        ["index.html"],
    ]
    assert written == ["status.json", "page-3.html", "index.html"]
