"""
Every endpoint that makes pictures, as a table: where it is, what it takes,
in which dialect it speaks, and what it does to the pictures it is given.

A parameter is written by its name; a range behind ``=`` is the documented
one, a kind behind ``:`` differs from what its name usually has, and ``*``
makes it required. Sources: the documentation's schemas and captures, by way
of what is known of each endpoint.
"""

from __future__ import annotations

import enum
import re

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import attrs

from ._parameters import FLAGS, PICTURES, Kind, Parameter


class Deed(enum.StrEnum):
    """
    What is done to the pictures of a request.
    """

    PAINT = "paint"
    RESTYLE = "restyle"
    REPAINT = "repaint"
    CUT_OUT = "cut out"
    ENLARGE = "enlarge"
    EXTEND = "extend"
    REMOVE = "remove"
    FOLLOW = "follow"
    SWAP_FACE = "swap face"
    SWAP_FACES = "swap faces"
    DRESS = "dress"
    FRAME = "frame"


EarlyProxies = Literal["absent", "empty", "links", "none"]


@attrs.frozen(kw_only=True)
class Endpoint:
    """
    One way to ask for pictures.

    Attributes:
        path: Behind ``/api/``, with the version.

        family: Version and name under which its jobs are fetched.

        told: The family that ``fetch_result`` names, if it is another.

        parameters: All that it knows, by name.

        required: Fields without which there is no job.

        needs_model: Whether ``model_id`` is required too; its lack has a
            word of its own.

        deed: What it does.

        terse: Speaks as text to image does: ``messege``, ``webhook_status``,
            ``tip_1``, and an eta of the queue. All other families speak the
            second dialect.

        eta: Seconds that are told whatever the job, at ``speed=1``; None:
            as the settings say.

        size: Width and height where nothing else gives them; None: those of
            the first picture.

        temporary: Whether files die after a day where the request is silent.

        always_temporary: And whatever it says.

        encodes: ``base64`` is about the output, not about the input.

        empty_output: What output is while nothing is there.

        early_proxies: What ``proxy_links`` is meanwhile.

        times: Whether success tells ``generationTime``.

        folder: Where its files lie.

        suffix: Behind their names.

        extension: Of all its files; "" lets chance decide.

        echoes: Names in ``meta`` that are not the request's own.

        no: How a flag that is off is echoed.

        any_seed: Seeds that mean any.

        meta_id: What the id in ``meta`` is.

        pictures: The parameters that take pictures.
    """

    path: str
    family: str
    told: str = ""
    parameters: Mapping[str, Parameter] = attrs.field(repr=False)
    required: tuple[str, ...]
    needs_model: bool = False
    deed: Deed = Deed.PAINT
    terse: bool = False
    eta: float | None = None
    size: tuple[int, int] | None = (512, 512)
    temporary: bool = False
    always_temporary: bool = False
    encodes: bool = True
    empty_output: object = ()
    early_proxies: EarlyProxies = "absent"
    times: bool = True
    folder: str = "generations"
    suffix: str = ""
    extension: str = ""
    echoes: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    no: str = "no"
    any_seed: frozenset[int] = frozenset()
    meta_id: Callable[[int], object] = str
    pictures: tuple[str, ...] = attrs.field(init=False)

    @pictures.default
    def _its_pictures(self) -> tuple[str, ...]:
        return tuple(
            name
            for name, parameter in self.parameters.items()
            if parameter.kind in PICTURES
        )

    @property
    def families(self) -> frozenset[str]:
        """
        Where its jobs are found.
        """
        return frozenset({self.family, self.told or self.family})


_SCHEDULERS = (
    "DDPMScheduler",
    "DDIMScheduler",
    "PNDMScheduler",
    "LMSDiscreteScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "DPMSolverSinglestepScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "UniPCMultistepScheduler",
    "DDIMInverseScheduler",
    "DEISMultistepScheduler",
    "IPNDMScheduler",
    "KarrasVeScheduler",
    "ScoreSdeVeScheduler",
    "LCMScheduler",
)
_CONTROLS = (
    "canny depth hed mlsd normal openpose scribble segmentation inpaint "
    "softedge lineart shuffle tile face_detector qrcode blur pose gray "
    "low_quality"
)

