"""
Which jobs are watched, by the service's ids.
"""

from __future__ import annotations

import attrs

from .job import Watch


@attrs.define(eq=False, repr=False)
class Watches:
    """
    The watched jobs.

    What changes: which those are.
    """

    #: Where a service gives one id twice, the later has its track_id too.
    _by_id: dict[str, Watch] = attrs.field(factory=dict)

    def all(self) -> tuple[Watch, ...]:
        """
        Every one of them.
        """
        return tuple(self._by_id.values())

    def find(self, job_id: str | None) -> Watch | None:
        """
        The one of this id.
        """
        return self._by_id.get(job_id or "")

    def __contains__(self, watch: Watch) -> bool:
        if self._by_id.get(watch.receipt.id or "") is watch:
            return True
        return any(self._by_id.get(key) is watch for key in _keys(watch))

    def add(self, watch: Watch) -> None:
        """
        Watch a job.
        """
        first, second = _keys(watch)
        if self._by_id.setdefault(first, watch) is not watch:
            self._by_id[second] = watch

    def remove(self, watch: Watch) -> None:
        """
        Watch it no more.
        """
        for key in _keys(watch):
            if self._by_id.get(key) is watch:
                del self._by_id[key]


def _keys(watch: Watch) -> tuple[str, str]:
    receipt = watch.receipt
    return receipt.id or "", f"{receipt.id} {receipt.track_id}"
