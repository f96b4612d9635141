from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from PIL import Image as Picture
from shells import Hurried, Type, modelslab_settings, service, type_
from waiting import look_until

from modelslab_async import TextToImage, __main__
from modelslab_async._cli import run, shell
from modelslab_async._cli.screen import Screen
from modelslab_async.simulator import (
    Fault,
    KeyState,
    Reply,
    Simulator,
)


__all__ = ["modelslab_settings", "service", "type_"]


def _prompts(tmp_path: Path, *prompts: str) -> str:
    path = tmp_path / "prompts.txt"
    path.write_text("\n".join(prompts))
    return path.name


# The door


def test_without_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Where click is missing, one line says what to install.
    """
    for name in list(sys.modules):
        if name.startswith("modelslab_async._cli"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "click", None)

    code = __main__.main()

    said = capsys.readouterr().err
    assert code == 2
    assert said.count("\n") == 1
    assert 'pip install "modelslab-async[cli]"' in said


def test_an_interrupt_while_it_loads() -> None:
    """
    Ctrl-C ends it before its first word, too, and without a traceback.
    """
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "modelslab_async"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        # What comes next is the client, and takes longest.
        while "modelslab_async.specs" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert "modelslab_async._cli" not in err


@pytest.mark.parametrize("words", [[], ["cluster"]])
def test_nothing_typed(type_: Type, words: list[str]) -> None:
    """
    Who types nothing is shown what can be typed, once.
    """
    ran = type_(*words)

    assert ran.code == 2
    assert ran.err.startswith("Usage: ")
    assert ran.err.count("Usage: ") == 1


@pytest.mark.parametrize("command", ["", *shell.commands])
def test_help(type_: Type, command: str) -> None:
    """
    Every command, and every option of it, says what it is for.
    """
    ran = type_(*command.split(), "--help")

    options = shell.commands[command].params if command else []
    assert ran.code == 0
    assert ran.out.startswith("Usage: ")
    assert all(
        option.help for option in options if isinstance(option, click.Option)
    )
    assert "..." not in ran.out.replace("[ARGS]...", "")


@pytest.mark.parametrize(
    "command",
    ["", "batch", "doctor", "fetch", "generate", "models", "unknown"],
)
def test_help_says_the_exit_codes(type_: Type, command: str) -> None:
    """
    Every command that asks says what its exit codes mean, with examples.
    """
    ran = type_(*command.split(), "--help")

    assert "Exit codes: 0 " in ran.out
    assert "    modelslab-async " in ran.out


@pytest.mark.parametrize(
    "words",
    [
        ["draw"],
        ["generate"],
        ["generate", "a cat", "--width", "wide"],
        ["generate", "a cat", "--set", "vae"],
        ["generate", "a cat", "--set", "key=s3cret"],
        ["batch", "nowhere.txt"],
        ["batch", "p.txt", "--slots", "0"],
        ["status", "nowhere"],
        ["simulate", "--set", "speed=-1"],
        ["simulate", "--set", "sped=1"],
        ["simulate", "--replay", "nowhere.jsonl"],
        ["simulate", "--replay", "p.txt"],
        ["generate", "a cat", "--simulate", "--seed", "-1"],
        ["generate", " ", "--simulate"],
    ],
)
def test_wrong_usage(type_: Type, words: Sequence[str]) -> None:
    """
    What cannot be is exit code 2, said on stderr, without a traceback.
    """
    ran = type_(*words)

    assert ran.code == 2
    assert ran.out == ""
    assert ran.err
    assert "Traceback" not in ran.err
    assert "s3cret" not in ran.err


def test_no_key(type_: Type) -> None:
    """
    Without a key the shell says where to get one.
    """
    ran = type_("generate", "a cat")

    assert ran.code == 2
    assert "https://modelslab.com/dashboard/api-keys" in ran.err


# generate and fetch


def test_generate_simulated(type_: Type) -> None:
    """
    A picture comes out without key or network, and stdout is its path.
    """
    ran = type_(
        *("generate", "a cat", "--simulate", "--speed", "100"),
        *("--width", "256", "--height", "320", "-o", "out"),
    )

    assert ran.code == 0, ran.err
    (path,) = ran.lines
    with Picture.open(path) as picture:
        assert picture.size == (256, 320)


def test_generate_asks_what_was_said(type_: Type, service: Simulator) -> None:
    """
    Every option reaches the service as the field that it stands for.
    """
    ran = type_(
        *("generate", "a cat", "-m", "sdxl", "-n", "2", "--seed", "7"),
        *("--steps", "20", "--guidance", "7", "--negative", "dogs", "--json"),
        *("--set", "scheduler=DDIMScheduler", "--set", "clip_skip=2"),
    )

    (entry,) = service.books.entries
    asked = {
        "model_id": "sdxl",
        "samples": 2,
        "seed": 7,
        "clip_skip": 2,
        "num_inference_steps": 20,
        "negative_prompt": "dogs",
        "scheduler": "DDIMScheduler",
        "guidance_scale": 7.0,
    }
    (told,) = ran.objects
    assert ran.code == 0, ran.err
    assert entry.spec.items() >= asked.items()
    assert told["seed"] == 7
    assert len(told["paths"]) == 2  # type: ignore[arg-type]
    assert told["track_id"] == entry.track_id


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"keys": {}}, 3),
        ({"keys": {"s3cret": KeyState.NO_CREDIT}}, 3),
        ({"keys": {"s3cret": KeyState.PREMIUM_ONLY}}, 3),
        ({"failing": "cat"}, 1),
        ({"unknown_models": {"flux"}}, 1),
    ],
)
def test_generate_refused(
    type_: Type, service: Simulator, settings: dict[str, object], code: int
) -> None:
    """
    An account that may not is 3; a job that fails is 1.
    """
    service.change(profile="documented", **settings)

    ran = type_("generate", "a cat")

    assert ran.code == code
    assert ran.out == ""
    assert "s3cret" not in ran.err
    # Of a key that is no good, where it came from is said.
    assert ("MODELSLAB_API_KEY" in ran.err) is (settings == {"keys": {}})


def test_words_of_the_service(type_: Type, service: Simulator) -> None:
    """
    What the service says can neither colour a terminal nor be markup.
    """
    service.change(failing="cat")
    prompt = "a cat \x1b[31m\u202e [red]x[/red] :cat:"

    ran = type_("batch", "-", stdin=prompt.encode())

    assert ran.code == 1
    assert "\x1b" not in ran.err
    assert "\u202e" not in ran.err
    assert "[red]x[/red] :cat:" in ran.err


def test_timeout_says_how_to_go_on(type_: Type, service: Simulator) -> None:
    """
    Out of patience, the shell names the command that fetches the job.
    """
    service.change(latency=500.0)

    ran = type_("generate", "a cat", "--timeout", "0.2", "-o", "my out")

    (job_id,) = service.books.jobs
    assert ran.code == 1
    assert f"fetch {job_id} -o 'my out'" in ran.err
    assert max(map(len, ran.err.splitlines())) < 160


def test_fetch(type_: Type, service: Simulator) -> None:
    """
    A job is fetched by its id, by another process.
    """
    service.change(latency=50.0)
    type_("generate", "a cat", "--timeout", "0.2")
    (job_id,) = service.books.jobs

    ran = type_("fetch", str(job_id), "-o", "out", "--json")

    (told,) = ran.objects
    assert ran.code == 0, ran.err
    assert told["job_id"] == str(job_id)
    assert len(service.books.accepted) == 1


@pytest.mark.parametrize("by", ["option", "environment"])
def test_by_a_proxy(
    type_: Type, service: Simulator, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """
    A proxy that is named is asked, whatever the service is called.
    """
    monkeypatch.setenv("MODELSLAB_BASE_URL", "http://service.invalid/api/v6")
    # Of a URL with a host it knows the path: so it can stand for a proxy.
    wrong = "http://127.0.0.1:1"
    monkeypatch.setenv(
        "MODELSLAB_PROXY", service.origin if by == "environment" else wrong
    )
    options = ["--proxy", service.origin] if by == "option" else []

    ran = type_("models", *options)

    assert ran.code == 0, ran.err
    assert "flux  Flux" in ran.lines


@pytest.mark.parametrize("command", ["status", "unknown"])
def test_a_folder_without_a_batch(
    type_: Type, service: Simulator, tmp_path: Path, command: str
) -> None:
    """
    Where no batch was, its commands say so.
    """
    ran = type_(command, str(tmp_path))

    assert ran.code == 2
    assert f"there is no batch in '{tmp_path}'" in ran.err


@pytest.mark.parametrize(("job", "code"), [("1", 1), ("no such id", 2)])
def test_fetch_unknown(type_: Type, job: str, code: int) -> None:
    """
    An id that nobody knows is a failure, what is no id wrong usage.
    """
    ran = type_("fetch", job, "--simulate", "--speed", "1000")

    assert ran.code == code
    assert ran.out == ""


@pytest.mark.parametrize("words", [["generate", "a cat"], ["fetch", "12"]])
def test_where_no_picture_can_be_kept(
    type_: Type, service: Simulator, tmp_path: Path, words: list[str]
) -> None:
    """
    A folder that cannot be is told before a picture is paid for.
    """
    _prompts(tmp_path, "a cat")

    ran = type_(*words, "-o", "prompts.txt/out")

    assert ran.code == 2
    assert "Not a directory; nothing was asked for" in ran.err
    assert service.books.entries == []


def test_no_folder_for_nothing(
    type_: Type, service: Simulator, tmp_path: Path
) -> None:
    """
    Where nothing came of it, no empty folder is left.
    """
    service.change(keys={})

    ran = type_("generate", "a cat", "-o", "out")

    assert ran.code == 3
    assert list(tmp_path.iterdir()) == []


def test_a_bound_in_the_words_of_the_shell(
    type_: Type, service: Simulator, tmp_path: Path
) -> None:
    """
    A bound that is reached is called as it was typed.
    """
    name = _prompts(tmp_path, "a cat", "a dog")

    ran = type_("batch", name, "-o", "out", "--max-images", "1")
    said = type_("status", "out")

    words = "stopped early: --max-images 1 is reached"
    assert ran.code == 1
    assert words in ran.err
    assert words in said.out


# batch


def test_batch_simulated(type_: Type, tmp_path: Path) -> None:
    """
    A batch prints the paths of its pictures, and where to look at them.
    """
    name = _prompts(tmp_path, "a cat", "a dog", "# no bird", "a fish")

    ran = type_("batch", name, "--simulate", "--speed", "100", "-o", "out")

    assert ran.code == 0, ran.err
    assert len(ran.lines) == 3
    for line in ran.lines:
        with Picture.open(line) as picture:
            picture.load()
    assert "3 of 3 done, 0 failed" in ran.err
    assert str(tmp_path / "out" / "index.html") in ran.err
    assert (tmp_path / "out" / "index.html").exists()


def test_batch_json(type_: Type, service: Simulator) -> None:
    """
    With --json every outcome is a line, failures too.
    """
    service.change(failing="dog")
    lines = b'{"prompt": "a cat", "item": "c"}\n{"prompt": "a dog", "item": 7}'

    ran = type_("batch", "-", "--json", stdin=lines)

    told = {each["item"]: each for each in ran.objects}
    assert ran.code == 1
    assert told["c"]["error"] is None
    assert told["7"]["paths"] == []
    error = told["7"]["error"]
    assert isinstance(error, dict)
    assert error["type"] == "GenerationFailedError"


def test_some_lines_have_names(type_: Type, service: Simulator) -> None:
    """
    Lines with a name of one's own can stand beside lines without.
    """
    lines = b'{"prompt": "a cat", "item": "c"}\n{"prompt": "a dog"}\n'

    ran = type_("batch", "-", "--json", stdin=lines)

    assert ran.code == 0, ran.err
    assert {each["item"] for each in ran.objects} == {"c", None}


def test_batch_again(type_: Type, service: Simulator, tmp_path: Path) -> None:
    """
    The same batch again asks for what is missing, and prints all.
    """
    service.change(failing="dog")
    name = _prompts(tmp_path, "a cat", "a dog")
    first = type_("batch", name, "-o", "out")
    service.change(failing=None)

    second = type_("batch", name, "-o", "out", "--resubmit-failed")

    assert (first.code, second.code) == (1, 0), second.err
    assert len(second.lines) == 2
    assert len(service.books.accepted) == 3


@pytest.mark.slow
def test_batch_simulated_again(type_: Type, tmp_path: Path) -> None:
    """
    What a simulator left unfinished when it ended is asked of the next one.
    """
    name = _prompts(tmp_path, *map(str, range(10)))
    batch = ("batch", name, "--simulate", "-o", "out", "--speed")
    with _start(*batch, "2", cwd=tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()

    cut = type_("status", "out")
    ran = type_(*batch, "100", "--resubmit-unknown")

    assert "paid for, and not finished yet" in cut.out
    assert ran.code == 0, ran.err
    assert len(ran.lines) == 10


def test_simulated_folder_for_real(
    type_: Type, service: Simulator, tmp_path: Path
) -> None:
    """
    Pictures of a simulator are not taken for the service's.
    """
    name = _prompts(tmp_path, "a cat")
    type_("batch", name, "--simulate", "--speed", "100", "-o", "out")

    ran = type_("batch", name, "-o", "out")

    assert ran.code == 2
    assert "another folder" in ran.err
    assert service.books.entries == []


def test_faults_before_anything(
    type_: Type, service: Simulator, tmp_path: Path
) -> None:
    """
    One bad line among many, and nothing is asked for.
    """
    (tmp_path / "p.jsonl").write_text(
        '{"prompt": "a cat"}\n' + '{"prompt": "", "seed": -1}\n' * 30
    )

    ran = type_("batch", "p.jsonl")

    assert ran.code == 2
    assert ran.err.count("p.jsonl:2: ") == 2
    assert "p.jsonl: 60 faults, 20 shown; nothing was asked for" in ran.err
    assert service.books.entries == []


def test_one_fault(type_: Type) -> None:
    """
    A single fault is not said in the plural.
    """
    ran = type_("batch", "-", stdin=b'{"prompt": ""}')

    assert "stdin: 1 fault; nothing was asked for" in ran.err


def test_notes(type_: Type, service: Simulator) -> None:
    """
    What some models do not take is noted, counted, and asked for.
    """
    lines = b'{"prompt": "a cat", "width": 1488}\n' * 21

    ran = type_("batch", "-", "--dry-run", stdin=lines)

    assert ran.code == 0
    assert ran.err.count("note: width") == 20
    assert "21 notes, 20 shown" in ran.err


def test_empty_input(type_: Type) -> None:
    """
    An input that asks for nothing is wrong.
    """
    ran = type_("batch", "-", stdin=b"# later\n")

    assert ran.code == 2
    assert "nothing to ask for" in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "would ask for 2 requests, 5 pictures\n"),
        (
            ["--json"],
            json.dumps(
                {
                    "requests": 2,
                    "pictures": 5,
                    "there": 0,
                    "fetched": 0,
                    "reported": 0,
                }
            )
            + "\n",
        ),
    ],
)
def test_dry_run(type_: Type, words: Sequence[str], said: str) -> None:
    """
    A dry run says what it would cost, needs no key, and asks nothing.
    """
    lines = b'{"prompt": "a"}\n{"prompt": "b", "samples": 4}\n'

    ran = type_("batch", "-", "--dry-run", *words, stdin=lines)

    assert ran.code == 0
    assert ran.out == said


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"keys": {}}, 3),
        ({"keys": {"s3cret": KeyState.NO_CREDIT}}, 3),
        ({"keys": {"s3cret": KeyState.PREMIUM_ONLY}}, 3),
        ({"unknown_models": ["flux"]}, 1),
    ],
)
def test_batch_refused(
    type_: Type,
    service: Simulator,
    tmp_path: Path,
    settings: dict[str, object],
    code: int,
) -> None:
    """
    A batch whose account is refused says so with 3, and how to go on.
    """
    service.change(profile="documented", **settings)
    name = _prompts(tmp_path, "a cat", "a dog")

    ran = type_("batch", name, "-o", "out")

    assert ran.code == code, ran.err
    assert ("go on with: " in ran.err) is (code == 3)


def test_unknown_are_named(type_: Type, service: Simulator) -> None:
    """
    Who cannot know whether it paid is told what to look for.
    """
    service.next("submit", Fault.TORN)

    ran = type_("batch", "-", "-o", "my out", stdin=b"a cat")

    (entry,) = service.books.entries
    assert ran.code == 1
    assert "1 unknown" in ran.err
    assert str(entry.track_id) in ran.err
    # All that can be typed names the folder as it was typed.
    assert " unknown 'my out'\n" in ran.err


def test_plain_progress(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Away from a terminal progress is lines, with slots and time left.
    """
    monkeypatch.setattr("modelslab_async._cli.screen._LINES", 0.05)

    ran = type_("batch", "-", "--simulate", "--speed", "20", stdin=b"a\nb\nc")

    assert re.search(
        r"^\d done, 0 failed, \d in flight, ", ran.err, re.MULTILINE
    )
    assert " of 5 slots" in ran.err


