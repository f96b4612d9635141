"""
One batch on many machines: its memory in PostgreSQL, and procrastinate to
hand out its items. Needs the extra ``cluster``.
"""

from __future__ import annotations

from .postgres import PostgresJournal
from .schema import SCHEMA_VERSION, migrate


__all__ = ["SCHEMA_VERSION", "PostgresJournal", "migrate"]
