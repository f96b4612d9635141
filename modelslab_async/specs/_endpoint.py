"""
Where requests go, and what a place likes.

* Versions lie beside each other: `/v6/images/img2img`, `/v5/controlnet`,
  `/v7/images/inpaint`.
* Each family has a fetch path of its own, which need not be below the path
  that was asked, and a dialect of flags.
* Jobs of some families are found under others too (seen by clients): a
  second try where their own knows no such job.
* Some families tell the same eta for every job, 605 for one of two seconds.
* Half of the families declare *track_id* an integer, and echo digits as text.
"""

from __future__ import annotations

import attrs

from .._fact import Fact
from ..results import JSON


@attrs.frozen(eq=False, repr=False)
class Family:
    """
    What endpoints of one family have in common.

    Attributes:
        fetch_path: Where their jobs are asked for, with the version.

        other_fetch_path: Where else they may be known; None: nowhere.

        flags: What stands for False and for True on the wire.

        numeric_track_id: Whether its pages want a number for *track_id*.

        tells_eta: Whether its eta is an estimate; a constant tells nothing.
    """

    fetch_path: str
    other_fetch_path: str | None = None
    flags: tuple[JSON, JSON] = (False, True)
    numeric_track_id: bool = False
    tells_eta: bool = True


IMAGES = Family("v6/images/fetch", flags=("no", "yes"))


CONTROLNET = attrs.evolve(IMAGES, numeric_track_id=True)


REALTIME = Family("v6/realtime/fetch", tells_eta=False)


EDITING = Family(
    "v6/image_editing/fetch",
    "v6/realtime/fetch",
    numeric_track_id=True,
    tells_eta=False,
)


FACE_SWAP = Family(
    # Until 2026 its name was deepfake; answers still say so.
    "v6/faceswap/fetch",
    "v6/realtime/fetch",
    numeric_track_id=True,
    tells_eta=False,
)


INTERIOR = Family(
    "v6/interior/fetch",
    "v6/realtime/fetch",
    numeric_track_id=True,
    tells_eta=False,
)


V7_IMAGES = Family("v7/images/fetch", "v6/images/fetch")


@attrs.frozen(repr=False, eq=False)
class Endpoint(Fact):
    """
    Where a spec is sent.

    Attributes:
        name: The word that journals, rows and the shell use.

        path: With the version, below the API's root.

        family: Where its jobs are asked for, and how it likes its flags.
    """

    name: str
    path: str
    family: Family

    @property
    def fetch_path(self) -> str:
        """
        Where its jobs are asked for, with the version.
        """
        return self.family.fetch_path
