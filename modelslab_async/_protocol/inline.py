r"""
Pictures that are sent as text, in an answer or as a file: base64.

* Plain or as a data URI, whose comma and semicolons may be escaped.
* In quotes of any kind, also as Python writes bytes (``b'…'``), or as the one
  text of a list.
* In lines, or with white space anywhere; in UTF-16; a space may also be what
  became of a `+`.
* Without its padding, with too much of it, or with it after each piece.
* In the alphabet that is safe in URLs.
* With the escapes of URLs (``%2B``), of JSON (``\/``, ``\n``) or of HTML.

Any word is base64: without ``data:`` it must begin as a picture does.  Each
step is linear in the text, as strangers write it.
"""

from __future__ import annotations

import binascii
import re

from typing import TypeAlias

from .._magic import format_of


Buffer: TypeAlias = bytes | bytearray | memoryview


#: Line ends and a prefix on top of 4 letters for 3 bytes.
_SLACK_BYTES = 1 << 20


#: What tells whether it is worth to look at all of a text.
_HEAD_BYTES = 4096


_SPACE = b" \t\r\n\v\f\0"


#: What stands around a text: white space, quotes, brackets, marks of Unicode.
_AROUND = _SPACE + b"\"'`[](),;" + b"\xef\xbb\xbf\xff\xfe"


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


#: Of all that may be escaped, what stands in base64 or before it.
_URL_ESCAPES = (
    # Of what was escaped twice.
    (b"%25", b"%"),
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


_HTML_ESCAPES = (
    (b"&#43;", b"+"),
    (b"&#x2B;", b"+"),
    (b"&#47;", b"/"),
    (b"&#x2F;", b"/"),
    (b"&#61;", b"="),
    (b"&#x3D;", b"="),
    (b"&#34;", b'"'),
    (b"&#39;", b"'"),
    (b"&quot;", b'"'),
)


#: How a text may say what it is without being a data URI.
_KIND = re.compile(
    rb"(?:[a-z]{1,20}/[a-z0-9.+-]{1,40};)?base64[,:]", re.IGNORECASE
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
    if head is None:
        return None
    if (
        not is_uri
        and format_of(_decoded(head.partition(b"=")[0][:64])) is None
    ):
        return None
    letters, _ = _payload(bytes(text))
    if letters is None or letters.translate(None, _ALPHABET + b"="):
        return None
    pieces = [_decoded(piece) for piece in letters.split(b"=") if piece]
    found = b"".join(pieces) if all(pieces) else b""
    return found if 0 < len(found) <= cap_bytes else None


def _payload(text: bytes) -> tuple[bytes | None, bool]:
    """
    A text's base64 letters, and whether it is a data URI; None for a data URI
    of another kind.
    """
    text = _unescaped(text.translate(None, b"\0")).strip(_AROUND)
    if text[:2] in {b"b'", b'b"'}:
        text = text[2:]
    if said := _KIND.match(text):
        text = text[said.end() :]
    is_uri = text[:5].lower() == b"data:"
    if is_uri:
        kind, _, text = text.partition(b",")
        if not kind.rstrip().lower().endswith(b"base64"):
            return None, is_uri
    text = text.strip(_AROUND).translate(_URL_SAFE)
    if b" " in text and not _is_wrapped(text):
        text = text.replace(b" ", b"+")
    return text.translate(None, _SPACE).rstrip(b"="), is_uri


def _is_wrapped(text: bytes) -> bool:
    """
    Whether white space ends lines; else it was a sign once.
    """
    *lines, last = text.split()
    long = max(map(len, lines), default=0)
    even = long % 4 == 0 and len(last) <= long
    return even and all(len(line) == long for line in lines)


def _unescaped(text: bytes) -> bytes:
    if b"%" in text:
        for escape, sign in _URL_ESCAPES:
            text = text.replace(escape, sign).replace(escape.lower(), sign)
    if b"\\" in text:
        for escape, sign in _JSON_ESCAPES:
            text = text.replace(escape, sign).replace(
                escape[:2] + escape[2:].upper(), sign
            )
    if b"&" in text:
        for escape, sign in _HTML_ESCAPES:
            text = text.replace(escape, sign).replace(escape.lower(), sign)
    return text


def _decoded(letters: bytes) -> bytes:
    try:
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    except binascii.Error:
        return b""
