"""
Whoever has a key for the first time learns in a minute whether it all works.
"""

from __future__ import annotations

import asyncio
import json
import re
import stat

from pathlib import Path

import pytest

from modelslab_async import ModelsLab, TextToImage, Timeouts
from modelslab_async._cli import run
from modelslab_async.simulator import KeyState, Settings, Simulator


KEY = "sk_live_0123456789"


@pytest.fixture
def modelslab_settings() -> Settings:
    """
    Fast, with real pictures of its own.
    """
    return Settings(speed=100, pictures="plain", hold=0.0)


@pytest.fixture(autouse=True)
def _at_the_simulator(
    modelslab_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELSLAB_BASE_URL", modelslab_simulator.url)
    monkeypatch.setenv("MODELSLAB_API_KEY", KEY)
    monkeypatch.setattr(
        "modelslab_async._cli.examination.Timeouts",
        lambda: Timeouts().faster(100, silence=5.0),
    )


def examined(
    capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, dict[str, set[str]]]:
    """
    The exit code, and the steps by how they stand.
    """
    code = run(["doctor", "--json", *arguments])
    verdicts: dict[str, set[str]] = {}
    for line in capsys.readouterr().out.splitlines():
        finding = json.loads(line)
        verdicts.setdefault(finding["verdict"], set()).add(finding["step"])
    return code, verdicts


@pytest.mark.parametrize("profile", ["classic", "documented"])
def test_all_is_well(
    profile: str,
    modelslab_simulator: Simulator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    A service as we know it differs in nothing, in either dialect.
    """
    modelslab_simulator.change(profile=profile)
    code, verdicts = examined(capsys, "--spend")

    assert (code, set(verdicts)) == (0, {"as assumed"})
    assert {"key", "models", "submit", "result", "picture", "cost"} <= (
        verdicts["as assumed"]
    )


def test_nothing_is_spent_unasked(
    modelslab_simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Without --spend nothing is bought and nothing is uploaded.
    """
    code, verdicts = examined(capsys)

    assert (code, verdicts["not tried"]) == (0, {"generation"})
    assert modelslab_simulator.books.accepted == []
    assert modelslab_simulator.books.uploads == []


@pytest.mark.parametrize(
    ("word", "step"),
    [
        ("key-in-header", "key"),
        ("booleans-only", "submit"),
        ("get-fetch", "fetch by the path"),
        ("status-words", "submit"),
        ("nested-output", "result"),
        ("text-ids", "submit"),
        ("no-eta", "submit"),
        ("error-object", "a no"),
        ("no-echo", "submit"),
        ("no-foresight", "submit"),
        ("untyped-files", "picture"),
        ("signed-links", "result"),
        ("models-object", "models"),
        ("flat-balance", "balance"),
        ("no-count", "jobs under way"),
        ("upload-link", "upload"),
    ],
)
def test_another_service(
    word: str,
    step: str,
    modelslab_simulator: Simulator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    Whatever differs is found, and by name.
    """
    modelslab_simulator.change(unlike=[word])
    code, verdicts = examined(capsys, "--spend")

    assert code == 1
    assert step in verdicts["differs"]


def test_a_key_that_is_no_good(
    modelslab_simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A blocked key is named as what it is, and nothing else differs.
    """
    modelslab_simulator.change(keys={KEY: KeyState.BLOCKED})
    code, verdicts = examined(capsys, "--spend")
    said = "\n".join(_told(capsys))

    assert code == 1
    assert verdicts["differs"] == {"key"}
    assert {"balance", "models", "upload", "submit"} <= verdicts["failed"]
    assert "Invalid Api Key" in said
    assert said.count("the key is refused") == 1


def test_an_address_that_is_not_whole(
    modelslab_simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    Where nothing is found, no key is called good, and the address is doubted,
    once; commands that ask doubt it, too.
    """
    monkeypatch.setenv("MODELSLAB_BASE_URL", modelslab_simulator.origin)

    said = "\n".join(_told(capsys))
    code = run(["models"])

    assert "failed      key, balance, jobs under way, models, a wrong" in said
    assert "is good" not in said
    assert said.count("MODELSLAB_BASE_URL complete? It ends in /api/v6") == 1
    assert capsys.readouterr().err.count("ends in /api/v6") == 1
    assert code == 1


def test_nobody_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A service that is not reached fails its steps, and ends.
    """
    monkeypatch.setenv("MODELSLAB_BASE_URL", "http://127.0.0.1:1/api/v6")
    code, verdicts = examined(capsys, "--spend")

    assert code == 1
    assert {"balance", "models", "submit"} <= verdicts["failed"]


def test_no_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Without a key, where to get one is said, and nothing is asked for.
    """
    monkeypatch.delenv("MODELSLAB_API_KEY")

    assert run(["doctor"]) == 2
    told = capsys.readouterr()
    assert "api-keys" in told.err
    assert not told.out


def test_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """
    What is assumed, and what was found.
    """
    code = run(["doctor"])
    shown = capsys.readouterr()

    assert code == 0
    assert "we assume" in shown.out
    assert "all is as this library assumes" in shown.err
    assert KEY not in shown.out + shown.err


def test_a_capture_is_played_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Who has no key sees what the one saw who has, and not the key.
    """
    capture = tmp_path / "capture.jsonl"
    code, _ = examined(capsys, "--spend", "--capture", str(capture))
    text = capture.read_text()

    async def played() -> int:
        rows = [json.loads(line) for line in text.splitlines()]
        submit = next(
            row
            for row in rows
            if row["url"].endswith("images/text2img")
            and '"prompt"' in row["request_body"]
        )
        asked = json.loads(submit["request_body"])
        spec = TextToImage(
            asked["prompt"],
            model_id=asked["model_id"],
            width=256,
            height=256,
            samples=1,
            seed=asked["seed"],
            safety_checker=False,
        )
        async with (
            Simulator(replay=capture) as service,
            ModelsLab.simulated(service.url, speed=100) as lab,
        ):
            generation = await lab.generate(spec, timeout=20)
            return len(await lab.read(generation.images[0]))

    assert code == 0
    assert KEY not in text
    assert stat.S_IMODE(capture.stat().st_mode) == 0o600
    assert asyncio.run(played()) > 0


def _told(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    run(["doctor", *words])
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_for_any_terminal(
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    Nothing is cut: what is longer than a line is wrapped between words, and
    an address is whole.
    """
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    shown = _told(capsys, "--spend")
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown]

    assert not any("…" in line for line in plain)
    assert all(len(line) <= width or len(line.split()) == 1 for line in plain)
    assert any(line.strip().endswith(".jpg") for line in plain)


def test_elsewhere_a_finding_is_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    Piped, a finding is one line, however long, and nothing colours it.
    """
    shown = _told(capsys)
    findings = _told(capsys, "--json")

    assert len(shown) == len(findings) + 1
    assert not any("\x1b" in line for line in shown)


def test_one_cause_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    What failed alike is told together, in words that speak of no TLS where
    there is none.
    """
    monkeypatch.setenv("MODELSLAB_BASE_URL", "http://127.0.0.1:1/api/v6")

    said = "\n".join(_told(capsys, "--spend"))

    assert said.count("cannot connect to 127.0.0.1:1: Connection refused") == 1
    assert "Connection refused; is the simulator running?" in said
    assert "balance, jobs under way, models, a wrong request" in said
    assert "ssl" not in said


def test_simulated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Without a key it can be tried with the simulator, as any command.
    """
    monkeypatch.delenv("MODELSLAB_API_KEY")

    code = run(["doctor", "--simulate", "--speed", "100"])

    assert code == 0
    assert "all is as this library assumes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--proxy", "socks5://x"], "proxy: an http proxy's URL"),
        (["--trusted-host", "http://x"], "trusted_hosts: "),
        (["--capture", "/dev/null/x"], "cannot write '/dev/null/x': Not a "),
    ],
)
def test_an_option_that_cannot_be(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The options that all commands have are minded here, too.
    """
    code = run(["doctor", *words])

    assert code == 2
    assert said in capsys.readouterr().err
