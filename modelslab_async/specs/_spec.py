"""
What every request is: its endpoint, its parameters, and who is told.

A spec is a frozen attrs class whose fields are declared as `_parameter` says.
It checks itself when it is made, and tells all faults at once.  A further
endpoint is such a class, an `Endpoint`, and its row in `SPECS`.
"""

from __future__ import annotations

import enum
import functools
import inspect
import typing
import warnings

from collections.abc import Callable, Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar, TypeVar, cast

import attrs

from ..errors import Problem, SpecError, SpecWarning
from ..results import JSON
from ._extra import Extra
from ._parameter import MoreParameters, Parameter, Prompt, Text, Url
from ._validation import checked, doubt


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


_NOTHING_MORE = Extra()


@attrs.frozen(kw_only=True, repr=False)
class Spec:
    """
    What the rest of the house knows of any request.

    Attributes:
        webhook: Where the service tells that the job has ended.

        track_id: Your name for the request; ours is 18 random digits.

        extra: Parameters that we don't know yet, sent as they are.
    """

    endpoint: ClassVar[Endpoint]

    webhook: Url = None
    track_id: Text = None
    extra: MoreParameters = _NOTHING_MORE

    @property
    def pictures(self) -> int:
        """
        How many pictures are asked for.
        """
        return getattr(self, "samples", None) or 1

    @property
    def given_seed(self) -> int | None:
        """
        The seed that was asked for, if any.
        """
        seed: int | None = getattr(self, "seed", None)
        return seed

    @property
    def inline(self) -> bool:
        """
        Whether answers may hold the pictures themselves, and so be long.
        """
        return bool(getattr(self, "base64", None))

    @property
    def kind(self) -> Hashable:
        """
        What jobs that take about as long have in common.
        """
        return (
            self.endpoint.name,
            getattr(self, "model_id", None),
            getattr(self, "samples", None),
        )

    @property
    def caption(self) -> str:
        """
        One line that tells it apart for people: what it is made from.
        """
        return " ".join(str(getattr(self, _first(type(self)))).split())

    def __attrs_post_init__(self) -> None:
        """
        Bring every value to its one form; tell all faults, then all doubts.
        """
        known = parameters(type(self))
        optional = _optional(type(self))
        problems: list[Problem] = []
        for name, parameter in known.items():
            given: object = getattr(self, name)
            if given is None and name in optional:
                continue
            try:
                value = checked(parameter, given)
            except ValueError as fault:
                problems.append(Problem(name, str(fault)))
                continue
            if isinstance(value, Extra):
                problems += _misplaced(value, known)
            if value is not given:
                object.__setattr__(self, name, value)
        if problems:
            raise SpecError(tuple(problems))
        model_id: object = getattr(self, "model_id", None)
        for name, parameter in known.items():
            value = getattr(self, name)
            if value is not None and (
                found := doubt(parameter, value, model_id)
            ):
                warnings.warn(
                    f"{name}: {found}", SpecWarning, stacklevel=_depth()
                )

    def __repr__(self) -> str:
        """
        What was asked for, without the thirty things that were not.
        """
        first = _first(type(self))
        shown = [repr(getattr(self, first))]
        fields = attrs.fields_dict(type(self))
        for name in parameters(type(self)):
            value: object = getattr(self, name)
            if name != first and value != fields[name].default:
                text = str(value) if isinstance(value, enum.Enum) else value
                shown.append(f"{name}={text!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@attrs.frozen(repr=False)
class FromPrompt(Spec):
    """
    A request that begins with its prompt.
    """

    prompt: Prompt


_Told = TypeVar("_Told")


def for_each_kind(
    tell: Callable[[type[Spec]], _Told],
) -> Callable[[type[Spec]], _Told]:
    """
    Keep what *tell* says of a kind of spec: kinds do not change.
    """
    # mypy takes the hash of a spec for that of its class.
    return cast("Callable[[type[Spec]], _Told]", functools.cache(tell))


@for_each_kind
def parameters(spec: type[Spec]) -> Mapping[str, Parameter]:
    """
    The facts of every parameter of a kind of spec, by name.

    In the order of the service's pages: what all requests have comes last.
    """
    hints = typing.get_type_hints(spec, include_extras=True)
    names = [field.name for field in attrs.fields(spec)]
    common = [field.name for field in attrs.fields(Spec)]
    return MappingProxyType(
        {
            name: hints[name].__metadata__[0]
            for name in (*names[len(common) :], *common)
        }
    )


@for_each_kind
def _optional(spec: type[Spec]) -> frozenset[str]:
    """
    The names that None leaves out.
    """
    fields = attrs.fields(spec)
    return frozenset(field.name for field in fields if field.default is None)


def _first(spec: type[Spec]) -> str:
    return next(iter(parameters(spec)))


def _misplaced(
    extra: Extra, known: Mapping[str, Parameter]
) -> Iterator[Problem]:
    """
    What has no business among the extra parameters.
    """
    for name in extra:
        if name.strip().casefold() == "key":
            yield Problem(
                "extra",
                "must not hold 'key': the API key is the client's, "
                "give it to ModelsLab()",
            )
        elif name in known:
            yield Problem(
                "extra", f"holds {name!r}; give it as {name}=... instead"
            )


def _depth() -> int:
    """
    The *stacklevel* of the line that asked for the spec.

    Between that line and us lie attrs' generated code and, for
    `attrs.evolve`, attrs itself.
    """
    depth, frame = 0, inspect.currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        ours = name.partition(".")[0] in {"attr", "attrs", "cattrs", _HOUSE}
        if not (ours or frame.f_code.co_filename.startswith("<attrs ")):
            break
        depth, frame = depth + 1, frame.f_back
    return depth


_HOUSE = __name__.partition(".")[0]
