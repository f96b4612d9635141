"""
Here lives what we ask the service for: `TextToImage` first.

A spec is a frozen attrs class whose fields each carry a `Parameter` in their
metadata.  That one line drives the checks here, and in `_wire` the encoding
and the reading from files.  A further endpoint is such a class, an `Endpoint`
and its row in `SPECS`.
"""

from __future__ import annotations

import enum

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import attrs

from ..results import JSON
from ._parameter import (
    _FLAG,
    _SIDE,
    _TEXT,
    _URL,
    Endpoint,
    Extra,
    Parameter,
    ParameterKind,
)
from ._validation import _settle, _shown


class Scheduler(enum.StrEnum):
    """
    Samplers that the page of text2img lists.
    """

    DDPM = "DDPMScheduler"
    DDIM = "DDIMScheduler"
    PNDM = "PNDMScheduler"
    LMS_DISCRETE = "LMSDiscreteScheduler"
    EULER_DISCRETE = "EulerDiscreteScheduler"
    EULER_ANCESTRAL_DISCRETE = "EulerAncestralDiscreteScheduler"
    DPM_SOLVER_MULTISTEP = "DPMSolverMultistepScheduler"
    HEUN_DISCRETE = "HeunDiscreteScheduler"
    KDPM2_DISCRETE = "KDPM2DiscreteScheduler"
    DPM_SOLVER_SINGLESTEP = "DPMSolverSinglestepScheduler"
    KDPM2_ANCESTRAL_DISCRETE = "KDPM2AncestralDiscreteScheduler"
    UNI_PC_MULTISTEP = "UniPCMultistepScheduler"
    DDIM_INVERSE = "DDIMInverseScheduler"
    DEIS_MULTISTEP = "DEISMultistepScheduler"
    IPNDM = "IPNDMScheduler"
    KARRAS_VE = "KarrasVeScheduler"
    SCORE_SDE_VE = "ScoreSdeVeScheduler"
    LCM = "LCMScheduler"


class SafetyCheckerType(enum.StrEnum):
    """
    What becomes of a picture that the safety checker does not like.
    """

    BLUR = "blur"
    SENSITIVE_CONTENT_TEXT = "sensitive_content_text"
    PIXELATE = "pixelate"
    BLACK = "black"


class AlgorithmType(enum.StrEnum):
    """
    Variants of `Scheduler.DPM_SOLVER_MULTISTEP`.
    """

    NONE = "none"
    #: Three pluses are the service's own; diffusers writes two.
    DPM_SOLVER = "dpmsolver+++"


class IPAdapter(enum.StrEnum):
    """
    Adapters that take a picture as a prompt.
    """

    SDXL = "ip-adapter_sdxl"
    SD15 = "ip-adapter_sd15"
    PLUS_FACE_SD15 = "ip-adapter-plus-face_sd15"
    PLUS_SDXL_VIT_H = "ip-adapter-plus_sdxl_vit-h"
    PLUS_FACE_SDXL_VIT_H = "ip-adapter-plus-face_sdxl_vit-h"


