"""
What is typed without a name, or under a wrong one: each is told what to type
instead, before anything is asked for.
"""

from __future__ import annotations

import functools
import io
import json
import shlex
import subprocess
import sys

from pathlib import Path

import pytest

from PIL import Image as Picture
from shells import Type, modelslab_settings, service, type_

from modelslab_async._cli import shell
from modelslab_async.simulator import Simulator
from modelslab_async.specs import SPECS, near, parameters


__all__ = ["modelslab_settings", "service", "type_"]


#: More pictures than are named one by one.
MANY = [f"many/{number}.jpg" for number in range(4)]


@functools.cache
def _picture() -> bytes:
    drawn = io.BytesIO()
    Picture.new("RGB", (64, 64), "red").save(drawn, "PNG")
    return drawn.getvalue()


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    # Pictures, one without an ending, and a file that is none.
    (tmp_path / "fox").mkdir()
    (tmp_path / "many").mkdir()
    for name in ("fox/1.png", "fox/2.png", "my cat.png", "photo", *MANY):
        (tmp_path / name).write_bytes(_picture())
    (tmp_path / "p.txt").write_text("in oil\nin ink\n")


# Names


OPTIONS = [
    (name, option)
    for name, command in shell.commands.items()
    for param in command.params
    for option in param.opts
    if option.startswith("--") and len(option) > 5
]


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_an_option_that_is_misspelt(
    type_: Type, command: str, option: str
) -> None:
    """
    Of every option of every command a slip is told what was meant.
    """
    slip = f"--{option[2]}{option[2:]}"

    ran = type_(command, slip)

    assert ran.code == 2
    assert f"there is no option '{slip}'; did you mean '{option}'?" in ran.err


@pytest.mark.parametrize("name", shell.commands)
def test_a_command_that_is_misspelt(type_: Type, name: str) -> None:
    """
    Of every command a slip is told what was meant.
    """
    ran = type_(name[:-1])

    assert ran.code == 2
    assert f"did you mean '{name}'?" in ran.err


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(
    "words",
    [
        ["endpoints"],
        ["generate", "-e"],
        # Its option is the same.
        pytest.param(["batch", "p.txt", "-e"], marks=pytest.mark.slow),
    ],
)
def test_an_endpoint_that_is_misspelt(
    type_: Type, name: str, words: list[str]
) -> None:
    """
    A slip of any endpoint's name is told what was meant, in a few lines that
    do not list them all.
    """
    ran = type_(*words, f"{name[:1]}{name}")

    assert ran.code == 2
    assert f"did you mean '{name}'?" in ran.err
    assert sum(other in ran.err for other in SPECS) < 4
    assert len(ran.err.splitlines()) == 3


@pytest.mark.parametrize("name", SPECS)
def test_an_endpoint_in_another_spelling(type_: Type, name: str) -> None:
    """
    Hyphens and underscores are alike, and large letters small.
    """
    spelt = type_("endpoints", name.replace("_", "-").upper())

    assert spelt.code == 0
    assert spelt.out == type_("endpoints", name).out


