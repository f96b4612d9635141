"""
What came of one item, and how a batch stands.
"""

from __future__ import annotations

import os

from collections.abc import Iterable
from pathlib import Path

import attrs

from ..errors import ConfigurationError, ModelsLabError
from ..journal.protocol import Journal
from ..results import Generation as Pictures
from ..specs import Spec


@attrs.frozen
class Outcome:
    """
    What came of one item: exactly one of *generation* and *error*.

    Attributes:
        index: The item's number, from 0; with a journal the one it was given
            when it was first seen.

        item: The key of one's own, where one was given.

        paths: Its pictures, where the batch saves them.
    """

    index: int
    spec: Spec
    item: str | None = None
    track_id: str | None = None
    job_id: str | None = None
    generation: Pictures | None = None
    error: ModelsLabError | None = None
    paths: tuple[Path, ...] = ()

    def unwrap(self) -> Pictures:
        """
        The generation.

        Raises:
            ModelsLabError: The item's error, if it has one.
        """
        if self.generation is not None:
            return self.generation
        raise self.error or ConfigurationError("an outcome of nothing")


@attrs.frozen
class BatchProgress:
    """
    How a batch stands.

    Attributes:
        total: Items in all, where that can be told.

        done: Outcomes with pictures.

        failed: Outcomes with errors.

        in_flight: Items that were asked for and have not ended.

        waiting: Items that were pulled and not yet asked for.

        finished_elsewhere: Items of earlier runs that are not in the input
            any more, and were finished all the same.

        images: Pictures so far.

        elapsed: Seconds.

        rate: Outcomes a second, of those that were asked for in this run.

        time_left: Seconds, from the rate; None if nobody can say.
    """

    total: int | None
    done: int
    failed: int
    in_flight: int
    waiting: int
    finished_elsewhere: int
    images: int
    elapsed: float
    rate: float
    time_left: float | None


@attrs.frozen
class BatchOptions:
    """
    The options of `ModelsLab.batch()`.
    """

    output: Path | None
    journal: str | os.PathLike[str] | Journal | None
    items: Iterable[str | None] | None
    ordered: bool
    priority: int
    max_failures: int | None
    max_jobs: int | None
    max_images: int | None
    resubmit_unknown: bool
    resubmit_failed: bool
    new_key: bool
