"""
Where a picture may lie.
"""

from __future__ import annotations

import asyncio

from typing import Any

import attrs
import pytest

from peers import (
    KEY,
    OK,
    TIMEOUTS,
    a_pool,
    fetched,
    head,
    peer,
    says,
)

from modelslab_async import ModelsLab, Timeouts
from modelslab_async.errors import (
    ConfigurationError,
    DownloadError,
    TransportError,
    UnsafeUrlError,
)
from modelslab_async.results import Image


pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("hurried")]


HERE = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fec0::1]",
    "[fd00::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "0.0.0.0",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "2130706433",
    "127.0.0.1.",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "pictures.example",
    "six.example",
]


@pytest.mark.parametrize("host", HERE)
async def test_no_picture_lies_here(host: str, names: None) -> None:
    """
    No address that is not global is connected to, in no notation and by no
    name.
    """
    async with peer(says(OK)) as other, a_pool() as pool:
        with pytest.raises(UnsafeUrlError):
            await fetched(pool, f"https://{host}:{other.port}/0.png")

    assert other.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://pictures.example/0.png",
        "gopher://pictures.example/",
        "data:image/png;base64,AAAA",
        "//pictures.example/0.png",
        "/0.png",
        "",
        "https://",
        "https://[::1",
        "http://pictures.example/0.png",
        "http://8.8.8.8/0.png",
        "http://127.0.0.1:1/0.png",
    ],
)
async def test_no_picture_lies_there(url: str, names: None) -> None:
    """
    Only http and https lead to pictures, and http only to the API's own
    origin and trusted hosts.
    """
    async with a_pool() as pool:
        with pytest.raises(UnsafeUrlError):
            await fetched(pool, url)


@pytest.mark.parametrize(
    "where",
    [
        "http://localhost:{port}/0.png",
        "https://localhost:{port}/0.png",
        "https://127.0.0.1:{port}/0.png",
        "https://pictures.example:{port}/0.png",
        "//169.254.169.254/latest",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/",
    ],
)
async def test_a_redirect_is_checked_as_a_link_is(
    where: str, names: None
) -> None:
    """
    A host that we trust cannot send us to one that we do not.
    """
    async with peer(says(OK)) as elsewhere:
        location = where.format(port=elsewhere.port)
        answer = head(
            f"Location: {location}".encode(),
            b"Content-Length: 0",
            line=b"HTTP/1.1 302 Found",
        )
        async with (
            peer(says(answer)) as other,
            a_pool(trusted_hosts=[f"127.0.0.1:{other.port}"]) as pool,
        ):
            with pytest.raises(UnsafeUrlError):
                await fetched(pool, f"{other.url}/0.png")

    assert len(other.requests) == 1
    assert elsewhere.connections == 0


