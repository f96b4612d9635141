"""
Pictures edited: backgrounds, sizes, clothes, faces.

* The picture is *image* for removebg_mask and outpaint, *face_image* for
  faces, and *init_image* elsewhere.
* fashion says its flags as "yes" and "no"; inpaint says one of its flags so,
  and others as "true" or not at all.
* Pictures of faces are always temporary: gone after 24 hours.
* outpaint's files are temporary unless *temp* is False.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import attrs

from . import words
from ._endpoint import EDITING, Endpoint
from ._parameter import Parameter, ParameterKind, note
from ._parameter_types import (
    AnySide,
    Base64,
    Base64Input,
    EnhancePrompt,
    Flag,
    Guidance,
    InstantResponse,
    Integer,
    NegativePrompt,
    Number,
    Picture,
    Pictures,
    SafetyChecker,
    SafetyCheckerType,
    Samples,
    Seed,
    Steps,
    Strength,
    Temp,
    Text,
)
from ._shapes import FromPicture, FromPrompt, FromPromptIfAny
from ._spec import Spec


@attrs.frozen(kw_only=True, repr=False)
class QwenEdit(FromPrompt):
    """
    Up to four pictures edited as the prompt says.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "qwen_edit",
        "v6/image_editing/qwen_edit",
        attrs.evolve(EDITING, other_fetch_path="v6/images/fetch"),
    )

    init_image: Annotated[
        Pictures, note("the prompt may speak of 'image 2'", most=4)
    ]
    model_id: Annotated[
        Text,
        note("or qwen-edit-2511, or newer", "qwen-edit-2509", "schema"),
    ] = None
    safety_checker: SafetyChecker = None
    base64: Base64 = None
    width: Annotated[AnySide, note(default=1024, source="clients")] = None
    height: Annotated[AnySide, note(default=1024, source="clients")] = None
    seed: Annotated[Seed, note(source="clients")] = None
    samples: Annotated[Samples, note(source="clients")] = None
    temp: Annotated[Temp, note(source="clients")] = None


@attrs.frozen(repr=False)
class _FromImage(Spec):
    image: Picture


@attrs.frozen(kw_only=True, repr=False)
class RemoveBackground(_FromImage):
    """
    What stands before the background, or its mask: PNG with transparency.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "remove_background", "v6/image_editing/removebg_mask", EDITING
    )

    alpha_matting: Annotated[Flag, note("soft edges", False, "seen")] = None
    post_process_mask: Annotated[
        Flag, note("smooth the mask", False, "schema")
    ] = None
    only_mask: Annotated[Flag, note("the mask alone", False, "seen")] = None
    inverse_mask: Annotated[
        Flag, note("the background instead", False, "seen")
    ] = None
    alpha_matting_foreground_threshold: Annotated[
        Integer, note("", 240, "schema", least=0, most=240)
    ] = None
    alpha_matting_background_threshold: Annotated[
        Integer, note("", 20, "schema", least=0, most=20)
    ] = None
    alpha_matting_erode_size: Annotated[
        Integer, note("", 5, "schema", least=0, most=5)
    ] = None
    seed: Seed = None
    base64: Base64 = None


@attrs.frozen(kw_only=True, repr=False)
class SuperResolution(FromPicture):
    """
    A picture made larger.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "super_resolution", "v6/image_editing/super_resolution", EDITING
    )

    model_id: Annotated[
        Text,
        note(
            "ultra_resolution: 4K and more",
            "realesr-general-x4v3",
            "schema",
            usual_values=(
                "RealESRGAN_x4plus",
                "RealESRGAN_x4plus_anime_6B",
                "RealESRGAN_x2plus",
                "realesr-general-x4v3",
                "ultra_resolution",
            ),
        ),
    ] = None
    scale: Annotated[
        Integer,
        note(
            "how many times as large; the model may know better",
            3,
            "schema, clients",
            least=1,
            most=8,
        ),
    ] = None
    face_enhance: Annotated[Flag, note("mend faces", False, "schema")] = None


@attrs.frozen(kw_only=True, repr=False)
class Outpaint(FromPromptIfAny):
    """
    A picture continued beyond its edges.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "outpaint", "v6/image_editing/outpaint", EDITING
    )

    image: Annotated[Picture, note("what is continued")]
    negative_prompt: Annotated[
        NegativePrompt, note(default="low quality", source="schema")
    ] = None
    width: Annotated[
        AnySide, note("of the result", 1280, usual=(64, 1440))
    ] = None
    height: Annotated[
        AnySide, note("of the result", 720, usual=(64, 1440))
    ] = None
    overlap_width: Annotated[
        Integer,
        note(
            "pixels that old and new share",
            10,
            "schema: to 42; clients: 64",
            least=0,
            most=64,
            usual=(0, 42),
        ),
    ] = None
    num_inference_steps: Annotated[
        Steps, note("", 10, "schema", usual=(1, 30))
    ] = None
    guidance_scale: Annotated[Guidance, note(default=8, source="schema")] = (
        None
    )
    seed: Annotated[Seed, note("-1 or 0: any", source="prose", least=-1)] = (
        None
    )
    temp: Annotated[Temp, note(default=True)] = None
    base64: Base64Input = None

    @property
    def inline(self) -> bool:
        """
        Whether answers may hold the pictures themselves: never.
        """
        return False


@attrs.frozen(kw_only=True, repr=False)
class RemoveObject(FromPicture):
    """
    A picture without what its mask covers.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "remove_object", "v6/image_editing/object_removal", EDITING
    )

    mask_image: Annotated[Picture, note("what is to go")]


