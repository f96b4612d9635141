"""
Which journal the pictures of a folder belong to.

Names of files are given by a journal, so that two journals give the same ones:
what one batch paid for would be overwritten by the next.  So a folder keeps
the id of its journal in ``journal.id``, and no other journal gets in.

All of this runs in threads.
"""

from __future__ import annotations

import os
import re

from contextlib import suppress
from pathlib import Path

from ..errors import JournalError
from ..journal.protocol import folder_of_another
from .disk import replace_file, sync, sync_folder, write_all


#: A name that an item's picture may have.
_PICTURE = re.compile(r"[0-9]{6,20}-[^.]{0,200}\.[a-z]{3,4}")


def claim(directory: Path, journal_id: str) -> None:
    """
    See that a folder is a journal's, or is to be from now on.

    Raises:
        JournalError: `mismatch`, with what to do; nothing changed.
    """
    check_claim(directory, journal_id)
    _mark(_marker(directory), journal_id)
    # Another one may have been faster.
    check_claim(directory, journal_id)


def check_claim(directory: Path, journal_id: str) -> None:
    """
    See that a folder is a journal's, or may be; nothing is changed.

    Raises:
        JournalError: `mismatch`, with what to do.
    """
    owner = _owner(directory)
    if not owner and _has_pictures(directory):
        raise JournalError(
            "mismatch",
            f"there are pictures in {directory} already, and it does not "
            "say whose they are; choose another folder, or, if they are "
            f"this batch's, write {journal_id} into {_marker(directory)}",
        )
    if owner not in ("", journal_id):
        raise folder_of_another(str(directory))


def check_unclaimed(directory: Path, journal: Path) -> None:
    """
    See that a folder may have *journal*, which is to be made anew.

    Raises:
        JournalError: `mismatch`, with what to do; nothing changed.
    """
    if _owner(directory) or _has_pictures(directory):
        raise JournalError(
            "mismatch",
            f"{directory} is of a batch whose journal is gone: there is none "
            f"at {journal}, and without it all would be paid for again; put "
            "the journal back, or choose another folder",
        )


def _marker(directory: Path) -> Path:
    return directory / "journal.id"


def _owner(directory: Path) -> str:
    """
    The id of the journal that has the folder; empty if there is none.
    """
    try:
        return _marker(directory).read_text("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""


def _mark(marker: Path, journal_id: str) -> None:
    """
    Give a folder without pictures an owner, if nobody else is faster.
    """
    text = f"{journal_id}\n".encode()
    with suppress(FileExistsError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(marker, flags, 0o600)
        try:
            write_all(fd, text)
            sync(fd)
        finally:
            os.close(fd)
        sync_folder(marker.parent)
    if not _owner(marker.parent):
        # It was being written when the lights went out.
        replace_file(marker, text, mode=0o600)


def _has_pictures(directory: Path) -> bool:
    try:
        entries = os.scandir(directory / "images")
    except FileNotFoundError:
        return False
    with entries:
        return any(_PICTURE.fullmatch(entry.name) for entry in entries)
