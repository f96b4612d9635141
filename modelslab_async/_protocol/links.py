"""
Links and pictures in an answer, whatever holds them.

* *output* is a list, a string, an object by number, `""`, null, or empty while
  *proxy_links* has the files.  *future_links* may name fewer than were asked
  for, and sometimes only ``meta.output`` has them.
* A link may stand in an object, as its *url*, and in lists of lists; all of
  them in a string, as JSON once more or with commas or line ends between.
* A link stays as it came: signed ones are spelt as they were signed.  It may
  hold spaces and letters beyond ASCII, and lack its scheme (``//host/x.png``,
  ``host.example/x.png``) or its host (``/x.png`` and ``x.png``: the API's
  own); its slashes may be escaped, or the wrong way round.
* *output* may hold the picture itself (see `inline`); a URL that ends in
  ``.base64`` stays one, as it leads to a text file.
"""

from __future__ import annotations

import re

from contextlib import suppress
from itertools import zip_longest
from urllib.parse import unquote

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
    link = _taken_out(value)
    try:
        link.encode()
    except UnicodeEncodeError:
        return None
    if _CONTROLS.search(link):
        return None
    if _ABSOLUTE.match(link):
        return link
    scheme, _, rest = base.partition("://")
    if link.startswith("//"):
        host, _, path = link[2:].partition("/")
        known = bool(rest and host and path) and not _SPACE.search(host)
        return f"{scheme}:{link}" if known else None
    if _is_host_first(link):
        return f"https://{link}"
    path = link if link.startswith("/") else f"/{link.removeprefix('./')}"
    named = path == link or _is_name(link)
    host, _, _ = rest.partition("/")
    if not (named and host and len(path) > 1):
        return None
    return f"{scheme}://{host}{path}"


def _taken_out(text: str) -> str:
    """
    A link without what surrounds it, and as URLs are written.
    """
    link = text.strip(_AROUND).translate(_LINE_ENDS)
    if link.startswith("'"):
        # At the end alone it is the link's own.
        link = link.strip(_AROUND + "'")
    if "\\" in link:
        link = link.replace("\\u002f", "/").replace("\\u002F", "/")
        link = _ESCAPED_SLASH.sub("/", link)
    if _PACKED.match(link):
        link = unquote(link)
    if _ODD_SLASHES.match(link):
        scheme, _, rest = link.partition(":")
        if rest.startswith("\\"):
            rest = rest.replace("\\", "/")
        link = f"{scheme}://{rest.lstrip('/')}"
    return link


#: What may stand around a link: also what nobody sees, and quotes of letters.
_AROUND = (
    "".join(map(chr, range(33)))
    + '\x7f"<>`\u00a0\u200b\u200c\u200d\u2060\ufeff\u201c\u201d\u201e'
)


#: Inside of it browsers leave it out, too.
_LINE_ENDS = {9: None, 10: None, 13: None}


#: Most are: with nothing around them, and nothing to mend.
_PLAIN = re.compile(r"https?://[!#-&(-;=?-\[\]-_a-~]+")


#: The same without what may stand before a second link.
_LONE = re.compile(r"https?://[!#-&(-+\--:=?-\[\]-_a-{}~]+")


_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]{0,30}://\S", re.IGNORECASE)


#: JSON's, also where it was written twice.
_ESCAPED_SLASH = re.compile(r"(?<!\\)\\+/")


_PACKED = re.compile("https?%3a%2f%2f", re.IGNORECASE)


#: One slash, or slashes the other way round, which browsers read as well.
_ODD_SLASHES = re.compile(r"https?:(?:/[^/\\]|\\\\?[^/\\])", re.IGNORECASE)


_SPACE = re.compile(r"\s")


_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


_NUMBER = re.compile(r"[0-9]{1,9}")


def _is_host_first(link: str) -> bool:
    """
    Whether a link begins with its host, and is one: words may hold slashes.
    """
    host, _, path = link.partition("/")
    host, _, port = host.partition(":")
    name, _, country = host.rpartition(".")
    labels = name.replace("-", "").split(".")
    named = country.isalpha() and all(map(str.isalnum, labels))
    ported = not port or bool(_NUMBER.fullmatch(port))
    return bool(path) and named and ported and not _SPACE.search(link)


