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
import functools
import hashlib
import json
import math
import re

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any
from urllib.parse import urlsplit

import attrs
import cattrs

from cattrs.gen import make_dict_unstructure_fn, override

from .answers import (
    JSON,
    Image,
    Processing,
    Refusal,
    Success,
    Told,
    Topic,
    Unreadable,
)
from .errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    ModelNotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    Problem,
    RateLimitedError,
    ServerError,
    SpecError,
)
from .specs import (
    SPECS,
    AnySpec,
    Endpoint,
    Kind,
    Parameter,
    Spec,
    near,
    parameters,
)


_CAP_BYTES = 4 * 1024**2
#: Four pictures in base64, sent inside the answer.
_CAP_BASE64_BYTES = 64 * 1024**2
#: A day: what the service says beyond is no guess of anything.
_LONGEST = 86400.0
_LONGEST_MESSAGE = 1000


@attrs.frozen
class Call:
    """
    One request, without the key.

    Attributes:
        url: Absolute.

        body: A compact JSON object; whoever sends it adds `key`.

        cap_bytes: How long an answer may be.
    """

    url: str
    body: bytes = attrs.field(repr=False)
    cap_bytes: int = _CAP_BYTES


@attrs.frozen
class Reply:
    """
    What came back, scrubbed of the key; headers as they were, or None.
    """

    status: int
    body: bytes = attrs.field(repr=False)
    retry_after: str | None = None
    date: str | None = None
    rate_reset: str | None = None
    rate_remaining: str | None = None


# What we send.


def encode(spec: Spec, *, base_url: str, track_id: str) -> Call:
    """
    The request that asks for *spec*, under the name *track_id*.
    """
    endpoint = spec.endpoint
    body = _unstructurer(type(spec), on_wire=True)(spec)
    extra = body.pop("extra", {})
    body["track_id"] = track_id
    return Call(
        f"{base_url.rstrip('/')}/{endpoint.path}",
        _compact(body | extra),
        _CAP_BASE64_BYTES if spec.base64 else _CAP_BYTES,
    )


def encode_poll(url: str, job_id: str, *, base64: bool = False) -> Call:
    """
    The request that asks at *url* how the job stands.
    """
    cap_bytes = _CAP_BASE64_BYTES if base64 else _CAP_BYTES
    return Call(url, _compact({"request_id": job_id}), cap_bytes)


_FETCH_PATH = re.compile(
    r"(?:/[A-Za-z0-9_-]+)*/fetch(?:/([A-Za-z0-9_-]{1,128}))?/?"
)


def fetch_url(
    base_url: str, fetch_result: str | None, endpoint: Endpoint, job_id: str
) -> str:
    """
    Where to ask for a job: where the service says, if that is its own place.
    """
    base = base_url.rstrip("/")
    if fetch_result and (origin := _origin(fetch_result)) is not None:
        path = urlsplit(fetch_result).path
        if origin == _origin(base) and _FETCH_PATH.fullmatch(path):
            parts = urlsplit(base)
            return f"{parts.scheme}://{parts.netloc}{path}"
    return f"{base}/{endpoint.fetch_path}/{job_id}"


def other_fetch_url(base_url: str, endpoint: Endpoint) -> str:
    """
    The other documented form, where only the body names the job.
    """
    return f"{base_url.rstrip('/')}/{endpoint.fetch_path}"


def fetch_result_id(fetch_result: str | None) -> str | None:
    """
    The job's id as the end of *fetch_result* tells it.
    """
    try:
        path = urlsplit(fetch_result or "").path
    except ValueError:
        return None
    found = _FETCH_PATH.fullmatch(path)
    return found[1] if found else None


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port


# What we are told.


def decode(reply: Reply) -> Told:
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


def _decode(reply: Reply) -> Told | None:
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


