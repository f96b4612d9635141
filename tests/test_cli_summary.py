"""
What the shell says of a batch while it runs, after it, and before it.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import time

from collections.abc import Sequence
from pathlib import Path

import pytest

from shells import Type, modelslab_settings, service, type_

from modelslab_async._cli.progress import ProgressLine, TimeLeft
from modelslab_async.simulator import (
    Fault,
    KeyState,
    Reply,
    Simulator,
)


__all__ = ["modelslab_settings", "service", "type_"]


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    """
    A file of six prompts.
    """
    words = ("cat", "dog", "fox", "owl", "elk", "bee")
    (tmp_path / "p.txt").write_text("\n".join(words))
    return "p.txt"


# Afterwards


def test_what_was_there_and_what_was_asked_for(
    type_: Type, service: Simulator, prompts: str
) -> None:
    """
    A rerun says what it bought.
    """
    service.next(
        "submit", Reply(400, {"status": "error", "message": "no"}), times=2
    )
    type_("batch", prompts, "-o", "out")

    again = type_("batch", prompts, "-o", "out", "--resubmit-failed")
    last = type_("batch", prompts, "-o", "out")

    assert "6 of 6 done, 0 failed (4 were there, 2 asked for)" in again.err
    assert "6 of 6 done, 0 failed (6 were there, 0 asked for)" in last.err
    assert len(service.books.accepted) == 6


def test_failures_by_cause(
    type_: Type, service: Simulator, prompts: str
) -> None:
    """
    Failures are grouped by what went wrong, with what asks for them again.
    """
    no = {"status": "error", "message": "We don't paint owls, job 1234567"}
    also = no | {"message": "We don't paint owls, job 7654321"}
    service.next("submit", Reply(400, no), prompt="owl")
    service.next("submit", Reply(400, also), prompt="elk")
    service.next("submit", Fault.TORN, prompt="bee")

    ran = type_("batch", prompts, "-o", "out")

    assert ran.code == 1
    assert re.search(
        r"  2 failed: We don't paint owls, job ?\S* "
        r"\(--resubmit-failed asks again\)",
        ran.err,
    )
    assert "1 unknown: " in ran.err
    assert "--resubmit-unknown" in ran.err


def test_a_bad_key_is_told_once(
    type_: Type, service: Simulator, prompts: str
) -> None:
    """
    An account that may not is told in one line, and nothing is asked for.
    """
    service.change(keys={})

    ran = type_("batch", prompts, "-o", "out")

    assert ran.code == 3
    assert ran.err.count("Invalid Api Key") == 1, ran.err
    assert "6 not asked for" in ran.err


def test_quiet_and_verbose(
    type_: Type, service: Simulator, prompts: str
) -> None:
    """
    Quiet, only results and what went wrong are told; verbose, what happens.
    """
    quiet = type_("batch", prompts, "-o", "quiet", "-q")
    verbose = type_("batch", prompts, "-o", "verbose", "-v")
    service.change(latency=5.0)
    each = type_("batch", prompts, "-o", "each", "-vv")

    assert quiet.err == ""
    assert len(quiet.lines) == 6
    assert verbose.err.count("JobAccepted") == 6
    assert "JobPolled" not in verbose.err
    assert "JobPolled" in each.err


def test_simulated_then_real(type_: Type, service: Simulator) -> None:
    """
    A simulated folder is not gone on with for money: one line says what to
    do.
    """
    words = ("batch", "-", "-o", "out")
    type_(*words, "--simulate", "--speed", "100", stdin=b"a cat")

    ran = type_(*words, stdin=b"a cat")

    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert "another folder" in ran.err
    assert service.books.entries == []


# Before


def test_dry_run_of_a_folder(
    type_: Type, service: Simulator, prompts: str, tmp_path: Path
) -> None:
    """
    A dry run says what this folder would really be asked for.
    """
    no = Reply(400, {"status": "error", "message": "no"})
    service.next("submit", no, prompt="owl")
    service.next("submit", Fault.TORN, prompt="bee")
    type_("batch", prompts, "-o", "out")
    with (tmp_path / prompts).open("a") as more:
        more.write("\ncat\nyak\n")

    plain = type_("batch", prompts, "-o", "out", "--dry-run", "--json")
    again = type_(
        *("batch", prompts, "-o", "out", "--dry-run", "--json"),
        *("--resubmit-failed", "--resubmit-unknown"),
    )
    said = type_("batch", prompts, "-o", "out", "--dry-run")
    asked = len(service.books.entries)
    type_("batch", prompts, "-o", "out")

    assert plain.objects == [
        {"requests": 2, "pictures": 2, "there": 4, "fetched": 0, "reported": 2}
    ]
    assert again.objects[0]["requests"] == 4
    assert "would ask for 2 requests, 2 pictures" in said.out
    assert "4 are there already" in said.out
    assert len(service.books.entries) == asked + 2


# Meanwhile


@pytest.mark.slow
def test_status_is_the_same_meanwhile(
    type_: Type, service: Simulator, prompts: str, tmp_path: Path
) -> None:
    """
    While a batch runs its folder says the same, in the same words: states,
    causes, and what was not asked for.
    """
    service.change(latency=200.0)
    no = Reply(400, {"status": "error", "message": "We don't paint cats"})
    service.next("submit", no, prompt="cat")
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "modelslab_async", "batch", prompts),
            *("-o", "out", "--slots", "2"),
        ],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        ran = type_("status", "out") if _exists(tmp_path / "out") else None
        while ran is None or "1 failed" not in ran.lines:
            time.sleep(0.05)
            if _exists(tmp_path / "out" / "status.json"):
                ran = type_("status", "out")
        told = type_("status", "out", "--json")
        process.send_signal(signal.SIGINT)
        process.wait(30)
    after = type_("status", "out")

    cause = "  1 failed: We don't paint cats (--resubmit-failed asks again)"
    assert ran.lines[0] == "running"
    assert after.lines[0] == "not running"
    assert cause in ran.lines
    assert cause in after.lines
    assert sum(told.objects[0]["states"].values()) == 6  # type: ignore[attr-defined]  # a dict
    counts = [
        int(line.split()[0]) for line in after.lines if line[:1].isdigit()
    ]
    assert sum(counts) == 6


def _exists(path: Path) -> bool:
    return path.exists()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_line_fits(width: int, ascii_only: bool) -> None:
    """
    Bar, count, rate and time left fit any usual terminal.
    """
    line = ProgressLine(
        total=12_345,
        done=1_234,
        failed=12,
        in_flight=15,
        waiting=11_000,
        slots=(15, 15),
        rate=2.5,
        left=3_600.0,
    ).fitted(width, ascii_only=ascii_only)

    assert len(line) <= width
    assert line.isascii() is ascii_only
    assert "1246/12345" in line
    assert "150.0/min" in line
    assert "1 h 00 min left" in line


def test_time_left_while_draining() -> None:
    """
    Once all is asked for, what is left is what the last jobs take.
    """
    left = TimeLeft()
    busy = left.estimate(waiting=100, in_flight=5, rate=1.0, now=0.0)
    drained = left.estimate(waiting=0, in_flight=5, rate=1.0, now=100.0)
    later = left.estimate(waiting=0, in_flight=1, rate=1.0, now=103.0)
    late = left.estimate(waiting=0, in_flight=1, rate=1.0, now=106.0)

    assert (busy, drained, later, late) == (105.0, 5.0, 2.0, None)


def _typed(
    *words: str,
    cwd: Path,
    keys: Sequence[tuple[str, bytes]] = (),
    width: int = 80,
) -> tuple[int, str]:
    """
    What a person sees on a terminal, who presses each of *keys* once
    something is to be seen.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(cwd)
        os.environ |= {"TERM": "xterm", "COLUMNS": str(width)}
        os.execv(
            sys.executable, [sys.executable, "-m", "modelslab_async", *words]
        )
    seen, waiting = b"", list(keys)
    while True:
        try:
            seen += os.read(terminal, 65536)
        except OSError:
            break
        if waiting and waiting[0][0].encode() in seen:
            os.write(terminal, waiting.pop(0)[1])
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), seen.decode()


