"""
A page of pictures as HTML.

Prompts are hostile: all text is escaped, and a content security policy lets
nothing run but the page's own script.  Style, script and the dialog that shows
one picture are files beside this one.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import importlib.resources
import re
import shlex

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import attrs

from ..journal.causes import Cause
from ..results import JSON
from .captions import caption_of, details_of, model_of, spec_of
from .manifest import ManifestRow


#: Of a page's pictures, so many are loaded before anybody scrolls.
_EAGER = 40


#: Models to choose from; there may be as many as there are items.
_MOST_CHIPS = 12


#: The state of what is shown as a picture.
_DONE = "pictures"


_UTC = "%Y-%m-%dT%H:%M:%SZ"


@attrs.frozen
class Failure:
    """
    An item without pictures, and why.

    Attributes:
        cause: What others may have too.

        reason: All that is known of this one.
    """

    index: int
    spec: Mapping[str, JSON]
    cause: Cause
    reason: str
    item: str | None = None
    id: str | None = None


@attrs.frozen
class Summary:
    """
    What only the first page shows: how it all stands, and what failed.

    *failed* may be more than *failures* lists.
    """

    counts: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    failed: int = 0
    #: When it was so, where there is more to come.
    running: datetime | None = None


@attrs.frozen
class Page:
    """
    One page of several.

    Attributes:
        title: Of them all.

        number: Its place among them, from 0.

        stamp: A comment at its head; see `stamp_of`.

        rows: Lines of the manifest.

        folder: As the command names it that asks again.
    """

    title: str
    number: int
    pages: int
    stamp: str
    rows: Iterable[ManifestRow]
    summary: Summary = Summary()
    folder: str = "DIR"

    def html(self) -> str:
        """
        The whole page.
        """
        shown = [row for row in self.rows if _IMAGE.fullmatch(_file(row))]
        return "".join(_document(self, sorted(shown, key=_order)))


def file_name(number: int) -> str:
    """
    The file of a page.
    """
    return "index.html" if number == 0 else f"page-{number + 1}.html"


def pause_of(pictures: int) -> int:
    """
    Seconds between two writings of pages while their batch runs, and between
    a page's looks at itself: 30 from a full one on, fewer for what costs less.
    """
    return min(30, max(5, pictures * 30 // 1000))


def stamp_of(rows: int, *, last: bool, running: bool = False) -> str:
    """
    What a page on disk says of itself: one that says something else is old.
    """
    more = "running" if running else "last" if last else "more"
    return f"<!-- {_version()} {rows} {more} -->"


def stamp_in(head: str) -> str:
    """
    The stamp of a page that begins like this; empty if it has none.
    """
    start, end = head.find("<!-- "), head.find(" -->")
    return head[start : end + 4] if 0 <= start < end else ""


def counted(number: int, one: str, many: str) -> str:
    """
    A number with its noun.
    """
    return f"{number:,} {one if number == 1 else many}"


@functools.cache
def _asset(name: str) -> str:
    """
    A file beside this one.
    """
    files = importlib.resources.files(__package__)
    return files.joinpath(name).read_text("utf-8")


@functools.cache
def _version() -> str:
    """
    Which look a page has; another one is written anew.
    """
    look = "".join(map(_asset, ("page.css", "page.js", "dialog.html")))
    return hashlib.sha256(look.encode()).hexdigest()[:12]


# From here on, in the order of the page.


def _document(page: Page, rows: list[ManifestRow]) -> Iterator[str]:
    style = _asset("page.css").replace("1 / 1", _usual_ratio(rows))
    script = _asset("page.js")
    name = page.title
    if page.number:
        name = f"{name}, page {page.number + 1}"
    made = page.summary.running
    live = ""
    if made:
        pause = 30 if page.number else pause_of(len(rows))
        live = f' data-refresh="{pause}" data-made="{made:{_UTC}}"'
    yield (
        f"<!DOCTYPE html>\n{page.stamp}\n"
        f'<html lang="en"{live}>\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f'content="{_policy(style, script)}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_escaped(name)}</title>\n<style>{style}</style>\n"
        f"</head>\n<body>\n"
    )
    yield from _header(name, page.summary, len(rows))
    yield from _bar(rows, page.summary)
    if page.summary.failed:
        yield from _failed(page.summary, page.folder)
    if rows:
        yield "<main>\n"
        of = Counter(map(_index, rows))
        for place, row in enumerate(rows):
            yield from _figure(row, of[_index(row)], lazy=place >= _EAGER)
        yield "</main>\n"
    else:
        yield '<main><p class="none">No pictures yet.</p></main>\n'
    if page.pages > 1:
        yield from _navigation(page.number, page.pages)
    dialog = _asset("dialog.html")
    yield f"{dialog}<script>{script}</script>\n</body>\n</html>\n"


def _policy(style: str, script: str) -> str:
    return (
        "default-src 'none'; img-src 'self' data:; "
        f"script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _usual_ratio(rows: Iterable[ManifestRow]) -> str:
    """
    The shape of the cells: that of most pictures.
    """
    shapes: Counter[str] = Counter()
    for row in rows:
        width, height = row.get("width"), row.get("height")
        if isinstance(width, int) and isinstance(height, int):
            shapes[f"{width} / {height}"] += 1
    return shapes.most_common(1)[0][0] if shapes else "1 / 1"


def _header(name: str, summary: Summary, rows: int) -> Iterator[str]:
    yield f'<header>\n<h1 dir="auto">{_escaped(name)}</h1>\n'
    yield '<p class="counts">'
    yield _dotted(summary.counts or [counted(rows, "picture", "pictures")])
    if summary.running is not None:
        time = summary.running
        yield (
            f' · <time datetime="{time:{_UTC}}">'
            f"as of {time:%H:%M:%S} UTC</time>"
        )
    yield "</p>\n</header>\n"


def _bar(rows: list[ManifestRow], summary: Summary) -> Iterator[str]:
    """
    What needs the script, and is hidden without it.
    """
    yield (
        '<div class="bar" role="search" data-scripted hidden>\n'
        '<input id="filter" type="search" placeholder="Words, or a &quot;'
        'phrase&quot;" aria-label="Show only what has these words in its '
        'prompt, item, model, endpoint or seed" '
        'autocomplete="off" spellcheck="false">\n'
        '<output id="found" for="filter"></output>\n'
    )
    specs = [spec_of(row) for row in rows]
    specs += [failure.spec for failure in summary.failures]
    models = Counter(filter(None, map(model_of, specs)))
    if len(models) > 1:
        yield from _chips("model", "Models", models)
    states = Counter(failure.cause.state for failure in summary.failures)
    if states:
        yield from _chips("state", "States", {_DONE: len(rows), **states})
    yield '<div class="sizes" role="group" aria-label="Size of pictures">'
    for size in ("small", "medium", "large"):
        yield (
            f'<button type="button" data-resize="{size}" '
            f'aria-pressed="false" aria-label="{size.title()}">'
            f"{size[0].upper()}</button>"
        )
    yield "</div>\n</div>\n"


def _chips(
    choose: str, label: str, counts: Mapping[str, int]
) -> Iterator[str]:
    yield f'<div class="chips" role="group" aria-label="{label}">'
    usual = sorted(counts, key=lambda one: -counts[one])[:_MOST_CHIPS]
    for value in usual:
        yield (
            f'<button type="button" data-choose="{choose}" '
            f'data-value="{_escaped(value)}" aria-pressed="false">'
            f"{_escaped(value)} <span>{counts[value]:,}</span></button>"
        )
    yield "</div>\n"


def _failed(summary: Summary, folder: str) -> Iterator[str]:
    groups: dict[Cause, list[Failure]] = {}
    for failure in summary.failures:
        groups.setdefault(failure.cause, []).append(failure)
    yield '<section class="failed" aria-label="Failed">\n<h2>Failed</h2>\n'
    for cause in sorted(groups, key=lambda one: -len(groups[one])):
        yield from _group(cause, groups[cause], folder)
    more = summary.failed - len(summary.failures)
    if more:
        yield f"<p>… and {more:,} more.</p>\n"
    yield "</section>\n"


def _group(
    cause: Cause, failures: list[Failure], folder: str
) -> Iterator[str]:
    state, reason = _escaped(cause.state), _escaped(cause.reason)
    yield (
        f'<details data-state="{state}" data-reason="{reason}">'
        f"<summary>{len(failures):,} {state}: "
        f'<span dir="auto">{reason}</span></summary>\n'
        '<p class="again">'
    )
    yield from _again(cause.option, folder)
    yield "</p>\n<ul>\n"
    for failure in failures:
        spec = failure.spec
        yield (
            f"<li{_data(failure.item, spec, cause.state)}>"
            '<p class="prompt" dir="auto">'
            f'{_escaped(caption_of(spec))}</p><p class="reason" dir="auto">'
            f'{_escaped(failure.reason)}</p><p class="facts">'
        )
        yield _dotted(
            [
                f"#{failure.index}",
                failure.item,
                model_of(spec),
                failure.id and f"job {failure.id}",
            ]
        )
        yield "</p></li>\n"
    yield "</ul></details>\n"


def _again(option: str, folder: str) -> Iterator[str]:
    command = f"modelslab-async batch INPUT -o {shlex.quote(folder)}"
    if option:
        flag = option.replace("_", "-")
        yield (
            f"To ask again: <code>{_escaped(command)} --{flag}</code>, "
            f"in Python <code>{option}=True</code>"
        )
        if option == "resubmit_unknown":
            yield "; what was paid for may be paid for twice"
    else:
        yield f"To go on: <code>{_escaped(command)}</code>"


def _figure(row: ManifestRow, of: int, *, lazy: bool) -> Iterator[str]:
    spec = spec_of(row)
    link = _escaped(row.get("file"))
    caption = _escaped(caption_of(spec))
    # Only a prompt is worth a copy.
    kind = "prompt" if spec.get("prompt") else "prompt name"
    index, n = row.get("index"), row.get("n")
    place = n + 1 if isinstance(n, int) else 1
    told = row.get("of")
    of = max(of, place, told if isinstance(told, int) else 1)
    sample = f"{place} of {of}" if of > 1 else ""
    mark = f"item-{_escaped(index)}" + (f"-{place}" if place > 1 else "")
    name = f"#{_escaped(index)}" + (f", {sample}" if sample else "")
    size = ""
    width, height = row.get("width"), row.get("height")
    if isinstance(width, int) and isinstance(height, int):
        size = f' width="{width}" height="{height}"'
    item, seed = row.get("item"), row.get("seed")
    yield (
        f'<figure id="{mark}" data-name="{name}"'
        f"{_data(item, spec, _DONE, seed)}>"
        f'<a href="{link}"><img src="{link}"{size} '
        f'loading="{"lazy" if lazy else "eager"}" alt="{caption}"></a>\n'
        f'<figcaption><p class="{kind}" dir="auto">{caption}</p>'
        '<p class="facts">'
    )
    took = row.get("generation_time")
    yield _dotted(
        [
            f"#{index}",
            sample,
            item,
            model_of(spec),
            f"seed {seed}" if seed is not None else None,
            f"{took:.1f} s" if isinstance(took, int | float) else None,
        ]
    )
    yield "</p><dl hidden>"
    for title, value in details_of(row):
        yield (
            f'<dt>{_escaped(title)}</dt><dd dir="auto">{_escaped(value)}</dd>'
        )
    yield "</dl></figcaption></figure>\n"


def _data(
    item: object,
    spec: Mapping[str, JSON],
    state: str,
    seed: object = None,
) -> str:
    """
    What the script filters by.
    """
    facts = {
        "item": item,
        "model": model_of(spec),
        "endpoint": spec.get("endpoint"),
        "seed": spec.get("seed") if seed is None else seed,
        "state": state,
    }
    return "".join(
        f' data-{name}="{_escaped(value)}"'
        for name, value in facts.items()
        if value is not None
    )


def _navigation(number: int, pages: int) -> Iterator[str]:
    """
    To other pages: all of them from the first, as only that one knows.
    """
    around = (
        range(pages) if number == 0 else {0, number - 1, number, number + 1}
    )
    yield '<nav aria-label="Pages">'
    for one in sorted(around):
        if one == number:
            yield f'<b aria-current="page">{one + 1}</b> '
        elif one < pages:
            yield f'<a href="{file_name(one)}">{one + 1}</a> '
    yield "</nav>\n"


# What is in it.


#: The only files that a page leads to.
_IMAGE = re.compile(r"images/[A-Za-z0-9_-]{1,200}\.[a-z]{3,4}")


def _index(row: ManifestRow) -> object:
    return row.get("index")


def _file(row: ManifestRow) -> str:
    return str(row.get("file"))


def _order(row: ManifestRow) -> tuple[float, float]:
    index, n = row.get("index"), row.get("n")
    return (
        index if isinstance(index, int) else 0,
        n if isinstance(n, int) else 0,
    )


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _escaped(value: object) -> str:
    """
    Anything as text that is text in HTML, in quotes too.
    """
    return html.escape(_CONTROL.sub("\ufffd", str(value)), quote=True)


def _dotted(facts: Iterable[object]) -> str:
    return " · ".join(
        f"<span>{_escaped(fact)}</span>" for fact in facts if fact
    )
