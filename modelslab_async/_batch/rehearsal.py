"""
A batch's beginning, played without the journal, the folder or the service
being touched: whether it would be refused, and what it would ask for.

What `storage` does is here in the same order, so that both refuse alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import attrs

from .._output.folder import check_open, check_private
from .._protocol.rows import written
from ..journal import Identity, Request, Start
from ..journal.foresight import check_new, foresight, start_of
from ..specs import Spec


#: What costs money.
_ASKED = (Start.SUBMIT, Start.PLAN)
_TAKEN_UP = (Start.POLL, Start.DOWNLOAD)


@attrs.define
class Rehearsal:
    """
    What a batch would do.

    What changes: the counts, as the input is read.

    Attributes:
        max_images: See `BatchOptions`.

        starts: How many items of the input would be begun in which way.

        pictures: How many pictures would be paid for.

        beyond: Items that would not be asked for, as *max_images* is reached.

        left: Items that are paid for, are not in the input, and would be
            fetched all the same.
    """

    max_images: int | None = None
    starts: Counter[Start] = attrs.field(factory=Counter)
    pictures: int = 0
    beyond: int = 0
    left: int = 0

    def count(self, spec: Spec, start: Start) -> None:
        """
        One item more.
        """
        if start in _ASKED:
            most = self.max_images
            pictures = self.pictures + spec.pictures
            # The first that is too much is the last that is looked at.
            if self.beyond or (most is not None and pictures > most):
                self.beyond += 1
                return
            self.pictures = pictures
        self.starts[start] += 1

    @property
    def requests(self) -> int:
        """
        How many requests would be made.
        """
        return sum(self.starts[each] for each in _ASKED)

    @property
    def fetched(self) -> int:
        """
        How many that are paid for would be fetched or saved.
        """
        return sum(self.starts[each] for each in _TAKEN_UP) + self.left


def rehearse(
    output: Path,
    identity: Identity,
    items: Iterable[tuple[Spec, str | None]],
    *,
    new_key: bool,
    resubmit_unknown: bool,
    resubmit_failed: bool,
    max_images: int | None,
) -> Rehearsal:
    """
    What a batch of *items*, each with its key, would do in *output*.

    Raises:
        JournalError: It would be refused; the same that it would raise.
    """
    journal = output.absolute() / "journal.sqlite"
    check_private(journal.parent, journal)
    found = Rehearsal(max_images)
    if not journal.exists():
        if journal.parent.is_dir():
            check_new(journal)
        for spec, _ in items:
            found.count(spec, Start.SUBMIT)
        return found
    with foresight(journal, identity, new_key=new_key) as ahead:
        check_open(journal.parent, ahead.id)
        seen = set()
        for spec, key in items:
            entry = ahead.find(Request(*written(spec), key))
            start = start_of(
                entry,
                resubmit_unknown=resubmit_unknown,
                resubmit_failed=resubmit_failed,
            )
            found.count(spec, start)
            if entry is not None and start in _TAKEN_UP:
                seen.add(entry.index)
        found.left = sum(entry.index not in seen for entry in ahead.paid())
    return found
