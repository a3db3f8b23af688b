"""A command is valid by its JSON Schema if, and only if, decoding accepts it, as far as JSON Schema can say it.

What it cannot say stands in `jsonschemas.INEXPRESSIBLE`; the values drawn here keep clear of that.
"""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas import jsonschemas
from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command
from tests.unit.schemas.records import GOOD, MISSING, TIME, event, judge, key_of

FUTURE = "2026-01-01T00:00:00+01:00"

POOLS: dict[str, list[Any]] = {
    "segment": ["a", "A" * 255, "A" * 256, "_a", "", "a b", "a\n", "é", 1, None],
    "user_id": ["u", "é😀", "x" * 128, "x" * 129, "", "a b", "a\n", "\t", 5, -5, True, 1.5, None, [], {}],
    "description": ["", "x" * 4_096, "x" * 4_097, None, 1],
    "owner": ["", "x" * 255, "x" * 256, None, 1],
    "tags": [[], ["a"], ["a", "a"], [""], ["x" * 256], [1], [str(i) for i in range(65)], None, "a", {}],
    "percent": [0, 100, 12.25, 100.5, -1, "5", True, None],
    "on_decrease": ["release", "keep", "x", None],
    "add": [
        [],
        ["a"],
        ["a", "b"],
        ["a", "a"],
        [" "],
        [5],
        None,
        {},
        [{"segment": "a"}],
        [{"segment": "a", "ttl": "P1D"}],
        [{"segment": "a", "expires_at": FUTURE}],
        [{"segment": "a", "ttl": "P1D", "expires_at": FUTURE}],
        [{"segment": "a", "ttl": None}],
        [{"segment": "a", "month": 2}],
        [{"ttl": "P1D"}],
        [f"s{i}" for i in range(1_000)],
        [f"s{i}" for i in range(1_001)],
    ],
    "remove": [[], ["c"], ["c", "d"], ["c", "c"], [" "], [{"segment": "c"}], None],
    "ttl": [
        "P1D",
        "PT",
        "P1DT",
        "PT0,5S",
        "PT1.1234567S",
        "PT1M",
        "P1Y2M3W4DT5H6M7.5S",
        "P",
        "1D",
        "P1.5D",
        "-P1D",
        "P1D\n",
        5,
        None,
    ],
    "expires_at": [
        FUTURE,
        "2026-01-01T00:00:00Z",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        5,
        None,
    ],
    "import": ["i", "x" * 128, "x" * 129, "", "a b", 5, True, None],
    "mode": ["add", "remove", "replace", "x", 5, None],
    "unknown_users": ["skip", "register", "x", None],
    "user_ids": [[], ["u"], ["u", "u"], [5, "v"], [" "], [None], None, "u", [str(i) for i in range(5_000)]],
    "users": [0, 5, -1, "5", 1.5, True, None],
    "command_id": ["c", "x" * 128, "x" * 129, "", "a\n", 5, None],
    "command_source": ["/s", "x" * 255, "x" * 256, "", 5, None],
    "year": [2025, 1_970, 1_969, 9_999, 10_000, "2025", 1.5, True, None],
    "month": [1, 12, 0, 13, "1", 1.5, None],
    "unknown": [1],
}
ATTRIBUTES: dict[str, list[Any]] = {
    "specversion": [MISSING, "0.3", 1.0, None],
    "id": [MISSING, "", "x" * 128, "x" * 129, "a\n", 5, None],
    "source": [MISSING, "", "x" * 255, "x" * 256, "a\u0085", 5, None],
    "time": [MISSING, TIME, "2025-01-31t10:00:00.123456789z", "2025-01-31", 5, None],
    "effectiveat": [TIME, "2025-06-01T00:00:00+01:00", "2025-06-01T00:00:00", "2025-06-01", "soon", 5, None],
    "datacontenttype": ["application/json", "a/b+JSON; c=d", "text/plain", "json", 5, None],
    "data_base64": ["e30=", None],
    "correlationid": ["k", "", "x" * 256, 5, None],
    "replyto": ["r", "x" * 249, "x" * 250, ".", "..", "...", "__x", "a b", "a\n", 5, None],
    "traceparent": ["x", None],
    "subject": ["x", 5, None],
    "data": [MISSING, None, [], "x", {}],
}


