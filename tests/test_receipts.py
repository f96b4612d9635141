"""
Receipts, and the handles that they are packed into.
"""

from __future__ import annotations

import attrs

from hypothesis import given
from hypothesis import strategies as st

from modelslab_async import TextToImage
from modelslab_async._engine.receipts import packed, receipt_by_name
from modelslab_async.results import Receipt
from modelslab_async.specs import SPECS


RECEIPTS = st.builds(
    Receipt,
    st.from_regex("[0-9]{1,18}", fullmatch=True),
    st.sampled_from(sorted(SPECS)),
    st.none() | st.text(),
    st.none() | st.just("https://modelslab.com/api/v6/images/fetch/1"),
    st.none() | st.floats(0, 86400),
    st.none() | st.integers(0, 2**32 - 1),
    st.lists(st.text()).map(tuple),
    st.binary(),
    st.none() | st.floats(0, 1e6),
)


@given(RECEIPTS)
def test_a_handle_has_all_but_the_echo(receipt: Receipt) -> None:
    """
    Handles are logged, and the echo of a request has its prompt.
    """
    again = receipt_by_name(packed(receipt), TextToImage.endpoint)

    assert again == attrs.evolve(receipt, meta_json=b"{}")