def _left_on_screen(seen: str) -> str:
    """
    The last lines, when all that was drawn over is gone.
    """
    return seen.rpartition("\x1b[2K")[2]


@pytest.mark.slow
@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_stale_after_an_interrupt(
    service: Simulator, tmp_path: Path, prompts: str, width: int
) -> None:
    """
    After Ctrl-C the moving line is gone, and the terminal as it was.
    """
    service.change(latency=300.0)

    code, seen = _typed(
        *("batch", prompts, "-o", "out", "--slots", "2"),
        cwd=tmp_path,
        keys=[("2 in flight", b"\x03")],
        width=width,
    )

    assert code == 130
    assert "interrupted: asking for nothing more" in seen
    assert "in flight" in seen
    assert "in flight" not in _left_on_screen(seen)
    assert "go on with: " in _left_on_screen(seen)
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h")


@pytest.mark.slow
def test_something_moves_meanwhile(service: Simulator, tmp_path: Path) -> None:
    """
    One generation shows what it is at, and nothing of it in the end.
    """
    service.change(latency=100.0)

    code, seen = _typed("generate", "a cat", cwd=tmp_path)

    assert code == 0
    assert "is processing, " in seen
    assert "processing" not in _left_on_screen(seen)


@pytest.mark.slow
def test_one_end_of_input_is_enough(tmp_path: Path) -> None:
    """
    On a terminal stdin says what it waits for, and ends at one Ctrl-D.
    """
    code, seen = _typed(
        *("batch", "-", "--dry-run"),
        cwd=tmp_path,
        keys=[("Ctrl-D", b"a cat\na dog\n"), ("a dog", b"\x04")],
    )

    assert code == 0
    assert "prompts, one a line; Ctrl-D ends them" in seen
    assert "would ask for 2 requests" in seen