_WORDS: Mapping[str, tuple[Iterable[str], bool]] = {
    "safety_checker_type": (
        ("blur", "sensitive_content_text", "pixelate", "black"),
        False,
    ),
    "scheduler": (_SCHEDULERS, False),
    "algorithm_type": (("none", "no", "dpmsolver++", "dpmsolver+++"), False),
    "ip_adapter_id": (
        (
            "ip-adapter_sdxl",
            "ip-adapter_sd15",
            "ip-adapter-plus-face_sd15",
            "ip-adapter-plus_sdxl_vit-h",
            "ip-adapter-plus-face_sdxl_vit-h",
        ),
        False,
    ),
    "style": (("comic", "chibi", "3d", "anime", "realistic"), False),
    "controlnet_model": (_CONTROLS.split(), True),
    "controlnet_type": (_CONTROLS.split(), True),
    "cloth_type": (("upper_body", "lower_body", "dresses"), True),
}
_BY_KIND = {
    Kind.TEXT: "prompt negative_prompt model_id vae aspect_ratio "
    "specific_object resolution size enhance_style",
    Kind.PARTS: "lora_model lora_strength upscale",
    Kind.WORD: " ".join(_WORDS),
    Kind.BOOLEAN: "enhance_prompt safety_checker use_karras_sigmas base64 "
    "temp multi_lingual highres_fix instant_response auto_hint guess_mode "
    "tomesd watermark face_enhance alpha_matting post_process_mask only_mask "
    "inverse_mask use_cfg_zero_star use_zero_init",
    Kind.WHOLE: "width height samples num_inference_steps steps seed "
    "clip_skip zero_steps overlap_width scale scale_down "
    "alpha_matting_foreground_threshold alpha_matting_background_threshold "
    "alpha_matting_erode_size",
    Kind.NUMBER: "guidance_scale guidance strength s_scale ip_adapter_scale "
    "controlnet_conditioning_scale injected_noise_alpha sigma_threshold "
    "true_cfg_scale",
    Kind.IMAGE: "init_image init_image_2 mask_image control_image image "
    "cloth_image face_image target_image reference_image ip_adapter_image",
    Kind.URL: "webhook",
    Kind.TRACK_TEXT: "track_id",
}
_KINDS = {
    name: kind for kind, names in _BY_KIND.items() for name in names.split()
}
_SEED = (0, 2**32 - 1)
_RANGES: Mapping[str, tuple[float, float]] = {
    "seed": _SEED,
    "samples": (1, 4),
    "clip_skip": (1, 8),
    "ip_adapter_scale": (0, 1),
    "strength": (0, 1),
    "guidance_scale": (1, 20),
}
# The page "Error Codes" says that these are refused.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "width": (64, 2048),
    "height": (64, 2048),
    "samples": (1, 4),
}
_TERSE_BOUNDS = {
    **_BOUNDS,
    "width": (64, 1488),
    "height": (64, 1488),
    "guidance_scale": (1, 20),
}
_TOKEN = re.compile(
    r"(?P<name>\w+)(?P<required>\*?)"
    r"(?::(?P<kind>\w+))?"
    r"(?:=(?P<least>-?[\d.]+?)?\.\.(?P<most>[\d.]+))?"
)


def _takes(
    text: str,
    *,
    flags: Kind = Kind.BOOLEAN,
    track: Kind = Kind.TRACK_TEXT,
    terse: bool = False,
) -> tuple[dict[str, Parameter], tuple[str, ...]]:
    """
    Read a row's parameters.
    """
    parameters: dict[str, Parameter] = {}
    required = []
    for token in f"{text} webhook track_id".split():
        found = _TOKEN.fullmatch(token)
        assert found is not None, token  # noqa: S101 - a typing error of ours
        name = found["name"]
        kind = Kind[found["kind"]] if found["kind"] else _KINDS[name]
        if not found["kind"]:
            kind = flags if kind in FLAGS else kind
            kind = track if kind is Kind.TRACK_TEXT else kind
        least, most = _RANGES.get(name, (None, None))
        if found["most"]:
            least = float(found["least"]) if found["least"] else None
            most = float(found["most"])
        words, closed = _WORDS.get(name, ((), False))
        parameters[name] = Parameter(
            name,
            kind,
            least,
            most,
            (_TERSE_BOUNDS if terse else _BOUNDS).get(name),
            8 if terse and name in {"width", "height"} else None,
            tuple(words),
            closed,
        )
        if found["required"]:
            required.append(name)
    return parameters, tuple(required)


