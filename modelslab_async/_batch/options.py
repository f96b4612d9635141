"""
What a batch is asked for, and what of that cannot be.
"""

from __future__ import annotations

import os

from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Self

import attrs

from .._checks import is_file_path, priority_faults
from .._quoting import in_short
from ..errors import ConfigurationError, ModelsLabError
from ..journal.protocol import Journal
from ..specs import Spec


def _path(place: str | os.PathLike[str] | None) -> Path | None:
    # What is no path stays, and is told of.
    return Path(place) if isinstance(place, str | os.PathLike) else place


def _path_or_journal(
    place: str | os.PathLike[str] | Journal | None,
) -> Path | Journal | None:
    return Path(place) if isinstance(place, str | os.PathLike) else place


@attrs.frozen
class BatchOptions:
    """
    The options of `ModelsLab.batch()`.

    Attributes:
        output: A folder that makes it durable: pictures, a page to look
            at them, and a journal to go on from.

        journal: A journal's path, without files.

        items: Keys of one's own for the items, in the same order; None
            for an item that has none.

        ordered: Outcomes in input order.

        priority: Place in the queue, lower first.

        max_failures: Stop asking after so many failed items.

        max_jobs: Stop asking after so many requests.

        max_images: Stop asking before more pictures than that.

        resubmit_unknown: Ask again for what the journal knows to be of
            unknown outcome: it may be billed twice.

        resubmit_failed: Ask again for what the service failed.

        new_key: The key is another one of the same account.

        place: Where its journal really lies; `absolute` finds it.
    """

    output: Path | None = attrs.field(converter=_path)
    journal: Path | Journal | None = attrs.field(converter=_path_or_journal)
    items: Iterable[str | None] | None
    ordered: bool
    priority: int
    max_failures: int | None
    max_jobs: int | None
    max_images: int | None
    resubmit_unknown: bool
    resubmit_failed: bool
    new_key: bool
    #: Where links lead that are on its path.
    _place: Path | None = None

    @property
    def place(self) -> object:
        """
        What no two batches share at a time: a journal's path, or itself.
        """
        if self._place is not None:
            return self._place
        if self.journal is None and self.output is not None:
            return self.output / "journal.sqlite"
        return self.journal

    def absolute(self) -> Self:
        """
        The same, wherever the program goes; asks the disk where it is now.
        """
        output, journal, place = self.output, self.journal, self.place
        if isinstance(place, Path):
            # It does not fail where links lead in a circle.
            place = Path(os.path.realpath(place))
        return attrs.evolve(
            self,
            place=place if isinstance(place, Path) else None,
            output=None if output is None else output.absolute(),
            journal=journal.absolute()
            if isinstance(journal, Path)
            else journal,
        )

    def faults(self) -> Iterator[str]:
        """
        What cannot be.
        """
        output: object = self.output
        if not isinstance(output, Path | None):
            yield f"output: a path, not {in_short(output)}"
        journal: object = self.journal
        if journal is not None and not (
            isinstance(journal, Path) or hasattr(journal, "plan")
        ):
            yield f"journal: a path, or a Journal, not {in_short(journal)}"
        for name, path in (("output", output), ("journal", journal)):
            if isinstance(path, Path) and "\0" in str(path):
                shown = in_short(str(path))
                yield f"{name}: no path has a NUL, as {shown} has"
            elif isinstance(path, Path) and not is_file_path(path):
                yield f"{name}: no file is called {in_short(str(path))}"
        yield from _keys_faults(self.items)
        yield from priority_faults(self.priority)
        for name in ("max_failures", "max_jobs", "max_images"):
            most = getattr(self, name)
            if most is not None and not _countable(most):
                yield f"{name}: a whole number, or None, not {in_short(most)}"
        for name in (
            "ordered",
            "resubmit_unknown",
            "resubmit_failed",
            "new_key",
        ):
            flag = getattr(self, name)
            if not isinstance(flag, bool):
                yield f"{name}: True or False, not {in_short(flag)}"

    def bound_reached(self) -> ModelsLabError:
        """
        Why nothing more is asked for.
        """
        bounds = [
            f"{name}={bound}"
            for name, bound in (
                ("max_jobs", self.max_jobs),
                ("max_images", self.max_images),
            )
            if bound is not None
        ]
        return ModelsLabError(
            f"{' or '.join(bounds)} is reached; nothing more is asked for"
        )


def check_batch(specs: object, options: BatchOptions) -> None:
    """
    Refuse what cannot be asked for.

    Raises:
        ConfigurationError: All that is wrong, as far as it can be seen
            before the input is read.
    """
    faults: list[str] = []
    if isinstance(specs, Spec | str | bytes) or not isinstance(
        specs, Iterable | AsyncIterable
    ):
        faults.append(
            "a batch takes an iterable of specs, such as a list, "
            f"not {in_short(specs)}"
        )
    faults += options.faults()
    if faults:
        raise ConfigurationError("; ".join(faults))


def key_fault(key: object) -> str | None:
    """
    What is wrong with a key of one's own.
    """
    if key is None or isinstance(key, str):
        return None
    return f"items: each a text, or None, not {in_short(key)}"


def _keys_faults(items: object) -> Iterator[str]:
    if items is None:
        return
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        yield f"items: an iterable of texts, not {in_short(items)}"
    elif isinstance(items, Sequence):
        # What is lazy is seen to when it is read.
        faults = (key_fault(key) for key in items)
        yield from islice((fault for fault in faults if fault), 1)


def _countable(number: object) -> bool:
    return (
        isinstance(number, int)
        and not isinstance(number, bool)
        and number >= 0
    )
