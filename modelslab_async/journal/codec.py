"""
Generations and errors as text, and back.
"""

from __future__ import annotations

import base64
import json

from collections.abc import Mapping
from typing import Any, cast

import attrs

from .. import errors
from ..errors import ModelsLabError, Problem
from ..results import JSON, Generation, Image


# Generations as text, and back.


def generation_json(generation: Generation) -> str:
    """
    All of a generation, as text for `generation_of`.
    """
    return _compact(_generation_facts(generation))


def generation_of(text: str) -> Generation:
    """
    The generation that `generation_json` was given.
    """
    return _generation(json.loads(text))


def _generation_facts(generation: Generation) -> dict[str, JSON]:
    return {
        "id": generation.id,
        "track_id": generation.track_id,
        "images": [
            {
                "index": image.index,
                "url": image.url,
                "proxy_url": image.proxy_url,
                "data": None
                if image.data is None
                else base64.b64encode(image.data).decode(),
            }
            for image in generation.images
        ],
        "seed": generation.seed,
        "generation_time": generation.generation_time,
        "nsfw": generation.nsfw,
        "meta": generation.meta_json.decode("utf-8", "surrogateescape"),
        "raw": generation.raw_json.decode("utf-8", "surrogateescape"),
    }


def _generation(facts: dict[str, Any]) -> Generation:
    return Generation(
        facts["id"],
        facts["track_id"],
        tuple(
            Image(
                image["index"],
                image["url"],
                image["proxy_url"],
                None
                if image["data"] is None
                else base64.b64decode(image["data"]),
            )
            for image in facts["images"]
        ),
        facts["seed"],
        facts["generation_time"],
        facts["nsfw"],
        facts["meta"].encode("utf-8", "surrogateescape"),
        facts["raw"].encode("utf-8", "surrogateescape"),
    )


def _without_data(text: str | None) -> str | None:
    """
    The same generation without the pictures that came inside of it: they are
    files now, and *raw* has them a second time.
    """
    if text is None or '"data":"' not in text:
        return text
    generation = generation_of(text)
    images = [attrs.evolve(image, data=None) for image in generation.images]
    return generation_json(
        attrs.evolve(generation, images=tuple(images), raw_json=b"{}")
    )


# Errors as text, and back.

_ERRORS: Mapping[str, type[ModelsLabError]] = {
    name: found
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, ModelsLabError)
}


@attrs.frozen
class SavedName:
    """
    A path of a `DownloadError` that was written down: open() takes it.
    """

    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def __fspath__(self) -> str:
        return self.path


def error_json(error: ModelsLabError) -> str:
    """
    All facts of one of our errors, and of its causes that are ours too, as
    text for `error_of`.

    A class that is not in `errors` is written down as its nearest parent.
    """
    return _compact(_error_facts(error))


def error_of(text: str | None) -> ModelsLabError:
    """
    The error that `error_json` was given.

    What cannot be read is a plain `ModelsLabError`, so that a report never
    fails.
    """
    try:
        return _error(json.loads(text or ""))
    except (ValueError, TypeError, LookupError, AttributeError):
        return ModelsLabError(f"an error that cannot be read: {text!r:.200}")


def _error_facts(error: ModelsLabError) -> dict[str, JSON]:
    kind = next(
        kind for kind in type(error).__mro__ if kind.__name__ in _ERRORS
    )
    facts: dict[str, JSON] = {"error": kind.__name__}
    if attrs.has(kind):
        facts["facts"] = {
            field.name: _packed(field.name, getattr(error, field.name))
            for field in attrs.fields(kind)
        }
    else:
        facts["facts"] = {"": str(error)}
    if isinstance(error.__cause__, ModelsLabError):
        facts["cause"] = _error_facts(error.__cause__)
    return facts


def _error(facts: dict[str, Any]) -> ModelsLabError:
    kind = _ERRORS[facts["error"]]
    error = kind(
        *(_unpacked(name, value) for name, value in facts["facts"].items())
    )
    if "cause" in facts:
        error.__cause__ = _error(facts["cause"])
    return error


def _packed(name: str, value: Any) -> JSON:
    match name, value:
        case "problems", tuple():
            return [[problem.field, problem.reason] for problem in value]
        case "generation", Generation():
            return _generation_facts(value)
        case "paths", tuple():
            return [path.__fspath__() for path in value]
    return cast("JSON", value)


def _unpacked(name: str, value: Any) -> Any:
    match name, value:
        case "problems", list():
            return tuple(Problem(*problem) for problem in value)
        case "generation", dict():
            return _generation(value)
        case "paths", list():
            return tuple(SavedName(path) for path in value)
    return value


def _compact(facts: JSON) -> str:
    # ASCII: half a character, which the service may send, goes on as an
    # escape. What no JSON has becomes its own text.
    return json.dumps(facts, separators=(",", ":"), default=str)
