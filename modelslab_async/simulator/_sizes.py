"""
How large a result is, as far as the service says.
"""

from __future__ import annotations

from ._endpoints import Deed
from ._inputs import Inputs
from ._requests import Request


_LARGEST = 4096
_USUAL = 1024
_SMALLEST = 64


def factor(request: Request) -> int:
    """
    How much larger a super resolution is: some models have their own.
    """
    model = request.model_id or ""
    for name, own in (("x2plus", 2), ("x4plus", 4)):
        if name in model:
            return own
    return min(8, max(1, int(request.number("scale", 3))))


def result_size(request: Request, inputs: Inputs) -> tuple[int, int]:
    """
    Width and height of a request's pictures.
    """
    endpoint = request.endpoint
    width, height = endpoint.size or _of_first(request, inputs) or (512, 512)
    if endpoint.deed is Deed.ENLARGE:
        times = factor(request)
        return _bounded(width * times, height * times, _LARGEST)
    if request.text("aspect_ratio"):
        width, height = _of_ratio(request.text("aspect_ratio") or "")
    elif endpoint.size is None:
        width, height = _bounded(width, height, _USUAL)
    return (
        int(request.number("width", width)),
        int(request.number("height", height)),
    )


def _of_first(request: Request, inputs: Inputs) -> tuple[int, int] | None:
    for name in request.endpoint.pictures:
        for found in inputs.get(name, ()):
            return found.width, found.height
    return None


def _bounded(width: int, height: int, most: int) -> tuple[int, int]:
    share = min(1.0, most / max(width, height))
    return (
        max(_SMALLEST, round(width * share)),
        max(_SMALLEST, round(height * share)),
    )


def _of_ratio(text: str) -> tuple[int, int]:
    """
    The size of "16:9"; a square, where it cannot be read.
    """
    first, _, second = text.partition(":")
    if not (first.isdecimal() and second.isdecimal()):
        return _USUAL, _USUAL
    across, down = int(first), int(second)
    if not 0 < across <= 10 * down or down > 10 * across:
        return _USUAL, _USUAL
    longer = max(across, down)
    return _USUAL * across // longer, _USUAL * down // longer
