"""
ModelsLab's own package, as `test_official` uses it.
"""

from __future__ import annotations

import warnings

from modelslab_async.simulator import Simulator


with warnings.catch_warnings():
    # It is written for an older Pydantic.
    warnings.simplefilter("ignore", DeprecationWarning)
    from modelslab_py import providers
    from modelslab_py.core import apis
    from modelslab_py.core.apis.community import Community
    from modelslab_py.core.client import Client
    from modelslab_py.schemas.community import Text2Image

__all__ = [
    "Client",
    "Community",
    "Text2Image",
    "apis",
    "official",
    "providers",
]


def official(simulator: Simulator, key: str = "a-key") -> Community:
    """
    The official client, pointed at the simulator.
    """
    client = Client(key, fetch_retry=1000, fetch_timeout=0.005)
    client.base_url = f"{simulator.origin}/api/"
    return Community(client)
