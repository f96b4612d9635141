"""
The pages of a batch's folder: which there are, and which are out of date.

``index.html`` and ``page-2.html``, … show the manifest's lines, `PAGE_SIZE` on
each, so that a page is a stretch of that file and only the last ones change.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import attrs

from ..results import JSON
from .disk import replace_file
from .manifest import Manifest, PictureLine, utf8
from .page import (
    Failure,
    Page,
    Summary,
    counted,
    file_name,
    stamp_in,
    stamp_of,
)


#: Pictures on a page.
PAGE_SIZE = 1000


#: Failures that are listed; the others are counted.
MOST_FAILURES = 1000


@attrs.define(eq=False)
class Gallery:
    """
    Pages that show a manifest's pictures, and what failed.

    Without a *title* they have the folder's name.

    What changes: which failures are known, and which pages were written.
    """

    directory: Path
    manifest: Manifest
    title: str
    most_failures: int = MOST_FAILURES
    _failures: dict[int, Failure] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _failures_more: int = attrs.field(default=0, init=False)
    #: What the pages on disk show, page by page.
    _stamps: dict[int, str] = attrs.field(factory=dict, init=False, repr=False)

    def failed(self, failure: Failure) -> None:
        """
        Show a failure from the next writing on.
        """
        known = self._failures
        if failure.index in known or len(known) < self.most_failures:
            known[failure.index] = failure
        else:
            self._failures_more += 1

    def pictured(self, picture: PictureLine) -> None:
        """
        Show no failure of an item that has a picture.
        """
        self._failures.pop(picture.index, None)

    def summary(self, facts: Mapping[str, JSON]) -> Summary:
        """
        What the first page shows now.
        """
        failed = len(self._failures) + self._failures_more
        counts = [
            counted(self.manifest.count, "picture", "pictures"),
            f"{failed:,} failed" if failed else "",
        ]
        for name, words in (
            ("in_flight", "in the making"),
            ("waiting", "waiting"),
        ):
            number = facts.get(name)
            if isinstance(number, int) and number > 0:
                counts.append(f"{number:,} {words}")
        return Summary(
            tuple(filter(None, counts)),
            tuple(self._failures[index] for index in sorted(self._failures)),
            failed,
            datetime.now(UTC) if facts.get("running") is True else None,
        )

    # All below runs in threads, one at a time.

    def open(self) -> None:
        """
        See which pages are as they should be.
        """
        self.title = self.title or self.directory.absolute().name
        for number in range(self.manifest.pages):
            path = self.directory / file_name(number)
            try:
                with path.open("rb") as file:
                    head = file.read(200).decode("utf-8", "replace")
            except FileNotFoundError:
                continue
            self._stamps[number] = stamp_in(head)

    def write(self, summary: Summary) -> None:
        """
        Write the first page, and the others that are out of date.
        """
        last = self.manifest.pages - 1
        for number in range(1, self.manifest.pages):
            # Where new pictures go is looked at as long as there are some.
            running = summary.running if number == last else None
            stamp = self._stamp(number, running=running is not None)
            if self._stamps.get(number) != stamp:
                self._write_page(number, stamp, Summary(running=running))
                self._stamps[number] = stamp
        self._write_page(0, self._stamp(0), summary)

    def _write_page(self, number: int, stamp: str, summary: Summary) -> None:
        page = Page(
            self.title,
            number,
            self.manifest.pages,
            stamp,
            self.manifest.rows(number),
            summary,
            self.directory.name,
        )
        path = self.directory / file_name(number)
        replace_file(path, utf8(page.html()), mode=0o600)

    def _stamp(self, number: int, *, running: bool = False) -> str:
        manifest = self.manifest
        last = number + 1 >= manifest.pages
        return stamp_of(manifest.count_on(number), last=last, running=running)
