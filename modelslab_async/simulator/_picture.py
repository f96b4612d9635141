"""
What a picture is drawn from.
"""

from __future__ import annotations

import hashlib

import attrs


@attrs.frozen
class Picture:
    """
    What there is to draw.

    Attributes:
        hidden: None, or how a picture is made safe to see: ``blur``,
            ``pixelate``, ``black``, else blank with a word on it.
    """

    prompt: str
    negative_prompt: str
    model_id: str
    width: int
    height: int
    seed: int
    index: int
    hidden: str | None = None

    @property
    def digest(self) -> bytes:
        """
        32 bytes that decide everything.
        """
        text = "\x00".join(str(part) for part in attrs.astuple(self))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    @property
    def extension(self) -> str:
        """
        Most are JPEG, some PNG, as of the service.
        """
        if self.hidden is not None or self.digest[31] < 48:
            return "png"
        return "jpg"
