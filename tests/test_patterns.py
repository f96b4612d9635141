"""
No pattern that meets foreign text takes long, whatever the text.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import modelslab_async

from modelslab_async._protocol.refusals import WholeWords


ROOT = Path(modelslab_async.__file__).parent
#: Seconds that a look at a megabyte may take on a busy machine.
MOST = 4.0


def modules() -> Iterator[tuple[str, dict[str, object]]]:
    """
    Every module of the package, and its names.
    """
    for found in pkgutil.walk_packages([str(ROOT)], "modelslab_async."):
        if not found.name.endswith("__main__"):
            yield found.name, vars(importlib.import_module(found.name))


def patterns(value: object) -> Iterator[re.Pattern[str] | re.Pattern[bytes]]:
    """
    The patterns that a module's name stands for.
    """
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, WholeWords):
        yield value.compiled
    elif isinstance(value, Mapping):
        yield from patterns(tuple(value.values()))
    elif isinstance(value, tuple):
        for each in value:
            yield from patterns(each)


ALL = {
    f"{module.removeprefix('modelslab_async.')}.{name}.{number}": pattern
    for module, names in modules()
    for name, value in names.items()
    if not name.startswith("__")
    for number, pattern in enumerate(patterns(value))
}


#: What patterns repeat: each is a text's beginning, middle or end.
PIECES = (
    *("a", "A", "0", " ", "\n", "\t", "\0", "/", ".", "-", "_", "%", "="),
    *("a ", "a.", "a/", "a_", "0.", "/a", "-a", "_a", "\n ", "\xff", "\xffa"),
    *("{", "<", "<h", "://", "http://", "data:", ";base64,", "%2", "\\"),
    *("/fetch", "/fetch/", "model_", "model ", "model id ", "try again "),
    *("api key ", "api key is ", "no or a ", "maximum 1", "subscription is "),
    *("in 1", "in an ", "requires a ", "a_unavailable", "request id "),
)


def repeated(pattern: re.Pattern[str] | re.Pattern[bytes]) -> Iterator[str]:
    """
    What a pattern is slow with if it comes again and again, if with any: its
    own words are among it.
    """
    yield from PIECES
    source = pattern.pattern
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    for word in set(re.findall(r"[a-z]{3,}", text)):
        yield from (word, f"{word} ", f"{word}_")


def seconds(
    pattern: re.Pattern[str] | re.Pattern[bytes], piece: str, size: int
) -> float:
    """
    How long a text of that size is looked at; its last sign spoils a match.
    """
    text = piece * (size // len(piece)) + "!"
    began = time.perf_counter()
    if isinstance(pattern.pattern, bytes):
        pattern.search(text.encode("latin-1"))
    else:
        pattern.search(text)
        pattern.fullmatch(text)
    return time.perf_counter() - began


def test_patterns_are_where_this_test_looks() -> None:
    """
    Each is compiled at a module's top, by name.
    """
    hidden = [
        f"{path.name}:{node.lineno}"
        for path in ROOT.rglob("*.py")
        for top in ast.parse(path.read_text()).body
        if not isinstance(top, ast.Assign | ast.AnnAssign)
        for node in ast.walk(top)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        # One is a list of words, one is made of the key.
        and path.name not in {"refusals.py", "api_key.py"}
        and "simulator" not in path.parts
    ]

    assert hidden == []
    assert len(ALL) > 20


@pytest.mark.parametrize("name", ALL)
def test_linear(name: str) -> None:
    """
    A megabyte of the worst is searched and matched at once.
    """
    pattern = ALL[name]
    worst = sorted(
        repeated(pattern), key=lambda piece: -seconds(pattern, piece, 20_000)
    )

    slow = [p for p in worst[:3] if seconds(pattern, p, 1_000_000) > MOST]

    assert slow == []