@attrs.frozen(repr=False)
class TextToImage:
    """
    Pictures from a prompt: ``POST /images/text2img``.

    What is None is not sent, and the service's own default rules.  Defaults
    and ranges below are those of the service's page "Text-to-Image"; where
    its two halves differ, both are named.

    Attributes:
        prompt: What the picture shows; the service adds words to it.

        model_id: Such as `flux`, or `realistic-vision-51`.

        negative_prompt: What it should not show; flux takes none.

        width:
            Pixels, 64 to 2048, divisible by 8; outside of 256 to 1024 not
            every model does it (`SpecWarning`).  Default 512.

        height: As *width*.

        samples: How many pictures, 1 to 4.  Default 1.

        num_inference_steps:
            1 to 100.  Half of the page says 20 to 50, half that more than 20
            are capped; above its default of 31 a `SpecWarning` says so.

        guidance_scale:
            0 to 30; outside of the page's 1 to 20 a `SpecWarning`.  Default
            7.5.

        safety_checker: Whether pictures are checked for nudity.

        safety_checker_type: What becomes of one that is not liked.

        enhance_prompt: Whether the service embellishes the prompt.

        seed: 0 to 4294967295; the same seed gives the same picture.

        use_karras_sigmas: Default True.

        algorithm_type: For `Scheduler.DPM_SOLVER_MULTISTEP`.

        scheduler: The sampler.

        vae: Id of a VAE of your own.

        lora_model: One id, or a sequence of them.

        lora_strength:
            One number for all, or one each; outside of the page's 0.1 to 1 a
            `SpecWarning`.

        clip_skip: Layers of CLIP to skip, 1 to 8.  Default 2.

        base64: Whether to send text files with base64 instead of pictures.

        temp: Whether the files are thrown away after 24 hours.

        webhook: A URL that is told when the job has ended.

        track_id:
            Your name for the request, which need not be unique; we make one
            up where there is none.

        ip_adapter_id: Which adapter reads *ip_adapter_image*.

        ip_adapter_scale: How much it counts, 0 to 1.

        ip_adapter_image: URL of the picture to go by.

        multi_lingual: Whether the prompt is in another language than English.

        upscale: Whether to enlarge, or how many times: 1, 2 or 3.

        highres_fix: Whether to mend large pictures in a second pass.

        extra: Parameters that we don't know yet, sent as they are.

    Raises:
        SpecError: No source allows it; every fault of it is told.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "text2img", "images/text2img", "images/fetch"
    )

    prompt: str = attrs.field(metadata=_TEXT)
    model_id: str = attrs.field(kw_only=True, metadata=_TEXT)
    negative_prompt: str | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.TEXT, blank=True, flux=False).field,
    )
    width: int | None = attrs.field(default=None, kw_only=True, metadata=_SIDE)
    height: int | None = attrs.field(
        default=None, kw_only=True, metadata=_SIDE
    )
    samples: int | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.INTEGER, least=1, most=4).field,
    )
    # 31 is the page's own default, though half of it caps at 20.
    num_inference_steps: int | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(
            ParameterKind.INTEGER, least=1, most=100, usual=(1, 31)
        ).field,
    )
    guidance_scale: float | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(
            ParameterKind.NUMBER, least=0, most=30, usual=(1, 20)
        ).field,
    )
    safety_checker: bool | None = attrs.field(
        default=None, kw_only=True, metadata=_FLAG
    )
    safety_checker_type: SafetyCheckerType | str | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.WORD, words=SafetyCheckerType).field,
    )
    enhance_prompt: bool | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.FLAG, flux=False).field,
    )
    seed: int | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(
            ParameterKind.INTEGER, least=0, most=2**32 - 1
        ).field,
    )
    use_karras_sigmas: bool | None = attrs.field(
        default=None, kw_only=True, metadata=_FLAG
    )
    algorithm_type: AlgorithmType | str | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.WORD, words=AlgorithmType).field,
    )
    scheduler: Scheduler | str | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.WORD, words=Scheduler).field,
    )
    vae: str | None = attrs.field(default=None, kw_only=True, metadata=_TEXT)
    lora_model: str | Sequence[str] | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.TEXTS).field,
    )
    lora_strength: float | Sequence[float] | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.NUMBERS, usual=(0.1, 1)).field,
    )
    clip_skip: int | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.INTEGER, least=1, most=8).field,
    )
    base64: bool | None = attrs.field(
        default=None, kw_only=True, metadata=_FLAG
    )
    temp: bool | None = attrs.field(default=None, kw_only=True, metadata=_FLAG)
    webhook: str | None = attrs.field(
        default=None, kw_only=True, metadata=_URL
    )
    track_id: str | None = attrs.field(
        default=None, kw_only=True, metadata=_TEXT
    )
    ip_adapter_id: IPAdapter | str | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(
            ParameterKind.WORD, words=IPAdapter, flux=False
        ).field,
    )
    ip_adapter_scale: float | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.NUMBER, least=0, most=1).field,
    )
    ip_adapter_image: str | None = attrs.field(
        default=None, kw_only=True, metadata=_URL
    )
    multi_lingual: bool | None = attrs.field(
        default=None, kw_only=True, metadata=_FLAG
    )
    # True and 1 are equal, yet "yes" and 1 on the wire.
    upscale: bool | Literal[1, 2, 3] | None = attrs.field(
        default=None,
        kw_only=True,
        eq=repr,
        metadata=Parameter(ParameterKind.UPSCALE, flux=False).field,
    )
    highres_fix: bool | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(ParameterKind.FLAG, flux=False).field,
    )
    extra: Mapping[str, JSON] = attrs.field(
        default=Extra(),
        kw_only=True,
        metadata=Parameter(ParameterKind.EXTRA).field,
    )

    def __attrs_post_init__(self) -> None:
        _settle(self)

    def __repr__(self) -> str:
        return _shown(self)
