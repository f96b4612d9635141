"""
Pictures that keep the lines, the depth or the pose of another.

* The newer page and the schema say v5, others v6; so v5 it is.
* *controlnet_model* is a list with commas on the wire.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

import attrs

from ..errors import Problem
from . import words
from ._diffusion import DiffusionFromPromptIfAny
from ._endpoint import CONTROLNET, Endpoint
from ._parameter import Parameter, ParameterKind, note
from ._parameter_types import (
    Flag,
    InstantResponse,
    IPAdapter,
    Number,
    OptionalPicture,
    Scheduler,
    Side,
    Steps,
    Strength,
    Upscale,
)


@attrs.frozen(kw_only=True, repr=False)
class ControlNet(DiffusionFromPromptIfAny):
    """
    Pictures from a prompt that keep the shape of another picture.

    The prompt may be left out where *guess_mode* is True.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "controlnet", "v5/controlnet", CONTROLNET
    )

    controlnet_model: Annotated[
        str | Sequence[str],
        Parameter(
            ParameterKind.TEXTS,
            words=words.ControlNetModel,
            about="one or several; only one with flux",
            source="schema",
        ),
    ]
    controlnet_type: Annotated[
        words.ControlNetModel | str | None,
        Parameter(
            ParameterKind.WORD,
            words=words.ControlNetModel,
            about="one of the models given",
            source="seen",
        ),
    ] = None
    init_image: Annotated[
        OptionalPicture, note("this or control_image is needed")
    ] = None
    control_image: Annotated[
        OptionalPicture, note("the hint itself: lines, depth, a pose")
    ] = None
    mask_image: Annotated[
        OptionalPicture, note("only with the model inpaint")
    ] = None
    auto_hint: Annotated[
        Flag, note("derive the hint from init_image", True, "seen, schema")
    ] = None
    guess_mode: Annotated[
        Flag, note("go by the hint alone", False, "schema")
    ] = None
    controlnet_conditioning_scale: Annotated[
        Number,
        note(
            "how much the hint counts",
            source="schema: 0.1 to 5; prose: to 2",
            least=0,
            most=5,
            usual=(0.1, 2),
        ),
    ] = None
    strength: Annotated[Strength, note(default=0.55, source="schema")] = None
    width: Annotated[Side, note(usual=(64, 1024), source="schema")] = None
    height: Annotated[Side, note(usual=(64, 1024), source="schema")] = None
    num_inference_steps: Annotated[
        Steps, note("", 30, "schema: 21 or 31", usual_values=(21, 30, 31))
    ] = None
    scheduler: Annotated[
        Scheduler, note(default="UniPCMultistepScheduler")
    ] = None
    tomesd: Annotated[Flag, note("faster, coarser", True, "schema")] = None
    upscale: Upscale = attrs.field(default=None, eq=repr)
    instant_response: InstantResponse = None
    ip_adapter_id: Annotated[
        IPAdapter, note("the first three of them, says the page")
    ] = None

    def doubts(self) -> Iterator[str]:
        """
        The type is one of the models given, says the page.
        """
        yield from super().doubts()
        given = self.controlnet_model
        models = (given,) if isinstance(given, str) else given
        if self.controlnet_type is not None and (
            self.controlnet_type not in models
        ):
            yield "controlnet_type: none of controlnet_model"

    def faults(self) -> Iterator[Problem]:
        """
        Something must say what the picture is to be like.
        """
        if self.prompt is None and not self.guess_mode:
            yield Problem("prompt", "is required, unless guess_mode is True")
        if self.init_image is None and self.control_image is None:
            yield Problem("init_image", "is required, or control_image")
