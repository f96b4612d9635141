"""
How a parameter of a request is declared.

In the class of its endpoint it is one line: the name, a type that carries a
`Parameter` (`Annotated`), and whether it may be left out.  That line drives
the checks, what goes out, what is read from files, and the pages for people.
What several endpoints take alike has its name below.
"""

from __future__ import annotations

import enum
import math

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import attrs

from ..results import JSON
from . import words


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


def near(name: str, names: Iterable[str]) -> str:
    """
    ``"; did you mean 'width'?"`` where one of *names* is like *name*.
    """
    # Only who errs waits for it.
    import difflib

    found = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


# Parameters that must be said.


Prompt: TypeAlias = Annotated[str, Parameter(ParameterKind.TEXT)]


ModelId: TypeAlias = Annotated[str, Parameter(ParameterKind.TEXT)]


# Parameters that may be left out.


Text: TypeAlias = Annotated[str | None, Parameter(ParameterKind.TEXT)]


Url: TypeAlias = Annotated[str | None, Parameter(ParameterKind.URL)]


Flag: TypeAlias = Annotated[bool | None, Parameter(ParameterKind.FLAG)]


FlagNotForFlux: TypeAlias = Annotated[
    bool | None, Parameter(ParameterKind.FLAG, flux=False)
]


NegativePrompt: TypeAlias = Annotated[
    str | None, Parameter(ParameterKind.TEXT, blank=True, flux=False)
]


# 256 to 1024 is the page's; z-image-turbo takes 1488, controlnet 64.
Side: TypeAlias = Annotated[
    int | None,
    Parameter(
        ParameterKind.INTEGER, least=64, most=2048, step=8, usual=(256, 1024)
    ),
]


Samples: TypeAlias = Annotated[
    int | None, Parameter(ParameterKind.INTEGER, least=1, most=4)
]


# 31 is the page's own default, though half of it caps at 20.
Steps: TypeAlias = Annotated[
    int | None,
    Parameter(ParameterKind.INTEGER, least=1, most=100, usual=(1, 31)),
]


Guidance: TypeAlias = Annotated[
    float | None,
    Parameter(ParameterKind.NUMBER, least=0, most=30, usual=(1, 20)),
]


Share: TypeAlias = Annotated[
    float | None, Parameter(ParameterKind.NUMBER, least=0, most=1)
]


Seed: TypeAlias = Annotated[
    int | None, Parameter(ParameterKind.INTEGER, least=0, most=2**32 - 1)
]


ClipSkip: TypeAlias = Annotated[
    int | None, Parameter(ParameterKind.INTEGER, least=1, most=8)
]


LoraModel: TypeAlias = Annotated[
    str | Sequence[str] | None, Parameter(ParameterKind.TEXTS)
]


LoraStrength: TypeAlias = Annotated[
    float | Sequence[float] | None,
    Parameter(ParameterKind.NUMBERS, usual=(0.1, 1)),
]


Upscale: TypeAlias = Annotated[
    bool | Literal[1, 2, 3] | None,
    Parameter(ParameterKind.UPSCALE, flux=False),
]


Scheduler: TypeAlias = Annotated[
    words.Scheduler | str | None,
    Parameter(ParameterKind.WORD, words=words.Scheduler),
]


SafetyCheckerType: TypeAlias = Annotated[
    words.SafetyCheckerType | str | None,
    Parameter(ParameterKind.WORD, words=words.SafetyCheckerType),
]


AlgorithmType: TypeAlias = Annotated[
    words.AlgorithmType | str | None,
    Parameter(ParameterKind.WORD, words=words.AlgorithmType),
]


IPAdapter: TypeAlias = Annotated[
    words.IPAdapter | str | None,
    Parameter(ParameterKind.WORD, words=words.IPAdapter, flux=False),
]


MoreParameters: TypeAlias = Annotated[
    Mapping[str, JSON], Parameter(ParameterKind.EXTRA)
]
