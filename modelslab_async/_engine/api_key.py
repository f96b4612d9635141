"""
The account's key, silent about itself.
"""

from __future__ import annotations

import base64
import json
import re

from collections.abc import Callable, Iterator
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from ..errors import ConfigurationError


#: A key as text, as JSON, and in the other ways in which it may be spelt.
_Forms: TypeAlias = tuple[str, bytes, tuple[bytes, ...]]


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
        return self._asked() if self._forms is None else self._forms()[0]

    def as_json(self) -> bytes:
        """
        The key as it is now, quoted.

        Raises: as `reveal`.
        """
        return self._spelt()[1]

    def _spelt(self) -> _Forms:
        if self._forms is not None:
            return self._forms()
        plain = self._asked()
        forms = plain, json.dumps(plain).encode(), (*_spellings(plain),)
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
        plain, quoted, others = self._spelt()
        body = body.replace(quoted, b'"***"')
        # A short key is a word that may stand anywhere.
        if len(plain) < 8:
            return body
        for form in others:
            body = body.replace(form, b"***")
        # Escapes within the key are rare, and slow to look for.
        if b"\\u" in body or (
            b"%" in body
            and plain.encode(errors="replace") in unquote_to_bytes(body)
        ):
            body = _in_escapes(plain).sub(b"***", body)
        return body

    def same(self, other: ApiKey | None) -> bool:
        """
        Whether both are the same key now.
        """
        return other is not None and self.reveal() == other.reveal()


def _spellings(plain: str) -> Iterator[bytes]:
    """
    The key as it is, with JSON's escaped slashes, and within base64.
    """
    data = plain.encode(errors="replace")
    yield data
    bare = json.dumps(plain).encode()[1:-1]
    if bare != data:
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


def _in_escapes(plain: str) -> re.Pattern[bytes]:
    """
    The key with any of its signs as escapes of JSON or of URLs.
    """
    signs = []
    for sign in plain:
        data = sign.encode(errors="replace")
        units = memoryview(sign.encode("utf-16", "surrogatepass")[2:])
        ways = [
            b"".join(b"%%%02x" % byte for byte in data),
            b"".join(b"\\\\u%04x" % unit for unit in units.cast("H")),
            re.escape(b"\\" + data if sign in '"\\/' else data),
        ]
        if sign == "/":
            ways.append(b"/")
        # Atomic: whichever fits first, so that nothing is tried twice.
        signs.append(b"(?>" + b"|".join(ways) + b")")
    return re.compile(b"".join(signs), re.IGNORECASE)
