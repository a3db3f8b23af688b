"""Files as people have them: which rows are user ids, which are not, and what is said of those."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import pytest

from worker.cli.import_cell import Row
from worker.cli.import_file import rows
from worker.errors import ConfigurationError


def read(content: bytes, column: str | None = None, note: Callable[[str], None] = print) -> list[Row]:
    file = io.BufferedReader(cast("io.RawIOBase", io.BytesIO(content)))
    return list(rows(cast("BinaryIO", file), "-", column, note))


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
        "user_id\nada\ngrace\n".encode("utf-32"),
        b"user_id,x\nada,\ngrace,1\n,only the other column\n,,\n",
        b"sep=;\nuser_id;x\nada;1,5\ngrace;2\n",
        b"sep=\t\r\nuser_id\r\nada\r\ngrace\r\n",
        b'"user_id";last, first\nada;"Lovelace, Ada"\ngrace;1,5\n',
        b"sep=;\nuser_id;last, first\nada;L, A\ngrace;H, G\n",
        b"tags;all,user_id\na;b,ada\nc,grace\n",
        b'"sep=|"\nx|user_id\n1|ada\n2|grace\n',
        b'name, user_id\nA, "ada"\nG, "grace"\n',
    ],
)
def test_the_ids_are_found_whatever_the_form(content: bytes) -> None:
    assert ids(content) == ["ada", "grace"]


def test_the_column_is_named() -> None:
    content = b"Customer,User\n7,ada\n8,grace\n"
    assert ids(content, "customer") == ["7", "8"]
    assert ids(b"no,a;customer\n1,2;ada\n", "customer") == ["ada"]
    assert ids(content) == ["ada", "grace"]
    assert ids(b'{"who": "ada"}\n{"who": 7}\n', "who") == ["ada", "7"]


def test_a_column_without_a_header_has_a_number() -> None:
    assert ids(b"Ada,ada\nGrace,grace\n", "2") == ["ada", "grace"]
    assert ids(b"Ada,user_id\nGrace,grace\n", "2") == ["grace"]
    assert ids(b"sep=;\nada;1,5\ngrace;2\n", "1") == ["ada", "grace"]
    assert ids(b"2,1\nada,x\n", "2") == ["ada"], "a name goes before a number"
    assert ids(b"ada\ngrace\n", "1") == ["ada", "grace"]


def test_ids_stay_text() -> None:
    texts = ["007", "+4915", "-1", "1e5x", "auth0|1", "TRUE", "2026-10-01", "#1", "1.5", "{3F25-04E0}", "[a]"]
    hexadecimal = ["12345e67", "7e10", "0e1234", "1e5", "0E12", "12e-4"]
    texts += hexadecimal
    assert ids("\n".join(texts).encode()) == texts
    assert ids("\n".join(reversed(texts)).encode()) == texts[::-1]
    assert ids("\n".join(f'"{text}"' for text in texts).encode()) == texts
    assert ids("\n".join(f'{{"id": "{text}"}}' for text in texts).encode()) == texts


def test_a_separator_in_the_only_column_belongs_to_the_id_if_quotes_say_so() -> None:
    assert ids(b'abc\n"de,f"\n"g;""h"\n') == ["abc", "de,f", 'g;"h']
    assert ids(b"sep=|\nde,f\ng;h\n") == ["de,f", "g;h"]
    good, *bad = read(b"user_id\nu1\nde,f\nu2;x\n")
    assert good == Row(2, "u1")
    assert [(row.number, row.text) for row in bad] == [(3, "de,f"), (4, "u2;x")]
    assert all("one column" in (row.reason or "") for row in bad)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1.23E+17", "rounded"),
        ("1,23E+17", "rounded"),
        ("1E-05", "rounded"),
        ("1.2345678901234568e+17", "rounded"),
        ("12345.0", "decimals"),
        ("12345,0", "decimals"),
        ("12345.", "decimals"),
        ("1,234,567", "thousands"),
        ("#REF!", "in place of a value"),
        ("#N/A", "in place of a value"),
        ("#VALUE!", "in place of a value"),
        ("#NAME?", "in place of a value"),
        ("#DIV/0!", "in place of a value"),
        ("#NUM!", "in place of a value"),
        ("#NULL!", "in place of a value"),
        ("#####", "in place of a value"),
        ("a b", "white space"),
        ("x" * 129, "1–128"),
    ],
)
def test_what_is_no_id_is_told_with_its_row_in_every_form(cell: str, reason: str) -> None:
    table = f'user_id;x\nada;1\n"{cell}";2\n'
    for content in (table, f"user_id\nada\n{cell}\n", f'ada\n\n"{cell}"', f'{{"id":"ada"}}\n\n{{"id":"{cell}"}}'):
        good, bad = read(content.encode())
        assert (good.text, bad.number, bad.text) == ("ada", 3, cell)
        assert reason in (bad.reason or "")


@pytest.mark.parametrize(
    ("content", "text", "reason"),
    [
        (b"name,user_id\nA,ada\nBob\nG,grace\n", "Bob", "1 cell, but the first row has 2"),
        (b"name,user_id\nA,ada\nHopper, Grace,grace\nG,grace\n", "Hopper, Grace,grace", "3 cells"),
        (b'name,user_id\nA,ada\n"B"ob,u1\nG,grace\n', '"B"ob,u1', "doubled"),
        (b'name,user_id\nA,ada\n"' + b"x" * 200_000 + b'",u1\nG,grace\n', '"' + "x" * 999 + "…", "131,072"),
        (b"user_id,x\nada,1\n" + b"x" * 300_000 + b",u1\ngrace,2\n", "x" * 1_000 + "…", "1–128"),
        (b"x,user_id\n1,ada\n" + b"x" * 3_000_000 + b",u1\n2,grace\n", "x" * 1_000 + "…", "longer than"),
        (b"user_id\nada\n" + b"x" * 3_000_000 + b"\ngrace\n", "x" * 1_000 + "…", "longer than"),
        (b'user_id\nada\n"u1\ngrace\n', '"u1', "do not match"),
        (b'user_id\nada\nu1"\ngrace\n', 'u1"', "do not match"),
        (b'{"id": "ada"}\n{"id": 5\n{"id": "grace"}\n', '{"id": 5', "no JSON"),
        (b'{"id": "ada"}\n' + b"[" * 9_999 + b'\n{"id": "grace"}\n', "[" * 1_000 + "…", "no JSON"),
        (b'{"id": "ada"}\n{"x": 1}\n{"id": "grace"}\n', '{"x": 1}', "it has no user_id"),
        (b'{"id": "ada"}\n{"id": ["x"]}\n{"id": "grace"}\n', "['x']", "a list of 1"),
        (b'{"id": "ada"}\n{"id": {"x": 1}}\n{"id": "grace"}\n', "{'x': 1}", "an object"),
        (b'{"id": "ada"}\n{"id": true}\n{"id": "grace"}\n', "true", "true or false"),
        (b'{"id": "ada"}\n{"id": 1.5}\n{"id": "grace"}\n', "1.5", "floating-point"),
        (b'{"id": "ada"}\n{"id": "\\ud800"}\n{"id": "grace"}\n', "\\ud800", "1–128"),
    ],
)
def test_a_row_that_is_wrong_holds_up_no_other(content: bytes, text: str, reason: str) -> None:
    ada, bad, grace = read(content)
    assert (ada.text, ada.reason, grace.text, grace.reason) == ("ada", None, "grace", None)
    assert (bad.text, bad.number) == (text, ada.number + 1)
    assert reason in (bad.reason or "")
    json.dumps(bad, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        (b"a,b\n1,2\n", None, "--column.* by its number"),
        (b"a,b\n1,2\n", "c", 'there is no "c"; the first row has "a", "b"'),
        (b"a,b\n1,2\n", "3", "number, 1 to 2"),
        (b"ada;1,5\n", "1", 'row 1 holds "," and ";".*sep='),
        (b"ada\t1,5\n", None, 'row 1 holds "," and tabs'),
        (b"ada\n\xff\xfe\xfa\n", None, "row 2 holds bytes that are no UTF-8.*iconv"),
        (b"ada\n" * 20_000 + b"J\xf6rg\n", None, "row 20,001 holds"),
        ("ada\ngrace".encode("utf-16")[:-1], None, "row 2 holds bytes that are no UTF-16"),
        (b'n,user_id\nA,ada\n"B,u1\nG,grace\n', None, "row 3: a quote begins"),
        (b'n,user_id\nA,ada\n"B,u1\nG,grace\n"C",u2\n', None, "row 3: a quote begins"),
        (b'n,user_id\nA,ada\n"B,u1\n' + b"x,y\n" * 2_000, None, "row 3: a quote begins"),
        (b'n,user_id\nA,ada\n"B' + b"\n" + b"x" * 2_000_000 + b'",u1\n', None, "row 3: a quote begins"),
        (b'[\n {"user_id":"u1"},\n {"user_id":"u2"}\n]\n', None, "row 1 begins a JSON text.*jq"),
        (b'\n[{"user_id":"u1"}]', None, "row 2 begins a JSON text"),
        (b'["u1", "u2"]', None, "JSON text"),
        (b'{\n "user_id": "u1"\n}', None, "JSON text"),
        (b"PK\x03\x04\x14\x00", None, "Excel workbook"),
        (b"\x1f\x8b\x08\x00", None, "compressed"),
        (b"PAR1xxxx", None, "standard input"),
    ],
)
def test_a_form_that_can_not_be_read_is_said(content: bytes, column: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(content, column)


@pytest.mark.parametrize(
    "header", ["customer_id", "customerId", "CUSTOMER_ID", "Customer", "email", "userids", "user-id"]
)
def test_a_first_row_that_looks_like_a_header_is_pointed_out(header: str) -> None:
    for content, column in ((f"{header}\nada\n", None), (f"x,{header}\n1,ada\n", "2")):
        notes: list[str] = []
        assert [row.text for row in read(content.encode(), column, note=notes.append)] == [header, "ada"]
        assert notes == [f"row 1, {header}, was taken as a user id: if it is a header, say --column {header}"]
        assert ids(content.encode(), header) == ["ada"]


@pytest.mark.parametrize("first", ["user_id", "u1", "7", "ada.lovelace", "David", "user-1", "a b_id"])
def test_other_first_rows_are_not(first: str) -> None:
    notes: list[str] = []
    read(f"{first}\nada\n".encode(), note=notes.append)
    assert notes == []


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_whatever_other_columns_hold_the_ids_come_back(separator: str, quoting: Literal[0, 1]) -> None:
    chance = random.Random(separator)
    pieces = ("a", '"', ",", ";", "\t", " ", "\n", "\r\n")
    written = [f"u{n}" + chance.choice(("", ",x", ";y", '"z')) for n in range(500)]
    out = io.StringIO(newline="")
    table = csv.writer(out, delimiter=separator, quoting=quoting)
    table.writerow(("note", "user_id", "more"))
    for one in written:
        note, more = ("".join(chance.choices(pieces, k=chance.randrange(5))) for _ in "12")
        table.writerow((note, one, more))
    assert ids(out.getvalue().encode()) == written


def test_a_pipe_that_gives_little_at_a_time_is_read_as_a_file() -> None:
    class Dribble(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            return super().readinto(memoryview(buffer)[:1])

    file = io.BufferedReader(cast("io.RawIOBase", Dribble("x;user_id\n1;ada\n".encode("utf-16"))))
    assert list(rows(cast("BinaryIO", file), "-", None)) == [Row(2, "ada")]


def test_an_empty_file_has_no_ids() -> None:
    assert read(b"") == read(b"\n \n") == read(b"user_id\n") == []


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra [parquet] is not installed")
    from pyarrow import parquet

    table = pyarrow.table(
        {
            "n": [1.5, 2.5, 3.5],
            "user_id": ["007", None, "ada"],
            "number": [12345678901234567, 2, 3],
            "exact": [Decimal("12345678901234567890"), Decimal(2), Decimal(3)],
            "bytes": [b"u1", "üb".encode(), b"\xff\x00"],
            "list": [["x"], ["y"], ["z"]],
        }
    )
    path = tmp_path / "users.parquet"
    parquet.write_table(table, path)

    def read_column(column: str | None) -> list[Row]:
        with path.open("rb") as file:
            return list(rows(file, str(path), column))

    assert [row.text for row in read_column(None)] == ["007", "ada"]
    assert [row.text for row in read_column("number")] == ["12345678901234567", "2", "3"]
    assert all("floating" in (row.reason or "") for row in read_column("n"))
    assert [row.text for row in read_column("3")] == ["12345678901234567", "2", "3"]
    assert [row.text for row in read_column("exact")] == ["12345678901234567890", "2", "3"]
    assert [row.text for row in read_column("bytes") if not row.reason] == ["u1", "üb"]
    assert [(row.number, row.text) for row in read_column("bytes") if row.reason] == [(3, "ff00")]
    assert [(row.number, row.reason) for row in read_column("list")] == [
        (n, "it is a list of 1; a user id is text or an integer") for n in (1, 2, 3)
    ]
    path.write_bytes(b"PAR1{}")
    with pytest.raises(ConfigurationError, match=r"users\.parquet"):
        read_column(None)
