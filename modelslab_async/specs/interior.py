"""
Rooms furnished anew.

* *strength* has two scales: the schema says 1 to 10 and 0 to 1 in one text,
  captured requests 0.99.  What is given is sent.
* A *seed* of 0 seems to mean a random one.
* *num_inference_steps* is 51 in the page's own example, off its list.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import attrs

from ._endpoint import INTERIOR, Endpoint
from ._parameter import note
from ._parameter_types import (
    Base64,
    Guidance,
    Integer,
    NegativePrompt,
    Number,
    Picture,
    Seed,
    Steps,
    Temp,
    Text,
)
from ._shapes import FromPrompt


@attrs.frozen(kw_only=True, repr=False)
class Interior(FromPrompt):
    """
    A room furnished anew after a picture of it.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "interior", "v6/interior/make", INTERIOR
    )

    init_image: Annotated[Picture, note("the room")]
    """URL or Path, required; the room."""
    strength: Annotated[
        Number,
        note(
            "how much is made anew: 1 to 10, or 0 to 1",
            5,
            "schema: both scales; seen: 0.99",
            least=0,
            most=10,
        ),
    ] = None
    """0 to 10, default 5; how much is made anew: 1 to 10, or 0 to 1."""
    num_inference_steps: Annotated[
        Steps,
        note("", 51, "schema: 21, 31 or 41", usual_values=(21, 31, 41)),
    ] = None
    """1 to 100 (usual: 21, 31, 41), default 51; steps of denoising."""
    guidance_scale: Annotated[Guidance, note(default=8)] = None
    """
    A number from 0 to 30 (usual: 1 to 20), default 8; how closely to follow
    the prompt.
    """
    seed: Annotated[Seed, note("0 seems to mean any", 0, "seen")] = None
    """A whole number from 0 to 4294967295, default 0; 0 seems to mean any."""
    scale_down: Annotated[
        Integer, note("meaning unstated", 6, "schema", least=0, most=2**31)
    ] = None
    """A whole number from 0 to 2147483648, default 6; meaning unstated."""
    specific_object: Annotated[
        Text, note("what must be in the room", source="schema")
    ] = None
    """Text; what must be in the room."""
    negative_prompt: NegativePrompt = None
    """Text; what it should not show; empty is the same as none."""
    base64: Base64 = None
    """
    True or False, default False; pictures as text files of base64, which
    downloads decode.
    """
    temp: Temp = None
    """Default False; whether the files are gone after 24 hours."""
