"""
A local ModelsLab, to try things out and to test against: no key, no money,
no network.

It knows nothing of the client: a witness must not share the accused's
mistakes.
"""

from __future__ import annotations

from ._books import Books, Entry, Record, Ring, Upload, Verdict
from ._endpoints import ENDPOINTS, Endpoint
from ._faults import Edit, Fault, Reply
from ._settings import Etas, KeyState, Latency, Rings, Settings, Unlike
from ._simulator import Simulator, serve


__all__ = [
    "ENDPOINTS",
    "Books",
    "Edit",
    "Endpoint",
    "Entry",
    "Etas",
    "Fault",
    "KeyState",
    "Latency",
    "Record",
    "Reply",
    "Ring",
    "Rings",
    "Settings",
    "Simulator",
    "Unlike",
    "Upload",
    "Verdict",
    "serve",
]
