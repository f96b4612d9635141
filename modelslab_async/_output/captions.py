"""
What is told of a picture on a page: its caption, and its details.

What was asked for is JSON here, as the manifest has it.  A picture that was
given is a link, a data URI, a file (``{"path": …}``) or a list of these, and
is told by its name: a data URI is as long as the picture is large.
"""

from __future__ import annotations

import json

from collections.abc import Iterator, Mapping

from ..results import JSON
from .manifest import ManifestRow


_LONGEST = 500


def spec_of(row: ManifestRow) -> Mapping[str, JSON]:
    """
    What was asked for.
    """
    spec = row.get("spec")
    return spec if isinstance(spec, dict) else {}


def model_of(spec: Mapping[str, JSON]) -> str:
    """
    What made it: the model, or an endpoint that has but one.
    """
    return str(spec.get("model_id") or spec.get("endpoint") or "")


def caption_of(spec: Mapping[str, JSON]) -> str:
    """
    What tells an item apart: its prompt, or else the picture that was given.
    """
    if spec.get("prompt"):
        return str(spec["prompt"])
    for name, value in spec.items():
        if value and ("image" in name or isinstance(value, dict | list)):
            return _picture_name(value)[:_LONGEST]
    return ""


def details_of(row: ManifestRow) -> Iterator[tuple[str, object]]:
    """
    All that is known of a picture but its prompt, by name.
    """
    for name, value in spec_of(row).items():
        if name not in {"prompt", "track_id", "seed"} and value is not None:
            yield name.replace("_", " "), _value_text(value)
    size = row.get("size_bytes")
    if isinstance(size, int):
        pixels = f"{row.get('width')} \u00d7 {row.get('height')} pixels"
        yield "picture", f"{pixels}, {size / 1000:,.0f} kB"
    for name, word in (
        ("seed", "seed"),
        ("item", "item"),
        ("id", "job"),
        ("track_id", "track id"),
        ("file", "file"),
    ):
        value = row.get(name)
        if value is not None:
            yield word, value
    for name in ("accepted", "finished"):
        date = row.get(f"{name}_at")
        if isinstance(date, str):
            yield name, f"{date[:19].replace('T', ' ')} UTC"


def _picture_name(value: JSON) -> str:
    if isinstance(value, list):
        return _picture_name(value[0]) if value else ""
    if isinstance(value, dict):
        value = value.get("path")
    text = value if isinstance(value, str) else ""
    if _is_data(text):
        return text[:100].partition(",")[0]
    # Without a query, which may be a secret.
    path = text.partition("?")[0].partition("#")[0].rstrip("/")
    return path.rpartition("/")[2]


def _value_text(value: JSON) -> str:
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        value = value["path"]
    if isinstance(value, list):
        return "; ".join(map(_value_text, value))[:_LONGEST]
    text = value if isinstance(value, str) else json.dumps(value)
    if _is_data(text):
        return f"{text[:100].partition(',')[0]}, …"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _is_data(text: str) -> bool:
    return text[:5].lower() == "data:"
