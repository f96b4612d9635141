"""
The page about the simulator, held to the simulator.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from modelslab_async.simulator import (
    ENDPOINTS,
    Fault,
    Rings,
    Settings,
    Unlike,
)


PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"
_NAMES = [
    *(field.name for field in attrs.fields(Settings)),
    *(endpoint.path.rpartition("/")[2] for endpoint in ENDPOINTS.values()),
    *(endpoint.family for endpoint in ENDPOINTS.values()),
    *(fault.name for fault in Fault),
    *(ring.name for ring in Rings),
    *(unlike.value for unlike in Unlike),
]


@pytest.mark.parametrize("name", sorted(set(_NAMES)))
def test_the_page_has_it(name: str) -> None:
    """
    Every setting, endpoint, fault, way to ring and way to differ is on the
    page.
    """
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")
