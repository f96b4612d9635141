"""
Here lives what a batch's folder shows: a manifest, a status, and pages.

``manifest.jsonl`` has one line for each picture, appended when it is on disk
and never changed.  A line that a crash cut is taken away when the folder is
opened, and `Gallery.lacks` tells which lines have to be written again.

``index.html`` and ``page-2.html``, … show the manifest's lines, `PAGE` on
each, so that a page is a stretch of that file and only the last ones change.
Prompts are hostile: all text is escaped, and a content security policy lets
nothing run but the page's own script.

``status.json`` is for other processes: the journal is locked while we run.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import os
import re
import threading
import time

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

import anyio.to_thread
import attrs

from ..results import JSON


T = TypeVar("T")


#: Pictures on a page.
PAGE = 1000


#: Of these, so many are loaded before anybody scrolls.
_AT_ONCE = 40


#: Failures that are listed; the others are counted.
_MOST_FAILURES = 1000


@attrs.frozen
class Picture:
    """
    A picture on disk: one line of the manifest.

    Attributes:
        file: Its name in ``images/``.

        index: Its item's number.

        n: Its place among the pictures of its item, from 0.

        spec: All that was asked for, as JSON.

        item: The key of one's own, where one was given.

        generation_time: Seconds that the service says it took.

        accepted_at: Seconds since the epoch; so is *finished_at*.
    """

    file: str
    index: int
    n: int
    spec: Mapping[str, JSON]
    item: str | None
    seed: int | None
    id: str | None
    track_id: str | None
    generation_time: float | None
    accepted_at: float | None
    finished_at: float | None
    sha256: str
    size_bytes: int
    width: int
    height: int

    def row(self) -> dict[str, JSON]:
        """
        The line, as JSON.
        """
        return attrs.asdict(self, recurse=False) | {
            "file": f"images/{self.file}",
            "spec": dict(self.spec),
            "accepted_at": _date(self.accepted_at),
            "finished_at": _date(self.finished_at),
        }


@attrs.frozen
class Failure:
    """
    An item without pictures, and why.
    """

    index: int
    spec: Mapping[str, JSON]
    reason: str
    item: str | None = None
    id: str | None = None
    track_id: str | None = None


@attrs.define(eq=False)
class Gallery:
    """
    The folder of one batch, and what it shows.

    All disk work happens in threads, one at a time.

    What changes: which lines the manifest has, which failures are known, and
    what was written when.
    """

    directory: Path
    title: str
    #: Seconds between two writings, at least.
    status_pause: float = 2.0
    pages_pause: float = 30.0
    _manifest: int = -1
    #: Where each page's lines begin in the manifest, and where it ends.
    _starts: list[int] = attrs.field(factory=list, init=False)
    _end: int = attrs.field(default=0, init=False)
    _rows: int = attrs.field(default=0, init=False)
    #: One bit for each of an item's first 8 pictures: 1 MB for a million.
    _known: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _known_more: set[tuple[int, int]] = attrs.field(
        factory=set, init=False, repr=False
    )
    _failures: dict[int, Failure] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _failures_more: int = attrs.field(default=0, init=False)
    #: What the pages on disk show, page by page.
    _stamps: dict[int, str] = attrs.field(factory=dict, init=False, repr=False)
    _status_at: float = attrs.field(default=-1e9, init=False)
    _pages_at: float = attrs.field(default=-1e9, init=False)
    _lock: threading.Lock = attrs.field(
        factory=threading.Lock, init=False, repr=False
    )

    @classmethod
    async def open(
        cls,
        directory: Path,
        title: str | None = None,
        *,
        status_pause: float = 2.0,
        pages_pause: float = 30.0,
    ) -> Self:
        """
        Open the folder; make it, for its owner only, where it is missing.

        Raises:
            OSError: It cannot be made, read or written.
        """
        gallery = cls(directory, title or "", status_pause, pages_pause)
        await gallery._in_thread(gallery._open)
        return gallery

    def lacks(self, index: int, n: int) -> bool:
        """
        Whether the manifest has no line for that picture.
        """
        if n >= 8:
            return (index, n) not in self._known_more
        return index >= len(self._known) or not self._known[index] >> n & 1

    async def append(self, pictures: Iterable[Picture]) -> None:
        """
        Write a line for each picture that has none.

        Raises:
            OSError: The disk is full, or worse.
        """
        await self._in_thread(self._append, tuple(pictures))

    def failed(self, failure: Failure) -> None:
        """
        Show a failure from the next writing on, until its item has a picture.
        """
        known = self._failures
        if failure.index in known or len(known) < _MOST_FAILURES:
            known[failure.index] = failure
        else:
            self._failures_more += 1

    async def refresh(
        self, facts: Mapping[str, JSON], *, final: bool = False
    ) -> None:
        """
        Write the status and the pages, each where its pause is over.

        Cheap to call often; one who calls it once a second is right.

        Args:
            facts:
                What ``status.json`` says; the pages show *in_flight* and
                *waiting*, where they are numbers.

            final: Write both now.

        Raises:
            OSError: The disk is full, or worse.
        """
        now = time.monotonic()
        if final or now - self._status_at >= self.status_pause:
            self._status_at = now
            await self._in_thread(self._write_status, dict(facts))
        if final or now - self._pages_at >= self.pages_pause:
            self._pages_at = now
            failures = tuple(sorted(self._failures.items()))
            await self._in_thread(
                self._write_pages,
                dict(facts),
                tuple(failure for _, failure in failures),
            )

    async def aclose(self) -> None:
        """
        Sync the manifest and close it.  May be called again.
        """
        await self._in_thread(self._close)

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        # A cancelled caller leaves the thread to finish: it holds no file
        # that somebody would clean up.
        return await anyio.to_thread.run_sync(self._locked, work, args)

    def _locked(self, work: Callable[..., T], args: tuple[object, ...]) -> T:
        with self._lock:
            return work(*args)

    # All below runs in threads.

    def _open(self) -> None:
        self.title = self.title or self.directory.absolute().name
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.directory / "images").mkdir(mode=0o700, exist_ok=True)
        self._manifest = os.open(
            self.directory / "manifest.jsonl",
            os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW,
            0o600,
        )
        with os.fdopen(os.dup(self._manifest), "rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    # It was being written when the lights went out.
                    os.ftruncate(self._manifest, self._end)
                    break
                self._counted(line)
                row = _parsed(line)
                index, n = row.get("index"), row.get("n")
                if isinstance(index, int) and isinstance(n, int):
                    self._know(index, n)
        for page in range(len(self._starts)):
            self._stamps[page] = self._stamp_of(page)

    def _close(self) -> None:
        if self._manifest >= 0:
            fd, self._manifest = self._manifest, -1
            os.fsync(fd)
            os.close(fd)

    def _counted(self, line: bytes) -> None:
        if self._rows % PAGE == 0:
            self._starts.append(self._end)
        self._rows += 1
        self._end += len(line)

    def _know(self, index: int, n: int) -> None:
        if n >= 8:
            self._known_more.add((index, n))
        elif index >= 0 <= n and index < _MOST_ITEMS:
            if index >= len(self._known):
                self._known.extend(bytes(index + 1024 - len(self._known)))
            self._known[index] |= 1 << n

    def _append(self, pictures: Iterable[Picture]) -> None:
        fresh: dict[tuple[int, int], bytes] = {}
        for one in pictures:
            if self.lacks(one.index, one.n):
                line = json.dumps(one.row(), ensure_ascii=False)
                fresh[one.index, one.n] = _encoded(line) + b"\n"
        if not fresh:
            return
        try:
            _write(self._manifest, b"".join(fresh.values()))
        except OSError:
            os.ftruncate(self._manifest, self._end)
            raise
        for (index, n), written in fresh.items():
            self._counted(written)
            self._know(index, n)
            self._failures.pop(index, None)

    def _write_status(self, facts: Mapping[str, JSON]) -> None:
        text = json.dumps(facts, ensure_ascii=False, indent=2)
        self._put("status.json", _encoded(text) + b"\n")

    def _write_pages(
        self, facts: Mapping[str, JSON], failures: tuple[Failure, ...]
    ) -> None:
        for page in range(1, len(self._starts)):
            stamp = self._stamp(page)
            if self._stamps.get(page) != stamp:
                self._write_page(page, _nothing)
                self._stamps[page] = stamp
        self._write_page(0, lambda: self._first(facts, failures))

    def _write_page(self, page: int, first: Callable[[], _First]) -> None:
        rows = sorted(self._lines(page), key=_order)
        shown = first()
        pages = len(self._starts)
        parts = _page(
            self.title, page, pages, rows, shown, stamp=self._stamp(page)
        )
        self._put(_name(page), _encoded("".join(parts)))

    def _first(
        self, facts: Mapping[str, JSON], failures: tuple[Failure, ...]
    ) -> _First:
        failed = len(failures) + self._failures_more
        counts = [
            _counted(self._rows, "picture", "pictures"),
            f"{failed:,} failed" if failed else "",
        ]
        for name, words in (
            ("in_flight", "in the making"),
            ("waiting", "waiting"),
        ):
            number = facts.get(name)
            if isinstance(number, int) and number > 0:
                counts.append(f"{number:,} {words}")
        return _First(tuple(filter(None, counts)), failures, failed)

    def _stamp(self, page: int) -> str:
        """
        What a page on disk has to say of itself to be as it should.
        """
        rows = min(PAGE, self._rows - page * PAGE)
        more = page + 1 < len(self._starts)
        return f"<!-- {_version()} {rows} {'more' if more else 'last'} -->"

    def _stamp_of(self, page: int) -> str:
        try:
            with (self.directory / _name(page)).open("rb") as file:
                head = file.read(200).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        found = re.search("<!-- .*? -->", head)
        return found[0] if found else ""

    def _lines(self, page: int) -> Iterator[Mapping[str, JSON]]:
        start, after = self._starts[page : page + 1], self._starts[page + 1 :]
        if not start:
            return
        with (self.directory / "manifest.jsonl").open("rb") as lines:
            lines.seek(start[0])
            data = lines.read((after[0] if after else self._end) - start[0])
        for line in data.split(b"\n"):
            row = _parsed(line)
            if _FILE.fullmatch(str(row.get("file"))):
                yield row

    def _put(self, name: str, data: bytes) -> None:
        """
        Replace a file of the folder in one step.
        """
        # One name is enough: the journal lets one process in.
        part = self.directory / f".{name}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        fd = os.open(part, flags, 0o600)
        try:
            _write(fd, data)
        finally:
            os.close(fd)
        part.replace(self.directory / name)


#: The only files that a page leads to.
_FILE = re.compile(r"images/[A-Za-z0-9_-]{1,200}\.[a-z]{3,4}")


#: Beyond it an index is nonsense, and would cost memory.
_MOST_ITEMS = 100_000_000


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _encoded(text: str) -> bytes:
    # Half characters cannot be written.
    return text.encode("utf-8", "replace")


def _parsed(line: bytes) -> Mapping[str, JSON]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _date(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    then = datetime.fromtimestamp(seconds, UTC)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _order(row: Mapping[str, JSON]) -> tuple[float, float]:
    index, n = row.get("index"), row.get("n")
    return (
        index if isinstance(index, int) else 0,
        n if isinstance(n, int) else 0,
    )


# The page.


@attrs.frozen
class _First:
    """
    What only the first page shows.
    """

    counts: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    failed: int = 0


def _nothing() -> _First:
    return _First()


def _name(page: int) -> str:
    return "index.html" if page == 0 else f"page-{page + 1}.html"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _text(value: object) -> str:
    """
    Anything as text that is text in HTML, in quotes too.
    """
    return html.escape(_CONTROL.sub("\ufffd", str(value)), quote=True)


def _page(
    title: str,
    page: int,
    pages: int,
    rows: list[Mapping[str, JSON]],
    first: _First,
    *,
    stamp: str,
) -> Iterator[str]:
    style = _STYLE.replace("1 / 1", _ratio(rows))
    policy = (
        "default-src 'none'; img-src 'self' data:; "
        f"script-src '{_hash(_SCRIPT)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    name = title if page == 0 else f"{title}, page {page + 1}"
    yield (
        f"<!DOCTYPE html>\n{stamp}\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(name)}</title>\n<style>{style}</style>\n"
        f'</head>\n<body>\n<header>\n<h1 dir="auto">{_text(name)}</h1>\n'
    )
    yield '<p class="counts">'
    yield _dotted(first.counts or [_counted(len(rows), "picture", "pictures")])
    yield "</p>\n"
    yield (
        '<input id="filter" type="search" placeholder="Filter" '
        'aria-label="Show only pictures whose text has these words" '
        'autocomplete="off" spellcheck="false">\n'
        '<output id="found" for="filter"></output>\n</header>\n'
    )
    if first.failed:
        yield from _failed(first)
    if rows:
        yield "<main>\n"
        for place, row in enumerate(rows):
            yield from _figure(row, lazy=place >= _AT_ONCE)
        yield "</main>\n"
    else:
        yield '<p class="none">No pictures yet.</p>\n'
    if pages > 1:
        yield from _links(page, pages)
    yield f"{_BOX}<script>{_SCRIPT}</script>\n</body>\n</html>\n"


def _links(page: int, pages: int) -> Iterator[str]:
    """
    To other pages: all of them from the first, as only that one knows.
    """
    around = range(pages) if page == 0 else {0, page - 1, page, page + 1}
    yield '<nav aria-label="Pages">'
    for one in sorted(around):
        if one == page:
            yield f'<b aria-current="page">{one + 1}</b> '
        elif one < pages:
            yield f'<a href="{_name(one)}">{one + 1}</a> '
    yield "</nav>\n"


def _failed(first: _First) -> Iterator[str]:
    count = f"{first.failed:,} failed"
    yield f'<details class="failed"><summary>{count}</summary>\n<ul>\n'
    for failure in first.failures:
        yield (
            f'<li><p class="reason" dir="auto">{_text(failure.reason)}</p>'
            f'<p dir="auto">{_text(failure.spec.get("prompt", ""))}</p>'
            '<p class="facts">'
        )
        facts = [
            f"#{failure.index}",
            failure.item,
            failure.spec.get("model_id"),
            failure.id and f"job {failure.id}",
        ]
        yield _dotted(facts)
        yield "</p></li>\n"
    more = first.failed - len(first.failures)
    yield "</ul>\n"
    if more:
        yield f"<p>… and {more:,} more.</p>\n"
    yield "</details>\n"


def _figure(row: Mapping[str, JSON], *, lazy: bool) -> Iterator[str]:
    found = row.get("spec")
    spec = found if isinstance(found, dict) else {}
    link = _text(row.get("file"))
    prompt = spec.get("prompt", "")
    size = ""
    width, height = row.get("width"), row.get("height")
    if isinstance(width, int) and isinstance(height, int):
        size = f' width="{width}" height="{height}"'
    yield (
        f'<figure><a href="{link}"><img src="{link}"{size} '
        f'loading="{"lazy" if lazy else "eager"}" '
        f'alt="{_text(prompt)}"></a>\n'
        f'<figcaption><p class="prompt" dir="auto">{_text(prompt)}</p>'
        '<p class="facts">'
    )
    took = row.get("generation_time")
    facts = [
        f"#{row.get('index')}",
        row.get("item"),
        spec.get("model_id"),
        f"seed {row['seed']}" if row.get("seed") is not None else None,
        f"{took:.1f} s" if isinstance(took, int | float) else None,
    ]
    yield _dotted(facts)
    yield "</p><dl hidden>"
    for name, value in _details(row, spec):
        yield f'<dt>{_text(name)}</dt><dd dir="auto">{_text(value)}</dd>'
    yield "</dl></figcaption></figure>\n"


def _dotted(facts: Iterable[object]) -> str:
    return " · ".join(f"<span>{_text(fact)}</span>" for fact in facts if fact)


def _details(
    row: Mapping[str, JSON], spec: Mapping[str, JSON]
) -> Iterator[tuple[str, object]]:
    for name, value in spec.items():
        if name not in {"prompt", "track_id", "seed"} and value is not None:
            plain = value if isinstance(value, str) else json.dumps(value)
            yield name.replace("_", " "), plain
    size = row.get("size_bytes")
    if isinstance(size, int):
        pixels = f"{row.get('width')} \u00d7 {row.get('height')} pixels"
        yield "picture", f"{pixels}, {size / 1000:,.0f} kB"
    for name, word in (
        ("seed", "seed"),
        ("item", "item"),
        ("id", "job"),
        ("track_id", "track id"),
        ("file", "file"),
    ):
        value = row.get(name)
        if value is not None:
            yield word, value
    for name in ("accepted", "finished"):
        date = row.get(f"{name}_at")
        if isinstance(date, str):
            yield name, f"{date[:19].replace('T', ' ')} UTC"


def _ratio(rows: Iterable[Mapping[str, JSON]]) -> str:
    """
    The shape of the cells: that of most pictures.
    """
    shapes: Counter[str] = Counter()
    for row in rows:
        width, height = row.get("width"), row.get("height")
        if isinstance(width, int) and isinstance(height, int):
            shapes[f"{width} / {height}"] += 1
    return shapes.most_common(1)[0][0] if shapes else "1 / 1"


def _hash(text: str) -> str:
    told = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(told).decode()}"


@functools.cache
def _version() -> str:
    """
    Which look a page has; another one is written anew.
    """
    return hashlib.sha256((_STYLE + _SCRIPT + _BOX).encode()).hexdigest()[:12]


_STYLE = """
:root { color-scheme: light dark; --paper: #f7f6f3; --card: #fff;
  --ink: #1c1b19; --soft: #6b6862; --line: #e2dfd8; --bad: #a3341f;
  --mat: #ecebe6; }
@media (prefers-color-scheme: dark) { :root { --paper: #131312;
  --card: #1c1c1a; --ink: #eceae4; --soft: #98958d; --line: #2d2c29;
  --bad: #f0846c; --mat: #0c0c0b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1800px; padding: 0 clamp(16px, 3vw, 48px);
  background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "DejaVu Sans", sans-serif; }
h1, .prompt { font-family: "Iowan Old Style", "Palatino Linotype", Palatino,
  "Book Antiqua", Georgia, "Noto Serif", "DejaVu Serif", serif; }
header { display: flex; flex-wrap: wrap; align-items: baseline;
  gap: 4px 24px; padding: 32px 0 20px; margin-bottom: 24px;
  border-bottom: 1px solid var(--line); }
h1 { margin: 0; font-size: 32px; font-weight: 400; line-height: 1.2;
  letter-spacing: -.01em; overflow-wrap: anywhere; }
p { margin: 0; }
.counts, .facts, #found, dl, nav { color: var(--soft); font-size: 13px;
  font-variant-numeric: tabular-nums; }
.counts { flex: 1; }
#filter { width: min(100%, 280px); padding: 8px 14px; font: inherit;
  color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: 99px; }
