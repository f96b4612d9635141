"""
Links go out as they came, and lead to hosts.
"""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st
from peers import OK, a_pool, fetched, head, peer, says
from yarl import URL

from modelslab_async._engine.links import read_link
from modelslab_async.errors import UnsafeUrlError


@pytest.mark.parametrize(
    "target",
    [
        "/0.png?Signature=x%2Fy%2Bz%3D&Expires=1",
        "/foo%27bar.png",
        "/a%2fb/%7Eme/%e4.png?x=%c3%a4",
        "/it's/(1)/a+b;v=1,2/!$&*@:|^`{}[]<>\"\\.png",
        "/100%.png?q=50%&r=%zz",
        "/a/../b/./c//d.png",
        "/0.png??&&a=b=c/d?e",
        "/?x=1;y=2",
    ],
)
@pytest.mark.asyncio
@pytest.mark.parametrize("redirected", ["no", "whole", "path"])
async def test_a_link_goes_out_as_it_came(
    target: str, redirected: str
) -> None:
    """
    A store that signs its links is asked for what it signed, at once and
    after a redirect.
    """
    async with peer(says(OK)) as other:
        where = other.url * (redirected == "whole") + target
        on = head(
            b"Location: " + where.encode(),
            b"Content-Length: 0",
            line=b"HTTP/1.1 302 Found",
        )
        async with (
            peer(says(on)) as first,
            a_pool(other.url, trusted_hosts=["127.0.0.1"]) as pool,
        ):
            if redirected == "no":
                await fetched(pool, other.url + target)
            elif redirected == "whole":
                await fetched(pool, f"{first.url}/x.png")
            else:
                first.act = says(on)
                with pytest.raises(UnsafeUrlError, match="too many"):
                    await fetched(pool, f"{first.url}/x.png")

    asked = (first if redirected == "path" else other).requests[-1][0]
    assert asked.split(b" HTTP/1.1")[0] == b"GET " + target.encode()


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("https://x.example/a b.png", "/a%20b.png"),
        ("  https://x.example/a.png\n", "/a.png"),
        ("https://x.example/käse/猫.png", "/k%C3%A4se/%E7%8C%AB.png"),
        ("https://x.example/?q=ü&s=%2F", "/?q=%C3%BC&s=%2F"),
        ("https://x.example/a\tb\r\nX: y", "/a%09b%0D%0AX:%20y"),
        ("https://x.example/\x7f\udce4", "/%7F%E4"),
        ("https://x.example/\ud800", "/%ED%A0%80"),
        ("https://x.example", "/"),
        ("https://x.example?a=1", "/?a=1"),
        ("https://x.example/a.png#part", "/a.png"),
    ],
)
def test_only_what_cannot_stand_is_quoted(link: str, asked: str) -> None:
    """
    Spaces, controls and letters beyond ASCII are quoted, nothing else.
    """
    assert read_link(link).raw_path_qs == asked


@pytest.mark.parametrize(
    ("link", "host", "port"),
    [
        ("HTTPS://X.Example/0.png", "x.example", 443),
        ("http://x.example:8080/0.png", "x.example", 8080),
        ("https://bücher.example/0.png", "xn--bcher-kva.example", 443),
        ("https://BÜCHER.example./0.png", "xn--bcher-kva.example", 443),
        ("https://猫.example/0.png", "xn--z7x.example", 443),
        ("https://under_score.example/", "under_score.example", 443),
        ("https://[2001:DB8::1]:9/0.png", "2001:db8::1", 9),
        ("https://" + "a" * 63 + ".example/", "a" * 63 + ".example", 443),
        ("https://x.example:/0.png", "x.example", 443),
        ("https://user:pw@x.example/0.png", "x.example", 443),
    ],
)
def test_hosts(link: str, host: str, port: int) -> None:
    """
    Names are asked for in small ASCII letters, by IDNA.
    """
    url = read_link(link)

    assert (url.raw_host, url.port) == (host, port)


NO_LINKS = [
    "",
    "x.png",
    "//x.example/0.png",
    "https:/x.example/0.png",
    "https:///0.png",
    "https://",
    "https://?x",
    "https://.example/0.png",
    "https://x..example/0.png",
    "https://../0.png",
    "https://" + "a" * 64 + ".example/0.png",
    "https://" + "ü" * 64 + ".example/0.png",
    "https://" + "a." * 127 + "example/0.png",
    "https://x .example/0.png",
    "https://x\n.example/0.png",
    "https://x%2e.example/0.png",
    "https://x<y>.example/0.png",
    "https://x.example:99999/0.png",
    "https://x.example:http/0.png",
    "https://x.example:-1/0.png",
    "https://::1/0.png",
    "https://[::1/0.png",
    "https://[::g]/0.png",
    "https://[x.example]/0.png",
    "https://x.example\\@y.example/0.png",
    "https:\\\\x.example/0.png",
    "https://a@b@c.example/0.png",
    "https://。.example/",
    "https://xn--\ud800.example/",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "data:image/png;base64,AAAA",
]


@pytest.mark.parametrize("link", NO_LINKS, ids=ascii)
def test_no_links(link: str) -> None:
    """
    What leads to no host is told as ours, whatever a codec thinks of it.
    """
    with pytest.raises(UnsafeUrlError):
        read_link(link)


@pytest.mark.parametrize("letter", ["a", "\u732b", "."])
def test_no_link_is_so_long(letter: str) -> None:
    """
    What no server would take is not looked at, nor told whole.
    """
    for where in ("x.example/", "user@", ""):
        with pytest.raises(UnsafeUrlError) as caught:
            read_link(f"https://{where}{letter * 100_000}")

        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "link", [one for one in NO_LINKS[5:] if one.isprintable()], ids=ascii
)
@pytest.mark.asyncio
async def test_a_redirect_to_no_link(link: str) -> None:
    """
    So it is where a store sends us there.
    """
    on = head(
        b"Location: " + link.encode(),
        b"Content-Length: 0",
        line=b"HTTP/1.1 302 Found",
    )
    async with peer(says(on)) as other, a_pool(other.url) as pool:
        with pytest.raises(UnsafeUrlError):
            await fetched(pool, f"{other.url}/0.png")


@pytest.mark.parametrize(
    ("link", "whole"),
    [
        ("https://y.example/a%27?b", "https://y.example/a%27?b"),
        ("//y.example/a%27?", "https://y.example/a%27?"),
        ("/b%2F?c=%2B", "https://x.example:8/b%2F?c=%2B"),
        ("b%2F", "https://x.example:8/d%27/b%2F"),
        ("../b", "https://x.example:8/b"),
        ("?c=%2F", "https://x.example:8/d%27/a?c=%2F"),
    ],
)
def test_seen_from_elsewhere(link: str, whole: str) -> None:
    """
    A redirect may be short.
    """
    base = URL("https://x.example:8/d%27/a?b=%2F", encoded=True)

    assert str(read_link(link, base)) == whole.removesuffix("?")


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text(host: str, rest: str) -> None:
    """
    Whatever a reply has for a link: it is one that can be sent, or none.
    """
    try:
        url = read_link(f"https://{host}/{rest}")
    except UnsafeUrlError:
        return

    assert url.raw_host
    assert url.raw_path_qs.isascii()
    assert " " not in url.raw_path_qs
