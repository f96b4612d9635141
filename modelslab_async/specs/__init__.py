"""
What a caller asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from ._parameter import Endpoint as Endpoint
from ._parameter import Extra as Extra
from ._parameter import Parameter as Parameter
from ._parameter import ParameterKind as ParameterKind
from ._parameter import Spec as Spec
from ._parameter import near as near
from ._parameter import parameters as parameters
from .text_to_image import AlgorithmType as AlgorithmType
from .text_to_image import IPAdapter as IPAdapter
from .text_to_image import SafetyCheckerType as SafetyCheckerType
from .text_to_image import Scheduler as Scheduler
from .text_to_image import TextToImage as TextToImage


#: Any spec that there is; becomes a union when the next endpoint comes.
AnySpec: TypeAlias = TextToImage


SPECS: Mapping[str, type[AnySpec]] = MappingProxyType(
    {spec.endpoint.name: spec for spec in (TextToImage,)}
)
