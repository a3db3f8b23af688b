"""Each value's form, at its edges."""

import sys
import unicodedata
from decimal import Decimal
from typing import Any

import pytest

from schemas.commands import ReportRequest, SegmentCreate, SegmentUpdate, UserRegister
from schemas.decode import Command, Refusal
from schemas.topics import Topic
from schemas.values import _hidden, shown, traceparent
from tests.unit.schemas.records import accepted, errors_of, judge, refused


@pytest.mark.parametrize(
    ("given", "taken"),
    [("u", "u"), ("é✓😀", "é✓😀"), ("x" * 128, "x" * 128), (0, "0"), (-5, "-5"), (10**30, str(10**30)), ("007", "007")],
)
def test_user_ids(given: Any, taken: str) -> None:
    command = accepted("user.register", {"user_id": given})
    assert command.data == UserRegister(user_id=taken)


@pytest.mark.parametrize(
    "given",
    ["", " ", "a b", "a\n", "a\u00a0b", "\u200b", "\x7f", "\u2028", "x" * 129, True, None, 1.5, 1.0, [], {}],
)
def test_no_user_ids(given: Any) -> None:
    refusal = refused("user.register", {"user_id": given})
    assert refusal.code == "invalid"
    assert errors_of(refusal)["data.user_id"].startswith("must be text of 1–128 printable characters")


