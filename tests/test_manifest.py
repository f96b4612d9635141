"""
The manifest: a line for each picture, whole after any crash.
"""

from __future__ import annotations

import errno
import json
import os

from collections.abc import Iterator
from pathlib import Path

import pytest

from pictures import picture

from modelslab_async._output.manifest import Manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Manifest]:
    """
    An empty one.
    """
    manifest = Manifest(tmp_path / "manifest.jsonl", 1000)
    manifest.open()
    yield manifest
    manifest.close()
    manifest.close()


def opened_anew(manifest: Manifest, page_size: int = 1000) -> Manifest:
    """
    The same file, as the next run finds it.
    """
    manifest.close()
    manifest = Manifest(manifest.path, page_size)
    manifest.open()
    return manifest


def lines(manifest: Manifest) -> list[dict[str, object]]:
    text = manifest.path.read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_one_line_for_a_picture(manifest: Manifest) -> None:
    """
    A line says where the picture is, what was asked for and what came.
    """
    manifest.append([picture(3, item="mine")])

    (line,) = lines(manifest)
    assert line == {
        "file": "images/000003-9-0.png",
        "index": 3,
        "n": 0,
        "of": 1,
        "endpoint": "text2img",
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


def test_no_line_twice(manifest: Manifest) -> None:
    """
    A picture gets one line, also in one call, and after opening anew.
    """
    pictures = [picture(0), picture(0), picture(0, 1), picture(70_000, 9)]

    for _ in range(2):
        manifest.append(pictures)
        manifest.append(pictures)
        manifest = opened_anew(manifest)

    known = [manifest.lacks(0, n) for n in (0, 1, 2, 9)]
    known += [manifest.lacks(70_000, 9), manifest.lacks(10**9, 0)]

    assert known == [False, False, True, True, False, True]
    assert [(line["index"], line["n"]) for line in lines(manifest)] == [
        (0, 0),
        (0, 1),
        (70_000, 9),
    ]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_line_is_mended(cut: int, manifest: Manifest) -> None:
    """
    A line that a crash cut is taken away, known as lacking, and can be
    written again.
    """
    manifest.append([picture(0), picture(1)])
    whole = manifest.path.read_bytes()
    manifest.path.write_bytes(whole[:-cut])

    manifest = opened_anew(manifest)
    lacks = [manifest.lacks(0, 0), manifest.lacks(1, 0)]
    manifest.append([picture(1)])

    assert lacks == [False, True]
    assert manifest.path.read_bytes() == whole


@pytest.mark.parametrize(
    "line", [b"rubbish", b"[1]", b"[" * 9999, b'{"index": -1, "n": 0}', b""]
)
def test_strange_lines_are_passed_over(
    line: bytes, manifest: Manifest
) -> None:
    """
    A line that is not ours is left, and not counted as ours.
    """
    manifest.path.write_bytes(line + b"\n")

    manifest = opened_anew(manifest)
    lacked = manifest.lacks(0, 0)
    manifest.append([picture(0)])

    assert lacked
    assert manifest.path.read_bytes().startswith(line + b"\n")
    assert [found.get("n") for found in manifest.rows(0)][-2] == 0


def test_a_full_disk_leaves_whole_lines(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A line that the disk took in part is taken back.
    """
    real = os.write

    def half(fd: int, data: bytes) -> int:
        if len(data) < 300:
            raise OSError(errno.ENOSPC, "no space")
        return real(fd, data[:200])

    manifest.append([picture(0)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(OSError, match="space"):
            manifest.append([picture(1)])
    manifest.append([picture(2)])

    assert [line["index"] for line in lines(manifest)] == [0, 2]
    assert manifest.lacks(1, 0)


def test_pages_are_stretches(tmp_path: Path) -> None:
    """
    Each page has its lines, in the order they were written.
    """
    manifest = Manifest(tmp_path / "manifest.jsonl", 2)
    manifest.open()
    manifest.append(map(picture, range(5)))
    manifest.close()

    shown = [
        [found["index"] for found in manifest.rows(page) if found]
        for page in range(4)
    ]

    assert manifest.pages == 3
    assert manifest.count == 5
    assert shown == [[0, 1], [2, 3], [4], []]


def test_an_item_is_on_one_page(tmp_path: Path) -> None:
    """
    Pictures of one item stay together, whatever a page holds.
    """
    manifest = Manifest(tmp_path / "manifest.jsonl", 2)
    manifest.open()
    manifest.append([picture(0)])
    manifest.append([picture(1, n) for n in range(4)])
    manifest.append([picture(2)])

    def pages() -> list[list[object]]:
        return [
            [found["index"] for found in manifest.rows(page) if found]
            for page in range(manifest.pages)
        ]

    before = pages()
    manifest = opened_anew(manifest, 2)
    manifest.close()

    assert before == pages() == [[0, 1, 1, 1, 1], [2]]
    assert [manifest.count_on(page) for page in range(3)] == [5, 1, 0]
