"""The journal's rows: array literals, rejections, and the order of their columns."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta, timezone

from schemas.decode import Refusal
from tests.unit.line.received import garbage, received
from worker.journal.rows import Row, changed, keys_literal, rejected, segment_event, times_literal
from worker.line.batch import Received
from worker.postgres.session import statement

NOON = datetime(2025, 1, 31, 12, tzinfo=UTC)
KEPT = 4_096


def row_of(record: Received[Refusal]) -> Row:
    return rejected(
        record.what,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        record_bytes=record.record_bytes,
        record_bytes_kept=KEPT,
    )


def test_keys() -> None:
    assert keys_literal([]) is None
    assert keys_literal([7]) == "{7}"
    assert keys_literal([7, 1, 12]) == "{7,1,12}"


def test_times() -> None:
    assert times_literal([]) is None
    assert times_literal([None, None]) is None
    assert times_literal([None, NOON]) == '{NULL,"2025-01-31T12:00:00+00:00"}'
    elsewhere = NOON.astimezone(timezone(timedelta(hours=3)))
    assert times_literal([elsewhere]) == '{"2025-01-31T15:00:00+03:00"}'


def test_a_command_is_named_by_what_it_changed() -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    record = received("user.register", {"user_id": "u"}, id="c", correlationid="r", traceparent=traceparent)
    row = changed(record.what, "u", "command", entered=[1], exited=[2], renewed=[3], unchanged=[4])
    assert (row.command_id, row.command_source, row.correlation_id) == ("c", "/tests", "r")
    assert row.traceparent == traceparent
    assert (row.entered, row.exited, row.renewed, row.unchanged) == ("{1}", "{2}", "{3}", "{4}")


def test_what_the_system_does_has_no_command() -> None:
    row = changed(None, "u", "expiry", exited=[2])
    assert row == Row("membership.changed", "expiry", None, "u", exited="{2}")
    assert segment_event(None, "segment.populated", 3, {"entered": 0}) == Row(
        "segment.populated", segment_key=3, detail='{"entered":0}'
    )


def test_a_refused_record_is_kept() -> None:
    record = garbage(b"hello?", offset=17)
    row = row_of(record)
    assert (row.type, row.record_key) == ("command.rejected", b"k")
    detail = json.loads(row.detail or "")
    assert detail["code"] == "malformed"
    assert (detail["topic"], detail["partition"], detail["offset"]) == ("t.membership-commands", 0, 17)
    assert base64.b64decode(detail["record"]) == b"hello?"
    assert detail["record_bytes"] == 6
    assert not {"command_id", "command_source", "command_type"} & detail.keys()


def test_a_tombstone_has_no_record() -> None:
    record = garbage(None, key=None)
    detail = json.loads(row_of(record).detail or "")
    assert detail["record"] is None
    assert detail["record_bytes"] == 0


def test_a_large_record_is_cut() -> None:
    value = b"x" * (KEPT + 1)
    record = garbage(value)
    detail = json.loads(row_of(record).detail or "")
    assert base64.b64decode(detail["record"]) == value[:KEPT]
    assert detail["record_bytes"] == KEPT + 1


def test_columns_stand_as_the_statement_takes_them() -> None:
    names = re.search(r"as x \(([^)]*)\)", statement("journal_append"))
    assert names is not None
    assert [name.strip() for name in names[1].split(",")] == [*Row._fields, "n"]
