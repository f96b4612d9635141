"""
What the service says: the shapes of its replies, as captured
(``classic``) or as its documentation has them (``documented``).
"""

from __future__ import annotations

import random

from collections.abc import Sequence

import attrs

from ._faults import Reply
from ._requests import Request
from ._settings import KeyState, Settings


_ADVERT = (
    "Get 20x faster image generation using enterprise plan. "
    "Click here : https://modelslab.com/enterprise"
)
_CHECKLIST = (
    "1. Make sure you are passing Content-Type: application/json in header. "
    "2. Make sure you are doing POST request with valid JSON. "
    "3. Make sure your JSON does not have error, use jsonlint to validate "
    "json array. 4. Make sure you have valid API key."
)
_STOCK_NEGATIVE = (
    " (worst quality:2), (low quality:2), (normal quality:2), (jpeg "
    "artifacts), (blurry), (duplicate), (morbid), (mutilated), (out of "
    "frame), (extra limbs), (bad anatomy), (disfigured), (deformed)"
)
_STYLE = (
    " hyperrealistic, full body, detailed clothing, highly detailed, "
    "cinematic lighting, stunningly beautiful, intricate, sharp focus"
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


def _error(
    settings: Settings,
    code: int,
    message: object,
    *,
    captured: bool = False,
    **more: object,
) -> Reply:
    """
    A no in words; *captured* ones were seen with ``message``, the rest has
    the spelling of the images family.
    """
    classic = settings.profile == "classic"
    name = "messege" if classic and not captured else "message"
    return Reply(
        200 if classic else code, {"status": "error", name: message, **more}
    )


def not_json(settings: Settings) -> Refusal:
    """
    It cannot be read, or not without a content type.
    """
    reply = _error(
        settings, 400, "Invalid API Request", captured=True, tip=_CHECKLIST
    )
    return Refusal("request", reply)


def bad_key(settings: Settings, key: str) -> Refusal:
    """
    There is no such key.
    """
    if settings.profile == "classic":
        text = "Invalid Api Key"
        more = {"tip": _CHECKLIST}
    else:
        text = "Invalid API key" if key else "API key required"
        more = {}
    return Refusal("key", _error(settings, 401, text, captured=True, **more))


def account(settings: Settings, state: KeyState) -> Refusal:
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
    return Refusal(state.value, _error(settings, code, text))


def invalid(settings: Settings, problems: dict[str, list[str]]) -> Refusal:
    """
    Fields are missing or wrong: all by name, or the first in a sentence.
    """
    if settings.profile == "classic":
        return Refusal(
            "invalid", _error(settings, 200, problems, captured=True)
        )
    text = next(iter(problems.values()))[0]
    return Refusal("invalid", _error(settings, 400, text))


def unknown_model(settings: Settings, model_id: str | None) -> Refusal:
    """
    There is no such model.
    """
    if settings.profile == "classic" or model_id is None:
        text = "Model id not found"
    else:
        text = f"Model not found: {model_id}"
    return Refusal("model", _error(settings, 404, text))


def loading(settings: Settings) -> Refusal:
    """
    The model is not in memory yet.
    """
    text = settings.loading_text
    if text == "Try Again":
        return Refusal(
            "loading", Reply(200, {"status": "error", "messege": text})
        )
    return Refusal("loading", _failed("", text))


def queue_full(settings: Settings) -> Refusal:
    """
    The account has no slot left.
    """
    text = "Rate limit exceeded"
    if settings.queue_full == "maximum":
        text += f". Maximum {settings.slots} queued requests allowed."
    more = {}
    if settings.retry_after is not None:
        more["retry_after"] = told(settings.retry_after / settings.speed)
    return Refusal("queue", _error(settings, 429, text, captured=True, **more))


def same_request(settings: Settings) -> Refusal:
    """
    The filter has seen this one just now.
    """
    seconds = (settings.same_request or 0) / settings.speed
    tips = (
        "you are sending same request multiple times, spam filter is "
        f"enabled, please wait for {seconds:g} seconds and try again"
    )
    reply = _error(
        settings, 429, "Rate limit exceeded", captured=True, tips=tips
    )
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
    code = 200 if settings.profile == "classic" else 404
    body = {
        "status": "failed",
        "id": "",
        "message": "Request not found",
        "output": "",
        "tip": _ADVERT,
    }
    return Reply(code, body)


def failed(job_id: int | str) -> Reply:
    """
    The job did not work out.
    """
    return _failed(job_id, "Failed, Try Again")


def _failed(job_id: int | str, text: str) -> Reply:
    body = {"status": "failed", "id": job_id, "message": text, "output": ""}
    return Reply(200, body)


def still_processing(settings: Settings) -> Reply:
    """
    Fetched too early. No id, no eta, output an empty string: as captured.
    """
    body = {
        "status": "processing",
        _message(settings): "try again later.",
        "output": "",
        "tip": _ADVERT,
    }
    return Reply(200, body)


def _message(settings: Settings) -> str:
    return "messege" if settings.profile == "classic" else "message"


@attrs.frozen
class Facts:
    """
    What a reply about an accepted job is made of.

    Attributes:
        links: One for each picture; or its text, where that was asked for.

        proxies: The same by another way.

        eta: Seconds told; None: nothing is told.

        took: Seconds the job ran, as told.

        proxy_links: Which shape this job's proxy_links have.
    """

    id: int
    shown_id: int
    request: Request
    seed: int
    file_prefix: str
    links: Sequence[str]
    proxies: Sequence[str]
    fetch_result: str | None
    eta: float | None
    took: float
    nsfw: bool
    proxy_links: str


def proxy_shape(settings: Settings, dice: random.Random) -> str:
    """
    The shape of one job's proxy_links.
    """
    toss = dice.random()
    if settings.proxy_links != "mixed":
        return settings.proxy_links
    if toss < 0.1:
        return "empty"
    return "null" if toss < 0.12 else "list"


def told(seconds: float) -> float:
    """
    A number as it is told: whole ones without a point.
    """
    return int(seconds) if float(seconds).is_integer() else seconds


def processing(settings: Settings, facts: Facts) -> Reply:
    """
    Accepted, and not done.
    """
    body: dict[str, object] = {
        "status": "processing",
        "tip": _ADVERT,
        "tip_1": "Your image is processing in background, you can get this "
        f"image using fetch API: {facts.fetch_result or ''}",
    }
    if facts.eta is not None:
        body["eta"] = told(facts.eta)
    body[_message(settings)] = "Try to fetch request after seconds estimated"
    body["webhook_status"] = ""
    if facts.fetch_result is not None:
        body["fetch_result"] = facts.fetch_result
    body["id"] = facts.shown_id
    body["output"] = []
    body["meta"] = _meta(settings, facts)
    if settings.future_links != "absent":
        body["future_links"] = _foretold(settings, facts)
    return Reply(200, body)


def success(settings: Settings, facts: Facts, *, envelope: str) -> Reply:
    """
    Done. *envelope* is ``short``, ``proxied`` or ``full``.
    """
    body: dict[str, object] = {"status": "success"}
    if envelope == "full":
        body["generationTime"] = facts.took
    body["id"] = facts.shown_id
    body["output"] = _output(settings, facts.links)
    if envelope != "short" or settings.output == "empty":
        _add_proxies(body, settings, facts)
    if facts.nsfw and settings.nsfw_flag:
        body["nsfw_content_detected"] = True
    if envelope == "full":
        if settings.nsfw_flag:
            body["nsfw_content_detected"] = facts.nsfw
        body["webhook_status"] = ""
        body["meta"] = _meta(settings, facts)
        body["tip"] = _ADVERT
    return Reply(200, body)


def _output(settings: Settings, links: Sequence[str]) -> object:
    match settings.output:
        case "str":
            return links[0] if len(links) == 1 else ",".join(links)
        case "object":
            return {str(n): link for n, link in enumerate(links)}
        case "empty":
            return []
        case _:
            return list(links)


def _add_proxies(
    body: dict[str, object], settings: Settings, facts: Facts
) -> None:
    shape = "list" if settings.output == "empty" else facts.proxy_links
    shapes: dict[str, object] = {
        "list": list(facts.proxies),
        "empty": "",
        "null": None,
        "dict": {str(n): link for n, link in enumerate(facts.proxies)},
    }
    if shape in shapes:
        body["proxy_links"] = shapes[shape]


def _foretold(settings: Settings, facts: Facts) -> list[str]:
    if settings.future_links == "all":
        return list(facts.links)
    return list(facts.links[:1])


def _meta(settings: Settings, facts: Facts) -> dict[str, object]:
    """
    The request as the service understood it, in the dialect of its model.
    """
    request = facts.request
    prompt = " " + request.prompt
    if request.enhance_prompt:
        prompt += _STYLE
    negative = request.negative_prompt
    if negative is None:
        negative = _STOCK_NEGATIVE
    elif request.enhance_prompt:
        negative += _STOCK_NEGATIVE

    shared: dict[str, object] = {
        "prompt": prompt,
        "model_id": request.model_id,
        "negative_prompt": negative,
        "safety_checker": _yes(request.safety_checker),
        "safety_checker_type": request.safety_checker_type,
        "guidance_scale": told(request.guidance_scale),
        "seed": facts.seed,
        "n_samples": request.samples,
        "enhance_prompt": _yes(request.enhance_prompt),
        "instant_response": _yes(request.instant_response),
        "temp": _yes(request.temp),
        "base64": _yes(request.base64),
        "webhook": request.webhook,
        "track_id": request.track_id,
        "id": str(facts.shown_id),
        "file_prefix": facts.file_prefix,
        "output": _foretold(settings, facts),
    }
    if request.is_flux:
        return {
            **shared,
            "width": request.width,
            "height": request.height,
            "num_inference_steps": request.steps,
            "clip_skip": None,
        }
    return {
        **shared,
        **request.echoes,
        "W": request.width,
        "H": request.height,
        "steps": request.steps,
        "is_sdxl": "xl" in (request.model_id or ""),
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"
