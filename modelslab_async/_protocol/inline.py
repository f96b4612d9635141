r"""
Pictures that are sent as text, in an answer or as a file: base64.

* Plain or as a data URI, whose comma and semicolons may be escaped.
* In quotes of any kind, also as Python writes bytes (``b'…'``).
* In lines, or with white space anywhere.
* Without its padding, or with too much of it.
* In the alphabet that is safe in URLs.
* With the escapes of URLs (``%2B``) or of JSON (``\/``, ``\n``).

Any word is base64: without ``data:`` it must begin as a picture does.  Each
step is linear in the text, as strangers write it.
"""

from __future__ import annotations

import binascii

from typing import TypeAlias


Buffer: TypeAlias = bytes | bytearray | memoryview


#: How PNG, JPEG, WebP and GIF begin.
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")


#: Line ends and a prefix on top of 4 letters for 3 bytes.
_SLACK_BYTES = 1 << 20


#: What tells whether it is worth to look at all of a text.
_HEAD_BYTES = 4096


_SPACE = b" \t\r\n\v\f\0"


#: What stands around a text: white space, quotes, the mark of UTF-8.
_AROUND = _SPACE + b"\"'`" + b"\xef\xbb\xbf"


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


#: Of all that may be escaped, what stands in base64 or before it.
_URL_ESCAPES = (
    (b"%2B", b"+"),
    (b"%2F", b"/"),
    (b"%3D", b"="),
    (b"%2C", b","),
    (b"%3A", b":"),
    (b"%3B", b";"),
    (b"%2D", b"-"),
    (b"%5F", b"_"),
    (b"%20", b""),
    (b"%0D", b""),
    (b"%0A", b""),
    (b"%22", b'"'),
)


_JSON_ESCAPES = (
    (b"\\/", b"/"),
    (b"\\n", b""),
    (b"\\r", b""),
    (b"\\t", b""),
    (b"\\u002b", b"+"),
    (b"\\u002f", b"/"),
    (b"\\u003d", b"="),
    (b'\\"', b'"'),
)


def text_cap(cap_bytes: int) -> int:
    """
    How long a text may be that holds a picture of *cap_bytes*.
    """
    return cap_bytes * 3 // 2 + _SLACK_BYTES


def decode_inline(text: Buffer, *, cap_bytes: int) -> bytes | None:
    """
    The picture that a text is; whether it is whole is not said.

    Returns:
        None where it is no such text, or more than *cap_bytes*.
    """
    if len(text) > text_cap(cap_bytes):
        return None
    head, is_uri = _payload(bytes(text[:_HEAD_BYTES]))
    if head is None or not (is_uri or _decoded(head[:64]).startswith(MAGIC)):
        return None
    letters, _ = _payload(bytes(text))
    if letters is None or letters.translate(None, _ALPHABET):
        return None
    found = _decoded(letters)
    return found if 0 < len(found) <= cap_bytes else None


def _payload(text: bytes) -> tuple[bytes | None, bool]:
    """
    A text's base64 letters, and whether it is a data URI; None for a data URI
    of another kind.
    """
    text = _unescaped(text).strip(_AROUND)
    if text[:2] in {b"b'", b'b"'}:
        text = text[2:]
    is_uri = text[:5].lower() == b"data:"
    if is_uri:
        kind, _, text = text.partition(b",")
        if not kind.rstrip().lower().endswith(b"base64"):
            return None, is_uri
    letters = text.strip(_AROUND).translate(_URL_SAFE, _SPACE)
    return letters.rstrip(b"="), is_uri


def _unescaped(text: bytes) -> bytes:
    if b"%" in text:
        for escape, sign in _URL_ESCAPES:
            text = text.replace(escape, sign).replace(escape.lower(), sign)
    if b"\\" in text:
        for escape, sign in _JSON_ESCAPES:
            text = text.replace(escape, sign).replace(
                escape[:2] + escape[2:].upper(), sign
            )
    return text


def _decoded(letters: bytes) -> bytes:
    try:
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    except binascii.Error:
        return b""