# status


def test_status_of_what_was(
    type_: Type, service: Simulator, tmp_path: Path
) -> None:
    """
    After a batch its folder says how many are in which state, and which are
    unknown.
    """
    service.change(failing="dog")
    service.next("submit", Fault.TORN, prompt="bird")
    type_("batch", _prompts(tmp_path, "cat", "dog", "bird"), "-o", "out")
    (lost,) = (e for e in service.books.entries if "bird" in str(e.spec))

    ran = type_("status", "out")
    told = type_("status", "out", "--json")

    assert ran.code == told.code == 0
    assert ran.lines == [
        "not running",
        "1 saved",
        "1 unknown: sent, and no answer came",
        f"  {lost.track_id}",
        "1 failed",
        (
            "  1 failed: the service gave up: Failed, Try Again "
            "(--resubmit-failed asks again)"
        ),
    ]
    assert told.objects[0]["unknown"] == [lost.track_id]
    assert told.objects[0]["running"] is False


def test_status_of_what_is(
    type_: Type, service: Simulator, tmp_path: Path
) -> None:
    """
    While a batch runs its folder says how it goes.
    """
    service.change(latency=1e6)
    over = threading.Event()

    async def work() -> None:
        specs = [TextToImage(each, model_id="flux") for each in ("cat", "dog")]
        async with Hurried() as lab, lab.batch(specs, output=tmp_path / "out"):
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    try:
        look_until((tmp_path / "out" / "status.json").exists)
        ran = type_("status", "out")
        told = type_("status", "out", "--json")
    finally:
        over.set()
        thread.join()

    assert ran.code == told.code == 0
    assert ran.lines[0] == "running"
    assert len(ran.lines) > 1
    assert told.objects[0]["running"] is True


