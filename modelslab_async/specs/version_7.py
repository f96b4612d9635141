"""
Models of other providers, and the community's: the API's version 7.

* There is no schema: names are those of the official clients and their
  guide.  What a model wants besides its prompt differs from model to model;
  the service decides.
* *init_image* goes out as it was given: one as text, a sequence as a list,
  as models differ in what they take.
* Some models are reported to take JPEG only.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import attrs

from ._endpoint import V7_IMAGES, Endpoint
from ._parameter import note
from ._parameter_types import (
    AnySide,
    Guidance,
    ModelId,
    NegativePrompt,
    OptionalPicture,
    Picture,
    Pictures,
    Samples,
    Seed,
    Steps,
    Strength,
    Text,
)
from ._shapes import FromPrompt


@attrs.frozen(kw_only=True, repr=False)
class _Version7(FromPrompt):
    model_id: Annotated[
        ModelId,
        note("such as imagen-4, seedream-4, nano-banana", source="schema"),
    ]
    """Text, required; such as imagen-4, seedream-4, nano-banana."""
    negative_prompt: Annotated[NegativePrompt, note(source="prose")] = None
    """Text; what it should not show; empty is the same as none."""
    scheduler: Annotated[
        Text, note("for community models", source="clients")
    ] = None
    """Text; for community models."""


@attrs.frozen(kw_only=True, repr=False)
class _Sized(_Version7):
    width: Annotated[
        AnySide,
        note(
            "for models that want pixels",
            1024,
            "clients, prose",
            usual=(512, 1024),
        ),
    ] = None
    """
    A whole number from 1 to 2048 (usual: 512 to 1024), default 1024; for
    models that want pixels.
    """
    height: Annotated[
        AnySide,
        note(
            "for models that want pixels",
            1024,
            "clients, prose",
            usual=(512, 1024),
        ),
    ] = None
    """
    A whole number from 1 to 2048 (usual: 512 to 1024), default 1024; for
    models that want pixels.
    """
    aspect_ratio: Annotated[
        Text, note("such as 16:9, for models that want it", source="clients")
    ] = None
    """Text; such as 16:9, for models that want it."""
    samples: Samples = None
    """1 to 4, default 1; how many pictures; each may cost."""


@attrs.frozen(kw_only=True, repr=False)
class TextToImageV7(_Sized):
    """
    Pictures from a prompt, by models of any provider.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "text2img_v7", "v7/images/text-to-image", V7_IMAGES
    )

    num_inference_steps: Annotated[
        Steps, note("for community models", source="clients")
    ] = None
    """A whole number from 1 to 100; for community models."""
    guidance_scale: Annotated[
        Guidance, note("for community models", source="clients")
    ] = None
    """0 to 30 (usual: 1 to 20), default 7.5; for community models."""
    seed: Annotated[Seed, note(source="clients")] = None
    """0 to 4294967295; the same request and seed give the same picture."""


@attrs.frozen(kw_only=True, repr=False)
class ImageToImageV7(_Sized):
    """
    Pictures after pictures and a prompt, by models of any provider.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "img2img_v7", "v7/images/image-to-image", V7_IMAGES
    )

    init_image: Annotated[
        Pictures,
        note("one, or a list, as the model wants", source="clients", most=14),
    ]
    """
    A URL, a data URI, a pathlib.Path, or a sequence of these, at most 14,
    required; one, or a list, as the model wants.
    """
    init_image_2: Annotated[
        OptionalPicture,
        note("for nano-banana and gen4_image_turbo", source="clients"),
    ] = None
    """URL or Path; for nano-banana and gen4_image_turbo."""
    strength: Annotated[
        Strength, note("providers' models ignore it", source="clients")
    ] = None
    """A number from 0 to 1, default 0.7; providers' models ignore it."""


@attrs.frozen(kw_only=True, repr=False)
class InpaintV7(_Version7):
    """
    A part of a picture made anew, by models of any provider.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "inpaint_v7", "v7/images/inpaint", V7_IMAGES
    )

    init_image: Annotated[
        Picture, note("the picture that is changed", source="prose")
    ]
    """URL or Path, required; the picture that is changed."""
    mask_image: Annotated[
        Picture, note("white is made anew, black is kept", source="prose")
    ]
    """URL or Path, required; white is made anew, black is kept."""
    strength: Annotated[Strength, note(source="prose")] = None
    """
    A number from 0 to 1, default 0.7; how much is made anew; at 1 nothing of
    the input is left.
    """