_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _compact(data: dict[str, Any]) -> bytes:
    if not data:
        return b"{}"
    try:
        return _text(data).encode()
    except UnicodeEncodeError:
        # Half a character came as an escape; it goes on as one.
        return json.dumps(data, separators=(",", ":")).encode()


def _meta(data: dict[str, JSON]) -> dict[str, JSON]:
    meta = data.get("meta")
    return meta if isinstance(meta, dict) else {}


_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def clean_id(value: object) -> str | None:
    """
    An id as text: at most 128 of ``[A-Za-z0-9_-]``; None where it is none.
    """
    if isinstance(value, float) and value.is_integer() and value < 2**53:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**127 else ""
    if not isinstance(value, str):
        return None
    value = value.strip()
    return value if _ID.fullmatch(value) else None


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


@functools.cache
def _words(pattern: str) -> re.Pattern[str]:
    """
    Whole words, in any case; compiled at first use, so that imports are quick.
    """
    return re.compile(
        rf"(?<![a-z])(?:{pattern})(?![a-z])", re.IGNORECASE | re.MULTILINE
    )


_SAME_REQUEST = "same requests? multiple times|spam filter"
_QUEUE = (
    "maximum [0-9]+ queued|queue (?:is |was )?(?:now )?full|rate[ _-]?limit"
    "(?:ed|s|ing)?"
)
_MOST_QUEUED = r"maximum ([0-9]{1,6}) queued"
_BAN = (
    r"try(?: it)? again (?:in|after) "
    r"(?:an?|[0-9]{1,9}(?:\.[0-9]{1,9})?) ?(?:s|m|h|d)[a-z]*"
)
_LOADING = r"[\W_]*(?:failed[\W_]+)?try[\W_]+again[\W_]*"

#: The words of each topic, looked for in the message and in the code.
_TOPICS: tuple[tuple[Topic, str], ...] = (
    (Topic.SAME_REQUEST, _SAME_REQUEST),
    (Topic.BAN, _BAN),
    (
        Topic.KEY,
        (
            r"(?:invalid|wrong|incorrect|missing|unknown|expired|revoked|no)"
            r"(?: or [a-z]+)?[ _]api[ _-]?key"
            r"|api[ _-]?key (?:is |was |has |been |field )*(?:required|invalid"
            r"|missing|expired|revoked|wrong|incorrect"
            r"|not (?:valid|found|active))"
            r"|key field is required|^(?:unauthenticated|unauthorized)\.?$"
        ),
    ),
    (
        Topic.CREDIT,
        (
            r"(?:insufficient|enough|no|out of|add)"
            r"[ _](?:more )?(?:credits?|balance|funds?)"
        ),
    ),
    (
        Topic.PLAN,
        (
            r"(?:monthly|weekly|daily|plan|subscription|usage) limit|quota"
            r"|no[ _](?:active )?subscription"
            r"|subscription (?:is |has |was )*(?:expired|inactive|ended)"
        ),
    ),
    (
        Topic.MODEL,
        (
            r"model(?:[ _]id)?[ _](?:\S+ )?(?:is |was )?"
            r"(?:not[ _]found|does not exist|doesn't exist)"
            r"|(?:unknown|invalid|no such) model"
        ),
    ),
    (
        Topic.NOT_FOUND,
        r"(?:request|job|task)(?: id)? (?:was )?not found",
    ),
    (
        Topic.TRANSIENT,
        (
            r"rate(?:[ _-]?limit(?:ed|s|ing)?)?|queued?|servers?"
            r"|(?:[a-z]+_)?unavailable|try again|too many"
        ),
    ),
)


def _topics(message: str, code: str | None, tips: str) -> frozenset[Topic]:
    text = message if code is None else f"{message}\n{code}"
    topics = {topic for topic, words in _TOPICS if _words(words).search(text)}
    if _words(_SAME_REQUEST).search(tips):
        topics.add(Topic.SAME_REQUEST)
    # "Rate limit exceeded" is also how the same-request filter begins.
    if Topic.SAME_REQUEST not in topics and _words(_QUEUE).search(text):
        topics.add(Topic.QUEUE)
    return frozenset(topics)


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


