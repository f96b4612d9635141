"""
When to ask for a job, by what jobs of its kind took before.
"""

from __future__ import annotations

import logging
import random

import attrs

from .._policy.polling import Pace
from ..specs import SPECS
from .job import Watch
from .runtime import Runtime


_log = logging.getLogger("modelslab_async")


@attrs.define(eq=False, repr=False)
class Pacer:
    """
    A `Pace` for jobs on a loop, whose clock may run faster than life.

    What changes: what has been learnt.

    Attributes:
        usual: Seconds that a job took lately; None before the first.
    """

    runtime: Runtime
    pace: Pace
    usual: float | None = attrs.field(default=None, init=False)

    def pause(self, watch: Watch, now: float) -> float:
        """
        Seconds until the job is asked for.
        """
        speed, schedule = self.runtime.timeouts.speed, self.pace.schedule
        if schedule.is_fixed:
            return schedule.longest / speed
        guess = _guess(watch)
        try:
            pause = self.pace.pause(
                watch.kind(),
                eta=None if guess is None else guess * speed,
                waited=(now - watch.since) * speed,
                dice=random.random(),
                bell=watch.inquiry.bell is not None
                and watch.inquiry.bell.expected,
            )
        except Exception:  # noqa: BLE001 - a paid job is not left unasked
            _log.critical("the schedule died of a bug", exc_info=True)
            pause = schedule.longest
        return pause / speed

    def learn(self, watch: Watch, now: float) -> None:
        """
        The job was found done.
        """
        if not watch.inquiry.early:
            # How long it took us to notice yesterday's job says nothing.
            return
        speed, guess = self.runtime.timeouts.speed, _guess(watch)
        took = now - watch.since
        self.pace.learn(
            watch.kind(),
            eta=None if guess is None else guess * speed,
            after=watch.elapsed * speed,
            by=took * speed,
        )
        before = self.usual
        self.usual = took if before is None else 0.8 * before + 0.2 * took


def _guess(watch: Watch) -> float | None:
    """
    How long the job takes, where its family has an idea.
    """
    kind = watch.spec or SPECS.get(watch.receipt.endpoint)
    vague = kind is not None and not kind.endpoint.family.tells_eta
    return None if vague else watch.receipt.eta
