"""
Pictures from a prompt, by any model of the service.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import attrs

from ._diffusion import DiffusionFromPrompt
from ._endpoint import IMAGES, Endpoint
from ._parameter import note
from ._parameter_types import Flag, Upscale


@attrs.frozen(kw_only=True, repr=False)
class TextToImage(DiffusionFromPrompt):
    """
    Pictures from a prompt.

    What is None is not sent, and the service's own default rules.  Out of
    what is usual a `SpecWarning` says so, and it is sent.

    Raises:
        SpecError: No source allows it; every fault of it is told.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "text2img", "v6/images/text2img", IMAGES
    )

    multi_lingual: Annotated[
        Flag,
        note(
            "whether the prompt is in another language than English",
            False,
            "seen",
        ),
    ] = None
    """
    True or False, default False; whether the prompt is in another language
    than English.
    """
    # True and 1 are equal, yet "yes" and 1 on the wire.
    upscale: Annotated[Upscale, note(flux=False)] = attrs.field(
        default=None, eq=repr
    )
    """
    True, False, 1, 2 or 3, default False; whether to enlarge, or how many
    times.
    """
    highres_fix: Annotated[
        Flag,
        note(
            "mend large pictures in a second pass", False, "schema", flux=False
        ),
    ] = None
    """True or False, default False; mend large pictures in a second pass."""
