"""
No pattern that meets foreign text takes long, whatever the text.
"""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import time

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from yarl import URL

import modelslab_async

from modelslab_async._engine.api_key import ApiKey
from modelslab_async._engine.links import read_link
from modelslab_async._engine.trusted_hosts import TrustedHosts
from modelslab_async._output.image_format import check_image
from modelslab_async._protocol.decode import decode
from modelslab_async._protocol.decompress import Decompressor
from modelslab_async._protocol.inline import decode_inline
from modelslab_async._protocol.notices import read_notice
from modelslab_async._protocol.refusals import WholeWords
from modelslab_async._protocol.replies import Reply
from modelslab_async.errors import ModelsLabError


ROOT = Path(modelslab_async.__file__).parent
#: Seconds of work that a look at a megabyte may take.
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
    began = time.process_time()
    if isinstance(pattern.pattern, bytes):
        pattern.search(text.encode("latin-1"))
    else:
        pattern.search(text)
        pattern.fullmatch(text)
    return time.process_time() - began


def answer(**body: object) -> None:
    """
    Read an answer whose links are relative to the API's.
    """
    text = json.dumps(body).encode()
    decode(Reply(200, text, url="https://api.example/v6"))


def as_bytes(text: str) -> bytes:
    """
    Text as a stranger sends it.
    """
    return text.encode("utf-8", "surrogatepass")


KEY = ApiKey("a" * 40 + "0/")
#: What is written by hand and meets foreign text.
SCANNERS: dict[str, Callable[[str], object]] = {
    "answer": lambda text: decode(Reply(200, as_bytes(text))),
    "torn": lambda text: decode(Reply(200, b'{"a":1,' + as_bytes(text))),
    "message": lambda text: answer(status="error", message=text, tips=text),
    "code": lambda text: answer(status="error", code=text, retry_after=text),
    "output": lambda text: answer(status="success", output=text),
    "outputs": lambda text: answer(status="success", output=[text, [text]]),
    "ids": lambda text: answer(
        status="processing", id=text, meta={"id": text}
    ),
    "fetch_result": lambda text: answer(
        status="processing", fetch_result=f"https://a.example/fetch/{text}"
    ),
    "headers": lambda text: decode(Reply(429, b"", text, text, text, text)),
    "notice": lambda text: read_notice(as_bytes(text)),
    "a data uri": lambda text: decode_inline(
        b"data:;base64," + as_bytes(text), cap_bytes=1 << 30
    ),
    "base64": lambda text: decode_inline(
        b"iVBORw0KGgoAAAANSUhEUgAAAEAA" + as_bytes(text), cap_bytes=1 << 30
    ),
    "a reply with the key": lambda text: KEY.scrub(as_bytes(text)),
    "a host": lambda text: read_link(f"https://{text}"),
    "a link": lambda text: read_link(f"https://a.example/{text}"),
    "a redirect": lambda text: read_link(text, URL("https://a.example/b")),
    "a trusted host": lambda text: TrustedHosts.of([text]),
    "an unknown file": lambda text: check_image(as_bytes(text)),
    **{
        f"a file like {head[:4]!r}": lambda text, head=head: check_image(  # type: ignore[misc]
            head + as_bytes(text)
        )
        for head in (
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"RIFF\xff\xff\0\0WEBP",
            b"GIF89a",
        )
    },
    "a packed file": lambda text: list(
        Decompressor(deflated=True).feed(as_bytes(text))
    ),
}


@pytest.mark.parametrize("name", SCANNERS)
def test_scanners_are_linear(name: str) -> None:
    """
    So it is with what reads foreign text without a pattern.
    """

    def seconds_of(piece: str, size: int) -> float:
        text = piece * (size // len(piece)) + "!"
        began = time.process_time()
        with suppress(ValueError, ModelsLabError):
            SCANNERS[name](text)
        return time.process_time() - began

    pieces = (
        *PIECES,
        '"',
        '{"',
        '{"a":',
        "[1,",
        "%68%74",
        "\\u0041",
        "\u732b",
    )
    size = 300_000
    worst = sorted(pieces, key=lambda piece: -seconds_of(piece, size // 50))

    slow = [p for p in worst[:3] if seconds_of(p, size) > MOST * size / 10**6]

    assert slow == []


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


@pytest.mark.parametrize(
    "size", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", ALL)
def test_linear(name: str, size: int) -> None:
    """
    A megabyte of the worst is searched and matched at once.
    """
    pattern, little = ALL[name], size // 50
    worst = sorted(
        repeated(pattern), key=lambda piece: -seconds(pattern, piece, little)
    )

    slow = [
        p for p in worst[:3] if seconds(pattern, p, size) > MOST * size / 10**6
    ]

    assert slow == []
