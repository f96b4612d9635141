"""
What the service calls a webhook with.

* It is the answer to a poll, and *track_id*, which may be a number, or stand
  in *meta* alone.
* `processing` may be said too, while the job runs.
* There may be no status word, or one that nobody knows: then the job runs, as
  far as is known.
"""

from __future__ import annotations

from ..results import JSON, Generation, JobState, Notice
from .answer_text import read_answer
from .decode import decode
from .job_ids import clean_id
from .replies import Processing, Refusal, Reply, Success


def read_notice(body: bytes) -> Notice | None:
    """
    What a webhook's body says; None where nobody can read it.
    """
    try:
        data = read_answer(body)
    except (ValueError, RecursionError):
        data = None
    if data is None:
        return None
    answer = decode(Reply(200, body))
    track_id = track_id_of(data)
    match answer:
        case Success():
            generation = None
            if answer.images:
                generation = _pictures(answer, track_id)
            return Notice(answer.id, track_id, JobState.SUCCEEDED, generation)
        case Refusal(word=str()):
            return Notice(
                answer.id,
                track_id,
                JobState.FAILED,
                message=answer.message or None,
            )
        case Processing() | Refusal():
            job_id, words = answer.id, answer.message
        case _:
            job_id = clean_id(data.get("id")) or clean_id(
                data.get("request_id")
            )
            words = None
    if job_id is None and track_id is None:
        return None
    return Notice(job_id, track_id, JobState.PROCESSING, message=words or None)


def track_id_of(data: dict[str, JSON]) -> str | None:
    """
    The request's name, where an answer or a notice says it.
    """
    meta = data.get("meta")
    for place in (data, meta if isinstance(meta, dict) else {}):
        value = place.get("track_id")
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int | float) and (found := clean_id(value)):
            return found
    return None


def _pictures(answer: Success, track_id: str | None) -> Generation:
    return Generation(
        id=answer.id,
        track_id=track_id,
        images=answer.images,
        seed=answer.seed,
        generation_time=answer.generation_time,
        nsfw=answer.nsfw,
        meta_json=answer.meta_json,
        raw_json=answer.raw_json,
    )
