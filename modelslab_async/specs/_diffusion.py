"""
What the endpoints of the images family take alike.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from ._parameter import note
from ._parameter_types import (
    AlgorithmType,
    Base64,
    ClipSkip,
    EnhancePrompt,
    Flag,
    Guidance,
    IPAdapter,
    LoraModel,
    LoraStrength,
    ModelId,
    NegativePrompt,
    OptionalPicture,
    OptionalPrompt,
    Prompt,
    SafetyChecker,
    SafetyCheckerType,
    Samples,
    Scheduler,
    Seed,
    Share,
    Side,
    Steps,
    Temp,
    Text,
)
from ._spec import Spec


@attrs.frozen(kw_only=True, repr=False)
class Diffusion(Spec):
    """
    A request to a model of one's choice.
    """

    model_id: ModelId
    negative_prompt: Annotated[NegativePrompt, note(flux=False)] = None
    width: Side = None
    height: Side = None
    samples: Samples = None
    # 31 is the page's own default, though half of it caps at 20.
    num_inference_steps: Annotated[
        Steps,
        note(
            default=31,
            source="prose: 20 to 50; schema: 1 to 20; seen: 12 to 31",
            usual=(1, 31),
        ),
    ] = None
    guidance_scale: Guidance = None
    safety_checker: SafetyChecker = None
    safety_checker_type: SafetyCheckerType = None
    enhance_prompt: Annotated[
        EnhancePrompt, note(default=True, flux=False)
    ] = None
    seed: Seed = None
    use_karras_sigmas: Annotated[Flag, note(default=True, source="seen")] = (
        None
    )
    algorithm_type: AlgorithmType = None
    scheduler: Scheduler = None
    vae: Annotated[Text, note("id of a VAE", source="schema")] = None
    lora_model: LoraModel = None
    lora_strength: LoraStrength = None
    clip_skip: ClipSkip = None
    base64: Base64 = None
    temp: Temp = None
    ip_adapter_id: Annotated[IPAdapter, note(flux=False)] = None
    ip_adapter_scale: Annotated[
        Share, note("how much it counts", 0.6, "seen, schema")
    ] = None
    ip_adapter_image: Annotated[
        OptionalPicture, note("the picture to go by")
    ] = None


@attrs.frozen(repr=False)
class DiffusionFromPrompt(Diffusion):
    """
    One that begins with its prompt.
    """

    prompt: Prompt


@attrs.frozen(repr=False)
class DiffusionFromPromptIfAny(Diffusion):
    """
    One that begins with its prompt, and can do without.
    """

    prompt: OptionalPrompt = None
