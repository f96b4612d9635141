"""
What a caller asks for: a class for each endpoint, in a module a family.
"""

from __future__ import annotations

from ._dict import from_dict as from_dict
from ._dict import to_dict as to_dict
from ._extra import Extra as Extra
from ._parameter import Parameter as Parameter
from ._parameter import ParameterKind as ParameterKind
from ._parameter import near as near
from ._registry import SPECS as SPECS
from ._spec import Endpoint as Endpoint
from ._spec import Spec as Spec
from ._spec import for_each_kind as for_each_kind
from ._spec import parameters as parameters
from .text_to_image import TextToImage as TextToImage
from .words import AlgorithmType as AlgorithmType
from .words import IPAdapter as IPAdapter
from .words import SafetyCheckerType as SafetyCheckerType
from .words import Scheduler as Scheduler
