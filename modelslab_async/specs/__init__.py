"""
What a caller asks for: a class for each endpoint, in a module a family.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._endpoint import Endpoint as Endpoint
from ._endpoint import Family as Family
from ._extra import Extra as Extra
from ._local_file import AnyPath as AnyPath
from ._local_file import LocalFile as LocalFile
from ._local_file import picture_fault as picture_fault
from ._parameter import Parameter as Parameter
from ._parameter import ParameterKind as ParameterKind
from ._parameter import near as near
from ._registry import MODULES as MODULES
from ._registry import SPECS as SPECS
from ._registry import public
from ._spec import Spec as Spec
from ._spec import for_each_kind as for_each_kind
from ._spec import local_files as local_files
from ._spec import parameters as parameters
from ._spec import picture_parameters as picture_parameters
from ._spec import required_parameters as required_parameters


if TYPE_CHECKING:
    from ._dict import from_dict as from_dict
    from ._dict import from_record as from_record
    from ._dict import kind_of as kind_of
    from ._dict import to_dict as to_dict
    from .controlnet import ControlNet as ControlNet
    from .editing import EditInpaint as EditInpaint
    from .editing import FaceGen as FaceGen
    from .editing import HeadShot as HeadShot
    from .editing import Outpaint as Outpaint
    from .editing import QwenEdit as QwenEdit
    from .editing import RemoveBackground as RemoveBackground
    from .editing import RemoveObject as RemoveObject
    from .editing import SuperResolution as SuperResolution
    from .editing import TryOn as TryOn
    from .face_swap import FaceSwap as FaceSwap
    from .face_swap import FaceSwapAll as FaceSwapAll
    from .image_to_image import ImageToImage as ImageToImage
    from .image_to_image import Inpaint as Inpaint
    from .interior import Interior as Interior
    from .realtime import RealtimeImageToImage as RealtimeImageToImage
    from .realtime import RealtimeInpaint as RealtimeInpaint
    from .realtime import RealtimeTextToImage as RealtimeTextToImage
    from .text_to_image import TextToImage as TextToImage
    from .version_7 import ImageToImageV7 as ImageToImageV7
    from .version_7 import InpaintV7 as InpaintV7
    from .version_7 import TextToImageV7 as TextToImageV7
    from .words import AlgorithmType as AlgorithmType
    from .words import ClothType as ClothType
    from .words import ControlNetModel as ControlNetModel
    from .words import FaceStyle as FaceStyle
    from .words import IPAdapter as IPAdapter
    from .words import SafetyCheckerType as SafetyCheckerType
    from .words import Scheduler as Scheduler


#: Of `_dict`.
_READERS = ("from_dict", "from_record", "kind_of", "to_dict")


def __getattr__(name: str) -> object:
    """
    A kind of spec, or of words, is made when it is first named; specs as
    dicts are for files.
    """
    if name in MODULES:
        found = globals()[name] = public(name)
        return found
    if name in _READERS:
        from . import _dict

        return getattr(_dict, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *MODULES, *_READERS})
