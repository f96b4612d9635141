"""
A job that was left unfinished is taken up by the command that was printed,
and whoever waits for one is told how it stands.
"""

from __future__ import annotations

import re
import shlex

from pathlib import Path

import pytest

from PIL import Image as Picture
from shells import Type, service, type_

from modelslab_async.simulator import Reply, Settings, Simulator
from modelslab_async.specs import (
    SPECS,
    picture_parameters,
    required_parameters,
)


__all__ = ["service", "type_"]


#: One endpoint of each kind of fetch.
ONE_OF_EACH = {
    kind.endpoint.family.fetch_path: name
    for name, kind in reversed(tuple(SPECS.items()))
}


@pytest.fixture
def modelslab_settings() -> Settings:
    """
    As fast as a client with its own long waits can see.
    """
    return Settings(speed=100, pictures="plain", latency=20.0, etas="absent")


def _words(endpoint: str) -> list[str]:
    """
    What asks an endpoint for something.
    """
    kind = SPECS[endpoint]
    needed = required_parameters(kind)
    pictures = [name for name in picture_parameters(kind) if name in needed]
    words = ["generate", "-e", endpoint.replace("_", "-")]
    if "prompt" in needed:
        words.append("a cat")
    return words + ["--image", *["photo"] * len(pictures)][: 3 * len(pictures)]


def _told(said: str) -> list[str]:
    """
    The command that goes on, without the program's name.
    """
    (line,) = re.findall(r"go on with: .*? (fetch .*)", said)
    return shlex.split(line)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if "_v7" in name else pytest.mark.slow)
        for name in ONE_OF_EACH.values()
    ],
)
def test_any_job_is_taken_up_as_was_said(
    type_: Type, service: Simulator, tmp_path: Path, name: str
) -> None:
    """
    Whatever was asked of, the command that is printed fetches the job.
    """
    Picture.new("RGB", (64, 64), "red").save(tmp_path / "photo", "PNG")
    # It is refused while it waits.
    service.next("fetch", Reply(402, {"message": "Insufficient credits"}))

    asked = type_(*_words(name), "-o", "my out")
    fetched = type_(*_told(asked.err))

    (path,) = map(Path, fetched.lines)
    assert (asked.code, fetched.code) == (3, 0), fetched.err
    assert path.parent.name == "my out"
    assert len(service.books.accepted) == 1


@pytest.mark.parametrize("name", ["interior", "Interior", "INTERIOR"])
def test_an_endpoint_of_an_id(
    type_: Type, service: Simulator, tmp_path: Path, name: str
) -> None:
    """
    Of an id, the endpoint is said in any spelling.
    """
    service.change(instant=1.0)
    Picture.new("RGB", (64, 64), "red").save(tmp_path / "photo", "PNG")
    type_(*_words("interior"))
    (job_id,) = service.books.jobs

    ran = type_("fetch", str(job_id), "-e", name, "-o", "again")

    assert ran.code == 0, ran.err


def test_a_job_whose_id_came_late(type_: Type, service: Simulator) -> None:
    """
    Out of patience before the answer, one is told what it then says.
    """
    service.change(hold=25.0, latency=200.0)

    ran = type_("generate", "a cat", "--timeout", "0.1")

    (job_id,) = service.books.jobs
    assert ran.code == 1
    assert _told(ran.err)[:2] == ["fetch", str(job_id)]


def test_a_job_that_the_service_does_not_know(
    type_: Type, service: Simulator
) -> None:
    """
    While a job is not known, that is said, once; in the end, what else may be
    the matter.
    """
    yet = type_("fetch", "7", "--timeout", "0.15")
    ever = type_("fetch", "7", "--simulate", "--speed", "1000")
    of_one = type_(
        *("fetch", "7", "-e", "interior", "--simulate", "--speed", "1000")
    )

    assert yet.err.count("does not know job 7 yet") == 1
    assert "another endpoint than text2img? say -e ENDPOINT" in ever.err
    assert "say -e ENDPOINT" not in of_one.err
    assert [ran.code for ran in (yet, ever, of_one)] == [1, 1, 1]


def test_how_a_job_stands_where_no_line_moves(
    type_: Type, service: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Between its acceptance and its pictures, it is said how long it takes.
    """
    monkeypatch.setattr("modelslab_async._cli.generate._EVERY", 0.0)
    # Guesses of less than a second are not told.
    service.change(latency=50.0, etas="high")

    ran = type_("generate", "a cat")

    assert ran.code == 0, ran.err
    assert re.search(r"job \d+ is accepted; about \d+ s", ran.err)
    assert re.search(r"job \d+ is not done yet, \d s of about \d+ s", ran.err)