# A refusal as an error.


_PERMISSION = (
    r"requires? (?:an? )?(?:[a-z]+ )?subscription|premium subscription"
    r"|forbidden|permission"
)


def refused(refusal: Refusal) -> ApiError:
    """
    The one error that a refusal is: by its words, then by its HTTP code.
    """
    http, topics = refusal.http, refusal.topics
    facts = (http, refusal.message, refusal.code, _json_of(refusal.raw_json))
    text = f"{refusal.message}\n{refusal.code}"
    if (
        http == 429
        or topics & {Topic.BAN, Topic.QUEUE}
        or (Topic.SAME_REQUEST in topics and http < 500)
    ):
        return RateLimitedError(*facts, refusal.retry_after, refusal.limit)
    if http >= 500:
        return ServerError(*facts)
    if Topic.KEY in topics:
        return AuthenticationError(*facts)
    if topics & {Topic.CREDIT, Topic.PLAN}:
        return PaymentRequiredError(*facts)
    if http in _BY_ACCOUNT:
        return _BY_ACCOUNT[http](*facts)
    if Topic.LOADING in topics:
        return ServerError(*facts)
    if Topic.MODEL in topics:
        return ModelNotFoundError(*facts)
    if http == 403 or _words(_PERMISSION).search(text):
        return PermissionDeniedError(*facts)
    if http == 408 or (http < 400 and Topic.TRANSIENT in topics):
        return ServerError(*facts)
    return InvalidRequestError(*facts)


_BY_ACCOUNT: Mapping[int, type[ApiError]] = {
    401: AuthenticationError,
    402: PaymentRequiredError,
}


def _json_of(body: bytes) -> JSON:
    data: JSON = json.loads(body)
    return data


# Specs as text, and back.


def spec_json(spec: Spec) -> str:
    """
    Canonical JSON of what was asked for, with the endpoint's name.
    """
    return _canonical(_plain(spec))


def identity(spec: Spec) -> str:
    """
    Which request it is: SHA-256 of its canonical JSON.

    *track_id* and *webhook* do not count: they change no picture.
    """
    plain = _plain(spec)
    plain.pop("track_id", None)
    plain.pop("webhook", None)
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()


def written(spec: AnySpec) -> tuple[str, str]:
    """
    Both `spec_json` and `identity`.
    """
    text = spec_json(spec)
    if spec.track_id is None and spec.webhook is None:
        return text, hashlib.sha256(text.encode()).hexdigest()
    return text, identity(spec)


def read_spec(row: Mapping[str, JSON]) -> AnySpec:
    """
    A spec from a journal, a JSON object or a row of text.

    *row* holds parameters by name, and the endpoint's under `endpoint`
    (`text2img` where it says nothing).  None and `""` are absent; numbers and
    flags may be text ("512", "yes").

    Raises:
        SpecError: With every fault of the row.
    """
    problems: list[Problem] = []
    name = row.get("endpoint") or "text2img"
    kind = SPECS.get(name) if isinstance(name, str) else None
    if kind is None:
        wrong = f"must be one of {', '.join(SPECS)}, not {name!r}"
        problems.append(Problem("endpoint", wrong))
        kind = SPECS["text2img"]
    # Under its protocol's name: mypy doubts that the class itself hashes.
    asked: type[Spec] = kind
    known = parameters(asked)
    values: dict[str, Any] = {}
    for field, value in row.items():
        if field in known:
            if not _absent(value):
                values[field] = _read(known[field], value)
        elif field != "endpoint":
            problems.append(_stranger(field, known))
    for field in attrs.fields(kind):
        if field.default is attrs.NOTHING and field.name not in values:
            problems.append(Problem(field.name, "is required"))
            # Fine in itself, so that only the other faults are told.
            values[field.name] = "?"
    try:
        spec = kind(**values)
    except SpecError as error:
        raise SpecError((*problems, *error.problems)) from None
    if problems:
        raise SpecError(tuple(problems))
    return spec


