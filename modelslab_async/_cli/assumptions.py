"""
What this library assumes of the service, each held against one answer.

Nobody who wrote it had a key: what is written here was read on pages and in
captures.  A finding that differs may be harmless, or the cause of a fault.
"""

from __future__ import annotations

import enum

from collections.abc import Iterator, Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

import attrs

from .._output.image_format import CompleteImage, check_image
from .._protocol.decode import decode
from .._protocol.json_text import read_json
from .._protocol.replies import Exchange, Refusal, Reply, Topic
from ..results import JSON


class Verdict(enum.StrEnum):
    """
    How an assumption stands.
    """

    FINE = "as assumed"
    DIFFERS = "differs"
    FAILED = "failed"
    SKIPPED = "not tried"


@attrs.frozen
class Finding:
    """
    One assumption beside what was found.
    """

    step: str
    assumption: str
    found: str
    verdict: Verdict


Findings: TypeAlias = Iterator[Finding]


#: Signs of what was found; an address of a picture has some hundreds.
_MOST = 600


def compared(
    step: str, assumption: str, found: object, good: object
) -> Finding:
    """
    A finding that is as assumed, or differs.
    """
    verdict = Verdict.FINE if good else Verdict.DIFFERS
    return Finding(step, assumption, _short(found), verdict)


def failed(step: str, assumption: str, why: object) -> Finding:
    """
    A finding that could not be made.
    """
    return Finding(step, assumption, _short(why), Verdict.FAILED)


def skipped(step: str, assumption: str, why: str) -> Finding:
    """
    A finding that nobody tried to make.
    """
    return Finding(step, assumption, why, Verdict.SKIPPED)


