"""
Pictures of a batch, and pages as a browser reads them.
"""

from __future__ import annotations

import json

from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Self

import attrs

from modelslab_async._output.manifest import ManifestRow, PictureLine


def picture(index: int, n: int = 0, **more: Any) -> PictureLine:
    """
    A picture of a batch, with a prompt that can be told.
    """
    plain = PictureLine(
        file=f"{index:06d}-9-{n}.png",
        index=index,
        n=n,
        of=1,
        endpoint="text2img",
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


def row(one: PictureLine) -> ManifestRow:
    """
    What the manifest has of a picture.
    """
    found = json.loads(one.line())
    assert isinstance(found, dict)
    return found


class ReadPage(HTMLParser):
    """
    A page as a browser reads it: its elements, its text, its inline code.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self.feed(html)

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

    @classmethod
    def of(cls, path: Path) -> Self:
        return cls(path.read_text("utf-8"))

    @property
    def policy(self) -> dict[str, str]:
        content = next(
            found["content"] or ""
            for tag, found in self.elements
            if found.get("http-equiv") == "Content-Security-Policy"
        )
        return dict(rule.strip().split(" ", 1) for rule in content.split(";"))
