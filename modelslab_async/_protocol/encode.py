"""
What we send: specs and polls as requests.

* Flags are `"yes"` and `"no"`: the page says boolean with the default `"yes"`,
  the older one says words, and every captured request has words.
* *lora_strength* is a string, `"0.45,0.55"`: the schema says integer, yet
  speaks of commas, which no integer has; the flux schema says string.
* None is not sent: the service's own default rules.
* realtime, image_editing, faceswap, interior and v7 have real booleans, and
  a few of their flags words of their own: `Parameter.flags` says which.
* inpaint's *steps* and *num_inference_steps* are one number, sent twice.
* *track_id* goes out as text, also where a page wants an integer: ours has 18
  digits, more than a JSON number keeps, and every answer has text.
* Pictures go out as they were given, one as text, a sequence as a list; a
  local file goes out as the URL that it was uploaded to.
* v5 and v7 lie beside v6, where the base URL ends; a base of one's own that
  ends in no version stands for v6, and the others lie below it.
* The key is not here; `http` adds it as the bytes are written.
* A poll carries *request_id* too: one body then suits both documented forms,
  ``/fetch/{id}`` and ``/fetch``.
"""

from __future__ import annotations

import functools
import re

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs
import cattrs

from cattrs.gen import make_dict_unstructure_fn, override

from ..results import JSON
from ..specs import (
    Endpoint,
    LocalFile,
    Parameter,
    ParameterKind,
    Spec,
    for_each_kind,
    parameters,
    picture_parameters,
)
from .json_text import compact_json, json_string
from .replies import ANSWER_CAP_BYTES, CAP_BASE64_BYTES, Call


_NO_URLS: Mapping[str, str] = MappingProxyType({})


_VERSION = re.compile(r"v[0-9]{1,3}")


def encode(
    spec: Spec,
    *,
    base_url: str,
    track_id: str,
    urls: Mapping[str, str] = _NO_URLS,
    webhook: str | None = None,
) -> Call:
    """
    The request that asks for *spec*, under the name *track_id*.

    *urls* says where the local files of `Spec.uploads` are, by SHA-256;
    *webhook* is called for a spec that has none.
    """
    kind = type(spec)
    body = _body_of(kind)(spec)
    extra = body.pop("extra", {})
    for name in picture_parameters(kind):
        if name in body:
            body[name] = _placed(body[name], urls)
    for name, twin in _twins(kind):
        if name in body:
            body[twin] = body[name]
    body["track_id"] = track_id
    if body.get("webhook") is None:
        body["webhook"] = webhook
    for name in [name for name, value in body.items() if value is None]:
        del body[name]
    return Call(
        api_url(base_url, spec.endpoint.path),
        compact_json(body | extra),
        CAP_BASE64_BYTES if spec.inline else ANSWER_CAP_BYTES,
    )


@functools.lru_cache(maxsize=256)
def api_url(base_url: str, path: str) -> str:
    """
    Where *path*, which begins with its version, lies for that base URL.
    """
    base = base_url.rstrip("/")
    root, _, last = base.rpartition("/")
    if _VERSION.fullmatch(last):
        return f"{root}/{path}"
    return f"{base}/{path.removeprefix('v6/')}"


def encode_poll(url: str, job_id: str, *, base64: bool = False) -> Call:
    """
    The request that asks at *url* how the job stands.
    """
    cap_bytes = CAP_BASE64_BYTES if base64 else ANSWER_CAP_BYTES
    return Call(url, b'{"request_id":%b}' % json_string(job_id), cap_bytes)


_converter = cattrs.Converter()


@for_each_kind
def _body_of(kind: type[Spec]) -> Callable[[Spec], dict[str, Any]]:
    """
    What makes the body of a kind of spec, without what was left out.
    """
    fields = attrs.fields_dict(kind)
    hooks: dict[str, Any] = {
        name: override(
            # A default of ours is said, one of the service's is not.
            omit_if_default=fields[name].default is None
            or parameter.kind is ParameterKind.EXTRA,
            unstruct_hook=_wire_form(parameter, kind.endpoint),
        )
        for name, parameter in parameters(kind).items()
    }
    return make_dict_unstructure_fn(kind, _converter, **hooks)


@for_each_kind
def _twins(kind: type[Spec]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, one.twin)
        for name, one in parameters(kind).items()
        if one.twin is not None
    )


def _placed(picture: Any, urls: Mapping[str, str]) -> JSON:
    if isinstance(picture, tuple):
        return [_placed(one, urls) for one in picture]
    if isinstance(picture, LocalFile):
        return urls[picture.sha256]
    given: str = picture
    return given


def _wire_form(
    parameter: Parameter, endpoint: Endpoint
) -> Callable[[Any], JSON]:
    no, yes = parameter.flags or endpoint.family.flags
    match parameter.kind:
        case ParameterKind.EXTRA:
            return dict
        case ParameterKind.WORD:
            return str
        case ParameterKind.FLAG:
            return lambda value: None if value is None else (no, yes)[value]
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
