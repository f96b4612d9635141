"""
The account's key, silent about itself.
"""

from __future__ import annotations

import base64
import functools
import json
import re

from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ..errors import ConfigurationError


class ApiKey:
    """
    The account's key, or what gives it; silent about itself.
    """

    __slots__ = ("_fixed", "_forms", "_give")

    def __init__(self, key: str | Callable[[], str]) -> None:
        self._fixed = not callable(key)
        self._give = key if callable(key) else lambda: key
        #: Gives what a key that does not rotate was when it was first used.
        self._forms: Callable[[], _Forms] | None = None

    def __repr__(self) -> str:
        return "ApiKey(***)"

    def __reduce__(self) -> str:
        msg = "an API key is not pickled"
        raise TypeError(msg)

    def reveal(self) -> str:
        """
        The key as it is now.

        Raises:
            ConfigurationError: There is none, or it is no text.
        """
        return self._asked() if self._forms is None else self._forms().plain

    def as_json(self) -> bytes:
        """
        The key as it is now, quoted.

        Raises: as `reveal`.
        """
        return self._spelt().quoted

    def _spelt(self) -> _Forms:
        if self._forms is not None:
            return self._forms()
        forms = _forms_of(self._asked())
        if self._fixed:
            self._forms = lambda: forms
        return forms

    def _asked(self) -> str:
        key: object = None
        reason = (
            "the API key is empty; get one at "
            "https://modelslab.com/dashboard/api-keys and set "
            "MODELSLAB_API_KEY"
        )
        try:
            key = self._give()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - the caller's own
            kind = type(exc).__name__
            reason = f"the function that gives the API key raised {kind}"
        if isinstance(key, str) and (stripped := key.strip()):
            return stripped
        # No text, yet it may be the key: not in a frame of a traceback.
        del key
        raise ConfigurationError(reason)

    def snapshot(self) -> ApiKey:
        """
        The key as it is now, for good.
        """
        return self if self._fixed else ApiKey(self.reveal())

    def scrub(self, body: bytes) -> bytes:
        """
        *body* without the key, which some answers repeat.
        """
        forms = self._spelt()
        body = body.replace(forms.quoted, b'"***"')
        # A short key is a word that may stand anywhere.
        return body if len(forms.plain) < 8 else _without(forms, body)

    def same(self, other: ApiKey | None) -> bool:
        """
        Whether both are the same key now.
        """
        return other is not None and self.reveal() == other.reveal()


class _Forms(NamedTuple):
    """
    How a key may be spelt.

    Attributes:
        plain: As it is; *data*: its bytes.

        quoted: As JSON has it, with its quotes.

        exact: Spellings in which each letter counts.

        small: Spellings in small letters, for any.

        escaped: Gives the pattern of it in escapes, which is slow to make.
    """

    plain: str
    data: bytes
    quoted: bytes
    exact: tuple[bytes, ...]
    small: tuple[bytes, ...]
    escaped: Callable[[], re.Pattern[bytes]]

    def __repr__(self) -> str:
        # A traceback with its locals shows it.
        return "_Forms(***)"


def _forms_of(plain: str) -> _Forms:
    data = plain.encode(errors="replace")
    return _Forms(
        plain,
        data,
        json.dumps(plain).encode(),
        tuple(_spellings(plain, data)),
        (data.lower(), data.hex().encode()),
        functools.cache(lambda: _in_escapes(plain)),
    )


def _without(forms: _Forms, body: bytes) -> bytes:
    data = forms.data
    if b"\0" in body and data in body.translate(None, b"\0"):
        # As UTF-16 has it, or between NULs, which are read over.
        body = body.translate(None, b"\0").lstrip(b"\xff\xfe")
    for form in forms.exact:
        body = body.replace(form, b"***")
    small = body.lower()
    for form in forms.small:
        if form in small:
            any_case = re.compile(re.escape(form), re.IGNORECASE)
            body = any_case.sub(b"***", body)
    # Escapes within the key are rare, and slow to look for.
    if (
        (b"\\" in body and any(sign in body for sign in _ESCAPED))
        or b"&#" in body
        or (b"%" in body and _in_percents(data, body))
    ):
        body = forms.escaped().sub(b"***", body)
    return body


def _spellings(plain: str, data: bytes) -> Iterator[bytes]:
    """
    The key as JSON and HTML write it, and within base64.
    """
    # Late, as its table of entities is long.
    from html import escape

    if (marked := escape(plain).encode(errors="replace")) != data:
        yield marked
    bare = json.dumps(plain).encode()[1:-1]
    if bare != data:
        # First in JSON within JSON, which holds the other.
        yield json.dumps(bare.decode()).encode()[1:-1]
        yield bare
    if b"/" in data:
        yield bare.replace(b"/", b"\\/")
    for before in range(3):
        # What stands before it shifts it; bits that it shares with its
        # neighbours are left out.
        text = base64.b64encode(bytes(before) + data)
        within = text[(0, 2, 3)[before] : (len(data) + before) * 8 // 6]
        yield within
        if b"+" in within or b"/" in within:
            yield within.replace(b"+", b"-").replace(b"/", b"_")
            yield within.replace(b"/", b"\\/")


#: What begins the escapes of JSON, and of JSON within JSON.
_ESCAPED = (b"\\u", b"\\x", b"\\\\")


def _in_percents(data: bytes, body: bytes) -> bool:
    """
    Whether escapes of URLs, and of URLs within URLs, hold the key.
    """
    for _ in range(3):
        if b"%" not in body:
            return False
        body = unquote_to_bytes(body)
        if data in body:
            return True
    return False


def _in_escapes(plain: str) -> re.Pattern[bytes]:
    """
    The key with any of its signs as escapes of JSON, of URLs or of HTML.
    """
    ways = [_signs(plain, b"\\\\{1,8}")]
    if "\\" in plain:
        # Of many before an escape, all but one may be the key's own.
        ways.insert(0, _signs(plain, b"\\\\"))
    return re.compile(b"|".join(ways), re.IGNORECASE)


def _signs(plain: str, slashes: bytes) -> bytes:
    """
    A pattern of a key's signs, with so many backslashes before an escape:
    within JSON within JSON there are more.
    """
    signs = []
    for sign in plain:
        data = sign.encode(errors="replace")
        units = memoryview(sign.encode("utf-16", "surrogatepass")[2:])
        ways = [
            b"".join(b"%%(?:25){0,3}%02x" % byte for byte in data),
            b"".join(slashes + b"u%04x" % unit for unit in units.cast("H")),
            b"".join(slashes + b"x%02x" % byte for byte in data),
            b"&#(?:%d|x0{0,6}%x);" % (ord(sign), ord(sign)),
            re.escape(b"\\" * (sign == "\\") + data),
        ]
        if sign in '"/':
            ways[-1] = b"\\\\{0,8}" + ways[-1]
        # Atomic: whichever fits first, so that nothing is tried twice.
        signs.append(b"(?>" + b"|".join(ways) + b")")
    return b"".join(signs)
