"""
A batch's folder: its pictures, and what tells of them.

Pictures go to ``images/``; each that is there gets its line in the manifest
and its place on a page, and ``status.json`` tells other processes how far it
all is: the journal is locked while we run.  The journal lies beside them and
knows better: what it has and the manifest lacks is added.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import attrs

from ..errors import DownloadError, JournalError, ModelsLabError
from ..journal.causes import cause_of
from ..journal.states import Entry
from ..results import JSON, Generation
from .disk import (
    Disk,
    KnownFolder,
    check_writable,
    make_folder,
    remove_temporary,
    replace_file,
)
from .download import Downloads, Fresh
from .gallery import PAGE_SIZE, Gallery
from .manifest import Manifest, PictureLine, utf8
from .owner import check_claim, check_unclaimed, claim
from .page import Failure, Summary, pause_of
from .target import SavedFile, described


#: Seconds between two writings of the status, at least.
_STATUS_PAUSE = 2.0


async def make_private(
    directory: Path, disk: Disk, journal: Path | None = None
) -> None:
    """
    Make a folder that only its owner looks into: prompts are private.

    Args:
        directory: The folder.

        disk: Where it is made.

        journal: Where its journal lies, if that is in it.

    Raises:
        JournalError: It cannot be made, or there are pictures of a journal
            that is gone.
    """
    try:
        await disk.run(_make_private, directory, journal)
    except OSError as exc:
        raise _cannot_be_made(directory, exc) from exc


def check_private(directory: Path, journal: Path) -> None:
    """
    See that `make_private` could do so, with the journal in it; nothing is
    changed.

    Raises:
        JournalError: It could not.
    """
    try:
        above = directory
        while not os.path.lexists(above):
            above = above.parent
        if not above.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if above != directory and not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not journal.exists():
            check_unclaimed(directory, journal)
    except OSError as exc:
        raise _cannot_be_made(directory, exc) from exc


def check_open(directory: Path, journal_id: str) -> None:
    """
    See that `OutputFolder.open` could open the folder of a journal; nothing
    is changed.

    Raises:
        JournalError: It could not.
    """
    images = directory / "images"
    try:
        check_claim(directory, journal_id)
        if os.path.lexists(images) and not images.is_dir():
            why = os.strerror(errno.EEXIST)
            raise FileExistsError(errno.EEXIST, why, str(images))
        for place in (directory, images):
            if place.exists() and not os.access(place, os.W_OK | os.X_OK):
                why = os.strerror(errno.EACCES)
                raise PermissionError(errno.EACCES, why, str(place))
    except OSError as exc:
        raise _cannot_be_written(directory, exc) from exc


@attrs.define(eq=False)
class OutputFolder:
    """
    The folder of one batch, which no other process writes to.

    What changes: what lies in it.
    """

    directory: Path
    downloads: Downloads
    gallery: Gallery
    _place: KnownFolder | None = attrs.field(default=None, init=False)
    #: Joined once: it is asked for with every known item.
    _images: Path = attrs.field(init=False)
    _status_at: float = attrs.field(default=-1e9, init=False)
    _pages_at: float = attrs.field(default=-1e9, init=False)
    #: Manifest and pages are written by one thread at a time.
    _lock: asyncio.Lock = attrs.field(
        factory=asyncio.Lock, init=False, repr=False
    )

    @_images.default
    def _images_here(self) -> Path:
        return self.directory / "images"

    @classmethod
    async def open(
        cls,
        directory: Path,
        downloads: Downloads,
        journal_id: str,
        *,
        title: str | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Self:
        """
        Open the folder of a journal that is ours; tidy up after a dead run.

        Raises:
            JournalError: It belongs to another journal, or cannot be written.
        """
        manifest = Manifest(directory / "manifest.jsonl", page_size)
        gallery = Gallery(directory, manifest, title or "")
        folder = cls(directory, downloads, gallery)
        try:
            await downloads.disk.run(folder._open, journal_id)
        except OSError as exc:
            raise _cannot_be_written(directory, exc) from exc
        return folder

    def paths(self, names: tuple[str, ...]) -> tuple[Path, ...]:
        """
        Where pictures of these names are.
        """
        return tuple(self._images / name for name in names)

    async def keep(
        self, generation: Generation, prefix: str, fresh: Fresh
    ) -> tuple[SavedFile, ...]:
        """
        Put a generation's pictures on disk.

        Raises:
            DownloadError: Not all could be had, or kept.
        """
        return await self.downloads.store(
            generation,
            self._images,
            prefix,
            fresh=fresh,
            overwrite=True,
            place=self._place,
        )

    async def tell(
        self,
        entry: Entry,
        generation: Generation,
        saved: tuple[SavedFile, ...],
    ) -> None:
        """
        Add an item's pictures to the manifest.

        Raises:
            DownloadError: The disk is full.
        """
        spec = json.loads(entry.spec)
        pictures = tuple(
            PictureLine(
                file=one.path.name,
                index=entry.index,
                n=n,
                of=len(saved),
                endpoint=spec.get("endpoint"),
                spec=spec,
                item=entry.key,
                seed=generation.seed,
                id=generation.id,
                track_id=entry.track_id,
                generation_time=generation.generation_time,
                accepted_at=entry.accepted_at,
                finished_at=entry.done_at,
                sha256=one.sha256,
                size_bytes=one.size_bytes,
                width=one.width,
                height=one.height,
            )
            for n, one in enumerate(saved)
        )
        try:
            async with self._lock:
                await self._disk.run(self.gallery.manifest.append, pictures)
        except OSError as exc:
            reason = f"the manifest cannot be written: {exc}"
            raise DownloadError(reason, generation, disk=True) from exc
        for picture in pictures:
            self.gallery.pictured(picture)

    async def mend(self, entry: Entry, generation: Generation) -> None:
        """
        Add lines that a dead run did not come to write.
        """
        lacks = self.gallery.manifest.lacks
        if any(lacks(entry.index, n) for n in range(len(entry.files))):
            saved = await self._disk.run(
                _all_described, self.paths(entry.files)
            )
            await self.tell(entry, generation, saved)

    def failed(
        self,
        index: int,
        spec: str,
        error: ModelsLabError,
        item: str | None,
        job_id: str | None,
    ) -> None:
        """
        Show an item without pictures on the page, and why.
        """
        cause = cause_of(error)
        self.gallery.failed(
            Failure(index, json.loads(spec), cause, str(error), item, job_id)
        )

    async def refresh(
        self, facts: Mapping[str, JSON], *, final: bool = False
    ) -> None:
        """
        Write status and pages, each where its pause is over.

        Cheap to call often; one who calls it once a second is right.

        Args:
            facts:
                What ``status.json`` says; the pages show *in_flight* and
                *waiting*, where they are numbers.

            final: Write both now, and close the manifest.

        Raises:
            DownloadError: The disk is full, or worse.
        """
        now = time.monotonic()
        try:
            async with self._lock:
                if final or now - self._status_at >= _STATUS_PAUSE:
                    self._status_at = now
                    await self._disk.run(self._write_status, dict(facts))
                pause = pause_of(self.gallery.manifest.count)
                if final or now - self._pages_at >= pause:
                    self._pages_at = now
                    summary = self.gallery.summary(facts)
                    await self._disk.run(self._write_pages, summary)
        except OSError as exc:
            reason = f"the page cannot be written: {exc}"
            raise DownloadError(reason, disk=True) from exc
        finally:
            if final:
                await self._disk.clean_up(self.gallery.manifest.close)

    @property
    def _disk(self) -> Disk:
        return self.downloads.disk

    # All below runs in threads.

    def _open(self, journal_id: str) -> None:
        make_folder(self.directory)
        claim(self.directory, journal_id)
        self._place = KnownFolder.of(self.directory)
        make_folder(self._images)
        for directory in (self.directory, self._images):
            remove_temporary(directory)
            check_writable(directory)
        self.gallery.manifest.open()
        self.gallery.open()

    def _check_place(self) -> None:
        if self._place is not None:
            self._place.check()

    def _write_pages(self, summary: Summary) -> None:
        self._check_place()
        self.gallery.write(summary)

    def _write_status(self, facts: Mapping[str, JSON]) -> None:
        self._check_place()
        text = json.dumps(facts, ensure_ascii=False, indent=2)
        path = self.directory / "status.json"
        replace_file(path, utf8(text) + b"\n", mode=0o600)


def _cannot_be_made(directory: Path, exc: OSError) -> JournalError:
    reason = f"the folder {directory} cannot be made: {exc.strerror}"
    return JournalError("unwritable", reason)


def _cannot_be_written(directory: Path, exc: OSError) -> JournalError:
    reason = f"the folder {directory} cannot be written: {exc}"
    return JournalError("unwritable", reason)


def _make_private(directory: Path, journal: Path | None) -> None:
    make_folder(directory)
    if journal is not None and not journal.exists():
        check_unclaimed(directory, journal)


def _all_described(paths: tuple[Path, ...]) -> tuple[SavedFile, ...]:
    return tuple(map(described, paths))
