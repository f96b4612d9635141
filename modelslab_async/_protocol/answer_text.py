r"""
The service's JSON in the body of an answer, which may not be all of it.

* An answer may begin with a byte order mark, NULs or white space, and end so;
  NULs may stand anywhere, and UTF-16 come without its mark.
* PHP's notices may stand before the JSON, or behind it, with braces, quotes
  and tags of their own. Pages that show JSON (``<html>``, ``<script>``) are
  no answers of the service; what stands before such a page is one.
* Of several objects the one that speaks of a job is the answer.
* The whole may be JSON once more: in a string, in a list, or under *data*.
* A byte that is not UTF-8 costs no more than its character; in a link it is
  quoted, so that the link goes on leading there.
* A field may stand there twice, and say nothing the second time.
* Escapes that JSON does not have (``\'``) and a comma behind the last of a
  list are read over, and so are numbers of thousands of digits.
* Of JSON that ends too early, what came whole is kept: an id, say.  It is no
  answer, as nobody knows how it went on.
"""

from __future__ import annotations

import codecs
import re

from collections.abc import Iterator
from typing import Any

from ..results import JSON
from .json_text import read_json, read_json_at, read_json_firsts


def read_answer(body: bytes) -> dict[str, JSON] | None:
    """
    The object that an answer is; None where it is none.

    Raises:
        RecursionError: It is nested too deeply.
    """
    text, whole = _characters(body)
    try:
        data = read_json(text.strip(_AROUND))
    except ValueError:
        data = _embedded(text) or _repaired(text.replace("\0", ""))
    data = _unwrapped(data)
    if data is None:
        return None
    return data if whole else _without_strangers(data)


def read_repeated(body: bytes) -> dict[str, JSON] | None:
    """
    The object of an answer that has fields twice: what each said first.
    """
    if max(body.count(b'"id"'), body.count(b'"status"')) < 2:
        return None
    text, whole = _characters(body)
    try:
        data = read_json_firsts(text.strip(_AROUND))
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    return data if whole else _without_strangers(data)


def read_torn(body: bytes) -> dict[str, JSON]:
    """
    The fields that came whole of an object that did not.
    """
    text, _ = _characters(body[:_LONGEST_TORN])
    begin = _OBJECT.search(text)
    if begin is None or _PAGE.search(text, 0, begin.start()):
        return {}
    depth, whole = 0, ""
    for sign in _SIGNS.finditer(text, begin.start()):
        mark = sign[0]
        depth += (mark in "{[") - (mark in "}]")
        if depth == 0:
            whole = text[begin.start() : sign.end()]
        elif depth == 1 and mark == ",":
            whole = text[begin.start() : sign.start()] + "}"
        if not 0 < depth < _DEEPEST:
            break
    try:
        data = read_json(_mended(whole))
    except (ValueError, RecursionError):
        return {}
    return _without_strangers(data) if isinstance(data, dict) else {}


_AROUND = " \t\r\n\v\f\0\ufeff"


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


_ANY_MARK = tuple(mark for mark, _ in _MARKS)


def _characters(body: bytes) -> tuple[str, bool]:
    """
    A body as text, and whether each of its bytes was understood.
    """
    if body.startswith(_ANY_MARK):
        encoding = next(name for mark, name in _MARKS if body.startswith(mark))
        return body.decode(encoding, "replace"), True
    try:
        return body.decode(), True
    except UnicodeDecodeError:
        return body.decode("utf-8", "surrogateescape"), False


_PAGE = re.compile("<(?:html|!doctype|head|body|script)", re.IGNORECASE)


#: How an object begins that has something in it.
_OBJECT = re.compile(r'\{\s{0,200}"')


#: How many characters may be looked at in all, braces of notices included.
_MOST_LOOKS = 50_000_000


_ACCEPTED = frozenset({"success", "processing"})


