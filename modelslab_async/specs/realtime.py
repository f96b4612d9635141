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
    """Text; what it should not show; empty is the same as none."""
    width: AnySide = None
    """1 to 2048 (usual: 64 to 1024), default 512; pixels."""
    height: AnySide = None
    """1 to 2048 (usual: 64 to 1024), default 512; pixels."""
    samples: Samples = None
    """1 to 4, default 1; how many pictures; each may cost."""
    seed: Seed = None
    """0 to 4294967295; the same request and seed give the same picture."""
    safety_checker: Annotated[
        SafetyChecker, note(source="schema: False; an older page: True")
    ] = None
    """
    True or False; whether pictures are checked for nudity; say it if you care.
    """
    base64: Base64 = None
    """
    True or False, default False; pictures as text files of base64, which
    downloads decode.
    """
    instant_response: InstantResponse = None
    """
    True or False, default False; answer at once, instead of with the picture
    where it is quick.
    """
    enhance_prompt: EnhancePrompt = None
    """True or False; whether the service embellishes the prompt."""
    temp: Temp = None
    """Default False; whether the files are gone after 24 hours."""
    guidance_scale: Annotated[
        Guidance, note("probably without effect", 1, "clients", usual=(0, 20))
    ] = None
    """0 to 30 (usual: 0 to 20), default 1; probably without effect."""
    num_inference_steps: Annotated[
        Steps, note("probably without effect", source="clients")
    ] = None
    """A whole number from 1 to 100; probably without effect."""


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
    """URL or Path, required; what it starts from."""
    strength: Strength = None
    """
    A number from 0 to 1, default 0.7; how much is made anew; at 1 nothing of
    the input is left.
    """


@attrs.frozen(kw_only=True, repr=False)
class RealtimeInpaint(_Realtime):
    """
    A part of a picture made anew, in a second or two.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "realtime_inpaint", "v6/realtime/inpaint", REALTIME
    )

    init_image: Annotated[Picture, note("the picture that is changed")]
    """URL or Path, required; the picture that is changed."""
    mask_image: Annotated[Picture, note("white is made anew, black is kept")]
    """URL or Path, required; white is made anew, black is kept."""
    strength: Strength = None
    """
    A number from 0 to 1, default 0.7; how much is made anew; at 1 nothing of
    the input is left.
    """
