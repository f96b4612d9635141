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
    negative_prompt: Annotated[NegativePrompt, note(source="prose")] = None
    scheduler: Annotated[
        Text, note("for community models", source="clients")
    ] = None


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
    height: Annotated[
        AnySide,
        note(
            "for models that want pixels",
            1024,
            "clients, prose",
            usual=(512, 1024),
        ),
    ] = None
    aspect_ratio: Annotated[
        Text, note("such as 16:9, for models that want it", source="clients")
    ] = None
    samples: Samples = None


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
    guidance_scale: Annotated[
        Guidance, note("for community models", source="clients")
    ] = None
    seed: Annotated[Seed, note(source="clients")] = None


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
    init_image_2: Annotated[
        OptionalPicture,
        note("for nano-banana and gen4_image_turbo", source="clients"),
    ] = None
    strength: Annotated[
        Strength, note("providers' models ignore it", source="clients")
    ] = None


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
    mask_image: Annotated[
        Picture, note("white is made anew, black is kept", source="prose")
    ]
    strength: Annotated[Strength, note(source="prose")] = None
