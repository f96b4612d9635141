"""
Here lives a batch's folder: its pictures, and what tells of them.

Pictures go to ``images/`` by way of `_files`; each that is there gets its line
in the manifest, its place on the page, and the status says how far it all is.
The journal lies beside them and knows better: what it has and the manifest
lacks is added.
"""

from __future__ import annotations

import hashlib
import json

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Self

import anyio.to_thread
import attrs

from ..errors import DownloadError, JournalError, ModelsLabError
from ..journal.codec import generation_of
from ..journal.states import Entry
from ..results import JSON, Generation
from .disk import SavedFile
from .download import Files
from .image_format import Whole, examine
from .page import Failure, Gallery, Picture


async def make(directory: Path) -> None:
    """
    Make a folder that only its owner looks into: prompts are private.

    Raises:
        JournalError: It cannot be made.
    """
    try:
        await anyio.Path(directory).mkdir(0o700, parents=True, exist_ok=True)
    except OSError as exc:
        reason = f"the folder {directory} cannot be made: {exc.strerror}"
        raise JournalError("unwritable", reason) from exc


@attrs.define(eq=False)
class OutputFolder:
    """
    The folder of one batch, which no other process writes to.

    What changes: what lies in it.
    """

    directory: Path
    files: Files
    gallery: Gallery
    #: Joined once: it is asked for with every known item.
    _images: Path = attrs.field(init=False)

    @_images.default
    def _images_here(self) -> Path:
        return self.directory / "images"

    @classmethod
    async def open(cls, directory: Path, files: Files) -> Self:
        """
        Open a folder whose journal is ours; tidy up after a dead run.

        Raises:
            JournalError: It cannot be written.
        """
        try:
            gallery = await Gallery.open(directory)
            await files.sweep(directory / "images")
        except OSError as exc:
            reason = f"the folder {directory} cannot be written: {exc}"
            raise JournalError("unwritable", reason) from exc
        return cls(directory, files, gallery)

    def paths(self, names: tuple[str, ...]) -> tuple[Path, ...]:
        """
        Where pictures of these names are.
        """
        return tuple(self._images / name for name in names)

    async def keep(
        self,
        generation: Generation,
        stem: str,
        fresh: Callable[[], Awaitable[Generation]],
    ) -> tuple[SavedFile, ...]:
        """
        Put a generation's pictures on disk.

        Raises:
            DownloadError: Not all could be had, or kept.
        """
        return await self.files.store(
            generation,
            self.directory / "images",
            stem,
            fresh=fresh,
            overwrite=True,
        )

    async def tell(self, entry: Entry, saved: tuple[SavedFile, ...]) -> None:
        """
        Add what the journal says of an item's pictures to the manifest.

        Raises:
            DownloadError: The disk is full.
        """
        generation = generation_of(entry.generation or "{}")
        spec = json.loads(entry.spec)
        try:
            await self.gallery.append(
                Picture(
                    file=one.path.name,
                    index=entry.index,
                    n=n,
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
        except OSError as exc:
            reason = f"the manifest cannot be written: {exc}"
            raise DownloadError(reason, generation) from exc

    async def mend(self, entry: Entry) -> None:
        """
        Add lines that a dead run did not come to write.
        """
        lacking = any(
            self.gallery.lacks(entry.index, n) for n in range(len(entry.files))
        )
        if lacking:
            saved = await anyio.to_thread.run_sync(
                _look, self.paths(entry.files)
            )
            await self.tell(entry, saved)

    def failed(
        self,
        index: int,
        spec: str,
        error: ModelsLabError,
        item: str | None,
        job_id: str | None,
        track_id: str | None,
    ) -> None:
        """
        Show an item without pictures on the page, and why.
        """
        self.gallery.failed(
            Failure(
                index, json.loads(spec), str(error), item, job_id, track_id
            )
        )

    async def refresh(
        self, facts: Mapping[str, JSON], *, final: bool = False
    ) -> None:
        """
        Write status and page, where their pauses are over.

        A disk that is too full for a page stops nothing.
        """
        try:
            await self.gallery.refresh(facts, final=final)
            if final:
                await self.gallery.aclose()
        except OSError as exc:
            raise DownloadError(f"the page cannot be written: {exc}") from exc


def _look(paths: tuple[Path, ...]) -> tuple[SavedFile, ...]:
    """
    What lies there, of what a dead run saved and did not tell of.
    """
    found = []
    for path in paths:
        data = path.read_bytes() if path.is_file() else b""
        seen = examine(data)
        width, height = (
            (seen.width, seen.height) if isinstance(seen, Whole) else (0, 0)
        )
        digest = hashlib.sha256(data).hexdigest()
        found.append(SavedFile(path, None, len(data), digest, width, height))
    return tuple(found)
