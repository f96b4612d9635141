"""
Pictures in a second or two, by the one model that the service keeps warm.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import attrs

from ._endpoint import REALTIME, Endpoint
from ._parameter import note
from ._parameter_types import (
    AnySide,
    Base64,
    EnhancePrompt,
    Guidance,
    InstantResponse,
    NegativePrompt,
    Picture,
    SafetyChecker,
    Samples,
    Seed,
    Steps,
    Strength,
    Temp,
)
from ._shapes import FromPrompt


@attrs.frozen(kw_only=True, repr=False)
class _Realtime(FromPrompt):
    negative_prompt: NegativePrompt = None
    width: AnySide = None
    height: AnySide = None
    samples: Samples = None
    seed: Seed = None
    safety_checker: Annotated[
        SafetyChecker, note(source="schema: False; an older page: True")
    ] = None
    base64: Base64 = None
    instant_response: InstantResponse = None
    enhance_prompt: EnhancePrompt = None
    temp: Temp = None
    guidance_scale: Annotated[
        Guidance, note("probably without effect", 1, "clients", usual=(0, 20))
    ] = None
    num_inference_steps: Annotated[
        Steps, note("probably without effect", source="clients")
    ] = None


@attrs.frozen(kw_only=True, repr=False)
class RealtimeTextToImage(_Realtime):
    """
    Pictures from a prompt, in a second or two.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "realtime_text2img", "v6/realtime/text2img", REALTIME
    )


@attrs.frozen(kw_only=True, repr=False)
class RealtimeImageToImage(_Realtime):
    """
    Pictures after a picture and a prompt, in a second or two.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "realtime_img2img", "v6/realtime/img2img", REALTIME
    )

    init_image: Annotated[Picture, note("what it starts from")]
    strength: Strength = None


@attrs.frozen(kw_only=True, repr=False)
class RealtimeInpaint(_Realtime):
    """
    A part of a picture made anew, in a second or two.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "realtime_inpaint", "v6/realtime/inpaint", REALTIME
    )

    init_image: Annotated[Picture, note("the picture that is changed")]
    mask_image: Annotated[Picture, note("white is made anew, black is kept")]
    strength: Strength = None
