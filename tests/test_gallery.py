"""
Which pages a batch's folder has, and which are written anew.
"""

from __future__ import annotations

import re

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pictures import ReadPage, picture

from modelslab_async._output.gallery import Gallery
from modelslab_async._output.manifest import Manifest
from modelslab_async._output.page import Failure, file_name
from modelslab_async.journal.causes import Cause
from modelslab_async.results import JSON


def gallery(folder: Path, page_size: int = 1000, **more: Any) -> Gallery:
    """
    The pages of a folder, and its manifest.
    """
    manifest = Manifest(folder / "manifest.jsonl", page_size)
    manifest.open()
    found = Gallery(folder, manifest, "", **more)
    found.open()
    return found


def written(found: Gallery, **facts: JSON) -> ReadPage:
    """
    The first page of a gallery, written now.
    """
    found.write(found.summary(facts))
    return ReadPage.of(found.directory / "index.html")


def test_named_by_its_folder(tmp_path: Path) -> None:
    """
    Without a title, pages have the folder's name.
    """
    page = written(gallery(tmp_path))

    assert page.text.count(tmp_path.name) == 2


def test_counts(tmp_path: Path) -> None:
    """
    The first page says how many pictures there are, and will be; what is not
    a number is not said.
    """
    found = gallery(tmp_path)
    found.manifest.append([picture(0)])

    page = written(found, in_flight=5, waiting="<b>")

    assert "1 picture · 5 in the making" in page.text
    assert "waiting" not in page.text


def test_failures_go_when_there_is_a_picture(tmp_path: Path) -> None:
    """
    Each failure stands there once, until its item has a picture.
    """
    found = gallery(tmp_path)
    for index in (0, 1, 1):
        found.failed(Failure(index, {}, Cause("failed", "no"), "no"))

    found.pictured(picture(0))
    page = written(found)

    assert "1 failed" in page.text
    assert len(page.all("li", "data-state")) == 1


def test_failures_are_bounded(tmp_path: Path) -> None:
    """
    Failures beyond a page's worth are counted only.
    """
    found = gallery(tmp_path, most_failures=3)
    for index in range(5):
        found.failed(Failure(index, {}, Cause("failed", "no"), "no"))

    page = written(found)

    assert "5 failed" in page.text
    assert "and 2 more" in page.text
    assert len(page.all("li", "data-state")) == 3


def test_pages(tmp_path: Path) -> None:
    """
    Pages are stretches of the manifest, each in the order of its items, and
    lead to each other.
    """
    found = gallery(tmp_path, 2)
    found.manifest.append(map(picture, (1, 0, 3, 2, 4)))

    first = written(found)
    second, third = (ReadPage.of(tmp_path / f"page-{n}.html") for n in (2, 3))

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


def test_only_changed_pages_are_written(tmp_path: Path) -> None:
    """
    A page that is full is written no more, neither in this run nor the next,
    unless it is missing, or the next page is new.
    """
    rounds = []
    found = gallery(tmp_path, 2)
    for upto in (4, 6, 7, 7):
        found.manifest.append(map(picture, range(upto)))
        rounds.append(rewritten(found))
    (tmp_path / "page-3.html").unlink()
    rounds.append(rewritten(gallery(tmp_path, 2)))

    assert rounds == [
        ["index.html", "page-2.html"],
        ["index.html", "page-2.html", "page-3.html"],
        ["index.html", "page-3.html", "page-4.html"],
        ["index.html"],
        ["index.html", "page-3.html"],
    ]


def test_pages_look_at_themselves_while_the_batch_runs(
    tmp_path: Path,
) -> None:
    """
    The first page and the one where new pictures go do so, until the end,
    each as often as it is written.
    """
    found = gallery(tmp_path, 2)
    found.manifest.append(map(picture, range(5)))

    def refreshing(**facts: JSON) -> list[str | None]:
        found.write(found.summary(facts))
        pages = map(tmp_path.joinpath, map(file_name, range(3)))
        return [
            ReadPage.of(page).all("html", "data-refresh")[0] for page in pages
        ]

    rounds = [
        refreshing(running=True),
        refreshing(running=True),
        refreshing(running=False),
        refreshing(),
    ]

    assert rounds == [["5", None, "30"]] * 2 + [[None] * 3] * 2


def rewritten(found: Gallery) -> list[str]:
    """
    Which pages a writing replaces.
    """
    folder = found.directory
    before = {path: path.stat().st_ino for path in folder.glob("*.html")}
    # Kept open: else a new file may get the number of an old one.
    with ExitStack() as stack:
        for path in before:
            stack.enter_context(path.open())
        found.write(found.summary({}))
        return sorted(
            path.name
            for path in folder.glob("*.html")
            if path.stat().st_ino != before.get(path)
        )
