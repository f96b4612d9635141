from __future__ import annotations

import io

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from hypothesis import given
from hypothesis import strategies as st

from modelslab_async._cli.input_file import (
    SHOWN,
    InputError,
    InputFormat,
    Row,
    Source,
)
from modelslab_async._cli.usual import Usual
from modelslab_async.specs import TextToImage


Give = Callable[..., Source]


@pytest.fixture
def give(tmp_path: Path) -> Give:
    """
    A source of these bytes.
    """

    def give(name: str, content: str | bytes) -> Source:
        path = tmp_path / name
        path.write_bytes(
            content.encode() if isinstance(content, str) else content
        )
        return Source.open(str(path), None, Usual())

    return give


def asked(row: Row) -> TextToImage:
    """
    What the row asks for.
    """
    assert isinstance(row.spec, TextToImage)
    return row.spec


def _faults(source: Source) -> list[str]:
    return [str(fault) for fault in source.check().first]


def test_prompts_a_line(give: Give) -> None:
    """
    Empty lines and comments ask for nothing; the rest asks the given model.
    """
    source = give("p.txt", "# pets\n\n  a cat  \r\na dog # with a ball\n")

    rows = list(source.rows())

    assert [asked(row).prompt for row in rows] == [
        "a cat",
        "a dog # with a ball",
    ]
    assert {asked(row).model_id for row in rows} == {"flux"}
    assert [row.line for row in rows] == [3, 4]


def test_byte_order_mark(give: Give) -> None:
    """
    What Windows puts before a text is no part of it.
    """
    texts = give("p.txt", b"\xef\xbb\xbf# a comment\n")
    cells = give("p.csv", b"\xef\xbb\xbfprompt\na cat\n")

    assert texts.check().items == 0
    assert [asked(row).prompt for row in cells.rows()] == ["a cat"]


def test_objects_a_line(give: Give) -> None:
    """
    A JSON line holds the fields of a spec, and a name for it.
    """
    source = give(
        "p.jsonl",
        '{"prompt": "a cat", "model_id": "x", "seed": 7, "item": 12}\n'
        "\n"
        '{"prompt": "a dog", "samples": 4, "upscale": false}\n',
    )

    first, second = source.rows()

    assert (first.item, asked(first).model_id, asked(first).seed) == (
        "12",
        "x",
        7,
    )
    assert (second.item, asked(second).samples, asked(second).upscale) == (
        None,
        4,
        False,
    )


