"""
The account's key, silent about itself.
"""

from __future__ import annotations

import json

from collections.abc import Callable

from ..errors import ConfigurationError


class ApiKey:
    """
    The account's key, or what gives it; silent about itself.
    """

    __slots__ = ("_give",)

    def __init__(self, key: str | Callable[[], str]) -> None:
        self._give = key if callable(key) else lambda: key

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
        key: object = None
        reason = (
            "the API key is empty; get one at "
            "https://modelslab.com/dashboard/api-keys and set "
            "MODELSLAB_API_KEY"
        )
        try:
            key = self._give()
        except Exception as exc:  # noqa: BLE001 - the caller's own
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
        return ApiKey(self.reveal())

    def scrub(self, body: bytes) -> bytes:
        """
        *body* without the key, which some answers repeat.
        """
        plain = self.reveal()
        quoted = json.dumps(plain).encode()
        body = body.replace(quoted, b'"***"')
        # A short key is a word that may stand anywhere.
        if len(plain) >= 8:
            bare = quoted[1:-1]
            for form in (
                plain.encode(errors="replace"),
                bare,
                bare.replace(b"/", b"\\/"),
            ):
                body = body.replace(form, b"***")
        return body

    def same(self, other: ApiKey | None) -> bool:
        """
        Whether both are the same key now.
        """
        return other is not None and self.reveal() == other.reveal()