def _short(found: object) -> str:
    text = " ".join(str(found).split())
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def said(exchange: Exchange) -> JSON:
    """
    An answer as JSON; None where it is none.
    """
    try:
        found: JSON = read_json(exchange.body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return found


def fields_of(exchange: Exchange) -> Mapping[str, JSON]:
    """
    An answer's fields; none where it is no object.
    """
    found = said(exchange)
    return found if isinstance(found, dict) else {}


def refusal_of(exchange: Exchange) -> Refusal | None:
    """
    The no that an answer is.
    """
    heard = decode(Reply(exchange.status, exchange.body))
    return heard if isinstance(heard, Refusal) else None


def told_no(exchange: Exchange) -> str:
    """
    The HTTP code of an answer, and its words where it is a no.
    """
    refusal = refusal_of(exchange)
    told = f"HTTP {exchange.status}"
    return told if refusal is None else f"{told}: {refusal.message}"


def is_of_key(exchange: Exchange) -> bool:
    """
    Whether an answer says that the key is no good.
    """
    refusal = refusal_of(exchange)
    of_key = refusal is not None and Topic.KEY in refusal.topics
    return of_key or exchange.status in {401, 403}


#: What all other steps find then.
KEY_REFUSED = "the key is refused"


# Free of charge


_GOOD_KEY = "the key is read from the request's body, and is good"


def of_balance(exchange: Exchange) -> Findings:
    """
    The key, and the balance.
    """
    refusal = refusal_of(exchange)
    if is_of_key(exchange):
        yield compared("key", _GOOD_KEY, told_no(exchange), good=False)
        yield failed("balance", "is answered", KEY_REFUSED)
        return
    # Nothing else than an answer as it should be says that a key is good.
    answered = refusal is None and exchange.status < 400
    yield compared("key", _GOOD_KEY, told_no(exchange), answered)
    data = fields_of(exchange).get("data")
    balance = data.get("balance") if isinstance(data, dict) else None
    yield compared(
        "balance",
        "a number under data, with a currency beside it",
        balance if isinstance(data, dict) else _shape_of(exchange),
        isinstance(balance, int | float) and not isinstance(balance, bool),
    )


def of_count(exchange: Exchange) -> Findings:
    """
    Jobs under way.
    """
    count = fields_of(exchange).get("processing_count")
    yield compared(
        "jobs under way",
        "counted under processing_count",
        count if count is not None else _shape_of(exchange),
        isinstance(count, int) and not isinstance(count, bool),
    )


def of_models(exchange: Exchange) -> Findings:
    """
    The list of models.
    """
    found = said(exchange)
    listed = isinstance(found, list) and all(
        isinstance(each, dict) and "model_id" in each for each in found
    )
    yield compared(
        "models",
        "a bare list, with a model_id in each entry",
        f"{len(found)} models"
        if isinstance(found, list)
        else _shape_of(exchange),
        listed,
    )


def of_wrong_request(exchange: Exchange) -> Findings:
    """
    A request that is wrong on purpose.
    """
    fields = fields_of(exchange)
    heard = decode(Reply(exchange.status, exchange.body))
    taken = not isinstance(heard, Refusal)
    yield compared(
        "a wrong request",
        "is refused, and makes no job",
        f"HTTP {exchange.status}, {_shape_of(exchange)}",
        not taken,
    )
    word = fields.get("status")
    message = fields.get("message", fields.get("messege"))
    yield compared(
        "a no",
        "has status error or failed, and says why under message",
        f"HTTP {exchange.status}, status {word!r}, {_shape_of(exchange)}",
        word in {"error", "failed"} and bool(message),
    )


def of_unknown_job(exchange: Exchange, form: str) -> Findings:
    """
    A job that there is not, in one form of fetch.
    """
    refusal = refusal_of(exchange)
    known = refusal is not None and Topic.NOT_FOUND in refusal.topics
    yield compared(
        f"fetch by the {form}",
        "answers POST, and says that a request is not found",
        f"HTTP {exchange.status}: {refusal.message if refusal else '?'}",
        known,
    )


# For money


def of_upload(exchange: Exchange) -> Findings:
    """
    A picture that was uploaded.
    """
    fields = fields_of(exchange)
    output = fields.get("output")
    yield compared(
        "upload",
        "answers success, with one link in output",
        f"HTTP {exchange.status}, {_shape_of(exchange)}",
        fields.get("status") == "success"
        and isinstance(output, list)
        and len(output) == 1,
    )


_WORDS = {"success", "processing", "error", "failed"}


def of_submit(exchange: Exchange, *, track_id: str, origin: str) -> Findings:
    """
    A generation that was accepted.
    """
    fields = fields_of(exchange)
    step = "submit"
    word = fields.get("status")
    yield compared(
        step, "the status is a word that is known", repr(word), word in _WORDS
    )
    job_id = fields.get("id")
    number = isinstance(job_id, int) or str(job_id).isdecimal()
    yield compared(step, "an id is a number", repr(job_id), number)
    if word != "success":
        eta = fields.get("eta")
        good = isinstance(eta, int | float) and 0 <= eta <= 3600
        yield compared(step, "eta guesses seconds", repr(eta), good)
        link = fields.get("fetch_result")
        where = urlsplit(str(link))
        yield compared(
            step,
            "fetch_result leads to the API's own origin",
            repr(link),
            f"{where.scheme}://{where.netloc}" == origin
            and "/fetch" in where.path,
        )
        links = fields.get("future_links")
        yield compared(
            step,
            "future_links foretells where the pictures will lie",
            _links_or_repr(links),
            isinstance(links, list) and links,
        )
    meta = fields.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    yield compared(
        step,
        "meta echoes the seed and the track_id",
        f"{meta.get('seed')}, {meta.get('track_id')}",
        meta.get("seed") is not None and str(meta.get("track_id")) == track_id,
    )


def of_poll(exchange: Exchange, form: str) -> Findings:
    """
    A job that there is, in one form of fetch.
    """
    word = fields_of(exchange).get("status")
    yield compared(
        f"fetch by the {form}",
        "tells how the job stands",
        f"HTTP {exchange.status}, status {word!r}",
        exchange.status == 200 and word in {"success", "processing"},
    )


def of_result(exchange: Exchange) -> Findings:
    """
    A job that is done.
    """
    output = fields_of(exchange).get("output")
    links = output if isinstance(output, list) else []
    good = bool(links) and all(isinstance(link, str) for link in links)
    yield compared(
        "result",
        "output is a list of links",
        _links_or_repr(output) if output is not None else _shape_of(exchange),
        good,
    )
    if good:
        plain = all(not urlsplit(str(link)).query for link in links)
        yield compared(
            "result", "links are plain, without a query", links[0], plain
        )


def of_duration(eta: JSON, took: float) -> Findings:
    """
    A guess, once one knows.
    """
    if isinstance(eta, int | float) and eta > 0 and took > 0:
        yield compared(
            "result",
            "a guess is of the order of what a job takes",
            f"{eta:g} guessed, {took:.1f} s taken",
            0.02 < eta / took < 200,
        )


def of_picture(exchange: Exchange) -> Findings:
    """
    A picture that was loaded.
    """
    kind = next(
        (
            value
            for name, value in exchange.headers.items()
            if name.lower() == "content-type"
        ),
        "",
    )
    yield compared(
        "picture",
        "is called a picture by its host",
        f"HTTP {exchange.status}, {kind}",
        kind.startswith("image/"),
    )
    seen = check_image(exchange.body)
    yield compared(
        "picture",
        "is whole, and in a format that is known",
        f"{seen.format.name}, {seen.width} x {seen.height}"
        if isinstance(seen, CompleteImage)
        else seen.reason,
        isinstance(seen, CompleteImage),
    )


def _links_or_repr(found: JSON) -> str:
    """
    Links as they can be copied; anything else so that it shows what it is.
    """
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return ", ".join(map(str, found)) or "none"
    return repr(found)


def _shape_of(exchange: Exchange) -> str:
    found = said(exchange)
    if isinstance(found, dict):
        return "fields " + ", ".join(sorted(found))
    return f"{type(found).__name__} of {len(exchange.body)} bytes"
