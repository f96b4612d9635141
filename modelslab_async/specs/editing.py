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
    SafetyCheckerName,
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
    """
    A URL, a data URI, a pathlib.Path, or a sequence of these, at most 4,
    required; the prompt may speak of 'image 2'.
    """
    model_id: Annotated[
        Text,
        note("or qwen-edit-2511, or newer", "qwen-edit-2509", "schema"),
    ] = None
    """Text, default 'qwen-edit-2509'; or qwen-edit-2511, or newer."""
    safety_checker: SafetyChecker = None
    """
    True or False; whether pictures are checked for nudity; say it if you care.
    """
    base64: Base64 = None
    """
    True or False, default False; pictures as text files of base64, which
    downloads decode.
    """
    width: Annotated[AnySide, note(default=1024, source="clients")] = None
    """1 to 2048 (usual: 64 to 1024), default 1024; pixels."""
    height: Annotated[AnySide, note(default=1024, source="clients")] = None
    """1 to 2048 (usual: 64 to 1024), default 1024; pixels."""
    seed: Annotated[Seed, note(source="clients")] = None
    """0 to 4294967295; the same request and seed give the same picture."""
    samples: Annotated[Samples, note(source="clients")] = None
    """1 to 4, default 1; how many pictures; each may cost."""
    temp: Annotated[Temp, note(source="clients")] = None
    """Default False; whether the files are gone after 24 hours."""


@attrs.frozen(repr=False)
class _FromImage(Spec):
    image: Picture
    """An http or https URL, a data URI or a pathlib.Path, required."""


@attrs.frozen(kw_only=True, repr=False)
class RemoveBackground(_FromImage):
    """
    What stands before the background, or its mask: PNG with transparency.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "remove_background", "v6/image_editing/removebg_mask", EDITING
    )

    alpha_matting: Annotated[Flag, note("soft edges", False, "seen")] = None
    """True or False, default False; soft edges."""
    post_process_mask: Annotated[
        Flag, note("smooth the mask", False, "schema")
    ] = None
    """True or False, default False; smooth the mask."""
    only_mask: Annotated[Flag, note("the mask alone", False, "seen")] = None
    """True or False, default False; the mask alone."""
    inverse_mask: Annotated[
        Flag, note("the background instead", False, "seen")
    ] = None
    """True or False, default False; the background instead."""
    alpha_matting_foreground_threshold: Annotated[
        Integer, note("", 240, "schema", least=0, most=240)
    ] = None
    """A whole number from 0 to 240, default 240."""
    alpha_matting_background_threshold: Annotated[
        Integer, note("", 20, "schema", least=0, most=20)
    ] = None
    """A whole number from 0 to 20, default 20."""
    alpha_matting_erode_size: Annotated[
        Integer, note("", 5, "schema", least=0, most=5)
    ] = None
    """A whole number from 0 to 5, default 5."""
    seed: Seed = None
    """0 to 4294967295; the same request and seed give the same picture."""
    base64: Base64 = None
    """
    True or False, default False; pictures as text files of base64, which
    downloads decode.
    """


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
    """
    Text (usual: RealESRGAN_x4plus, RealESRGAN_x4plus_anime_6B,
    RealESRGAN_x2plus, realesr-general-x4v3, ultra_resolution), default
    'realesr-general-x4v3'; ultra_resolution: 4K and more.
    """
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
    """
    A whole number from 1 to 8, default 3; how many times as large; the model
    may know better.
    """
    face_enhance: Annotated[Flag, note("mend faces", False, "schema")] = None
    """True or False, default False; mend faces."""


@attrs.frozen(kw_only=True, repr=False)
class Outpaint(FromPromptIfAny):
    """
    A picture continued beyond its edges.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "outpaint", "v6/image_editing/outpaint", EDITING
    )

    image: Annotated[Picture, note("what is continued")]
    """URL or Path, required; what is continued."""
    negative_prompt: Annotated[
        NegativePrompt, note(default="low quality", source="schema")
    ] = None
    """
    Text, default 'low quality'; what it should not show; empty is the same as
    none.
    """
    width: Annotated[
        AnySide, note("of the result", 1280, usual=(64, 1440))
    ] = None
    """1 to 2048 (usual: 64 to 1440), default 1280; of the result."""
    height: Annotated[
        AnySide, note("of the result", 720, usual=(64, 1440))
    ] = None
    """1 to 2048 (usual: 64 to 1440), default 720; of the result."""
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
    """0 to 64 (usual: 0 to 42), default 10; pixels that old and new share."""
    num_inference_steps: Annotated[
        Steps, note("", 10, "schema", usual=(1, 30))
    ] = None
    """1 to 100 (usual: 1 to 30), default 10; steps of denoising."""
    guidance_scale: Annotated[Guidance, note(default=8, source="schema")] = (
        None
    )
    """
    A number from 0 to 30 (usual: 1 to 20), default 8; how closely to follow
    the prompt.
    """
    seed: Annotated[Seed, note("-1 or 0: any", source="prose", least=-1)] = (
        None
    )
    """A whole number from -1 to 4294967295; -1 or 0: any."""
    temp: Annotated[Temp, note(default=True)] = None
    """Default True; whether the files are gone after 24 hours."""
    base64: Base64Input = None
    """Default False; whether the input is base64: say so with data URIs."""

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
    """URL or Path, required; what is to go."""


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
    """URL or Path, required; the person, all of them, before white."""
    cloth_image: Annotated[Picture, note("the garment alone")]
    """URL or Path, required; the garment alone."""
    cloth_type: Annotated[
        words.ClothType | str,
        Parameter(ParameterKind.WORD, words=words.ClothType, source="schema"),
    ]
    """One of 'upper_body', 'lower_body', 'dresses', required."""
    negative_prompt: NegativePrompt = None
    """Text; what it should not show; empty is the same as none."""
    num_inference_steps: Annotated[
        Steps, note("", source="schema", usual_values=(21, 31, 41))
    ] = None
    """A whole number from 1 to 100 (usual: 21, 31, 41); steps of denoising."""
    guidance_scale: Guidance = None
    """
    A number from 0 to 30 (usual: 1 to 20), default 7.5; how closely to follow
    the prompt.
    """
    seed: Annotated[Seed, note(source="prose")] = None
    """0 to 4294967295; the same request and seed give the same picture."""
    temp: Annotated[Temp, note(source="schema")] = None
    """Default False; whether the files are gone after 24 hours."""


