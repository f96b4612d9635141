"""
Pictures from a prompt, by any model of the service.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from ._parameter import (
    AlgorithmType,
    ClipSkip,
    Flag,
    FlagNotForFlux,
    Guidance,
    IPAdapter,
    LoraModel,
    LoraStrength,
    ModelId,
    NegativePrompt,
    SafetyCheckerType,
    Samples,
    Scheduler,
    Seed,
    Share,
    Side,
    Steps,
    Text,
    Upscale,
    Url,
)
from ._spec import Endpoint, FromPrompt


@attrs.frozen(kw_only=True, repr=False)
class TextToImage(FromPrompt):
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

        ip_adapter_id: Which adapter reads *ip_adapter_image*.

        ip_adapter_scale: How much it counts, 0 to 1.

        ip_adapter_image: URL of the picture to go by.

        multi_lingual: Whether the prompt is in another language than English.

        upscale: Whether to enlarge, or how many times: 1, 2 or 3.

        highres_fix: Whether to mend large pictures in a second pass.

        webhook: A URL that is told when the job has ended.

        track_id:
            Your name for the request, which need not be unique; we make one
            up where there is none.

        extra: Parameters that we don't know yet, sent as they are.

    Raises:
        SpecError: No source allows it; every fault of it is told.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "text2img", "images/text2img", "images/fetch"
    )

    model_id: ModelId
    negative_prompt: NegativePrompt = None
    width: Side = None
    height: Side = None
    samples: Samples = None
    num_inference_steps: Steps = None
    guidance_scale: Guidance = None
    safety_checker: Flag = None
    safety_checker_type: SafetyCheckerType = None
    enhance_prompt: FlagNotForFlux = None
    seed: Seed = None
    use_karras_sigmas: Flag = None
    algorithm_type: AlgorithmType = None
    scheduler: Scheduler = None
    vae: Text = None
    lora_model: LoraModel = None
    lora_strength: LoraStrength = None
    clip_skip: ClipSkip = None
    base64: Flag = None
    temp: Flag = None
    ip_adapter_id: IPAdapter = None
    ip_adapter_scale: Share = None
    ip_adapter_image: Url = None
    multi_lingual: Flag = None
    # True and 1 are equal, yet "yes" and 1 on the wire.
    upscale: Upscale = attrs.field(default=None, eq=repr)
    highres_fix: FlagNotForFlux = None
