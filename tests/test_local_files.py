"""
Pictures as inputs: what may stand for one, and what is told of the rest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pickle
import warnings

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from modelslab_async import ImageToImage, RemoveBackground
from modelslab_async._protocol import encode, rows
from modelslab_async.errors import SpecError, SpecWarning
from modelslab_async.specs import LocalFile, from_dict, to_dict


PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40
JPEG = b"\xff\xd8\xff\xe0" + b"\x00" * 40
DIGEST = hashlib.sha256(PNG).hexdigest()
URI = "data:image/png;base64," + base64.b64encode(PNG).decode()
BASE = "https://modelslab.com/api/v6"


@pytest.fixture
def png(tmp_path: Path) -> Path:
    """
    A picture on this machine.
    """
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    return path


def cut(picture: Any) -> RemoveBackground:
    """
    A request about *picture*.
    """
    return RemoveBackground(picture)


def fault(make: Callable[[], object]) -> tuple[str, str]:
    """
    The one thing that is wrong.
    """
    with pytest.raises(SpecError) as caught:
        make()
    ((field, reason),) = [
        (one.field, one.reason) for one in caught.value.problems
    ]
    return field, reason


@pytest.mark.parametrize(
    "picture",
    [
        "https://i.example/a.png",
        "http://i.example/a.png?signature=x%2Fy",
        URI,
        URI.replace("data:image/png", "DATA:image/PNG"),
        "data:image/jpeg;charset=x;base64,/9j/",
    ],
)
def test_texts(picture: str) -> None:
    """
    A URL or a data URI is kept, and goes out, as it is.
    """
    spec = cut(picture)

    body = json.loads(encode.encode(spec, base_url=BASE, track_id="7").body)
    assert (spec.image, body["image"], spec.uploads) == (picture, picture, ())


@pytest.mark.parametrize(
    "picture",
    [
        "",
        "a.png",
        "/tmp/a.png",
        "file:///tmp/a.png",
        "ftp://i.example/a.png",
        "https://",
        "https:///a.png",
        "https://i.example/a b.png",
        "data:,x",
        "data:text/plain;base64,eA==",
        "data:image/png,x",
        "data:image/png;base64,",
        "data:image/png;base64,!!!",
        "data:image/png;base64,eA",
        5,
        b"x",
        PNG,
        None,
        ["https://i.example/a.png"],
    ],
)
def test_no_pictures(picture: object) -> None:
    """
    What cannot be a picture is told before anything is sent.
    """
    field, _ = fault(lambda: cut(picture))

    assert field == "image"


@pytest.mark.parametrize("data", [PNG, JPEG, b"GIF89a..", b"RIFF....WEBP.."])
def test_a_file(tmp_path: Path, data: bytes) -> None:
    """
    A local picture is known by its content and its place.
    """
    path = tmp_path / "a"
    path.write_bytes(data)

    spec = cut(path)

    file = LocalFile(str(path), hashlib.sha256(data).hexdigest())
    assert spec.image == file
    assert spec.uploads == (file,)
    assert os.fspath(file) == str(path)
    assert file.read() == data
    assert spec.caption == "a"
    assert f"Path({str(path)!r})" in repr(spec)


def test_a_relative_path(
    png: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    A path means what it meant when the spec was made.
    """
    monkeypatch.chdir(tmp_path)

    spec = cut(Path("a.png"))

    monkeypatch.chdir("/")
    assert spec.uploads[0].path == str(png)
    assert spec.uploads[0].read() == PNG