def test_user_ids_do_not_depend_on_the_unicode_of_this_python() -> None:
    """The rule as categories, held against the interpreter's own table as far as that knows the characters."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp"}
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        category = unicodedata.category(character)
        if category == "Cn" and not (number & 0xFFFE == 0xFFFE or 0xFDD0 <= number <= 0xFDEF):
            continue  # assigned by a newer version or not yet: written down in the rule, which decides alone
        assert (_hidden(character) is not None) == (category in hidden or category == "Cn"), hex(number)
    for newer in ("\U0001fae8", "\U0001fadc", "\U0001faea", "\u1c89"):  # of Unicode 15, 16, 17 and 16
        accepted("user.register", {"user_id": newer})
    for format_character in ("\U0001343f", "\U000110cd"):
        refused("user.register", {"user_id": format_character})


@pytest.mark.parametrize("digits", [129, 400, 4_300, 4_301, 10_000])
def test_an_integer_of_many_digits_is_no_user_id(digits: int) -> None:
    refusal = raw_register("9" * digits)
    assert isinstance(refusal, Refusal)
    assert refusal.code in ("invalid", "malformed")
    assert len(refusal.message) < 400


def raw_register(user_id: str, key: bytes = b"u") -> Command | Refusal:
    value = (
        '{"specversion":"1.0","id":"c","source":"/s","type":"segmentation.user.register.v1",'
        f'"data":{{"user_id":{user_id}}}}}'
    )
    return judge(value.encode(), Topic.MEMBERSHIP_COMMANDS, key)


def test_minus_zero_is_zero() -> None:
    command = raw_register("-0", b"0")
    assert isinstance(command, Command)
    assert command.data == UserRegister(user_id="0")


@pytest.mark.parametrize("written", ['"\\ud800"', '"\\udc00x"', '"\\u0000"', "1e2", "0.1e1", "NaN", "-Infinity", "01"])
def test_no_user_ids_as_written(written: str) -> None:
    assert isinstance(raw_register(written), Refusal)


def test_a_surrogate_pair_is_one_character() -> None:
    assert isinstance(raw_register('"\\ud83d\\ude00"', "😀".encode()), Command)


@pytest.mark.parametrize("segment", ["a", "9", "a.b_c:d-e", "A" * 255])
def test_segments(segment: str) -> None:
    accepted("segment.delete", {"segment": segment})


@pytest.mark.parametrize("segment", ["", "_a", ".a", "a b", "a\n", "é", "A" * 256, "a/b", "a\0", 1, None, True])
def test_no_segments(segment: Any) -> None:
    refusal = refused("segment.delete", {"segment": segment})
    assert refusal.code == "invalid"
    assert "data.segment" in errors_of(refusal)


def raw_create(percent: str) -> Command | Refusal:
    value = (
        '{"specversion":"1.0","id":"c","source":"/s","type":"segmentation.segment.create.v1",'
        f'"data":{{"segment":"s","percent":{percent}}}}}'
    )
    return judge(value.encode(), Topic.SEGMENT_COMMANDS, b"s")


@pytest.mark.parametrize(
    ("written", "percent"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("100", "100"),
        ("100.00", "100"),
        ("12.10", "12.1"),
        ("0.07", "0.07"),
        ("12.3400000000000000000000", "12.34"),
        ("1e1", "10"),
        ("123e-1", "12.3"),
    ],
)
def test_percents(written: str, percent: str) -> None:
    command = raw_create(written)
    assert isinstance(command, Command)
    assert isinstance(command.data, SegmentCreate)
    assert command.data.percent == Decimal(percent)
    assert str(command.data.percent) == f"{Decimal(percent):.2f}"


@pytest.mark.parametrize(
    "written",
    [
        "12.345",
        "12.34000000000000000000000001",
        "-1",
        "-0.01",
        "100.01",
        "101",
        '"12"',
        "true",
        "1e400",
        "1e-400",
        "1e99999999999999999999",
        "9" * 400,
        "[]",
        "{}",
    ],
)
def test_no_percents(written: str) -> None:
    refusal = raw_create(written)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid"
    assert errors_of(refusal)["data.percent"].startswith(
        "must be a number from 0 to 100 with at most two decimals, is "
    )


@pytest.mark.parametrize(
    ("field", "limit"), [("description", 4_096), ("owner", 255), ("id", 128), ("source", 255), ("correlationid", 255)]
)
def test_texts_have_a_limit(field: str, limit: int) -> None:
    for length, is_taken in ((limit, True), (limit + 1, False)):
        text = "x" * length
        data = {"segment": "s", field: text} if field in ("description", "owner") else {"segment": "s"}
        attributes = {} if field in ("description", "owner") else {field: text}
        if is_taken:
            accepted("segment.create", data, **attributes)
        else:
            message = refused("segment.create", data, **attributes).errors[0]["message"]
            assert message == f"must be at most {limit:,} characters long, has {length:,}"


@pytest.mark.parametrize(
    "tags", ["a", ["a", "a"], [""], ["x" * 256], [1], ["a\0"], [str(i) for i in range(65)], {}, [None]]
)
def test_no_tags(tags: Any) -> None:
    refusal = refused("segment.create", {"segment": "s", "tags": tags})
    assert refusal.errors[0]["field"].startswith("data.tags")


def test_tags() -> None:
    tags = [str(i) for i in range(63)] + ["x" * 255]
    command = accepted("segment.create", {"segment": "s", "tags": tags})
    assert isinstance(command.data, SegmentCreate)
    assert command.data.tags == tuple(tags)


def test_an_update_says_what_it_gives() -> None:
    """Null leaves a field as it is, as absence does: models that others generate write it for what they do not set."""
    command = accepted("segment.update", {"segment": "s", "description": "", "owner": "x", "tags": []})
    assert isinstance(command.data, SegmentUpdate)
    assert command.data.changed == {"description", "owner", "tags"}
    nothing = dict.fromkeys(["description", "owner", "tags", "on_decrease"])
    command = accepted("segment.update", {"segment": "s", "percent": 5} | nothing)
    assert isinstance(command.data, SegmentUpdate)
    assert command.data.changed == {"percent"}


@pytest.mark.parametrize("data", [{}, {"on_decrease": "keep"}, {"percent": None, "owner": None, "tags": None}])
def test_an_update_of_nothing(data: dict[str, Any]) -> None:
    assert errors_of(refused("segment.update", {"segment": "s"} | data)) == {
        "data": "must have at least one of description, owner, tags and percent"
    }


@pytest.mark.parametrize("on_decrease", ["Keep", "", 1, "drop"])
def test_no_on_decrease(on_decrease: Any) -> None:
    refusal = refused("segment.update", {"segment": "s", "percent": 1, "on_decrease": on_decrease})
    assert errors_of(refusal)["data.on_decrease"].startswith('must be "release" or "keep", is ')


@pytest.mark.parametrize(
    ("year", "month", "field"),
    [
        (1969, 1, "year"),
        (10000, 1, "year"),
        (2025, 0, "month"),
        (2025, 13, "month"),
        ("2025", 1, "year"),
        (2025, 1.0, "month"),
        (True, 1, "year"),
        (2025, None, "month"),
    ],
)
def test_no_months(year: Any, month: Any, field: str) -> None:
    assert [*errors_of(refused("report.request", {"year": year, "month": month}))] == [f"data.{field}"]


def test_a_month() -> None:
    assert accepted("report.request").data == ReportRequest(year=2025, month=1)


@pytest.mark.parametrize("replyto", ["answers", "a.b-c_d", "x" * 249, "..."])
def test_reply_topics(replyto: str) -> None:
    assert accepted("membership.query", replyto=replyto).replyto == replyto


@pytest.mark.parametrize("replyto", ["", ".", "..", "__consumer_offsets", "a b", "x" * 250, "a\n", 1, "ä"])
def test_no_reply_topics(replyto: Any) -> None:
    assert "replyto" in errors_of(refused("membership.query", replyto=replyto))


_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "x",
        _TRACE.upper(),
        _TRACE + "\n",
        "ff" + _TRACE[2:],
        _TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        _TRACE.replace("00f067aa0ba902b7", "0" * 16),
        1,
        [],
    ],
)
def test_a_bad_traceparent_is_ignored(given: Any) -> None:
    assert traceparent(given) is None
    assert accepted("user.register", traceparent=given).traceparent is None


def test_a_traceparent_is_handed_on() -> None:
    assert accepted("user.register", traceparent=_TRACE).traceparent == _TRACE
    assert refused("user.register", {}, traceparent=_TRACE).traceparent == _TRACE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1e99999"), "1E+99999"),
        (10**100, "a number of 101 characters"),
        ("a\n\u202eb", '"a\\u000a\\u202eb"'),
        ("x" * 61, '"' + "x" * 60 + '…"'),
        ([1, 2], "a list of 2"),
        ({}, "an object"),
    ],
)
def test_values_are_shown_short_and_printable(value: object, text: str) -> None:
    assert shown(value) == text
