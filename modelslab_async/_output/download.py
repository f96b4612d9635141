"""
Here lives the way from a link to a file, whole or not at all.

A picture is fetched under a temporary name in the folder where it will lie,
checked to the end that its own format marks, synced, and only then given its
name; the folder is synced after it.  So what has a final name is whole, after
a crash too.  All disk work happens in threads; a picture of up to `_SPILL`
bytes waits in memory for one trip there.

A finished job's link may lead nowhere for a while.  So it is asked again in
growing steps for `late_link` seconds, from the second round on beside its
*proxy_url*; then fresh links are asked for, once, where somebody knows how.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import random
import re

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import anyio
import attrs

from ..errors import (
    DownloadError,
    ModelsLabError,
    TransportError,
    UnsafeUrlError,
)
from ..results import Generation, Image
from .disk import SavedFile, Target, _Basket, _Part, _sweep, _there, _too_large
from .image_format import Faulty, format_of, text_cap


_log = logging.getLogger("modelslab_async")


T = TypeVar("T")


#: No picture of the service has as many: 2,048 pixels a side, enlarged 3
#: times, would be about 40 MiB.
CAP_BYTES = 50 << 20


#: What a download keeps in memory before it goes to disk: a usual PNG of
#: 1,024 pixels a side fits, sixteen of them are 32 MiB.
_SPILL = 2 << 20


#: A line that gives less for long counts as dead.
_SLOWEST = 10_000


class FileStream(Protocol):
    """
    A file as it comes in; `retry_after` is in seconds.
    """

    @property
    def status(self) -> int: ...
    @property
    def content_type(self) -> str: ...
    @property
    def retry_after(self) -> float | None: ...

    def chunks(self) -> AsyncIterator[bytes]: ...


class Opener(Protocol):
    """
    What asks for a link; raises `TransportError` and `UnsafeUrlError`.
    """

    def __call__(
        self, url: str, /
    ) -> AbstractAsyncContextManager[FileStream]: ...


class Patience(Protocol):
    """
    The waits that this room needs, in seconds; see `_retrying.Waits`.
    """

    @property
    def file_read(self) -> float: ...
    @property
    def late_link(self) -> float: ...
    @property
    def link_retry_first(self) -> float: ...
    @property
    def link_retry_longest(self) -> float: ...


@attrs.define(eq=False)
class Files:
    """
    The pictures' way to disk.

    What changes: nothing but the disk.
    """

    open_file: Opener
    timeouts: Patience
    #: How many threads may be at the disk at a time; the others of the loop's
    #: executor are for DNS.
    limiter: anyio.CapacityLimiter = attrs.field(
        factory=partial(anyio.CapacityLimiter, 4), repr=False
    )
    cap_bytes: int = CAP_BYTES

    async def read(self, image: Image) -> bytes:
        """
        One picture's bytes, whole.

        Raises:
            DownloadError: It could not be had.
        """
        basket = _Basket(self.cap_bytes)
        await self._fetch(image, basket, self._until())
        return basket.data

    async def save(self, image: Image, path: Path) -> Path:
        """
        Save a picture to exactly *path*, whose folder is made if missing.

        What is there is replaced in one step; a symbolic link is replaced
        itself, not what it leads to.

        Raises:
            DownloadError: It could not be had, or not be kept; an `OSError`
                of the disk is its cause.
        """
        part = _Part(self.cap_bytes, path.parent, path.name)
        try:
            await self._fetch(image, part, self._until())
            await self._at_disk(part.keep, path)
        finally:
            await self._dropped(part)
        return path

    async def store(
        self,
        generation: Generation,
        directory: Path,
        stem: str | None = None,
        *,
        fresh: Callable[[], Awaitable[Generation]] | None = None,
        overwrite: bool = False,
    ) -> tuple[SavedFile, ...]:
        """
        Save a generation's pictures as ``{stem}-{n}.{ext}`` in *directory*.

        Without *overwrite* nothing that is there changes.  The same picture
        is left as it is, and so is a whole one whose link is gone.  Another
        one is an error: two servers may give the same id.

        Args:
            generation: Whose pictures.

            directory: Made, with its parents, where it is missing.

            stem:
                What names begin with; else the generation's id, or, where it
                has none that can be a name, a hash of its links.

            fresh: Gives the generation with new links; asked at most once.

            overwrite: Replace what is there.

        Raises:
            DownloadError: What could not be had or not be kept, with the
                *paths* of the others; an `OSError` of the disk is its cause.
        """
        stem = stem_of(generation) if stem is None else stem
        source = _Source(generation, fresh)
        # Waits for all, also when cancelled: no file is left behind.
        ends = await asyncio.gather(
            *(
                self._store(
                    source, image, directory, f"{stem}-{place}", overwrite
                )
                for place, image in enumerate(generation.images)
            ),
            return_exceptions=True,
        )
        saved = tuple(one for one in ends if isinstance(one, SavedFile))
        for end in ends:
            if isinstance(end, DownloadError):
                end.generation = source.generation
                end.paths = tuple(one.path for one in saved)
            if isinstance(end, BaseException):
                raise end
        return saved

    async def sweep(self, directory: Path) -> int:
        """
        Remove the temporary files that dead runs left in *directory*.

        Only for a folder that no other process saves to.

        Returns:
            How many there were.
        """
        return await self._at_disk(_sweep, directory)

    # From the link

    def _until(self) -> float:
        return anyio.current_time() + self.timeouts.late_link

    async def _store(
        self,
        source: _Source,
        image: Image,
        directory: Path,
        name: str,
        overwrite: bool,
    ) -> SavedFile:
        part = _Part(self.cap_bytes, directory, name)
        there = None
        try:
            if not overwrite:
                there = await self._at_disk(
                    _there, directory, name, self.cap_bytes
                )
            try:
                await self._somehow(source, image, part, there is None)
            except DownloadError as exc:
                if there is None or isinstance(exc.__cause__, OSError):
                    raise
                return there
            if there is None:
                path = directory / f"{name}.{part.kind}"
                return await self._at_disk(part.keep, path)
            if there.sha256 != part.sha256:
                raise DownloadError(
                    f"{there.path} is another picture; "
                    "overwrite=True replaces it"
                )
            return there
        finally:
            await self._dropped(part)

    async def _somehow(
        self, source: _Source, image: Image, part: _Part, patient: bool
    ) -> None:
        """
        Fetch by the links that we have, or else by fresh ones.
        """
        until = self._until() if patient else -math.inf
        try:
            await self._fetch(image, part, until)
        except UnsafeUrlError:
            raise
        except DownloadError as exc:
            disk = isinstance(exc.__cause__, OSError)
            if source.fresh is None or disk or not patient:
                raise
            image = await source.again(image, exc)
            least = anyio.current_time() + self.timeouts.link_retry_longest
            await self._fetch(image, part, max(until, least))

    async def _fetch(self, image: Image, target: Target, until: float) -> None:
        """
        Bring a picture to *target*; *until* when it may be late.
        """
        data = image.data
        links = [link for link in (image.url, image.proxy_url) if link]
        if data is None and links and links[0][:5].lower() == "data:":
            data = links[0].encode("utf-8", "replace")
        if data is None:
            await self._by_link(links, target, until)
            return
        fault = await self._at_disk(target.settle, [data], None)
        if fault is not None:
            raise DownloadError(f"the service sent {fault.reason}")

    async def _by_link(
        self, links: list[str], target: Target, until: float
    ) -> None:
        pause = self.timeouts.link_retry_first
        trouble = _Trouble("the picture has no link")
        unsafe: UnsafeUrlError | None = None
        tries = 0
        while links:
            for link in tuple(links):
                # Most links are only a moment late; and a proxy that is asked
                # too early may remember its 404 for minutes.
                if tries == 0 and link is not links[0]:
                    continue
                found = await self._once(link, target)
                if found is None:
                    return
                trouble = found
                if not found.passing:
                    links.remove(link)
                if isinstance(found.cause, UnsafeUrlError):
                    unsafe = found.cause
            tries += 1
            left = until - anyio.current_time()
            if left == -math.inf or (left <= 0 and tries > 1):
                break
            if links:
                nap = pause * random.uniform(0.5, 1.0)
                nap = min(max(nap, trouble.retry_after or 0.0), max(left, 0.0))
                _log.debug("%s; asking again in %.1f s", trouble, nap)
                await anyio.sleep(nap)
                pause = min(pause * 2, self.timeouts.link_retry_longest)
        if unsafe is not None:
            raise unsafe
        raise DownloadError(str(trouble)) from trouble.cause

    async def _once(self, link: str, target: Target) -> _Trouble | None:
        """
        Try one link once.
        """
        try:
            async with self.open_file(link) as stream:
                if stream.status != 200:
                    return _Trouble(
                        f"HTTP {stream.status}",
                        link,
                        passing=stream.status in _PASSING
                        or stream.status >= 500,
                        retry_after=stream.retry_after,
                    )
                fault = await self._receive(stream, target, link)
        except TransportError as exc:
            return _Trouble(exc.reason, link, cause=exc)
        except UnsafeUrlError as exc:
            return _Trouble(exc.reason, link, passing=False, cause=exc)
        if fault is None:
            return None
        return _Trouble(fault.reason, link, passing=fault.passing)

    async def _receive(
        self, stream: FileStream, target: Target, link: str
    ) -> Faulty | None:
        """
        Read a stream to its end, and see whether it was a picture.
        """
        if target.used:
            await self._at_disk(target.clear)
        started = anyio.current_time()
        held: list[bytes] = []
        held_bytes = total = 0
        most = self.cap_bytes
        chunks = stream.chunks()
        try:
            async for chunk in chunks:
                if not total and format_of(chunk) is None:
                    most = text_cap(self.cap_bytes)
                total += len(chunk)
                if total > most:
                    return _too_large(self.cap_bytes)
                spent = anyio.current_time() - started
                if spent > 4 * self.timeouts.file_read + total / _SLOWEST:
                    return Faulty(f"too slow: {total} bytes in {spent:.0f} s")
                held.append(chunk)
                held_bytes += len(chunk)
                if held_bytes >= _SPILL:
                    await self._at_disk(target.take, held)
                    held, held_bytes = [], 0
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        return await self._at_disk(target.settle, held, link)

    # To the disk

    async def _at_disk(self, work: Callable[..., T], *args: object) -> T:
        try:
            async with self.limiter:
                return await _in_thread(work, *args)
        except OSError as exc:
            words = exc.strerror or str(exc)
            where = f" ({exc.filename})" if exc.filename else ""
            msg = f"the picture could not be kept: {words}{where}"
            raise DownloadError(msg) from exc

    async def _dropped(self, part: _Part) -> None:
        # Not in the line for a thread: a cancelled caller would not get one.
        if part.opened:
            await _in_thread(part.drop)


async def _in_thread(work: Callable[..., T], *args: object) -> T:
    """
    Run *work* in a thread, and leave only when it is done.

    A cancelled caller waits for its thread: else the thread would go on with
    files that the caller has cleaned up.  A future of the executor, as a task
    would be cancelled with all others when the loop ends.
    """
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(None, partial(work, *args))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            while not future.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({future})
        future.exception()
        raise


#: Not there yet, or not now: what stores say before a picture is there.
_PASSING = frozenset({202, 204, 403, 404, 408, 425, 429})


@attrs.frozen
class _Trouble:
    """
    Why a link gave no picture; *passing*: it may do so later.
    """

    reason: str
    link: str = ""
    passing: bool = True
    retry_after: float | None = None
    cause: ModelsLabError | None = None

    def __str__(self) -> str:
        return f"{self.reason} at {self.link}" if self.link else self.reason


@attrs.define(eq=False)
class _Source:
    """
    The generation whose links are used, and how it is renewed.

    What changes: its links, once.
    """

    generation: Generation
    fresh: Callable[[], Awaitable[Generation]] | None
    _lock: asyncio.Lock = attrs.field(factory=asyncio.Lock, repr=False)
    _found: dict[int, Image] = attrs.field(factory=dict, init=False)
    #: Why a picture is not among the fresh ones; None: nobody has asked yet.
    _missing: str | None = attrs.field(default=None, init=False)

    async def again(self, image: Image, error: DownloadError) -> Image:
        """
        The same picture by a fresh link.

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
            # A cause of fresh()'s may be a TimeoutError, so an OSError: that
            # would look like the disk.
            raise DownloadError(f"{error.reason}; {self._missing}") from error
        return found


_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


def stem_of(generation: Generation) -> str:
    """
    What the names of a generation's files begin with.
    """
    if generation.id is not None and _NAME.fullmatch(generation.id):
        return generation.id
    told = hashlib.sha256()
    for image in generation.images:
        told.update(repr((image.url, image.data)).encode())
    return told.hexdigest()[:20]
