"""
Which journal a folder's pictures belong to.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from modelslab_async._output.owner import check_unclaimed, claim
from modelslab_async.errors import JournalError


def with_picture(folder: Path, name: str = "000000-7-0.png") -> Path:
    """
    A folder where somebody's picture lies.
    """
    (folder / "images").mkdir(parents=True)
    (folder / "images" / name).write_bytes(b"paid for")
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_has_one_journal(tmp_path: Path) -> None:
    """
    The first journal has the folder for good, another is refused, and what
    lies there stays as it is.
    """
    claim(tmp_path, "a")
    claim(tmp_path, "a")
    before = everything(with_picture(tmp_path))

    with pytest.raises(JournalError, match="another journal; go on") as caught:
        claim(tmp_path, "b")
    claim(tmp_path, "a")

    assert caught.value.reason == "mismatch"
    assert everything(tmp_path) == before


def test_pictures_without_an_owner(tmp_path: Path) -> None:
    """
    Pictures that nobody is known to own are nobody's to overwrite, until
    their owner is written down as the error says.
    """
    with_picture(tmp_path)

    with pytest.raises(JournalError, match=r"write b7 into .*journal\.id"):
        claim(tmp_path, "b7")
    (tmp_path / "journal.id").write_text("b7")

    claim(tmp_path, "b7")


@pytest.mark.parametrize(
    "name", ["holiday.png", "7-0.png", "1-2-3.jpg", ".000000-1-0.png.1.part"]
)
def test_other_pictures_are_in_nobodys_way(name: str, tmp_path: Path) -> None:
    """
    What can have no item's name does not close a folder.
    """
    with_picture(tmp_path, name)

    check_unclaimed(tmp_path, tmp_path / "journal.sqlite")
    claim(tmp_path, "a")


@pytest.mark.parametrize("claimed", [True, False])
def test_a_journal_that_is_gone(claimed: bool, tmp_path: Path) -> None:
    """
    Where there are pictures, no journal begins anew: all would be paid for
    again.
    """
    journal = tmp_path / "journal.sqlite"
    if claimed:
        claim(tmp_path, "a")
    else:
        with_picture(tmp_path)

    with pytest.raises(JournalError, match="put the journal ") as caught:
        check_unclaimed(tmp_path, journal)

    assert caught.value.reason == "mismatch"
    assert str(journal) in caught.value.detail


def test_a_torn_marker(tmp_path: Path) -> None:
    """
    A marker that a crash left empty is written again, as long as there are
    no pictures.
    """
    (tmp_path / "journal.id").touch()

    claim(tmp_path, "a")

    assert (tmp_path / "journal.id").read_text() == "a\n"


def test_two_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of two journals that come at the same time, one gets the folder.
    """
    monkeypatch.setattr(
        "modelslab_async._output.owner._has_pictures",
        lambda directory: (directory / "journal.id").write_text("b") > 9,
    )

    with pytest.raises(JournalError, match="another journal"):
        claim(tmp_path, "a")

    assert (tmp_path / "journal.id").read_text() == "b"
