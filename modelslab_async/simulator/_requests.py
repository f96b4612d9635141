"""
How the service reads a request: tolerant of how a value is
spelt, strict about a few ranges, deaf to what it does not know.
"""

from __future__ import annotations

import hashlib
import json

import attrs


_DEFAULT_STEPS = 31
_DEFAULT_GUIDANCE = 7.5
_LARGEST_SEED = 2**32 - 1


@attrs.frozen
class Endpoint:
    """
    One way to ask for pictures.

    Attributes:
        family: Part of the path that fetch shares.

        required: Fields without which there is no job; model_id apart,
            which has a word of its own.
    """

    family: str
    required: tuple[str, ...] = ("prompt",)


# A further endpoint is a line here, if its replies are like these.
ENDPOINTS = {"images/text2img": Endpoint("images")}


@attrs.frozen
class Request:
    """
    What a request comes to.
    """

    endpoint: Endpoint
    prompt: str
    negative_prompt: str | None
    model_id: str | None
    width: int
    height: int
    samples: int
    steps: int
    guidance_scale: float
    seed: int | None
    enhance_prompt: bool
    safety_checker: bool
    safety_checker_type: str
    base64: bool
    temp: bool
    webhook: str | None
    track_id: str | None
    instant_response: bool
    echoes: dict[str, object] = attrs.field(repr=False)

    @property
    def is_flux(self) -> bool:
        """
        Flux speaks another dialect of meta.
        """
        return (self.model_id or "").startswith("flux")


def flag(value: object, *, default: bool) -> bool:
    """
    Read a flag in any of its forms.
    """
    if value is None:
        return default
    return str(value).strip().lower() in {"true", "yes", "1", "2", "3"}


def whole(value: object) -> int | None:
    """
    Read a whole number, or a string of one.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        try:
            return int(value.strip())
        except ValueError:
            return None
    return None


def number(value: object) -> float | None:
    """
    Read a number, or a string of one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError):
        return None


def scalar(value: object) -> str | None:
    """
    Read what is echoed as a string.
    """
    if value is None or isinstance(value, dict | list):
        return None
    return str(value)


def compact(body: dict[str, object], *, without: tuple[str, ...]) -> str:
    """
    Write a request down, without some of its fields.
    """
    kept = {key: body[key] for key in body if key not in without}
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)


def fingerprint(body: dict[str, object]) -> bytes:
    """
    What two requests have in common that ask for the same.
    """
    text = compact(
        dict(sorted(body.items())), without=("key", "track_id", "webhook")
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def read(
    endpoint: Endpoint, body: dict[str, object]
) -> Request | dict[str, list[str]]:
    """
    Read a request.

    Returns:
        What it comes to, or what is wrong with it, by field, in the words
        of the documentation's page "Error Codes".
    """
    problems: dict[str, list[str]] = {}
    for name in endpoint.required:
        value = body.get(name)
        if value is None or value == "":
            text = f"The {name.replace('_', ' ')} field is required."
            problems[name] = [text]
        elif name == "prompt" and not isinstance(value, str):
            problems[name] = ["prompt must be a string"]

    sides = {"width": 512, "height": 512}
    for name in sides:
        if body.get(name) is None:
            continue
        side = whole(body[name])
        # Some models take up to 1488; the page says 256 to 1024.
        if side is None or not 64 <= side <= 1488:
            problems[name] = [f"{name} must be between 64 and 1488"]
        elif side % 8:
            problems[name] = [f"{name} must be divisible by 8"]
        else:
            sides[name] = side

    samples = whole(body.get("samples") or 1)
    if samples is None or not 1 <= samples <= 4:
        problems["samples"] = ["samples must be between 1 and 4"]
        samples = 1

    guidance = number(body.get("guidance_scale") or _DEFAULT_GUIDANCE)
    if guidance is None or not 1 <= guidance <= 20:
        problems["guidance_scale"] = [
            "guidance_scale must be between 1 and 20"
        ]
        guidance = _DEFAULT_GUIDANCE

    if problems:
        return problems

    model_id = scalar(body.get("model_id")) or None
    negative = body.get("negative_prompt")
    seed = whole(body.get("seed"))
    if seed is not None and not 0 <= seed <= _LARGEST_SEED:
        seed = None
    # Steps are clamped, never refused; the community models' cap is 20,
    # though the default of the same page is 31.
    most = 50 if (model_id or "").startswith("flux") else 20
    steps = whole(body.get("num_inference_steps"))
    if steps is None:
        steps = _DEFAULT_STEPS

    return Request(
        endpoint=endpoint,
        prompt=str(body.get("prompt") or ""),
        negative_prompt=negative if isinstance(negative, str) else None,
        model_id=model_id,
        width=sides["width"],
        height=sides["height"],
        samples=samples,
        steps=min(max(steps, 1), most),
        guidance_scale=guidance,
        seed=seed,
        enhance_prompt=flag(body.get("enhance_prompt"), default=True),
        safety_checker=flag(body.get("safety_checker"), default=True),
        safety_checker_type=scalar(body.get("safety_checker_type"))
        or "sensitive_content_text",
        base64=flag(body.get("base64"), default=False),
        temp=flag(body.get("temp"), default=False),
        webhook=scalar(body.get("webhook")),
        track_id=scalar(body.get("track_id")),
        instant_response=flag(body.get("instant_response"), default=False),
        echoes={
            "scheduler": body.get("scheduler") or "UniPCMultistepScheduler",
            "algorithm_type": body.get("algorithm_type") or "no",
            "vae": body.get("vae"),
            "lora": body.get("lora_model"),
            "lora_strength": body.get("lora_strength") or 1,
            "clip_skip": whole(body.get("clip_skip")) or 1,
            "ip_adapter_id": body.get("ip_adapter_id"),
            "ip_adapter_scale": body.get("ip_adapter_scale") or 0.6,
            "upscale": body.get("upscale") or "no",
            "multi_lingual": body.get("multi_lingual") or "no",
        },
    )
