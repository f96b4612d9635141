"""
How the service says no: as captured (``classic``, with HTTP 200), or as its
documentation has it (``documented``, with 4xx).
"""

from __future__ import annotations

from typing import Any

import attrs

from ._endpoints import Endpoint
from ._faults import Reply
from ._settings import KeyState, Settings


ADVERT = (
    "Get 20x faster image generation using enterprise plan. "
    "Click here : https://modelslab.com/enterprise"
)
_CHECKLIST = (
    "1. Make sure you are passing Content-Type: application/json in header. "
    "2. Make sure you are doing POST request with valid JSON. "
    "3. Make sure your JSON does not have error, use jsonlint to validate "
    "json array. 4. Make sure you have valid API key."
)


@attrs.frozen
class Refusal:
    """
    A no.

    Attributes:
        reason: For the books.
    """

    reason: str
    reply: Reply


def error(
    settings: Settings,
    code: int,
    message: object,
    *,
    terse: bool = False,
    **more: object,
) -> Reply:
    """
    A no in words. *terse* ones are spelt as text to image does.
    """
    classic = settings.profile == "classic"
    name = "messege" if classic and terse else "message"
    return Reply(
        200 if classic else code, {"status": "error", name: message, **more}
    )


def told(seconds: float) -> float:
    """
    A number as it is told: whole ones without a point.
    """
    return int(seconds) if float(seconds).is_integer() else seconds


def not_json(settings: Settings) -> Refusal:
    """
    It cannot be read, or not without a content type.
    """
    reply = error(settings, 400, "Invalid API Request", tip=_CHECKLIST)
    return Refusal("request", reply)


def bad_key(settings: Settings, key: str) -> Refusal:
    """
    There is no such key.
    """
    if settings.profile == "classic":
        reply = error(settings, 401, "Invalid Api Key", tip=_CHECKLIST)
        return Refusal("key", reply)
    text = "Invalid API key" if key else "API key required"
    return Refusal("key", error(settings, 401, text))


def account(
    settings: Settings, endpoint: Endpoint, state: KeyState
) -> Refusal:
    """
    The account may not.
    """
    if state is KeyState.NO_CREDIT:
        code = 402
        text = "Insufficient credits. Please add more credits to continue."
    elif state is KeyState.MONTHLY_LIMIT:
        code = 402
        text = (
            "Your monthly limit exceeded, upgrade subscription now on "
            "https://stablediffusionapi.com/pricing"
        )
    else:
        code = 403
        text = "This feature requires a premium subscription"
    reply = error(settings, code, text, terse=endpoint.terse)
    return Refusal(state.value, reply)


def invalid(
    settings: Settings, endpoint: Endpoint, problems: dict[str, list[str]]
) -> Refusal:
    """
    Fields are missing or wrong: all by name in the dialect of text to
    image, the first in a sentence in all others.
    """
    if settings.profile == "classic" and endpoint.terse:
        return Refusal("invalid", error(settings, 200, problems))
    text = next(iter(problems.values()))[0]
    return Refusal("invalid", error(settings, 400, text))


def unreachable(settings: Settings, endpoint: Endpoint) -> Refusal:
    """
    A picture that came with the request cannot be had, or is none.
    """
    text = "Unable to fetch image from provided URL"
    reply = error(settings, 400, text, terse=endpoint.terse)
    return Refusal("image", reply)


def unknown_model(
    settings: Settings, endpoint: Endpoint, model_id: str | None
) -> Refusal:
    """
    There is no such model.
    """
    if settings.profile == "classic" or model_id is None:
        text = "Model id not found"
    else:
        text = f"Model not found: {model_id}"
    return Refusal("model", error(settings, 404, text, terse=endpoint.terse))


def loading(settings: Settings, endpoint: Endpoint) -> Refusal:
    """
    The model is not in memory yet.
    """
    text = settings.loading_text
    if text != "Try Again":
        return Refusal("loading", failed("", text))
    name = "messege" if endpoint.terse else "message"
    return Refusal("loading", Reply(200, {"status": "error", name: text}))


def queue_full(settings: Settings) -> Refusal:
    """
    The account has no slot left.
    """
    text = "Rate limit exceeded"
    if settings.queue_full == "maximum":
        text += f". Maximum {settings.slots} queued requests allowed."
    more: dict[str, Any] = {}
    if settings.retry_after is not None:
        more["retry_after"] = told(settings.retry_after / settings.speed)
    return Refusal("queue", error(settings, 429, text, **more))


def same_request(settings: Settings) -> Refusal:
    """
    The filter has seen this one just now.
    """
    seconds = (settings.same_request or 0) / settings.speed
    tips = (
        "you are sending same request multiple times, spam filter is "
        f"enabled, please wait for {seconds:g} seconds and try again"
    )
    reply = error(settings, 429, "Rate limit exceeded", tips=tips)
    return Refusal("same request", reply)


def banned(seconds: float) -> Refusal:
    """
    Too much, for too long; 429 in either dialect.
    """
    wait = f"{seconds:g} seconds"
    if seconds >= 60:
        wait = f"{seconds / 60:.0f} minutes"
    text = f"Too many requests, please try again in {wait}"
    return Refusal("ban", Reply(429, {"status": "error", "message": text}))


def unserved(settings: Settings, method: str, path: str) -> Reply:
    """
    No such route, as the framework has it.
    """
    path = path.lstrip("/")
    if settings.unserved == 405 or method != "POST":
        text = f"The {method} method is not supported for route {path}."
        return Reply(405, {"message": text})
    text = f"The route {path} could not be found."
    return Reply(404, {"message": text})


def unknown_job(settings: Settings) -> Reply:
    """
    No such job, or another account's.
    """
    body = {
        "status": "failed",
        "id": "",
        "message": "Request not found",
        "output": "",
        "tip": ADVERT,
    }
    return Reply(200 if settings.profile == "classic" else 404, body)


def failed(job_id: int | str, text: str = "Failed, Try Again") -> Reply:
    """
    The job did not work out.
    """
    body = {"status": "failed", "id": job_id, "message": text, "output": ""}
    return Reply(200, body)
