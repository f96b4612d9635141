"""
Files sent ahead of the requests that need them, and lists of models.

* A file goes up as base64, in a data URI that names its type; the answer is
  that of a job that is done, with one link.
* The link dies after 24 hours.
* The list of models is a bare array; one client of other people reads it
  below `data`, `models`, `results` or `items` too.  Only *model_id* is sure.
* The other lists are asked for by GET with the key in the URL, where logs and
  tracebacks show it: they are not asked for.
"""

from __future__ import annotations

import base64
import json

from .._magic import media_type
from ..results import JSON, Model
from .encode import api_url
from .json_text import compact_json, read_json
from .replies import CAP_BASE64_BYTES, Call, Reply, Success


_FIELDS = ("data", "models", "results", "items")


def encode_upload(base_url: str, data: bytes) -> Call:
    """
    The request that uploads a picture.
    """
    coded = base64.b64encode(data).decode()
    uri = f"data:{media_type(data)};base64,{coded}"
    url = api_url(base_url, "v6/base64_to_url")
    return Call(url, compact_json({"base64_string": uri}))


def uploaded_link(answer: object) -> str | None:
    """
    Where an uploaded file lies, if *answer* says so.
    """
    if isinstance(answer, Success) and answer.images:
        return answer.images[0].url
    return None


def encode_model_list(base_url: str) -> Call:
    """
    The request for the public models.
    """
    url = api_url(base_url, "v4/dreambooth/model_list")
    return Call(url, b"{}", CAP_BASE64_BYTES)


def read_model_list(reply: Reply) -> tuple[Model, ...] | None:
    """
    The models that *reply* lists; None where it is no list.
    """
    try:
        found = read_json(reply.body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict):
        found = next(filter(_is_list, map(found.get, _FIELDS)), None)
    if not isinstance(found, list) or reply.status >= 400:
        return None
    models: dict[str, Model] = {}
    for entry in found:
        model_id = entry.get("model_id") if isinstance(entry, dict) else None
        if isinstance(model_id, str) and model_id.strip():
            text = json.dumps(entry, separators=(",", ":")).encode()
            models.setdefault(model_id, Model(model_id.strip(), text))
    return tuple(models.values())


def _is_list(value: JSON) -> bool:
    return isinstance(value, list)
