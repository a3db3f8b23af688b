"""Commands as `send` makes them of what a person wrote."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from worker.cli.sender import make
from worker.errors import ConfigurationError

DATA = {"user_id": "ada"}


def test_a_command_of_the_least() -> None:
    made = make({"type": "user.register", "data": DATA}, "/here")
    event = json.loads(made.value)
    assert made.key == b"ada"
    assert made.type == "user.register"
    assert UUID(made.id).version == 4
    assert event == {
        "specversion": "1.0",
        "id": made.id,
        "source": "/here",
        "type": "segmentation.user.register.v1",
        "datacontenttype": "application/json",
        "data": DATA,
    }


def test_all_that_a_line_may_hold() -> None:
    trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    line = {
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "type": "segmentation.membership.query.v1",
        "id": "1",
        "source": "/there",
        "time": "2026-01-31T13:00:00+01:00",
        "correlationid": "c",
        "replyto": "answers",
        "traceparent": trace,
        "data": DATA,
    }
    made = make(line, "/here")
    event = json.loads(made.value)
    assert made.is_answered_elsewhere
    assert (made.id, event["source"], event["time"]) == ("1", "/there", "2026-01-31T12:00:00Z")
    assert (event["correlationid"], event["replyto"], event["traceparent"]) == ("c", "answers", trace)


def test_null_is_as_if_left_out() -> None:
    made = make({"type": "user.register", "data": DATA, "id": None, "time": None, "replyto": None}, "/here")
    assert "time" not in json.loads(made.value)
    assert not made.is_answered_elsewhere


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"data": DATA}, "type is missing; it must be one of segment.create,"),
        ({"type": "user.greet", "data": DATA}, '"user.greet" is no command'),
        ({"type": 5, "data": DATA}, "type must be text, is 5"),
        ({"type": "user.register", "data": DATA, "typ": 1, "month": 2}, "month, typ: unknown; a command has type,"),
        ({"type": "user.register", "data": DATA, "id": 0}, "id must be text, is 0"),
        ({"type": "user.register", "data": DATA, "id": ""}, "id must"),
        ({"type": "user.register", "data": DATA, "source": ""}, "source must"),
        ({"type": "user.register", "data": DATA, "specversion": "0.3"}, 'specversion must be "1.0", is "0.3"'),
        ({"type": "user.register", "data": DATA, "time": "tomorrow"}, "RFC 3339 with a zone"),
        ({"type": "user.register", "data": DATA, "time": "2026-01-31T12:00:00"}, "RFC 3339 with a zone"),
        ({"type": "user.register", "data": None}, "data must"),
        ({"type": "user.register"}, "data must"),
        ({"type": "user.register", "data": {}}, "data.user_id is missing"),
        ({"type": "membership.change", "data": {"user_id": "u", "add": ["a"], "month": 2}}, "data.month is not a"),
        ({"type": "membership.change", "data": {"user_id": "u", "add": ["a"], "ttl": "P1M1"}}, "data.ttl must be"),
    ],
)
def test_what_is_wrong_is_said_field_by_field(line: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make(line, "/here")
    assert said in str(raised.value)


def test_every_wrong_field_has_its_line() -> None:
    with pytest.raises(ConfigurationError) as raised:
        make({"type": "membership.change", "data": {"user_id": "", "add": ["?"], "ttl": "1"}}, "/here")
    assert [line.split()[1] for line in str(raised.value).splitlines()] == ["data.user_id", "data.add[0]", "data.ttl"]


def test_the_limit_is_the_deployments() -> None:
    line = {"type": "segment.create", "data": {"segment": "beta", "description": "x" * 2000}}
    make(line, "/here")
    with pytest.raises(ConfigurationError, match=r"1,?024"):
        make(line, "/here", 1024)