@pytest.mark.parametrize(("hops", "arrives"), [(3, True), (4, False)])
async def test_three_redirects_are_enough(hops: int, arrives: bool) -> None:
    """
    At most three are followed.
    """

    async def act(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        on = head(
            b"Location: /on",
            b"Content-Length: 0",
            line=b"HTTP/1.1 302 Found",
        )
        writer.write(on if len(other.requests) <= hops else OK)

    async with peer(act) as other, a_pool(base_url=other.url) as pool:
        try:
            found: bytes | str = await fetched(pool, f"{other.url}/0.png")
        except UnsafeUrlError as error:
            found = error.reason

    assert (found == b"{}") is arrives
    assert len(other.requests) == 4


@pytest.mark.parametrize("exempt", ["origin", "host", "host and port"])
async def test_our_own_hosts_may_be_anywhere(exempt: str) -> None:
    """
    The API's own origin and *trusted_hosts* may be on this machine.
    """
    async with peer(says(OK)) as other:
        options: dict[str, dict[str, Any]] = {
            "origin": {"base_url": f"{other.url}/api/v6"},
            "host": {"trusted_hosts": ["127.0.0.1"]},
            "host and port": {"trusted_hosts": [f"127.0.0.1:{other.port}"]},
        }
        async with a_pool(**options[exempt]) as pool:
            found = await fetched(pool, f"{other.url}/0.png")

    assert found == b"{}"


async def test_our_own_origin_is_one_port(names: None) -> None:
    """
    Another port of the API's host is somebody else.
    """
    async with (
        peer(says(OK)) as other,
        peer(says(OK)) as own,
        a_pool(base_url=own.url) as pool,
    ):
        with pytest.raises(UnsafeUrlError):
            await fetched(pool, f"http://127.0.0.1:{other.port}/0.png")
        with pytest.raises(UnsafeUrlError):
            await fetched(pool, f"https://127.0.0.1:{other.port}/0.png")

    assert other.connections == 0


async def test_exactly_the_proxy_is_exempt(names: None) -> None:
    """
    With a proxy only the proxy is connected to; it is asked for names, and
    for no literal address that is not global, in any notation.
    """
    shut = head(b"Content-Length: 0", line=b"HTTP/1.1 502 Bad Gateway")
    literals = [host for host in HERE if not host.endswith(".example")]
    async with (
        peer(says(shut)) as proxy,
        peer(says(OK)) as other,
        a_pool(proxy=proxy.url) as pool,
    ):
        for host in literals:
            with pytest.raises(UnsafeUrlError):
                await fetched(pool, f"https://{host}:{other.port}/0.png")
        asked_for_literals = len(proxy.requests)
        with pytest.raises(TransportError):
            await fetched(pool, "https://pictures.example/0.png")

    assert asked_for_literals == 0
    assert other.connections == 0
    assert [one.split(b"\r\n")[0] for one, _ in proxy.requests] == [
        b"CONNECT pictures.example:443 HTTP/1.1"
    ]
    assert KEY.encode() not in proxy.requests[0][0]


async def test_a_download_carries_nothing_of_ours() -> None:
    """
    Neither key nor cookie goes to where the pictures are, whoever set it.
    """
    baked = OK.replace(
        b"\r\n\r\n", b"\r\nSet-Cookie: id=crumb; Path=/\r\n\r\n"
    )
    async with (
        peer(says(baked)) as other,
        a_pool(base_url=other.url) as pool,
    ):
        await pool.submit(other.call)
        await pool.submit(other.call)
        await fetched(pool, f"{other.url}/0.png")
        await fetched(pool, f"{other.url}/1.png")

    heads = [head for head, _ in other.requests]
    assert b"crumb" not in b"".join(heads)
    assert b"Authorization" not in b"".join(heads)
    assert b"canary" not in b"".join(heads)
    assert [body for _, body in other.requests[2:]] == [b"", b""]


# Whom a caller trusts.


@pytest.mark.parametrize(
    ("entry", "link"),
    [
        ("[::1]:{port}", "http://[::1]:{port}/"),
        ("::1", "http://[0:0::1]:{port}/"),
        ("[::1]", "http://[::1]:{port}/"),
        ("[::FFFF:127.0.0.1]:{port}", "http://127.0.0.1:{port}/"),
        ("127.0.0.1:{port}", "http://127.0.0.1.:{port}/"),
        ("Pictures.EXAMPLE", "http://pictures.example:{port}/"),
        ("pictures.example.", "http://PICTURES.example:{port}/"),
        ("pictures.example:{port}", "http://pictures.example.:{port}/"),
        (" pictures.example ", "http://pictures.example:{port}/"),
        ("bücher.example", "http://xn--bcher-kva.example:{port}/"),
        ("xn--bcher-kva.example", "http://BÜCHER.example:{port}/"),
    ],
)
async def test_any_usual_spelling(entry: str, link: str, names: None) -> None:
    """
    A host is trusted however it is written, here or there.
    """
    host = "::1" if "::1]" in link else "127.0.0.1"
    async with peer(says(OK), host=host) as other:
        trusted = [entry.format(port=other.port)]
        async with a_pool(trusted_hosts=trusted) as pool:
            found = await fetched(pool, link.format(port=other.port))

    assert found == b"{}"


@pytest.mark.parametrize(
    ("entry", "link"),
    [
        ("127.0.0.1:1", "http://127.0.0.1:{port}/"),
        ("pictures.example:1", "http://pictures.example:{port}/"),
        ("pictures.example", "http://more.pictures.example:{port}/"),
        ("example", "http://pictures.example:{port}/"),
        ("127.0.0.0/8", "http://pictures.example:{port}/"),
        ("127.0.0.0/8", "https://127.0.0.1:{port}/"),
        ("10.0.0.0/8", "https://pictures.example:{port}/"),
    ],
)
async def test_nobody_else(entry: str, link: str, names: None) -> None:
    """
    What was not meant is not trusted: other ports, other names; a network is
    for names, over https.
    """
    async with (
        peer(says(OK)) as other,
        a_pool(trusted_hosts=[entry]) as pool,
    ):
        with pytest.raises(UnsafeUrlError, match="trusted_hosts"):
            await fetched(pool, link.format(port=other.port))

    assert other.connections == 0


@pytest.mark.parametrize("network", ["127.0.0.0/8", "127.0.0.1/32"])
async def test_a_network_for_names(network: str, names: None) -> None:
    """
    Where this machine's DNS gives odd addresses to all names, a network of
    them is connected to.
    """
    async with (
        peer(says(OK)) as other,
        a_pool(
            trusted_hosts=[network],
            timeouts=attrs.evolve(TIMEOUTS, connect=0.1),
        ) as pool,
    ):
        # It speaks no TLS: it was connected to.
        with pytest.raises(TransportError):
            await fetched(pool, f"https://pictures.example:{other.port}/")

    assert other.connections == 1


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("http://pictures.example/", "add 'pictures.example' to"),
        ("https://pictures.example/", "add 'pictures.example' to"),
        ("https://pictures.example/", "or '127.0.0.1' where"),
        ("https://fake.example/", "or '198.18.0.0/15' where"),
        ("https://10.0.0.1/", "add '10.0.0.1' to"),
        ("https://[fd00::1]/", "add 'fd00::1' to"),
    ],
)
async def test_what_to_add_is_said(link: str, words: str, names: None) -> None:
    """
    An error says what would allow the link.
    """
    async with a_pool() as pool:
        with pytest.raises(UnsafeUrlError, match=words):
            await fetched(pool, link)


