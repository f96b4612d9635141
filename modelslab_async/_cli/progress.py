"""
How a batch stands, in one line as wide as there is room for.
"""

from __future__ import annotations

import attrs

from .words import clean, duration, excerpt


#: A shorter bar says nothing.
_SHORTEST_BAR = 10


#: Asked where nobody listens at an address of this machine's own.
_WHOSE = "is the simulator running?"


@attrs.frozen
class ProgressLine:
    """
    How a batch stands.

    *rate* is items a second, *left* seconds; None where it is not known yet.
    """

    total: int
    done: int = 0
    failed: int = 0
    in_flight: int = 0
    waiting: int = 0
    slots: tuple[int, int] | None = None
    rate: float | None = None
    left: float | None = None
    waiting_for: str | None = None

    def __str__(self) -> str:
        said = [
            f"{self.done} done",
            f"{self.failed} failed",
            f"{self.in_flight} in flight",
            f"{self.waiting} waiting",
        ]
        if self.slots is not None:
            said.append("{} of {} slots".format(*self.slots))
        if self.rate is not None:
            said.append(f"{self.rate * 60:.1f} a minute")
        if self.left is not None:
            said.append(f"{duration(self.left)} left")
        if self.waiting_for is not None:
            said.append(f"waiting for {clean(self.waiting_for)}")
        return ", ".join(said)

    def is_as(self, other: ProgressLine) -> bool:
        """
        Whether nothing has happened since; speed and time left only run.
        """
        return attrs.evolve(self, rate=None, left=None) == attrs.evolve(
            other, rate=None, left=None
        )

    def fitted(self, width: int, *, ascii_only: bool = False) -> str:
        """
        A bar and what is known, the most important first, in *width* columns.
        """
        ended = self.done + self.failed
        said = f" {ended}/{self.total}"
        for part in self._parts(width - len(said) - 2 - _SHORTEST_BAR):
            if len(said) + 2 + len(part) + _SHORTEST_BAR <= width:
                said += f"  {part}"
        room = max(0, min(40, width - len(said)))
        full = room * ended // self.total if self.total else room
        done, open_ = ("#", "-") if ascii_only else ("━", "╌")
        return (done * full + open_ * (room - full) + said)[:width]

    def _parts(self, room: int) -> list[str]:
        parts = []
        if self.waiting_for is not None:
            # Why nothing goes on is all that there is to say.
            waiting = f"waiting for {self.waiting_for}"
            if _WHOSE in waiting:
                # What to do comes before whatever is cut.
                waiting = f"waiting for the service; {_WHOSE}"
            parts.append(excerpt(waiting, max(room, 40)))
        if self.rate is not None:
            parts.append(f"{self.rate * 60:.1f}/min")
        if self.left is not None:
            parts.append(f"{duration(self.left)} left")
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(f"{self.in_flight} in flight")
        if self.slots is not None:
            parts.append("{} of {} slots".format(*self.slots))
        return parts


@attrs.define
class TimeLeft:
    """
    How long a batch will take from here.

    While there is something to ask for, by the rate.  After that the last
    jobs only run to their end: as long as a job takes, from when the last one
    was asked for.

    What changes: the most that were in flight at once, and when the last one
    was asked for.
    """

    _busiest: int = 0
    _last_asked: float | None = None

    def estimate(
        self, *, waiting: int, in_flight: int, rate: float, now: float
    ) -> float | None:
        """
        Seconds; None while nobody can say.
        """
        self._busiest = max(self._busiest, in_flight)
        if waiting:
            self._last_asked = None
        elif self._last_asked is None:
            self._last_asked = now
        if rate <= 0:
            return None
        # Little's law: so many at once, at so many a second.
        usual = self._busiest / rate
        if self._last_asked is None:
            return waiting / rate + usual
        left = usual - (now - self._last_asked)
        return left if left > 0 and in_flight else None
