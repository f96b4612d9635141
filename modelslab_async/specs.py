"""
Here lives what we ask the service for: `TextToImage` first.

A spec is a frozen attrs class whose fields each carry a `Parameter` in their
metadata.  That one line drives the checks here, and in `_wire` the encoding
and the reading from files.  A further endpoint is such a class, an `Endpoint`
and its row in `SPECS`.
"""

from __future__ import annotations

import enum
import functools
import inspect
import json
import math
import reprlib
import warnings

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NoReturn, Protocol, TypeAlias
from urllib.parse import urlsplit

import attrs

from .answers import JSON
from .errors import Problem, SpecError, SpecWarning


class Scheduler(enum.StrEnum):
    """
    Samplers that the page of text2img lists.
    """

    DDPM = "DDPMScheduler"
    DDIM = "DDIMScheduler"
    PNDM = "PNDMScheduler"
    LMS_DISCRETE = "LMSDiscreteScheduler"
    EULER_DISCRETE = "EulerDiscreteScheduler"
    EULER_ANCESTRAL_DISCRETE = "EulerAncestralDiscreteScheduler"
    DPM_SOLVER_MULTISTEP = "DPMSolverMultistepScheduler"
    HEUN_DISCRETE = "HeunDiscreteScheduler"
    KDPM2_DISCRETE = "KDPM2DiscreteScheduler"
    DPM_SOLVER_SINGLESTEP = "DPMSolverSinglestepScheduler"
    KDPM2_ANCESTRAL_DISCRETE = "KDPM2AncestralDiscreteScheduler"
    UNI_PC_MULTISTEP = "UniPCMultistepScheduler"
    DDIM_INVERSE = "DDIMInverseScheduler"
    DEIS_MULTISTEP = "DEISMultistepScheduler"
    IPNDM = "IPNDMScheduler"
    KARRAS_VE = "KarrasVeScheduler"
    SCORE_SDE_VE = "ScoreSdeVeScheduler"
    LCM = "LCMScheduler"


class SafetyCheckerType(enum.StrEnum):
    """
    What becomes of a picture that the safety checker does not like.
    """

    BLUR = "blur"
    SENSITIVE_CONTENT_TEXT = "sensitive_content_text"
    PIXELATE = "pixelate"
    BLACK = "black"


class AlgorithmType(enum.StrEnum):
    """
    Variants of `Scheduler.DPM_SOLVER_MULTISTEP`.
    """

    NONE = "none"
    #: Three pluses are the service's own; diffusers writes two.
    DPM_SOLVER = "dpmsolver+++"


class IPAdapter(enum.StrEnum):
    """
    Adapters that take a picture as a prompt.
    """

    SDXL = "ip-adapter_sdxl"
    SD15 = "ip-adapter_sd15"
    PLUS_FACE_SD15 = "ip-adapter-plus-face_sd15"
    PLUS_SDXL_VIT_H = "ip-adapter-plus_sdxl_vit-h"
    PLUS_FACE_SDXL_VIT_H = "ip-adapter-plus-face_sdxl_vit-h"


@attrs.frozen(eq=False, repr=False)
class Extra(Mapping[str, JSON]):
    """
    Parameters that we don't know yet: a mapping that is read-only and hashes.

    Attributes:
        text: Canonical JSON; parsed afresh at each look.
    """

    text: str = "{}"

    @classmethod
    def of(cls, values: Mapping[str, JSON]) -> Extra:
        """
        Keep *values* as canonical JSON.

        Raises:
            TypeError, ValueError, RecursionError: They are no JSON.
        """
        if not all(isinstance(name, str) for name in values):
            raise TypeError("names must be text")
        text = json.dumps(
            dict(values),
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )
        text.encode()
        return cls(text)

    def _values(self) -> dict[str, JSON]:
        values: dict[str, JSON] = json.loads(self.text)
        return values

    def __getitem__(self, name: str) -> JSON:
        return self._values()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Extra):
            return self.text == other.text
        return self._values() == other

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return repr(self._values())


