"""
Here lives the service's disorder: our objects and its JSON, both ways.

What we send:

* Flags are `"yes"` and `"no"`: the page says boolean with the default `"yes"`,
  the older one says words, and every captured request has words.
* *lora_strength* is a string, `"0.45,0.55"`: the schema says integer, yet
  speaks of commas, which no integer has; the flux schema says string.
* None is not sent: the service's own default rules.
* The key is not here; `_pool` adds it as the bytes are written.
* A poll carries *request_id* too: one body then suits both documented forms,
  ``/fetch/{id}`` and ``/fetch``.
* *fetch_result* is followed only on the API's own origin, and only its path
  is taken: the key goes nowhere else, however an URL is spelt.

What we are told:

* A no comes with HTTP 200 as often as with 4xx, so the body is read whatever
  the code is, and its status word wins.
* The status word may have any case.  An unknown one beside a picture is a
  success, without one it is "not finished" (at 400 and above: a refusal,
  unless a picture says otherwise).
* No status word at all, below 400: a picture is a success; an id beside
  *fetch_result* or *future_links* is a job; a message is a refusal without a
  word; anything else is nobody's answer.
* *message* is also spelt *messege*, and is a string, a dict of lists (Laravel)
  or absent; *error*, *errors*, *tip* and *tips* may stand in for it.
* Tips are advertising ("enterprise plan") and advice ("valid API key"): of
  all topics only the same-request filter is looked for in them, because it
  is told nowhere else.
* *output* is a list, a string, an object by number, `""`, null, or empty while
  *proxy_links* has the files.  *future_links* may name fewer than were asked
  for, and sometimes only ``meta.output`` has them.
* *output* may hold the picture itself, as a data URI or as bare base64; a URL
  that ends in ``.base64`` stays one, as it leads to a text file.
* The id is an int, a string, null, `""` or missing; then *request_id*,
  ``meta.id`` or the end of *fetch_result* say it.  Booleans are no ids.
* Numbers come as strings, negative, as NaN or 1e999.  What is not finite or
  below 0 is none (an eta of 0 would mean "ask at once"), the rest is clamped.
* *seed* and *meta* are only in the answer to a submit, and *meta* is spelt in
  several ways; only ``meta.seed`` is the same in all.
* How long to wait: the body's *retry_after* first, as only that is documented
  for this service, then its words ("in 30 minutes"), then Retry-After, which
  may be a gateway's, then X-RateLimit-Reset where nothing remains.  Dates are
  measured against the answer's own Date, never our clock.
* "rate" and its kin are looked for as whole words: "generate" holds one.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import json
import math
import re

from datetime import UTC

from ..results import JSON, Image
from .encode import _compact, clean_id, fetch_result_id
from .refusals import _LOADING, _MOST_QUEUED, _topics, _words
from .replies import (
    Answer,
    Processing,
    Refusal,
    Reply,
    Success,
    Topic,
    Unreadable,
)


#: A day: what the service says beyond is no guess of anything.
_LONGEST = 86400.0


_LONGEST_MESSAGE = 1000


# What we are told.


def decode(reply: Reply) -> Answer:
    """
    What an answer says; never raises, whatever came.
    """
    try:
        told = _decode(reply)
    except (ValueError, RecursionError):
        told = None
    if told is not None:
        return told
    text = reply.body[:2000].decode("utf-8", "replace")
    return Unreadable(
        reply.status, _one_line(text)[:200], _retry_after(reply, {}, "")
    )


def _decode(reply: Reply) -> Answer | None:
    data = _json.decode(reply.body.decode("utf-8-sig"))
    if not isinstance(data, dict):
        return None
    word = data.get("status")
    word = word.strip().lower() if isinstance(word, str) else ""
    if word in {"error", "failed"}:
        return _refusal(reply, data, word)
    if word == "success":
        return _success(reply, data)
    if word == "processing":
        return _processing(reply, data)
    bad = reply.status >= 400
    if (word or not bad) and (success := _success(reply, data)).images:
        return success
    if word and not bad:
        return _processing(reply, data)
    if not (word or bad) and (
        data.get("fetch_result") or data.get("future_links")
    ):
        processing = _processing(reply, data)
        if processing.id is not None:
            return processing
    if bad or _message(data):
        return _refusal(reply, data, None)
    return None


def _success(reply: Reply, data: dict[str, JSON]) -> Success:
    meta = _meta(data)
    return Success(
        http=reply.status,
        id=_id(data, meta),
        images=_images(data),
        expected_urls=_expected(data, meta),
        fetch_result=_url(data.get("fetch_result")),
        seed=_seed(data, meta),
        generation_time=_numeric(data.get("generationTime")),
        nsfw=_nsfw(data),
        meta_json=_compact(meta),
        raw_json=_compact(data),
    )


def _processing(reply: Reply, data: dict[str, JSON]) -> Processing:
    meta = _meta(data)
    job_id = _id(data, meta)
    return Processing(
        http=reply.status,
        id=job_id,
        eta=_seconds(data.get("eta")),
        fetch_result=_url(data.get("fetch_result")),
        expected_urls=_expected(data, meta),
        seed=_seed(data, meta),
        message=_message(data) or None,
        meta_json=_compact(meta),
        # Without an id it becomes an error, which tells all of the answer.
        raw_json=_compact(data) if job_id is None else b"{}",
    )


def _refusal(reply: Reply, data: dict[str, JSON], word: str | None) -> Refusal:
    message, code = _message(data), _code(data)
    tips = " ".join(_flat(data.get(name)) for name in ("tip", "tips"))
    job_id = _id(data, _meta(data))
    topics = _topics(message, code, tips)
    if job_id is None and _words(_LOADING).fullmatch(message):
        topics |= {Topic.LOADING}
    most = _words(_MOST_QUEUED).search(message)
    return Refusal(
        http=reply.status,
        word=word,
        message=message,
        topics=topics,
        code=code,
        id=job_id,
        retry_after=_retry_after(reply, data, f"{message} {tips}"),
        limit=max(1, int(most[1])) if most else None,
        raw_json=_compact(data),
    )


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


#: Control characters inside of strings are let through; infinities are null.
_json = json.JSONDecoder(
    parse_float=_finite, parse_constant=lambda _: None, strict=False
)


def _meta(data: dict[str, JSON]) -> dict[str, JSON]:
    meta = data.get("meta")
    return meta if isinstance(meta, dict) else {}


def _id(data: dict[str, JSON], meta: dict[str, JSON]) -> str | None:
    return (
        clean_id(data.get("id"))
        or clean_id(data.get("request_id"))
        or clean_id(meta.get("id"))
        or fetch_result_id(_url(data.get("fetch_result")))
    )


def _numeric(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds(value: object) -> float | None:
    number = _numeric(value)
    return None if number is None else min(number, _LONGEST)


def _seed(data: dict[str, JSON], meta: dict[str, JSON]) -> int | None:
    for value in (meta.get("seed"), data.get("seed")):
        seed = _numeric(value)
        if seed is not None and seed.is_integer() and seed < 2**32:
            return int(seed)
    return None


_YES = frozenset({"yes", "true", "1"})


_NO = frozenset({"no", "false", "0"})


def _yes(value: object) -> bool | None:
    """
    A flag in any form; None where it is none.
    """
    word = str(value).strip().lower()
    return True if word in _YES else False if word in _NO else None


def _nsfw(data: dict[str, JSON]) -> bool | None:
    found = data.get("nsfw_content_detected", data.get("has_nsfw_concept"))
    if found is None:
        return None
    several = found if isinstance(found, list) else [found]
    said = [yes for each in several if (yes := _yes(each)) is not None]
    return any(said) if said else None


# Links.


def _links(value: JSON) -> dict[int, str]:
    """
    Links by their place, whatever holds them.
    """
    if isinstance(value, str):
        value = [value]
    if isinstance(value, dict):
        numbered = sorted(
            value.items(),
            key=lambda item: (
                (0, int(item[0]), "")
                if _PLACE.fullmatch(item[0])
                else (1, 0, item[0])
            ),
        )
        value = [link for _, link in numbered]
    if not isinstance(value, list):
        return {}
    return {
        place: link.strip()
        for place, link in enumerate(value)
        if isinstance(link, str) and link.strip()
    }


_PLACE = re.compile(r"[0-9]{1,9}")


_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)


def _url(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    value = value.strip()
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value if _URL.fullmatch(value) else None


def _urls(value: JSON) -> tuple[str, ...]:
    if not value:
        return ()
    found = (_url(link) for link in _links(value).values())
    return tuple(dict.fromkeys(url for url in found if url is not None))


def _expected(data: dict[str, JSON], meta: dict[str, JSON]) -> tuple[str, ...]:
    return _urls(data.get("future_links")) or _urls(meta.get("output"))


def _images(data: dict[str, JSON]) -> tuple[Image, ...]:
    proxies = _links(data.get("proxy_links"))
    for links in (_links(data.get("output")), proxies):
        images: list[Image] = []
        seen: set[str] = set()
        for place, link in links.items():
            if link in seen:
                continue
            seen.add(link)
            url = _url(link)
            inline = None if url else _inline(link)
            if url is None and inline is None:
                continue
            proxy = _url(proxies.get(place))
            images.append(
                Image(
                    index=len(images),
                    url=url,
                    proxy_url=None if proxy == url else proxy,
                    data=inline,
                )
            )
        if images:
            return tuple(images)
    return ()


_DATA_URI = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


#: PNG, JPEG, WebP, GIF; whether it is whole is for others to say.
_PICTURE = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")


def _inline(text: str) -> bytes | None:
    """
    The picture that *text* itself is, or None.
    """
    start = _DATA_URI.match(text)
    coded = "".join(text[start.end() if start else 0 :].split())
    try:
        data = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        return None
    # Any word is base64; without the prefix it must look like a picture.
    return data if data and (start or data.startswith(_PICTURE)) else None


# Words.


def _one_line(text: str) -> str:
    """
    *text* without line ends, control characters and half characters.
    """
    if not text.isprintable():
        text = text.encode("utf-8", "replace").decode()
        text = _CONTROL.sub(" ", text)
    return " ".join(text.split())


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def _message(data: dict[str, JSON]) -> str:
    error = data.get("error")
    inner = error.get("message") if isinstance(error, dict) else None
    for value in (
        data.get("message"),
        data.get("messege"),
        inner,
        error,
        data.get("errors"),
        data.get("tip"),
        data.get("tips"),
    ):
        if found := _flat(value):
            return found
    return ""


def _flat(value: object, depth: int = 4) -> str:
    """
    Any JSON as one line: lists joined by "; ", dicts as "field: text".
    """
    if isinstance(value, str):
        return _one_line(value[: 2 * _LONGEST_MESSAGE])[:_LONGEST_MESSAGE]
    if depth == 0 or value is None or isinstance(value, bool):
        return ""
    if isinstance(value, (int, float)):
        return str(value)
    parts: list[str] = []
    if isinstance(value, list):
        parts = [_flat(each, depth - 1) for each in value[:100]]
    if isinstance(value, dict):
        parts = [
            f"{_flat(name)}: {text}"
            for name, each in list(value.items())[:100]
            if (text := _flat(each, depth - 1))
        ]
    return "; ".join(filter(None, parts))[:_LONGEST_MESSAGE]


def _code(data: dict[str, JSON]) -> str | None:
    error = data.get("error")
    inner = error.get("code") if isinstance(error, dict) else None
    for value in (data.get("code"), inner):
        if isinstance(value, (str, int)) and (found := _flat(value, 1)):
            return found[:100]
    return None


# How long to wait.


_DURATION = (
    r"(?:in|after|for|wait) (an?|[0-9]{1,9}(?:\.[0-9]{1,9})?) ?"
    r"(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
)


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _retry_after(
    reply: Reply, data: dict[str, JSON], words: str
) -> float | None:
    """
    Seconds to wait, from whoever says it best.
    """
    said = _seconds(data.get("retry_after"))
    if said is None and (found := _words(_DURATION).search(words)):
        count = 1.0 if found[1][0] in "aA" else float(found[1])
        said = min(_LONGEST, count * _UNITS[found[2][0].lower()])
    if said is None and reply.retry_after is not None:
        said = _seconds(reply.retry_after)
        if said is None:
            said = _until(_epoch(reply.retry_after), reply)
    if said is None and (
        reply.status == 429 or _numeric(reply.rate_remaining) == 0
    ):
        said = _until(_numeric(reply.rate_reset), reply)
    return said


def _until(then: float | None, reply: Reply) -> float | None:
    now = _epoch(reply.date)
    if then is None or now is None:
        return None
    return min(_LONGEST, max(0.0, then - now))


def _epoch(date: str | None) -> float | None:
    try:
        then = email.utils.parsedate_to_datetime(date or "")
        return then.replace(tzinfo=then.tzinfo or UTC).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
