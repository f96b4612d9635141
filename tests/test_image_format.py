"""
What a picture is, and whether all of it came.
"""

from __future__ import annotations

import io
import random
import struct
import time
import zlib

import pytest

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modelslab_async._magic import ImageFormat, format_of
from modelslab_async._output.image_format import (
    CompleteImage,
    InvalidImage,
    check_image,
)


def drawn(form: str, mode: str = "RGB", **options: object) -> bytes:
    """
    A small picture with something on it, as Pillow writes it.
    """
    dots = random.Random(7).randbytes(24 * 16 * 3)
    picture = Image.frombytes("RGB", (24, 16), dots).convert(mode)
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def thumbnail_inside() -> bytes:
    """
    A JPEG that holds another, whole one in a segment at its start.
    """
    outer, inner = drawn("JPEG"), drawn("JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(inner) + 8) + b"Exif\0\0"
    return outer[:2] + segment + inner + outer[2:]


def animated(form: str) -> bytes:
    """
    Two frames.
    """
    frames = [Image.new("RGB", (24, 16), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """
    A chunk of a PNG.
    """
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
    )


SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 24, 16, 8, 2, 0, 0, 0))
END = chunk(b"IEND", b"")


def box(kind: bytes, *data: bytes) -> bytes:
    """
    A box of an AVIF.
    """
    inner = b"".join(data)
    return struct.pack(">I4s", len(inner) + 8, kind) + inner


def avif(brand: bytes, *, pixels_first: bool = False) -> bytes:
    """
    An AVIF with a preview; what its pixels are nobody looks at.
    """
    sizes = [
        box(b"ispe", struct.pack(">III", 0, *size))
        for size in ((6, 4), (24, 16))
    ]
    meta = box(b"meta", bytes(4), box(b"iprp", box(b"ipco", *sizes)))
    pixels = box(b"mdat", b"ispe" * 20)
    parts = (pixels, meta) if pixels_first else (meta, pixels)
    return b"".join([box(b"ftyp", brand, bytes(4), b"mif1"), *parts])


PNG, JPEG, WEBP, GIF = map(drawn, ("PNG", "JPEG", "WEBP", "GIF"))
PICTURES = {
    "png": (PNG, ImageFormat.PNG),
    "png with alpha": (drawn("PNG", "RGBA"), ImageFormat.PNG),
    "animated png": (animated("PNG"), ImageFormat.PNG),
    "jpeg": (JPEG, ImageFormat.JPEG),
    "progressive jpeg": (drawn("JPEG", progressive=True), ImageFormat.JPEG),
    "grey jpeg": (drawn("JPEG", "L"), ImageFormat.JPEG),
    "jpeg with restarts": (
        drawn("JPEG", restart_marker_blocks=1),
        ImageFormat.JPEG,
    ),
    "jpeg with a comment": (
        drawn("JPEG", comment=b"\xff\xd9"),
        ImageFormat.JPEG,
    ),
    "jpeg with a thumbnail": (thumbnail_inside(), ImageFormat.JPEG),
    "webp": (WEBP, ImageFormat.WEBP),
    "lossless webp": (drawn("WEBP", lossless=True), ImageFormat.WEBP),
    "webp with alpha": (drawn("WEBP", "RGBA"), ImageFormat.WEBP),
    "webp with exif": (drawn("WEBP", exif=b"Exif\0\0II*\0"), ImageFormat.WEBP),
    "animated webp": (animated("WEBP"), ImageFormat.WEBP),
    "jpeg with bytes between segments": (
        JPEG[:20] + b"\0\0\xff\xff" + JPEG[20:],
        ImageFormat.JPEG,
    ),
    "gif with bytes between blocks": (GIF[:-1] + b"\0;", ImageFormat.GIF),
    "avif": (avif(b"avif"), ImageFormat.AVIF),
    "avif from its end": (
        avif(b"avis", pixels_first=True),
        ImageFormat.AVIF,
    ),
    "gif": (GIF, ImageFormat.GIF),
    "animated gif": (animated("GIF"), ImageFormat.GIF),
}
each_picture = pytest.mark.parametrize(
    ("data", "kind"), PICTURES.values(), ids=PICTURES.keys()
)