@attrs.frozen
class Endpoint:
    """
    Where a spec is sent, and how that place likes its flags.

    Attributes:
        name: The word that journals and the shell use.

        path: Below the base URL.

        fetch_path: Where its jobs are asked for, below the base URL.

        flags: What stands for False and for True on the wire.
    """

    name: str
    path: str
    fetch_path: str
    flags: tuple[JSON, JSON] = ("no", "yes")


class Spec(Protocol):
    """
    What the rest of the house needs to know of a request.
    """

    endpoint: ClassVar[Endpoint]
    __attrs_attrs__: ClassVar[Any]

    @property
    def prompt(self) -> str: ...

    @property
    def model_id(self) -> str: ...

    @property
    def samples(self) -> int | None: ...

    @property
    def base64(self) -> bool | None: ...

    @property
    def webhook(self) -> str | None: ...

    @property
    def track_id(self) -> str | None: ...

    @property
    def extra(self) -> Mapping[str, JSON]: ...


class Kind(enum.Enum):
    """
    What a parameter is made of.
    """

    TEXT = "text"
    URL = "an http or https URL"
    FLAG = "True or False"
    INTEGER = "a whole number"
    NUMBER = "a number"
    WORD = "one of"
    #: One text, or a sequence of them; joined with commas on the wire.
    TEXTS = "text or a sequence of texts"
    #: As TEXTS, of numbers; a string on the wire.
    NUMBERS = "a number or a sequence of numbers"
    #: A flag, or how many times as large.
    UPSCALE = "True, False, 1, 2 or 3"
    EXTRA = "a mapping of names to JSON values"


@attrs.frozen
class Parameter:
    """
    The facts of one parameter, declared once.

    Attributes:
        least: The lowest number that any source allows.

        most: The highest number that any source allows.

        step: What a whole number must be divisible by.

        usual: Numbers outside of these give a `SpecWarning`.

        words: What a `Kind.WORD` may be.

        blank: Whether an empty text is fine, and stands for None.

        flux: Whether models of the flux family take it.
    """

    kind: Kind
    least: float = -math.inf
    most: float = math.inf
    step: int = 1
    usual: tuple[float, float] = (-math.inf, math.inf)
    words: type[enum.StrEnum] | None = None
    blank: bool = False
    flux: bool = True

    @property
    def field(self) -> Mapping[str, Parameter]:
        """
        What an attrs field takes as its *metadata*.
        """
        return {"parameter": self}

    @property
    def wanted(self) -> str:
        """
        What it must be, in words.
        """
        wanted = self.kind.value
        if self.words is not None:
            wanted += " " + ", ".join(repr(str(word)) for word in self.words)
        if self.most < math.inf:
            wanted += f" from {self.least:g} to {self.most:.0f}"
        if self.step > 1:
            wanted += f", divisible by {self.step}"
        return wanted


_TEXT = Parameter(Kind.TEXT).field
_URL = Parameter(Kind.URL).field
_FLAG = Parameter(Kind.FLAG).field
# 256 to 1024 is the page's; z-image-turbo takes 1488, controlnet 64.
_SIDE = Parameter(
    Kind.INTEGER, least=64, most=2048, step=8, usual=(256, 1024)
).field


