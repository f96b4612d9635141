"""
Links and pictures in an answer, whatever holds them.

* *output* is a list, a string, an object by number, `""`, null, or empty while
  *proxy_links* has the files.  *future_links* may name fewer than were asked
  for, and sometimes only ``meta.output`` has them.
* *output* may hold the picture itself (see `inline`); a URL that ends in
  ``.base64`` stays one, as it leads to a text file.
"""

from __future__ import annotations

import re

from ..results import JSON, Image
from .inline import decode_inline
from .replies import CAP_BASE64_BYTES


_LINK = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)


_NUMBER = re.compile(r"[0-9]{1,9}")


def read_url(value: object) -> str | None:
    """
    A link; None where it is none.
    """
    if not isinstance(value, str):
        return None
    value = value.strip()
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value if _LINK.fullmatch(value) else None


def read_urls(value: JSON) -> tuple[str, ...]:
    """
    Every link that *value* holds, each once.
    """
    if not value:
        return ()
    found = (read_url(text) for text in _texts(value).values())
    return tuple(dict.fromkeys(link for link in found if link is not None))


def read_expected_urls(
    data: dict[str, JSON], meta: dict[str, JSON]
) -> tuple[str, ...]:
    """
    Where the pictures of an unfinished job will lie.
    """
    return read_urls(data.get("future_links")) or read_urls(meta.get("output"))


def read_images(data: dict[str, JSON]) -> tuple[Image, ...]:
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
            link = read_url(text)
            inline = None if link else _picture(text)
            if link is None and inline is None:
                continue
            proxy = read_url(proxies.get(place))
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
    return {
        place: text.strip()
        for place, text in enumerate(value)
        if isinstance(text, str) and text.strip()
    }


def _picture(text: str) -> bytes | None:
    """
    The picture that *text* itself is, or None.
    """
    return decode_inline(
        text.encode("ascii", "replace"), cap_bytes=CAP_BASE64_BYTES
    )
