"""
``meta``: the request as the service understood it, in the dialect of its
model or family.
"""

from __future__ import annotations

from ._parameters import FLAGS, PICTURES, Kind, whole
from ._refusals import told
from ._requests import Request, shortened
from ._sizes import factor


_STOCK_NEGATIVE = (
    " (worst quality:2), (low quality:2), (normal quality:2), (jpeg "
    "artifacts), (blurry), (duplicate), (morbid), (mutilated), (out of "
    "frame), (extra limbs), (bad anatomy), (disfigured), (deformed)"
)
_STYLE = (
    " hyperrealistic, full body, detailed clothing, highly detailed, "
    "cinematic lighting, stunningly beautiful, intricate, sharp focus"
)
#: What the community models echo, by the name that it has in the request,
#: and what rules where it was not sent.
_COMMUNITY: dict[str, tuple[str, object]] = {
    "scheduler": ("scheduler", "UniPCMultistepScheduler"),
    "algorithm_type": ("algorithm_type", "no"),
    "vae": ("vae", None),
    "lora_model": ("lora", None),
    "lora_strength": ("lora_strength", 1),
    "ip_adapter_id": ("ip_adapter_id", None),
    "ip_adapter_scale": ("ip_adapter_scale", 0.6),
    "upscale": ("upscale", "no"),
}


def meta(request: Request, besides: dict[str, object]) -> dict[str, object]:
    """
    What is echoed, and what the service found out by itself.
    """
    if request.endpoint.terse:
        return _terse(request, besides)
    return _second(request, besides)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _terse(request: Request, besides: dict[str, object]) -> dict[str, object]:
    enhanced = request.flag("enhance_prompt", default=True)
    negative = request.text("negative_prompt")
    if negative is None:
        negative = _STOCK_NEGATIVE
    elif enhanced:
        negative += _STOCK_NEGATIVE

    width, height = besides["width"], besides["height"]
    shared: dict[str, object] = {
        "prompt": f" {request.prompt}{_STYLE if enhanced else ''}",
        "model_id": request.model_id,
        "negative_prompt": negative,
        "safety_checker": _yes(request.flag("safety_checker", default=True)),
        "safety_checker_type": request.text("safety_checker_type")
        or "sensitive_content_text",
        "guidance_scale": told(request.guidance_scale),
        "n_samples": request.samples,
        "enhance_prompt": _yes(enhanced),
        "instant_response": _yes(
            request.flag("instant_response", default=False)
        ),
        "temp": _yes(request.temporary),
        "base64": _yes(request.base64),
        "webhook": request.values.get("webhook"),
        "track_id": request.values.get("track_id"),
        **_strength(request),
        **_pictures(request),
        **besides,
    }
    if request.is_flux:
        return {
            **shared,
            "num_inference_steps": request.steps,
            "clip_skip": None,
        }
    del shared["width"], shared["height"]
    echoes = {
        echo: request.values.get(name) or default
        for name, (echo, default) in _COMMUNITY.items()
    }
    return {
        **shared,
        **echoes,
        "clip_skip": whole(request.values.get("clip_skip")) or 1,
        "multi_lingual": _yes(request.flag("multi_lingual", default=False)),
        "W": width,
        "H": height,
        "steps": request.steps,
        "is_sdxl": "xl" in (request.model_id or ""),
    }


def _strength(request: Request) -> dict[str, object]:
    if "strength" not in request.endpoint.parameters:
        return {}
    return {"strength": request.number("strength", 0.7)}


def _second(request: Request, besides: dict[str, object]) -> dict[str, object]:
    endpoint = request.endpoint
    found: dict[str, object] = {}
    for name, parameter in endpoint.parameters.items():
        echo = endpoint.echoes.get(name, name)
        value = request.values.get(name)
        if parameter.kind in FLAGS:
            found[echo] = "yes" if value is True else endpoint.no
        elif parameter.kind not in PICTURES and value is not None:
            found[echo] = value
    if "samples" in endpoint.parameters:
        found["n_samples"] = request.samples
    if "scale" in endpoint.parameters:
        found[endpoint.echoes.get("scale", "scale")] = factor(request)
    found["temp"] = _yes(request.temporary)
    return {
        **found,
        "webhook": request.values.get("webhook"),
        "track_id": request.values.get("track_id"),
        **_strength(request),
        **_pictures(request),
        **besides,
    }


def _pictures(request: Request) -> dict[str, object]:
    """
    The pictures by link, or by the beginning of their text.
    """
    endpoint = request.endpoint
    found: dict[str, object] = {}
    for name, sources in request.sources.items():
        echo = endpoint.echoes.get(name, name)
        shown = [
            shortened(each) if each.startswith("data:") else each[:2048]
            for each in sources
        ]
        if endpoint.parameters[name].kind is Kind.IMAGES and len(shown) > 1:
            for place, each in enumerate(shown, 1):
                found[f"{echo}_{place}"] = each
        else:
            found[echo] = shown[0]
    return found
