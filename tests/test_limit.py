"""
The account's limit, and what refusals teach of it.
"""

from __future__ import annotations

import pytest

from modelslab_async._policy.limit import AccountLimit


def full_account(
    limit: AccountLimit, size: int, jobs: int, *, named: bool = True
) -> tuple[list[int], int]:
    """
    Run so many jobs on an account of *size* slots that are kept full; give
    how many ran beside each, and how often one was refused.
    """
    running, refused = 0, 0
    beside: list[int] = []
    while len(beside) < jobs:
        if running >= limit.now:
            running -= 1
            limit.finished()
        elif running >= size:
            refused += 1
            limit.refused(running, named=size if named else None, fresh=True)
        else:
            running += 1
            beside.append(running)
            limit.accepted(running, running)
    return beside, refused


def told(named: int) -> AccountLimit:
    """
    A limit of which a refusal said so.
    """
    limit = AccountLimit()
    limit.refused(5, named=named, fresh=True)
    return limit


def test_a_named_cap_is_kept_to() -> None:
    """
    Nobody goes above it before ten times as many jobs were accepted.
    """
    beside, refused = full_account(told(5), 10, 50)

    assert (max(beside), refused) == (5, 0)


def test_a_named_cap_is_not_for_ever() -> None:
    """
    One refusal that said "Maximum 1" leaves an account of 10 its slots.
    """
    beside, refused = full_account(told(1), 10, 100)

    assert max(beside) == 10
    assert refused <= 1


def test_a_true_cap_is_doubted_ever_more_seldom() -> None:
    """
    After 10, 100 and 1,000 times as many jobs one is refused above it.
    """
    _, refused = full_account(told(5), 5, 6000)

    assert refused == 3


def test_another_number_is_doubted_afresh() -> None:
    """
    A cap that was true for long, and then another number is named.
    """
    limit = told(5)
    full_account(limit, 5, 600)
    limit.refused(5, named=2, fresh=True)

    beside, _ = full_account(limit, 5, 60)

    assert max(beside) == 5


@pytest.mark.parametrize("most", [1, 3])
def test_the_users_word_is_not_doubted(most: int) -> None:
    """
    Never more than the user allows, however many jobs were accepted.
    """
    limit = AccountLimit(most)
    limit.refused(1, named=1, fresh=True)

    beside, _ = full_account(limit, 10, 1000)

    assert max(beside) == most


def test_a_doubt_waits_for_a_full_account() -> None:
    """
    Calls one by one say nothing of a cap of 5.
    """
    limit = told(5)

    for _ in range(1000):
        limit.accepted(1, 1)
        limit.finished()

    assert limit.now == 5
