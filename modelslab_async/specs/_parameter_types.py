"""
The types of parameters that several endpoints take, declared once.

The ranges are those that any source allows, `usual` those of the page; where
an endpoint differs, its own line says so with a `note`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from . import words
from ._local_file import AnyPath
from ._parameter import Parameter, ParameterKind


# Parameters that must be said.


Prompt: TypeAlias = Annotated[
    str,
    Parameter(
        ParameterKind.TEXT,
        about="what the picture shows; the service adds words to it",
        source="seen",
    ),
]


ModelId: TypeAlias = Annotated[
    str,
    Parameter(
        ParameterKind.TEXT,
        about="such as flux, or realistic-vision-51",
        source="seen",
    ),
]


Picture: TypeAlias = Annotated[
    str | AnyPath, Parameter(ParameterKind.PICTURE, source="schema")
]


#: One, or a sequence: a sequence of one goes out as such.
Pictures: TypeAlias = Annotated[
    str | AnyPath | Sequence[str | AnyPath],
    Parameter(ParameterKind.PICTURES, most=10, source="schema"),
]


# Parameters that may be left out.


Text: TypeAlias = Annotated[str | None, Parameter(ParameterKind.TEXT)]


Url: TypeAlias = Annotated[str | None, Parameter(ParameterKind.URL)]


Flag: TypeAlias = Annotated[bool | None, Parameter(ParameterKind.FLAG)]


Integer: TypeAlias = Annotated[int | None, Parameter(ParameterKind.INTEGER)]


Number: TypeAlias = Annotated[float | None, Parameter(ParameterKind.NUMBER)]


OptionalPicture: TypeAlias = Annotated[
    str | AnyPath | None, Parameter(ParameterKind.PICTURE, source="schema")
]


OptionalPrompt: TypeAlias = Annotated[
    str | None,
    Parameter(
        ParameterKind.TEXT, about="what the picture shows", source="schema"
    ),
]


NegativePrompt: TypeAlias = Annotated[
    str | None,
    Parameter(
        ParameterKind.TEXT,
        blank=True,
        about="what it should not show; empty is the same as none",
        source="seen",
    ),
]


# 256 to 1024 is the page's; z-image-turbo takes 1488, controlnet 64.
Side: TypeAlias = Annotated[
    int | None,
    Parameter(
        ParameterKind.INTEGER,
        least=64,
        most=2048,
        step=8,
        usual=(256, 1024),
        default=512,
        about="pixels",
        source="prose: from 256; schema: up to 1024",
    ),
]


#: Of endpoints whose pages name no minimum, and 8 only in prose.
AnySide: TypeAlias = Annotated[
    int | None,
    Parameter(
        ParameterKind.INTEGER,
        least=1,
        most=2048,
        usual=(64, 1024),
        default=512,
        about="pixels",
        source="schema",
    ),
]


Samples: TypeAlias = Annotated[
    int | None,
    Parameter(
        ParameterKind.INTEGER,
        least=1,
        most=4,
        default=1,
        about="how many pictures; each may cost",
        source="seen, schema",
    ),
]


Steps: TypeAlias = Annotated[
    int | None,
    Parameter(
        ParameterKind.INTEGER,
        least=1,
        most=100,
        about="steps of denoising",
        source="schema",
    ),
]


Guidance: TypeAlias = Annotated[
    float | None,
    Parameter(
        ParameterKind.NUMBER,
        least=0,
        most=30,
        usual=(1, 20),
        default=7.5,
        about="how closely to follow the prompt",
        source="schema, prose",
    ),
]


#: From nothing to all.
Share: TypeAlias = Annotated[
    float | None, Parameter(ParameterKind.NUMBER, least=0, most=1)
]


Strength: TypeAlias = Annotated[
    float | None,
    Parameter(
        ParameterKind.NUMBER,
        least=0,
        most=1,
        default=0.7,
        about="how much is made anew; at 1 nothing of the input is left",
        source="seen, schema",
    ),
]


Seed: TypeAlias = Annotated[
    int | None,
    Parameter(
        ParameterKind.INTEGER,
        least=0,
        most=2**32 - 1,
        about="the same request and seed give the same picture",
        instead="; leave it out for one of the service's choice",
        source="seen, schema",
    ),
]


ClipSkip: TypeAlias = Annotated[
    int | None,
    Parameter(
        ParameterKind.INTEGER,
        least=1,
        most=8,
        default=2,
        about="layers of CLIP to skip",
        source="schema; prose: up to 4",
    ),
]


LoraModel: TypeAlias = Annotated[
    str | Sequence[str] | None,
    Parameter(
        ParameterKind.TEXTS,
        about="ids; 'a,b' and ['a', 'b'] are sent alike",
        source="seen",
    ),
]


LoraStrength: TypeAlias = Annotated[
    float | Sequence[float] | None,
    Parameter(
        ParameterKind.NUMBERS,
        usual=(0.1, 1),
        default=1,
        about="one for all, or one each",
        source="seen, schema",
    ),
]


Upscale: TypeAlias = Annotated[
    bool | Literal[1, 2, 3] | None,
    Parameter(
        ParameterKind.UPSCALE,
        default=False,
        about="whether to enlarge, or how many times",
        source="schema: a flag; an older page: a number",
    ),
]


SchedulerName: TypeAlias = Annotated[
    words.Scheduler | str | None,
    Parameter(
        ParameterKind.WORD,
        words=words.Scheduler,
        # The flux-pro models' own.
        more_words=("DPM++ 2M", "DPM++ SDE", "Euler", "Euler a"),
        about="the sampler; the model's where nothing is said",
        source="seen, schema",
    ),
]


SafetyChecker: TypeAlias = Annotated[
    bool | None,
    Parameter(
        ParameterKind.FLAG,
        about="whether pictures are checked for nudity; say it if you care",
        source="seen; the pages do not agree on the default",
    ),
]


SafetyCheckerName: TypeAlias = Annotated[
    words.SafetyCheckerType | str | None,
    Parameter(
        ParameterKind.WORD,
        words=words.SafetyCheckerType,
        default="sensitive_content_text",
        about="what becomes of a picture that is not liked",
        source="seen, schema",
    ),
]


EnhancePrompt: TypeAlias = Annotated[
    bool | None,
    Parameter(
        ParameterKind.FLAG,
        about="whether the service embellishes the prompt",
        source="seen",
    ),
]


AlgorithmName: TypeAlias = Annotated[
    words.AlgorithmType | str | None,
    Parameter(
        ParameterKind.WORD,
        words=words.AlgorithmType,
        default="none",
        about="of DPMSolverMultistepScheduler",
        source="schema",
    ),
]


IPAdapterName: TypeAlias = Annotated[
    words.IPAdapter | str | None,
    Parameter(
        ParameterKind.WORD,
        words=words.IPAdapter,
        about="which adapter reads ip_adapter_image",
        source="schema",
    ),
]


Base64: TypeAlias = Annotated[
    bool | None,
    Parameter(
        ParameterKind.FLAG,
        default=False,
        about="pictures as text files of base64, which downloads decode",
        source="seen",
    ),
]


#: Where base64 speaks of what is given.
Base64Input: TypeAlias = Annotated[
    bool | None,
    Parameter(
        ParameterKind.FLAG,
        default=False,
        about="whether the input is base64: say so with data URIs",
        source="schema",
    ),
]


Temp: TypeAlias = Annotated[
    bool | None,
    Parameter(
        ParameterKind.FLAG,
        default=False,
        about="whether the files are gone after 24 hours",
        source="seen",
    ),
]


InstantResponse: TypeAlias = Annotated[
    bool | None,
    Parameter(
        ParameterKind.FLAG,
        default=False,
        about="answer at once, instead of with the picture where it is quick",
        source="schema",
    ),
]
