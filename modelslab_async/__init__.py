"""
An asyncio client for the ModelsLab image API.

It idles no slot of the account, and loses no job that was paid for.
"""

from __future__ import annotations

# The first of all: it minds the loading of the others.
from . import _loading as _loading  # isort: split


import importlib

from typing import TYPE_CHECKING

from . import errors, specs
from ._client import ModelsLab
from ._magic import media_type
from ._policy.polling import PollSchedule
from ._policy.retry import RetryPolicy
from ._policy.timeouts import Timeouts
from ._version import __version__
from .results import (
    Balance,
    Candidate,
    Generation,
    Image,
    JobState,
    JobUpdate,
    Model,
    Stats,
    UnknownItem,
    Upload,
)


if TYPE_CHECKING:
    from ._batch.batch import Batch
    from ._batch.outcome import (
        BatchProgress,
        FailedOutcome,
        FinishedOutcome,
        Outcome,
    )
    from ._engine.job import Job
    from .specs import (
        AlgorithmType,
        ClothType,
        ControlNet,
        ControlNetModel,
        EditInpaint,
        FaceGen,
        FaceStyle,
        FaceSwap,
        FaceSwapAll,
        HeadShot,
        ImageToImage,
        ImageToImageV7,
        Inpaint,
        InpaintV7,
        Interior,
        IPAdapter,
        Outpaint,
        QwenEdit,
        RealtimeImageToImage,
        RealtimeInpaint,
        RealtimeTextToImage,
        RemoveBackground,
        RemoveObject,
        SafetyCheckerType,
        Scheduler,
        SuperResolution,
        TextToImage,
        TextToImageV7,
        TryOn,
    )


__all__ = [
    "AlgorithmType",
    "Balance",
    "Batch",
    "BatchProgress",
    "Candidate",
    "ClothType",
    "ControlNet",
    "ControlNetModel",
    "EditInpaint",
    "FaceGen",
    "FaceStyle",
    "FaceSwap",
    "FaceSwapAll",
    "FailedOutcome",
    "FinishedOutcome",
    "Generation",
    "HeadShot",
    "IPAdapter",
    "Image",
    "ImageToImage",
    "ImageToImageV7",
    "Inpaint",
    "InpaintV7",
    "Interior",
    "Job",
    "JobState",
    "JobUpdate",
    "Model",
    "ModelsLab",
    "Outcome",
    "Outpaint",
    "PollSchedule",
    "QwenEdit",
    "RealtimeImageToImage",
    "RealtimeInpaint",
    "RealtimeTextToImage",
    "RemoveBackground",
    "RemoveObject",
    "RetryPolicy",
    "SafetyCheckerType",
    "Scheduler",
    "Stats",
    "SuperResolution",
    "TextToImage",
    "TextToImageV7",
    "Timeouts",
    "TryOn",
    "UnknownItem",
    "Upload",
    "__version__",
    "errors",
    "media_type",
    "specs",
]


def __getattr__(name: str) -> object:
    """
    What only batches need, or observers, or one kind of spec, or who has a
    job, comes when it is first named.
    """
    if name == "events":
        return importlib.import_module(f"{__name__}.events")
    if name in __all__ and name in specs.MODULES:
        kind: object = getattr(specs, name)
        return kind
    if name in _LATE:
        room = importlib.import_module(f"{__name__}.{_LATE[name]}")
        found = globals()[name] = getattr(room, name)
        return found
    home = _HOMES.get(name)
    if name.endswith(("Error", "Warning")) and hasattr(errors, name):
        home = "errors"
    if home is not None:
        # An AttributeError's words are not shown to who imports a name.
        msg = f"{name} is in {__name__}.{home}: import it from there"
        raise ImportError(msg)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


#: Where that is.
_LATE = {
    "Batch": "_batch.batch",
    "BatchProgress": "_batch.outcome",
    "FailedOutcome": "_batch.outcome",
    "FinishedOutcome": "_batch.outcome",
    "Job": "_engine.job",
    "Outcome": "_batch.outcome",
}


#: What people look for here, and where it is.
_HOMES = {
    "Simulator": "simulator",
    "Doorbell": "webhooks",
    "SqliteJournal": "journal",
    "from_dict": "specs",
    "to_dict": "specs",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
