"""
How values of parameters are shown to people.
"""

from __future__ import annotations

import enum

from ._local_file import LocalFile
from ._picture import begins_as_data


def picture_name(picture: object) -> str:
    """
    One line for people that says which picture it is.
    """
    if isinstance(picture, tuple):
        return picture_name(picture[0])
    if isinstance(picture, LocalFile):
        return picture.name
    text = str(picture)
    if begins_as_data(text):
        return text.partition(",")[0]
    # Without a query, which may be a secret.
    path = text.partition("?")[0].partition("#")[0].rstrip("/")
    return path.rpartition("/")[2]


def shown(value: object) -> str:
    """
    A value of a parameter as people write it, without what is long.
    """
    if isinstance(value, enum.Enum):
        return repr(str(value))
    if isinstance(value, LocalFile):
        return f"Path({value.path!r})"
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))},)"
    if isinstance(value, str) and begins_as_data(value):
        return repr(f"{value.partition(',')[0]},…")
    return repr(value)
