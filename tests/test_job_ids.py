"""
A job's id, and where the job is asked for.
"""

from __future__ import annotations

import pytest

from answers import (
    BASE,
    TEXT2IMG,
)
from hypothesis import given
from hypothesis import strategies as st

from modelslab_async._protocol import job_ids


OURS = f"{BASE}/images/fetch/5"


@pytest.mark.parametrize(
    ("fetch_result", "url"),
    [
        (f"{BASE}/images/fetch/9", f"{BASE}/images/fetch/9"),
        (
            "https://MODELSLAB.com:443/api/v3/dreambooth/fetch/9",
            "https://modelslab.com/api/v3/dreambooth/fetch/9",
        ),
        (f"{BASE}/images/fetch", f"{BASE}/images/fetch"),
        (f"{BASE}/images/fetch/9?key=1#x", f"{BASE}/images/fetch/9"),
        (None, OURS),
        ("", OURS),
        ("http://modelslab.com/api/v6/images/fetch/9", OURS),
        ("https://modelslab.com:444/api/v6/images/fetch/9", OURS),
        ("https://evil.example/api/v6/images/fetch/9", OURS),
        ("https://modelslab.com.evil.example/fetch/9", OURS),
        ("https://modelslab.com@evil.example/fetch/9", OURS),
        ("https://evil.example\\@modelslab.com/fetch/9", OURS),
        (f"{BASE}/images/delete/9", OURS),
        (f"{BASE}/images/fetch/../delete", OURS),
        (f"{BASE}/images/fetch/a%2fb", f"{BASE}/images/fetch/a%2fb"),
        (f"{BASE}/images/fetch/gen:1/2", f"{BASE}/images/fetch/gen:1/2"),
        (f"{BASE}/images/fetch/a b", f"{BASE}/images/fetch/a%20b"),
        (f"{BASE}/images/fetch/9%", f"{BASE}/images/fetch/9%25"),
        (f"{BASE}/images/fetch/%2e%2e/delete", OURS),
        (f"{BASE}/images/fetch/a%0ab", OURS),
        (f"{BASE}/images/fetch/{'9' * 129}", OURS),
        ("https://[::1/fetch/9", OURS),
        ("https://modelslab.com:99999/fetch/9", OURS),
        ("/images/fetch/9", OURS),
        ("javascript:fetch/9", OURS),
    ],
)
def test_fetch_url(fetch_result: str | None, url: str) -> None:
    """
    The key goes to a fetch path of the API's own origin, or to our own URL.
    """
    found = job_ids.fetch_url(BASE, fetch_result, TEXT2IMG, "5")

    assert found == url


def test_other_fetch_url() -> None:
    """
    The other form names the job in its body only.
    """
    assert (
        job_ids.other_fetch_url(BASE + "/", TEXT2IMG) == f"{BASE}/images/fetch"
    )


@given(st.text())
def test_fetch_url_total(fetch_result: str) -> None:
    """
    Whatever the service says, the URL stays below the API's own origin.
    """
    found = job_ids.fetch_url(BASE, fetch_result, TEXT2IMG, "5")

    assert found.startswith("https://modelslab.com/")
    assert job_ids.fetch_result_id(found) is not None or found.endswith(
        "/fetch"
    )


@pytest.mark.parametrize(
    ("job_id", "end"),
    [
        ("134701497", "134701497"),
        ("gen:12/3", "gen%3A12%2F3"),
        ("msg.01A", "msg.01A"),
        ("a b?c#d", "a%20b%3Fc%23d"),
        ("50%", "50%25"),
        ("\u043a\u043b", "%D0%BA%D0%BB"),
    ],
)
def test_unusual_ids_are_quoted(job_id: str, end: str) -> None:
    """
    An id stands in the URL as one part of its path, and comes back from it.
    """
    url = job_ids.fetch_url(BASE, None, TEXT2IMG, job_id)

    assert url == f"{BASE}/images/fetch/{end}"
    assert job_ids.fetch_result_id(url) == job_ids.clean_id(job_id) == job_id


@given(st.text())
def test_any_id_stays_below_the_fetch_path(text: str) -> None:
    """
    Whatever is taken for an id leads nowhere else.
    """
    job_id = job_ids.clean_id(text)

    url = job_ids.fetch_url(BASE, None, TEXT2IMG, job_id or "5")

    assert url.rpartition("/")[0] == f"{BASE}/images/fetch"
    assert url.isascii()
