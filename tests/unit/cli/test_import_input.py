"""The list and the file for rejects: nothing is written where it can't be meant, nor before the list is readable."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.unit.cli.test_send_lines import standard_input_of
from worker.cli.import_cell import Row
from worker.cli.import_input import opened
from worker.cli.import_told import summary
from worker.errors import ConfigurationError

RECORD_BYTES = 1_000_000
LIST = "user_id,name\nada,A\n1.0,B\n"


def read(name: Path | str, rejects: Path | None = None, column: str | None = None) -> list[list[str]]:
    with opened(str(name), None if rejects is None else str(rejects)) as source:
        return list(source.pieces(column, RECORD_BYTES))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    return path


@pytest.mark.parametrize("way", ["name", "other name", "symlink", "hard link"])
def test_rejects_never_overwrite_the_list(file: Path, way: str) -> None:
    rejects = file.parent / "rejects"
    match way:
        case "name":
            rejects = file
        case "other name":
            rejects = file.parent / ".." / file.parent.name / file.name
        case "symlink":
            rejects.symlink_to(file)
        case _:
            os.link(file, rejects)
    with pytest.raises(ConfigurationError, match="is the list itself; name another file"):
        read(file, rejects)
    assert file.read_text() == LIST


def test_rejects_never_overwrite_standard_input(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_input_of(monkeypatch, file), pytest.raises(ConfigurationError, match="is the list itself"):
        read("-", file)
    assert file.read_text() == LIST


def test_rejects_are_replaced_once_the_list_is_readable(file: Path) -> None:
    rejects = file.parent / "rejects.ndjson"
    rejects.write_text("those of last week, and many of them; " * 10)
    kept = rejects.read_text()
    with pytest.raises(ConfigurationError, match=r"none\.csv: No such file"):
        read(file.parent / "none.csv", rejects)
    with pytest.raises(ConfigurationError, match='there is no "x"'):
        read(file, rejects, column="x")
    assert rejects.read_text() == kept
    assert read(file, rejects) == [["ada"]]
    assert [line.startswith('{"number": 3, "text": "1.0"') for line in rejects.read_text().splitlines()] == [True]
    file.write_text("ada\n")
    assert (read(file, rejects), rejects.read_text()) == ([["ada"]], "")


def test_what_can_not_be_opened_is_named(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="Is a directory"):
        read(file.parent)
    with pytest.raises(ConfigurationError, match=r"--rejects: .*: Is a directory"):
        read(file, file.parent)
    with pytest.raises(ConfigurationError, match=r"--rejects: .*: No such file"):
        read(file, file.parent / "none" / "rejects")


@pytest.mark.skipif(sys.platform != "linux", reason="there is a device that is always full")
def test_a_full_disk_is_named() -> None:
    with (
        opened("/dev/null", "/dev/full") as source,
        pytest.raises(ConfigurationError, match="--rejects: /dev/full: No"),
    ):
        source.rejects.add(Row(1, "x", "no user id"))
        source.rejects.end()


def test_what_is_odd_in_the_list_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("customer_id\nada\n1,0\n")
    with opened(str(file), None) as source:
        assert list(source.pieces(None, RECORD_BYTES)) == [["customer_id", "ada"]]
        summary("week-48", source.rejects, None, 2)
    said = " ".join(capsys.readouterr().err.split())
    assert "2 user ids sent, 1 rows left out row 1, customer_id, was taken as a user id: if it is a header" in said
    assert "row 3: 1,0: it looks like a number that was given decimals" in said
