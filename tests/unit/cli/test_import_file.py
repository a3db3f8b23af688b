"""Files as people have them: which rows are user ids, which are not, and what is said of those."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from worker.cli.import_file import Row, rows
from worker.errors import ConfigurationError


def read(content: bytes, column: str | None = None, name: str = "-") -> list[Row]:
    file = io.BufferedReader(cast("io.RawIOBase", io.BytesIO(content)))
    return list(rows(cast("BinaryIO", file), name, column))


def ids(content: bytes, column: str | None = None) -> list[str]:
    found = read(content, column)
    assert [row for row in found if row.reason] == []
    return [row.text for row in found]


@pytest.mark.parametrize(
    "content",
    [
        b"ada\ngrace\n",
        b"ada\r\ngrace",
        b"\n  ada \n\n\tgrace\n\n",
        b"user_id\nada\ngrace\n",
        b"\xef\xbb\xbfUser ID\nada\ngrace\n",
        b'id,name\nada,Ada Lovelace\ngrace,"Hopper, Grace"\n',
        b'name;user_id\nAda;ada\n"Hopper; Grace";grace\n',
        b"name\tuser_id\nAda\tada\nGrace\tgrace\n",
        b'"ada"\n"grace"\n',
        b'"name","user_id"\n"Ada\nLovelace","ada"\n"G","grace"\n',
        b'{"user_id": "ada"}\n\n{"user_id": "grace", "x": 1}\n',
        "user_id\nada\ngrace\n".encode("utf-16"),
        "\ufeffada\r\ngrace\r\n".encode("utf-16-be"),
        "ada\r\ngrace\r\n".encode("utf-16-le"),
        b"user_id,x\nada\ngrace\n,only the other column\n",
    ],
)
def test_the_ids_are_found_whatever_the_form(content: bytes) -> None:
    assert ids(content) == ["ada", "grace"]


def test_the_column_is_named() -> None:
    content = b"Customer,User\n7,ada\n8,grace\n"
    assert ids(content, "customer") == ["7", "8"]
    assert ids(content) == ["ada", "grace"]
    assert ids(b'{"who": "ada"}\n{"who": 7}\n', "who") == ["ada", "7"]


def test_ids_stay_text() -> None:
    texts = ["007", "+4915", "-1", "1e5x", "auth0|1", "TRUE", "2026-10-01"]
    assert ids("\n".join(texts).encode()) == texts


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1.23E+17", "rounded"),
        ("1,23E+17", "rounded"),
        ("1e5", "rounded"),
        ("12345.0", "decimals"),
        ("a b", "white space"),
        ("x" * 129, "1–128"),
    ],
)
def test_what_is_no_id_is_told_with_its_row(cell: str, reason: str) -> None:
    good, bad = read(f'user_id;x\nada;1\n"{cell}";2\n'.encode())
    assert (good, bad.number, bad.text) == (Row(2, "ada"), 3, cell)
    assert reason in (bad.reason or "")


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        (b"a,b\n1,2\n", None, "--column"),
        (b"a,b\n1,2\n", "c", 'there is no "c"; the first row has "a", "b"'),
        (b"ada\n\xff\xfe\xfa\n", None, "no UTF-8"),
        (b'"ada\n', None, "unexpected end"),
        (b'{"user_id": 1}\nada\n', None, "line 2 is no JSON"),
        (b'{"x": 1}\n', None, "has no user_id"),
        (b"PAR1xxxx", None, "standard input"),
    ],
)
def test_a_form_that_can_not_be_read_is_said(content: bytes, column: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(content, column)


def test_an_empty_file_has_no_ids() -> None:
    assert read(b"") == read(b"\n \n") == read(b"user_id\n") == []


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    from pyarrow import parquet

    table = pyarrow.table({"n": [1.5, 2.5, 3.5], "user_id": ["007", None, "ada"], "number": [12345678901234567, 2, 3]})
    path = tmp_path / "users.parquet"
    parquet.write_table(table, path)

    def read_column(column: str | None) -> list[Row]:
        with path.open("rb") as file:
            return list(rows(file, str(path), column))

    assert [row.text for row in read_column(None)] == ["007", "ada"]
    assert [row.text for row in read_column("number")] == ["12345678901234567", "2", "3"]
    assert all(row.reason for row in read_column("n"))
    path.write_bytes(b"PAR1{}")
    with pytest.raises(ConfigurationError, match=r"users\.parquet"):
        read_column(None)