def test_bytes_as_a_path(png: Path) -> None:
    """
    Any `os.PathLike` names a file.
    """

    class Entry:
        def __fspath__(self) -> bytes:
            return os.fsencode(png)

    assert cut(Entry()) == cut(png)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "not a directory"),
        (lambda path: None, "No such file"),
        (lambda path: path.write_text("<html>"), "is no picture"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(PNG + bytes(6_000_000)), "5 MB"),
        (lambda path: path.write_bytes(PNG + bytes(5_000_000)), "5 MB"),
        (os.mkfifo, "in a file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (lambda path: path.symlink_to("/dev/zero"), "in a file"),
    ],
)
def test_bad_files(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    """
    What is no picture, or none that can be uploaded, is told with its path.
    """
    path = tmp_path / "a.png"
    make(path)

    field, reason = fault(lambda: cut(path))

    assert field == "image"
    assert words in reason
    assert str(path) in reason


def test_forbidden(png: Path) -> None:
    """
    A file that cannot be read is told.
    """
    png.chmod(0)
    if os.access(png, os.R_OK):
        pytest.skip("root reads everything")

    assert "denied" in fault(lambda: cut(png))[1]


@pytest.mark.parametrize("path", [b"\xff.png", "a\0b"])
def test_names_that_cannot_be_written_down(path: str | bytes) -> None:
    """
    A name that no journal could hold is told.
    """

    class Entry:
        def __fspath__(self) -> str | bytes:
            return path

    assert "cannot be written" in fault(lambda: cut(Entry()))[1]


def test_nearly_too_large(tmp_path: Path) -> None:
    """
    What may be too large as base64 is doubted.
    """
    path = tmp_path / "a.png"
    path.write_bytes(PNG + bytes(3_800_000))

    with pytest.warns(SpecWarning, match="image: a.png may be too large"):
        cut(path)


def test_changed(png: Path) -> None:
    """
    What changed since the request was made is told, not sent.
    """
    file = cut(png).uploads[0]
    png.write_bytes(JPEG)

    with pytest.raises(ValueError, match="has changed"):
        file.read()


def test_evolve_and_pickle(png: Path) -> None:
    """
    A checked file stays what it was, also where it cannot be seen.
    """
    spec = cut(png)
    png.unlink()

    assert attrs.evolve(spec, seed=1).image == spec.image
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert hash(attrs.evolve(spec)) == hash(spec)


def test_several(png: Path, tmp_path: Path) -> None:
    """
    Pictures can be mixed; a content is uploaded once.
    """
    other, twin = tmp_path / "b.jpg", tmp_path / "c.png"
    other.write_bytes(JPEG)
    twin.write_bytes(PNG)
    spec = ImageToImage(
        "x",
        model_id="flux-2-dev",
        init_image=[png, "https://i.example/a.png", other, twin],
        init_image_2=png,
    )
    urls = {file.sha256: f"https://up/{file.name}" for file in spec.uploads}

    call = encode.encode(spec, base_url=BASE, track_id="7", urls=urls)

    assert [file.name for file in spec.uploads] == ["a.png", "b.jpg"]
    body = json.loads(call.body)
    assert body["init_image"] == [
        "https://up/a.png",
        "https://i.example/a.png",
        "https://up/b.jpg",
        "https://up/a.png",
    ]
    assert body["init_image_2"] == "https://up/a.png"
    assert str(tmp_path).encode() not in call.body


# Journals and dicts


def test_identity_is_by_content(png: Path, tmp_path: Path) -> None:
    """
    The same picture in another place is the same item, another one is not.
    """
    twin = tmp_path / "elsewhere.png"
    twin.write_bytes(PNG)
    before = rows.identity(cut(png))

    assert rows.identity(cut(twin)) == before
    assert rows.written(cut(twin))[1] == before
    png.write_bytes(JPEG)
    assert rows.identity(cut(png)) != before


def test_what_a_journal_keeps(png: Path) -> None:
    """
    Path and SHA-256 are written down, and read without looking at the file.
    """
    spec = cut(png)
    text = rows.spec_json(spec)
    png.unlink()

    known = rows.read_spec(json.loads(text))

    assert json.loads(text)["image"] == {"path": str(png), "sha256": DIGEST}
    assert known == spec
    with pytest.raises(ValueError, match="cannot be read"):
        known.uploads[0].read()


def test_dict_and_back(png: Path) -> None:
    """
    A dict of a local file leads back to it.
    """
    spec = cut(png)

    said = json.loads(json.dumps(to_dict(spec)))

    assert from_dict(said) == spec


@pytest.mark.parametrize("digest", ["0" * 64, ""])
def test_dicts_open_no_file_by_its_path(png: Path, digest: str) -> None:
    """
    Who does not know what is in a file learns nothing of it by a dict.
    """
    data = {
        "endpoint": "remove_background",
        "image": {"path": str(png), "sha256": digest},
    }
    absent = {**data, "image": {"path": "/no/such", "sha256": digest}}

    found = fault(lambda: from_dict(data))

    assert found == ("image", "names no local file with that SHA-256")
    assert fault(lambda: from_dict(absent)) == found


@pytest.mark.parametrize(
    "image", ["PATH", {"path": "PATH"}, {"path": 5, "sha256": "x"}, {}]
)
def test_dicts_take_no_path(png: Path, image: object) -> None:
    """
    A text in a dict of anyone's is a URL, or nothing.
    """
    if image == "PATH":
        image = str(png)

    field, _ = fault(
        lambda: from_dict({"endpoint": "remove_background", "image": image})
    )

    assert field == "image"


def test_dict_with_a_path(png: Path) -> None:
    """
    A path that the program itself put there is one.
    """
    data: dict[str, Any] = {"endpoint": "remove_background", "image": png}

    assert from_dict(data) == cut(png)


def test_rows_have_paths_beside_their_file(png: Path, tmp_path: Path) -> None:
    """
    Rows of a file name pictures relative to it, by list too.
    """
    row: dict[str, Any] = {"endpoint": "remove_background", "image": "a.png"}
    edit: dict[str, Any] = {
        "endpoint": "qwen_edit",
        "prompt": "x",
        "init_image": ["a.png", str(png), "https://i.example/a.png", URI],
    }

    spec = rows.read_row(row, folder=tmp_path)
    edited = rows.read_row(edit, folder=str(tmp_path))

    assert spec == cut(png)
    assert [file.path for file in edited.uploads] == [str(png)]
    assert to_dict(edited)["init_image"][2:] == edit["init_image"][2:]
    field, reason = fault(
        lambda: rows.read_row(row | {"image": "b.png"}, folder=tmp_path)
    )
    assert (field, str(tmp_path / "b.png") in reason) == ("image", True)


def test_repr_of_a_data_uri() -> None:
    """
    Nobody wants to read a picture.
    """
    spec = cut(URI)

    assert repr(spec) == "RemoveBackground('data:image/png;base64,…')"
    assert spec.caption == "data:image/png;base64"


def test_caption_without_a_secret() -> None:
    """
    What a link is signed with is in no caption.
    """
    assert cut("https://i.example/x/a.png?sig=s#t").caption == "a.png"


def test_a_picture_is_not_looked_into(png: Path) -> None:
    """
    Beyond its first bytes it is for the service to judge.
    """
    png.write_bytes(PNG[:8])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cut(png).uploads
