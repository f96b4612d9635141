"""
How the pages become a site: ``nox -s docs``.
"""

from __future__ import annotations

import inspect
import re

from typing import TYPE_CHECKING

import attrs

from modelslab_async import __version__
from modelslab_async.specs import Spec


if TYPE_CHECKING:
    from sphinx.application import Sphinx


project = "modelslab-async"
author = "The modelslab_async developers"
project_copyright = "2026, The modelslab_async developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]

# Links to headings, as the pages have them; ::: for what GitHub shows, too.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
# `Name` in a docstring leads there; a word that is no name stays as it is.
default_role = "any"
suppress_warnings = ["ref.any"]
nitpicky = False

# Nothing is fetched while building: a build must not hang on a network.
intersphinx_mapping: dict[str, tuple[str, None]] = {}

html_theme = "furo"
html_theme_options = {
    "source_repository": "https://github.com/modelslab-async/modelslab-async/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_title = f"modelslab-async {version}"
html_static_path: list[str] = []
templates_path: list[str] = []
exclude_patterns = ["figures/*.py"]
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True


def setup(app: Sphinx) -> None:
    """
    What this site needs of Sphinx.
    """
    app.connect("autodoc-process-signature", _signature)


def _signature(
    app: Sphinx,
    what: str,
    name: str,
    subject: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None] | None:
    """
    The arguments of an attrs class as one would write them.

    Parameters of specs are described one by one below, types included.
    """
    if not isinstance(subject, type) or not attrs.has(subject):
        return None
    if issubclass(subject, Spec):
        given = inspect.signature(subject)
        bare = [
            each.replace(annotation=each.empty)
            for each in given.parameters.values()
        ]
        signature = str(given.replace(parameters=bare))
    defaults = {each.name: each.default for each in attrs.fields(subject)}

    def default(match: re.Match[str]) -> str:
        value = defaults[match[1]]
        return "…" if isinstance(value, attrs.Factory) else repr(value)

    said = re.sub(r"attr_dict\['(\w+)'\]\.default", default, signature or "")
    return said, returns