@attrs.frozen(kw_only=True, repr=False)
class _Face(FromPrompt):
    face_image: Annotated[Picture, note("the face; also sets the size")]
    """URL or Path, required; the face; also sets the size."""
    negative_prompt: NegativePrompt = None
    """Text; what it should not show; empty is the same as none."""
    width: Annotated[AnySide, note(usual=(64, 512))] = None
    """1 to 2048 (usual: 64 to 512), default 512; pixels."""
    height: Annotated[AnySide, note(usual=(64, 768))] = None
    """1 to 2048 (usual: 64 to 768), default 512; pixels."""
    samples: Annotated[
        Samples, note("one where all of 512 x 768 is asked for", usual=(1, 2))
    ] = None
    """
    A whole number from 1 to 4 (usual: 1 to 2), default 1; one where all of 512
    x 768 is asked for.
    """
    num_inference_steps: Annotated[
        Steps,
        note("", source="schema; clients: 20", usual_values=(21, 31, 41)),
    ] = None
    """A whole number from 1 to 100 (usual: 21, 31, 41); steps of denoising."""
    guidance_scale: Guidance = None
    """
    A number from 0 to 30 (usual: 1 to 20), default 7.5; how closely to follow
    the prompt.
    """
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
    """
    A number from 0 to 7.5 (usual: 0 to 2), default 1; how much the structure
    of the face counts.
    """
    safety_checker: SafetyChecker = None
    """
    True or False; whether pictures are checked for nudity; say it if you care.
    """
    safety_checker_type: Annotated[SafetyCheckerName, note(default="blur")] = (
        None
    )
    """
    One of 'blur', 'sensitive_content_text', 'pixelate', 'black', default
    'blur'; what becomes of a picture that is not liked.
    """
    style: Annotated[
        words.FaceStyle | str | None,
        Parameter(
            ParameterKind.WORD,
            words=words.FaceStyle,
            default="realistic",
            source="schema of face_gen; clients for head_shot",
        ),
    ] = None
    """
    One of 'comic', 'chibi', '3d', 'anime', 'realistic', default 'realistic'.
    """
    seed: Seed = None
    """0 to 4294967295; the same request and seed give the same picture."""
    base64: Base64 = None
    """
    True or False, default False; pictures as text files of base64, which
    downloads decode.
    """


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
    """
    A number from 0 to 30 (usual: 1 to 5), default 7.5; how closely to follow
    the prompt.
    """


@attrs.frozen(kw_only=True, repr=False)
class EditInpaint(FromPrompt):
    """
    A part of a picture made anew, by the model of the editing family.
    """

    endpoint: ClassVar[Endpoint] = Endpoint(
        "edit_inpaint", "v6/image_editing/inpaint", EDITING
    )

    init_image: Annotated[Picture, note("the picture that is changed")]
    """URL or Path, required; the picture that is changed."""
    mask_image: Annotated[Picture, note("white is made anew, black is kept")]
    """URL or Path, required; white is made anew, black is kept."""
    negative_prompt: NegativePrompt = None
    """Text; what it should not show; empty is the same as none."""
    width: Annotated[AnySide, note("512, or that of the input: say it")] = None
    """
    A whole number from 1 to 2048 (usual: 64 to 1024), default 512; 512, or
    that of the input: say it.
    """
    height: Annotated[AnySide, note("512, or that of the input: say it")] = (
        None
    )
    """
    A whole number from 1 to 2048 (usual: 64 to 1024), default 512; 512, or
    that of the input: say it.
    """
    samples: Samples = None
    """1 to 4, default 1; how many pictures; each may cost."""
    num_inference_steps: Annotated[Steps, note("", 30)] = None
    """A whole number from 1 to 100, default 30; steps of denoising."""
    guidance_scale: Annotated[
        Guidance,
        note(default=5, source="schema: 1 to 5; clients: 7.5", usual=(1, 5)),
    ] = None
    """0 to 30 (usual: 1 to 5), default 5; how closely to follow the prompt."""
    strength: Strength = None
    """
    A number from 0 to 1, default 0.7; how much is made anew; at 1 nothing of
    the input is left.
    """
    safety_checker: Annotated[
        SafetyChecker, note(default=False, flags=("no", "yes"))
    ] = None
    """
    True or False, default False; whether pictures are checked for nudity; say
    it if you care.
    """
    enhance_prompt: Annotated[
        EnhancePrompt,
        note(default=True, source="an older page", flags=("no", "yes")),
    ] = None
    """Default True; whether the service embellishes the prompt."""
    seed: Seed = None
    """0 to 4294967295; the same request and seed give the same picture."""
    base64: Annotated[Base64, note(flags=(None, "true"))] = None
    """
    True or False, default False; pictures as text files of base64, which
    downloads decode.
    """
    instant_response: Annotated[
        InstantResponse, note(flags=(None, "true"))
    ] = None
    """
    True or False, default False; answer at once, instead of with the picture
    where it is quick.
    """
