"""
What the environment's variables may have to do with an error.
"""

from __future__ import annotations

import re

from ..errors import AuthenticationError, ModelsLabError


#: Any version: each path has its own.
_COMPLETE = re.compile(r"/v[0-9]+/?$")


def why_perhaps(error: ModelsLabError) -> str:
    """
    Which variable to look at, to follow the words of *error*; nothing where
    none has to do with it.
    """
    if isinstance(error, AuthenticationError):
        return "; the key that was sent is that of MODELSLAB_API_KEY"
    return ""


def incomplete(url: str) -> str:
    """
    A question, where a base URL does not end as they do.
    """
    if _COMPLETE.search(url):
        return ""
    return "; is MODELSLAB_BASE_URL complete? It ends in /api/v6"
