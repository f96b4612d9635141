"""
Local pictures, uploaded before the requests that need them.

* A content (by SHA-256) is uploaded once for each client, however many files
  and requests have it, and again when its URL is about to die.
* An upload takes no slot and costs nothing: it is repeated on failure.
* What comes back is checked like any link, though we don't follow it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time

from collections.abc import Callable
from functools import partial

import attrs

from .._protocol.decode import decode
from .._protocol.replies import Reply
from .._protocol.uploads import encode_upload, uploaded_link
from ..errors import ClientClosedError, ModelsLabError, Problem, SpecError
from ..results import Upload
from ..specs import AnyPath, LocalFile, Spec, local_files, picture_fault
from .free_calls import FreeCalls
from .http import SessionPool
from .links import read_link
from .runtime import Runtime
from .submission import Placed
from .waiters import afresh


#: What an uploaded file lives by the service's page, by how long we use it.
_LIFE = 24 / 23


#: Each takes three times its size while it goes up.
_AT_ONCE = 8


#: Contents that are remembered: a batch of a million has as many.
_KEPT = 1000


@attrs.frozen(eq=False, repr=False)
class _Stored:
    upload: Upload
    until: float


@attrs.define(eq=False, repr=False)
class Uploads:
    """
    What a client has uploaded.

    What changes: that, and what is under way.
    """

    runtime: Runtime
    pool: SessionPool
    calls: FreeCalls
    _stored: dict[str, _Stored] = attrs.field(factory=dict, init=False)
    _at_once: asyncio.Semaphore = attrs.field(
        factory=partial(asyncio.Semaphore, _AT_ONCE), init=False
    )
    _under_way: dict[str, asyncio.Task[_Stored]] = attrs.field(
        factory=dict, init=False
    )

    async def place(self, spec: Spec) -> Placed:
        """
        See that all local files of *spec*, which has some, are uploaded.

        Raises:
            SpecError: One of them is not there any more, or another.

            ModelsLabError: The service could not be reached, or says no.
        """
        found: dict[str, _Stored] = {}
        for name, file in local_files(spec):
            stored = await self._shared(
                file.sha256, partial(_read_again, file, name), file.path
            )
            found[file.sha256] = stored
        return Placed(
            {digest: one.upload.url for digest, one in found.items()},
            min(one.until for one in found.values()),
        )

    async def upload(self, source: bytes | AnyPath | str) -> Upload:
        """
        Upload a picture; see `ModelsLab.upload`.
        """
        if isinstance(source, bytes | bytearray | memoryview):
            data = bytes(source)
            if fault := picture_fault(data):
                raise SpecError((Problem("file", fault),))
            digest = hashlib.sha256(data).hexdigest()
            stored = await self._shared(digest, lambda: data, None)
            return stored.upload
        file = await self.runtime.in_thread(partial(_looked_at, source))
        stored = await self._shared(
            file.sha256, partial(_read_again, file, "file"), file.path
        )
        return stored.upload

    async def aclose(self) -> None:
        """
        Give up what is under way.
        """
        tasks = [*self._under_way.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _fresh(self, digest: str) -> _Stored | None:
        stored = self._stored.get(digest)
        if stored is None or stored.until <= self.runtime.now():
            return None
        return stored

    async def _shared(
        self, digest: str, read: Callable[[], bytes], path: str | None
    ) -> _Stored:
        """
        One upload for all who want the same content at once.
        """
        if fresh := self._fresh(digest):
            return fresh
        task = self._under_way.get(digest)
        others = task is not None
        if task is None:
            task = self.runtime.loop.create_task(
                self._upload(digest, read, path)
            )
            self._under_way[digest] = task
            task.add_done_callback(partial(self._over, digest))
        try:
            # It goes on when whoever waits goes away: another may want it.
            return await asyncio.shield(task)
        except SpecError as error:
            if others:
                # Their file is gone; ours, of the same content, may be there.
                return await self._shared(digest, read, path)
            raise afresh(error) from None
        except ModelsLabError as error:
            raise afresh(error) from error.__cause__
        except asyncio.CancelledError:
            # Only closing cancels it.
            own = asyncio.current_task()
            if task.cancelled() and own is not None and not own.cancelling():
                raise ClientClosedError from None
            raise

    def _over(self, digest: str, task: asyncio.Task[_Stored]) -> None:
        self._under_way.pop(digest, None)
        if not task.cancelled():
            # Whoever waited has heard of it.
            task.exception()

    async def _upload(
        self, digest: str, read: Callable[[], bytes], path: str | None
    ) -> _Stored:
        async with self._at_once:
            return await self._send(digest, read, path)

    async def _send(
        self, digest: str, read: Callable[[], bytes], path: str | None
    ) -> _Stored:
        began, wall = self.runtime.now(), time.time()
        data = await self.runtime.in_thread(read)
        call = await self.runtime.in_thread(
            partial(encode_upload, self.pool.base_url, data)
        )
        url = await self.calls.answer(call, _link, f"upload of {path or '…'}")
        self.pool.guard.check(read_link(url))
        life = self.runtime.timeouts.upload_used
        upload = Upload(url, digest, wall + life * _LIFE)
        stored = _Stored(upload, began + life)
        # The oldest goes first.
        self._stored.pop(digest, None)
        self._stored[digest] = stored
        if len(self._stored) > _KEPT:
            del self._stored[next(iter(self._stored))]
        self.runtime.stats.uploads += 1
        if self.runtime.observers:
            from ..events import FileUploaded

            elapsed = self.runtime.now() - began
            self.runtime.observers.tell(
                FileUploaded(None, path, digest, len(data), elapsed)
            )
        return stored


def _link(reply: Reply) -> str | None:
    return uploaded_link(decode(reply))


def _looked_at(path: AnyPath | str) -> LocalFile:
    try:
        return LocalFile.at(path)
    except (ValueError, TypeError) as fault:
        # What os.fsdecode says of no path is a TypeError.
        raise SpecError((Problem("file", str(fault)),)) from None


def _read_again(file: LocalFile, name: str) -> bytes:
    try:
        return file.read()
    except ValueError as fault:
        raise SpecError((Problem(name, str(fault)),)) from None
