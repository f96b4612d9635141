"""
One batch on many machines: its memory in PostgreSQL, and procrastinate to
hand out its items. Needs the extra ``cluster``.

`PostgresJournal` is for batches of any engine, or of none; `plan`, `Worker`
and `report` are what ``modelslab-async cluster`` is made of.
"""

from __future__ import annotations

from .planner import PlanSummary, plan
from .postgres import PostgresJournal
from .report import BatchReport, ClusterReport, WorkerReport, report
from .schema import SCHEMA_VERSION
from .setup import migrate
from .worker import Worker, WorkerOptions


__all__ = [
    "SCHEMA_VERSION",
    "BatchReport",
    "ClusterReport",
    "PlanSummary",
    "PostgresJournal",
    "Worker",
    "WorkerOptions",
    "WorkerReport",
    "migrate",
    "plan",
    "report",
]
