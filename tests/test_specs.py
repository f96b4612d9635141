"""
What may be asked for, what is doubted, and what is refused before it costs.
"""

from __future__ import annotations

import base64
import json
import math
import pickle
import re
import time
import warnings

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from modelslab_async import RemoveBackground, specs
from modelslab_async.errors import Problem, SpecError, SpecWarning
from modelslab_async.specs import (
    SPECS,
    AlgorithmType,
    Extra,
    IPAdapter,
    ParameterKind,
    SafetyCheckerType,
    Scheduler,
    Spec,
    TextToImage,
    from_dict,
    parameters,
    to_dict,
)


PAGE = json.loads(
    (Path(__file__).parent / "samples" / "text2img-page.json").read_text()
)


def cat(**fields: Any) -> TextToImage:
    """
    A request that is fine but for *fields*.
    """
    return TextToImage(**{"prompt": "a cat", "model_id": "sdxl"} | fields)


def faults(**fields: Any) -> list[tuple[str, str]]:
    """
    What is wrong with *fields*: names and reasons.
    """
    with pytest.raises(SpecError) as caught:
        cat(**fields)
    return [(one.field, one.reason) for one in caught.value.problems]


def faults_of(make: Callable[[], object]) -> tuple[Problem, ...]:
    """
    What is wrong with what cannot be made.
    """
    with pytest.raises(SpecError) as caught:
        make()
    return caught.value.problems


