"""
What an account has: its balance, and how many of its jobs are under way.

* The balance is asked for without a version in the path; it comes below
  `data`, and once came bare.  Whether a plan without credit has one is not
  said.
* The page of the count says GET and the schema POST; more than 30 questions a
  minute are refused.
* Numbers may be text.
"""

from __future__ import annotations

from ..results import JSON, Balance
from .answer_text import read_answer
from .encode import api_url
from .replies import Call, Reply
from .values import read_number


def encode_balance(base_url: str) -> Call:
    """
    The request for the balance.
    """
    return Call(api_url(base_url, "wallet_balance"), b"{}")


def read_balance(reply: Reply) -> Balance | None:
    """
    The balance that *reply* tells; None where it tells none.
    """
    told = _told(reply)
    inner = told.get("data")
    if isinstance(inner, dict):
        told = inner
    amount = _amount(told.get("balance"))
    if amount is None:
        return None
    currency = told.get("currency")
    return Balance(amount, currency if isinstance(currency, str) else None)


def encode_processing_count(base_url: str) -> Call:
    """
    The request for the number of jobs under way.
    """
    return Call(api_url(base_url, "v6/processing/request_count"), b"{}")


def read_processing_count(reply: Reply) -> int | None:
    """
    The number that *reply* tells; None where it tells none.
    """
    count = read_number(_told(reply).get("processing_count"))
    return None if count is None else int(count)


def _amount(value: JSON) -> float | None:
    """
    Money, which may be owed.
    """
    if isinstance(value, str) and value.strip().startswith("-"):
        value = value.strip()[1:]
        owed = read_number(value)
        return None if owed is None else -owed
    if isinstance(value, int | float) and not isinstance(value, bool):
        owed = read_number(abs(value))
        return None if owed is None else owed * (-1 if value < 0 else 1)
    return read_number(value)


def _told(reply: Reply) -> dict[str, JSON]:
    try:
        found = read_answer(reply.body)
    except (ValueError, RecursionError):
        return {}
    return {} if found is None or reply.status >= 400 else found
