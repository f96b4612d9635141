"""
What every request is: its endpoint, its parameters, and who is told.

A spec is a frozen attrs class whose fields are declared as `_parameter` says.
It checks itself when it is made, and tells all faults at once.  A further
endpoint is such a class, an `Endpoint`, and its row in `_registry`.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
import typing
import warnings

from collections.abc import Callable, Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar, cast

import attrs

from ..errors import Problem, SpecError, SpecWarning
from ..results import JSON
from ._arguments import Taken, telling_slips
from ._endpoint import Endpoint
from ._extra import Extra
from ._local_file import LocalFile
from ._parameter import Note, Parameter, ParameterKind
from ._show import picture_name, shown
from ._validation import checked, doubt


Webhook: TypeAlias = Annotated[
    str | None,
    Parameter(
        ParameterKind.URL,
        about="is told when the job has ended",
        source="schema",
    ),
]


TrackId: TypeAlias = Annotated[
    str | None,
    Parameter(
        ParameterKind.TEXT,
        about=(
            "your name for the request, which need not be unique; "
            "18 digits of ours where you give none"
        ),
        source="seen",
    ),
]


MoreParameters: TypeAlias = Annotated[
    Mapping[str, JSON],
    Parameter(
        ParameterKind.EXTRA,
        about="parameters that we don't know yet, sent as they are",
        source="ours",
    ),
]


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

    webhook: Webhook = None
    """An http or https URL; is told when the job has ended."""
    track_id: TrackId = None
    """
    Text; your name for the request, which need not be unique; 18 digits of
    ours where you give none.
    """
    extra: MoreParameters = _NOTHING_MORE
    """
    A mapping of names to JSON values; parameters that we don't know yet, sent
    as they are.
    """

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
    def given_model(self) -> str | None:
        """
        The model that was asked for, where the endpoint has several.
        """
        model: str | None = getattr(self, "model_id", None)
        return model

    def redact(self, text: str) -> str:
        """
        *text* without the prompts, which are nobody's business: the service
        may repeat them in what it says.
        """
        for name in ("prompt", "negative_prompt"):
            prompt: object = getattr(self, name, None)
            if isinstance(prompt, str) and len(prompt) > 1:
                text = text.replace(prompt, "…")
                text = text.replace(repr(prompt)[1:-1], "…")
        return text

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
        One line that tells it apart for people: the prompt, or the picture.
        """
        for name, parameter in parameters(type(self)).items():
            value: object = getattr(self, name)
            if name == "prompt" and value is not None:
                return " ".join(str(value).split())
            if parameter.is_picture and value is not None:
                return picture_name(value)
        return self.endpoint.name

    @property
    def uploads(self) -> tuple[LocalFile, ...]:
        """
        The local files that must be uploaded before it can be sent.
        """
        pictures = picture_parameters(type(self))
        if all(getattr(self, name) is None for name in pictures):
            return ()
        return tuple(file for _, file in local_files(self))

    def faults(self) -> Iterator[Problem]:
        """
        What is wrong with its values together.
        """
        yield from ()

    def doubts(self) -> Iterator[str]:
        """
        What not every model takes, of its values together.
        """
        if (
            self.endpoint.family.numeric_track_id
            and self.track_id is not None
            and not self.track_id.isdecimal()
        ):
            yield "track_id: a number, says this endpoint's page"

    def __attrs_post_init__(self) -> None:
        """
        Bring every value to its one form; tell all faults, then all doubts.
        """
        kind = type(self)
        problems: list[Problem] = []
        said: list[tuple[str, Parameter, object]] = []
        for name, parameter, optional in _table(kind):
            given: object = getattr(self, name)
            if given is None and optional:
                continue
            try:
                value = checked(parameter, given)
            except ValueError as fault:
                problems.append(Problem(name, str(fault)))
                continue
            if isinstance(value, Extra) and value is not _NOTHING_MORE:
                problems += _misplaced(value, parameters(kind))
            if value is not given:
                object.__setattr__(self, name, value)
            said.append((name, parameter, value))
        if problems or (problems := [*self.faults()]):
            raise SpecError(tuple(problems))
        self._unify()
        model_id: object = getattr(self, "model_id", None)
        for name, parameter, value in said:
            if found := doubt(parameter, value, model_id):
                _warn(f"{name}: {found}")
        for found in self.doubts():
            _warn(found)

    def _unify(self) -> None:
        """
        Give what goes out equal one form: a number with two names, and a
        flag that goes out only where it is True.
        """
        for name, parameter in _of_many_forms(type(self)):
            value: object = getattr(self, name)
            if parameter.twin is not None and value is not None:
                object.__setattr__(self, parameter.twin, value)
            if parameter.flags is not None and value is False:
                object.__setattr__(self, name, None)

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        init = telling_slips(cls.__init__, functools.partial(_taken, cls))
        # Said so that no type checker takes it for a declaration.
        setattr(cls, "__init__", init)  # noqa: B010
        if "endpoint" in vars(cls) and cls.__doc__:
            cls.__doc__ = _documented(cls)

    def __repr__(self) -> str:
        """
        What was asked for, without the thirty things that were not.
        """
        kind = type(self)
        first = next(iter(parameters(kind)))
        said: list[str] = []
        fields = attrs.fields_dict(kind)
        for name in parameters(kind):
            value: object = getattr(self, name)
            if name == first and value is not None:
                said.append(shown(value))
            elif value != fields[name].default:
                said.append(f"{name}={shown(value)}")
        return f"{kind.__name__}({', '.join(said)})"


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

    What must be said comes first, and what all requests have last.
    """
    # JSON speaks of itself, by a name that is not known here.
    hints = typing.get_type_hints(
        spec, localns={"JSON": JSON}, include_extras=True
    )
    common = [field.name for field in attrs.fields(Spec)]
    own = [field for field in attrs.fields(spec) if field.name not in common]
    # What must be said stands first, whichever base it is from.
    own.sort(
        key=lambda field: (field.kw_only, field.default is not attrs.NOTHING)
    )
    names = [field.name for field in own]
    return MappingProxyType(
        {name: _declared(hints[name]) for name in (*names, *common)}
    )


@for_each_kind
def picture_parameters(spec: type[Spec]) -> tuple[str, ...]:
    """
    The names of the parameters that take pictures.
    """
    return tuple(
        name for name, one in parameters(spec).items() if one.is_picture
    )


def local_files(spec: Spec) -> Iterator[tuple[str, LocalFile]]:
    """
    The local files of a spec, each content once, with its parameter's name.
    """
    seen: set[str] = set()
    for name in picture_parameters(type(spec)):
        value: object = getattr(spec, name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, LocalFile) and one.sha256 not in seen:
                seen.add(one.sha256)
                yield name, one


@for_each_kind
def _of_many_forms(spec: type[Spec]) -> tuple[tuple[str, Parameter], ...]:
    """
    Parameters that have a twin, or are left out where they are False.
    """
    return tuple(
        (name, one)
        for name, one in parameters(spec).items()
        if one.twin is not None or (one.flags and one.flags[0] is None)
    )


def required_parameters(spec: type[Spec]) -> tuple[str, ...]:
    """
    The names of the parameters that must be given.
    """
    fields = attrs.fields_dict(spec)
    return tuple(
        name
        for name in parameters(spec)
        if fields[name].default is attrs.NOTHING
    )


def _taken(spec: type[Spec]) -> Taken:
    return Taken(
        spec.endpoint.name,
        parameters(spec),
        required_parameters(spec),
        tuple(one.name for one in attrs.fields(spec) if not one.kw_only),
    )


def _declared(hint: Any) -> Parameter:
    facts: tuple[Parameter, *tuple[Note, ...]] = hint.__metadata__
    parameter, *notes = facts
    for note in notes:
        parameter = note.of(parameter)
    return parameter


@for_each_kind
def _table(spec: type[Spec]) -> tuple[tuple[str, Parameter, bool], ...]:
    """
    Name and facts of each parameter, and whether None leaves it out.
    """
    fields = attrs.fields_dict(spec)
    return tuple(
        (
            name,
            one,
            name != "extra" and fields[name].default is not attrs.NOTHING,
        )
        for name, one in parameters(spec).items()
    )


def _documented(spec: type[Spec]) -> str:
    """
    The docstring of a kind of spec, with each of its parameters.
    """
    lines = [inspect.cleandoc(spec.__doc__ or ""), "", "Attributes:"]
    needed = required_parameters(spec)
    for name, parameter in parameters(spec).items():
        text = f"{name}: {parameter.described(required=name in needed)}"
        lines += textwrap.wrap(
            text,
            71,
            initial_indent="    ",
            subsequent_indent="        ",
            break_on_hyphens=False,
            break_long_words=False,
        )
        lines.append("")
    return "\n".join(lines)


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


def _warn(doubt: str) -> None:
    warnings.warn(doubt, SpecWarning, stacklevel=_depth())


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
