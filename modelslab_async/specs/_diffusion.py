"""
What the endpoints of the images family take alike.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from ._parameter import note
from ._parameter_types import (
    AlgorithmName,
    Base64,
    ClipSkip,
    EnhancePrompt,
    Flag,
    Guidance,
    IPAdapterName,
    LoraModel,
    LoraStrength,
    ModelId,
    NegativePrompt,
    OptionalPicture,
    OptionalPrompt,
    Prompt,
    SafetyChecker,
    SafetyCheckerName,
    Samples,
    SchedulerName,
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
    """Text, required; such as flux, or realistic-vision-51."""
    negative_prompt: Annotated[NegativePrompt, note(flux=False)] = None
    """Text; what it should not show; empty is the same as none."""
    width: Side = None
    """64 to 2048, divisible by 8 (usual: 256 to 1024), default 512; pixels."""
    height: Side = None
    """64 to 2048, divisible by 8 (usual: 256 to 1024), default 512; pixels."""
    samples: Samples = None
    """1 to 4, default 1; how many pictures; each may cost."""
    # 31 is the page's own default, though half of it caps at 20.
    num_inference_steps: Annotated[
        Steps,
        note(
            default=31,
            source="prose: 20 to 50; schema: 1 to 20; seen: 12 to 31",
            usual=(1, 31),
        ),
    ] = None
    """1 to 100 (usual: 1 to 31), default 31; steps of denoising."""
    guidance_scale: Guidance = None
    """
    A number from 0 to 30 (usual: 1 to 20), default 7.5; how closely to follow
    the prompt.
    """
    safety_checker: SafetyChecker = None
    """
    True or False; whether pictures are checked for nudity; say it if you care.
    """
    safety_checker_type: SafetyCheckerName = None
    """
    One of 'blur', 'sensitive_content_text', 'pixelate', 'black', default
    'sensitive_content_text'; what becomes of a picture that is not liked.
    """
    enhance_prompt: Annotated[
        EnhancePrompt, note(default=True, flux=False)
    ] = None
    """Default True; whether the service embellishes the prompt."""
    seed: Seed = None
    """0 to 4294967295; the same request and seed give the same picture."""
    use_karras_sigmas: Annotated[Flag, note(default=True, source="seen")] = (
        None
    )
    """True or False, default True."""
    algorithm_type: AlgorithmName = None
    """
    One of 'none', 'dpmsolver+++', default 'none'; of
    DPMSolverMultistepScheduler.
    """
    scheduler: SchedulerName = None
    """One of Scheduler; the sampler; the model's where nothing is said."""
    vae: Annotated[Text, note("id of a VAE", source="schema")] = None
    """Text; id of a VAE."""
    lora_model: LoraModel = None
    """
    Text or a sequence of texts; ids; 'a,b' and ['a', 'b'] are sent alike.
    """
    lora_strength: LoraStrength = None
    """
    A number or a sequence of numbers (usual: 0.1 to 1), default 1; one for
    all, or one each.
    """
    clip_skip: ClipSkip = None
    """A whole number from 1 to 8, default 2; layers of CLIP to skip."""
    base64: Base64 = None
    """
    True or False, default False; pictures as text files of base64, which
    downloads decode.
    """
    temp: Temp = None
    """Default False; whether the files are gone after 24 hours."""
    ip_adapter_id: Annotated[IPAdapterName, note(flux=False)] = None
    """
    One of 'ip-adapter_sdxl', 'ip-adapter_sd15', 'ip-adapter-plus-face_sd15',
    'ip-adapter-plus_sdxl_vit-h', 'ip-adapter-plus-face_sdxl_vit-h'; which
    adapter reads ip_adapter_image.
    """
    ip_adapter_scale: Annotated[
        Share, note("how much it counts", 0.6, "seen, schema")
    ] = None
    """A number from 0 to 1, default 0.6; how much it counts."""
    ip_adapter_image: Annotated[
        OptionalPicture, note("the picture to go by")
    ] = None
    """URL or Path; the picture to go by."""


@attrs.frozen(repr=False)
class DiffusionFromPrompt(Diffusion):
    """
    One that begins with its prompt.
    """

    prompt: Prompt
    """Text, required; what the picture shows; the service adds words to it."""


@attrs.frozen(repr=False)
class DiffusionFromPromptIfAny(Diffusion):
    """
    One that begins with its prompt, and can do without.
    """

    prompt: OptionalPrompt = None
    """Text; what the picture shows."""
