"""Settings: environment variables with the prefix `SEGMENTATION_`, validated before anything is opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Literal

import isodate
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.env_file import ENCODING, PREFIX, env_file, names, unknown
from worker.errors import ConfigurationError
from worker.setting_forms import (
    CalendarDuration,
    Duration,
    FilePath,
    HttpUrl,
    TopicPatterns,
    TopicPrefix,
    UserAddress,
    report_storage,
    servers,
)

ENV_PREFIX = PREFIX
TRANSACTION_SECONDS_MAX = 60
"""Time after which Kafka ends the relay's open transaction, s."""
EMPTY_HAS_A_MEANING = frozenset({"http_address"})


Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """All settings; each field's description states its meaning and unit."""

    model_config = SettingsConfigDict(
        arbitrary_types_allowed=True, env_prefix=ENV_PREFIX, frozen=True, extra="ignore", env_file_encoding=ENCODING
    )

    topic_prefix: TopicPrefix = Field("segmentation", description="first part of every topic's name")
    kafka_bootstrap_servers: str = Field("localhost:9092", description="`host:port`, several separated by commas")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how to talk to Kafka"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "PLAIN", description="for the two SASL protocols"
    )
    kafka_sasl_username: str | None = Field(None, description="for PLAIN and SCRAM")
    kafka_sasl_password: SecretStr | None = Field(None, description="for PLAIN and SCRAM; never logged")
    kafka_oauth_token_endpoint: HttpUrl | None = Field(
        None, description="URL that hands out tokens for client credentials, for OAUTHBEARER"
    )
    kafka_oauth_client_id: str | None = Field(None, description="client id at that URL")
    kafka_oauth_client_secret: SecretStr | None = Field(None, description="client secret at that URL; never logged")
    kafka_oauth_scope: str | None = Field(None, description="scope of the token, if the token server wants one")
    kafka_ssl_cafile: FilePath | None = Field(
        None, description="path of the certificate authority's PEM file; none: the authorities that the system trusts"
    )
    kafka_ssl_certfile: FilePath | None = Field(None, description="path of the client certificate's PEM file")
    kafka_ssl_keyfile: FilePath | None = Field(
        None, description="path of the client key's PEM file; none: it stands in the certificate's file"
    )
    kafka_ssl_key_password: SecretStr | None = Field(
        None, description="passphrase of the client key, if that is encrypted; never logged"
    )
    database_url: SecretStr = Field(
        SecretStr("postgresql://localhost/segmentation"),
        description="PostgreSQL: a URL or `key=value` pairs as libpq takes them; never logged",
    )
    group_id: str = Field("segmentation", min_length=1, description="Kafka consumer group that the workers share")
    event_source: str = Field("/segmentation", min_length=1, max_length=255, description="the events' `source`")
    event_partitioner: Literal["crc32", "murmur2"] = Field(
        "crc32",
        description="which partition an event's key goes to: `murmur2` as with Java's clients and Kafka Streams, "
        "`crc32` as librdkafka does by default; see docs/operations.md before changing it",
    )
    state_topic: Literal["on", "off"] = Field(
        "off",
        description="whether the segments of each user are also kept in the compacted topic `memberships`; "
        "see docs/state.md",
    )
    users: Literal["registered", "any"] = Field(
        "registered", description="whether membership commands for unknown users are refused, or register them"
    )
    deduplication_window: Duration = Field(
        timedelta(days=7), description="how long a command's `source` and `id` are remembered, ISO 8601 duration"
    )
    journal_retention: CalendarDuration = Field(
        isodate.Duration(months=13),
        description="how long a month's journal is kept after its end, once published and reported; ISO 8601 duration",
    )
    import_seconds_max: int = Field(
        86_400, ge=60, description="time after which an import that was not committed is dropped, s"
    )
    record_bytes_max: int = Field(262_144, ge=1_024, description="largest command record, bytes")
    report_storage: str = Field(
        "directory:reports",
        description="where reports are kept: `directory:PATH`, or `drive:FOLDER_ID` for a folder on Google Drive "
        "(the folder's address in the browser will do as well)",
    )
    report_day: int = Field(1, ge=1, le=28, description="day of the month on which the month before is reported, UTC")
    report_hour: int = Field(0, ge=0, le=23, description="hour of that day, UTC")
    report_separator: Literal[";", ",", "|", "\t"] = Field(";", description="what separates a report's columns")
    report_compress_bytes_min: int = Field(
        16 * 1024 * 1024,
        ge=0,
        le=64 * 1024 * 1024,
        description="size from which a report is compressed (gzip); held in memory until it is known, bytes",
    )
    google_credentials_file: FilePath | None = Field(
        None, description="path of a service account's or an authorised user's JSON file, for `drive:`"
    )
    google_subject: UserAddress | None = Field(
        None, description="user in whose name the service account works (domain-wide delegation); none: its own"
    )
    google_api_endpoint: HttpUrl | None = Field(None, description="another address than Google's, for tests")
    http_address: str = Field("127.0.0.1:8080", description="where /livez, /readyz and /metrics answer; empty: nowhere")

    apply_connections: int = Field(2, ge=1, le=32, description="database connections that apply batches side by side")
    batch_commands_max: int = Field(2_000, ge=1, le=20_000, description="commands in one transaction")
    batch_bytes_max: int = Field(
        4 * 1024 * 1024,
        ge=65_536,
        le=64 * 1024 * 1024,
        description="records in one transaction, decompressed, bytes; one that is larger comes alone",
    )
    batch_wait_ms_max: int = Field(200, ge=1, le=5_000, description="longest wait of one poll, ms")
    segments_of_user_max: int = Field(
        5_000,
        ge=1,
        le=20_000,
        description="segments that commands may put one user in, and segments that may have a percent",
    )
    reply_topics: TopicPatterns | None = Field(
        None,
        description="topics that a query's `replyto` may name: patterns with `*`, several separated by commas; none: "
        "those that begin with the topics' prefix and a dot",
    )
    rejection_record_bytes: int = Field(
        4_096,
        ge=0,
        le=65_536,
        description="so much of a refused record's value is kept in the journal and shown in `command.rejected`, bytes",
    )
    relay_rows_max: int = Field(5_000, ge=1, le=100_000, description="journal rows in one Kafka transaction, at most")
    relay_bytes_max: int = Field(
        8 * 1024 * 1024,
        ge=65_536,
        le=64 * 1024 * 1024,
        description="events in one Kafka transaction, at most, bytes; a single larger event travels alone",
    )
    relay_poll_ms: int = Field(20, ge=1, le=5_000, description="pause between looks at an unchanged journal, ms")
    statement_seconds_max: Annotated[float, Field(gt=0)] = Field(30.0, description="longest database statement, s")
    clock_difference_seconds_max: Annotated[float, Field(gt=0)] = Field(
        2.0, description="difference between a worker's clock and PostgreSQL's from which it says so, s"
    )
    clock_step_seconds_max: Annotated[float, Field(gt=0)] = Field(
        60.0, description="from how far ahead of all that witnesses it PostgreSQL's clock is not believed, s"
    )
    kafka_seconds_max: Annotated[float, Field(gt=0)] = Field(
        20.0, description="longest wait for one answer of Kafka before its client is thrown away, s"
    )
    session_seconds_max: int = Field(30, ge=6, le=300, description="silence after which the group drops a worker, s")
    shutdown_seconds_max: Annotated[float, Field(gt=0)] = Field(25.0, description="longest graceful stop, s")
    progress_seconds_max: Annotated[float, Field(gt=0)] = Field(
        60.0, description="time without progress of the worker's own loops after which /livez fails, s"
    )
    topic_partitions: Count = Field(12, description="partitions of each topic that `topics` creates")
    topic_replication_factor: int = Field(
        -1, ge=-1, description="replicas of each topic that `topics` creates; -1: the broker's default"
    )
    topic_retention: Duration = Field(timedelta(days=7), description="retention of the topics that `topics` creates")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe level logged")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, JSON lines elsewhere"
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, values: dict[str, object]) -> dict[str, object]:
        """An empty variable counts as one that is not set, but for those where empty has a meaning."""
        return {name: value for name, value in values.items() if value != "" or name in EMPTY_HAS_A_MEANING}

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _servers(cls, value: str) -> str:
        return servers(value)

    @field_validator("http_address")
    @classmethod
    def _address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value and not (host and port.isascii() and port.isdigit() and int(port) < 65_536):
            raise ValueError("must be host:port, such as 127.0.0.1:8080, or empty")
        return value

    @field_validator("report_storage")
    @classmethod
    def _storage(cls, value: str) -> str:
        return report_storage(value)

    @field_validator("database_url")
    @classmethod
    def _url(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text.startswith(("postgresql://", "postgres://")) and ("://" in text or "=" not in text):
            raise ValueError("must be a URL such as postgresql://user:password@host:5432/database")
        return value

    @model_validator(mode="after")
    def _limits(self) -> Settings:
        """Limits that contradict each other would make each try fail, or a slow service look like a stuck worker."""
        for name, seconds in (
            ("STATEMENT_SECONDS_MAX", self.statement_seconds_max),
            ("KAFKA_SECONDS_MAX", self.kafka_seconds_max),
        ):
            if seconds >= self.progress_seconds_max:
                raise ValueError(
                    f"{ENV_PREFIX}{name} ({seconds:g}) must be less than {ENV_PREFIX}PROGRESS_SECONDS_MAX "
                    f"({self.progress_seconds_max:g}): one slow answer would be taken for a worker that is stuck"
                )
        if self.kafka_seconds_max >= TRANSACTION_SECONDS_MAX / 2:
            raise ValueError(
                f"{ENV_PREFIX}KAFKA_SECONDS_MAX ({self.kafka_seconds_max:g}) must be less than "
                f"{TRANSACTION_SECONDS_MAX / 2:g}, half of the time after which Kafka ends an open transaction"
            )
        return self

    @property
    def reply_patterns(self) -> list[str]:
        """The topics that answers may go to."""
        return self.reply_topics.split(",") if self.reply_topics else [f"{self.topic_prefix}.*"]

    @model_validator(mode="after")
    def _drive(self) -> Settings:
        if self.report_storage.startswith("drive:") and not self.google_credentials_file:
            raise ValueError(f"{ENV_PREFIX}GOOGLE_CREDENTIALS_FILE must be set for {ENV_PREFIX}REPORT_STORAGE=drive:…")
        return self

    @model_validator(mode="after")
    def _sasl(self) -> Settings:
        if not self.kafka_security_protocol.startswith("SASL"):
            return self
        needed = ["kafka_sasl_username", "kafka_sasl_password"]
        if self.kafka_sasl_mechanism == "OAUTHBEARER":
            needed = ["kafka_oauth_token_endpoint", "kafka_oauth_client_id", "kafka_oauth_client_secret"]
        if not all(getattr(self, name) for name in needed):
            *others, last = [ENV_PREFIX + name.upper() for name in needed]
            wanted = f"{self.kafka_security_protocol} with {self.kafka_sasl_mechanism}"
            raise ValueError(f"{', '.join(others)} and {last} must be set for {wanted}")
        return self

    @model_validator(mode="after")
    def _key(self) -> Settings:
        if self.kafka_ssl_keyfile and not self.kafka_ssl_certfile:
            raise ValueError(f"{ENV_PREFIX}KAFKA_SSL_CERTFILE must be set with {ENV_PREFIX}KAFKA_SSL_KEYFILE")
        return self


def _warn(sentence: str) -> None:
    sys.stderr.write(f"warning: {sentence}\n")


def load(*, notice: Callable[[str], None] = _warn, **overrides: Any) -> Settings:
    """The settings of the environment, and of the file `.env` for what the environment does not set.

    What is set and is no setting is told to `notice`. Raises ConfigurationError that names each wrong variable.
    """
    file = env_file()
    for sentence in unknown({*os.environ, *(names(file) if file else ())}, Settings.model_fields):
        notice(sentence)
    try:
        return Settings(**({"_env_file": file} | overrides))
    except ValidationError as error:
        lines = []
        for item in error.errors(include_url=False, include_input=False):
            name = ENV_PREFIX + str(item["loc"][0]).upper() if item["loc"] else "settings"
            lines.append(f"{name}: {item['msg'].removeprefix('Value error, ')}")
        raise ConfigurationError("\n".join(lines)) from None
