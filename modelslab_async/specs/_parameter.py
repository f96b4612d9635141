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

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from ..results import JSON


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
    PICTURE = "an http or https URL, a data URI or a pathlib.Path"
    #: One picture, which stays one on the wire, or a sequence of them.
    PICTURES = "a URL, a data URI, a pathlib.Path, or a sequence of these"
    EXTRA = "a mapping of names to JSON values"


@attrs.frozen(eq=False, repr=False)
class Parameter:
    """
    The facts of one parameter, declared once.

    Attributes:
        least: The lowest number that any source allows.

        most: The highest number that any source allows; of pictures, how
            many.

        step: What a whole number must be divisible by.

        usual: Numbers outside of these give a `SpecWarning`.

        usual_values: Where there are any, others give a `SpecWarning`.

        words: What a word must be, and the words of a list.

        more_words: What a word may be besides, without a name of ours.

        blank: Whether an empty text is fine, and stands for None.

        flux: Whether models of the flux family take it.

        flags: What stands for False and True on the wire, where not as in
            the rest of the family; None is left out.

        twin: Another name that it goes out under as well.

        default: What the service takes where nothing is said, as a page or
            an answer tells.

        about: What to know of it.

        instead: What to do in place of a number outside of these, to follow
            on what is wrong.

        source: Where that is from: "seen" in captured requests and answers,
            "schema", "prose" of a page, "clients" of other people.
    """

    kind: ParameterKind
    least: float = -math.inf
    most: float = math.inf
    step: int = 1
    usual: tuple[float, float] = (-math.inf, math.inf)
    usual_values: tuple[float | str, ...] = ()
    words: type[enum.StrEnum] | None = None
    more_words: tuple[str, ...] = ()
    blank: bool = False
    flux: bool = True
    flags: tuple[JSON, JSON] | None = None
    twin: str | None = None
    default: JSON = None
    about: str = ""
    instead: str = ""
    source: str = ""

    @property
    def wanted(self) -> str:
        """
        What it must be, in words.
        """
        wanted = self.kind.value
        if self.words is not None:
            words = (*self.words, *self.more_words)
            among = "" if self.kind is ParameterKind.WORD else " among"
            listed = ", ".join(repr(str(word)) for word in words)
            wanted += f"{among} {listed}"
        if self.kind is ParameterKind.PICTURES:
            return f"{wanted}, at most {self.most:.0f}"
        if self.most < math.inf:
            wanted += f" from {self.least:g} to {self.most:.12g}"
        if self.step > 1:
            wanted += f", divisible by {self.step}"
        return wanted

    @property
    def is_picture(self) -> bool:
        """
        Whether it takes pictures.
        """
        return self.kind in {ParameterKind.PICTURE, ParameterKind.PICTURES}

    def described(self, *, required: bool) -> str:
        """
        All of its facts in a sentence or two.
        """
        said = self.wanted
        if self.usually:
            said += f" (usual: {self.usually})"
        if required:
            said += ", required"
        if self.default is not None:
            said += f", default {self.default!r}"
        if self.about:
            said += f"; {self.about}"
        if self.source:
            said += f".  Source: {self.source}"
        return f"{said}."

    def is_usual(self, value: float | str) -> bool:
        """
        Whether no source has anything against *value*.
        """
        if self.usual_values:
            return value in self.usual_values
        low, high = self.usual
        return isinstance(value, str) or low <= value <= high

    @property
    def usually(self) -> str:
        """
        What gives no warning, in words; nothing where all does.
        """
        if self.usual_values:
            return ", ".join(map(str, self.usual_values))
        low, high = self.usual
        if low == -math.inf:
            return ""
        return f"{low:g} to {high:g}"


@attrs.frozen(eq=False, repr=False)
class Note:
    """
    What is different about a parameter at one endpoint.

    Attributes:
        facts: Facts of its `Parameter`, by name.
    """

    facts: Mapping[str, Any]

    def of(self, parameter: Parameter) -> Parameter:
        """
        *parameter* with these facts.
        """
        return attrs.evolve(parameter, **self.facts)


def note(
    about: str = "", default: JSON = None, source: str = "", **facts: Any
) -> Note:
    """
    A `Note` in few words.
    """
    said = {"about": about, "default": default, "source": source}
    return Note(
        {name: fact for name, fact in said.items() if fact not in (None, "")}
        | facts
    )


#: No slip of a known name is longer.
_LONGEST_SLIP = 60
#: From 0 to 1; what difflib finds close.
_ALIKE = 0.6


def near(name: str, names: Iterable[str]) -> str:
    """
    ``"; did you mean 'width'?"`` where one of *names* is like *name*.
    """
    if len(name) > _LONGEST_SLIP:
        return ""
    # Only who errs waits for it.
    from difflib import SequenceMatcher

    matcher = SequenceMatcher(b=_bare(name))

    def alike(text: str) -> float:
        matcher.set_seq1(text)
        likely = matcher.real_quick_ratio() >= _ALIKE
        return matcher.ratio() if likely else 0.0

    best, most = "", _ALIKE
    for known in names:
        bare = _bare(known)
        # One word of several is a slip, too, if a greater one.
        words = [each for each in bare.split("_") if len(each) > 3]
        ratio = max(alike(bare), *(0.9 * alike(each) for each in words), 0.0)
        if ratio >= most and (ratio > most or not best):
            best, most = known, ratio
    return f"; did you mean {best!r}?" if best else ""


def _bare(name: str) -> str:
    return name.strip("-").casefold().replace("-", "_")