def test_table(give: Give) -> None:
    """
    Cells become what their fields are; a blank cell says nothing.
    """
    source = give(
        "p.csv",
        "item,prompt,width,safety_checker,lora_strength,guidance_scale\n"
        '007,"a cat, ""asleep""",512,no,"0.5,0.8",\n'
        '8,"two\nlines",,yes,,7.5\n'
        "\n"
        "9,42\n",
    )

    rows = list(source.rows())

    assert [row.item for row in rows] == ["007", "8", "9"]
    assert [row.line for row in rows] == [2, 3, 6]
    assert [asked(row).prompt for row in rows] == [
        'a cat, "asleep"',
        "two\nlines",
        "42",
    ]
    assert [asked(row).width for row in rows] == [512, None, None]
    assert [asked(row).safety_checker for row in rows] == [False, True, None]
    assert asked(rows[0]).lora_strength == (0.5, 0.8)
    assert asked(rows[1]).guidance_scale == 7.5


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("p.txt", b"a cat\n\xff\xfe\n", "2: line: is not UTF-8"),
        ("p.txt", b"x" * 2**24 + b"y\na cat\n", "1: line: is longer"),
        ("p.jsonl", '{"prompt": "a"', "1: line: is not JSON"),
        ("p.jsonl", "[1]", "1: line: is not a JSON object"),
        ("p.jsonl", "[" * 100_000, "1: line: is not JSON"),
        ("p.jsonl", '{"prompt": "a", "seed": NaN}', "1: line: is not JSON"),
        ("p.jsonl", '{"prompt": "a", "prompt": "b"}', "1: prompt: stands"),
        ("p.jsonl", '{"prompt": "a", "item": true}', "1: item: is your name"),
        ("p.jsonl", '{"prompt": "a", "item": [1]}', "1: item: is your name"),
        ("p.jsonl", '{"prompt": "a", "item": "\\ud800"}', "1: item: is your"),
        ("p.jsonl", '{"prompt": "a", "seed": -1}', "1: seed: must be"),
        ("p.jsonl", '{"prompt": "a", "model_id": [1]}', "1: model_id: must"),
        ("p.jsonl", '{"prompt": "a", "sede": 1}', "1: sede: is no parameter"),
        ("p.jsonl", '{"seed": 1}', "1: prompt: is required"),
        ("p.csv", "prompt,seed\na cat,x\n", "2: seed: must be"),
        ("p.csv", "prompt\na cat,asleep\n", "2: line: has 2 cells"),
        ("p.csv", 'prompt\n"a cat\n', "2: line: is not CSV"),
        ("p.csv", "prompt,prompt\na,b\n", "1: prompt: is the name of two"),
        ("p.csv", "prompt,\na,b\n", "1: line: names no field"),
        ("p.csv", "a cat\na dog\n", "1: prompt: is no column"),
        ("p.csv", "promt,seed\na,1\n", "1: prompt: is no column, but 'promt'"),
        ("p.csv", b"prompt\n\xff\n", "2: line: is not UTF-8"),
    ],
)
def test_faults(
    give: Give, name: str, content: str | bytes, fault: str
) -> None:
    """
    A fault is told with its line, its field, and what would be right.
    """
    check = give(name, content).check()

    assert check.faults == 1
    assert str(check.first[0]).startswith(fault)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", '{"prompt": "a", "key": "s3cret"}'),
        ("p.jsonl", '{"prompt": "a", "KEY": "s3cret"}'),
        ("p.jsonl", '{"prompt": "a", "extra": {"key": "s3cret"}}'),
        ("p.csv", "prompt,api_key\na,s3cret\n"),
        ("p.csv", "prompt,key\na,s3cret\n"),
    ],
)
def test_key_is_refused(give: Give, name: str, content: str) -> None:
    """
    A key in an input is refused, and not shown.
    """
    (fault,) = _faults(give(name, content))

    assert "key" in fault.lower()
    assert "s3cret" not in fault


def test_first_faults_and_a_count(give: Give) -> None:
    """
    A million faults are as readable as twenty.
    """
    check = give("p.jsonl", '{"prompt": ""}\n' * 1000).check()

    assert len(check.first) == SHOWN
    assert check.faults == 1000


def test_counts(give: Give) -> None:
    """
    A check knows requests, pictures, and what some models would not take.
    """
    source = give(
        "p.jsonl",
        '{"prompt": "a", "samples": 3}\n{"prompt": "a", "width": 1488}\n',
    )

    check = source.check()

    assert (check.items, check.pictures, check.faults) == (2, 4, 0)
    assert check.warned == 1
    assert str(check.first_warned[0]).startswith("2: note: width: 1488")


@pytest.mark.parametrize(
    ("content", "prompt"),
    [
        (b"a cat\na dog\n", "a cat"),
        (b'\n {"prompt": "a cat"}\n', "a cat"),
    ],
)
def test_stdin(content: bytes, prompt: str) -> None:
    """
    Stdin can be read twice, and tells itself what it is.
    """
    with Source.open(
        "-", io.TextIOWrapper(io.BytesIO(content)), Usual()
    ) as source:
        check = source.check()
        first = next(source.rows())

    assert check.faults == 0
    assert asked(first).prompt == prompt


def test_format_wins(give: Give, tmp_path: Path) -> None:
    """
    What the user says a file is, it is.
    """
    path = tmp_path / "prompts"
    path.write_text('{"prompt": "a cat"}')

    source = Source.open(str(path), None, Usual(), kind="jsonl")

    assert asked(next(source.rows())).prompt == "a cat"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.txt", "cannot read"),
        (".", "cannot read"),
        ("prompts.doc", "neither .txt, .jsonl nor .csv"),
    ],
)
def test_unreadable(tmp_path: Path, name: str, words: str) -> None:
    """
    What cannot be read is named, with what would help.
    """
    (tmp_path / "prompts.doc").write_text("a cat")

    with pytest.raises(InputError, match=words):
        Source.open(str(tmp_path / name), None, Usual())