def _is_name(link: str) -> bool:
    """
    Whether it is a picture's, which needs no slash to be a path.
    """
    path, _, _ = link.partition("?")
    return path.lower().endswith(_ENDINGS) and not _NO_NAME.search(link)


_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".base64")


_NO_NAME = re.compile(r"[\s:#\\]")


def read_urls(value: JSON, base: str = "") -> tuple[str, ...]:
    """
    Every link that *value* holds, each once.
    """
    if not value:
        return ()
    found = (read_url(text, base) for text in _texts(value))
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
    for place in _PLACES_OF_PICTURES:
        texts = _texts(data.get(place))
        images: list[Image] = []
        seen: set[str] = {""}
        for text, second in zip_longest(texts, proxies, fillvalue=""):
            if text in seen:
                continue
            seen.add(text)
            # Before other links: a JPEG's base64 is a path, "/9j/…".
            inline = None if _ABSOLUTE.match(text) else _picture(text)
            link = None if inline else read_url(text, base)
            if link is None and inline is None:
                continue
            proxy = read_url(second, base) if second else None
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


#: *link* is what uploads were once answered with.
_PLACES_OF_PICTURES = ("output", "proxy_links", "link")


#: No answer has so many links, or holds them so deep.
_MOST_LINKS, _DEEPEST_LINK = 1000, 6


def _texts(value: JSON) -> list[str]:
    """
    What may be links, whatever holds it; "" in the places of what is none.
    """
    found: list[str] = []
    _gather(value, found, _DEEPEST_LINK)
    return found


def _gather(value: JSON, found: list[str], depth: int) -> None:
    inner: list[JSON] = []
    if depth == 0 or len(found) >= _MOST_LINKS:
        pass
    elif isinstance(value, str):
        if _LONE.fullmatch(value):
            found.append(value)
            return
        unpacked = _as_json(value)
        if unpacked is value:
            found += _separated(value)
            return
        inner = [unpacked]
    elif isinstance(value, list):
        inner = value[:_MOST_LINKS]
    elif isinstance(value, dict):
        inner = _members(value)
    if not inner:
        found.append("")
    for each in inner:
        _gather(each, found, depth - 1)


def _members(value: dict[str, JSON]) -> list[JSON]:
    """
    What of an object may be a link: what is called so, or all of it, in its
    order.
    """
    for name in _CALLED:
        if isinstance(value.get(name), (str, list, dict)):
            return [value[name]]
    numbered = sorted(
        value.items(),
        key=lambda item: (
            (0, int(item[0]), "")
            if _NUMBER.fullmatch(item[0])
            else (1, 0, item[0])
        ),
    )
    return [each for _, each in numbered]


_CALLED = (
    *("url", "image_url", "image", "link", "src", "uri", "b64_json"),
    *("urls", "image_urls", "images", "links", "output"),
)


def _as_json(text: str) -> JSON:
    if text.lstrip()[:1] in _JSON_BEGINS:
        # As Python writes lists, too.
        for written in (text, text.replace("'", '"')):
            with suppress(ValueError, RecursionError):
                found: JSON = read_json(written)
                return found
    return text


_JSON_BEGINS = frozenset({"[", "{", '"'})


def _separated(text: str) -> list[str]:
    """
    The links that one text holds, if there are several.
    """
    text = text.strip()
    return _BETWEEN.split(text) if text[:4].lower() == "http" else [text]


#: A comma, or white space, is between links only where another begins.
_BETWEEN = re.compile(r"(?<![\s,;|])[\s,;|]++(?=https?:[/\\])", re.IGNORECASE)


def _picture(text: str) -> bytes | None:
    """
    The picture that *text* itself is, or None.
    """
    return decode_inline(
        text.encode("ascii", "replace"), cap_bytes=CAP_BASE64_BYTES
    )
