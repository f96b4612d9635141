"""
What a spec is made with: a slip in a name is told as any other fault is, and
with all others.
"""

from __future__ import annotations

import functools

from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs

from ..errors import Problem, SpecError
from ._parameter import Parameter, near
from ._validation import checked, told


class ArgumentError(SpecError, TypeError):
    """
    A parameter that there is not, or one that is missing.
    """


@attrs.frozen(repr=False)
class Taken:
    """
    What a kind of spec takes.

    Attributes:
        endpoint: Its name.

        known: The facts of each parameter.

        required: What must be given.

        places: What may be given without its name, in order.
    """

    endpoint: str
    known: Mapping[str, Parameter]
    required: tuple[str, ...]
    places: tuple[str, ...]

    def slips(
        self, args: tuple[object, ...], named: Mapping[str, object]
    ) -> Iterator[Problem]:
        """
        Names that are none or are missing, and what is wrong besides; nothing
        where the names are right.
        """
        given = {**dict(zip(self.places, args, strict=False)), **named}
        slips = [
            Problem(" and ".join(self.places), f"give {told(one)} by its name")
            for one in args[len(self.places) :]
        ]
        slips += [
            stranger(self.endpoint, name, self.known)
            for name in named
            if name not in self.known
        ]
        slips += [
            Problem(name, "is required")
            for name in self.required
            if name not in given
        ]
        if not slips:
            return
        yield from slips
        for name, value in given.items():
            if name in self.known and value is not None:
                try:
                    checked(self.known[name], value)
                except ValueError as fault:
                    yield Problem(name, str(fault))


def telling_slips(
    init: Callable[..., None], taken: Callable[[], Taken]
) -> Callable[..., None]:
    """
    The *init* of a kind of spec, with our words for arguments that it does
    not take.
    """

    @functools.wraps(init)
    def checked_init(self: object, *args: object, **named: object) -> None:
        try:
            init(self, *args, **named)
        except TypeError:
            problems = (*taken().slips(args, named),)
            if not problems:
                raise
            raise ArgumentError(problems) from None

    return checked_init


def stranger(endpoint: str, name: str, known: Iterable[str]) -> Problem:
    """
    What to say of a name that is no parameter's.
    """
    if name.strip().casefold() in {"key", "api_key", "apikey", "api-key"}:
        reason = (
            "looks like an API key; take it out, "
            "and set MODELSLAB_API_KEY instead"
        )
    elif name == "prompt":
        reason = f"{endpoint} takes none"
    else:
        reason = (
            f"is no parameter of {endpoint}{near(name, known)}; "
            "what we don't know yet goes into 'extra'"
        )
    return Problem(name if len(name) < 100 else f"{name[:99]}…", reason)
