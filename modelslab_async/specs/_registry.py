"""
The kinds of specs that there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ._spec import Spec
from .text_to_image import TextToImage


#: By the names of their endpoints.
SPECS: Mapping[str, type[Spec]] = MappingProxyType(
    {spec.endpoint.name: spec for spec in (TextToImage,)}
)
