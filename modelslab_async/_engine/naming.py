"""
Jobs that were paid for and are left behind, told by warnings.

A handle is long, and logged once: a job that a journal knows needs none, and
one that was named before is called by its id.
"""

from __future__ import annotations

import logging
import os

from collections.abc import Iterable, Mapping
from typing import Self

import attrs

from .job import Job


_log = logging.getLogger("modelslab_async")


#: Of those that a journal knows, so many are called by their ids.
_SHOWN = 20


@attrs.frozen(eq=False, repr=False)
class Journalled:
    """
    Jobs of a batch that its journal knows.

    Attributes:
        place: Where that journal is, for people.
    """

    place: str
    jobs: frozenset[Job]

    @classmethod
    def of(cls, place: object, jobs: Mapping[Job, bool]) -> Self:
        """
        Those of a batch that its journal knows, which is at *place*.
        """
        return cls(
            str(place) if isinstance(place, os.PathLike) else "its journal",
            frozenset(job for job, known in jobs.items() if known),
        )


@attrs.define(eq=False, repr=False)
class Naming:
    """
    Who was named on one event loop.

    What changes: who that is.
    """

    #: By handle, and by a journal's place.
    _by_handle: set[str] = attrs.field(factory=set, init=False)
    _by_place: set[str] = attrs.field(factory=set, init=False)

    def warn(
        self,
        what: str,
        jobs: Iterable[Job],
        journals: Iterable[Journalled] = (),
    ) -> None:
        """
        Log what takes *jobs* up again; nothing where all of it was said.

        Args:
            what: What happened, with a place for their number.

            jobs: Those that were paid for.

            journals: Which of them a journal knows.
        """
        left = [job for job in jobs if self._by_place.isdisjoint(_ids_of(job))]
        parts, known = [], set[Job]()
        for journal in journals:
            those = [job for job in left if job in journal.jobs]
            if those:
                parts.append(_in_journal(journal.place, those))
                known.update(those)
        for job in known:
            self._by_place.update(_ids_of(job))
        others = [job for job in left if job not in known]
        if others:
            parts.insert(0, ", ".join(map(self._name, others)))
        if parts:
            _log.warning("%s: %s", what % len(left), "; ".join(parts))

    def warn_of(
        self, what: str, jobs: Mapping[Job, bool], place: object
    ) -> None:
        """
        The same, of jobs of one batch, of which its journal knows some.
        """
        self.warn(what, jobs, [Journalled.of(place, jobs)])

    def _name(self, job: Job) -> str:
        if job.id is None:
            return f"track_id {job.track_id}"
        if job.id in self._by_handle:
            return f"job {job.id} (its handle was told before)"
        self._by_handle.add(job.id)
        return f"job {job.id} ({job.handle})"


def _ids_of(job: Job) -> set[str]:
    return {name for name in (job.id, job.track_id) if name is not None}


def _in_journal(place: str, jobs: list[Job]) -> str:
    """
    How many *place* has, and the first of them.
    """
    names = [job.id or f"track_id {job.track_id}" for job in jobs[:_SHOWN]]
    if len(jobs) > _SHOWN:
        names.append("…")
    return (
        f"{len(jobs)} in {place}, run the batch again to fetch them "
        f"({', '.join(names)})"
    )