#filter:focus { outline: 2px solid var(--soft); outline-offset: 1px; }
#found:empty { display: none; }
main { display: grid; gap: 28px 22px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 250px), 1fr)); }
figure { margin: 0; content-visibility: auto;
  contain-intrinsic-size: auto 360px; }
figure > a { display: block; aspect-ratio: 1 / 1; overflow: hidden;
  border-radius: 4px; background: var(--mat); cursor: zoom-in; }
figure img { display: block; width: 100%; height: 100%; object-fit: contain;
  transition: opacity .15s; }
figure > a:hover img { opacity: .88; }
a:focus-visible { outline: 2px solid var(--ink); outline-offset: 3px; }
.prompt { margin: 10px 0 3px; font-size: 15.5px; line-height: 1.4;
  overflow: hidden; overflow-wrap: anywhere; display: -webkit-box;
  -webkit-box-orient: vertical; -webkit-line-clamp: 3; }
.facts { overflow-wrap: anywhere; }
[hidden], figure[hidden] { display: none; }
.failed { margin: -8px 0 28px; }
summary { color: var(--bad); cursor: pointer; width: max-content; }
.failed ul { margin: 12px 0 0; padding: 0; list-style: none; display: grid;
  gap: 14px 22px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 360px), 1fr)); }
.failed li { padding-left: 14px; border-left: 2px solid var(--bad);
  overflow-wrap: anywhere; }
