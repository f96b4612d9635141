"""
What requests begin with: what is positional in their classes.
"""

from __future__ import annotations

import attrs

from ._parameter_types import OptionalPrompt, Picture, Prompt
from ._spec import Spec


@attrs.frozen(repr=False)
class FromPrompt(Spec):
    """
    A request that begins with its prompt.
    """

    prompt: Prompt
    """Text, required; what the picture shows; the service adds words to it."""


@attrs.frozen(repr=False)
class FromPromptIfAny(Spec):
    """
    A request that begins with its prompt, and can do without.
    """

    prompt: OptionalPrompt = None
    """Text; what the picture shows."""


@attrs.frozen(repr=False)
class FromPicture(Spec):
    """
    A request that begins with its picture.
    """

    init_image: Picture
    """An http or https URL, a data URI or a pathlib.Path, required."""
