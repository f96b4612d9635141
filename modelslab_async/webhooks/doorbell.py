"""
The doorbell: a URL for each job, and whoever is told when one is called.

* A URL is made of a job's own random number and a token, which only the
  secret makes.  The same secret makes the same URLs, in any process.
* A ring whose number no client knows now is kept for a minute: the process,
  or its batch, may be starting.
* It may be rung on any loop and in any thread; whoever listens goes to its
  own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeAlias
from urllib.parse import urlsplit

from .._protocol.notices import read_notice
from ..errors import ConfigurationError
from ..results import Notice
from .asgi import AsgiReceiver


if TYPE_CHECKING:
    from aiohttp import web


#: Is told of a number's ring, and says whether it knows the number.
Listener: TypeAlias = Callable[[str, Notice | None], bool]


#: Characters of a token: 130 bits.
_TOKEN = 26


#: The end of our URLs, however JSON or a query writes the slash.
_OURS = re.compile(
    rb"(?<=[0-9])((?:\\?/|%2[Ff]|\\u002[Ff]))[A-Z2-7]{26}(?![A-Z2-7])"
)


#: Bytes of a secret, at least.
_SECRET = 16


#: Rings that are kept for whoever may still come, and for how many seconds.
_MOST_KEPT, _KEPT = 1000, 60.0


class Doorbell:
    """
    Where the service tells that a job has ended.

    Give it to ``ModelsLab(doorbell=bell)``, and mount `routes` or `asgi`
    where *base_url* leads.  One serves any number of clients.

    What changes: who listens, and rings that nobody has heard yet.

    Args:
        base_url: Where the service reaches the receiver; public, and https
            unless it is a tunnel or a test of yours.

        secret: At least 16 bytes that nobody else knows; the same after a
            restart, or URLs that are under way ring no more.

    Raises:
        ConfigurationError: One of them cannot be.
    """

    def __init__(self, base_url: str, secret: str | bytes) -> None:
        fault = _url_fault(base_url) or _secret_fault(secret)
        if fault:
            # The frame of the error must not have it.
            del secret
            raise ConfigurationError(fault)
        self.base_url: str = base_url.rstrip("/")
        self._secret = secret.encode() if isinstance(secret, str) else secret
        self._host = urlsplit(base_url).netloc.encode()
        self._listeners: dict[Listener, None] = {}
        self._kept: dict[str, tuple[float, Notice | None]] = {}

    def __repr__(self) -> str:
        return f"<Doorbell {self.base_url}>"

    def __reduce__(self) -> NoReturn:
        msg = "a doorbell is not pickled: it has a secret"
        raise TypeError(msg)

    # For receivers

    def routes(self, path: str | None = None) -> list[web.RouteDef]:
        """
        Routes for an `aiohttp.web.Application`.

        Args:
            path: Where they lie in that application; None is the path of
                *base_url*.  Below ``add_subapp("/hooks", …)`` it is what
                comes after that: ``"/"``.
        """
        from .routes import web_routes

        if path is None:
            path = urlsplit(self.base_url).path
        return web_routes(self.opens, self.ring, path)

    @property
    def asgi(self) -> AsgiReceiver:
        """
        An ASGI application, to be mounted at the path of *base_url*.
        """
        return AsgiReceiver(self.opens, self.ring)

    def opens(self, number: str, token: str) -> bool:
        """
        Whether a URL with these two at its end is ours; in constant time.
        """
        return hmac.compare_digest(
            self._token(number).encode(),
            token.encode("utf-8", "replace"),
        )

    def ring(self, number: str, body: bytes = b"") -> None:
        """
        The service called the URL of this number, which `opens`; *body* is
        empty where it was longer than is taken.
        """
        notice = read_notice(body) if body else None
        known = [
            listener(number, notice) for listener in tuple(self._listeners)
        ]
        if not any(known):
            self._keep(number, notice)

    # For clients

    def url(self, number: str | int) -> str:
        """
        The URL that rings this number.
        """
        return f"{self.base_url}/{number}/{self._token(str(number))}"

    def scrub(self, body: bytes) -> bytes:
        """
        *body* without tokens: the service repeats what it was told to call.
        """
        return _OURS.sub(rb"\1***", body) if self._host in body else body

    def attach(self, listener: Listener) -> None:
        """
        Tell *listener* of every ring.
        """
        self._listeners[listener] = None

    def detach(self, listener: Listener) -> None:
        """
        Tell it no more.
        """
        self._listeners.pop(listener, None)

    def kept(self) -> Sequence[tuple[str, Notice | None]]:
        """
        Rings that nobody knew, of the last minute.
        """
        self._forget()
        return [(number, ring[1]) for number, ring in [*self._kept.items()]]

    def taken(self, number: str) -> None:
        """
        Somebody knows this number after all.
        """
        self._kept.pop(number, None)

    def _keep(self, number: str, notice: Notice | None) -> None:
        self._forget()
        if notice is None and number in self._kept:
            return
        self._kept.pop(number, None)
        self._kept[number] = time.monotonic(), notice
        while len(self._kept) > _MOST_KEPT:
            self._kept.pop(next(iter(self._kept)), None)

    def _forget(self) -> None:
        late = time.monotonic() - _KEPT
        for number, (at, _) in [*self._kept.items()]:
            if at >= late:
                break
            self._kept.pop(number, None)

    def _token(self, number: str) -> str:
        made = hmac.new(
            self._secret, number.encode("utf-8", "replace"), hashlib.sha256
        )
        return base64.b32encode(made.digest()).decode()[:_TOKEN]


def _url_fault(url: object) -> str | None:
    """
    What is wrong with where the service should call.
    """
    wanted = "base_url: an http(s) address that the service reaches"
    if not isinstance(url, str):
        return f"{wanted}, not {url!r}"
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname
        _ = parts.port
    except ValueError:
        good = None
    if not (good and url.isascii() and url.isprintable()) or " " in url:
        return f"{wanted}, not {url!r}"
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return f"{wanted}, without a query, not {url!r}"
    if "@" in parts.netloc:
        return "base_url: without a user and a password"
    if "{" in url or "}" in url:
        return f"{wanted}, not {url!r}"
    return None


def _secret_fault(secret: object) -> str | None:
    """
    What is wrong with a secret, which is not said itself.
    """
    if not isinstance(secret, str | bytes):
        return "secret: a text, or bytes"
    if len(secret) < _SECRET:
        return (
            f"secret: at least {_SECRET} characters that nobody can guess, as "
            "`python -c 'import secrets; print(secrets.token_urlsafe())'` "
            "gives"
        )
    return None