def ecma(schema: Any) -> Any:
    """The schema with `$` meaning the end, as ECMA-262 has it; in Python it also stands before a last line break."""
    if isinstance(schema, dict):
        return {
            name: re.sub(r"\$(?=$|\|)", r"\\Z", value) if name == "pattern" and isinstance(value, str) else ecma(value)
            for name, value in schema.items()
        }
    return [ecma(item) for item in schema] if isinstance(schema, list) else schema


VALIDATORS = {name: Draft202012Validator(ecma(jsonschemas.json_schema(name))) for name in COMMANDS}


@st.composite
def commands(draw: st.DrawFn) -> tuple[CommandType, dict[str, Any]]:
    name = draw(st.sampled_from([*COMMANDS]))
    known = [*COMMANDS[name].data.model_fields]
    fields = draw(st.lists(st.sampled_from([*known, *known, "unknown"]), max_size=3, unique=True))
    data = GOOD[name] | {field: draw(st.sampled_from(POOLS[field])) for field in fields}
    for field in draw(st.lists(st.sampled_from(known), max_size=2)):
        data.pop(field, None)
    changed = draw(st.just([]) | st.lists(st.sampled_from([*ATTRIBUTES]), max_size=2, unique=True))
    return name, with_attributes(name, data, {a: draw(st.sampled_from(ATTRIBUTES[a])) for a in changed})


def with_attributes(name: CommandType, data: Any, attributes: dict[str, Any]) -> dict[str, Any]:
    made = event(name, data) | attributes
    return {attribute: value for attribute, value in made.items() if value is not MISSING}


def names(data: Any, field: str) -> set[str]:
    """The segments in a list of a command's data, whatever it is."""
    items = data.get(field) if isinstance(data, dict) else None
    found = [item.get("segment") if isinstance(item, dict) else item for item in items or ()]
    return {name for name in found if isinstance(name, str)}


@settings(max_examples=1_000, deadline=None)
@given(commands())
def test_schema_and_decoding_agree(drawn: tuple[CommandType, dict[str, Any]]) -> None:
    name, made = drawn
    data = made.get("data")
    add, remove = names(data, "add"), names(data, "remove")
    if add & remove or len(add) + len(remove) > 1_000:
        return  # the schema cannot tell
    outcome = judge(json.dumps(made).encode(), COMMANDS[name].topic, key_of(data))
    errors = [error.message[:200] for error in VALIDATORS[name].iter_errors(made)]
    assert isinstance(outcome, Command) == (not errors), (outcome, errors)


@pytest.mark.parametrize("name", [*COMMANDS])
def test_every_value_of_the_pools_alone(name: CommandType) -> None:
    for field in [*COMMANDS[name].data.model_fields, "unknown"]:
        for value in POOLS[field]:
            data = GOOD[name] | {field: value}
            if names(data, "add") & names(data, "remove") or len(names(data, "add")) == 1_000:
                continue
            outcome = judge(json.dumps(event(name, data)).encode(), COMMANDS[name].topic, key_of(data))
            assert isinstance(outcome, Command) == VALIDATORS[name].is_valid(event(name, data)), (field, value, outcome)
    for attribute, values in ATTRIBUTES.items():
        for value in values:
            made = with_attributes(name, GOOD[name], {attribute: value})
            outcome = judge(json.dumps(made).encode(), COMMANDS[name].topic, key_of(made.get("data")))
            assert isinstance(outcome, Command) == VALIDATORS[name].is_valid(made), (attribute, value, outcome)
