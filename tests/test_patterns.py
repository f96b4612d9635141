"""
Patterns that meet foreign text are linear in it.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
import time

from collections.abc import Iterator
from typing import Any

import pytest

import modelslab_async


MB = 1 << 20

#: What patterns stumble over: much of what they may skip, then what they
#: don't take, after each beginning that some of them want.
BEGINNINGS = ("", "a", "1-", "https://", "data:", "images/", ".a", "[", "in ")
FILLINGS = (" ", "a", "0", "\n", "/", "-", "=", "a ", "://", "%", "\xff", "a.")
END = "\x01!"


#: All others are tried at the beginning of a text only.
SEARCHED = {"_CONTROL", "_CONTROL_CHARACTERS", "_FOREIGN", "_SCAN_END"}


def patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """
    Every pattern that a module of the package has, by its name.
    """
    for found in pkgutil.walk_packages(
        modelslab_async.__path__, "modelslab_async."
    ):
        if "simulator" in found.name or found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield name, value


@pytest.mark.parametrize(("name", "pattern"), sorted(set(patterns()), key=str))
def test_linear(name: str, pattern: re.Pattern[Any]) -> None:
    """
    A megabyte of what is worst for a pattern takes it a moment.
    """
    way = pattern.search if name in SEARCHED else pattern.fullmatch
    slowest = 0.0
    for beginning, filling in itertools.product(BEGINNINGS, FILLINGS):
        text = beginning + filling * (MB // len(filling)) + END
        given = text.encode() if isinstance(pattern.pattern, bytes) else text
        started = time.perf_counter()
        way(given)
        slowest = max(slowest, time.perf_counter() - started)

    assert slowest < 0.5