@each_picture
def test_whole(data: bytes, kind: ImageFormat) -> None:
    """
    What Pillow writes is whole, and its kind and size are read rightly.
    """
    image = check_image(data)

    assert image == CompleteImage(kind, 24, 16)


@each_picture
def test_cut_anywhere(data: bytes, kind: ImageFormat) -> None:
    """
    Cut at any byte, a picture is never taken for a whole one.
    """
    taken = [
        at
        for at in range(len(data))
        if isinstance(check_image(data[:at]), CompleteImage)
    ]

    assert taken == []


@each_picture
def test_bytes_after_the_end(data: bytes, kind: ImageFormat) -> None:
    """
    Bytes after the picture's end do no harm.
    """
    assert check_image(data + b"\0\xff\xd9\r\n") == CompleteImage(kind, 24, 16)


@each_picture
def test_any_bytes_type(data: bytes, kind: ImageFormat) -> None:
    """
    A view into a mapped file is read like bytes.
    """
    assert check_image(memoryview(data)) == check_image(bytearray(data))


@pytest.mark.parametrize(
    ("data", "reason", "retryable"),
    [
        (b"", "an empty file", True),
        (b"\n <!DOCTYPE HTML><p>", "an HTML page, not a picture", True),
        (b"\xef\xbb\xbf<html>", "an HTML page, not a picture", True),
        (b"<Error><Code>", "an XML or HTML page, not a picture", True),
        (b'{"status": 404}', "JSON, not a picture", True),
        (b"Not Found\r\n", "text, not a picture", True),
        (b"\x89PNG", "a picture cut before its end (4 bytes)", True),
        (b"\xff", "a picture cut before its end (1 bytes)", True),
        (b"RIFF\x10\0", "a picture cut before its end (6 bytes)", True),
        (b"%PDF\0\1\2\3\4", "no picture: begins with 25 50 44 46", False),
        (PNG[:-1], f"a PNG cut before its end ({len(PNG) - 1} bytes)", True),
        (
            PNG[:60] + b"\0\1\2" + PNG[63:],
            "a broken PNG: wrong checksum",
            True,
        ),
        (SIGNATURE + END, "a broken PNG: it has no header", True),
        (SIGNATURE + HEADER + END, "a broken PNG: it has no pixels", True),
        (SIGNATURE + HEADER + bytes(12), "a broken PNG: no chunk", True),
        (
            SIGNATURE
            + chunk(b"IHDR", bytes(13))
            + chunk(b"IDAT", b"")
            + chunk(b"IEND", b""),
            "a PNG without width or height",
            False,
        ),
        (b"\xff\xd8\xff\xd9", "a broken JPEG: it has no pixels", True),
        (b"\xff\xd8\xff\xe0\0\2\0\0", "a broken JPEG: no segment", True),
        (b"\xff\xd8\xff\xd8\0\2\0\0", "a broken JPEG: no segment", True),
        (b"RIFF\x04\0\0\0WEBP", "a broken WEBP: it has no pixels", True),
        (
            b"RIFF\x0c\0\0\0WEBPVP8 \x01\0\0\0",
            "a broken WEBP: no chunk",
            True,
        ),
        (
            b"RIFF\x16\0\0\0WEBPANMF\x0a\0\0\0" + bytes(10),
            "a broken WEBP: an animation without a canvas",
            True,
        ),
        (b"GIF89a\1\0\1\0\0\0\0;", "a broken GIF: it has no pixels", True),
        (b"GIF89a\1\0\1\0\0\0\0?", "a broken GIF: no block", True),
    ],
)
def test_says_what_it_is(data: bytes, reason: str, retryable: bool) -> None:
    """
    What is no picture is named in words, with whether it may become one.
    """
    image = check_image(data)

    assert isinstance(image, InvalidImage)
    assert image.reason.startswith(reason)
    assert image.retryable is retryable


