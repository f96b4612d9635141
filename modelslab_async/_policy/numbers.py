"""
What a number may be that an option takes, told with all other faults.
"""

from __future__ import annotations

import math

from collections.abc import Iterator
from typing import TypeGuard

from .._quoting import in_short
from ..errors import ConfigurationError


def is_number(value: object) -> TypeGuard[float]:
    """
    Whether it is a number, as people mean it: no truth, no NaN.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return not math.isnan(value)
    except OverflowError:
        # More than any number that is counted with.
        return False


def number_faults(
    name: str,
    value: object,
    least: float = 0.0,
    *,
    above: bool = False,
    whole: bool = False,
    finite: bool = False,
    optional: bool = False,
) -> Iterator[str]:
    """
    What is wrong with the value of an option.

    Args:
        name: The option's.

        value: As it was given.

        least: The smallest that it may be.

        above: Whether *least* itself is too small.

        whole: Whether it counts something.

        finite: Whether it must have an end.

        optional: Whether None is fine.
    """
    if optional and value is None:
        return
    right = is_number(value) and (value > least if above else value >= least)
    if whole:
        right = right and isinstance(value, int)
    if finite:
        right = right and value != math.inf
    if not right:
        wanted = "a whole number" if whole else "a number"
        bound = f"above {least:g}" if above else f"from {least:g}"
        end = ", finite" if finite else ""
        other = ", or None" if optional else ""
        yield f"{name}: {wanted} {bound}{end}{other}, not {in_short(value)}"


def timeout_faults(timeout: object) -> Iterator[str]:
    """
    What is wrong with the seconds that somebody wants to wait at most.
    """
    if timeout is not None and not (is_number(timeout) and timeout >= 0):
        yield f"timeout: seconds from 0, or None, not {in_short(timeout)}"


def refuse(whose: str, faults: Iterator[str]) -> None:
    """
    Raise all *faults* in one error, if there are any.

    Raises:
        ConfigurationError: Whose options they are, and what is wrong.
    """
    if told := "; ".join(faults):
        raise ConfigurationError(f"{whose}: {told}")
