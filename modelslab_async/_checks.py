"""
What callers give, and what of it cannot be: all of it is told at once, with
what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fsencode, fspath
from typing import Any, TypeVar

from ._policy.numbers import is_number, timeout_faults
from ._quoting import in_short
from .errors import ConfigurationError
from .results import Generation, Image
from .specs import SPECS, Endpoint, Spec, near


E = TypeVar("E")


def key_faults(api_key: object) -> list[str]:
    """
    What is wrong with a key.
    """
    if api_key is None or (isinstance(api_key, str) and not api_key.strip()):
        fault = (
            "api_key: none given; get one at "
            "https://modelslab.com/dashboard/api-keys and set "
            "MODELSLAB_API_KEY; the simulator needs none: "
            "ModelsLab.simulated(), or --simulate in the shell"
        )
        return [fault]
    if isinstance(api_key, str) or callable(api_key):
        return []
    return ["api_key: a text, or a function that gives one"]


def check_call(spec: object, timeout: object, priority: object) -> None:
    """
    Refuse what cannot be asked for.

    Raises:
        ConfigurationError: All that is wrong.
    """
    faults = list(spec_faults(spec))
    faults += timeout_faults(timeout)
    faults += priority_faults(priority)
    if faults:
        raise ConfigurationError("; ".join(faults))


def check_pictures(
    whose: object, kind: type[Image | Generation], place: object = ""
) -> None:
    """
    Refuse what has no pictures, or what is no place for them.

    Raises:
        ConfigurationError: All that is wrong.
    """
    faults = []
    if not isinstance(whose, kind):
        wanted = "a Generation is needed, as generate() gives"
        if kind is Image:
            wanted = "an Image is needed, such as generation.images[0]"
        faults.append(f"{wanted}, not {in_short(whose)}")
    if not is_file_path(place):
        faults.append(f"a path is needed, not {in_short(place)}")
    if faults:
        raise ConfigurationError("; ".join(faults))


def is_file_path(place: object) -> bool:
    """
    Whether a file can be called so; whether there is one is not looked at.
    """
    if not isinstance(place, str | PathLike):
        return False
    try:
        name = fspath(place)
        return isinstance(name, str) and b"\0" not in fsencode(name)
    except (TypeError, ValueError):
        # Half a character, or what only says that it is a path.
        return False


def spec_faults(spec: object) -> Iterable[str]:
    """
    What is wrong with what should be a spec, and what to write instead.
    """
    if isinstance(spec, Spec):
        return
    kind = next(iter(SPECS.values())).__name__
    if isinstance(spec, str):
        yield f"a spec is needed: {kind}({spec[:40]!r}, model_id=…)"
    elif isinstance(spec, type) and issubclass(spec, Spec):
        yield f"a spec is needed, not its class: {spec.__name__}(…)"
    else:
        yield (
            "a spec is needed, such as "
            f'{kind}("a cat", model_id="flux"), not {in_short(spec)}'
        )


def priority_faults(priority: object) -> Iterable[str]:
    """
    What is wrong with a place in the queue.
    """
    if not (isinstance(priority, int) and is_number(priority)):
        given = in_short(priority)
        yield f"priority: a whole number, lower first, not {given}"


def endpoint_of(kind: object) -> Endpoint:
    """
    The endpoint of a kind of spec, or of a name; None stands for the first
    of `SPECS`.

    Raises:
        ConfigurationError: There is none such.
    """
    if kind is None:
        kind = next(iter(SPECS.values()))
    guess = ""
    if isinstance(kind, str):
        # Late, with all that reads rows: who asks by name is rare.
        from .specs import kind_of

        name, kind = kind, kind_of(kind) or kind
        guess = near(name, SPECS)
    if isinstance(kind, type) and issubclass(kind, Spec):
        return kind.endpoint
    first, usual = next(iter(SPECS.items()))
    raise ConfigurationError(
        f"endpoint: a class of `specs` such as {usual.__name__}, or a name "
        f"such as {first!r}, not {in_short(kind)}{guess}"
    )


def several(given: Iterable[E]) -> tuple[E, ...]:
    """
    Many, or one, as people write it.
    """
    one: Any = given
    if isinstance(one, Iterable) and not isinstance(one, str | bytes):
        return tuple(one)
    return (one,)
