"""Whatever a record holds, decoding answers; and both its ways answer the same."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import binding, decode, sentences
from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command, Refusal
from schemas.envelope import Envelope
from schemas.rejections import RejectionCode
from schemas.topics import Topic
from tests.unit.schemas.records import GOOD, RECORD_BYTES_MAX, TIMESTAMP_MS, event, key_of

TOPICS = [Topic.SEGMENT_COMMANDS, Topic.MEMBERSHIP_COMMANDS, Topic.IMPORT_COMMANDS, Topic.REPORT_COMMANDS]

ODD_TEXTS = [
    "",
    "a",
    "u1",
    "a\0",
    "\ud800",
    "é😀",
    "x" * 300,
    "P1M",
    "PT0S",
    "9999-12-31T23:59:59Z",
    "1.0",
    "NaN",
    "\\u0000",
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 10**4290, 0])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(ODD_TEXTS)
)
KNOWN = sorted({field for spec in COMMANDS.values() for field in spec.data.model_fields})
ATTRIBUTES = sorted({*Envelope.model_fields, "data"})


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(KNOWN) | st.text(max_size=5), inner, max_size=4)


json_values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | objects(inner), max_leaves=12)


@st.composite
def near_commands(draw: st.DrawFn) -> tuple[bytes, bytes | None, Topic]:
    """A good command's record with a few things changed; the value also holds what Python would not write."""
    name = draw(st.sampled_from([*COMMANDS]))
    changed = st.dictionaries(st.sampled_from([*GOOD[name]]), json_values, max_size=2)
    data = GOOD[name] | draw(st.just({}) | changed | objects(json_values))
    names = st.sampled_from([*ATTRIBUTES, "x"])
    attributes = draw(st.just({}) | st.dictionaries(names, json_values, max_size=2))
    text = json.dumps(event(name, data) | attributes, ensure_ascii=draw(st.booleans()))
    key = draw(st.just(key_of(GOOD[name])) | st.sampled_from([None, b"u1", b"a", b"\xff"]))
    topic = draw(st.just(COMMANDS[name].topic) | st.sampled_from(TOPICS))
    return text.encode(errors="surrogatepass"), key, topic


@st.composite
def headers(draw: st.DrawFn) -> list[tuple[str, bytes]]:
    names = st.sampled_from(["content-type", "Content-Type", *(f"ce_{name}" for name in ATTRIBUTES), "ce_x", "trace"])
    texts = st.sampled_from(
        [
            b"1.0",
            b"application/json",
            b"application/cloudevents+json",
            b"segmentation.user.register.v1",
            b"",
            b"\xff",
            b"a\0",
        ]
    )
    return draw(st.lists(st.tuples(names, texts | st.binary(max_size=10)), max_size=8))


def check(outcome: Command | Refusal) -> None:
    if isinstance(outcome, Command):
        return
    assert isinstance(outcome, Refusal)
    assert outcome.code is not RejectionCode.FAILED, outcome.message
    assert len(outcome.message) < 1_000
    assert len(outcome.errors) <= sentences.ERRORS_MAX
    texts = [outcome.message, *(text for error in outcome.errors for text in error.values())]
    texts += [
        outcome.command_id or "",
        outcome.command_source or "",
        outcome.command_type or "",
        outcome.correlationid or "",
    ]
    for text in texts:
        text.encode()
        assert "\0" not in text
    assert all(error["field"] and error["message"] for error in outcome.errors)


