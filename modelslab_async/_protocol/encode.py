"""
What we send: specs and polls as requests.

* Flags are `"yes"` and `"no"`: the page says boolean with the default `"yes"`,
  the older one says words, and every captured request has words.
* *lora_strength* is a string, `"0.45,0.55"`: the schema says integer, yet
  speaks of commas, which no integer has; the flux schema says string.
* None is not sent: the service's own default rules.
* The key is not here; `http` adds it as the bytes are written.
* A poll carries *request_id* too: one body then suits both documented forms,
  ``/fetch/{id}`` and ``/fetch``.
* *fetch_result* is followed only on the API's own origin, and only its path
  is taken: the key goes nowhere else, however an URL is spelt.
"""

from __future__ import annotations

import re

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import cattrs

from cattrs.gen import make_dict_unstructure_fn, override

from ..results import JSON
from ..specs import (
    Endpoint,
    Parameter,
    ParameterKind,
    Spec,
    for_each_kind,
    parameters,
)
from .json_text import compact_json
from .replies import CAP_BASE64_BYTES, CAP_BYTES, Call


def encode(spec: Spec, *, base_url: str, track_id: str) -> Call:
    """
    The request that asks for *spec*, under the name *track_id*.
    """
    endpoint = spec.endpoint
    body = _body_of(type(spec))(spec)
    extra = body.pop("extra", {})
    body["track_id"] = track_id
    return Call(
        f"{base_url.rstrip('/')}/{endpoint.path}",
        compact_json(body | extra),
        CAP_BASE64_BYTES if spec.inline else CAP_BYTES,
    )


def encode_poll(url: str, job_id: str, *, base64: bool = False) -> Call:
    """
    The request that asks at *url* how the job stands.
    """
    cap_bytes = CAP_BASE64_BYTES if base64 else CAP_BYTES
    return Call(url, compact_json({"request_id": job_id}), cap_bytes)


_FETCH_PATH = re.compile(
    r"(?:/[A-Za-z0-9_-]+)*/fetch(?:/([A-Za-z0-9_-]{1,128}))?/?"
)


def fetch_url(
    base_url: str, fetch_result: str | None, endpoint: Endpoint, job_id: str
) -> str:
    """
    Where to ask for a job: where the service says, if that is its own place.
    """
    base = base_url.rstrip("/")
    if fetch_result and (origin := _origin(fetch_result)) is not None:
        path = urlsplit(fetch_result).path
        if origin == _origin(base) and _FETCH_PATH.fullmatch(path):
            parts = urlsplit(base)
            return f"{parts.scheme}://{parts.netloc}{path}"
    return f"{base}/{endpoint.fetch_path}/{job_id}"


def other_fetch_url(base_url: str, endpoint: Endpoint) -> str:
    """
    The other documented form, where only the body names the job.
    """
    return f"{base_url.rstrip('/')}/{endpoint.fetch_path}"


def fetch_result_id(fetch_result: str | None) -> str | None:
    """
    The job's id as the end of *fetch_result* tells it.
    """
    try:
        path = urlsplit(fetch_result or "").path
    except ValueError:
        return None
    found = _FETCH_PATH.fullmatch(path)
    return found[1] if found else None


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port


_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def clean_id(value: object) -> str | None:
    """
    An id as text: at most 128 of ``[A-Za-z0-9_-]``; None where it is none.
    """
    if isinstance(value, float) and value.is_integer() and value < 2**53:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**127 else ""
    if not isinstance(value, str):
        return None
    value = value.strip()
    return value if _ID.fullmatch(value) else None


_converter = cattrs.Converter()


@for_each_kind
def _body_of(kind: type[Spec]) -> Callable[[Spec], dict[str, Any]]:
    """
    What makes the body of a kind of spec, without what was left out.
    """
    hooks: dict[str, Any] = {
        name: override(unstruct_hook=_wire_form(parameter, kind.endpoint))
        for name, parameter in parameters(kind).items()
    }
    return make_dict_unstructure_fn(
        kind, _converter, _cattrs_omit_if_default=True, **hooks
    )


def _wire_form(
    parameter: Parameter, endpoint: Endpoint
) -> Callable[[Any], JSON]:
    no, yes = endpoint.flags
    match parameter.kind:
        case ParameterKind.EXTRA:
            return dict
        case ParameterKind.WORD:
            return str
        case ParameterKind.FLAG:
            return lambda value: (no, yes)[value]
        case ParameterKind.UPSCALE:
            return lambda value: (
                (no, yes)[value] if isinstance(value, bool) else value
            )
        case ParameterKind.TEXTS:
            return _joined_texts
        case ParameterKind.NUMBERS:
            return _joined_numbers
    return lambda value: value


def _joined_texts(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _joined_numbers(value: float | tuple[float, ...]) -> str:
    numbers = value if isinstance(value, tuple) else (value,)
    return ",".join(repr(number).removesuffix(".0") for number in numbers)
