"""
The observers of a client, and what they are told.
"""

from __future__ import annotations

import logging

from collections.abc import Iterable
from contextvars import Context
from typing import TYPE_CHECKING

import attrs

from .errors import DownloadError
from .results import Generation


if TYPE_CHECKING:
    # Only where somebody listens: who does not, should not wait for them.
    from .events import Event, Observer


_log = logging.getLogger("modelslab_async")


@attrs.define(eq=False, repr=False)
class Observers:
    """
    The observers of a client.

    What changes: one that raises is taken out.
    """

    functions: list[Observer] = attrs.field(factory=list)
    #: In a forked child, which tells nothing of what its parent does.
    _left: bool = attrs.field(default=False, init=False)

    def __bool__(self) -> bool:
        """
        Whether anybody listens: nothing is built when nobody does.
        """
        return bool(self.functions)

    def tell(self, event: Event, context: Context | None = None) -> None:
        """
        Hand *event* to all, in *context* where one is given.
        """
        for observer in tuple(self.functions):
            if self._left:
                return
            try:
                if context is None:
                    observer(event)
                else:
                    context.run(observer, event)
            except BaseException:
                if self._left:
                    # It has forked; its child ends as it likes to.
                    raise
                self.functions.remove(observer)
                _log.exception("an observer raised, and is switched off")

    def leave(self) -> None:
        """
        Tell nobody any more.
        """
        self._left = True
        self.functions.clear()

    def saved(
        self,
        track_id: str | None,
        job_id: str | None,
        path: str,
        took: float | None = None,
    ) -> None:
        """
        Tell of a picture on disk.
        """
        if self.functions:
            from .events import FileSaved

            self.tell(FileSaved(track_id, job_id, path, took))

    def saved_all(
        self, generation: Generation, paths: Iterable[object], took: float
    ) -> None:
        """
        Tell of the pictures of a generation, on disk after *took* seconds.
        """
        if self.functions:
            for path in paths:
                self.saved(generation.track_id, generation.id, str(path), took)

    def not_saved(
        self, generation: Generation, error: DownloadError, took: float
    ) -> None:
        """
        Tell of pictures that could not be had, or kept.
        """
        if self.functions:
            from .events import DownloadFailed

            words = str(error)
            event = DownloadFailed(
                generation.track_id, generation.id, words, error.disk, took
            )
            self.tell(event)
