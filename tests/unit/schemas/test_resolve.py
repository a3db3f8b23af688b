"""The rules of `membership.change` that span its fields."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.commands import Change
from tests.unit.schemas.records import accepted, errors_of, refused

FEBRUARY = datetime(2025, 2, 28, 10, tzinfo=UTC)
MARCH = datetime(2025, 3, 31, 10, tzinfo=UTC)


def change(**data: Any) -> Change:
    payload = accepted("membership.change", {"user_id": "u", **data}).data
    assert isinstance(payload, Change)
    return payload


def errors(**data: Any) -> dict[str, str]:
    refusal = refused("membership.change", {"user_id": "u", **data})
    assert refusal.code == "invalid"
    return errors_of(refusal)


def test_names_alone() -> None:
    assert change(add=["b", "a"], remove=["c"]) == Change("u", [("b", None), ("a", None)], ["c"])
    assert change(remove=["c"], add=[]) == Change("u", [], ["c"])
    assert change(add=[{"segment": "a"}]) == Change("u", [("a", None)], [])


def test_the_commands_expiry_is_for_all_and_an_items_own_overrides_it() -> None:
    items = [
        "a",
        {"segment": "b"},
        {"segment": "c", "ttl": "P2M"},
        {"segment": "d", "expires_at": "2025-03-31T12:00:00+02:00"},
    ]
    expected = [("a", FEBRUARY), ("b", FEBRUARY), ("c", MARCH), ("d", MARCH)]
    assert change(add=items, ttl="P1M").add == expected
    assert change(add=items, expires_at="2025-02-28T10:00:00Z").add == expected
    assert change(add=items).add == [("a", None), ("b", None), ("c", MARCH), ("d", MARCH)]


def test_an_expiry_is_later_than_the_commands_time() -> None:
    assert change(add=["a"], expires_at="2025-01-31T10:00:00.000001Z")
    for instant in ("2025-01-31T10:00:00Z", "2025-01-31T11:00:00+01:00", "2024-01-01T00:00:00Z"):
        message = errors(add=["a"], expires_at=instant)["data.expires_at"]
        assert message.startswith("must be later than the command's time, 2025-01-31T10:00:00Z, is 2")
    assert [*errors(add=["x", {"segment": "a", "expires_at": "2024-01-01T00:00:00Z"}])] == ["data.add[1].expires_at"]


def test_a_ttl_that_leaves_the_calendar() -> None:
    refusal = refused("membership.change", {"user_id": "u", "add": ["a"], "ttl": "P1Y"}, time="9999-06-01T00:00:00Z")
    assert errors_of(refusal)["data.ttl"].startswith("must be so short that it ends before the year 10000")
    item = {"segment": "a", "ttl": "PT99999999S"}
    refusal = refused("membership.change", {"user_id": "u", "add": [item]}, time="9999-06-01T00:00:00Z")
    assert [*errors_of(refusal)] == ["data.add[0].ttl"]


def test_null_is_absent() -> None:
    nothing = dict.fromkeys(["ttl", "expires_at"])
    plain = Change("u", [("a", None)], [])
    assert change(add=["a"], remove=None, **nothing) == plain
    assert change(add=[{"segment": "a"} | nothing], **nothing) == plain
    assert change(add=None, remove=["a"], **nothing) == Change("u", [], ["a"])
    assert change(add=[{"segment": "a", "ttl": None}], ttl="P1M").add == [("a", FEBRUARY)]
    assert errors(add=["b"], remove=["a", None]) == {"data.remove[1]": "must be text, is null"}


@pytest.mark.parametrize(
    "data", [{"add": None, "remove": None}, {}, {"add": []}, {"remove": []}, {"add": [], "remove": []}]
)
def test_nothing_to_do(data: dict[str, Any]) -> None:
    assert errors(**data) == {"data": "must name a segment in add or in remove, names none"}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"add": ["a", "a"]}, "data.add[1]"),
        ({"remove": ["a", "b", "a"]}, "data.remove[2]"),
        ({"add": ["a"], "remove": ["b", "a"]}, "data.remove[1]"),
        ({"add": ["a", {"segment": "a"}]}, "data.add[1]"),
        ({"add": [{"segment": "a"}, {"segment": "a", "ttl": "P1D"}]}, "data.add[1]"),
        ({"add": [{"segment": "a"}], "remove": ["a"], "ttl": "P1D"}, "data.remove[0]"),
    ],
)
def test_no_segment_stands_twice(data: dict[str, Any], field: str) -> None:
    found = errors(**data)
    assert [*found] == [field]
    assert found[field].startswith('must be a segment that stands once, "a" stands in data.')


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"add": ["a"], "ttl": "P1D", "expires_at": "2026-01-01T00:00:00Z"}, "data.expires_at"),
        ({"add": [{"segment": "a", "ttl": "P1D", "expires_at": "2026-01-01T00:00:00Z"}]}, "data.add[0].expires_at"),
        ({"remove": ["a"], "ttl": "P1D"}, "data.ttl"),
        ({"remove": ["a"], "expires_at": "2026-01-01T00:00:00Z"}, "data.expires_at"),
        ({"add": [{"segment": "a", "until": 1}]}, "data.add[0].until"),
        ({"add": [{}]}, "data.add[0].segment"),
        ({"add": [5]}, "data.add[0]"),
        ({"add": [["a"]]}, "data.add[0]"),
        ({"add": [None]}, "data.add[0]"),
        ({"add": [" "]}, "data.add[0]"),
        ({"add": "a"}, "data.add"),
        ({"add": {"segment": "a"}}, "data.add"),
        ({"remove": [{"segment": "a"}]}, "data.remove[0]"),
        ({"add": ["a"], "month": 2}, "data.month"),
    ],
)
def test_each_mistake_is_named(data: dict[str, Any], field: str) -> None:
    assert [*errors(**data)] == [field]


def test_a_command_names_a_thousand_segments_at_most() -> None:
    names = [f"s{i}" for i in range(1_001)]
    assert len(change(add=names[:1000]).add) == 1000
    assert change(add=names[:500], remove=names[500:1000])
    assert change(add=names[:1000], ttl="P1D")
    assert errors(add=names) == {"data.add": "must have at most 1,000 items, has 1,001"}
    assert errors(add=names[:500], remove=names[500:]) == {
        "data": "must name at most 1,000 segments in add and remove together, names 1,001"
    }


def test_all_mistakes_are_told_together() -> None:
    found = errors(add=["a", {"segment": "a", "ttl": "P1D", "expires_at": "2026-01-01T00:00:00Z"}], remove=["a"])
    assert [*found] == ["data.add[1]", "data.remove[0]", "data.add[1].expires_at"]
