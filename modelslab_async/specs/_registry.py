"""
The kinds of specs that there are, imported when they are first wanted.

A class of thirty parameters takes a millisecond to make, and most programs
need one of them.
"""

from __future__ import annotations

import functools
import importlib

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from ._spec import Spec


#: Endpoints by name: the module of the family, and the class.
_ROWS = {
    "text2img": ("text_to_image", "TextToImage"),
    "realtime_text2img": ("realtime", "RealtimeTextToImage"),
    "img2img": ("image_to_image", "ImageToImage"),
    "inpaint": ("image_to_image", "Inpaint"),
    "realtime_img2img": ("realtime", "RealtimeImageToImage"),
    "realtime_inpaint": ("realtime", "RealtimeInpaint"),
    "text2img_v7": ("version_7", "TextToImageV7"),
    "img2img_v7": ("version_7", "ImageToImageV7"),
    "inpaint_v7": ("version_7", "InpaintV7"),
    "qwen_edit": ("editing", "QwenEdit"),
    "remove_background": ("editing", "RemoveBackground"),
    "super_resolution": ("editing", "SuperResolution"),
    "controlnet": ("controlnet", "ControlNet"),
    "face_swap": ("face_swap", "FaceSwap"),
    "face_swap_all": ("face_swap", "FaceSwapAll"),
    "interior": ("interior", "Interior"),
    "outpaint": ("editing", "Outpaint"),
    "remove_object": ("editing", "RemoveObject"),
    "try_on": ("editing", "TryOn"),
    "face_gen": ("editing", "FaceGen"),
    "head_shot": ("editing", "HeadShot"),
    "edit_inpaint": ("editing", "EditInpaint"),
}


class _Registry(Mapping[str, type[Spec]]):
    """
    The kinds of specs by the names of their endpoints.
    """

    def __getitem__(self, name: str) -> type[Spec]:
        module, kind = _ROWS[name]
        return _imported(module, kind)

    def __iter__(self) -> Iterator[str]:
        return iter(_ROWS)

    def __len__(self) -> int:
        return len(_ROWS)


@functools.cache
def _imported(module: str, kind: str) -> type[Spec]:
    found: type[Spec] = getattr(
        importlib.import_module(f".{module}", __package__), kind
    )
    return found


#: By the names of their endpoints.
SPECS: Mapping[str, type[Spec]] = _Registry()


_WORDS = (
    "AlgorithmType",
    "ClothType",
    "ControlNetModel",
    "FaceStyle",
    "IPAdapter",
    "SafetyCheckerType",
    "Scheduler",
)


#: The module of each class that comes when it is first named.
MODULES: Mapping[str, str] = MappingProxyType(
    {kind: module for module, kind in _ROWS.values()}
    | dict.fromkeys(_WORDS, "words")
)


def public(name: str) -> type:
    """
    The class of that name.
    """
    return _imported(MODULES[name], name)
