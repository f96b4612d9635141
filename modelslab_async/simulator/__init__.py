"""
A local ModelsLab, to try things out and to test against: no key, no money,
no network.

It knows nothing of the client: a witness must not share the accused's
mistakes.
"""

from __future__ import annotations

from ._books import Books, Entry, Record, Verdict
from ._faults import Edit, Fault, Reply
from ._requests import ENDPOINTS, Endpoint
from ._settings import Etas, KeyState, Latency, Settings
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
    "Settings",
    "Simulator",
    "Verdict",
    "serve",
]