.reason { color: var(--bad); font-size: 13px; }
.none { padding: 12vh 0; text-align: center; color: var(--soft); }
nav { display: flex; flex-wrap: wrap; justify-content: center; gap: 6px;
  padding-top: 40px; }
nav > * { min-width: 34px; padding: 5px 8px; text-align: center;
  border-radius: 4px; color: inherit; text-decoration: none; }
nav > a:hover { background: var(--line); }
nav > b { background: var(--ink); color: var(--paper); font-weight: 500; }
body::after { content: ""; display: block; height: 64px; }
dialog { width: 100vw; height: 100vh; height: 100dvh; max-width: none;
  max-height: none; margin: 0; padding: 0; border: 0; color: #eceae4;
  background: #0c0c0b; --soft: #98958d; --line: #2d2c29; }
dialog[open] { display: grid; grid-template: 100% / 1fr 360px; }
#large { display: grid; place-items: center; min-width: 0; min-height: 0;
  padding: 28px; cursor: zoom-out; }
#large img { max-width: 100%; max-height: calc(100vh - 56px); min-width: 0;
  object-fit: contain; border-radius: 2px; }
aside { overflow: auto; padding: 64px 28px 28px;
  border-left: 1px solid var(--line); overscroll-behavior: contain; }
aside .prompt { display: block; margin: 0 0 10px; font-size: 19px;
  line-height: 1.45; }
