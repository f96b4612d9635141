"""
What all of the simulator shares: its settings, its clock, its dice and its
books.
"""

from __future__ import annotations

import random
import time

from ._books import Books
from ._settings import Settings


class Dice:
    """
    One stream for each purpose, so that what is drawn for one does not move
    the others.
    """

    def __init__(self, seed: int) -> None:
        self.latency = random.Random(f"{seed}:latency")
        self.eta = random.Random(f"{seed}:eta")
        self.fate = random.Random(f"{seed}:fate")
        self.names = random.Random(f"{seed}:names")


class State:
    """
    One simulator's.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dice = Dice(settings.seed or 0)
        born = time.monotonic()
        self.books = Books(lambda: time.monotonic() - born, born)

    def now(self) -> float:
        """
        Seconds since it was made.
        """
        return time.monotonic() - self.books.born

    def lived(self, seconds: float) -> float:
        """
        How long that really takes.
        """
        return seconds / self.settings.speed