@attrs.frozen(kw_only=True, repr=False)
class TryOn(FromPromptIfAny):
    """
    A person in other clothes.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "try_on",
        "v6/image_editing/fashion",
        attrs.evolve(EDITING, flags=("no", "yes")),
    )

    init_image: Annotated[
        Picture, note("the person, all of them, before white")
    ]
    cloth_image: Annotated[Picture, note("the garment alone")]
    cloth_type: Annotated[
        words.ClothType | str,
        Parameter(ParameterKind.WORD, words=words.ClothType, source="schema"),
    ]
    negative_prompt: NegativePrompt = None
    num_inference_steps: Annotated[
        Steps, note("", source="schema", usual_values=(21, 31, 41))
    ] = None
    guidance_scale: Guidance = None
    seed: Annotated[Seed, note(source="prose")] = None
    temp: Annotated[Temp, note(source="schema")] = None


@attrs.frozen(kw_only=True, repr=False)
class _Face(FromPrompt):
    face_image: Annotated[Picture, note("the face; also sets the size")]
    negative_prompt: NegativePrompt = None
    width: Annotated[AnySide, note(usual=(64, 512))] = None
    height: Annotated[AnySide, note(usual=(64, 768))] = None
    samples: Annotated[
        Samples, note("one where all of 512 x 768 is asked for", usual=(1, 2))
    ] = None
    num_inference_steps: Annotated[
        Steps,
        note("", source="schema; clients: 20", usual_values=(21, 31, 41)),
    ] = None
    guidance_scale: Guidance = None
    s_scale: Annotated[
        Number,
        note(
            "how much the structure of the face counts",
            1,
            "schema: to 2; clients: 7.5",
            least=0,
            most=7.5,
            usual=(0, 2),
        ),
    ] = None
    safety_checker: SafetyChecker = None
    safety_checker_type: Annotated[SafetyCheckerType, note(default="blur")] = (
        None
    )
    style: Annotated[
        words.FaceStyle | str | None,
        Parameter(
            ParameterKind.WORD,
            words=words.FaceStyle,
            default="realistic",
            source="schema of face_gen; clients for head_shot",
        ),
    ] = None
    seed: Seed = None
    base64: Base64 = None


@attrs.frozen(kw_only=True, repr=False)
class FaceGen(_Face):
    """
    A person with the face of a picture, in any style.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "face_gen", "v6/image_editing/face_gen", EDITING
    )


@attrs.frozen(kw_only=True, repr=False)
class HeadShot(_Face):
    """
    A portrait of a person with the face of a picture.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "head_shot", "v6/image_editing/head_shot", EDITING
    )

    guidance_scale: Annotated[
        Guidance, note(source="schema: 1 to 5; seen: 7.5", usual=(1, 5))
    ] = None


@attrs.frozen(kw_only=True, repr=False)
class EditInpaint(FromPrompt):
    """
    A part of a picture made anew, by the model of the editing family.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "edit_inpaint", "v6/image_editing/inpaint", EDITING
    )

    init_image: Annotated[Picture, note("the picture that is changed")]
    mask_image: Annotated[Picture, note("white is made anew, black is kept")]
    negative_prompt: NegativePrompt = None
    width: Annotated[AnySide, note("512, or that of the input: say it")] = None
    height: Annotated[AnySide, note("512, or that of the input: say it")] = (
        None
    )
    samples: Samples = None
    num_inference_steps: Annotated[Steps, note("", 30)] = None
    guidance_scale: Annotated[
        Guidance,
        note(default=5, source="schema: 1 to 5; clients: 7.5", usual=(1, 5)),
    ] = None
    strength: Strength = None
    safety_checker: Annotated[
        SafetyChecker, note(default=False, flags=("no", "yes"))
    ] = None
    enhance_prompt: Annotated[
        EnhancePrompt,
        note(default=True, source="an older page", flags=("no", "yes")),
    ] = None
    seed: Seed = None
    base64: Annotated[Base64, note(flags=(None, "true"))] = None
    instant_response: Annotated[
        InstantResponse, note(flags=(None, "true"))
    ] = None
