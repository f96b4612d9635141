"""
Pictures that customers leave with the service for a day.
"""

from __future__ import annotations

import hashlib
import itertools

from collections.abc import Mapping

import attrs

from ._accounts import Account
from ._books import Upload
from ._faults import Reply
from ._inputs import decoded, picture_size
from ._refusals import error
from ._state import State


@attrs.frozen
class UploadEndpoint:
    """
    One way to leave a picture.

    Attributes:
        field: What holds the data URI.

        own_ids: Its ids are small, and not those of jobs.

        link: Whether it answers with ``link`` and ``request_id``, not with
            ``output`` and ``id``.
    """

    path: str
    field: str
    own_ids: bool = True
    link: bool = False


_ROWS = (
    UploadEndpoint("v6/base64_to_url", "base64_string"),
    UploadEndpoint(
        "v6/image_editing/base64_to_url", "init_image", own_ids=False
    ),
    UploadEndpoint("v3/base64_crop", "image", link=True),
)
UPLOADS: Mapping[str, UploadEndpoint] = {row.path: row for row in _ROWS}

_KINDS = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpg",
    b"GIF8": "gif",
    b"RIFF": "webp",
}


@attrs.frozen
class _Kept:
    data: bytes = attrs.field(repr=False)
    dies: float


class Uploads:
    """
    What was left, until it dies.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._kept: dict[str, _Kept] = {}
        self._last_id = 1_046

    def get(self, name: str) -> bytes | None:
        """
        What lies under that name.
        """
        kept = self._kept.get(name)
        if kept is None or kept.dies < self._state.now():
            return None
        return kept.data

    def take(
        self,
        endpoint: UploadEndpoint,
        account: Account,
        body: Mapping[str, object],
        *,
        origin: str,
        job_id: int,
    ) -> Reply:
        """
        Keep a picture, or say why not.

        Links lead to *origin*; *job_id* is for those whose ids are of the
        jobs' kind.
        """
        text = body.get(endpoint.field)
        data = decoded(text) if isinstance(text, str) else None
        problem = self._problem(endpoint, text, data)
        url = None
        if not problem and data is not None:
            url = self._keep(data, origin)
        self._state.books.uploads.append(
            Upload(
                at=self._state.now(),
                account=account.label,
                endpoint=endpoint.path,
                sha256=hashlib.sha256(data or b"").hexdigest(),
                size=len(data or b""),
                url=url,
            )
        )
        if url is None:
            return error(self._state.settings, 400, problem)

        self._last_id += 1
        number = self._last_id if endpoint.own_ids else job_id
        if endpoint.link:
            return Reply(
                200,
                {
                    "status": "success",
                    "messege": "image uploaded",
                    "link": url,
                    "request_id": number,
                },
            )
        return Reply(200, {"status": "success", "id": number, "output": [url]})

    def _problem(
        self, endpoint: UploadEndpoint, text: object, data: bytes | None
    ) -> str:
        spoken = endpoint.field.replace("_", " ")
        if text in (None, ""):
            return f"The {spoken} field is required."
        if data is None or not str(text).startswith("data:"):
            return f"The {spoken} must be a valid base64 string."
        limit = self._state.settings.upload_limit
        if len(data) > limit:
            return (
                f"The {spoken} may not be greater than "
                f"{limit / 1_000_000:g} MB."
            )
        if picture_size(data) is None:
            return f"The {spoken} must be an image."
        return ""

    def _keep(self, data: bytes, origin: str) -> str:
        now = self._state.now()
        # The oldest are first.
        for old in tuple(itertools.islice(self._kept, 2)):
            if self._kept[old].dies < now:
                del self._kept[old]
        number = self._state.dice.names.getrandbits(63)
        kind = next(
            (kind for head, kind in _KINDS.items() if data.startswith(head)),
            "bin",
        )
        name = f"{number:019d}.{kind}"
        dies = now + self._state.lived(self._state.settings.upload_life)
        self._kept[name] = _Kept(data, dies)
        return f"{origin}/temp/{name}"
