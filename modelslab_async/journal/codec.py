"""
Receipts, generations and errors as text, and back.

* The text is ASCII JSON: half a character, which the service may send, goes
  on as an escape.
* What is as its class has it by default is left out.
* Bytes that are JSON already, the service's echo and its reply, stay text to
  be read by people; pictures are base64.
* Numbers, words and JSON are taken as they are: that they are what their
  field says was seen to where they came in.
* Errors keep their causes that are ours too. A class of somebody else's is
  written down as its nearest parent in `errors`.
"""

from __future__ import annotations

import base64
import json

from collections.abc import Callable, Mapping
from typing import get_args, get_origin

import attrs
import cattrs

from cattrs.gen import (
    make_dict_structure_fn,
    make_dict_unstructure_fn,
    override,
)

from .. import errors
from ..errors import ModelsLabError, SavedPath
from ..results import JSON, Generation, Receipt


# As text, and back.


def receipt_json(receipt: Receipt) -> str:
    """
    All of a receipt, as text for `receipt_of`.
    """
    return _text(_converter.unstructure(receipt, Receipt))


def receipt_of(text: str) -> Receipt:
    """
    The receipt that `receipt_json` was given.
    """
    return _converter.structure(json.loads(text), Receipt)


def generation_json(generation: Generation) -> str:
    """
    All of a generation, as text for `generation_of`.
    """
    return _text(_converter.unstructure(generation, Generation))


def generation_of(text: str) -> Generation:
    """
    The generation that `generation_json` was given.
    """
    return _converter.structure(json.loads(text), Generation)


def without_pictures(text: str) -> str:
    """
    The same generation without the pictures that came inside of it: they are
    files now, and *raw* has them a second time.
    """
    if '"data":"' not in text:
        return text
    generation = generation_of(text)
    images = [attrs.evolve(image, data=None) for image in generation.images]
    return generation_json(
        attrs.evolve(generation, images=tuple(images), raw_json=b"{}")
    )


def error_json(error: ModelsLabError) -> str:
    """
    All facts of one of our errors, as text for `error_of`.
    """
    return _text(_converter.unstructure(_written(error)))


def error_of(text: str) -> ModelsLabError:
    """
    The error that `error_json` was given.

    What cannot be read is a plain `ModelsLabError`, so that a report never
    fails.
    """
    try:
        return _unpacked_value(
            _converter.structure(json.loads(text), _WrittenError)
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        return ModelsLabError(f"an error that cannot be read: {text!r:.200}")


# Errors.

_ERRORS: Mapping[str, type[ModelsLabError]] = {
    name: found
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, ModelsLabError)
}


@attrs.frozen
class _WrittenError:
    """
    An error as JSON has it.

    Attributes:
        error: The name of its class.

        facts: By name; that of a class without any is its sentence.
    """

    error: str
    facts: dict[str, JSON]
    cause: _WrittenError | None = None


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


def _written(error: ModelsLabError) -> _WrittenError:
    kind = next(
        kind for kind in type(error).__mro__ if kind.__name__ in _ERRORS
    )
    cause = error.__cause__
    return _WrittenError(
        kind.__name__,
        _converter.unstructure(error, kind)
        if _has_facts(kind)
        else {"": str(error)},
        _written(cause) if isinstance(cause, ModelsLabError) else None,
    )


def _has_facts(kind: type) -> bool:
    return attrs.has(kind)


def _unpacked_value(written: _WrittenError) -> ModelsLabError:
    kind = _ERRORS[written.error]
    error: ModelsLabError = (
        _converter.structure(written.facts, kind)
        if _has_facts(kind)
        else kind(*written.facts.values())
    )
    if written.cause is not None:
        error.__cause__ = _unpacked_value(written.cause)
    return error


# The rules.


def _text(facts: JSON) -> str:
    # What no JSON has becomes its own text.
    return json.dumps(facts, separators=(",", ":"), default=str)


def _same(value: object, _: object = None) -> object:
    return value


def _is_plain(kind: object) -> bool:
    """
    Whether JSON has it as we do: no class of ours is in it, and no bytes.
    """
    if get_origin(kind) is tuple or kind in {bytes, SavedPath}:
        return False
    parts = get_args(kind)
    if parts and type(None) in parts:
        return all(_is_plain(part) for part in parts)
    return not attrs.has(kind)  # type: ignore[arg-type]  # anything may ask


def _json_text(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")


def _json_bytes(text: str, _: object) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _reader(kind: type) -> Callable[..., object]:
    hooks = {
        field.name: override(struct_hook=_json_bytes)
        for field in attrs.fields(kind)
        if field.name.endswith("_json")
    }
    return make_dict_structure_fn(
        kind,
        _converter,
        _cattrs_include_init_false=True,
        **hooks,  # type: ignore[arg-type]  # might be an option, for mypy
    )


def _writer(kind: type) -> Callable[..., object]:
    hooks = {
        field.name: override(unstruct_hook=_json_text)
        for field in attrs.fields(kind)
        if field.name.endswith("_json")
    }
    return make_dict_unstructure_fn(
        kind,
        _converter,
        _cattrs_omit_if_default=True,
        _cattrs_include_init_false=True,
        **hooks,  # type: ignore[arg-type]  # might be an option, for mypy
    )


_converter = cattrs.Converter(detailed_validation=False)
for _kind in (str, int, float, bool):
    _converter.register_structure_hook(_kind, _same)
_converter.register_structure_hook_func(_is_plain, _same)
_converter.register_unstructure_hook_func(_is_plain, _same)
_converter.register_structure_hook_factory(attrs.has, _reader)
_converter.register_unstructure_hook_factory(attrs.has, _writer)
_converter.register_structure_hook(
    bytes, lambda text, _: base64.b64decode(text)
)
_converter.register_unstructure_hook(
    bytes, lambda data: base64.b64encode(data).decode()
)
_converter.register_structure_hook(SavedPath, lambda path, _: SavedName(path))
_converter.register_unstructure_hook(SavedPath, lambda path: path.__fspath__())
