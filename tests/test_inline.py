"""
Pictures that come as text, however it is written.
"""

from __future__ import annotations

import base64
import io
import json
import random
import time

from urllib.parse import quote

import pytest

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modelslab_async._protocol.inline import decode_inline, text_cap


def drawn(form: str) -> bytes:
    """
    A small picture of dots, whose base64 has each letter.
    """
    dots = random.Random(7).randbytes(24 * 16 * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", (24, 16), dots).save(file, form)
    return file.getvalue()


PICTURES = [drawn(form) for form in ("PNG", "JPEG", "WEBP", "GIF")]
PNG = PICTURES[0]
PLAIN = base64.b64encode(PNG)
SAFE = base64.urlsafe_b64encode(PNG)
LINES = base64.encodebytes(PNG)
URI = b"data:image/png;base64,"

TEXTS = {
    "plain": PLAIN,
    "without padding": PLAIN.rstrip(b"="),
    "too much padding": PLAIN.rstrip(b"=") + b"====",
    "lines": LINES,
    "dos lines": LINES.replace(b"\n", b"\r\n"),
    "mac lines": LINES.replace(b"\n", b"\r"),
    "indented": b"\n\t" + LINES.replace(b"\n", b"\n\t "),
    "safe in urls": SAFE,
    "safe in urls without padding": SAFE.rstrip(b"="),
    "in quotes": b'"' + PLAIN + b'"\n',
    "in single quotes": b" '" + PLAIN.rstrip(b"=") + b"' ",
    "as python writes bytes": repr(PLAIN).encode(),
    "with the mark of utf-8": b"\xef\xbb\xbf" + PLAIN,
    "with nuls": PLAIN + bytes(9),
    "as json": json.dumps(LINES.decode()).encode(),
    "as php writes json": b'"' + PLAIN.replace(b"/", b"\\/") + b'"',
    "as cautious json": b'"'
    + PLAIN.replace(b"+", b"\\u002B").replace(b"=", b"\\u003d")
    + b'"',
    "escaped for urls": quote(PLAIN, safe="").encode(),
    "escaped in small letters": PLAIN.replace(b"+", b"%2b")
    .replace(b"/", b"%2f")
    .replace(b"=", b"%3d"),
    "escaped twice": quote(quote(PLAIN, safe=""), safe="").encode(),
    "escaped for html": PLAIN.replace(b"+", b"&#43;").replace(b"=", b"&#x3d;"),
    "its signs taken for spaces": PLAIN.replace(b"+", b" "),
    "in lines of spaces": LINES.replace(b"\n", b" "),
    "in pieces": b"".join(
        base64.b64encode(PNG[at : at + 100]) for at in range(0, len(PNG), 100)
    ),
    "in a list": b'["' + PLAIN + b'"]\n',
    "in brackets of python": b"(" + repr(PLAIN).encode() + b",)",
    "in utf-16": PLAIN.decode().encode("utf-16"),
    "in utf-16 without a mark": PLAIN.decode().encode("utf-16-be"),
    "data uri in utf-16": (URI + PLAIN).decode().encode("utf-16"),
    "with its kind": b"image/png;base64," + PLAIN,
    "with a word": b"base64:" + PLAIN,
    "data uri": URI + PLAIN,
    "data uri in capitals": b"\nDATA:image/jpeg;charset=x;BASE64, " + PLAIN,
    "data uri without a type": b"data:;base64," + SAFE.rstrip(b"="),
    "data uri in quotes": b'"' + URI + LINES + b'"',
    "data uri before quotes": URI + b'"' + PLAIN + b'"',
    "data uri as json": json.dumps((URI + PLAIN).decode())
    .replace("/", "\\/")
    .encode(),
    "data uri as python writes bytes": repr(URI + PLAIN).encode(),
    "escaped data uri": quote(URI + PLAIN, safe="").encode(),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_text_of_a_picture(text: bytes) -> None:
    """
    Base64 is read however it is wrapped, quoted or escaped.
    """
    assert decode_inline(text, cap_bytes=len(PNG)) == PNG


@pytest.mark.parametrize("data", PICTURES)
def test_each_format(data: bytes) -> None:
    """
    What begins like a picture is taken without a prefix.
    """
    text = base64.b64encode(data)

    assert decode_inline(text, cap_bytes=len(data)) == data
    assert decode_inline(memoryview(text), cap_bytes=len(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        PNG,
        b"",
        b"<!DOCTYPE html>",
        base64.b64encode(b"no picture at all"),
        PLAIN + b"<p>",
        PLAIN.replace(b"A", b"!", 1),
        b"data:image/png," + PNG,
        b"data:image/png;base64",
        b"data:image/png;base64,",
        b"data:image/png;base64,!",
        b"a",
        PLAIN + b"a",
    ],
)
def test_no_text_of_a_picture(text: bytes) -> None:
    """
    What is not base64 of a picture all through is left alone.
    """
    assert decode_inline(text, cap_bytes=1 << 20) is None


def test_a_data_uri_holds_what_it_says() -> None:
    """
    Whether a data URI holds a picture is for others to say.
    """
    text = URI + base64.b64encode(b"<html>")

    assert decode_inline(text, cap_bytes=99) == b"<html>"


def test_texts_are_capped_before_they_are_decoded() -> None:
    """
    A text of more than the cap is not decoded, one byte less is.
    """
    cap = len(PNG)
    longest = PLAIN.ljust(text_cap(cap))

    assert decode_inline(PLAIN, cap_bytes=cap - 1) is None
    assert decode_inline(longest, cap_bytes=cap) == PNG
    assert decode_inline(longest + b" ", cap_bytes=cap) is None


@given(st.sampled_from([b"", b"data:", URI, b'"', PLAIN[:48]]), st.binary())
def test_any_bytes(head: bytes, tail: bytes) -> None:
    """
    No bytes raise, and nothing is made of what is no text.
    """
    found = decode_inline(head + tail, cap_bytes=100)

    assert found is None or len(found) <= 100


MB = 1 << 20


@pytest.mark.parametrize(
    "text",
    [
        PLAIN[:48] + b" " * MB + b"!",
        PLAIN[:48] + b"\n=" * (MB // 2) + b"!",
        PLAIN[:48] + b'" =' * (MB // 3) + b"!",
        PLAIN[:48] + b"%2" * (MB // 2),
        PLAIN[:48] + b"%2B" * (MB // 3) + b"!",
        PLAIN[:48] + b"\\u002" * (MB // 6),
        PLAIN[:48] + b"A" * MB + b"!",
        b"data:" + b";base64" * (MB // 7),
        b"data:" + b"," * MB,
        b" " * MB + PLAIN,
        b'"' * MB,
        b"=" * MB,
    ],
)
def test_the_worst_texts_are_fast(text: bytes) -> None:
    """
    A megabyte that was made to be slow takes less than a second.
    """
    started = time.perf_counter()
    decode_inline(text, cap_bytes=2 * MB)

    assert time.perf_counter() - started < 1