def _embedded(text: str) -> JSON:
    """
    The service's object among other text: it has a status.
    """
    found = None
    for data in _objects_in(text):
        word = data.get("status")
        if not isinstance(word, str):
            continue
        if word.strip().lower() in _ACCEPTED:
            return data
        found = found or data
    return found


def _objects_in(text: str) -> Iterator[dict[str, JSON]]:
    page = _PAGE.search(text)
    last = len(text) if page is None else page.start()
    at = looks = 0
    while looks < _MOST_LOOKS:
        begin = _OBJECT.search(text, at, last)
        if begin is None:
            return
        try:
            data, at = read_json_at(text, begin.start())
        except ValueError as exc:
            # Where it failed is counted from the text's beginning.
            looks += getattr(exc, "pos", len(text)) + 1000
            at = begin.start() + 1
        else:
            if isinstance(data, dict):
                yield data


#: Where the answer itself may begin.
_OURS = re.compile(r'\{\s{0,200}"status"')


def _repaired(text: str) -> JSON:
    """
    As `_embedded`, of JSON that should have been written otherwise.
    """
    for pattern in (_OBJECT, _OURS):
        # From its beginning: a quote before it would turn all inside out.
        begin = pattern.search(text)
        if begin is None or _PAGE.search(text, 0, begin.start()):
            return None
        found = _embedded(_mended(text[begin.start() :]))
        if found is not None:
            return found
    return None


#: Strings, whole or torn, and what may be wrong between them.
_PARTS = re.compile(
    r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|,(?=\s*[}\]])|[\udc80-\udcff]+'
    r"|-?[0-9]++[0-9.eE+-]*+",
    re.DOTALL,
)


#: Python takes no longer ones for numbers.
_LONGEST_NUMBER = 4000


_ESCAPES = re.compile(r"\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}|())")


def _mended(text: str) -> str:
    """
    JSON as it should have been written.
    """
    return _PARTS.sub(lambda found: _mended_part(found[0]), text)


def _mended_part(part: str) -> str:
    if part[0] in "-0123456789":
        return part if len(part) <= _LONGEST_NUMBER else "null"
    if part[0] != '"':
        return ""
    if "\\" not in part:
        return part
    return _ESCAPES.sub(
        lambda found: found[0] if found[1] is None else "\\\\", part
    )


#: What some gateways put an answer into.
_ENVELOPES = ("data", "response", "result", "body")


#: An answer in an answer in an answer; nobody packs it more often.
_MOST_WRAPPED = 3


def _unwrapped(data: Any) -> dict[str, JSON] | None:
    """
    The object in strings, lists and envelopes.
    """
    for _ in range(_MOST_WRAPPED):
        if isinstance(data, dict):
            if isinstance(data.get("status"), str):
                return data
            inner = next(filter(None, map(data.get, _ENVELOPES)), None)
            if not (isinstance(inner, dict) and "status" in inner):
                return data
            data = inner
        elif isinstance(data, list) and len(data) == 1:
            data = data[0]
        elif isinstance(data, str) and "{" in data:
            try:
                data = read_json(data)
            except ValueError:
                return None
        else:
            return None
    return data if isinstance(data, dict) else None


def _without_strangers(value: Any) -> Any:
    """
    JSON without the bytes that were not understood.
    """
    if isinstance(value, str):
        if not _STRANGE.search(value):
            return value
        if value.lstrip()[:8].lower().startswith(_LINKS):
            return _STRANGE.sub(
                lambda found: f"%{ord(found[0]) - 0xDC00:02X}", value
            )
        return _STRANGE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_strangers(each) for each in value]
    if isinstance(value, dict):
        return {
            _without_strangers(name): _without_strangers(each)
            for name, each in value.items()
        }
    return value


#: What "surrogateescape" makes of a byte that is not UTF-8.
_STRANGE = re.compile("[\udc80-\udcff]")


_LINKS = ("http://", "https://", "/")


#: What may be torn, and is looked at: an id stands at the beginning.
_LONGEST_TORN = 65536


_DEEPEST = 100


_SIGNS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\],]', re.DOTALL)
