"""
What the service's answers say: a `Reply` becomes an `Answer`.

Each part of an answer has a file of its own, whose docstring tells its
oddities: `values`, `links`, `inline`, `job_ids`, `delays`,
`refusals`, `json_text`.  Here:

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
* Where there is no id, *request_id*, ``meta.id`` or the end of *fetch_result*
  say it.
* *seed* and *meta* are only in the answer to a submit, and *meta* is spelt in
  several ways; only ``meta.seed`` is the same in all.
"""

from __future__ import annotations

from ..results import JSON
from .answer_text import read_answer, read_repeated, read_torn
from .delays import retry_after
from .job_ids import clean_id, fetch_result_id
from .json_text import compact_json
from .links import read_expected_urls, read_images, read_url
from .refusals import read_limit, read_topics
from .replies import (
    Answer,
    Processing,
    Refusal,
    Reply,
    Success,
    Unreadable,
)
from .values import (
    one_line,
    read_flag,
    read_number,
    read_seconds,
    read_text,
)


def decode(reply: Reply) -> Answer:
    """
    What an answer says; never raises, whatever came.
    """
    try:
        answer = _answer(reply, read_answer(reply.body))
        if _says_nothing(answer):
            again = read_repeated(reply.body)
            answer = answer if again is None else _answer(reply, again)
    except (ValueError, RecursionError):
        answer = None
    if answer is not None:
        return answer
    text = reply.body[:2000].decode("utf-8", "replace")
    return Unreadable(
        reply.status,
        one_line(text)[:200],
        retry_after(reply, {}, ""),
        compact_json(read_torn(reply.body)),
    )


def _says_nothing(answer: Answer | None) -> bool:
    match answer:
        case Success(id=None, images=()) | Processing(id=None):
            return True
    return answer is None


def _answer(reply: Reply, data: dict[str, JSON] | None) -> Answer | None:
    if data is None:
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
        id=_job_id(data, meta, reply.url),
        images=read_images(data, reply.url),
        expected_urls=read_expected_urls(data, meta, reply.url),
        fetch_result=read_url(data.get("fetch_result"), reply.url),
        seed=_seed(data, meta),
        generation_time=read_number(data.get("generationTime")),
        nsfw=_nsfw(data),
        meta_json=compact_json(meta),
        raw_json=compact_json(data),
    )


def _processing(reply: Reply, data: dict[str, JSON]) -> Processing:
    meta = _meta(data)
    job_id = _job_id(data, meta, reply.url)
    return Processing(
        http=reply.status,
        id=job_id,
        eta=read_seconds(data.get("eta")),
        fetch_result=read_url(data.get("fetch_result"), reply.url),
        expected_urls=read_expected_urls(data, meta, reply.url),
        seed=_seed(data, meta),
        message=_message(data) or None,
        meta_json=compact_json(meta),
        # Without an id it becomes an error, which tells all of the answer.
        raw_json=compact_json(data) if job_id is None else b"{}",
    )


def _refusal(reply: Reply, data: dict[str, JSON], word: str | None) -> Refusal:
    message, code = _message(data), _error_code(data)
    tips = " ".join(read_text(data.get(name)) for name in ("tip", "tips"))
    job_id = _job_id(data, _meta(data), reply.url)
    return Refusal(
        http=reply.status,
        word=word,
        message=message,
        topics=read_topics(message, code, tips, job_id),
        code=code,
        id=job_id,
        retry_after=retry_after(reply, data, f"{message} {tips}"),
        limit=read_limit(message),
        raw_json=compact_json(data),
    )


def _meta(data: dict[str, JSON]) -> dict[str, JSON]:
    meta = data.get("meta")
    return meta if isinstance(meta, dict) else {}


def _job_id(
    data: dict[str, JSON], meta: dict[str, JSON], base: str
) -> str | None:
    return (
        clean_id(data.get("id"))
        or clean_id(data.get("request_id"))
        or clean_id(meta.get("id"))
        or fetch_result_id(read_url(data.get("fetch_result"), base))
    )


def _seed(data: dict[str, JSON], meta: dict[str, JSON]) -> int | None:
    for value in (meta.get("seed"), data.get("seed")):
        seed = read_number(value)
        if seed is not None and seed.is_integer() and seed < 2**32:
            return int(seed)
    return None


def _nsfw(data: dict[str, JSON]) -> bool | None:
    found = data.get("nsfw_content_detected", data.get("has_nsfw_concept"))
    if found is None:
        return None
    several = found if isinstance(found, list) else [found]
    flags = [flag for each in several if (flag := read_flag(each)) is not None]
    return any(flags) if flags else None


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
        if value is not None and (found := read_text(value)):
            return found
    return ""


def _error_code(data: dict[str, JSON]) -> str | None:
    error = data.get("error")
    inner = error.get("code") if isinstance(error, dict) else None
    for value in (data.get("code"), inner):
        if isinstance(value, (str, int)) and (found := read_text(value, 1)):
            return found[:100]
    return None
