"""
What a picture is drawn from.
"""

from __future__ import annotations

import hashlib

from collections.abc import Mapping

import attrs

from ._endpoints import Deed
from ._inputs import Input, Inputs


@attrs.frozen
class Retouch:
    """
    What is to be done to the pictures that came with the request.

    Attributes:
        label: For the lower edge, where there is no prompt.

        values: The request's other parameters.
    """

    deed: Deed
    label: str
    inputs: Inputs = attrs.field(repr=False)
    values: Mapping[str, object] = attrs.field(repr=False)

    @property
    def mark(self) -> str:
        """
        Equal for what looks equal.
        """
        pictures = {
            name: [each.digest for each in found]
            for name, found in sorted(self.inputs.items())
        }
        values = {
            name: value
            for name, value in sorted(self.values.items())
            if name not in {"webhook", "track_id", *self.inputs}
        }
        return f"{self.deed} {pictures} {values}"

    def first(self, *names: str) -> Input | None:
        """
        The first picture under any of these names.
        """
        for name in names:
            for found in self.inputs.get(name, ()):
                return found
        return None

    def others(self, *names: str) -> list[Input]:
        """
        The pictures besides the first.
        """
        found = [each for name in names for each in self.inputs.get(name, ())]
        return found[1:]


@attrs.frozen
class Picture:
    """
    What there is to draw.

    Attributes:
        hidden: None, or how a picture is made safe to see: ``blur``,
            ``pixelate``, ``black``, else blank with a word on it.

        form: ``png`` or ``jpg``; "" lets chance decide.
    """

    prompt: str
    negative_prompt: str
    model_id: str
    width: int
    height: int
    seed: int
    index: int
    hidden: str | None = None
    form: str = ""
    retouch: Retouch | None = None

    @property
    def digest(self) -> bytes:
        """
        32 bytes that decide everything.
        """
        parts = (
            self.prompt,
            self.negative_prompt,
            self.model_id,
            self.width,
            self.height,
            self.seed,
            self.index,
            self.hidden,
            *([] if self.retouch is None else [self.retouch.mark]),
        )
        text = "\x00".join(str(part) for part in parts)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    @property
    def extension(self) -> str:
        """
        Most are JPEG, some PNG, as of the service.
        """
        if self.form:
            return self.form
        if self.hidden is not None or self.digest[31] < 48:
            return "png"
        return "jpg"

    @property
    def is_cut_out(self) -> bool:
        """
        Whether it is seen through in places.
        """
        retouch = self.retouch
        return (
            retouch is not None
            and retouch.deed is Deed.CUT_OUT
            and retouch.values.get("only_mask") is not True
        )