@pytest.mark.slow
def test_an_end_of_input_within_a_line(tmp_path: Path) -> None:
    """
    Within a line the first Ctrl-D sends it, and the next one is the end, as
    everywhere.
    """
    code, seen = _typed(
        *("batch", "-", "--dry-run"),
        cwd=tmp_path,
        keys=[("Ctrl-D", b"a cat"), ("a cat", b"\x04\x04")],
    )

    assert code == 0
    assert "would ask for 1 request, 1 picture" in seen


# One job


@pytest.mark.slow
def test_an_unknown_job_is_not_accepted(type_: Type) -> None:
    """
    What the service does not know was not accepted.
    """
    ran = type_("fetch", "12345", "--simulate", "--speed", "1000")

    assert ran.code == 1
    assert "accepted" not in ran.err


def test_two_jobs_of_one_number(
    type_: Type, service: Simulator, tmp_path: Path
) -> None:
    """
    A picture of another service's job is not in the way of this one's.
    """
    service.change(first_id=134_700_000)
    type_("generate", "a cat", "--seed", "1")
    (name,) = (tmp_path / "pictures").iterdir()
    first = name.read_bytes()
    (paid,) = service.books.accepted
    type_("generate", "a dog", "--seed", "2", "-o", "other")
    (other,) = (tmp_path / "other").iterdir()
    name.rename(tmp_path / "pictures" / other.name)

    again = type_("fetch", other.name.split("-")[0], "-o", "pictures")
    replaced = type_(
        *("fetch", other.name.split("-")[0], "-o", "pictures", "--overwrite")
    )

    kept = tmp_path / "pictures" / other.name
    assert again.code == replaced.code == 0
    assert again.lines != [f"pictures/{other.name}"]
    assert replaced.lines == [f"pictures/{other.name}"]
    assert kept.read_bytes() == other.read_bytes() != first
    assert paid.job_id is not None


def test_simulated_jobs_have_numbers_of_their_own(type_: Type) -> None:
    """
    Two simulated runs share no job's number.
    """
    words = ("generate", "a", "--simulate", "--speed", "100", "--json")
    one, two = type_(*words), type_(*words)

    assert one.code == two.code == 0
    assert json.loads(one.out)["job_id"] != json.loads(two.out)["job_id"]


@pytest.mark.parametrize("then", [0o700, 0o755])
def test_a_folder_is_its_owners(
    type_: Type, service: Simulator, prompts: str, tmp_path: Path, then: int
) -> None:
    """
    Whoever makes a folder makes it for its owner alone, and whoever comes
    later leaves it as its owner wants it.
    """
    folder = tmp_path / "pictures"
    type_("generate", "a cat")
    made = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(then)

    type_("batch", prompts)

    assert made == 0o700
    assert stat.S_IMODE(folder.stat().st_mode) == then
    assert stat.S_IMODE((folder / "images").stat().st_mode) == 0o700


@pytest.mark.parametrize("profile", ["classic", "documented"])
@pytest.mark.parametrize(
    "state", [each for each in KeyState if each is not KeyState.GOOD]
)
def test_what_the_account_refused(
    type_: Type,
    service: Simulator,
    prompts: str,
    state: KeyState,
    profile: str,
) -> None:
    """
    The end of a batch and its status count alike, say what the next run does
    about it, and it does so.
    """
    service.change(keys={"s3cret": state}, profile=profile)

    ran = type_("batch", prompts, "-o", "out")
    said = type_("status", "out")
    service.change(keys=None)
    again = type_("batch", prompts, "-o", "out")

    failed = sum("failed: " in line for line in said.lines)
    assert ran.code == 3
    assert ("(the next run asks again)" in said.out) is bool(failed)
    assert ("(the next run asks again)" in ran.err) is bool(failed)
    assert re.search(r"[06] of 6 done, 6 failed", ran.err) is None or failed
    assert ("6 not asked for" in said.out) is ("6 not asked" in ran.err)
    assert again.code == 0, again.err