def test_an_endpoint_of_a_row(type_: Type, service: Simulator) -> None:
    """
    A row may spell its endpoint so, too, and is completed as any other; a
    slip is its only fault.
    """
    row = b'{"endpoint": "%s", "prompt": "in oil"}'
    words = ("batch", "-", "--image", "fox/1.png")

    ran = type_(*words, stdin=row % b"Realtime-Img2Img")
    slip = type_(*words, stdin=row % b"realtime_img2imgg")

    (entry,) = service.books.accepted
    assert ran.code == 0, ran.err
    assert entry.spec["init_image"]
    assert "did you mean 'realtime_img2img'?" in slip.err
    assert "1 fault" in slip.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["endpoints", "nothing"], "modelslab-async endpoints lists them"),
        (["generate", "x", "--num-inference-steps", "9"], "mean '--steps'?"),
        (["generate", "x", "--negative-prompt", "y"], "mean '--negative'?"),
        (["generate", "x", "--scheduler", "y"], "say --set scheduler=VALUE"),
        (["batch", "p.txt", "--width", "9"], "have a field 'width'"),
        (["batch", "p.txt", "--format", "json"], "mean 'jsonl'?"),
        (["remove-background", "x.png"], "generate -e remove_background"),
        (["cluster", "stats"], "did you mean 'status'?"),
        (["simulate", "--etas", "abset"], "did you mean 'absent'?"),
        (["simulate", "--set", "slos=3"], "did you mean 'slots'?"),
        (
            ["simulate", "--set", 'keys={"poor": "no_credit"}'],
            "'no_credit' is none of good, blocked, no-credit, monthly-limit,",
        ),
        (
            ["simulate", "--set", 'unlike=["no-etas"]'],
            "'no-etas' is none of key-in-header, ",
        ),
        (["generate", "x", "--set", "steps=3"], "'num_inference_steps'?"),
        (
            ["generate", "x", "--set", "scheduler=Eulr"],
            "scheduler: has no 'Eulr'; did you mean 'Euler'?",
        ),
        (["generate", "x", "-m", "a", "--set", "model_id=b"], "given twice"),
        (["generate", "x", "--set", "seed=1", "--set", "seed=2"], "twice"),
    ],
)
def test_what_was_meant(type_: Type, words: list[str], said: str) -> None:
    """
    Whoever errs is told what to type.
    """
    ran = type_(*words)

    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("endpoint", SPECS)
def test_a_parameter_that_is_misspelt(endpoint: str) -> None:
    """
    A slip of any parameter's name is told what was meant.
    """
    names = list(parameters(SPECS[endpoint]))

    for name in names:
        slip = f"{name[:-2]}{name[-1]}{name[-2]}"
        if slip not in names:
            assert near(slip, names) == f"; did you mean {name!r}?"


