"""
Names of models for completion, kept since they were last listed.
"""

from __future__ import annotations

import os

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import click

from ..errors import ModelNotFoundError, ModelsLabError
from ..specs import Spec, near


#: More than anybody looks through.
_MOST = 200


def keep_names(names: Iterable[str]) -> None:
    """
    Keep them for `complete_model`; where that is not possible, do without.
    """
    text = "".join(f"{name}\n" for name in names if "\n" not in name)
    path = _kept_at()
    with suppress(OSError, RuntimeError, UnicodeError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        part.replace(path)


def complete_model(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """
    Those that begin as what was typed.
    """
    begun = [name for name in _kept() if name.startswith(incomplete)]
    return begun[:_MOST]


def model_meant(error: ModelsLabError, spec: Spec) -> str:
    """
    What is said besides where a model is not known: one that is called alike,
    or how to list them.
    """
    name = getattr(spec, "model_id", None)
    if not (isinstance(error, ModelNotFoundError) and isinstance(name, str)):
        return ""
    hint = near(name, _kept())
    return hint or "; modelslab-async models lists what is public"


def _kept() -> list[str]:
    try:
        return _kept_at().read_text(encoding="utf-8").splitlines()
    except (OSError, RuntimeError, UnicodeError):
        return []


def _kept_at() -> Path:
    place = os.environ.get("XDG_CACHE_HOME")
    cache = Path(place) if place else Path.home() / ".cache"
    return cache / "modelslab-async" / "models.txt"