def _absent(value: JSON) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _stranger(field: str, known: Mapping[str, Parameter]) -> Problem:
    name = str(field)
    if name.strip().casefold() in {"key", "api_key", "apikey", "api-key"}:
        reason = (
            "looks like an API key; take it out, "
            "and set MODELSLAB_API_KEY instead"
        )
    else:
        reason = (
            f"is no parameter{near(name, known)}; "
            "what we don't know yet goes into 'extra'"
        )
    return Problem(name, reason)


def _read(parameter: Parameter, value: JSON) -> object:
    """
    What *value* means; as it is where it means nothing, for others to judge.
    """
    kind = parameter.kind
    if kind is Kind.NUMBERS and isinstance(value, list):
        return [_as_number(each) for each in value]
    if kind is Kind.FLAG and isinstance(value, int) and value in {0, 1}:
        return bool(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    match kind:
        case Kind.INTEGER if _WHOLE.fullmatch(text):
            return int(text)
        case Kind.NUMBER:
            return _as_number(text)
        case Kind.NUMBERS if "," in text:
            return [_as_number(each) for each in text.split(",")]
        case Kind.NUMBERS:
            return _as_number(text)
        case Kind.UPSCALE if _WHOLE.fullmatch(text):
            return int(text) or False
        case Kind.FLAG | Kind.UPSCALE:
            yes = _yes(text)
            return value if yes is None else yes
        case Kind.EXTRA:
            try:
                return _json.decode(text)
            except (ValueError, RecursionError):
                return value
        case Kind.TEXT:
            return value
    return text


_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")


def _as_number(value: JSON) -> JSON:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


# The converter.


_converter = cattrs.Converter()


def _plain(spec: Spec) -> dict[str, Any]:
    plain = _unstructurer(type(spec), on_wire=False)(spec)
    return {"endpoint": spec.endpoint.name, **plain}


def _canonical(plain: dict[str, Any]) -> str:
    return json.dumps(
        plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )


@functools.cache
def _unstructurer(
    spec: type[Spec], *, on_wire: bool
) -> Callable[[Spec], dict[str, Any]]:
    """
    What makes plain data of a kind of spec, without what was left out.
    """
    hooks: dict[str, Any] = {
        name: override(
            unstruct_hook=_hook(parameter, spec.endpoint, on_wire=on_wire)
        )
        for name, parameter in parameters(spec).items()
    }
    return make_dict_unstructure_fn(
        spec, _converter, _cattrs_omit_if_default=True, **hooks
    )


def _hook(
    parameter: Parameter, endpoint: Endpoint, *, on_wire: bool
) -> Callable[[Any], JSON]:
    no, yes = endpoint.flags
    match parameter.kind:
        case Kind.EXTRA:
            return dict
        case Kind.WORD:
            return str
        case Kind.TEXTS | Kind.NUMBERS if not on_wire:
            return lambda value: (
                list(value) if isinstance(value, tuple) else value
            )
        case Kind.FLAG if on_wire:
            return lambda value: (no, yes)[value]
        case Kind.UPSCALE if on_wire:
            return lambda value: (
                (no, yes)[value] if isinstance(value, bool) else value
            )
        case Kind.TEXT if on_wire:
            return str.strip
        case Kind.TEXTS if on_wire:
            return _joined_texts
        case Kind.NUMBERS if on_wire:
            return _joined_numbers
    return lambda value: value


def _joined_texts(value: str | tuple[str, ...]) -> str:
    texts = value.split(",") if isinstance(value, str) else value
    return ",".join(text.strip() for text in texts)


def _joined_numbers(value: float | tuple[float, ...]) -> str:
    numbers = value if isinstance(value, tuple) else (value,)
    return ",".join(repr(number).removesuffix(".0") for number in numbers)