def test_a_model_that_is_misspelt(
    type_: Type,
    service: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Of the models that were listed last, the one that was meant is named;
    where none was, how to list them.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    service.change(unknown_models=["fluxx"])

    before = type_("generate", "a", "-m", "fluxx")
    type_("models")
    one = type_("generate", "a", "-m", "fluxx")
    many = type_("batch", "p.txt", "-m", "fluxx", "-o", "out")

    assert before.code == one.code == many.code == 1
    assert "modelslab-async models lists what is public" in before.err
    assert "; did you mean 'flux'?" in one.err
    assert many.err.count("; did you mean 'flux'?") == 2


# Prompts and pictures


@pytest.mark.parametrize(
    ("words", "pictures"),
    [
        (["in oil", "-e", "img2img", "--image", "fox/1.png"], 1),
        (["in oil", "-e", "img2img", "--image", "photo", "fox/2.png"], 2),
        (["-e", "img2img", "--image", "fox/1.png", "fox/2.png", "in oil"], 2),
        (["-e", "img2img", "--image=fox/1.png", "fox/2.png", "in oil"], 2),
        (["in oil", "--image", "fox/1.png", "photo", "-e", "img2img"], 2),
        (["in oil", "--image", "my cat.png", "photo", "-e", "img2img"], 2),
        (["-e", "img2img", "--image", "photo", "--", "in oil"], 1),
        (["-e", "remove-background", "photo"], 1),
        (["-e", "remove-background", "--image", "photo"], 1),
        (["-e", "face_swap_all", "fox/1.png", "fox/2.png"], 2),
        (["-e", "face_swap_all", "--image", "fox/1.png", "fox/2.png"], 2),
        (["-e", "face_swap_all", "fox/1.png", "--image", "fox/2.png"], 2),
    ],
    ids=str,
)
def test_pictures_on_a_command_line(
    type_: Type, service: Simulator, words: list[str], pictures: int
) -> None:
    """
    As many pictures as a shell's star may give stand after one --image, or,
    where there is no prompt, by themselves.
    """
    ran = type_("generate", *words)

    (entry,) = service.books.accepted
    asked = [
        one
        for name, value in entry.spec.items()
        if name.endswith("image") and value
        for one in (value if isinstance(value, list) else [value])
    ]
    assert ran.code == 0, ran.err
    assert len(asked) == pictures
    assert entry.spec.get("prompt", "in oil") == "in oil"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # A prompt where none is taken.
        (
            ["a cat", "-e", "remove_background", "--image", "photo"],
            "remove_background takes no prompt; leave out 'a cat'",
        ),
        (
            ["photo", "a cat", "-e", "remove_background"],
            "remove_background takes no prompt; leave out 'a cat'",
        ),
        (
            ["a cat", "-e", "remove_background"],
            "takes a picture and no prompt, and there is no picture at",
        ),
        (
            ["-e", "remove_background", "photo", "--set", "prompt=a cat"],
            "prompt: remove_background takes none",
        ),
        # Pictures: too many, none taken, at the wrong place, not there.
        (
            ["-e", "remove_background", "--image", "photo", "fox/1.png"],
            "takes 1 picture; 'fox/1.png' is one too many; to ask with each",
        ),
        (
            ["-e", "remove_background", "--image", *MANY],
            "a line for each: ls many/*.jpg | modelslab-async batch - -e remo",
        ),
        (
            ["in oil", "-e", "interior", "--image", *MANY],
            """ | sed 's/.*/{"prompt": "in oil", "init_image": "&"}/' | mod""",
        ),
        (
            ["a", "--image", "photo", "fox/1.png"],
            "text2img takes 1 picture; 'fox/1.png' is one too many",
        ),
        (
            ["a", "-e", "text2img_v7", "--image", "photo"],
            "text2img_v7 takes no picture; leave out 'photo'",
        ),
        (
            ["a", "photo", "-e", "text2img_v7"],
            "text2img_v7 takes no picture; leave out 'photo'",
        ),
        (["a", "photo", "-e", "img2img"], "--image photo"),
        (["my cat.png", "-e", "img2img"], "--image 'my cat.png'"),
        (["a", "-e", "img2img", "--image", "fox/*.gif"], "no file is called"),
        (["a", "-e", "img2img", "--image", "gone.png"], "gone.png"),
        (["a", "-e", "img2img", "--image", "photo", "g.png"], "g.png': No su"),
        (
            ["a", "-e", "img2img", "--image", "p.txt"],
            "is no picture (PNG, JPEG, WebP or GIF)",
        ),
        # What is needed and not there.
        (["a", "-e", "img2img"], "is required; say --image INIT_IMAGE"),
        (["-e", "inpaint"], "say PROMPT --image INIT_IMAGE MASK_IMAGE"),
        (["-e", "try_on", "--image", "photo"], "say --image CLOTH_IMAGE --se"),
        ([], "prompt: is required; say PROMPT"),
        # Prompts: of several words, twice.
        (["a", "red", "fox"], "stands in quotes: 'a red fox'"),
        (["a", "--set", "prompt=b"], "the prompt is given twice"),
        (["a" * 5000, "b", "-e", "img2img", "--image", "photo"], "in quotes"),
    ],
)
def test_what_is_at_a_wrong_place(
    type_: Type, service: Simulator, words: list[str], said: str
) -> None:
    """
    Whatever is one too many is called what it is, with what to type.
    """
    ran = type_("generate", *words)

    assert ran.code == 2
    assert said in ran.err
    assert service.books.entries == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["p.txt", "p.txt"], "cat p.txt p.txt | modelslab-async batch -"),
        (["photo", "fox/1.png"], "ls photo fox/1.png | modelslab-async batch"),
        (["photo", "p.txt"], "batch - -e ENDPOINT; no picture: p.txt"),
        # Whatever was typed stays, every file too.
        (
            [*MANY, "-e", "remove-background", "-o", "my out"],
            "many/*.jpg | modelslab-async batch - -e remove-background -o 'my",
        ),
        (
            [*MANY, "photo", "-e", "remove-background"],
            f"ls {' '.join(MANY)} photo | modelslab-async batch - -e remove",
        ),
        ([*MANY, "-e", "text2img_v7"], "lines of it; text2img_v7 takes none"),
        (
            [*MANY, "-e", "img2img"],
            """| sed 's/.*/{"prompt": "PROMPT", "init_image": "&"}/' | mod""",
        ),
        (["p.txt", "-e", "remove_background"], "1: image: remove_background"),
        (
            ["p.txt", "-e", "remove_background", "--image", "photo"],
            "takes a picture and no prompt, and there is no picture at 'in oi",
        ),
    ],
)
def test_what_a_batch_does_not_take(
    type_: Type, service: Simulator, words: list[str], said: str
) -> None:
    """
    Several inputs, pictures in an input's place, prompts where none are
    taken: each is told what to type.
    """
    ran = type_("batch", *words)

    assert ran.code == 2
    assert said in ran.err
    assert service.books.entries == []