_COMMUNITY = (
    "negative_prompt width height samples num_inference_steps=1..50 "
    "safety_checker safety_checker_type enhance_prompt seed guidance_scale "
    "use_karras_sigmas algorithm_type scheduler vae lora_model lora_strength "
    "clip_skip base64 temp ip_adapter_id ip_adapter_scale ip_adapter_image "
    "instant_response enhance_style tomesd"
)
_FLUX = (
    "injected_noise_alpha=0..1 sigma_threshold=0..1 true_cfg_scale=0..10 "
    "use_cfg_zero_star use_zero_init zero_steps=0..50"
)
_REALTIME = (
    "prompt* negative_prompt width=..1024 height=..1024 samples seed "
    "safety_checker safety_checker_type base64 instant_response "
    "enhance_prompt temp guidance_scale=0..30 num_inference_steps"
)
_V7 = (
    "prompt* negative_prompt width=512..1024 height=512..1024 aspect_ratio "
    "samples num_inference_steps guidance_scale=0..30 seed scheduler:TEXT "
    "resolution size"
)
_FACE = (
    "prompt* face_image* negative_prompt seed width=..512 height=..768 "
    "num_inference_steps=21..41 s_scale=0..2 samples=1..2 safety_checker "
    "safety_checker_type style base64"
)


def _community(path: str, takes: str, **more: Any) -> Endpoint:
    """
    v6/images: the dialect of text to image.
    """
    parameters, required = _takes(
        f"{takes} {_COMMUNITY} {_FLUX} model_id",
        flags=Kind.EITHER_FLAG,
        terse=True,
    )
    options: dict[str, Any] = {
        "family": "v6/images",
        "needs_model": True,
        "terse": True,
        **more,
    }
    return Endpoint(
        path=path, parameters=parameters, required=required, **options
    )


def _second(
    path: str,
    takes: str,
    *,
    track: Kind = Kind.TRACK_TEXT,
    flags: Kind = Kind.BOOLEAN,
    **more: Any,
) -> Endpoint:
    """
    The dialect of all other families.
    """
    parameters, required = _takes(takes, flags=flags, track=track)
    version, name, *_ = path.split("/")
    options: dict[str, Any] = {"family": f"{version}/{name}", **more}
    return Endpoint(
        path=path, parameters=parameters, required=required, **options
    )


def _realtime(name: str, takes: str, **more: Any) -> Endpoint:
    return _second(
        f"v6/realtime/{name}",
        f"{_REALTIME} {takes}",
        folder="modelslab",
        extension="jpg",
        early_proxies="links",
        **more,
    )


def _editing(name: str, takes: str, **more: Any) -> Endpoint:
    options: dict[str, Any] = {
        "size": None,
        "eta": 5.0,
        "early_proxies": "empty",
        **more,
    }
    return _second(
        f"v6/image_editing/{name}", takes, track=Kind.TRACK_DIGITS, **options
    )


def _face_swap(name: str, takes: str, deed: Deed) -> Endpoint:
    return _second(
        f"v6/faceswap/{name}",
        f"init_image* target_image* {takes} watermark base64",
        track=Kind.TRACK_DIGITS,
        deed=deed,
        told="v6/deepfake",
        eta=605.0,
        size=None,
        encodes=False,
        extension="jpg",
    )


