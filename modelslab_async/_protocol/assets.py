"""
What an account has made, as the service lists it.

* There is no date, prompt, status or name of a request in it, and no order
  that is promised: it gives candidates, never a proof.
* One page puts it below the root, another below v6.
* Some accounts may not ask for it.
"""

from __future__ import annotations

from ..results import JSON, Candidate
from .answer_text import read_answer
from .encode import api_url
from .job_ids import clean_id, job_number
from .json_text import compact_json
from .links import read_urls
from .replies import Call, Reply
from .values import read_number


#: Where it is; the second where there is no first.
ASSET_PATHS = ("assets_generated", "v6/assets_generated")


_PER_PAGE = 30


def encode_assets(base_url: str, path: str, page: int) -> Call:
    """
    The request for one page of the pictures, counted from 1.
    """
    body = {"type": "image", "per_page": _PER_PAGE, "page": page}
    return Call(api_url(base_url, path), compact_json(body))


def read_assets(reply: Reply) -> tuple[tuple[Candidate, ...], int] | None:
    """
    The jobs on a page, and the number of the last page; None where it is no
    such page.
    """
    try:
        data = read_answer(reply.body)
    except (ValueError, RecursionError):
        return None
    if data is None or reply.status >= 400:
        return None
    rows = data.get("data")
    if not isinstance(rows, list) or data.get("status") == "error":
        return None
    found = [_candidate(row, reply.url) for row in rows]
    pages = data.get("pagination")
    last = pages.get("last_page") if isinstance(pages, dict) else None
    jobs = tuple(one for one in found if one is not None)
    return jobs, int(read_number(last) or 1)


def _candidate(row: JSON, base: str) -> Candidate | None:
    job_id = clean_id(row.get("id")) if isinstance(row, dict) else None
    if not isinstance(row, dict) or job_number(job_id) is None:
        return None
    return Candidate(str(job_id), read_urls(row.get("output"), base))
