"""What standard output and error take, whatever encoding they have."""

from __future__ import annotations

import io
import json
import sys

import pytest
from typer.testing import CliRunner

from worker.cli.commands import app
from worker.cli.console import escape_what_does_not_fit


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_any_text_goes_out_and_json_stays_json(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding, write_through=True))
    escape_what_does_not_fit()
    said = {"user_id": "ü😀\u20ac", "half": "\ud800"}
    sys.stdout.write(json.dumps(said, ensure_ascii=False))
    assert json.loads(written.getvalue().decode(encoding)) == said


@pytest.mark.parametrize("words", [["query", "-5"], ["why", "-ada", "beta"], ["history", "-x"]])
def test_an_id_that_looks_like_an_option(words: list[str]) -> None:
    done = CliRunner().invoke(app, words, env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 2
    assert "write -- before it" in done.output


def test_a_mistyped_option_is_told_the_right_one() -> None:
    done = CliRunner().invoke(app, ["query", "ada", "--jsn"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 2
    assert "--json" in done.output
    assert "write -- before it" not in done.output
