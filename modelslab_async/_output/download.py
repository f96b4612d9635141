"""
The way of a picture from its link to memory or to disk.

A finished job's link may lead nowhere for a while.  So it is asked again in
growing steps for `Timeouts.late_link` seconds, from the second round on beside
its *proxy_url*; then fresh links are asked for, once, where somebody knows
how.

A picture of up to `_IN_MEMORY` bytes waits in memory for one trip to the disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import random
import re

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias, TypeVar, TypeVarTuple

import anyio
import attrs

from .._magic import format_of
from .._observing import Observers
from .._policy.timeouts import Timeouts
from .._protocol.decompress import Decompressor
from .._protocol.inline import text_cap
from .._protocol.replies import FileReply
from ..errors import (
    DownloadError,
    ModelsLabError,
    TransportError,
    UnsafeUrlError,
)
from ..events import DownloadRetried
from ..results import Generation, Image
from .disk import Disk, KnownFolder, TemporaryFile
from .image_format import InvalidImage
from .target import (
    FileTarget,
    MemoryTarget,
    SavedFile,
    Target,
    saved_before,
    too_large,
)


_log = logging.getLogger("modelslab_async")


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


#: What asks for a link; raises `TransportError` and `UnsafeUrlError`.  It is
#: given to us: the network is a sibling of this room.
OpenLink: TypeAlias = Callable[[str], AbstractAsyncContextManager[FileReply]]


#: Gives a generation with new links.
Fresh: TypeAlias = Callable[[], Awaitable[Generation]]


#: No picture of the service has as many: 2,048 pixels a side, enlarged 3
#: times, would be about 40 MiB.
PICTURE_CAP_BYTES = 50 << 20


#: What a download keeps in memory before it goes to disk: a usual PNG of
#: 1,024 pixels a side fits, sixteen of them are 32 MiB.
_IN_MEMORY = 2 << 20


#: A connection that gives less for long counts as dead.
_SLOWEST_BYTES_PER_SECOND = 10_000


#: With any of 200 to 299 a picture may come: proxies say 203, caches 206;
#: whether a part is all of it, its bytes tell.  Where none comes, these say it
#: better than the code.
_TELLS_NOTHING = frozenset({200, 203, 206})


#: Not there yet, or not now: what stores say before a picture is there.
_RETRYABLE = frozenset({202, 204, 403, 404, 408, 425, 429})


@attrs.define(eq=False)
class Downloads:
    """
    Reads and saves pictures.

    What changes: nothing but the disk.
    """

    open_file: OpenLink
    timeouts: Timeouts
    disk: Disk = attrs.field(factory=Disk)
    cap_bytes: int = PICTURE_CAP_BYTES
    observers: Observers = attrs.field(factory=Observers)

    async def read(self, image: Image) -> bytes:
        """
        One picture's bytes, whole.

        Raises:
            DownloadError: It could not be had.
        """
        target = MemoryTarget(self.cap_bytes)
        await self._fetch(image, target, _Until(self._deadline()))
        return target.data

    async def save(self, image: Image, path: Path) -> Path:
        """
        Save a picture to exactly *path*, whose folder is made if missing.

        What is there is replaced in one step; a symbolic link is replaced
        itself, not what it leads to.

        Raises:
            DownloadError: It could not be had, or not be kept.
        """
        file = TemporaryFile(path.parent, path.name)
        target = FileTarget(self.cap_bytes, file)
        try:
            link = await self._fetch(image, target, _Until(self._deadline()))
            await self._at_disk(target.keep, path, link)
        finally:
            await self._drop(target)
        return path

    async def store(
        self,
        generation: Generation,
        directory: Path,
        prefix: str | None = None,
        *,
        fresh: Fresh | None = None,
        overwrite: bool = False,
        place: KnownFolder | None = None,
    ) -> tuple[SavedFile, ...]:
        """
        Save a generation's pictures as ``{prefix}-{n}.{ext}`` in *directory*.

        Without *overwrite* nothing that is there changes.  The same picture
        is left as it is, and so is a whole one whose link is gone.  Another
        one is an error: two servers may give the same id.

        Args:
            generation: Whose pictures.

            directory: Made, with its parents, where it is missing.

            prefix:
                What names begin with; else the generation's id, its hash
                where it can be no name, or a hash of the links.

            fresh: Gives the generation with new links; asked at most once.

            overwrite: Replace what is there.

            place: What that is in, and has to be in still.

        Raises:
            DownloadError: What could not be had or not be kept, with the
                *paths* of the others.
        """
        prefix = name_prefix(generation) if prefix is None else prefix
        links = _FreshLinks(generation, fresh)
        files = [
            TemporaryFile(directory, f"{prefix}-{n}", place=place)
            for n in range(len(generation.images))
        ]
        # Waits for all, also when cancelled: no file is left behind.
        results = await asyncio.gather(
            *(
                self._store(links, image, file, overwrite)
                for image, file in zip(generation.images, files, strict=True)
            ),
            return_exceptions=True,
        )
        saved = tuple(one for one in results if isinstance(one, SavedFile))
        for result in results:
            if isinstance(result, DownloadError):
                result.generation = links.generation
                result.paths = tuple(one.path for one in saved)
            if isinstance(result, BaseException):
                raise result
        return saved

    # From the link

    def _deadline(self) -> float:
        return anyio.current_time() + self.timeouts.late_link

    async def _store(
        self,
        links: _FreshLinks,
        image: Image,
        file: TemporaryFile,
        overwrite: bool,
    ) -> SavedFile:
        target = FileTarget(self.cap_bytes, file)
        before = None
        try:
            if not overwrite:
                before = await self._at_disk(
                    saved_before, file.directory, file.name, self.cap_bytes
                )
            try:
                link = await self._fetch_or_renew(
                    links, image, target, before is None
                )
            except DownloadError as exc:
                if before is None or exc.disk:
                    raise
                return before
            if before is None:
                path = file.directory / f"{file.name}.{target.format}"
                return await self._at_disk(target.keep, path, link)
            if before.sha256 != target.sha256:
                raise DownloadError(
                    f"{before.path} is another picture; "
                    "overwrite=True replaces it"
                )
            return before
        finally:
            await self._drop(target)

    async def _fetch_or_renew(
        self,
        links: _FreshLinks,
        image: Image,
        target: FileTarget,
        patient: bool,
    ) -> str | None:
        """
        Fetch by the links that we have, or by fresh ones; give which it was.
        """
        deadline = self._deadline() if patient else -math.inf
        name = links.generation.track_id
        try:
            return await self._fetch(image, target, _Until(deadline, name))
        except UnsafeUrlError:
            raise
        except DownloadError as exc:
            if links.fresh is None or exc.disk or not patient:
                raise
            image = await links.fetch(image, exc)
            least = anyio.current_time() + self.timeouts.link_retry_longest
            until = _Until(max(deadline, least), name)
            return await self._fetch(image, target, until)

    async def _fetch(
        self, image: Image, target: Target, until: _Until
    ) -> str | None:
        """
        Bring a picture to *target*, which may be late *until* then; give the
        link that led to it, None where it came in the answer.
        """
        data = image.data
        links = [link for link in (image.url, image.proxy_url) if link]
        if data is None and links and links[0][:5].lower() == "data:":
            data = links[0].encode("utf-8", "replace")
        if data is None:
            return await self._try_links(links, target, until)
        invalid = await self._at_disk(target.finish, [data])
        if invalid is not None:
            raise DownloadError(f"the service sent {invalid.reason}")
        return None

    async def _try_links(
        self, links: list[str], target: Target, until: _Until
    ) -> str:
        pause = self.timeouts.link_retry_first
        failure = _LinkFailure("the picture has no link")
        unsafe: UnsafeUrlError | None = None
        tries = 0
        while links:
            for link in tuple(links):
                # Most links are only a moment late; and a proxy that is asked
                # too early may remember its 404 for minutes.
                if tries == 0 and link is not links[0]:
                    continue
                found = await self._try_link(link, target)
                if found is None:
                    return link
                failure = found
                if not found.retryable:
                    links.remove(link)
                if isinstance(found.cause, UnsafeUrlError):
                    unsafe = found.cause
            tries += 1
            left = until.deadline - anyio.current_time()
            if left == -math.inf or (left <= 0 and tries > 1):
                break
            if links:
                wait = pause * random.uniform(0.5, 1.0)
                wait = max(wait, failure.retry_after or 0.0)
                wait = min(wait, max(left, 0.0))
                _log.debug("%s; asking again in %.1f s", failure, wait)
                until.tell(self.observers, failure, tries, wait)
                await anyio.sleep(wait)
                pause = min(pause * 2, self.timeouts.link_retry_longest)
        if unsafe is not None:
            raise unsafe
        raise DownloadError(str(failure)) from failure.cause

    async def _try_link(
        self, link: str, target: Target
    ) -> _LinkFailure | None:
        try:
            async with self.open_file(link) as reply:
                invalid = InvalidImage("")
                if 200 <= reply.status < 300:
                    found = await self._receive(reply, target)
                    if found is None:
                        return None
                    invalid = found
                if reply.status not in _TELLS_NOTHING:
                    return _refused(reply, link)
        except TransportError as exc:
            return _LinkFailure(exc.reason, link, cause=exc)
        except UnsafeUrlError as exc:
            return _LinkFailure(exc.reason, link, retryable=False, cause=exc)
        return _LinkFailure(invalid.reason, link, retryable=invalid.retryable)

    async def _receive(
        self, reply: FileReply, target: Target
    ) -> InvalidImage | None:
        """
        Read a file to its end, and see whether it was a picture.
        """
        if not target.empty:
            await self._at_disk(target.restart)
        try:
            return await self._take(reply, target)
        finally:
            await reply.chunks.aclose()

    async def _take(
        self, reply: FileReply, target: Target
    ) -> InvalidImage | None:
        started = anyio.current_time()
        content = Decompressor(reply.deflated)
        held: list[bytes] = []
        received = held_bytes = total = 0
        cap = self.cap_bytes
        broken: TransportError | None = None
        try:
            async for chunk in reply.chunks:
                received += len(chunk)
                spent = anyio.current_time() - started
                if _is_too_slow(received, spent, self.timeouts):
                    reason = f"too slow: {received} bytes in {spent:.0f} s"
                    return InvalidImage(reason)
                for piece in content.feed(chunk):
                    if not total and format_of(piece) is None:
                        cap = text_cap(self.cap_bytes)
                    total += len(piece)
                    if total > cap:
                        return too_large(self.cap_bytes)
                    held.append(piece)
                    held_bytes += len(piece)
                    if held_bytes >= _IN_MEMORY:
                        await self._at_disk(target.write, held)
                        held, held_bytes = [], 0
        except TransportError as exc:
            # A store may promise more than the picture has.
            broken = exc
        held.append(content.rest())
        invalid = await self._at_disk(target.finish, held)
        if broken is not None and invalid is not None:
            raise broken
        return invalid

    # To the disk

    async def _at_disk(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        try:
            return await self.disk.run(work, *args)
        except OSError as exc:
            raise _not_kept(exc) from exc

    async def _drop(self, target: FileTarget) -> None:
        if target.file.opened and not self.disk.left:
            await self.disk.clean_up(target.file.drop)


def _not_kept(exc: OSError) -> DownloadError:
    words = exc.strerror or str(exc)
    where = f" ({exc.filename})" if exc.filename else ""
    return DownloadError(
        f"the picture could not be kept: {words}{where}", disk=True
    )


def _is_too_slow(size_bytes: int, spent: float, timeouts: Timeouts) -> bool:
    fair = size_bytes / _SLOWEST_BYTES_PER_SECOND
    return spent > 4 * timeouts.file_read + fair


@attrs.frozen
class _Until:
    """
    How long a picture may be late, and in whose name its retries are told.
    """

    deadline: float
    track_id: str | None = None

    def tell(
        self, observers: Observers, cause: object, tries: int, pause: float
    ) -> None:
        if observers:
            words = str(cause)
            observers.tell(DownloadRetried(self.track_id, words, tries, pause))


@attrs.frozen
class _LinkFailure:
    """
    Why a link gave no picture; *retryable*: it may do so later.
    """

    reason: str
    link: str = ""
    retryable: bool = True
    retry_after: float | None = None
    cause: ModelsLabError | None = None

    def __str__(self) -> str:
        return (
            f"{self.reason} at {self.link[:500]}" if self.link else self.reason
        )


def _refused(reply: FileReply, link: str) -> _LinkFailure:
    later = reply.status in _RETRYABLE or reply.status >= 500
    words = f"HTTP {reply.status}"
    return _LinkFailure(words, link, later, reply.retry_after)


@attrs.define(eq=False)
class _FreshLinks:
    """
    A generation whose links can be renewed once, for all its pictures.

    What changes: its links.
    """

    generation: Generation
    fresh: Fresh | None
    _lock: asyncio.Lock = attrs.field(factory=asyncio.Lock, repr=False)
    _found: dict[int, Image] = attrs.field(factory=dict, init=False)
    #: Why a picture is not among the fresh ones; None: nobody has asked yet.
    _missing: str | None = attrs.field(default=None, init=False)

    async def fetch(self, image: Image, error: DownloadError) -> Image:
        """
        Give the same picture with a fresh link, asked for once for all.

        Raises:
            DownloadError: There is none.
        """
        async with self._lock:
            if self._missing is None and self.fresh is not None:
                try:
                    self.generation = await self.fresh()
                    self._found = {
                        one.index: one for one in self.generation.images
                    }
                    self._missing = "not among the fresh links"
                except ModelsLabError as exc:
                    self._missing = f"no fresh links: {exc}"
        found = self._found.get(image.index)
        if found is None:
            raise DownloadError(f"{error.reason}; {self._missing}") from error
        return found


_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


def name_prefix(generation: Generation) -> str:
    """
    What the names of a generation's files begin with.
    """
    if generation.id is not None and _NAME.fullmatch(generation.id):
        return generation.id
    named = generation.id or [(one.url, one.data) for one in generation.images]
    return hashlib.sha256(repr(named).encode()).hexdigest()[:20]