_ROWS = (
    _community(
        "v6/images/text2img", "prompt* upscale multi_lingual highres_fix"
    ),
    _community(
        "v6/images/img2img",
        "prompt init_image*:IMAGES=..10 init_image_2 strength guidance=0..20 "
        "upscale multi_lingual",
        deed=Deed.RESTYLE,
        size=None,
    ),
    _community(
        "v6/images/inpaint",
        "prompt init_image* mask_image* strength steps=1..20",
        deed=Deed.REPAINT,
        size=None,
    ),
    _second(
        "v5/controlnet",
        "model_id controlnet_model* controlnet_type prompt init_image "
        "control_image mask_image auto_hint guess_mode "
        "controlnet_conditioning_scale=0.1..5 strength width height samples "
        "num_inference_steps=21..31 guidance_scale use_karras_sigmas "
        "safety_checker safety_checker_type enhance_prompt scheduler upscale "
        "base64 temp clip_skip tomesd vae lora_model lora_strength "
        "algorithm_type ip_adapter_id ip_adapter_scale ip_adapter_image "
        "negative_prompt seed instant_response",
        flags=Kind.YES_NO,
        track=Kind.TRACK_DIGITS,
        family="v6/images",
        needs_model=True,
        deed=Deed.FOLLOW,
        terse=True,
        empty_output="",
        times=False,
        folder="livewire-tmp",
        extension="png",
    ),
    _realtime("text2img", "", eta=35.0),
    _realtime(
        "img2img",
        "init_image* strength",
        deed=Deed.RESTYLE,
        eta=33.0,
        size=None,
    ),
    _realtime(
        "inpaint",
        "init_image* mask_image* strength",
        deed=Deed.REPAINT,
        eta=33.0,
        size=None,
    ),
    _second("v7/images/text-to-image", f"model_id {_V7}", size=(1024, 1024)),
    _second(
        "v7/images/image-to-image",
        f"model_id {_V7} init_image*:IMAGES=..14 init_image_2 strength",
        deed=Deed.RESTYLE,
        size=None,
    ),
    _second(
        "v7/images/inpaint",
        f"model_id {_V7} init_image* mask_image* strength",
        deed=Deed.REPAINT,
        size=None,
    ),
    _editing(
        "qwen_edit",
        "prompt* init_image*:IMAGES=..4 model_id safety_checker base64 "
        "width height seed samples temp",
        deed=Deed.RESTYLE,
        size=(1024, 1024),
    ),
    _editing(
        "removebg_mask",
        "image* alpha_matting post_process_mask only_mask inverse_mask "
        "alpha_matting_foreground_threshold=0..240 "
        "alpha_matting_background_threshold=0..20 "
        "alpha_matting_erode_size=0..5 base64 seed",
        deed=Deed.CUT_OUT,
        extension="png",
        echoes={"image": "image_url"},
        no="0",
    ),
    _editing(
        "super_resolution",
        "init_image* model_id scale=1..8 face_enhance",
        deed=Deed.ENLARGE,
        suffix="_out",
        extension="png",
        echoes={"scale": "upscale_factor"},
    ),
    _editing(
        "outpaint",
        "image* prompt negative_prompt width=..1440 height=..1440 "
        "overlap_width=..42 num_inference_steps=..30 guidance_scale=0..30 "
        "seed=-1..4294967295 temp base64",
        deed=Deed.EXTEND,
        size=(1280, 720),
        temporary=True,
        encodes=False,
        echoes={"image": "init_image"},
        any_seed=frozenset({-1, 0}),
    ),
    _editing(
        "object_removal",
        "init_image* mask_image*",
        deed=Deed.REMOVE,
        echoes={"init_image": "image_path", "mask_image": "mask_path"},
    ),
    _editing(
        "fashion",
        "init_image* cloth_image* cloth_type* prompt negative_prompt seed "
        "num_inference_steps=21..41 guidance_scale temp",
        flags=Kind.YES_NO,
        deed=Deed.DRESS,
        early_proxies="absent",
    ),
    _editing(
        "face_gen",
        f"{_FACE} guidance_scale",
        deed=Deed.FRAME,
        always_temporary=True,
        early_proxies="none",
    ),
    _editing(
        "head_shot",
        f"{_FACE} guidance_scale=1..5",
        deed=Deed.FRAME,
        always_temporary=True,
        early_proxies="none",
    ),
    _editing(
        "inpaint",
        "prompt* init_image* mask_image* negative_prompt width=..1024 "
        "height=..1024 samples seed num_inference_steps guidance_scale=1..5 "
        "strength safety_checker:YES_NO enhance_prompt:YES_NO "
        "base64:TRUE_FALSE instant_response:TRUE_FALSE",
        deed=Deed.REPAINT,
        early_proxies="absent",
    ),
    _face_swap("single_face_swap", "reference_image*", Deed.SWAP_FACE),
    _face_swap("multiple_face_swap", "", Deed.SWAP_FACES),
    _second(
        "v6/interior/make",
        "prompt* init_image* strength=0..10 num_inference_steps=21..51 "
        "guidance_scale seed scale_down specific_object negative_prompt "
        "base64 temp",
        track=Kind.TRACK_DIGITS,
        deed=Deed.RESTYLE,
        eta=20.0,
        size=None,
        extension="png",
        echoes={"init_image": "room_image"},
        any_seed=frozenset({0}),
        meta_id=int,
    ),
)
_ALIASES = {
    "v6/images/controlnet": "v5/controlnet",
    "v6/deepfake/single_face_swap": "v6/faceswap/single_face_swap",
    "v6/deepfake/multiple_face_swap": "v6/faceswap/multiple_face_swap",
}

#: Every endpoint by its path, and by the paths that it has besides.
ENDPOINTS: Mapping[str, Endpoint] = {
    **(rows := {row.path: row for row in _ROWS}),
    **{alias: rows[path] for alias, path in _ALIASES.items()},
}
#: Version and name of all that can be fetched from.
FAMILIES = frozenset().union(*(row.families for row in _ROWS))
