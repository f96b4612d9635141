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
    num_inference_steps: Annotated[
        Steps,
        note("", 51, "schema: 21, 31 or 41", usual_values=(21, 31, 41)),
    ] = None
    guidance_scale: Annotated[Guidance, note(default=8)] = None
    seed: Annotated[Seed, note("0 seems to mean any", 0, "seen")] = None
    scale_down: Annotated[
        Integer, note("meaning unstated", 6, "schema", least=0, most=2**31)
    ] = None
    specific_object: Annotated[
        Text, note("what must be in the room", source="schema")
    ] = None
    negative_prompt: NegativePrompt = None
    base64: Base64 = None
    temp: Temp = None
