"""No setting's value gets into what everybody reads."""

from __future__ import annotations

import pytest

from worker.reports.discretion import Discretion
from worker.settings import Settings

VALUES = {
    "kafka_bootstrap_servers": "broker-one.internal:9092,broker-two.internal:9092",
    "kafka_sasl_username": "the-user",
    "kafka_sasl_password": "the-password",
    "database_url": "postgresql://owner:p%40ssword@db.internal:5433/segments",
    "google_credentials_file": "/run/secrets/google.json",
    "google_subject": "boss@example.com",
    "google_api_endpoint": "http://proxy.internal:8000",
}


def _discretion(**values: object) -> Discretion:
    return Discretion(Settings(_env_prefix="NOTHING_", **values))  # type: ignore[arg-type] # the model checks them


@pytest.mark.parametrize("name", VALUES)
def test_a_value_becomes_its_settings_name(name: str) -> None:
    said = _discretion(**VALUES).of(f"can't use {VALUES[name]} for it")
    assert said == f"can't use SEGMENTATION_{name.upper()} for it"


@pytest.mark.parametrize("part", ["db.internal:5433", "p@ssword", "p%40ssword", "broker-two.internal:9092"])
def test_a_part_is_not_told_either(part: str) -> None:
    assert part not in _discretion(**VALUES).of(f"no answer of {part} within 10 s")


def test_all_else_stays() -> None:
    text = "the folder 1AbC of drive is full; info: ask any registered user, PLAIN or not"
    assert _discretion(google_credentials_file="k", google_subject="b@x").of(text) == text


def test_the_log_may_hold_addresses_but_no_password() -> None:
    said = _discretion(**VALUES).for_log(f"{VALUES['database_url']} db.internal:5433 p@ssword /run/secrets/google.json")
    assert "ssword" not in said
    assert "db.internal:5433" in said
    assert "/run/secrets/google.json" in said
