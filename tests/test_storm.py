"""
Whatever comes together, nothing paid is lost, bought twice or left hanging.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from storm import Storm


pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


@pytest.mark.parametrize("seed", range(50))
async def test_a_storm(seed: int, tmp_path: Path) -> None:
    """
    Each paid job has one outcome, and nobody waits for ever.
    """
    assert await Storm(seed, tmp_path).run() == []
