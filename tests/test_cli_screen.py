from __future__ import annotations

import io
import logging
import re
import sys

import attrs
import pytest

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from modelslab_async import ModelsLab, Timeouts
from modelslab_async._cli.progress import ProgressLine
from modelslab_async._cli.screen import Screen
from modelslab_async._cli.words import clean, duration, excerpt
from modelslab_async.errors import TransportError


class Terminal(io.StringIO):
    """
    A terminal that remembers all that was written to it.
    """

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal() -> Terminal:
    """
    What a person would look at.
    """
    return Terminal()


@pytest.fixture
def screen(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """
    A screen on that terminal.
    """
    monkeypatch.setenv("TERM", "xterm")
    return Screen(
        Console(
            file=terminal,
            width=200,
            markup=False,
            highlight=False,
            emoji=False,
            force_terminal=True,
        )
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb\x07c", "a [31mb c"),
        ("a\u202eb\u200bc\u2028d\x9be\ud800f", "a b c d e f"),
        ("日本語 é 🦊", "日本語 é 🦊"),
        (None, "None"),
    ],
)
def test_clean(text: object, shown: str) -> None:
    """
    Nothing is left that a terminal would obey, and letters stay letters.
    """
    assert clean(text) == shown


@given(st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_nothing_to_obey(text: str) -> None:
    """
    Of what steers a terminal, or the direction of a text, nothing is left.
    """
    assert clean(text) == " " * len(text)


def test_excerpt() -> None:
    """
    A long text is cut, and shows that it is.
    """
    assert excerpt("x" * 100, 10) == "xxxxxxxxx…"
    assert excerpt("short") == "short"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (61, "1 min 01 s"),
        (3599.6, "1 h 00 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    """
    Seconds are said as people say them.
    """
    assert duration(seconds) == said


def test_look_says_what_is_known() -> None:
    """
    What nobody knows yet is left out.
    """
    assert str(ProgressLine(9, 1, 2, 3, 4)) == (
        "1 done, 2 failed, 3 in flight, 4 waiting"
    )
    assert str(ProgressLine(9, 1, 2, 3, 4, (3, 5), 0.5, 90.0)).endswith(
        ", 3 of 5 slots, 30.0 a minute, 1 min 30 s left"
    )


def test_look_says_what_is_waited_for() -> None:
    """
    On lines and beside bars, without control characters.
    """
    look = ProgressLine(9, waiting=9, waiting_for="a slot\x1b[2J: all 5")

    assert str(look).endswith(", waiting for a slot [2J: all 5")
    assert "waiting for a slot [2J: all 5" in look.fitted(80)


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_nobody_listens_here(host: str) -> None:
    """
    Of an address of this machine's own, the question comes before whatever a
    terminal has no room for.
    """
    async with ModelsLab(
        "a-key",
        base_url=f"http://{host}:1/api/v6",
        timeouts=Timeouts().faster(1000, silence=5.0),
    ) as lab:
        with pytest.raises(TransportError) as caught:
            await lab.balance()

    look = ProgressLine(
        9, waiting=9, waiting_for=f"not reached ({caught.value})"
    )
    assert "; is the simulator running? (Client" in str(look)
    assert "is the simulator running?" in look.fitted(77)


def test_nothing_new_is_not_said_again(
    screen: Screen, terminal: Terminal
) -> None:
    """
    Where no line moves, all is said, and again once something happens, or
    after a minute.
    """
    look = ProgressLine(9, waiting=9, waiting_for="w" * 300)
    said = []

    for left in range(12):
        screen.show(attrs.evolve(look, left=float(left)))
        said.append(terminal.getvalue().count("w" * 300))
    screen.show(look)
    said.append(terminal.getvalue().count("w" * 300))
    screen.show(attrs.evolve(look, done=1))
    said.append(terminal.getvalue().count("w" * 300))

    assert said == [1] * 12 + [2, 3]


@pytest.mark.parametrize("width", [57, 77, 117])
def test_a_long_reason_has_the_room_that_there_is(width: int) -> None:
    """
    Why a batch waits is told as far as the line goes.
    """
    said = ProgressLine(9, waiting=9, waiting_for="w" * 200).fitted(width)

    assert len(said) == width
    assert said.endswith("w…")
    assert said.count("╌") == 10


def test_bars(screen: Screen, terminal: Terminal) -> None:
    """
    A terminal gets bars with how many of how many.
    """
    with screen.bars():
        screen.show(ProgressLine(12, 3, 1, 5, 3, (5, 5)))

    shown = terminal.getvalue()
    assert "4/12" in shown
    assert "5 of 5 slots" in shown


@pytest.mark.parametrize("width", [30, 60, 80, 120])
def test_room_for_an_interrupt(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """
    A ^C that the terminal shows behind the last line begins no other line,
    which would stay there.
    """
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=terminal, width=width, force_terminal=True)
    screen = Screen(console)

    with screen.bars():
        screen.show(ProgressLine(12, 3, 1, 5, 3, (5, 5), 0.5, 90.0, "x" * 99))
    with screen.working() as line:
        line.say("job 123456789 is processing " * 9, 5.0)
        console.print("")

    drawn = re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", terminal.getvalue())
    assert max(map(len, drawn)) == width - 3


def test_results_above_bars(
    screen: Screen,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Where results and bars share a terminal, they do not run through each
    other, and a long result is not broken.
    """
    monkeypatch.setattr(sys, "stdout", terminal)
    path = "x" * 300

    with screen.bars():
        screen.result(path)

    assert path in terminal.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_is_to_be_read(
    screen: Screen,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    width: int,
) -> None:
    """
    On a terminal a long entry is parted between words, and an address in it
    is whole; elsewhere it is a line.
    """
    monkeypatch.setenv("COLUMNS", str(width))
    address = f"https://pictures.example/{'x' * 130}.png"
    text = f"{'what it is ' * 20}{address} and so on"

    screen.entry(text)
    monkeypatch.setattr(sys, "stdout", terminal)
    screen.entry(text)

    shown = terminal.getvalue().splitlines()
    assert capsys.readouterr().out == f"{text}\n"
    assert [line.strip() for line in shown if len(line) > width] == [address]
    assert " ".join(" ".join(shown).split()) == text
    assert all(line.startswith("  ") for line in shown[1:])


def test_results_apart_from_bars(
    screen: Screen,
    terminal: Terminal,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    Results that go elsewhere are not on the terminal.
    """
    with screen.bars():
        screen.result("out/1.png")

    assert capsys.readouterr().out == "out/1.png\n"
    assert "out/1.png" not in terminal.getvalue()


def test_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever stops reading our results is noticed.
    """

    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    screen = Screen()

    screen.result("out/1.png")

    assert screen.unread


def test_logs(screen: Screen, terminal: Terminal) -> None:
    """
    The library's warnings are shown, with the bug where there is one; what
    is only of interest is not.
    """
    log = logging.getLogger("modelslab_async")

    with screen.logs():
        log.info("a job was accepted")
        log.warning("left [bold]%s[/bold]\x1b", "42")
        log.critical("died", exc_info=ValueError("of a bug"))

    assert terminal.getvalue().splitlines() == [
        "warning: left [bold]42[/bold] ",
        "critical: died (ValueError('of a bug'))",
    ]
