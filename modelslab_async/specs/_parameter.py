"""
How a parameter of a request is declared.
"""

from __future__ import annotations

import enum
import functools
import json
import math

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import attrs

from ..results import JSON


@attrs.frozen(eq=False, repr=False)
class Extra(Mapping[str, JSON]):
    """
    Parameters that we don't know yet: a mapping that is read-only and hashes.

    Attributes:
        text: Canonical JSON; parsed afresh at each look.
    """

    text: str = "{}"

    @classmethod
    def of(cls, values: Mapping[str, JSON]) -> Extra:
        """
        Keep *values* as canonical JSON.

        Raises:
            TypeError, ValueError, RecursionError: They are no JSON.
        """
        if not all(isinstance(name, str) for name in values):
            raise TypeError("names must be text")
        text = json.dumps(
            dict(values),
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )
        text.encode()
        return cls(text)

    def _values(self) -> dict[str, JSON]:
        values: dict[str, JSON] = json.loads(self.text)
        return values

    def __getitem__(self, name: str) -> JSON:
        return self._values()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Extra):
            return self.text == other.text
        return self._values() == other

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return repr(self._values())


@attrs.frozen
class Endpoint:
    """
    Where a spec is sent, and how that place likes its flags.

    Attributes:
        name: The word that journals and the shell use.

        path: Below the base URL.

        fetch_path: Where its jobs are asked for, below the base URL.

        flags: What stands for False and for True on the wire.
    """

    name: str
    path: str
    fetch_path: str
    flags: tuple[JSON, JSON] = ("no", "yes")


class Spec(Protocol):
    """
    What the rest of the house needs to know of a request.
    """

    endpoint: ClassVar[Endpoint]
    __attrs_attrs__: ClassVar[Any]

    @property
    def prompt(self) -> str: ...

    @property
    def model_id(self) -> str: ...

    @property
    def samples(self) -> int | None: ...

    @property
    def base64(self) -> bool | None: ...

    @property
    def webhook(self) -> str | None: ...

    @property
    def track_id(self) -> str | None: ...

    @property
    def extra(self) -> Mapping[str, JSON]: ...


class ParameterKind(enum.Enum):
    """
    What a parameter is made of.
    """

    TEXT = "text"
    URL = "an http or https URL"
    FLAG = "True or False"
    INTEGER = "a whole number"
    NUMBER = "a number"
    WORD = "one of"
    #: One text, or a sequence of them; joined with commas on the wire.
    TEXTS = "text or a sequence of texts"
    #: As TEXTS, of numbers; a string on the wire.
    NUMBERS = "a number or a sequence of numbers"
    #: A flag, or how many times as large.
    UPSCALE = "True, False, 1, 2 or 3"
    EXTRA = "a mapping of names to JSON values"


@attrs.frozen
class Parameter:
    """
    The facts of one parameter, declared once.

    Attributes:
        least: The lowest number that any source allows.

        most: The highest number that any source allows.

        step: What a whole number must be divisible by.

        usual: Numbers outside of these give a `SpecWarning`.

        words: What a `ParameterKind.WORD` may be.

        blank: Whether an empty text is fine, and stands for None.

        flux: Whether models of the flux family take it.
    """

    kind: ParameterKind
    least: float = -math.inf
    most: float = math.inf
    step: int = 1
    usual: tuple[float, float] = (-math.inf, math.inf)
    words: type[enum.StrEnum] | None = None
    blank: bool = False
    flux: bool = True

    @property
    def field(self) -> Mapping[str, Parameter]:
        """
        What an attrs field takes as its *metadata*.
        """
        return {"parameter": self}

    @property
    def wanted(self) -> str:
        """
        What it must be, in words.
        """
        wanted = self.kind.value
        if self.words is not None:
            wanted += " " + ", ".join(repr(str(word)) for word in self.words)
        if self.most < math.inf:
            wanted += f" from {self.least:g} to {self.most:.0f}"
        if self.step > 1:
            wanted += f", divisible by {self.step}"
        return wanted


_TEXT = Parameter(ParameterKind.TEXT).field


_URL = Parameter(ParameterKind.URL).field


_FLAG = Parameter(ParameterKind.FLAG).field


# 256 to 1024 is the page's; z-image-turbo takes 1488, controlnet 64.
_SIDE = Parameter(
    ParameterKind.INTEGER, least=64, most=2048, step=8, usual=(256, 1024)
).field


@functools.cache
def parameters(spec: type[Spec]) -> Mapping[str, Parameter]:
    """
    The facts of every parameter of a kind of spec, by name.
    """
    return MappingProxyType(
        {
            field.name: field.metadata["parameter"]
            for field in spec.__attrs_attrs__
        }
    )


def near(name: str, names: Iterable[str]) -> str:
    """
    ``"; did you mean 'width'?"`` where one of *names* is like *name*.
    """
    # Only who errs waits for it.
    import difflib

    found = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
