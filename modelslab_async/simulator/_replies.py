"""
What the service says of a job: the shapes of its replies, in two dialects.

Text to image and its kin are *terse*: ``messege``, ``webhook_status`` and
``tip_1``, and a fetch that says no more than it must. All other families say
``message``, and have ``proxy_links`` early.
"""

from __future__ import annotations

import random

from collections.abc import Sequence

import attrs

from ._endpoints import Endpoint
from ._faults import Reply
from ._meta import meta
from ._refusals import ADVERT, told
from ._requests import Request
from ._settings import Settings


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
    size: tuple[int, int]
    seed: int
    file_prefix: str
    links: Sequence[str]
    proxies: Sequence[str]
    fetch_result: str | None
    eta: float | None
    took: float
    nsfw: bool
    proxy_links: str

    @property
    def endpoint(self) -> Endpoint:
        """
        Whose dialect is spoken.
        """
        return self.request.endpoint


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


def _message(settings: Settings, endpoint: Endpoint) -> str:
    classic = settings.profile == "classic"
    return "messege" if classic and endpoint.terse else "message"


def still_processing(settings: Settings, endpoint: Endpoint) -> Reply:
    """
    Fetched too early. No id, no eta, output an empty string: as captured.
    """
    body = {
        "status": "processing",
        _message(settings, endpoint): "try again later.",
        "output": "",
        "tip": ADVERT,
    }
    return Reply(200, body)


def processing(settings: Settings, facts: Facts) -> Reply:
    """
    Accepted, and not done.
    """
    endpoint = facts.endpoint
    body: dict[str, object] = {"status": "processing", "tip": ADVERT}
    if endpoint.terse:
        body["tip_1"] = (
            "Your image is processing in background, you can get this image "
            f"using fetch API: {facts.fetch_result or ''}"
        )
    if facts.eta is not None:
        body["eta"] = told(facts.eta)
    text = "Try to fetch request after seconds estimated"
    body[_message(settings, endpoint)] = text
    if endpoint.terse:
        body["webhook_status"] = ""
    if facts.fetch_result is not None:
        body["fetch_result"] = facts.fetch_result
    body["id"] = facts.shown_id
    body["output"] = endpoint.empty_output
    early = {"empty": "", "links": foretold(settings, facts), "none": []}
    if endpoint.early_proxies in early:
        body["proxy_links"] = early[endpoint.early_proxies]
    body["meta"] = meta(facts.request, _echoed(settings, facts))
    if settings.future_links != "absent":
        body["future_links"] = foretold(settings, facts)
    return Reply(200, body)


def success(settings: Settings, facts: Facts, *, envelope: str) -> Reply:
    """
    Done. *envelope* is ``short``, ``proxied`` or ``full``.
    """
    endpoint = facts.endpoint
    if envelope == "short" and not endpoint.terse:
        envelope = "proxied"
    full = envelope == "full"
    body: dict[str, object] = {"status": "success"}
    if full and endpoint.times:
        body["generationTime"] = facts.took
    body["id"] = facts.shown_id
    body["output"] = _output(settings, facts.links)
    if envelope != "short" or settings.output == "empty":
        _add_proxies(body, settings, facts)
    if facts.nsfw and settings.nsfw_flag:
        body["nsfw_content_detected"] = True
    if not full:
        return Reply(200, body)

    if endpoint.terse and settings.nsfw_flag:
        body["nsfw_content_detected"] = facts.nsfw
    if endpoint.terse:
        body["webhook_status"] = ""
    if not endpoint.times:
        body["future_links"] = list(facts.links)
    body["meta"] = meta(facts.request, _echoed(settings, facts))
    body["tip"] = ADVERT
    return Reply(200, body)


def rung(
    facts: Facts | None, *, job_id: int, track_id: str | None
) -> dict[str, object]:
    """
    What a webhook is told: success, or ``failed`` where there are no facts.
    """
    if facts is None:
        return {
            "status": "failed",
            "id": job_id,
            "message": "Processing failed: Failed, Try Again",
            "track_id": track_id,
        }
    return {
        "status": "success",
        "id": facts.shown_id,
        "output": list(facts.links),
        "generationTime": facts.took,
        "track_id": track_id,
        "meta": {"prompt": facts.request.prompt, "seed": facts.seed},
    }


def foretold(settings: Settings, facts: Facts) -> list[str]:
    """
    The links that are told before there is anything behind them.
    """
    if settings.future_links == "all":
        return list(facts.links)
    return list(facts.links[:1])


def _echoed(settings: Settings, facts: Facts) -> dict[str, object]:
    """
    What ``meta`` says besides the request.
    """
    width, height = facts.size
    return {
        "seed": facts.seed,
        "id": facts.endpoint.meta_id(facts.shown_id),
        "file_prefix": facts.file_prefix,
        "output": foretold(settings, facts),
        "width": width,
        "height": height,
    }


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