def doubts(**fields: Any) -> list[str]:
    """
    The names that *fields* gives warnings about.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cat(**fields)
    return [str(one.message).partition(":")[0] for one in caught]


# The page


def test_every_parameter_of_the_page() -> None:
    """
    What the service's page lists but the key can be asked for, by its name.
    """
    ours = set(attrs.fields_dict(TextToImage)) - {"extra"}

    assert ours == set(PAGE["example"]) - {"key"}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("scheduler", Scheduler),
        ("safety_checker_type", SafetyCheckerType),
        ("algorithm_type", AlgorithmType),
        ("ip_adapter_id", IPAdapter),
    ],
)
def test_options_of_the_page(field: str, words: Any) -> None:
    """
    An enumeration has the page's options, in the page's order.
    """
    assert [word.value for word in words] == PAGE["options"][field]
    assert [getattr(cat(**{field: one.value}), field) for one in words] == (
        list(words)
    )


def test_facts_are_declared() -> None:
    """
    Each field says what it is made of.
    """
    known = parameters(TextToImage)

    assert set(known) == set(attrs.fields_dict(TextToImage))
    assert SPECS["text2img"] is TextToImage


# What a spec is


def test_shape() -> None:
    """
    The prompt comes first, all else by name.
    """
    spec = TextToImage("a cat", model_id="sdxl")

    assert spec == cat()
    with pytest.raises(TypeError):
        TextToImage("a cat", "sdxl")  # type: ignore[call-arg]


def test_frozen() -> None:
    """
    A spec does not change; a changed copy is checked anew.
    """
    spec = cat(seed=1)

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        spec.seed = 2  # type: ignore[misc]
    assert attrs.evolve(spec, seed=2) == cat(seed=2)
    with pytest.raises(SpecError):
        attrs.evolve(spec, seed=-1)


def test_hashable() -> None:
    """
    Equal requests hash alike, however they were written.
    """
    one = cat(
        guidance_scale=7,
        scheduler="LCMScheduler",
        lora_model=["a", "b"],
        lora_strength=[1, 0.5],
        negative_prompt=" ",
        extra={"b": [1], "a": {}},
    )
    other = cat(
        guidance_scale=7.0,
        scheduler=Scheduler.LCM,
        lora_model=("a", "b"),
        lora_strength=(1.0, 0.5),
        extra={"a": {}, "b": [1]},
    )

    assert one == other
    assert len({one, other}) == 1


def test_upscale_once_is_not_upscale() -> None:
    """
    True and 1 go out differently, so they are different requests.
    """
    assert cat(upscale=True) != cat(upscale=1)


def test_pickle() -> None:
    """
    A spec survives pickling, what it does not know included.
    """
    spec = cat(extra={"a": [1]}, lora_model=["a"])

    assert pickle.loads(pickle.dumps(spec)) == spec


def test_repr() -> None:
    """
    Only what was asked for is shown.
    """
    spec = cat(seed=7, scheduler="LCMScheduler", extra={"a": 1})

    assert repr(spec) == (
        "TextToImage('a cat', model_id='sdxl', seed=7, "
        "scheduler='LCMScheduler', extra={'a': 1})"
    )


def test_extra() -> None:
    """
    What is kept is a copy: neither the giver nor the taker can change it.
    """
    given_ = {"a": {"b": 1}}
    spec = cat(extra=given_)

    given_["a"]["b"] = 2
    taken: Any = spec.extra["a"]
    taken["b"] = 3

    assert spec.extra == {"a": {"b": 1}}
    assert isinstance(spec.extra, Mapping)
    assert (len(spec.extra), list(spec.extra)) == (1, ["a"])
    assert hash(spec.extra) == hash(Extra.of({"a": {"b": 1}}))


@pytest.mark.parametrize(
    ("fields", "pictures", "inline", "kind"),
    [
        ({}, 1, False, ("text2img", "sdxl", None)),
        ({"samples": 4, "seed": 1}, 4, False, ("text2img", "sdxl", 4)),
        ({"base64": True}, 1, True, ("text2img", "sdxl", None)),
        ({"base64": False}, 1, False, ("text2img", "sdxl", None)),
    ],
)
def test_what_others_ask(
    fields: dict[str, Any], pictures: int, inline: bool, kind: object
) -> None:
    """
    What the rest of the house asks of any spec, it answers itself.
    """
    spec: Spec = cat(**fields)

    assert isinstance(spec, Spec)
    assert (spec.pictures, spec.inline, spec.kind) == (pictures, inline, kind)
    assert spec.given_seed == fields.get("seed")


def test_caption() -> None:
    """
    A spec is named for people by its prompt, on one line.
    """
    assert cat(prompt=" a cat,\n asleep ").caption == "a cat, asleep"


# What is refused


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("samples", [1, 4], [0, 5]),
        ("width", [64, 2048], [56, 2056, 0, -8, 500]),
        ("height", [64, 2048], [56, 2056, 0, -8, 500]),
        ("num_inference_steps", [1, 100], [0, 101]),
        ("guidance_scale", [0, 30, 0.5], [-0.1, 30.1, math.nan, math.inf]),
        ("clip_skip", [1, 8], [0, 9]),
        ("seed", [0, 4294967295], [-1, 4294967296, 10**5000]),
        ("ip_adapter_scale", [0, 1, 0.5], [-0.1, 1.1, math.nan]),
        ("lora_strength", [0, 2.5, [1], (0.5, 1)], [math.inf, [math.nan]]),
        ("lora_strength", [".5, 2.5"], ["", "1,", "1,nan", "1,1_0", "1,-"]),
        ("upscale", [True, False, 1, 2, 3], [0, 4, -1, 2.0]),
        ("prompt", ["x", " x "], ["", " \n", "\ud800"]),
        ("model_id", ["x"], ["", " "]),
        ("negative_prompt", ["", "x", None], ["\ud800"]),
        ("track_id", ["x"], [""]),
        ("vae", ["x"], [""]),
        ("lora_model", ["a", "a,b", ["a", "b"]], ["", [], [""], ["a", ""]]),
        ("scheduler", ["LCMScheduler"], ["", "LCM", "lcmscheduler"]),
        ("algorithm_type", ["none", "dpmsolver+++"], ["dpmsolver++"]),
        ("webhook", ["http://a", "https://a.example/b?c"], ["", "a", "//a"]),
        ("ip_adapter_image", ["https://a"], ["ftp://a", "https://", "data:,"]),
        ("extra", [{}, {"a": None}], [{"a": math.nan}, {"a": {1}}]),
    ],
)
@pytest.mark.filterwarnings("ignore::modelslab_async.errors.SpecWarning")
def test_range(field: str, good: list[object], bad: list[object]) -> None:
    """
    What any source allows is taken, and nothing beyond.
    """
    taken = [cat(**{field: value}) for value in good]
    refused = [faults(**{field: value}) for value in bad]

    assert len(taken) == len(good)
    assert [[name for name, _ in found] for found in refused] == (
        [[field]] * len(bad)
    )


WRONG: dict[ParameterKind, list[object]] = {
    ParameterKind.TEXT: [5, b"x", ["x"]],
    ParameterKind.URL: [
        5,
        b"https://a",
        "https://[",
        "https://a b",
        "https://a\x7f",
    ],
    ParameterKind.FLAG: [1, 0, "yes", "True"],
    ParameterKind.INTEGER: [True, "1", 1.5],
    ParameterKind.NUMBER: [True, "1", [1.0], 10**400],
    ParameterKind.WORD: [5, b"none"],
    ParameterKind.TEXTS: [5, b"x", [5], {"a"}],
    ParameterKind.NUMBERS: ["1", True, b"1", ["1"], [True]],
    ParameterKind.UPSCALE: ["yes", "2"],
    ParameterKind.PICTURE: [5, b"x", "a.png", "ftp://a", ["https://a"]],
    ParameterKind.PICTURES: [5, b"x", "a.png", {"https://a"}],
    ParameterKind.EXTRA: [None, [], "{}", {5: 1}, {"a": ...}, {"a": "\ud800"}],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (field, value)
        for field, parameter in parameters(TextToImage).items()
        for value in WRONG[parameter.kind]
    ],
    ids=str,
)
def test_wrong_type(field: str, value: object) -> None:
    """
    A value of the wrong type is refused by the name of its field.
    """
    ((name, reason),) = faults(**{field: value})

    assert name == field
    assert reason.startswith(("must be", "holds half"))


def test_required_is_not_none() -> None:
    """
    None stands for "not said", which the prompt and the model cannot be.
    """
    found = faults(prompt=None, model_id=None)

    assert [name for name, _ in found] == ["prompt", "model_id"]


def test_every_fault_at_once() -> None:
    """
    All faults come in one error, in the order of the fields.
    """
    found = faults(
        prompt="", width=500, samples=9, seed="1", extra={"key": "sk-secret"}
    )

    assert found == [
        ("prompt", "is empty; say something, or leave it out"),
        (
            "width",
            (
                "must be a whole number from 64 to 2048, divisible by 8, "
                "not 500; try 496 or 504"
            ),
        ),
        ("samples", "must be a whole number from 1 to 4, not 9"),
        ("seed", "must be a whole number from 0 to 4294967295, not '1'"),
        (
            "extra",
            (
                "must not hold 'key': the API key is the client's, "
                "give it to ModelsLab()"
            ),
        ),
    ]


@pytest.mark.parametrize("name", ["key", "KEY", " key "])
def test_no_key_in_extra(name: str) -> None:
    """
    A key among the parameters is refused, and not repeated.
    """
    ((field, reason),) = faults(extra={name: "sk-secret"})

    assert field == "extra"
    assert "sk-secret" not in reason


def test_known_parameter_in_extra() -> None:
    """
    A parameter has one place.
    """
    assert faults(extra={"width": 5}) == [
        ("extra", "holds 'width'; give it as width=... instead")
    ]


def test_deep_extra() -> None:
    """
    What is nested too deep to be written is refused, not a crash.
    """
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    ((field, reason),) = faults(extra={"a": deep})

    assert (field, "RecursionError" in reason) == ("extra", True)


def test_did_you_mean() -> None:
    """
    A word that is nearly right is answered with the right one.
    """
    ((_, reason),) = faults(algorithm_type="dpmsolver++")

    assert reason.endswith("did you mean 'dpmsolver+++'?")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"lora_strength": 0.5}, {"lora_strength": [0.5]}),
        ({"lora_strength": 1}, {"lora_strength": (1.0,)}),
        ({"lora_strength": "0.5, 1"}, {"lora_strength": (0.5, 1)}),
        ({"lora_model": "a,b"}, {"lora_model": ["a", "b"]}),
        ({"lora_model": "a , b"}, {"lora_model": ["a,b"]}),
        ({"lora_model": "a"}, {"lora_model": ["a "]}),
        ({"guidance_scale": 7}, {"guidance_scale": 7.0}),
        ({"guidance_scale": 0.0}, {"guidance_scale": -0.0}),
        ({"width": 512}, {"width": 512.0}),
        ({"prompt": "a cat"}, {"prompt": " a cat\n"}),
        ({"model_id": "sdxl"}, {"model_id": "sdxl "}),
        ({"negative_prompt": None}, {"negative_prompt": " "}),
    ],
)
@pytest.mark.filterwarnings("ignore::modelslab_async.errors.SpecWarning")
def test_one_form(one: dict[str, Any], other: dict[str, Any]) -> None:
    """
    What goes out equal is the same request, however it was written.
    """
    first, second = cat(**one), cat(**other)

    assert first == second
    assert to_dict(first) == to_dict(second)
    assert repr(first) == repr(second)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("width", "512.0", 512),
        ("width", " 512 ", 512),
        ("lora_strength", "0.50", 0.5),
        ("lora_strength", "0.50,.6", (0.5, 0.6)),
        ("guidance_scale", "7", 7.0),
        ("lora_model", "a, b", ("a", "b")),
    ],
)
def test_one_form_of_texts(field: str, text: str, value: object) -> None:
    """
    A number that a file spells in its own way is that number.
    """
    spec = from_dict({"prompt": "x", "model_id": "m", field: text})

    assert getattr(spec, field) == value


class _Hostile:
    """
    An object that is good for nothing.
    """

    def __getattribute__(self, name: str) -> object:
        raise OSError(name)

    def __repr__(self) -> str:
        raise OSError("repr")


class _HostileSequence(Sequence[Any]):
    """
    A sequence that breaks when it is looked at.
    """

    def __getitem__(self, index: Any) -> Any:
        raise KeyError(index)

    def __len__(self) -> int:
        raise OSError("len")


class _HostileMapping(Mapping[str, Any]):
    """
    A mapping that breaks when it is looked at.
    """

    def __getitem__(self, name: str) -> Any:
        raise OSError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


#: What is fine for all kinds of specs, where they take it.
GOOD: dict[str, Any] = {
    "prompt": "x",
    "model_id": "m",
    "init_image": "https://a",
    "mask_image": "https://a",
    "image": "https://a",
    "face_image": "https://a",
    "cloth_image": "https://a",
    "target_image": "https://a",
    "reference_image": "https://a",
    "cloth_type": "dresses",
    "controlnet_model": "canny",
}


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**5000),
    st.floats(),
    st.complex_numbers(),
    st.decimals(),
    st.fractions(),
    st.dates(),
    st.text(),
    st.binary(),
    st.builds(object),
    st.builds(_Hostile),
    st.builds(_HostileSequence),
    st.builds(_HostileMapping),
    st.lists(st.one_of(st.none(), st.text(), st.floats(), st.booleans())),
    st.dictionaries(st.text(), st.one_of(st.floats(), st.text())),
    st.sets(st.integers()),
    st.sampled_from([int, len, ..., range(3), memoryview(b"x")]),
)


@given(st.data())
@settings(max_examples=100)
def test_anything(data: st.DataObject) -> None:
    """
    Anything anywhere, of any kind of spec, is a spec or a `SpecError`, never
    another exception.
    """
    kind = SPECS[data.draw(st.sampled_from([*SPECS]))]
    fields = st.sampled_from([*parameters(kind)])
    asked = GOOD | data.draw(st.dictionaries(fields, ANYTHING, max_size=4))
    known = {name: asked[name] for name in asked if name in parameters(kind)}
    makes: list[Callable[[], object]] = [
        lambda: kind(**known),
        lambda: from_dict({"endpoint": kind.endpoint.name} | asked),
        lambda: from_dict({"endpoint": asked.get("seed")} | asked),
    ]
    for make in makes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SpecWarning)
            try:
                found: object = make()
            except SpecError as error:
                found = str(error)

        assert isinstance(found, (Spec, str))
        if isinstance(found, Spec):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SpecWarning)
                again = from_dict(json.loads(json.dumps(to_dict(found))))
            assert again == found
            assert (repr(again), hash(again)) == (repr(found), hash(found))


@pytest.mark.parametrize(
    "data",
    [_HostileMapping(), {5: "x"}, {(1,): 1}, ...],
    ids=["raises", "number", "tuple", "nothing"],
)
def test_any_dict(data: Any) -> None:
    """
    What is no dict of parameters is told as such.
    """
    with pytest.raises(SpecError, match="spec: must be a mapping"):
        from_dict(data)


PNG = b"\x89PNG\r\n\x1a\n" + bytes(30)


@pytest.mark.parametrize(
    ("picture", "instead"),
    [
        (PNG, "bytes, (await lab.upload(…)).url"),
        (bytearray(PNG), "bytes, (await lab.upload(…)).url"),
        (
            base64.b64encode(PNG).decode(),
            "bare base64, 'data:image/png;base64,' before it",
        ),
        (
            "photos/a 0.JPG",
            "a file of this machine, Path('photos/a 0.JPG')",
        ),
        ("aGVsbG8gd29ybGQsIG5vIHBpY3R1cmU=", ""),
        ("ftp://a.example/b.png", ""),
    ],
)
def test_what_to_write_for_a_picture(picture: object, instead: str) -> None:
    """
    Who gives a picture in a form that is not taken is told what to write.
    """
    with pytest.raises(SpecError) as told:
        RemoveBackground(picture)  # type: ignore[arg-type]  # the point

    assert str(told.value).partition("; for ")[2] == instead


#: As who has no type checker sees it.
Loose: Any = TextToImage


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Loose("cat", model_id="flux", widht=512, samples=9),
            "widht: is no parameter of text2img; did you mean 'width'.*: must",
        ),
        (lambda: Loose("cat", width=9), "model_id: is required; width: must"),
        (lambda: Loose("cat", "flux"), "prompt: give 'flux' by its name; "),
        (
            lambda: attrs.evolve(Loose("a", model_id="flux"), promt="x"),
            "did you mean 'prompt'",
        ),
    ],
)
def test_a_slip_in_a_name(make: Callable[[], object], words: str) -> None:
    """
    A name that is none, or is missing, is told with all other faults; it is
    a TypeError too, as for any function.
    """
    with pytest.raises(SpecError, match=words) as told:
        make()

    assert isinstance(told.value, TypeError)
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


@pytest.mark.parametrize("seed", [-1, -1.0, 2**32])
def test_what_to_write_for_any_seed(seed: Any) -> None:
    """
    Other services take -1 for a seed of their choice.
    """
    with pytest.raises(SpecError, match="; leave it out for one of the serv"):
        TextToImage("a cat", model_id="sdxl", seed=seed)


#: How a text begins, and what comes again and again.
LONG = [
    ("", "a"),
    ("", " "),
    ("", ","),
    ("", "9"),
    ("https://a/", "/a"),
    ("https://", "a."),
    ("data:image/png;base64,", "AAAA"),
    ("data:image/", ";base64"),
    ("", "["),
    ("", "1e"),
]


@pytest.mark.parametrize(
    ("beginning", "piece", "size"),
    [
        *((*each, 30_000) for each in LONG[4:7]),
        *(pytest.param(*e, 1_000_000, marks=pytest.mark.slow) for e in LONG),
    ],
)
def test_long_texts_are_quick(beginning: str, piece: str, size: int) -> None:
    """
    What a stranger sends costs no more time than there is of it.
    """
    text = beginning + piece * (size // len(piece))
    began = time.process_time()

    for name in ("img2img", "controlnet", "remove_background"):
        kind = SPECS[name]
        for field in parameters(kind):
            with suppress(SpecError), warnings.catch_warnings():
                warnings.simplefilter("ignore", SpecWarning)
                from_dict(GOOD | {"endpoint": name, field: text})
    with pytest.raises(SpecError):
        from_dict({"endpoint": text, text: 1})

    # 90 times a megabyte.
    assert time.process_time() - began < 20


def test_thousands_of_strangers_are_quick() -> None:
    """
    Nobody is asked what he meant by ten thousand names.
    """
    data = {f"widt{number}": 1 for number in range(10_000)}
    began = time.process_time()

    found = faults_of(lambda: from_dict(data))

    assert len(found) == 10_002
    assert "did you mean 'width'" in found[0].reason
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("img2img", "ImageToImage"),
        (" IMG2IMG ", "ImageToImage"),
        ("ImageToImage", "ImageToImage"),
        ("remove-background", "RemoveBackground"),
    ],
)
def test_names_of_endpoints(name: str, kind: str) -> None:
    """
    An endpoint goes by its name, or by that of its class.
    """
    known = parameters(getattr(specs, kind))
    data = {field: GOOD[field] for field in GOOD if field in known}

    spec = from_dict(data | {"endpoint": name})

    assert type(spec).__name__ == kind


@pytest.mark.parametrize("name", ["Scheduler", "img3img", "", " ", 5, [1]])
def test_no_names_of_endpoints(name: object) -> None:
    """
    What names no endpoint is told, with what would be right.
    """
    found = faults_of(lambda: from_dict({"endpoint": name}))

    assert found[0].field == ("endpoint" if name else "prompt")


# Dicts


def test_dict_and_back() -> None:
    """
    A spec is a dict of plain data that names its endpoint, and back.
    """
    spec = cat(
        seed=7, scheduler="LCMScheduler", lora_model=["a", "b"], extra={"x": 1}
    )

    said = to_dict(spec)

    assert said == {
        "endpoint": "text2img",
        "prompt": "a cat",
        "model_id": "sdxl",
        "seed": 7,
        "scheduler": "LCMScheduler",
        "lora_model": ["a", "b"],
        "extra": {"x": 1},
    }
    assert type(said["scheduler"]) is str
    assert from_dict(json.loads(json.dumps(said))) == spec


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({}, ["prompt", "model_id"]),
        ({"prompt": "", "width": "wide"}, ["prompt", "model_id", "width"]),
        ({"prompt": "x", "model_id": "m", "wdith": 5}, ["wdith"]),
        ({"prompt": "x", "model_id": "m", "key": "sk"}, ["key"]),
        ({"endpoint": "img", "prompt": "x", "model_id": "m"}, ["endpoint"]),
        ({"endpoint": 5, "prompt": "x", "model_id": "m"}, ["endpoint"]),
        (5, ["spec"]),
        (None, ["spec"]),
        ([("prompt", "x")], ["spec"]),
    ],
)
def test_dict_with_faults(data: Any, fields: list[str]) -> None:
    """
    All faults of a dict come at once, never another exception.
    """
    with pytest.raises(SpecError) as caught:
        from_dict(data)

    assert [one.field for one in caught.value.problems] == fields


# What is doubted


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, []),
        ({"width": 256, "height": 1024}, []),
        ({"width": 1488}, ["width"]),
        ({"height": 128}, ["height"]),
        ({"num_inference_steps": 31}, []),
        ({"num_inference_steps": 4}, []),
        ({"num_inference_steps": 40}, ["num_inference_steps"]),
        ({"guidance_scale": 0.5}, ["guidance_scale"]),
        ({"clip_skip": 8}, []),
        ({"lora_strength": [0.5, 1.5]}, ["lora_strength"]),
        ({"negative_prompt": "dogs"}, []),
        ({"model_id": "flux", "negative_prompt": "x"}, ["negative_prompt"]),
        ({"model_id": "flux", "negative_prompt": ""}, []),
        ({"model_id": "flux", "upscale": False}, []),
        ({"model_id": "fluxdev", "highres_fix": True}, ["highres_fix"]),
    ],
)
def test_doubts(fields: dict[str, Any], names: list[str]) -> None:
    """
    What some sources forbid and some models take is warned about, no more.
    """
    assert doubts(**fields) == names


def test_doubt_names_the_callers_line() -> None:
    """
    The warning stands at the line that asked.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wide = TextToImage("a cat", model_id="sdxl", width=1488)
        attrs.evolve(wide, seed=1)

    assert [str(one.message) for one in caught] == [
        "width: 1488 is outside of 256 to 1024; not every model takes it"
    ] * 2
    assert [one.filename for one in caught] == [__file__, __file__]
    assert caught[1].lineno == caught[0].lineno + 1


def test_refused_is_not_doubted() -> None:
    """
    A request that is refused gives no warnings beside.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        faults(width=1488, samples=9)

    assert caught == []


# The page for users

DOCS = Path(__file__).parent.parent / "docs" / "requests.md"


def test_docs_name_every_parameter() -> None:
    """
    The table of the docs has each parameter once, in the order of the fields.
    """
    rows = re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), re.MULTILINE)

    assert rows == list(parameters(TextToImage))


def test_docs_name_every_word() -> None:
    """
    The docs list what each enumeration may be.
    """
    text = DOCS.read_text()

    assert [
        word
        for words in PAGE["options"].values()
        for word in words
        if f"`{word}`" not in text
    ] == []


def test_docs_run(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The snippets of the docs run, and print what the docs say.
    """
    text = DOCS.read_text()
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)

    with warnings.catch_warnings():
        exec("\n".join(snippets), {})

    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("given", ["a cat", None, {}, TextToImage])
def test_only_specs_are_dicts(given: Any) -> None:
    """
    What is no spec has no dict, and says so.
    """
    with pytest.raises(SpecError, match="must be a spec"):
        to_dict(given)
