"""
Faces put into other pictures.

* The page says that *target_image* is where the new face comes from.
* The service puts a watermark on the picture unless told not to, so it is
  told: *watermark* is False here.
* *eta* is 605 for jobs of two seconds.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import attrs

from ._endpoint import FACE_SWAP, Endpoint
from ._parameter import note
from ._parameter_types import Base64Input, Flag, Picture
from ._shapes import FromPicture


@attrs.frozen(kw_only=True, repr=False)
class _FaceSwap(FromPicture):
    target_image: Annotated[
        Picture, note("where the new face comes from; init_image is changed")
    ]
    """
    An http or https URL, a data URI or a pathlib.Path, required; where the new
    face comes from; init_image is changed.
    """
    watermark: Annotated[
        Flag,
        note("True where nothing is sent, so we send False", source="seen"),
    ] = False
    """True or False; True where nothing is sent, so we send False."""
    base64: Base64Input = None
    """Default False; whether the input is base64: say so with data URIs."""

    @property
    def inline(self) -> bool:
        """
        Whether answers may hold the pictures themselves: never.
        """
        return False


@attrs.frozen(kw_only=True, repr=False)
class FaceSwap(_FaceSwap):
    """
    One face of a picture replaced.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "face_swap", "v6/faceswap/single_face_swap", FACE_SWAP
    )

    reference_image: Annotated[
        Picture, note("shows which face of init_image to replace")
    ]
    """URL or Path, required; shows which face of init_image to replace."""


@attrs.frozen(kw_only=True, repr=False)
class FaceSwapAll(_FaceSwap):
    """
    Every face of a picture replaced.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "face_swap_all", "v6/faceswap/multiple_face_swap", FACE_SWAP
    )