def test_changed_meanwhile(give: Give, tmp_path: Path) -> None:
    """
    A file that is broken after its check stops the batch, by its line.
    """
    source = give("p.jsonl", '{"prompt": "a cat"}\n')
    source.check()
    (tmp_path / "p.jsonl").write_text('{"prompt": ""}\n')

    with pytest.raises(InputError, match=r"p\.jsonl:1: .*changed"):
        list(source.rows())


def test_gone_meanwhile(give: Give, tmp_path: Path) -> None:
    """
    A file that is taken away after its check is named.
    """
    source = give("p.txt", "a cat\n")
    source.check()
    (tmp_path / "p.txt").unlink()

    with pytest.raises(InputError, match="cannot read"):
        list(source.rows())


@given(st.binary(max_size=200), st.sampled_from(get_args(InputFormat)))
def test_any_bytes(content: bytes, kind: InputFormat) -> None:
    """
    Whatever the bytes, a check ends with items or faults, and what it
    counted is what is read.
    """
    with Source.open(
        "-",
        io.TextIOWrapper(io.BytesIO(content)),
        Usual(),
        kind=kind,
    ) as source:
        check = source.check()
        readable = [] if check.faults else list(source.rows())

    assert check.faults or len(readable) == check.items


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", "prompt,seed\na cat,1\na dog,2\n"),
        ("p.csv", "Prompt , SEED\r\na cat,1.0\r\n\r\na dog, 2\r\n"),
        ("p.csv", "\ufeffprompt;seed\na cat;1\na dog;2e0"),
        ("p.csv", 'prompt\tseed\n"a cat"\t1\na dog\t2\n'),
        ("p.tsv", "prompt\tseed\na cat\t1\na dog\t2\n"),
    ],
)
def test_tables_of_any_program(give: Give, name: str, content: str) -> None:
    """
    Spreadsheets differ in what stands between cells, and in line ends.
    """
    rows = [asked(row) for row in give(name, content).rows()]

    assert [(row.prompt, row.seed) for row in rows] == [
        ("a cat", 1),
        ("a dog", 2),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_ends(give: Give, end: str) -> None:
    """
    A prompt a line, whatever ends it.
    """
    rows = list(give("p.txt", end.join(["a cat", "", "#", "a dog"])).rows())

    assert [asked(row).prompt for row in rows] == ["a cat", "a dog"]


def test_a_long_cell(give: Give) -> None:
    """
    A cell may be as long as a line may be.
    """
    source = give("p.csv", f'item,prompt\n1,"{"x" * 1_000_000}"\n2,a cat\n')

    assert source.check().items == 2
    assert [len(asked(row).prompt) for row in source.rows()] == [1_000_000, 5]


@pytest.mark.parametrize(
    ("name", "content", "faults"),
    [
        (
            "p.jsonl",
            '{"item": "a", "prompt": "x"}\n' * 3,
            [
                "2: item: is that of line 1, too",
                "3: item: is that of line 1, too",
            ],
        ),
        (
            "p.csv",
            'item,prompt\na,"x\ny"\n,z\n,z\na,w\n',
            ["6: item: is that of line 2, too"],
        ),
        ("p.csv", "item,prompt\n7,x\n07,x\n 7,x\n", []),
    ],
)
def test_items_that_are_there_twice(
    give: Give, name: str, content: str, faults: list[str]
) -> None:
    """
    A name stands for one line.
    """
    assert _faults(give(name, content)) == faults


@pytest.mark.slow
def test_many_names(give: Give) -> None:
    """
    A hundred thousand names are looked through at once.
    """
    lines = "".join(f"n{number},x\n" for number in range(100_000))

    check = give("p.csv", f"item,prompt\n{lines}n77,x\n").check()

    assert [str(fault) for fault in check.first] == [
        "100002: item: is that of line 79, too"
    ]
