"""
Parameters that we don't know yet, kept as JSON.
"""

from __future__ import annotations

import json

from collections.abc import Iterator, Mapping

import attrs

from ..results import JSON


@attrs.frozen(eq=False, repr=False)
class Extra(Mapping[str, JSON]):
    """
    Parameters that we don't know yet: a mapping that is read-only and hashes.

    Attributes:
        text: Canonical JSON; parsed afresh at each look.
    """

    text: str = "{}"

    @classmethod
    def of(cls, values: Mapping[str, JSON]) -> Extra:
        """
        Keep *values* as canonical JSON.

        Raises:
            TypeError, ValueError, RecursionError: They are no JSON.
        """
        if not all(isinstance(name, str) for name in values):
            raise TypeError("names must be text")
        text = json.dumps(
            dict(values),
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )
        text.encode()
        return cls(text)

    def _values(self) -> dict[str, JSON]:
        values: dict[str, JSON] = json.loads(self.text)
        return values

    def __getitem__(self, name: str) -> JSON:
        return self._values()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Extra):
            return self.text == other.text
        return self._values() == other

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return repr(self._values())