NUMBERS = [-1, 0, 1.5, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**400, -(2**63) - 1, -(10**400), 1e308, -0.0]
ODD_VALUES: list[Any] = [
    None,
    True,
    *NUMBERS,
    *ODD_TEXTS,
    [],
    [[]],
    {},
    {"a": 1},
    ["a"] * 5_001,
    "9999999999999999999",
    "1E+400",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_field_with_each_odd_value(name: CommandType) -> None:
    """Nothing of it keeps a record from being judged."""
    spec = COMMANDS[name]
    for field in spec.data.model_fields:
        for odd in ODD_VALUES:
            value = json.dumps(event(name, GOOD[name] | {field: odd})).encode()
            outcome = decode.decode(value, [], key_of(GOOD[name]), spec.topic, TIMESTAMP_MS, RECORD_BYTES_MAX)
            check(outcome)


@pytest.mark.parametrize("attribute", [*Envelope.model_fields])
def test_each_attribute_with_each_odd_value(attribute: str) -> None:
    for name, data in GOOD.items():
        for odd in ODD_VALUES:
            value = json.dumps(event(name) | {attribute: odd}).encode()
            topic = COMMANDS[name].topic
            outcome = decode.decode(value, [], key_of(data), topic, TIMESTAMP_MS, RECORD_BYTES_MAX)
            check(outcome)


@pytest.mark.parametrize("fails", ["content_of", "key_error"])
def test_a_mistake_of_ours_is_a_refusal(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """A record that a mistake keeps from being judged is rejected, and keeps its name; nobody is stopped by it."""

    def broken(*_: object) -> None:
        raise TypeError("Integer exceeds 64-bit range")

    monkeypatch.setattr(decode, fails, broken)
    value = json.dumps(event("import.commit")).encode()
    key = key_of(GOOD["import.commit"])
    outcome = decode.decode(value, [], key, Topic.IMPORT_COMMANDS, TIMESTAMP_MS, RECORD_BYTES_MAX)
    assert isinstance(outcome, Refusal)
    assert outcome.code is RejectionCode.FAILED
    assert (outcome.command_id, outcome.command_source) == ("c1", "/tests")
    assert "TypeError" in outcome.message


@settings(max_examples=300, deadline=None)
@given(
    st.none() | st.binary(max_size=200),
    headers(),
    st.none() | st.binary(max_size=8),
    st.sampled_from(TOPICS),
    st.integers(),
)
def test_any_bytes(
    value: bytes | None, head: list[tuple[str, bytes]], key: bytes | None, topic: Topic, timestamp_ms: int
) -> None:
    check(decode.decode(value, head, key, topic, timestamp_ms, 150))


@settings(max_examples=800, deadline=None)
@given(near_commands())
def test_near_commands_have_one_outcome_on_both_ways(record: tuple[bytes, bytes | None, Topic]) -> None:
    value, key, topic = record
    outcome = decode.decode(value, [], key, topic, TIMESTAMP_MS, RECORD_BYTES_MAX)
    check(outcome)
    long_way = decode._judge(value, [], key, topic, timestamp_ms=TIMESTAMP_MS, record_bytes_max=RECORD_BYTES_MAX)
    assert outcome == long_way


@settings(max_examples=300, deadline=None)
@given(near_commands(), headers())
def test_any_headers(record: tuple[bytes, bytes | None, Topic], head: list[tuple[str, bytes]]) -> None:
    value, key, topic = record
    check(decode.decode(value, head, key, topic, TIMESTAMP_MS, RECORD_BYTES_MAX))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*COMMANDS]), objects(json_values))
def test_binary_and_structured_mode_agree(name: CommandType, change: dict[str, Any]) -> None:
    made = event(name, GOOD[name] | change)
    data = json.dumps(made.pop("data")).encode()
    head = [(f"ce_{attribute}", text.encode()) for attribute, text in made.items()]
    value = json.dumps(made).encode()[:-1] + b', "data": ' + data + b"}"
    topic, key = COMMANDS[name].topic, key_of(GOOD[name])
    structured = decode.decode(value, [], key, topic, TIMESTAMP_MS, RECORD_BYTES_MAX)
    binary = decode.decode(data, head, key, topic, TIMESTAMP_MS, RECORD_BYTES_MAX)
    if isinstance(structured, Refusal) and isinstance(binary, Refusal) and structured.code == "malformed":
        assert binary.code == "malformed"
    else:
        assert binary == structured


@pytest.mark.parametrize("depth", [150, 199, 201, 1_000, 100_000])
def test_deep_nesting_where_it_is_ignored(depth: int) -> None:
    value = json.dumps(event("user.register")).encode()[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    outcome = decode.decode(value, [], b"u1", Topic.MEMBERSHIP_COMMANDS, TIMESTAMP_MS, RECORD_BYTES_MAX)
    assert isinstance(outcome, Command) == (depth < 200)


def test_the_exact_parser_keeps_digits() -> None:
    assert str(binding.parse(b"[12.3400000000000000001]")[0]) == "12.3400000000000000001"
