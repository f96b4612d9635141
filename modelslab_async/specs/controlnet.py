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
    IPAdapterName,
    Number,
    OptionalPicture,
    SchedulerName,
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
    """
    Several of ControlNetModel, required; one or several; only one with flux.
    """
    controlnet_type: Annotated[
        words.ControlNetModel | str | None,
        Parameter(
            ParameterKind.WORD,
            words=words.ControlNetModel,
            about="one of the models given",
            source="seen",
        ),
    ] = None
    """One of ControlNetModel; one of the models given."""
    init_image: Annotated[
        OptionalPicture, note("this or control_image is needed")
    ] = None
    """URL or Path; this or control_image is needed."""
    control_image: Annotated[
        OptionalPicture, note("the hint itself: lines, depth, a pose")
    ] = None
    """URL or Path; the hint itself: lines, depth, a pose."""
    mask_image: Annotated[
        OptionalPicture, note("only with the model inpaint")
    ] = None
    """URL or Path; only with the model inpaint."""
    auto_hint: Annotated[
        Flag, note("derive the hint from init_image", True, "seen, schema")
    ] = None
    """True or False, default True; derive the hint from init_image."""
    guess_mode: Annotated[
        Flag, note("go by the hint alone", False, "schema")
    ] = None
    """True or False, default False; go by the hint alone."""
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
    """A number from 0 to 5 (usual: 0.1 to 2); how much the hint counts."""
    strength: Annotated[Strength, note(default=0.55, source="schema")] = None
    """
    A number from 0 to 1, default 0.55; how much is made anew; at 1 nothing of
    the input is left.
    """
    width: Annotated[Side, note(usual=(64, 1024), source="schema")] = None
    """64 to 2048, divisible by 8 (usual: 64 to 1024), default 512; pixels."""
    height: Annotated[Side, note(usual=(64, 1024), source="schema")] = None
    """64 to 2048, divisible by 8 (usual: 64 to 1024), default 512; pixels."""
    num_inference_steps: Annotated[
        Steps, note("", 30, "schema: 21 or 31", usual_values=(21, 30, 31))
    ] = None
    """1 to 100 (usual: 21, 30, 31), default 30; steps of denoising."""
    scheduler: Annotated[
        SchedulerName, note(default="UniPCMultistepScheduler")
    ] = None
    """
    One of Scheduler, default 'UniPCMultistepScheduler'; the sampler; the
    model's where nothing is said.
    """
    tomesd: Annotated[Flag, note("faster, coarser", True, "schema")] = None
    """True or False, default True; faster, coarser."""
    upscale: Upscale = attrs.field(default=None, eq=repr)
    """
    True, False, 1, 2 or 3, default False; whether to enlarge, or how many
    times.
    """
    instant_response: InstantResponse = None
    """
    True or False, default False; answer at once, instead of with the picture
    where it is quick.
    """
    ip_adapter_id: Annotated[
        IPAdapterName, note("the first three of them, says the page")
    ] = None
    """
    One of 'ip-adapter_sdxl', 'ip-adapter_sd15', 'ip-adapter-plus-face_sd15',
    'ip-adapter-plus_sdxl_vit-h', 'ip-adapter-plus-face_sdxl_vit-h'; the first
    three of them, says the page.
    """

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
