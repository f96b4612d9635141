"""
Ready observers: for logs, for Prometheus, and for OpenTelemetry.

Each is given to ``ModelsLab(observers=[…])``, and serves any number of
clients. What it is built on is imported when one is made, not before.
"""

from __future__ import annotations

from .logs import LogObserver
from .metrics import PrometheusObserver
from .traces import OpenTelemetryObserver


__all__ = ["LogObserver", "OpenTelemetryObserver", "PrometheusObserver"]