@attrs.frozen(repr=False)
class TextToImage:
    """
    Pictures from a prompt: ``POST /images/text2img``.

    What is None is not sent, and the service's own default rules.  Defaults
    and ranges below are those of the service's page "Text-to-Image"; where
    its two halves differ, both are named.

    Attributes:
        prompt: What the picture shows; the service adds words to it.

        model_id: Such as `flux`, or `realistic-vision-51`.

        negative_prompt: What it should not show; flux takes none.

        width:
            Pixels, 64 to 2048, divisible by 8; outside of 256 to 1024 not
            every model does it (`SpecWarning`).  Default 512.

        height: As *width*.

        samples: How many pictures, 1 to 4.  Default 1.

        num_inference_steps:
            1 to 100.  Half of the page says 20 to 50, half that more than 20
            are capped; above its default of 31 a `SpecWarning` says so.

        guidance_scale:
            0 to 30; outside of the page's 1 to 20 a `SpecWarning`.  Default
            7.5.

        safety_checker: Whether pictures are checked for nudity.

        safety_checker_type: What becomes of one that is not liked.

        enhance_prompt: Whether the service embellishes the prompt.

        seed: 0 to 4294967295; the same seed gives the same picture.

        use_karras_sigmas: Default True.

        algorithm_type: For `Scheduler.DPM_SOLVER_MULTISTEP`.

        scheduler: The sampler.

        vae: Id of a VAE of your own.

        lora_model: One id, or a sequence of them.

        lora_strength:
            One number for all, or one each; outside of the page's 0.1 to 1 a
            `SpecWarning`.

        clip_skip: Layers of CLIP to skip, 1 to 8.  Default 2.

        base64: Whether to send text files with base64 instead of pictures.

        temp: Whether the files are thrown away after 24 hours.

        webhook: A URL that is told when the job has ended.

        track_id:
            Your name for the request, which need not be unique; we make one
            up where there is none.

        ip_adapter_id: Which adapter reads *ip_adapter_image*.

        ip_adapter_scale: How much it counts, 0 to 1.

        ip_adapter_image: URL of the picture to go by.

        multi_lingual: Whether the prompt is in another language than English.

        upscale: Whether to enlarge, or how many times: 1, 2 or 3.

        highres_fix: Whether to mend large pictures in a second pass.

        extra: Parameters that we don't know yet, sent as they are.

    Raises:
        SpecError: No source allows it; every fault of it is told.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "text2img", "images/text2img", "images/fetch"
    )

    prompt: str = attrs.field(metadata=_TEXT)
    model_id: str = attrs.field(kw_only=True, metadata=_TEXT)
    negative_prompt: str | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.TEXT, blank=True, flux=False).field,
    )
    width: int | None = attrs.field(default=None, kw_only=True, metadata=_SIDE)
    height: int | None = attrs.field(
        default=None, kw_only=True, metadata=_SIDE
    )
    samples: int | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.INTEGER, least=1, most=4).field,
    )
    # 31 is the page's own default, though half of it caps at 20.
    num_inference_steps: int | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(
            Kind.INTEGER, least=1, most=100, usual=(1, 31)
        ).field,
    )
    guidance_scale: float | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.NUMBER, least=0, most=30, usual=(1, 20)).field,
    )
    safety_checker: bool | None = attrs.field(
        default=None, kw_only=True, metadata=_FLAG
    )
    safety_checker_type: SafetyCheckerType | str | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.WORD, words=SafetyCheckerType).field,
    )
    enhance_prompt: bool | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.FLAG, flux=False).field,
    )
    seed: int | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.INTEGER, least=0, most=2**32 - 1).field,
    )
    use_karras_sigmas: bool | None = attrs.field(
        default=None, kw_only=True, metadata=_FLAG
    )
    algorithm_type: AlgorithmType | str | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.WORD, words=AlgorithmType).field,
    )
    scheduler: Scheduler | str | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.WORD, words=Scheduler).field,
    )
    vae: str | None = attrs.field(default=None, kw_only=True, metadata=_TEXT)
    lora_model: str | Sequence[str] | None = attrs.field(
        default=None, kw_only=True, metadata=Parameter(Kind.TEXTS).field
    )
    lora_strength: float | Sequence[float] | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.NUMBERS, usual=(0.1, 1)).field,
    )
    clip_skip: int | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.INTEGER, least=1, most=8).field,
    )
    base64: bool | None = attrs.field(
        default=None, kw_only=True, metadata=_FLAG
    )
    temp: bool | None = attrs.field(default=None, kw_only=True, metadata=_FLAG)
    webhook: str | None = attrs.field(
        default=None, kw_only=True, metadata=_URL
    )
    track_id: str | None = attrs.field(
        default=None, kw_only=True, metadata=_TEXT
    )
    ip_adapter_id: IPAdapter | str | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.WORD, words=IPAdapter, flux=False).field,
    )
    ip_adapter_scale: float | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.NUMBER, least=0, most=1).field,
    )
    ip_adapter_image: str | None = attrs.field(
        default=None, kw_only=True, metadata=_URL
    )
    multi_lingual: bool | None = attrs.field(
        default=None, kw_only=True, metadata=_FLAG
    )
    # True and 1 are equal, yet "yes" and 1 on the wire.
    upscale: bool | Literal[1, 2, 3] | None = attrs.field(
        default=None,
        kw_only=True,
        eq=repr,
        metadata=Parameter(Kind.UPSCALE, flux=False).field,
    )
    highres_fix: bool | None = attrs.field(
        default=None,
        kw_only=True,
        metadata=Parameter(Kind.FLAG, flux=False).field,
    )
    extra: Mapping[str, JSON] = attrs.field(
        default=Extra(), kw_only=True, metadata=Parameter(Kind.EXTRA).field
    )

    def __attrs_post_init__(self) -> None:
        _settle(self)

    def __repr__(self) -> str:
        return _shown(self)


#: Any spec that there is; becomes a union when the next endpoint comes.
AnySpec: TypeAlias = TextToImage

SPECS: Mapping[str, type[AnySpec]] = MappingProxyType(
    {spec.endpoint.name: spec for spec in (TextToImage,)}
)


@functools.cache
def parameters(spec: type[Spec]) -> Mapping[str, Parameter]:
    """
    The facts of every parameter of a kind of spec, by name.
    """
    return MappingProxyType(
        {
            field.name: field.metadata["parameter"]
            for field in spec.__attrs_attrs__
        }
    )


def _settle(spec: Spec) -> None:
    """
    Bring every value to its one form; tell all faults, then all doubts.
    """
    known = parameters(type(spec))
    problems: list[Problem] = []
    doubts: list[str] = []
    for field in spec.__attrs_attrs__:
        given: object = getattr(spec, field.name)
        if given is None and field.default is None:
            continue
        parameter = known[field.name]
        try:
            value = _CHECKS[parameter.kind](parameter, given)
        except ValueError as fault:
            problems.append(Problem(field.name, str(fault)))
            continue
        if isinstance(value, Extra):
            problems += _misplaced(value, known)
        if value is not given:
            object.__setattr__(spec, field.name, value)
        if doubt := _doubt(parameter, value, spec.model_id):
            doubts.append(f"{field.name}: {doubt}")
    if problems:
        raise SpecError(tuple(problems))
    for doubt in doubts:
        warnings.warn(doubt, SpecWarning, stacklevel=_depth())


def _text(parameter: Parameter, value: object) -> object:
    if not isinstance(value, str):
        return _not(parameter, value)
    if not value.strip():
        if parameter.blank:
            return None
        raise ValueError("is empty; say something, or leave it out")
    try:
        value.encode()
    except UnicodeEncodeError:
        msg = "holds half a character (a lone surrogate); take it out"
        raise ValueError(msg) from None
    return value


def _url(parameter: Parameter, value: object) -> object:
    if not isinstance(value, str):
        return _not(parameter, value)
    _text(parameter, value)
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or any(char <= " " or char == "\x7f" for char in value):
        return _not(parameter, value)
    return value


def _flag(parameter: Parameter, value: object) -> object:
    return value if isinstance(value, bool) else _not(parameter, value)


def _upscale(parameter: Parameter, value: object) -> object:
    good = isinstance(value, int) and value in {False, 1, 2, 3}
    # 0 equals False, but only False is one.
    good = good and not (value == 0 and value is not False)
    return value if good else _not(parameter, value)


def _integer(parameter: Parameter, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        return _not(parameter, value)
    if not parameter.least <= value <= parameter.most:
        return _not(parameter, value)
    if value % parameter.step:
        lower = value - value % parameter.step
        near = f"{lower} or {lower + parameter.step}"
        msg = f"must be {parameter.wanted}, not {value}; try {near}"
        raise ValueError(msg)
    return int(value)


def _number(parameter: Parameter, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _not(parameter, value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not parameter.least <= number <= parameter.most or math.isinf(number):
        return _not(parameter, value)
    return number


def _word(parameter: Parameter, value: object) -> object:
    words = [str(word) for word in parameter.words or ()]
    if not isinstance(value, str):
        return _not(parameter, value)
    if value in words and parameter.words is not None:
        return parameter.words(value)
    return _not(parameter, value, near(value, words))


def _several(parameter: Parameter, value: object) -> object:
    one, check = (
        (_ONE_TEXT, _text)
        if parameter.kind is Kind.TEXTS
        else (_ONE_NUMBER, _number)
    )
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        try:
            return check(one, value)
        except ValueError:
            if isinstance(value, str) and parameter.kind is Kind.TEXTS:
                raise
            return _not(parameter, value)
    if not value:
        raise ValueError("is empty; leave it out instead")
    return tuple(check(one, each) for each in value)


def _extra(parameter: Parameter, value: object) -> object:
    if isinstance(value, Extra):
        return value
    if not isinstance(value, Mapping):
        return _not(parameter, value)
    try:
        return Extra.of(value)
    except (TypeError, ValueError, RecursionError) as error:
        # Not the values: one of them may be a secret.
        msg = f"must be {parameter.wanted} ({type(error).__name__})"
        raise ValueError(msg) from None


_ONE_TEXT = Parameter(Kind.TEXT)
_ONE_NUMBER = Parameter(Kind.NUMBER)

_CHECKS: Mapping[Kind, Callable[[Parameter, object], object]] = {
    Kind.TEXT: _text,
    Kind.URL: _url,
    Kind.FLAG: _flag,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.WORD: _word,
    Kind.TEXTS: _several,
    Kind.NUMBERS: _several,
    Kind.UPSCALE: _upscale,
    Kind.EXTRA: _extra,
}


def _not(parameter: Parameter, value: object, instead: str = "") -> NoReturn:
    given = "None" if value is None else reprlib.repr(value)
    raise ValueError(f"must be {parameter.wanted}, not {given}{instead}")


def near(name: str, names: Iterable[str]) -> str:
    """
    ``"; did you mean 'width'?"`` where one of *names* is like *name*.
    """
    # Only who errs waits for it.
    import difflib

    found = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _misplaced(
    extra: Extra, known: Mapping[str, Parameter]
) -> Iterator[Problem]:
    """
    What has no business among the extra parameters.
    """
    for name in extra:
        if name.strip().casefold() == "key":
            yield Problem(
                "extra",
                "must not hold 'key': the API key is the client's, "
                "give it to ModelsLab()",
            )
        elif name in known:
            yield Problem(
                "extra", f"holds {name!r}; give it as {name}=... instead"
            )


#: The family by its names on the service's page.
_FLUX = frozenset({"flux", "fluxdev", "fluxschnell"})


def _doubt(parameter: Parameter, value: object, model_id: str) -> str:
    """
    What some sources have against *value*, or nothing.
    """
    if not parameter.flux and value and str(model_id).strip() in _FLUX:
        return f"{model_id} does not take it, says the service's page"
    numbers = value if isinstance(value, tuple) else (value,)
    low, high = parameter.usual
    for number in numbers:
        if isinstance(number, (int, float)) and not low <= number <= high:
            return (
                f"{number:g} is outside of {low:g} to {high:g}; not every "
                "model takes it"
            )
    return ""


def _depth() -> int:
    """
    The *stacklevel* of the line that asked for the spec.

    Between that line and us lie attrs' generated code and, for
    `attrs.evolve`, attrs itself.
    """
    depth, frame = 0, inspect.currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        ours = name.partition(".")[0] in {"attr", "attrs", "cattrs", _HOUSE}
        if not (ours or frame.f_code.co_filename.startswith("<attrs ")):
            break
        depth, frame = depth + 1, frame.f_back
    return depth


_HOUSE = __name__.partition(".")[0]


def _shown(spec: Spec) -> str:
    """
    What was asked for, without the thirty things that were not.
    """
    shown = [repr(spec.prompt)]
    for field in spec.__attrs_attrs__[1:]:
        value: object = getattr(spec, field.name)
        if value != field.default:
            text = str(value) if isinstance(value, enum.Enum) else value
            shown.append(f"{field.name}={text!r}")
    return f"{type(spec).__name__}({', '.join(shown)})"
