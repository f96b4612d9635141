"""
Links and pictures in an answer, whatever holds them.

* *output* is a list, a string, an object by number, `""`, null, or empty while
  *proxy_links* has the files.  *future_links* may name fewer than were asked
  for, and sometimes only ``meta.output`` has them.
* A link may stand in an object, as its *url*; all of them in a string, as
  JSON once more.
* A link stays as it came: signed ones are spelt as they were signed.  It may
  hold spaces and letters beyond ASCII, and lack its scheme (``//host/x.png``,
  ``host.example/x.png``) or its host (``/x.png``: the API's own).
* *output* may hold the picture itself (see `inline`); a URL that ends in
  ``.base64`` stays one, as it leads to a text file.
"""

from __future__ import annotations

import re

from contextlib import suppress

from ..results import JSON, Image
from .inline import decode_inline
from .json_text import read_json
from .replies import CAP_BASE64_BYTES


def read_url(value: object, base: str = "") -> str | None:
    """
    A link, as it came but for what it lacks; None where it is none.

    Args:
        value: What may be one.

        base: The URL that it is relative to.
    """
    if not isinstance(value, str):
        return None
    if _PLAIN.fullmatch(value):
        return value
    link = value.strip(_AROUND).translate(_LINE_ENDS).replace("\\/", "/")
    if link.startswith("'"):
        # At the end alone it is the link's own.
        link = link.strip(_AROUND + "'")
    try:
        link.encode()
    except UnicodeEncodeError:
        return None
    if _CONTROLS.search(link):
        return None
    if _ABSOLUTE.match(link):
        return link
    if link.startswith("/") and "://" in base:
        scheme, _, rest = base.partition("://")
        if link.startswith("//"):
            host, _, path = link[2:].partition("/")
            known = host and path and not _SPACE.search(host)
            return f"{scheme}:{link}" if known else None
        host, _, _ = rest.partition("/")
        return f"{scheme}://{host}{link}" if len(link) > 1 else None
    return f"https://{link}" if _is_bare(link) else None


#: What may stand around a link, and inside of it: browsers leave it out, too.
_AROUND, _LINE_ENDS = ' \t\r\n\v\f\0"<>', {9: None, 10: None, 13: None}


#: Most are: with nothing around them, and nothing to mend.
_PLAIN = re.compile(r"https?://[!#-&(-;=?-\[\]-~]+")


_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]{0,30}://\S", re.IGNORECASE)


_SPACE = re.compile(r"\s")


_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


_NUMBER = re.compile(r"[0-9]{1,9}")


def _is_bare(link: str) -> bool:
    """
    Whether a link begins with its host, and is one: words may hold slashes.
    """
    host, _, path = link.partition("/")
    name, _, country = host.rpartition(".")
    labels = name.replace("-", "").split(".")
    named = country.isalpha() and all(map(str.isalnum, labels))
    return bool(path) and named and not _SPACE.search(link)


def read_urls(value: JSON, base: str = "") -> tuple[str, ...]:
    """
    Every link that *value* holds, each once.
    """
    if not value:
        return ()
    found = (read_url(text, base) for text in _texts(value).values())
    return tuple(dict.fromkeys(link for link in found if link is not None))


def read_expected_urls(
    data: dict[str, JSON], meta: dict[str, JSON], base: str = ""
) -> tuple[str, ...]:
    """
    Where the pictures of an unfinished job will lie.
    """
    return read_urls(data.get("future_links"), base) or read_urls(
        meta.get("output"), base
    )


def read_images(data: dict[str, JSON], base: str = "") -> tuple[Image, ...]:
    """
    The pictures of an answer, in the service's order.
    """
    proxies = _texts(data.get("proxy_links"))
    for texts in (_texts(data.get("output")), proxies):
        images: list[Image] = []
        seen: set[str] = set()
        for place, text in texts.items():
            if text in seen:
                continue
            seen.add(text)
            # Before other links: a JPEG's base64 is a path, "/9j/…".
            inline = None if _ABSOLUTE.match(text) else _picture(text)
            link = None if inline else read_url(text, base)
            if link is None and inline is None:
                continue
            proxy = read_url(proxies.get(place), base)
            images.append(
                Image(
                    index=len(images),
                    url=link,
                    proxy_url=None if proxy == link else proxy,
                    data=inline,
                )
            )
        if images:
            return tuple(images)
    return ()


def _texts(value: JSON) -> dict[int, str]:
    """
    Texts by their place, whatever holds them.
    """
    if isinstance(value, str):
        value = _unpacked_list(value)
    if isinstance(value, dict) and isinstance(value.get("url"), str):
        value = [value]
    if isinstance(value, dict):
        numbered = sorted(
            value.items(),
            key=lambda item: (
                (0, int(item[0]), "")
                if _NUMBER.fullmatch(item[0])
                else (1, 0, item[0])
            ),
        )
        value = [text for _, text in numbered]
    if not isinstance(value, list):
        return {}
    texts = {place: _link_in(each) for place, each in enumerate(value)}
    return {place: text for place, text in texts.items() if text}


def _unpacked_list(text: str) -> JSON:
    if text.lstrip()[:1] in {"[", "{"}:
        with suppress(ValueError, RecursionError):
            found: JSON = read_json(text)
            return found
    return [text]


def _link_in(value: JSON) -> str:
    if isinstance(value, dict):
        value = value.get("url")
    return value.strip() if isinstance(value, str) else ""


def _picture(text: str) -> bytes | None:
    """
    The picture that *text* itself is, or None.
    """
    return decode_inline(
        text.encode("ascii", "replace"), cap_bytes=CAP_BASE64_BYTES
    )
