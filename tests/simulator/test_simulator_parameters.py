"""
How a parameter is read: what it becomes, what is refused, what is remarked.
"""

from __future__ import annotations

import pytest

from modelslab_async.simulator._parameters import (
    Kind,
    Parameter,
    Value,
    flag,
    read,
)


@pytest.mark.parametrize(
    ("kind", "sent", "value"),
    [
        (Kind.TEXT, "a", "a"),
        (Kind.PARTS, 0.5, 0.5),
        (Kind.PARTS, "0.5,1", "0.5,1"),
        (Kind.WORD, "two", "two"),
        (Kind.WORD, "one,two", "one,two"),
        (Kind.YES_NO, "yes", True),
        (Kind.BOOLEAN, False, False),
        (Kind.TRUE_FALSE, "true", True),
        (Kind.EITHER_FLAG, "no", False),
        (Kind.EITHER_FLAG, True, True),
        (Kind.WHOLE, 7, 7),
        (Kind.WHOLE, " 7 ", 7),
        (Kind.WHOLE, 7.0, 7),
        (Kind.NUMBER, "2.5", 2.5),
        (Kind.NUMBER, 3, 3.0),
        (Kind.IMAGE, "https://a/b", ("https://a/b",)),
        (Kind.IMAGES, "https://a/b", ("https://a/b",)),
        (Kind.IMAGES, ["a", "b"], ("a", "b")),
        (Kind.TRACK_TEXT, 12, "12"),
        (Kind.TRACK_DIGITS, "12", "12"),
        (Kind.URL, "https://a/b?c", "https://a/b?c"),
    ],
)
def test_understood(kind: Kind, sent: object, value: object) -> None:
    """
    Every documented spelling is understood, without a remark.
    """
    parameter = Parameter("name", kind, most=8, words=("one", "two"))

    assert read(parameter, sent) == Value(value)


@pytest.mark.parametrize(
    ("kind", "sent", "said"),
    [
        (Kind.TEXT, 7, "some_name must be a string"),
        (Kind.PARTS, [1], "some_name must be a string"),
        (Kind.WORD, 1, "some_name must be a string"),
        (Kind.WORD, "ten", "The selected some name is invalid."),
        (Kind.WHOLE, "x", "some_name must be between 1 and 4"),
        (Kind.WHOLE, True, "some_name must be between 1 and 4"),
        (Kind.WHOLE, 5, "some_name must be between 1 and 4"),
        (Kind.WHOLE, 3, "some_name must be divisible by 2"),
        (Kind.NUMBER, {}, "some_name must be between 1 and 4"),
        (Kind.NUMBER, float("nan"), "some_name must be between 1 and 4"),
        (Kind.IMAGE, ["a"], "The some name must be a string."),
        (Kind.IMAGES, [1], "The some name must be a string or an array."),
    ],
)
def test_refused(kind: Kind, sent: object, said: str) -> None:
    """
    What no source allows is refused, in words that name it.
    """
    parameter = Parameter(
        "some_name", kind, bounds=(1, 4), step=2, words=("one",), closed=True
    )

    assert read(parameter, sent).problem == said


@pytest.mark.parametrize(
    ("kind", "sent", "value"),
    [
        (Kind.WORD, "ten", "ten"),
        (Kind.YES_NO, True, True),
        (Kind.YES_NO, 1, True),
        (Kind.BOOLEAN, "no", False),
        (Kind.BOOLEAN, 0, False),
        (Kind.TRUE_FALSE, True, True),
        (Kind.EITHER_FLAG, "true", True),
        (Kind.WHOLE, 99, 99),
        (Kind.WHOLE, "x", None),
        (Kind.NUMBER, [], None),
        (Kind.NUMBER, "9" * 400, float("inf")),
        (Kind.TRACK_DIGITS, "cat", "cat"),
        (Kind.URL, "here", None),
    ],
)
def test_remarked(kind: Kind, sent: object, value: object) -> None:
    """
    What the documentation forbids is understood as far as it can be, and
    remarked.
    """
    found = read(Parameter("name", kind, 1, 4), sent)

    assert found.value == value
    assert found.problem == ""
    assert found.remark


@pytest.mark.parametrize("default", [True, False])
def test_no_flag(default: bool) -> None:
    """
    Null leaves a flag to the service.
    """
    assert flag(None, default=default) is default
