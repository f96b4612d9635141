"""
How the service reads a request: tolerant of how a value is spelt, strict
about a few ranges, deaf to what it does not know.
"""

from __future__ import annotations

import hashlib
import json

from collections.abc import Mapping

import attrs

from ._endpoints import Endpoint
from ._parameters import FLAGS, Parameter, Value, read, spoken


_DEFAULT_STEPS = 31
_DEFAULT_GUIDANCE = 7.5
_LARGEST_SEED = 2**32 - 1
#: A data URI in the books is shortened beyond so many characters.
_LONGEST = 256


@attrs.frozen
class Request:
    """
    What a request comes to.

    Attributes:
        values: What was sent and understood, by parameter.

        remarks: What the documentation has against it.
    """

    endpoint: Endpoint
    values: Mapping[str, object] = attrs.field(repr=False)
    remarks: tuple[str, ...] = ()

    def flag(self, name: str, *, default: bool) -> bool:
        """
        A flag, or what rules where it was not sent.
        """
        value = self.values.get(name)
        return default if value is None else value is True

    def number(self, name: str, default: float) -> float:
        """
        A number, or what rules where it was not sent.
        """
        value = self.values.get(name)
        return value if isinstance(value, int | float) else default

    def text(self, name: str) -> str | None:
        """
        A string, if it was sent.
        """
        value = self.values.get(name)
        return None if value is None else str(value)

    @property
    def prompt(self) -> str:
        """
        What is to be seen; empty where the endpoint needs none.
        """
        return self.text("prompt") or ""

    @property
    def model_id(self) -> str | None:
        """
        The model, if one was named.
        """
        return self.text("model_id") or None

    @property
    def samples(self) -> int:
        """
        How many pictures.
        """
        return int(self.number("samples", 1))

    @property
    def seed(self) -> int | None:
        """
        What was sent, if it can be a seed.
        """
        seed = self.values.get("seed")
        if not isinstance(seed, int) or not 0 <= seed <= _LARGEST_SEED:
            return None
        return None if seed in self.endpoint.any_seed else seed

    @property
    def steps(self) -> int:
        """
        Clamped, never refused: the community models' cap is 20, though the
        default of the same page is 31.
        """
        steps = self.number(
            "num_inference_steps", self.number("steps", _DEFAULT_STEPS)
        )
        most = 50 if self.is_flux or not self.endpoint.terse else 20
        return min(max(int(steps), 1), most)

    @property
    def guidance_scale(self) -> float:
        """
        Told in ``meta``.
        """
        return self.number("guidance_scale", _DEFAULT_GUIDANCE)

    @property
    def base64(self) -> bool:
        """
        Whether text is to come instead of a picture.
        """
        return self.endpoint.encodes and self.flag("base64", default=False)

    @property
    def temporary(self) -> bool:
        """
        Whether the files die after a day.
        """
        endpoint = self.endpoint
        return endpoint.always_temporary or self.flag(
            "temp", default=endpoint.temporary
        )

    @property
    def is_flux(self) -> bool:
        """
        Flux speaks another dialect of meta.
        """
        return (self.model_id or "").startswith("flux")

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """
        The pictures that came with it, by parameter.
        """
        found: dict[str, tuple[str, ...]] = {}
        for name in self.endpoint.pictures:
            value = self.values.get(name)
            if isinstance(value, tuple):
                found[name] = value
        return found


def read_request(
    endpoint: Endpoint,
    body: Mapping[str, object],
    *,
    strict: bool = False,
    only_booleans: bool = False,
) -> Request | dict[str, list[str]]:
    """
    Read a request.

    *strict* refuses what else is only remarked, *only_booleans* refuses
    flags that are no JSON booleans.

    Returns:
        What it comes to, or what is wrong with it, by field.
    """
    problems = _missing(endpoint, body)
    values: dict[str, object] = {}
    remarks = []
    for name, sent in body.items():
        if name == "key" or sent is None:
            continue
        parameter = endpoint.parameters.get(name)
        value = _UNKNOWN if parameter is None else _value(parameter, sent)
        if only_booleans and parameter and _is_spelt(parameter, sent):
            text = f"The {spoken(name)} field must be true or false."
            problems.setdefault(name, [text])
        elif value.problem:
            problems.setdefault(name, [value.problem])
        elif value.remark:
            remarks.append(f"{name}: {value.remark}")
        values[name] = value.value

    if strict and not problems:
        problems = {
            remark.partition(": ")[0]: [remark.partition(": ")[2]]
            for remark in remarks
        }
    if problems:
        return problems
    return Request(endpoint, values, tuple(remarks))


_UNKNOWN = Value(remark="not a parameter of this endpoint")


def _value(parameter: Parameter, sent: object) -> Value:
    return Value() if sent == "" else read(parameter, sent)


def _is_spelt(parameter: Parameter, sent: object) -> bool:
    """
    Whether it is a flag in another form than JSON's own.
    """
    return parameter.kind in FLAGS and not isinstance(sent, bool)


def _missing(
    endpoint: Endpoint, body: Mapping[str, object]
) -> dict[str, list[str]]:
    return {
        name: [f"The {spoken(name)} field is required."]
        for name in endpoint.required
        if body.get(name) in (None, "", [])
    }


def compact(body: Mapping[str, object], *, without: tuple[str, ...]) -> str:
    """
    Write a request down, without some of its fields; pictures in it by
    their beginning and their hash.
    """
    kept = {
        name: _shortened(value)
        for name, value in body.items()
        if name not in without
    }
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)


def _shortened(value: object) -> object:
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    if not isinstance(value, str) or not value.startswith("data:"):
        return value
    return shortened(value) if len(value) > _LONGEST else value


def shortened(uri: str) -> str:
    """
    A data URI to be read by people.
    """
    head, _, text = uri.partition(",")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    return f"{head[:64]},{text[:16]}…sha256:{digest.hexdigest()}"


def fingerprint(body: Mapping[str, object]) -> bytes:
    """
    What two requests have in common that ask for the same.
    """
    text = compact(
        dict(sorted(body.items())), without=("key", "track_id", "webhook")
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