@pytest.mark.parametrize("command", ["generate", "batch"])
def test_more_pictures_than_a_model_takes(
    type_: Type, service: Simulator, command: str
) -> None:
    """
    What is sent all the same is noted, before it is paid for.
    """
    row = {"prompt": "a", "init_image": MANY, "model_id": "flux"}

    ran = (
        type_("generate", "a", "-e", "img2img", "--image", *MANY)
        if command == "generate"
        else type_(
            "batch", "-", "-e", "img2img", stdin=json.dumps(row).encode()
        )
    )

    assert ran.code == 0, ran.err
    assert ran.err.count("flux takes 1") == 1


@pytest.mark.parametrize(
    ("lines", "endpoint", "said"),
    [
        ("many/0.jpg", "img2img", "takes a prompt, and 'many/0.jpg' is a pi"),
        ("photo", "text2img", "1: prompt: text2img takes a prompt, and 'phot"),
        ("gone.png", "img2img", "'gone.png' is a picture"),
        ("in oil", "img2img", "1: init_image: is required"),
        ("in oil", "img2img", "so each line is one; a picture for all of th"),
        ("in oil", "img2img", """| sed 's/.*/{"prompt": "PROMPT", "init_"""),
    ],
)
def test_lines_that_were_taken_for_prompts(
    type_: Type, service: Simulator, lines: str, endpoint: str, said: str
) -> None:
    """
    Where lines are prompts and pictures are needed, how to say both is told.
    """
    ran = type_("batch", "-", "-e", endpoint, stdin=lines.encode())

    assert ran.code == 2
    assert said in ran.err
    assert service.books.entries == []


def test_pictures_for_rows_that_name_none(
    type_: Type, service: Simulator, tmp_path: Path
) -> None:
    """
    A row that names its pictures keeps them, and is lent what it lacks.
    """
    rows = [
        '{"prompt": "a", "init_image": "fox/1.png", "mask_image": "photo"}',
        '{"prompt": "b", "init_image": "fox/1.png"}',
        '{"endpoint": "remove_background", "image": "fox/1.png"}',
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))

    ran = type_(
        *("batch", "rows.jsonl", "-e", "inpaint", "-o", "out"),
        *("--image", "photo"),
    )

    named = [
        {name for name in entry.spec if name.endswith("image")}
        for entry in service.books.accepted
    ]
    assert ran.code == 0, ran.err
    assert sorted(map(len, named)) == [1, 2, 2]


@pytest.mark.slow
@pytest.mark.parametrize("files", [0, 1, 2])
@pytest.mark.parametrize("program", ["bash", "zsh"])
def test_a_star_after_image(tmp_path: Path, files: int, program: str) -> None:
    """
    What a shell makes of a star works with any number of files, and is told
    where there are none.
    """
    for path in list((tmp_path / "fox").iterdir())[files:]:
        path.unlink()
    command = (
        f"{shlex.quote(sys.executable)} -m modelslab_async generate oil "
        "-e img2img --image fox/*.png --simulate --speed 100"
    )
    try:
        ran = subprocess.run(
            [program, "-c", command],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip(f"there is no {program} here")

    assert (ran.returncode == 0) is bool(files), ran.stderr
    assert "fox/*.png" in ran.stderr or files
