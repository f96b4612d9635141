"""
A job's id, and where the job is asked for.

* The id is an int, a string, a float that is whole, null, `""` or missing.
  Booleans are no ids.
* Most are digits, but some have other signs (``gen:12/3``, ``msg.01A``): what
  can stand in a URL when quoted is kept as it came, up to 128 characters. `.`
  and `..` between slashes cannot: they are taken for folders, quoted or not.
* *fetch_result* is followed only on the API's own origin, and only its path
  is taken: the key goes nowhere else, however a URL is spelt.
* The id in *fetch_result* and the job's own may differ.
"""

from __future__ import annotations

import functools
import re

from urllib.parse import quote, unquote, urlsplit

from ..specs import Endpoint
from .encode import api_url


_LONGEST = 128


#: With its sign it would be longer.
_TOO_LARGE = 10 ** (_LONGEST - 1)


def clean_id(value: object) -> str | None:
    """
    An id as text; None where it is none.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and value < 2**53:
        value = int(value)
    if isinstance(value, int):
        return str(value) if abs(value) < _TOO_LARGE else None
    if not isinstance(value, str):
        return None
    value = value.strip()
    good = 0 < len(value) <= _LONGEST and value.isprintable()
    if not good or ("." in value and _FOLDERS & {*value.split("/")}):
        return None
    return value


_FOLDERS = frozenset({".", ".."})


def job_number(job_id: str | None) -> int | None:
    """
    The service's ids as it counts, all families together; None for others.
    """
    if job_id is None or not _NUMBER.fullmatch(job_id):
        return None
    return int(job_id)


_NUMBER = re.compile("[0-9]{1,18}")


def fetch_url(
    base_url: str, fetch_result: str | None, endpoint: Endpoint, job_id: str
) -> str:
    """
    Where to ask for a job: where the service says, if that is its own place.
    """
    base = base_url.rstrip("/")
    usual = usual_fetch_url(base, endpoint, job_id)
    if fetch_result in {None, usual}:
        return usual
    if fetch_result and (origin := _origin(fetch_result)) is not None:
        path = urlsplit(fetch_result).path
        if origin == _origin(base) and _is_fetch_path(path):
            parts = urlsplit(base)
            path = quote(_LONE_PERCENT.sub("%25", path), safe=_SAFE)
            return f"{parts.scheme}://{parts.netloc}{path}"
    return usual


def usual_fetch_url(base_url: str, endpoint: Endpoint, job_id: str) -> str:
    """
    Where the service's pages say that a job is asked for.
    """
    name = job_id if _NUMBER.fullmatch(job_id) else quote(job_id, safe="")
    return f"{api_url(base_url, endpoint.fetch_path)}/{name}"


def other_fetch_url(base_url: str, endpoint: Endpoint) -> str:
    """
    The other documented form, where only the body names the job.
    """
    return api_url(base_url, endpoint.fetch_path)


def other_family_url(
    base_url: str, endpoint: Endpoint, job_id: str
) -> str | None:
    """
    Where a job that its own family does not know may be known, if anywhere.
    """
    path = endpoint.family.other_fetch_path
    if path is None:
        return None
    return f"{api_url(base_url, path)}/{quote(job_id, safe='')}"


def fetch_result_id(fetch_result: str | None) -> str | None:
    """
    The job's id as the end of *fetch_result* tells it.
    """
    try:
        path = urlsplit(fetch_result or "").path
    except ValueError:
        return None
    return clean_id(_path_id(path))


_FOLDER = re.compile("[A-Za-z0-9_-]{1,128}")


#: What may stand in a path as it is; `%` begins what is quoted already.
_SAFE = "/%:@!$&'()*+,;=~"


_LONE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


def _path_id(path: str) -> str | None:
    """
    The end of a fetch path; None where it is no such path.
    """
    root, *folders = path.split("/")
    if root or "fetch" not in folders:
        return None
    at = folders.index("fetch")
    if not all(map(_FOLDER.fullmatch, folders[:at])):
        return None
    return unquote("/".join(folders[at + 1 :])).rstrip("/")


def _is_fetch_path(path: str) -> bool:
    """
    Whether a path leads to a job, or to all, and stays there.
    """
    job_id = _path_id(path)
    return job_id == "" or clean_id(job_id) is not None


# The API's own is asked for with each job.
@functools.lru_cache(maxsize=64)
def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port