@pytest.mark.parametrize("kind", [b"tEXt", b"tIME", b"pHYs", b"iCCP", b"zzZz"])
def test_comments_may_be_wrong(kind: bytes) -> None:
    """
    A wrong checksum of what a picture does not need makes no picture broken,
    as every viewer shows it.
    """
    wrong = chunk(kind, b"abc")[:-4] + b"\0\0\0\0"
    picture = PNG[:33] + wrong + PNG[33:-12] + wrong + PNG[-12:]

    assert check_image(picture) == CompleteImage(ImageFormat.PNG, 24, 16)
    assert isinstance(check_image(picture[:-1]), InvalidImage)


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT"])
def test_pixels_may_not_be_wrong(kind: bytes) -> None:
    """
    A wrong checksum of what a picture is made of makes it broken.
    """
    picture = drawn("PNG", "P")
    at = picture.index(kind)
    end = at + 8 + int.from_bytes(picture[at - 4 : at])

    image = check_image(picture[: end - 1] + b"\0" + picture[end:])

    assert isinstance(image, InvalidImage)
    assert "wrong checksum" in image.reason


def test_fillings_between_segments() -> None:
    """
    Filling bytes and lone markers between a JPEG's segments are allowed.
    """
    filled = JPEG[:2] + b"\xff\xff\xff\x01\xff" + JPEG[2:]

    assert check_image(filled) == CompleteImage(ImageFormat.JPEG, 24, 16)


def test_endless_parts_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file of nothing but parts does not keep us walking.
    """
    monkeypatch.setattr(
        "modelslab_async._output.image_format._MOST_PARTS", 100
    )
    text = chunk(b"tEXt", b"")

    ends = [
        check_image(SIGNATURE + HEADER + text * 200),
        check_image(b"\xff\xd8" + b"\xff\x01" * 200),
        check_image(GIF[:-1] + b"!\xfe\0" * 200),
    ]

    assert [end.reason for end in ends if isinstance(end, InvalidImage)] == [
        f"a broken {kind}: too many parts" for kind in ("PNG", "JPEG", "GIF")
    ]


MB = 1 << 20


@pytest.mark.parametrize(
    "data",
    [
        SIGNATURE + HEADER + chunk(b"tEXt", b"") * (MB // 12),
        b"\xff\xd8" + b"\xff\x01" * (MB // 2),
        b"\xff\xd8" + b"\xff" * MB,
        JPEG[:-2] + b"\xff\x00" * (MB // 2),
        JPEG[:-2] + b"\xff" * MB,
        GIF[:-1] + b"!\xfe" + b"\1\1" * (MB // 2),
        b"RIFF\xff\xff\xff\0WEBP" + b"ABCD\0\0\0\0" * (MB // 8),
        b" " * MB,
    ],
)
def test_the_worst_files_are_fast(data: bytes) -> None:
    """
    A megabyte that was made to be slow takes less than a second.
    """
    started = time.perf_counter()
    image = check_image(data)

    assert isinstance(image, InvalidImage)
    assert time.perf_counter() - started < 1


@given(
    st.sampled_from([b"", *(data[:24] for data, _ in PICTURES.values())]),
    st.binary(max_size=200),
)
def test_any_bytes_get_a_verdict(head: bytes, tail: bytes) -> None:
    """
    No bytes raise, however they begin.
    """
    assert isinstance(check_image(head + tail), CompleteImage | InvalidImage)


@given(
    st.sampled_from([data for data, _ in PICTURES.values()]),
    st.data(),
)
def test_wrong_bytes_get_a_verdict(data: bytes, dice: st.DataObject) -> None:
    """
    A picture with wrong bytes in it raises nothing.
    """
    at = dice.draw(st.integers(0, len(data)))
    wrong = dice.draw(st.binary(min_size=1, max_size=8))

    image = check_image(data[:at] + wrong + data[at + len(wrong) :])

    assert isinstance(image, CompleteImage | InvalidImage)


def test_kinds_by_their_magic_bytes() -> None:
    """
    A kind is told by 12 bytes, and its value is the extension.
    """
    heads = [data[:12] for data in (PNG, JPEG, WEBP, GIF)]

    assert [format_of(head) for head in heads] == ["png", "jpg", "webp", "gif"]
    assert format_of(b"RIFF\0\0\0\0WAVE") is None
