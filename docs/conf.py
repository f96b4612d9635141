"""
How the pages become a site: ``nox -s docs``.
"""

from __future__ import annotations

from modelslab_async import __version__


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
html_title = f"modelslab-async {version}"
html_static_path: list[str] = []
templates_path: list[str] = []
exclude_patterns = ["figures/*.py"]
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
