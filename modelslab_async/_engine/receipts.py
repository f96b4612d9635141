"""
Receipts: made from the answer that accepts a request, packed into a handle,
and read again.
"""

from __future__ import annotations

import base64
import binascii
import json

from typing import TypeVar

import attrs

from .._protocol.job_ids import clean_id
from .._protocol.replies import Processing, Success
from .._protocol.values import read_number, read_seconds
from .._quoting import in_short
from ..errors import (
    ApiError,
    ConfigurationError,
    JobError,
    JobUnfinishedError,
)
from ..results import JSON, Generation, Receipt
from ..specs import SPECS, Endpoint


E = TypeVar("E", bound=JobError | ApiError)


_HANDLE = "ml1."


def acceptance(
    endpoint: Endpoint, track_id: str, answer: Processing | Success
) -> Receipt:
    """
    What the service tells with the answer in which it takes a request.
    """
    return Receipt(
        answer.id,
        endpoint.name,
        track_id,
        answer.fetch_result,
        None if isinstance(answer, Success) else answer.eta,
        answer.seed,
        answer.expected_urls,
        answer.meta_json,
        answer.generation_time if isinstance(answer, Success) else None,
    )


def finished(receipt: Receipt, answer: Success) -> Generation:
    """
    A job's pictures: what the answer to a poll lacks, the receipt has.
    """
    return Generation(
        id=receipt.id,
        track_id=receipt.track_id,
        images=answer.images,
        seed=receipt.seed if answer.seed is None else answer.seed,
        generation_time=receipt.generation_time
        if answer.generation_time is None
        else answer.generation_time,
        nsfw=answer.nsfw,
        meta_json=receipt.meta_json
        if answer.meta_json == b"{}"
        else answer.meta_json,
        raw_json=answer.raw_json,
        endpoint=receipt.endpoint,
    )


def renewed(known: Generation, links: Generation) -> Generation:
    """
    The same generation with fresh links, and all that was known of it.
    """
    return attrs.evolve(
        links,
        track_id=known.track_id,
        seed=links.seed if known.seed is None else known.seed,
        generation_time=links.generation_time
        if known.generation_time is None
        else known.generation_time,
        nsfw=links.nsfw if known.nsfw is None else known.nsfw,
        meta_json=links.meta_json
        if known.meta_json == b"{}"
        else known.meta_json,
    )


def receipt_by_name(text: str | int, endpoint: Endpoint) -> Receipt:
    """
    What a job's id, or its handle, tells of it.

    Args:
        text: One of the two; a handle knows its endpoint.

        endpoint: Of an id.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(text, str) and text.startswith(_HANDLE):
        return _unpacked(text)
    job_id = clean_id(text)
    # The service's own may have spaces; a person's are a slip.
    if job_id is None or any(map(str.isspace, job_id)):
        raise ConfigurationError(
            f"not a job's id: {in_short(text)}; "
            "an id has up to 128 characters, and no space"
        )
    return Receipt(job_id, endpoint.name)


def packed(receipt: Receipt) -> str:
    """
    The handle of a job.
    """
    facts: dict[str, JSON] = {
        "e": receipt.endpoint,
        "i": receipt.id,
        "t": receipt.track_id,
        "f": receipt.fetch_result,
        "s": receipt.seed,
        "u": list(receipt.expected_urls),
        "n": receipt.eta,
        "g": receipt.generation_time,
    }
    # Zero is a seed.
    known = {k: fact for k, fact in facts.items() if fact not in (None, [])}
    text = json.dumps(known, separators=(",", ":"))
    return _HANDLE + base64.urlsafe_b64encode(text.encode()).decode().rstrip(
        "="
    )


def unfinished(receipt: Receipt, waited: float = 0.0) -> JobUnfinishedError:
    """
    The error of a job that somebody stops waiting for.
    """
    error = JobUnfinishedError(receipt.id, receipt.track_id, waited)
    return with_handle(error, receipt)


def with_handle(error: E, receipt: Receipt) -> E:
    """
    The same error, with what takes its job up again.
    """
    if isinstance(error, JobError):
        error.endpoint = receipt.endpoint
    if receipt.id is not None:
        error.handle = packed(receipt)
    return error


def _unpacked(handle: str) -> Receipt:
    text = handle.removeprefix(_HANDLE)
    try:
        facts = json.loads(
            base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        )
    except (ValueError, binascii.Error, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        facts = {}
    job_id, endpoint = clean_id(facts.get("i")), facts.get("e")
    if job_id is None or not isinstance(endpoint, str):
        raise ConfigurationError(f"not a job's handle: {handle[:40]!r}")
    if endpoint not in SPECS:
        raise ConfigurationError(
            f"a job's handle of an endpoint that is not known: {endpoint!r}"
        )
    track_id, link, seed, urls, eta, took = (facts.get(k) for k in "tfsung")
    return Receipt(
        job_id,
        endpoint,
        track_id if isinstance(track_id, str) else None,
        link if isinstance(link, str) else None,
        read_seconds(eta),
        seed if isinstance(seed, int) else None,
        tuple(u for u in urls if isinstance(u, str))
        if isinstance(urls, list)
        else (),
        generation_time=read_number(took),
    )