dl { margin: 22px 0 0; display: grid; gap: 7px 16px;
  grid-template-columns: max-content 1fr; }
dl[hidden] { display: none; }
dd { margin: 0; color: #eceae4; overflow-wrap: anywhere; }
.tools { position: fixed; top: 16px; right: 18px; display: flex; gap: 4px; }
.tools button { width: 36px; height: 36px; padding: 0; border: 0;
  border-radius: 99px; color: inherit; background: #2d2c29;
  font: 20px/1 system-ui, sans-serif; cursor: pointer; }
.tools button:hover { background: #45433e; }
.tools button:focus-visible { outline: 2px solid #eceae4; }
@media (max-width: 900px) {
  dialog[open] { grid-template: minmax(0, 3fr) minmax(0, 2fr) / 100%; }
  #large { padding: 12px; } #large img { max-height: calc(60vh - 24px); }
  aside { padding: 20px; border: 0; border-top: 1px solid var(--line); } }
@media print { #filter, dialog { display: none; } }
@media (prefers-reduced-motion: reduce) { * { transition: none; } }
"""


_BOX = """<dialog id="box" aria-label="One picture">
<div id="large"><img alt=""></div><aside></aside>
<div class="tools">
<button data-step="-1" aria-label="Previous">&lsaquo;</button>
<button data-step="1" aria-label="Next">&rsaquo;</button>
<button data-step="0" aria-label="Close">&times;</button></div>
</dialog>
"""


_SCRIPT = """
"use strict";
const box = document.getElementById("box");
const large = box.querySelector("img");
const beside = box.querySelector("aside");
const filter = document.getElementById("filter");
const found = document.getElementById("found");
const figures = [...document.querySelectorAll("figure")];
const failures = [...document.querySelectorAll(".failed li")];
const words = new Map([...figures, ...failures].map(
  (one) => [one, one.textContent.toLowerCase()]));
let open = null;

function next(figure, step) {
  const seen = figures.filter((one) => !one.hidden);
  return seen[(seen.indexOf(figure) + step + seen.length) % seen.length];
}

function show(figure) {
  open = figure;
  const small = figure.querySelector("img");
  large.src = small.src;
  large.alt = small.alt;
  const told = figure.querySelector("figcaption").cloneNode(true);
  told.querySelector("dl").hidden = false;
  beside.replaceChildren(...told.children);
  beside.scrollTop = 0;
  if (!box.open) box.showModal();
  for (const step of [1, -1])
    new Image().src = next(figure, step).querySelector("img").src;
}

function sift() {
  const wanted = filter.value.toLowerCase().split(/\\s+/).filter(Boolean);
  const fits = (one) => wanted.every((word) => words.get(one).includes(word));
  for (const one of words.keys()) one.hidden = !fits(one);
  const count = figures.filter((one) => !one.hidden).length;
  found.textContent = wanted.length ? `${count} of ${figures.length}` : "";
}

for (const figure of figures)
  figure.querySelector("a").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(figure);
  });
for (const button of box.querySelectorAll("button"))
  button.addEventListener("click", () => {
    const step = Number(button.dataset.step);
    if (step) show(next(open, step)); else box.close();
  });
document.getElementById("large").addEventListener("click", () => box.close());
box.addEventListener("close", () => {
  open.scrollIntoView({ block: "nearest" });
  open.querySelector("a").focus({ preventScroll: true });
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (box.open) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); show(next(open, step)); }
  } else if (event.key === "/" && document.activeElement !== filter) {
    event.preventDefault();
    filter.focus();
  }
});
filter.addEventListener("input", sift);
sift();
"""
