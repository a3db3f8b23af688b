"""Settings: what is wrong is named, with what it must be; all wrong ones at once."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from worker.errors import ConfigurationError
from worker.settings import ENV_PREFIX, Settings, load


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(ENV_PREFIX + name.upper(), raising=False)


WRONG = {
    "DATABASE_URL": ("mysql://localhost/x", "postgresql://user:password@host:5432/database"),
    "DEDUPLICATION_WINDOW": ("P1M", "weeks, days or less, such as P7D"),
    "TOPIC_RETENTION": ("-P1D", "positive ISO 8601 duration"),
    "USERS": ("all", "'registered' or 'any'"),
    "RECORD_BYTES_MAX": ("many", "valid integer"),
    "BATCH_COMMANDS_MAX": ("0", "greater than or equal to 1"),
    "BATCH_WAIT_MS_MAX": ("5001", "less than or equal to 5000"),
    "STATEMENT_SECONDS_MAX": ("0", "greater than 0"),
    "TOPIC_PREFIX": ("a b", "1 to 100 of"),
    "HTTP_ADDRESS": ("8080", "host:port"),
    "KAFKA_SECURITY_PROTOCOL": ("TLS", "'SSL'"),
    "LOG_LEVEL": ("loud", "'debug'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value, must_be = WRONG[name]
    monkeypatch.setenv(ENV_PREFIX + name, value)
    with pytest.raises(ConfigurationError) as raised:
        load()
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"SEGMENTATION_{name}: ")
    assert must_be in line


def test_all_wrong_ones_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (value, _) in WRONG.items():
        monkeypatch.setenv(ENV_PREFIX + name, value)
    with pytest.raises(ConfigurationError) as raised:
        load()
    assert {line.partition(":")[0] for line in str(raised.value).splitlines()} == {ENV_PREFIX + name for name in WRONG}


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTATION_DATABASE_URL", "mysql://u:hunter2@h/d")
    with pytest.raises(ConfigurationError) as raised:
        load()
    assert "hunter2" not in str(raised.value)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTATION_DEDUPLICATION_WINDOW", "PT12H")
    monkeypatch.setenv("SEGMENTATION_GROUP_ID", "")
    monkeypatch.setenv("SEGMENTATION_HTTP_ADDRESS", "[::1]:0")
    settings = load(users="any")
    assert settings.deduplication_window == timedelta(hours=12)
    assert (settings.group_id, settings.users, settings.http_address) == ("segmentation", "any", "[::1]:0")


def test_an_empty_http_address_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTATION_HTTP_ADDRESS", "")
    assert load().http_address == ""


def test_the_file_env_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For what the environment does not set; also with a byte order mark, comments, quotes, others' names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEGMENTATION_ENV_FILE")
    assert load().group_id == "segmentation"
    text = "\ufeff# mine\nSEGMENTATION_GROUP_ID='a b' # so\nexport SEGMENTATION_USERS=any\nPOSTGRES_PASSWORD=x\n"
    tmp_path.joinpath(".env").write_text(text + "SEGMENTATION_HTTP_ADDRESS=\n", encoding="utf-8")
    settings = load()
    assert (settings.group_id, settings.users, settings.http_address) == ("a b", "any", "")
    monkeypatch.setenv("SEGMENTATION_GROUP_ID", "environment")
    monkeypatch.setenv("SEGMENTATION_USERS", "")
    settings = load()
    assert (settings.group_id, settings.users) == ("environment", "registered")
    monkeypatch.setenv("SEGMENTATION_ENV_FILE", "")
    assert load().http_address == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"SEGMENTATION_USERS=any\nwhat is this?\n", "mine, line 2: must be NAME=value"),
        ("SEGMENTATION_USERS=any\n".encode("utf-16"), "is not UTF-8 text"),
        (b"SEGMENTATION_USERS=all\n", "SEGMENTATION_USERS: "),
        (None, "can't be read (No such file or directory)"),
    ],
    ids=range(4),
)
def test_a_wrong_file_env_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, said: str
) -> None:
    monkeypatch.setenv("SEGMENTATION_ENV_FILE", str(tmp_path / "mine"))
    if content is not None:
        tmp_path.joinpath("mine").write_bytes(content)
    with pytest.raises(ConfigurationError) as raised:
        load()
    assert said in str(raised.value)


def test_the_contracts_defaults() -> None:
    settings = load()
    assert settings.deduplication_window == timedelta(days=7)
    assert settings.topic_prefix == settings.group_id == "segmentation"
    assert settings.event_source == "/segmentation"
    assert settings.record_bytes_max == 262_144
    assert settings.kafka_bootstrap_servers == "localhost:9092"
    assert settings.database_url.get_secret_value() == "postgresql://localhost/segmentation"
    assert settings.http_address == "127.0.0.1:8080"


def test_sasl_needs_its_secrets() -> None:
    with pytest.raises(ConfigurationError, match="SEGMENTATION_KAFKA_SASL_USERNAME and SEGMENTATION_KAFKA_SASL_PASS"):
        load(kafka_security_protocol="SASL_SSL", kafka_sasl_username="u")
    assert load(kafka_security_protocol="SASL_SSL", kafka_sasl_username="u", kafka_sasl_password="p")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (
            {"statement_seconds_max": 60},
            "SEGMENTATION_STATEMENT_SECONDS_MAX (60) must be less than SEGMENTATION_PROGRESS",
        ),
        ({"kafka_seconds_max": 20, "progress_seconds_max": 10, "statement_seconds_max": 5}, "SEGMENTATION_KAFKA_SECON"),
        (
            {"kafka_seconds_max": 30, "progress_seconds_max": 120},
            "SEGMENTATION_KAFKA_SECONDS_MAX (30) must be less than 30",
        ),
    ],
)
def test_limits_that_contradict_each_other_are_refused(values: dict[str, float], named: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(named)):
        load(**values)
