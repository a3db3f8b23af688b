"""Settings: what is wrong is named, with what it must be; all wrong ones at once."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka.conn import collect_hosts

from worker.env_file import unknown
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
    "KAFKA_BOOTSTRAP_SERVERS": ("127.0.0.1:abc", "host:port, several separated by commas, without a scheme"),
    "KAFKA_OAUTH_TOKEN_ENDPOINT": ("login.example.com", "must be a URL such as"),
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


@pytest.mark.parametrize(
    "servers",
    [
        "http://localhost:9092",
        "SASL_SSL://kafka:9093",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:-1",
        "a:1,b:x",
        ":9092",
        ",",
        "a b:9092",
        "[::1",
        "[localhost]:9092",
        "::1:x",
        "kafka_1;kafka_2",
    ],
)
def test_servers_that_are_none(servers: str) -> None:
    with pytest.raises(ConfigurationError, match="SEGMENTATION_KAFKA_BOOTSTRAP_SERVERS: must be host:port") as raised:
        load(kafka_bootstrap_servers=servers)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ("kafka", [("kafka", 9092)]),
        ("kafka_1:9092, b.example.com:19092,", [("kafka_1", 9092), ("b.example.com", 19092)]),
        ("[::1]:9093", [("::1", 9093)]),
        ("[fe80::1]", [("fe80::1", 9092)]),
        ("::1", [("::1", 9092)]),
        ("10.0.0.1:1", [("10.0.0.1", 1)]),
    ],
)
def test_servers_as_the_client_reads_them(servers: str, expected: list[tuple[str, int]]) -> None:
    found = collect_hosts(load(kafka_bootstrap_servers=servers).kafka_bootstrap_servers, randomize=False)
    assert [(host, port) for host, port, _ in found] == expected


def test_what_is_no_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SEGMENTATION_TOPIC_PREFX", "x")
    load()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "warning: SEGMENTATION_TOPIC_PREFX is no setting and has no effect: did you mean SEGMENTATION_TOPIC_PREFIX?"
    )


def test_what_others_call_like_us_is_not() -> None:
    ours = [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    kubernetes = ["SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR", "WORKER_PORT"]
    others = ["segmentation_users", "OTHER", *(ENV_PREFIX + name for name in kubernetes)]
    assert unknown([*ours, *others], Settings.model_fields) == []
    (sentence,) = unknown(["SEGMENTATION_COLOUR"], Settings.model_fields)
    assert "`segmentation settings`" in sentence


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
def test_limits_that_contradict_each_other_are_refused(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(named)):
        load(**values)


def test_oauth_needs_its_own() -> None:
    with pytest.raises(ConfigurationError, match=r"_TOKEN_ENDPOINT, .*_CLIENT_ID and .*_CLIENT_SECRET must be set"):
        load(kafka_security_protocol="SASL_SSL", kafka_sasl_mechanism="OAUTHBEARER")


def test_a_key_needs_its_certificate() -> None:
    with pytest.raises(ConfigurationError, match="SEGMENTATION_KAFKA_SSL_CERTFILE must be set with"):
        load(kafka_security_protocol="SSL", kafka_ssl_keyfile="key.pem")