def test_status_of_links_that_age(
    type_: Type, service: Simulator, tmp_path: Path
) -> None:
    """
    What was paid for a day ago and not saved is warned of.
    """
    service.change(latency=20.0, hold=0.0)
    # It is refused while it waits.
    service.next("fetch", Reply(402, {"message": "Insufficient credits"}))
    type_("batch", _prompts(tmp_path, "cat"), "-o", "out")

    young = type_("status", "out")
    with sqlite3.connect(tmp_path / "out" / "journal.sqlite") as journal:
        journal.execute("UPDATE item SET accepted_at = accepted_at - 90000")
    journal.close()
    old = type_("status", "out")

    assert "1 paid for, and not finished yet" in young.lines
    assert "links may be gone" not in young.out
    assert "asked for 25 h 00 min ago; its links may be gone" in old.out


# Interrupts


def test_interrupt_at_the_first_picture(
    service: Simulator,
    tmp_path: Path,
    type_: Type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The first interrupt asks for nothing more and saves what is paid for;
    the command that it prints finishes the rest.
    """
    name = _prompts(tmp_path, *map(str, range(20)))
    batch = ("batch", name, "-o", "out")
    result, pressed = Screen.result, [signal.SIGINT]

    def seen(screen: Screen, line: str) -> None:
        result(screen, line)
        if pressed:
            os.kill(os.getpid(), pressed.pop())

    monkeypatch.setattr(Screen, "result", seen)
    ran = type_(*batch)
    paid = len(service.books.accepted)
    again = type_(*batch)

    assert ran.code == 130
    assert 5 <= paid < 20
    assert len(ran.lines) == paid
    assert "batch prompts.txt -o out" in ran.err.split("go on with: ")[1]
    assert again.code == 0, again.err
    assert len(service.books.accepted) == 20
    assert not service.books.alike


# In a process of their own


def _start(*words: str, cwd: Path) -> subprocess.Popen[bytes]:
    # Unbuffered: what a line leaves over is still there to read.
    return subprocess.Popen(
        [sys.executable, "-m", "modelslab_async", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=cwd,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
)
def test_interrupt(
    service: Simulator, tmp_path: Path, which: signal.Signals, type_: Type
) -> None:
    """
    The first interrupt asks for nothing more and saves what is paid for;
    the command that it prints finishes the rest.
    """
    service.change(latency=50.0)
    name = _prompts(tmp_path, *map(str, range(20)))
    batch = ("batch", name, "-o", "out")

    with _start(*batch, cwd=tmp_path) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(which)
        out, err = process.communicate(timeout=30)
    paid = len(service.books.accepted)
    again = type_(*batch)

    assert process.returncode == 130
    assert 5 <= paid < 20
    assert len((first + out).splitlines()) == paid
    assert b"go on with: " in err
    assert b"batch prompts.txt -o out" in err
    assert again.code == 0, again.err
    assert len(service.books.accepted) == 20
    assert not service.books.alike


@pytest.mark.slow
def test_interrupt_twice(
    service: Simulator, tmp_path: Path, type_: Type
) -> None:
    """
    The second interrupt leaves at once, and nothing is paid for twice after.
    """
    service.change(latency=300.0, hold=0.0)
    name = _prompts(tmp_path, *map(str, range(5)))
    batch = ("batch", name, "-o", "out")

    with _start(*batch, cwd=tmp_path) as process:
        assert process.stderr is not None
        look_until(lambda: len(service.books.accepted) == 5)
        process.send_signal(signal.SIGINT)
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=2)
    again = type_(*batch)

    assert process.returncode == 130
    assert b"left; go on with: " in err
    assert again.code in {0, 1}, again.err
    assert len(service.books.accepted) == 5


@pytest.mark.slow
def test_interrupt_of_one(service: Simulator, tmp_path: Path) -> None:
    """
    An interrupted generation is waited for and saved, as it is paid for.
    """
    service.change(latency=100.0)

    with _start("generate", "a cat", cwd=tmp_path) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)

    assert process.returncode == 130
    assert (tmp_path / out.decode().strip()).exists()


@pytest.mark.slow
def test_interrupt_in_line(service: Simulator, tmp_path: Path) -> None:
    """
    A generation that still waits for a slot is given up at once.
    """
    service.change(latency=3000.0)
    service.occupy("s3cret", 5)

    with _start("generate", "a cat", cwd=tmp_path) as process:
        look_until(lambda: service.books.entries)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)

    assert process.returncode == 130
    assert b"nothing was asked for" in err
    assert service.books.accepted == []


# Where nobody can read it


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "where"),
    [
        ({"PYTHONIOENCODING": "ascii"}, ""),
        ({"PYTHONIOENCODING": "latin-1:strict"}, ""),
        ({"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, ""),
        ({}, ">/dev/full"),
        ({}, "2>/dev/full"),
        ({}, ">&-"),
        ({}, "2>&-"),
        ({}, "<&- >&- 2>&-"),
    ],
    ids=str,
)
@pytest.mark.parametrize("as_json", ["", "--json"])
def test_output_that_cannot_be_written(
    service: Simulator,
    tmp_path: Path,
    environment: dict[str, str],
    where: str,
    as_json: str,
) -> None:
    """
    Words that a terminal does not have, a full device, closed streams: all
    pictures are asked for and saved, and nobody sees a traceback.
    """
    service.next(
        "submit", Reply(400, {"status": "error", "message": "Ünü 猫"})
    )
    folder = tmp_path / "käse"
    folder.mkdir()
    (folder / "prompts.txt").write_text("a 猫\nein Käse\na dog\n")

    ran = subprocess.run(
        f"{sys.executable} -m modelslab_async "
        f"batch prompts.txt -o öut {as_json} {where}",
        shell=True,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 1
    assert b"Traceback" not in ran.stderr
    assert b"Exception ignored" not in ran.stderr
    assert len(list((folder / "öut" / "images").iterdir())) == 2
    if where == ">/dev/full":
        assert ran.stderr.count(b"cannot print results: No space left") == 1


@pytest.mark.parametrize("asked", [["--help"], ["--version"], ["batch", "-h"]])
def test_help_that_cannot_be_written(
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    A full device is told in a line, and is no success.
    """
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code = run(asked)

    assert code == 1
    assert capsys.readouterr().err == (
        "modelslab-async: No space left on device\n"
    )


@pytest.mark.slow
def test_a_reader_that_leaves(service: Simulator, tmp_path: Path) -> None:
    """
    Who has seen enough asks for nothing more; where all is done already,
    nothing is amiss.
    """
    (tmp_path / "prompts.txt").write_text("a cat\na dog\na fox\n")
    command = f"{sys.executable} -m modelslab_async batch prompts.txt -o out"
    options: dict[str, Any] = {
        "shell": True,
        "cwd": tmp_path,
        "capture_output": True,
        "timeout": 60,
        "executable": "/bin/bash",
    }
    subprocess.run(command, check=True, **options)

    ran = subprocess.run(
        f"{command} | head -n 1; exit ${{PIPESTATUS[0]}}",
        check=False,
        **options,
    )
    pages = subprocess.run(
        f"{command} --help | true; exit ${{PIPESTATUS[0]}}",
        check=False,
        **options,
    )

    assert ran.returncode == 0
    assert len(ran.stdout.splitlines()) == 1
    assert pages.returncode == 0
    assert b"Traceback" not in ran.stderr + pages.stderr
    assert len(service.books.accepted) == 3


def test_an_item_that_is_there_twice(
    service: Simulator, type_: Type, tmp_path: Path
) -> None:
    """
    Two lines that call their item the same are told before anything is asked
    for, with both lines.
    """
    lines = [json.dumps({"item": each, "prompt": "a"}) for each in (1, 2, "1")]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))

    ran = type_("batch", "p.jsonl", "-o", "out")

    assert ran.code == 2
    assert "p.jsonl:3: item: is that of line 1, too" in ran.err
    assert "1 fault; nothing was asked for" in ran.err
    assert service.books.entries == []


