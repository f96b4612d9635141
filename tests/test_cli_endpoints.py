"""
Any endpoint from the shell: pictures as inputs, rows of all kinds, lists,
and completion.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from PIL import Image as Picture
from shells import Type, modelslab_settings, service, type_

from modelslab_async._cli.requests import with_pictures
from modelslab_async.simulator import Simulator
from modelslab_async.specs import SPECS, parameters, required_parameters


__all__ = ["modelslab_settings", "service", "type_"]


@pytest.fixture
def photo(tmp_path: Path) -> Callable[[str], Path]:
    """
    A picture of this machine.
    """

    def photo(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Picture.new("RGB", (64, 64), name.encode()[0]).save(path)
        return path

    return photo


def test_a_picture_from_a_picture(
    type_: Type, service: Simulator, photo: Callable[[str], Path]
) -> None:
    """
    A local file is uploaded, and its URL is asked with.
    """
    photo("cat.png")

    ran = type_("generate", "in oil", "-e", "img2img", "--image", "cat.png")

    (entry,) = service.books.accepted
    assert ran.code == 0, ran.err
    assert str(entry.spec["init_image"]).startswith("http")
    assert entry.spec["model_id"] == "flux"


def test_the_picture_comes_first_where_there_is_no_prompt(
    type_: Type, service: Simulator, photo: Callable[[str], Path]
) -> None:
    """
    An endpoint without a prompt takes its picture in the prompt's place, and
    no model.
    """
    photo("cat.png")

    ran = type_("generate", "-e", "remove_background", "cat.png")
    also = type_("generate", "-e", "remove_background", "--image", "cat.png")

    assert ran.code == also.code == 0, ran.err + also.err
    assert all(
        "model_id" not in entry.spec for entry in service.books.accepted
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-e", "img2img", "a"], "init_image: is required"),
        (["-e", "img2img", "a", "--image", "gone.png"], "gone.png"),
        (["-e", "img2img", "a", "--image", "."], "init_image"),
        (["-e", "what", "a"], "there is no endpoint 'what'"),
        (["-e", "remove_background", "x.png", "-m", "flux"], "model_id"),
        (["a", "--image", "a.png", "--image", "b.png"], "takes 1 picture"),
        ([], "prompt: is required"),
    ],
)
def test_what_cannot_be_asked(
    type_: Type, service: Simulator, words: list[str], said: str
) -> None:
    """
    What an endpoint does not take is told before anything is asked for.
    """
    ran = type_("generate", *words)

    assert ran.code == 2
    assert said in ran.err
    assert service.books.entries == []


@pytest.mark.parametrize(
    ("endpoint", "pictures", "row"),
    [
        ("inpaint", ["a", "b"], {"init_image": "a", "mask_image": "b"}),
        (
            "inpaint",
            ["a", "b", "c"],
            {"init_image": "a", "mask_image": "b", "ip_adapter_image": "c"},
        ),
        ("img2img", ["a", "b", "c"], {"init_image": ["a", "b", "c"]}),
        ("img2img", ["a"], {"init_image": "a"}),
        ("remove_background", ["a"], {"image": "a"}),
    ],
)
def test_where_pictures_go(
    endpoint: str, pictures: list[str], row: dict[str, object]
) -> None:
    """
    Pictures go where they are needed first; several where several fit.
    """
    assert with_pictures(SPECS[endpoint], {}, pictures) == row


def test_rows_of_all_kinds(
    type_: Type,
    service: Simulator,
    photo: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """
    Each row may name its endpoint; local pictures lie where the file does.
    """
    photo("in/cat.png")
    rows = [
        {"prompt": "a cat"},
        {"endpoint": "img2img", "prompt": "b", "init_image": "cat.png"},
        {"endpoint": "remove_background", "image": "cat.png"},
    ]
    (tmp_path / "in" / "rows.jsonl").write_text(
        "\n".join(map(json.dumps, rows))
    )

    ran = type_("batch", "in/rows.jsonl", "-o", "out", "--json")

    assert ran.code == 0, ran.err
    assert {each["endpoint"] for each in ran.objects} == {
        "text2img",
        "img2img",
        "remove_background",
    }
    assert len(service.books.accepted) == 3


def test_pictures_a_line(
    type_: Type, service: Simulator, photo: Callable[[str], Path]
) -> None:
    """
    Where an endpoint takes no prompt, a line of text is its picture.
    """
    photo("a.png")
    photo("b.png")

    ran = type_(
        *("batch", "-", "-e", "remove_background", "-o", "out"),
        stdin=b"# mine\na.png\nb.png\n",
    )

    assert ran.code == 0, ran.err
    assert len(service.books.accepted) == 2


def test_one_picture_for_all_rows(
    type_: Type, service: Simulator, photo: Callable[[str], Path]
) -> None:
    """
    A picture of the command line is every row's that names none.
    """
    photo("a.png")

    ran = type_(
        *("batch", "-", "-e", "img2img", "--image", "a.png", "-o", "out"),
        stdin=b"in oil\nin ink\n",
    )

    assert ran.code == 0, ran.err
    assert (
        len({str(e.spec["init_image"]) for e in service.books.accepted}) == 1
    )


def test_endpoints(type_: Type) -> None:
    """
    All endpoints are listed, without a key.
    """
    ran = type_("endpoints")
    told = type_("endpoints", "--json")

    assert [line.split()[0] for line in ran.lines] == list(SPECS)
    assert [each["endpoint"] for each in told.objects] == list(SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_one_endpoint(type_: Type, name: str) -> None:
    """
    Each of its parameters is told with its range, and whether it is needed.
    """
    ran = type_("endpoints", name)

    kind = SPECS[name]
    assert ran.code == 0
    for parameter, facts in parameters(kind).items():
        (line,) = (x for x in ran.lines if x.startswith(f"{parameter}: "))
        assert facts.wanted in line
        assert ("required" in line) is (parameter in required_parameters(kind))


def test_models(type_: Type, service: Simulator) -> None:
    """
    Public models are listed and looked through.
    """
    every = type_("models")
    some = type_("models", "flux")
    none = type_("models", "no such thing")

    assert every.code == some.code == 0
    assert 0 < len(some.lines) < len(every.lines)
    assert none.code == 1


COMPLETE = """
eval "$({} {} )"
COMP_WORDS=({})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
registered=$(complete -p modelslab-async)
function=${{registered#*-F }}
${{function%% *}} modelslab-async
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "offered", "not_offered"),
    [
        ("modelslab-async ge", {"generate"}, {"batch"}),
        ("modelslab-async generate --im", {"--image"}, {"--json"}),
        ("modelslab-async generate -e img", {"img2img"}, {"inpaint"}),
        ("modelslab-async endpoints rem", {"remove_background"}, set()),
        ("modelslab-async generate -m flux", {"flux"}, {"sdxl"}),
    ],
)
def test_completion(
    type_: Type,
    service: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    offered: set[str],
    not_offered: Collection[str],
) -> None:
    """
    Bash completes commands, options, endpoints, and models listed before,
    however the shell was installed.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    type_("models")
    binaries = tmp_path / "bin"
    binaries.mkdir()
    program = binaries / "modelslab-async"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} -m modelslab_async "$@"\n'
    )
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{binaries}:{os.environ['PATH']}"}

    source = "_MODELSLAB_ASYNC_COMPLETE=bash_source"
    done = subprocess.run(
        ["bash", "-c", COMPLETE.format(source, "modelslab-async", typed)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    found = set(done.stdout.split())
    assert offered <= found, done.stderr
    assert not found.intersection(not_offered)


@pytest.fixture
def started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """
    What ``python -m modelslab_async`` prints.
    """

    def started(*words: str) -> str:
        monkeypatch.delitem(
            sys.modules, "modelslab_async.__main__", raising=False
        )
        monkeypatch.setattr(sys, "argv", ["-m", *words])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(
                "modelslab_async", run_name="__main__", alter_sys=True
            )
        assert ended.value.code == 0
        return capsys.readouterr().out

    return started


def test_the_program_has_one_name(
    type_: Type, started: Callable[..., str]
) -> None:
    """
    However it is started, the shell calls itself by its name.
    """
    assert started("--version").startswith("modelslab-async, version ")
    assert type_("generate", "--help").out.startswith(
        "Usage: modelslab-async generate"
    )


@pytest.mark.parametrize(
    "shell",
    [
        "bash",
        *(pytest.param(a, marks=pytest.mark.slow) for a in ("zsh", "fish")),
    ],
)
def test_completion_of_each_shell(
    started: Callable[..., str], monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    """
    Each shell is given a script of its own, under the program's name.
    """
    monkeypatch.setenv("_MODELSLAB_ASYNC_COMPLETE", f"{shell}_source")

    script = started()

    assert "modelslab-async" in script
    assert f"{shell}_complete" in script
