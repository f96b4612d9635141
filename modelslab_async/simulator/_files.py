"""
Where pictures lie, since when and for how long, and what is in them.
"""

from __future__ import annotations

import asyncio
import collections
import re

import attrs

from . import drawing
from ._faults import Reply, page
from ._jobs import Job, Jobs
from ._picture import Picture
from ._replies import Facts
from ._state import State
from ._uploads import Uploads


_DAY = 86_400.0
_KEPT_PICTURES = 32
_PATH = re.compile(
    r"/(?P<proxy>cdn2/)?"
    r"(?P<folder>generations|temp|livewire-tmp|modelslab)/(?P<name>[^/]+)"
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@attrs.frozen
class Found:
    """
    What a path leads to: a file of a job, or something that was uploaded.
    """

    job: Job | None = None
    picture: Picture | None = None
    uploaded: bytes | None = attrs.field(default=None, repr=False)


class Files:
    """
    All pictures that can be had.
    """

    def __init__(self, state: State, jobs: Jobs, uploads: Uploads) -> None:
        self._state = state
        self._jobs = jobs
        self._uploads = uploads
        self._drawn: collections.OrderedDict[bytes, bytes] = (
            collections.OrderedDict()
        )

    def find(self, path: str) -> Found | None:
        """
        What a path names, whether or not it is there yet; None, if it names
        nothing that there could be.
        """
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        name, folder = found["name"], found["folder"]
        ident = _UUID.search(name)
        if ident is None:
            return Found(uploaded=self._uploads.get(name))

        job = self._jobs.by_uuid(ident[0])
        index = re.sub(r"\D", "", name.replace(ident[0], "").split(".")[0])
        number = int(index[:3] or 0)
        if job is None or number >= job.request.samples:
            return Found(job)
        picture = job.picture(number)
        if folder != job.folder or name != job.file_name(picture):
            return Found(job)
        return Found(job, picture)

    async def read(self, path: str) -> bytes | None:
        """
        The bytes of what lies there now.
        """
        found = self.find(path)
        if found is None:
            return None
        if found.job is None or found.picture is None:
            return found.uploaded
        if not self._is_there(found.job):
            return None
        return await self.bytes_of(found.picture)

    async def reply(self, found: Found) -> Reply:
        """
        What somebody is told who asks for it.
        """
        if found.uploaded is not None:
            return _as_picture(found.uploaded)
        job, picture = found.job, found.picture
        if job is None or picture is None or not self._is_there(job):
            return page(404)
        data = await self.bytes_of(picture)
        if job.request.base64:
            uri = self._state.settings.base64.endswith("uri")
            text = drawing.as_text(data, uri=uri)
            return Reply(200, text, headers={"Content-Type": "text/plain"})
        return _as_picture(data)

    async def bytes_of(self, picture: Picture) -> bytes:
        """
        The bytes of a picture, drawn when first asked for.
        """
        mark = picture.digest
        kept = self._drawn.get(mark)
        if kept is not None:
            self._drawn.move_to_end(mark)
            return kept

        draw = drawing.drawn
        if self._state.settings.pictures == "plain":
            draw = drawing.plain
        data = await asyncio.to_thread(draw, picture)
        self._drawn[mark] = data
        while len(self._drawn) > _KEPT_PICTURES:
            self._drawn.popitem(last=False)
        return data

    async def facts(self, job: Job, origin: str) -> Facts:
        """
        What a reply about a job is made of; links lead to *origin*.
        """
        pictures = [job.picture(n) for n in range(job.request.samples)]
        names = [job.file_name(picture) for picture in pictures]
        links = [f"{origin}/{job.folder}/{name}" for name in names]
        proxies = [f"{origin}/cdn2/{job.folder}/{name}" for name in names]

        style = self._state.settings.base64
        if job.request.base64 and style.startswith("inline") and job.has_ended:
            links = proxies = [
                drawing.as_text(
                    await self.bytes_of(picture), uri=style == "inline-uri"
                )
                for picture in pictures
            ]
        return Facts(
            id=job.id,
            shown_id=job.shown_id,
            request=job.request,
            size=job.size,
            seed=job.seed,
            file_prefix=f"{job.uuid}.{pictures[0].extension}",
            links=links,
            proxies=proxies,
            fetch_result=self._fetch_result(job, origin),
            eta=self._jobs.eta(job),
            took=job.ends - job.began,
            nsfw=job.hidden,
            proxy_links=job.proxy_links,
        )

    def _fetch_result(self, job: Job, origin: str) -> str | None:
        endpoint = job.request.endpoint
        where = f"{origin}/api/{endpoint.told or endpoint.family}/fetch"
        match self._state.settings.fetch_result:
            case "absent":
                return None
            case "wrong":
                return f"{where}/{job.id + 10_000_000}"
            case _:
                return f"{where}/{job.id}"

    def _is_there(self, job: Job) -> bool:
        ended = job.record.ended
        if ended is None or job.fails:
            return False
        age = self._state.now() - ended
        if job.request.temporary and age > self._state.lived(_DAY):
            return False
        return age >= self._state.lived(self._state.settings.late_links)


def _as_picture(data: bytes) -> Reply:
    kind = "image/jpeg"
    for head, name in (
        (b"\x89PNG", "image/png"),
        (b"GIF8", "image/gif"),
        (b"RIFF", "image/webp"),
    ):
        if data.startswith(head):
            kind = name
    return Reply(200, data, headers={"Content-Type": kind})
