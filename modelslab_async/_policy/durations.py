"""
How long jobs of one kind take, learnt from those that ended.

A histogram over a grid of eighths of an octave, in which the last hundred jobs
or so count. Nobody sees a job end. We know only that it was running at one
poll and done at the next, so its weight is spread over the cells in between,
in proportion to what they weigh already; that is one step of the EM algorithm
for such data.

And the service's guess? It may be right, three times too high, or always the
same. So time is kept in two units, in seconds and in guesses, and the unit
that has better foretold the last jobs is used. A guess that is always three
times too high is then as good as a right one, and one that says nothing loses
to the seconds.
"""

from __future__ import annotations

import math

from array import array
from math import sqrt

import attrs


# Cells to an octave; octaves below 1 and above it: 16 ms to two hours.
_STEP, _BELOW, _ABOVE = 8, 6, 13


_CELLS = _STEP * (_BELOW + _ABOVE)


_EDGES = tuple(2 ** (k / _STEP - _BELOW) for k in range(1, _CELLS + 1))


#: The next job weighs that much more than the last one did: the old fade.
_FADE = 1.01


#: The share of jobs that may end at any time at all, and how many of those
#: that have come so far end in the next cell. Without them, a job that
#: outlives all others would not be asked for.
_STRAY, _STRAYS_END = 0.001, math.log(2) / _STEP


@attrs.define(eq=False, repr=False)
class DurationModel:
    """
    One kind of job, in both units of time.
    """

    seconds: Durations = attrs.field(factory=lambda: Durations.around(4, 1.2))
    guesses: Durations = attrs.field(factory=lambda: Durations.around(1, 0.7))

    def young(self) -> DurationModel:
        """
        The same beliefs, held as lightly as after one job.
        """
        return DurationModel(self.seconds.young(), self.guesses.young())

    def best(self, eta: float | None) -> tuple[Durations, float]:
        """
        What foretells a job best, and its unit in seconds.
        """
        if eta is None or self.guesses.score < self.seconds.score:
            return self.seconds, 1.0
        return self.guesses, eta

    def learn(self, eta: float | None, after: float, by: float) -> None:
        if eta is not None:
            self.guesses.learn(after / eta, by / eta)
        self.seconds.learn(after, by)


def _cell(units: float) -> float:
    """
    Where on the grid a time is, counted in cells.
    """
    if units <= 0:
        return 0.0
    if units == math.inf:
        return float(_CELLS)
    return min(max(_STEP * (math.log2(units) + _BELOW), 0.0), float(_CELLS))


@attrs.define(eq=False, repr=False)
class Durations:
    """
    How long jobs took, as a histogram over the grid.

    What changes: the weights of the cells and their sum, what the next job
    weighs, and how well the last ones were foretold.
    """

    weights: array[float]
    total: float = 1.0
    next: float = 1.0
    score: float = 0.0

    @classmethod
    def around(cls, median: float, octaves: float) -> Durations:
        """
        A bell around the *median*, that many *octaves* wide, with the weight
        of one job.
        """
        middle, width = _cell(median) - 0.5, _STEP * octaves
        bell = [
            math.exp(-0.5 * ((k - middle) / width) ** 2) for k in range(_CELLS)
        ]
        total = sum(bell)
        return cls(array("d", [weight / total for weight in bell]))

    def young(self) -> Durations:
        """
        The same shape with the weight of one job.
        """
        weights = array("d", [w / self.total for w in self.weights])
        return Durations(weights, score=self.score)

    def learn(self, after: float, by: float) -> None:
        """
        Learn of a job that took more than *after* and at most *by* units.
        """
        low = min(_cell(after), _CELLS - 1e-6)
        high = max(_cell(by), low + 1e-6)
        cells = range(int(low), math.ceil(high))
        shares = [min(k + 1, high) - max(k, low) for k in cells]
        found = [
            self.weights[k] * share
            for k, share in zip(cells, shares, strict=True)
        ]
        mass = sum(found)
        # The likelihood of what was seen, of the last twenty jobs or so. It
        # has a floor, so that one surprise does not decide.
        self.score *= 0.95
        self.score += math.log(mass / self.total + 0.01)

        # A tenth is spread evenly: a cell of weight 0 could not learn.
        evenly = 0.1 if mass > 0 else 1.0
        scale = (1 - evenly) * self.next / mass if mass > 0 else 0.0
        flat = evenly * self.next / (high - low)
        for k, share, weight in zip(cells, shares, found, strict=True):
            # Neighbours learn too, else a few jobs would make a comb.
            quarter = 0.25 * (scale * weight + flat * share)
            self.weights[max(k - 1, 0)] += quarter
            self.weights[k] += 2 * quarter
            self.weights[min(k + 1, _CELLS - 1)] += quarter
        self.total += self.next
        self.next *= _FADE
        if self.next > 1e6:
            self._shrink()

    def _shrink(self) -> None:
        self.weights = array("d", [w / self.next for w in self.weights])
        self.total, self.next = sum(self.weights), 1.0

    def pause(
        self, unit: float, waited: float, *, cost: float, longest: float
    ) -> float:
        """
        Seconds until Keller's density, summed from *waited* on, reaches 1; at
        most *longest*, or a rounding error more.
        """
        start = _cell(waited / unit)
        k = int(start)
        part = k + 1 - start
        weights = self.weights[k:]
        if weights:
            weights[0] *= part
        alive = sum(weights) + _STRAY * self.total
        ending = _STRAY * self.total * _STRAYS_END
        strays = ending * part

        now, end, checks = waited, waited + longest, 0.0
        twice = 2.0 * cost
        for weight, edge in zip(weights, _EDGES[k:], strict=True):
            until = edge * unit
            # sqrt(h / 2c) x span, where h = (what ends / what lives) / span.
            more = sqrt(abs((weight + strays) / alive * (until - now) / twice))
            checks += more
            if checks >= 1.0:
                return until - (until - now) * (checks - 1.0) / more - waited
            if until >= end:
                break
            now, strays = until, ending
            alive -= weight
        return longest