async def test_what_cannot_be_trusted() -> None:
    """
    All that is wrong with *trusted_hosts* is told at once, by the client.
    """
    wrong = [
        "http://a.example",
        "b.example/pictures",
        "198.18.0.1/15",
        "c.example:99999",
        "*.d.example",
        "",
        "[::1",
        "::1]",
        "[[::1]]",
        "[::1]9000",
        "[fc00::/7",
        "e.example,f.example",
    ]
    with pytest.raises(ConfigurationError) as caught:
        ModelsLab("key", trusted_hosts=["fine.example", *wrong], slots=0)

    said = str(caught.value)
    assert [one for one in wrong if repr(one) not in said] == []
    assert "fine.example" not in said
    assert "'198.18.0.0/15' is one" in said
    assert "slots" in said


@pytest.mark.parametrize(
    "proxy", ["socks5://pa55word@x", "localhost:3128", "pa55word", 7]
)
async def test_a_proxy_that_is_none(proxy: Any) -> None:
    """
    A proxy that cannot be is told before anything else, its password not.
    """
    with pytest.raises(ConfigurationError, match="proxy: ") as caught:
        ModelsLab("key", proxy=proxy)

    assert "pa55word" not in str(caught.value)


async def test_a_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The environment names a proxy, where the caller says nothing.
    """
    shut = head(b"Content-Length: 0", line=b"HTTP/1.1 502 Bad Gateway")
    image = Image(0, "https://pictures.example/0.png")
    async with peer(says(shut)) as proxy:
        monkeypatch.setenv("MODELSLAB_PROXY", proxy.url)
        waits = Timeouts().faster(1000, silence=0.1)
        async with ModelsLab("key", timeouts=waits) as lab:
            with pytest.raises(DownloadError):
                await lab.read(image)
        asked = len(proxy.requests)
        async with ModelsLab("key", proxy="", timeouts=waits) as lab:
            with pytest.raises(DownloadError):
                await lab.read(attrs.evolve(image, url="https://[::1]/0.png"))

    assert asked > 0
    assert len(proxy.requests) == asked