# simulate


@pytest.mark.slow
def test_simulate(tmp_path: Path) -> None:
    """
    The simulator says its URL first, plays what it is told, and ends with 0.
    """
    with _start(
        *("simulate", "--slots", "2", "--etas", "absent"),
        *("--set", "pictures=plain", "--speed", "50"),
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)

    assert re.fullmatch(rb"http://127\.0\.0\.1:\d+/api/v6\n", url)
    assert process.returncode == 0


def test_simulate_what_was_captured(
    type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A file of captured exchanges is answered with, until it is told to end.
    """
    exchange = {
        "method": "GET",
        "url": "https://modelslab.com/api/v7/models",
        "status": 418,
        "body": "short and stout",
    }
    (tmp_path / "capture.jsonl").write_text(json.dumps(exchange))
    said: list[tuple[int, bytes]] = []

    def ask(url: str) -> None:
        try:
            urllib.request.urlopen(url.replace("v6", "v7/models"))
        except urllib.error.HTTPError as error:
            with error:
                said.append((error.code, error.read()))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def serving(screen: Screen, line: str) -> None:
        threading.Thread(target=ask, args=(line,)).start()

    # It prints its URL first, and ends when it is told to.
    monkeypatch.setattr(Screen, "result", serving)
    ran = type_("simulate", "--replay", "capture.jsonl")

    assert ran.code == 0, ran.err
    assert said == [(418, b"short and stout")]


def test_simulate_where_nobody_can(type_: Type, service: Simulator) -> None:
    """
    A port that is taken is wrong usage.
    """
    port = service.origin.rpartition(":")[2]

    ran = type_("simulate", "--port", port)

    assert ran.code == 2
    assert f"port {port}" in ran.err
