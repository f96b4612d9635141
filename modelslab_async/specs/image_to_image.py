"""
Pictures from a picture, by any model of the service: img2img and inpaint.

* *model_id* chooses what a parameter means: flux-kontext-dev takes
  *init_image_2* and *guidance*, flux-klein and flux-2-dev several pictures,
  z-image-turbo no *strength*.
* inpaint's page sends *steps* where its schema says *num_inference_steps*;
  both go out, equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import attrs

from ..errors import Problem
from ._diffusion import DiffusionFromPrompt
from ._endpoint import IMAGES, Endpoint
from ._parameter import note
from ._parameter_types import (
    InstantResponse,
    Number,
    OptionalPicture,
    Picture,
    Pictures,
    Steps,
    Strength,
)


#: Models that begin with several pictures, and with how many.
_SEVERAL = {"flux-klein": 4, "flux-2-dev": 10}


@attrs.frozen(kw_only=True, repr=False)
class ImageToImage(DiffusionFromPrompt):
    """
    Pictures after a picture and a prompt, by any model of the service.

    Also flux-kontext-dev, which edits as it is told, and z-image-turbo.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "img2img", "v6/images/img2img", IMAGES
    )

    init_image: Annotated[
        Pictures,
        note(
            "what it starts from; several for flux-klein (4) and flux-2-dev "
            "(10), elsewhere one"
        ),
    ]
    """
    A URL, a data URI, a pathlib.Path, or a sequence of these, at most 10,
    required; what it starts from; several for flux-klein (4) and flux-2-dev
    (10), elsewhere one.
    """
    strength: Annotated[
        Strength, note("flux-kontext-dev: default 0.5; z-image-turbo: none")
    ] = None
    """
    A number from 0 to 1, default 0.7; flux-kontext-dev: default 0.5; z-image-
    turbo: none.
    """
    # kontext goes to 50.
    num_inference_steps: Annotated[
        Steps,
        note(
            default=31,
            source="schema: 1 to 20; kontext: 1 to 50, default 28",
            usual=(1, 50),
        ),
    ] = None
    """1 to 100 (usual: 1 to 50), default 31; steps of denoising."""
    init_image_2: Annotated[
        OptionalPicture, note("flux-kontext-dev: 'image two' of the prompt")
    ] = None
    """URL or Path; flux-kontext-dev: 'image two' of the prompt."""
    guidance: Annotated[
        Number,
        note(
            "flux-kontext-dev, in place of guidance_scale",
            2.5,
            "schema",
            least=0,
            most=20,
        ),
    ] = None
    """0 to 20, default 2.5; flux-kontext-dev, in place of guidance_scale."""
    instant_response: InstantResponse = None
    """
    True or False, default False; answer at once, instead of with the picture
    where it is quick.
    """

    def doubts(self) -> Iterator[str]:
        """
        What one model has against a parameter of another.
        """
        yield from super().doubts()
        most = _SEVERAL.get(self.model_id, 1)
        if isinstance(self.init_image, tuple) and len(self.init_image) > most:
            yield (
                f"init_image: {self.model_id} takes {most}, says the "
                f"service's page, not {len(self.init_image)}"
            )
        if self.model_id == "flux-kontext-dev" and self.guidance_scale:
            yield "guidance_scale: flux-kontext-dev takes guidance instead"
        if self.model_id == "z-image-turbo" and self.strength is not None:
            yield "strength: z-image-turbo does not take it"


@attrs.frozen(kw_only=True, repr=False)
class Inpaint(DiffusionFromPrompt):
    """
    A part of a picture made anew, by any model of the service that inpaints.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "inpaint", "v6/images/inpaint", IMAGES
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
    num_inference_steps: Annotated[
        Steps,
        note(
            "sent as steps too",
            source="schema: 1 to 20; seen: 21, 31",
            usual=(1, 31),
            twin="steps",
        ),
    ] = None
    """A whole number from 1 to 100 (usual: 1 to 31); sent as steps too."""
    steps: Annotated[
        Steps,
        note(
            "another name of num_inference_steps",
            source="seen: 21, 31",
            usual=(1, 31),
            twin="num_inference_steps",
        ),
    ] = None
    """1 to 100 (usual: 1 to 31); another name of num_inference_steps."""

    def doubts(self) -> Iterator[str]:
        """
        Not every model of the flux family can.
        """
        yield from super().doubts()
        if self.model_id in {"flux", "fluxschnell"}:
            yield f"model_id: {self.model_id} does not inpaint, fluxdev does"

    def faults(self) -> Iterator[Problem]:
        """
        Two names of one number must agree.
        """
        if (
            None not in (self.steps, self.num_inference_steps)
            and self.steps != self.num_inference_steps
        ):
            yield Problem(
                "steps", "differs from num_inference_steps; give one"
            )
