"""What a command says, as a number: the same for a retry however it is written, another one for another command."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from schemas.commands import CommandType
from tests.unit.schemas.records import MISSING, accepted

FUTURE = "2026-01-01T00:00:00Z"
ADD = {"user_id": "5", "add": ["a", "b"]}

SAME: list[tuple[CommandType, list[dict[str, Any]]]] = [
    ("user.register", [{"user_id": "5"}, {"user_id": 5}]),
    (
        "membership.change",
        [
            ADD,
            {"add": ["a", "b"], "user_id": 5},
            ADD | {"remove": [], "ttl": None, "expires_at": None},
            ADD | {"add": [{"segment": "a"}, {"segment": "b", "ttl": None}], "remove": None},
        ],
    ),
    (
        "membership.change",
        [
            ADD | {"ttl": "P1D"},
            ADD | {"ttl": "PT24H"},
            ADD | {"ttl": "PT86400.0000000S"},
            ADD | {"add": [{"segment": "a", "ttl": "P1D"}, "b"], "ttl": "P1D"},
            ADD | {"add": [{"segment": "a", "ttl": "P1D"}, {"segment": "b", "ttl": "P1D"}]},
        ],
    ),
    ("membership.change", [ADD | {"ttl": "P1Y"}, ADD | {"ttl": "P12M"}]),
    ("membership.change", [ADD | {"expires_at": FUTURE}, ADD | {"expires_at": "2026-01-01T02:00:00.000+02:00"}]),
    ("segment.create", [{"segment": "s", "percent": 12.5}, {"segment": "s", "percent": 12.50, "tags": []}]),
    ("segment.create", [{"segment": "s", "owner": "é"}, {"segment": "s", "owner": "\u00e9", "description": None}]),
    ("segment.update", [{"segment": "s", "percent": 5}, {"segment": "s", "percent": 5.0, "on_decrease": "release"}]),
]
DIFFERENT: list[tuple[CommandType, dict[str, Any]]] = [
    ("user.register", {"user_id": "5"}),
    ("user.register", {"user_id": "05"}),
    ("user.forget", {"user_id": "5"}),
    ("membership.change", ADD),
    ("membership.change", ADD | {"add": ["b", "a"]}),
    ("membership.change", {"user_id": "5", "remove": ["a", "b"]}),
    ("membership.change", {"user_id": "5", "add": ["a"], "remove": ["b"]}),
    ("membership.change", ADD | {"ttl": "P1M"}),
    ("membership.change", ADD | {"ttl": "P30D"}),
    ("membership.change", ADD | {"expires_at": FUTURE}),
    ("membership.change", {"user_id": "5", "add": ["a", {"segment": "b", "ttl": "P1M"}]}),
    ("segment.create", {"segment": "s"}),
    ("segment.delete", {"segment": "s"}),
    ("segment.create", {"segment": "s", "owner": "x"}),
    ("segment.create", {"segment": "s", "description": "x"}),
    ("segment.update", {"segment": "s", "owner": "x"}),
    ("segment.update", {"segment": "s", "owner": ""}),
    ("segment.update", {"segment": "s", "tags": []}),
    ("segment.update", {"segment": "s", "percent": 0}),
    ("segment.update", {"segment": "s", "percent": 5}),
    ("segment.update", {"segment": "s", "percent": 5, "on_decrease": "keep"}),
    ("report.request", {"year": 2025, "month": 1}),
    ("report.request", {"year": 2025, "month": 2}),
]


@pytest.mark.parametrize(("name", "forms"), SAME)
def test_how_it_is_written_makes_no_difference(name: CommandType, forms: list[dict[str, Any]]) -> None:
    assert len({accepted(name, data).content for data in forms}) == 1


def test_what_it_says_makes_all_the_difference() -> None:
    contents = [(name, data, accepted(name, data).content) for name, data in DIFFERENT]
    for (*one, first), (*other, second) in combinations(contents, 2):
        assert first != second, (one, other)
        assert -(2**63) <= first < 2**63


def test_other_attributes_do_not_count() -> None:
    """A retry may be made anew: with another time, in another trace."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    plain = accepted("membership.change")
    for others in ({"time": MISSING}, {"time": FUTURE}, {"correlationid": "c", "traceparent": trace}, {"id": "other"}):
        assert accepted("membership.change", **others).content == plain.content


def test_it_stays_the_same_from_version_to_version() -> None:
    """It is stored: a worker of another version, or of another Python, must find the same number."""
    known = {name: accepted(name).content for name in KNOWN}
    assert known == KNOWN


def test_the_same_at_another_instant_is_another_command() -> None:
    instants: list[Any] = [MISSING, "2025-06-01T00:00:00Z", "2025-06-01T00:00:01Z"]
    assert len({accepted("membership.change", effectiveat=at).content for at in instants}) == 3
    elsewhere = accepted("membership.change", effectiveat="2025-06-01T02:00:00.000+02:00")
    assert elsewhere.content == accepted("membership.change", effectiveat=instants[1]).content


KNOWN: dict[CommandType, int] = {
    "segment.create": 4_053_001_594_082_733_528,
    "segment.update": -4_346_799_124_202_776_062,
    "segment.delete": -3_390_859_229_211_768_778,
    "user.register": -4_019_473_680_393_533_268,
    "user.forget": -2_831_812_166_348_225_788,
    "membership.change": -7_055_360_147_182_275_063,
    "report.request": 2_087_898_160_026_316_508,
}
