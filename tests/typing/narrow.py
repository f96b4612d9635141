"""
What an outcome is known to have, once one has looked at it.

Never run; type checkers read it with the tests.
"""

from __future__ import annotations

from typing import assert_type

from modelslab_async import (
    FailedOutcome,
    FinishedOutcome,
    Generation,
    ModelsLab,
    Outcome,
    TextToImage,
)
from modelslab_async.errors import ModelsLabError


async def by_ok(lab: ModelsLab, specs: list[TextToImage]) -> None:
    """
    *ok*, or the lack of an error, tells that there is a generation.
    """
    async with lab.batch(specs) as batch:
        async for outcome in batch:
            _ = assert_type(outcome, Outcome)
            if outcome.ok is True:
                _ = assert_type(outcome.generation, Generation)
            else:
                _ = assert_type(outcome.error, ModelsLabError)
            if outcome.error is None:
                _ = assert_type(outcome.generation, Generation)


def by_match(outcome: Outcome) -> Generation | ModelsLabError:
    """
    The two kinds are classes, and there is no third.
    """
    match outcome:
        case FinishedOutcome(generation=generation):
            return assert_type(generation, Generation)
        case FailedOutcome(error=error):
            return assert_type(error, ModelsLabError)
