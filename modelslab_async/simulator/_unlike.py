"""
What each way to differ from the known service does to its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ._faults import Reply
from ._settings import Unlike


Body = dict[str, Any]


SIGNATURE = "X-Amz-Signature=x%2Fy%2Bz%3D"
_WORDS = {
    "processing": "queued",
    "success": "completed",
    "failed": "cancelled",
}
_LINKS = ("output", "proxy_links", "future_links")


def text_id(job_id: object) -> str:
    """
    An id as a word.
    """
    return f"gen_{job_id}_x"


def number_in(text: object) -> object:
    """
    The number in a word that is an id.
    """
    parts = str(text).split("_")
    return parts[1] if len(parts) == 3 else text


def _status_words(body: Body) -> Body:
    status = body.get("status")
    return {**body, "status": _WORDS.get(str(status), status)}


def _nested(body: Body) -> Body:
    rest = {name: body[name] for name in body if name not in _LINKS}
    return {**rest, "data": {"images": body["output"]}}


def _text_ids(body: Body) -> Body:
    if not isinstance(body.get("id"), int):
        return body
    link = body.get("fetch_result")
    changed = {**body, "id": text_id(body["id"])}
    if isinstance(link, str):
        head, _, number = link.rpartition("/")
        changed["fetch_result"] = f"{head}/{text_id(number)}"
    return changed


def _milliseconds(body: Body) -> Body:
    if "eta" not in body:
        return body
    return {**body, "eta": round(body["eta"] * 1000)}


def _error_object(body: Body) -> Body:
    if body.get("status") != "error":
        return body
    text = body.get("message") or body.get("messege")
    return {"error": {"code": "bad_request", "detail": str(text)}}


def _signed(body: Body) -> Body:
    return {
        name: _sign(value) if name in _LINKS else value
        for name, value in body.items()
    }


def _sign(links: object) -> object:
    if isinstance(links, list):
        return [_sign(each) for each in links]
    if isinstance(links, str) and links.startswith("http"):
        return f"{links}?{SIGNATURE}"
    return links


def _without(name: str) -> Callable[[Body], Body]:
    def change(body: Body) -> Body:
        return {key: value for key, value in body.items() if key != name}

    return change


#: What is done to answers about jobs, in this order.
_JOB_CHANGES: Mapping[Unlike, Callable[[Body], Body]] = {
    Unlike.SIGNED_LINKS: _signed,
    Unlike.TEXT_IDS: _text_ids,
    Unlike.MILLISECONDS: _milliseconds,
    Unlike.NO_ETA: _without("eta"),
    Unlike.NO_ECHO: _without("meta"),
    Unlike.NO_FORESIGHT: _without("future_links"),
    Unlike.NESTED_OUTPUT: lambda body: (
        _nested(body) if "output" in body else body
    ),
    Unlike.ERROR_OBJECT: _error_object,
    Unlike.STATUS_WORDS: _status_words,
}


def _flat_balance(body: Body) -> Body:
    data = body.get("data")
    if not isinstance(data, dict) or "balance" not in data:
        return body
    return {"balance": f"{data['balance']} {data['currency']}"}


def _upload_link(body: Body) -> Body:
    if not body.get("output"):
        return body
    return {"status": body["status"], "link": body["output"][0]}


_CALL_CHANGES: Mapping[Unlike, Callable[[Body], Body]] = {
    Unlike.FLAT_BALANCE: _flat_balance,
    Unlike.UPLOAD_LINK: _upload_link,
    Unlike.ERROR_OBJECT: _error_object,
}


def about_job(reply: Reply, unlike: frozenset[Unlike]) -> Reply:
    """
    An answer to a submit or a fetch, as this service gives it.
    """
    return _changed(reply, unlike, _JOB_CHANGES)


def about_account(reply: Reply, unlike: frozenset[Unlike]) -> Reply:
    """
    An answer to one of the other calls.
    """
    if Unlike.MODELS_OBJECT in unlike and isinstance(reply.body, list):
        return attrs.evolve(reply, body={"data": reply.body})
    return _changed(reply, unlike, _CALL_CHANGES)


def about_file(reply: Reply, unlike: frozenset[Unlike], query: str) -> Reply:
    """
    A file.
    """
    if Unlike.SIGNED_LINKS in unlike and query != SIGNATURE:
        return Reply(403, "<Error><Code>AccessDenied</Code></Error>")
    if Unlike.UNTYPED_FILES in unlike and reply.status == 200:
        headers = {"Content-Type": "application/octet-stream"}
        return attrs.evolve(reply, headers=headers)
    return reply


def _changed(
    reply: Reply,
    unlike: frozenset[Unlike],
    changes: Mapping[Unlike, Callable[[Body], Body]],
) -> Reply:
    body = reply.body
    if not unlike or not isinstance(body, dict):
        return reply
    for each, change in changes.items():
        if each in unlike:
            body = change(body)
    return attrs.evolve(reply, body=body)
