"""The list of settings: complete, and without secrets."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from worker.cli import settings_page
from worker.cli.commands import app
from worker.settings import ENV_PREFIX, Settings, load

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def without_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in Settings.model_fields:
        monkeypatch.delenv(ENV_PREFIX + name.upper(), raising=False)
    yield


def test_the_page_has_a_row_for_each_setting() -> None:
    rows = [line.split("|") for line in settings_page.markdown().splitlines() if line.startswith("| `")]
    assert [row[1].strip(" `") for row in rows] == [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    assert all(len(row) == 5 and row[2].strip() and len(row[3].strip()) > 10 for row in rows)


def test_the_example_of_a_file_env_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With every # taken away it sets each setting to its default."""
    example = [line.removeprefix("#") for line in settings_page.env_file().splitlines() if line.startswith("#SEGM")]
    assert [line.partition("=")[0] for line in example] == [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    before = load()
    tmp_path.joinpath("all").write_text("\n".join(example), encoding="utf-8")
    monkeypatch.setenv("SEGMENTATION_ENV_FILE", str(tmp_path / "all"))
    assert load() == before


def test_the_page_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    page = settings_page.markdown()
    monkeypatch.setenv("SEGMENTATION_GROUP_ID", "another")
    assert CliRunner().invoke(app, ["settings", "--markdown"]).stdout == page


def test_a_program_gets_assignments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTATION_GROUP_ID", "a b")
    result = CliRunner().invoke(app, ["settings"])
    values = dict(shlex.split(line)[0].split("=", 1) for line in result.stdout.splitlines())
    assert list(values) == [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    assert values["SEGMENTATION_GROUP_ID"] == "a b"
    assert values["SEGMENTATION_DEDUPLICATION_WINDOW"] == "P7D"
    assert values["SEGMENTATION_DATABASE_URL"] == "postgresql://localhost/segmentation"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://u:{SECRET}@h:1/d", "postgresql://u:***@h:1/d"),
        (f"postgresql://u:a@{SECRET}@h/d", "postgresql://u:***@h/d"),
        (f"postgresql://u@h/d?password={SECRET}&x=1", "postgresql://u@h/d?password=***&x=1"),
        (f"postgresql://u@h/d?x=1&sslpassword={SECRET}", "postgresql://u@h/d?x=1&sslpassword=***"),
        ("postgres://u@h/d", "postgres://u@h/d"),
    ],
)
def test_passwords_are_masked(url: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTATION_DATABASE_URL", url)
    monkeypatch.setenv("SEGMENTATION_KAFKA_SASL_PASSWORD", SECRET)
    result = CliRunner().invoke(app, ["settings"])
    values = dict(shlex.split(line)[0].split("=", 1) for line in result.stdout.splitlines())
    assert SECRET not in result.output
    assert values["SEGMENTATION_DATABASE_URL"] == shown
    assert values["SEGMENTATION_KAFKA_SASL_PASSWORD"] == "***"


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setenv("SEGMENTATION_TOPIC_PARTITIONS", "24")
    console = Console(width=160, color_system=None)
    with console.capture() as capture:
        console.print(settings_page._table(load()))
    (row,) = [line for line in capture.get().splitlines() if "TOPIC_PARTITIONS" in line]
    assert row.split()[1:3] == ["24", "12"]
