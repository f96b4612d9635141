"""
The customers: who may ask, how many slots are left, and what it cost.
"""

from __future__ import annotations

import collections
import math

import attrs

from ._books import Books
from ._settings import KeyState
from ._state import State


_MINUTE = 60.0


@attrs.define(eq=False)
class Account:
    """
    The slots, workers and money of one customer.

    Attributes:
        unfinished: Jobs that hold a slot.

        occupied: Slots that somebody else holds.

        free_at: When each worker will be free, as a heap.

        banned_until: On the clock of the simulator.

        seen: When each request that was accepted lately came.

        spent: Money.

        counted: When it asked lately how many jobs it has.
    """

    label: str
    free_at: list[float]
    unfinished: int = 0
    occupied: int = 0
    banned_until: float = -math.inf
    seen: dict[bytes, float] = attrs.field(factory=dict)
    spent: float = 0.0
    counted: collections.deque[float] = attrs.field(factory=collections.deque)


class Accounts:
    """
    All of them, by key.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._accounts: dict[str, Account] = {}

    def of(self, key: str) -> Account:
        """
        The account of a key, begun if there is none.
        """
        settings = self._state.settings
        name = settings.accounts.get(key, key)
        account = self._accounts.get(name)
        if account is None:
            workers = settings.workers or settings.slots
            account = Account(Books.label(name), [0.0] * workers)
            self._accounts[name] = account
        return account

    def key_state(self, key: str) -> KeyState:
        """
        What may be done with a key.
        """
        keys = self._state.settings.keys
        if not key:
            return KeyState.BLOCKED
        if keys is None:
            return KeyState.GOOD
        return keys.get(key, KeyState.BLOCKED)

    def is_full(self, account: Account) -> bool:
        """
        Whether no slot is left.
        """
        taken = account.unfinished + account.occupied
        return taken >= self._state.settings.slots

    def was_seen(self, account: Account, mark: bytes) -> bool:
        """
        Whether the same was accepted a moment ago; older ones are dropped.
        """
        window = self._state.lived(self._state.settings.same_request or 0.0)
        since = self._state.now() - window
        account.seen = {
            each: at for each, at in account.seen.items() if at > since
        }
        return mark in account.seen

    def balance(self, account: Account) -> float:
        """
        What is left.
        """
        return self._state.settings.balance - account.spent

    def count(self, account: Account) -> bool:
        """
        Count a question for the number of jobs; whether it may be asked.
        """
        now, counted = self._state.now(), account.counted
        minute = self._state.lived(_MINUTE)
        while counted and counted[0] <= now - minute:
            counted.popleft()
        if len(counted) >= self._state.settings.counts_a_minute:
            return False
        counted.append(now)
        return True
