"""Whatever a topic may hold: one rejection for each bad record, and its neighbours are applied."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.codec import snappy_encode
from aiokafka.record import default_records

from schemas.envelope import qualified
from schemas.topics import Topic
from tests.support.batches import Name, Raw, send
from tests.support.events import hold_envelope
from tests.support.line import Line, Said, line, working
from worker.cli import doctor
from worker.kafka import clients as kafka
from worker.kafka import streams
from worker.settings import Settings

KEY = b"u1"
MEMBERSHIPS, SEGMENTS = Topic.MEMBERSHIP_COMMANDS, Topic.SEGMENT_COMMANDS
DIGITS = "9" * 400


@dataclass(frozen=True, slots=True)
class Bad:
    """A record, and what must be said of it: the code, a part of the message, and the fields of the errors."""

    label: str
    value: bytes | None
    code: str
    message: str
    fields: tuple[str, ...] = ()
    key: bytes | None = KEY
    headers: tuple[tuple[str, bytes], ...] = ()
    topic: Topic = MEMBERSHIPS


def event(data: Any = None, **attributes: Any) -> bytes:
    """A structured command with something wrong in it; an attribute that is None is left out."""
    made: dict[str, Any] = {
        "specversion": "1.0",
        "id": "bad",
        "source": "/tests",
        "type": qualified("membership.change"),
    }
    made |= {"data": {"user_id": "u1", "add": ["a"]} if data is None else data} | attributes
    return json.dumps({name: item for name, item in made.items() if item is not None}).encode()


def change(**others: Any) -> bytes:
    """A membership.change whose data has these fields, too."""
    return event({"user_id": "u1", "add": ["a"]} | others)


BAD = [
    Bad("tombstone", None, "malformed", "The value is empty; it must hold a command."),
    Bad("empty", b"", "malformed", "The value is empty; it must hold a command."),
    Bad("not JSON", b"hello?", "malformed", "is not JSON"),
    Bad("cut JSON", event()[:-1], "malformed", "is not JSON"),
    Bad("not UTF-8", b'{"id":"\xff"}', "malformed", "is not JSON"),
    Bad("a byte order mark", b"\xef\xbb\xbf" + event(), "malformed", "byte order mark"),
    Bad("NaN", b'{"a":NaN}', "malformed", "is not JSON"),
    Bad("a lone surrogate", change(user_id="\ud800"), "malformed", "is not JSON"),
    Bad("nested", b"[" * 10_000 + b"]" * 10_000, "malformed", "is not JSON"),
    Bad("nested data", event()[:-1] + b',"x":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "malformed", "is not JSON"),
    Bad("an array", b"[]", "malformed", "it must be a CloudEvent"),
    Bad("a number", DIGITS.encode(), "malformed", "it must be a CloudEvent"),
    Bad("not a CloudEvent", b"{}", "malformed", "is no CloudEvent", ("specversion", "id", "source", "type")),
    Bad("another specversion", event(specversion="0.3"), "malformed", 'must be "1.0"', ("specversion",)),
    Bad("no id", event(id=""), "malformed", "id", ("id",)),
    Bad("a long source", event(source="s" * 256), "malformed", "255", ("source",)),
    Bad("an unknown type", event(type=qualified("user.delete")), "unknown_type", "takes segmentation.user", ("type",)),
    Bad("the type's short name", event(type="user.forget"), "unknown_type", "Did you mean", ("type",)),
    Bad("the wrong topic", event(type=qualified("segment.create")), "unknown_type", "belongs on the topic", ("type",)),
    Bad("the other wrong topic", change(), "unknown_type", "membership-commands", ("type",), topic=SEGMENTS),
    Bad("an unknown field", change(month=2), "invalid", "data.month", ("data.month",)),
    Bad("a typo beside the good", change(exipres_at="x"), "invalid", "data.exipres_at", ("data.exipres_at",)),
    Bad(
        "an unknown field of an item",
        change(add=[{"segment": "a", "month": 2}]),
        "invalid",
        "month",
        ("data.add[0].month",),
    ),
    Bad("no data", event(data=[]), "invalid", "data", ("data",)),
    Bad("a wrong type", change(add="a"), "invalid", "data.add", ("data.add",)),
    Bad("two wrong types", change(add={}, ttl=2), "invalid", "data.add", ("data.add", "data.ttl")),
    Bad("nothing to do", event({"user_id": "u1"}), "invalid", "add", ("data",)),
    Bad("a segment twice", change(remove=["a"]), "invalid", "", ("data.remove[0]",)),
    Bad("1,001 segments", change(add=[f"s{n}" for n in range(1_001)]), "invalid", "1,000", ("data.add",)),
    Bad("U+0000", change(add=["a\0"]), "invalid", "U+0000", ("data.add[0]",)),
    Bad("U+0000 in an attribute", event(correlationid="a\0"), "invalid", "U+0000", ("correlationid",)),
    Bad("400 digits", event().replace(b'"u1"', DIGITS.encode()), "invalid", "user_id", ("data.user_id",)),
    Bad("a user id of two words", change(user_id="u 1"), "invalid", "white space", ("data.user_id",), key=b"u 1"),
    Bad("a past expiry", change(expires_at="2020-01-01T00:00:00Z"), "invalid", "later than", ("data.expires_at",)),
    Bad("no zone", change(expires_at="2999-01-01T00:00:00"), "invalid", "zone", ("data.expires_at",)),
    Bad("a ttl of nothing", change(ttl="PT0S"), "invalid", "longer than nothing", ("data.ttl",)),
    Bad("a ttl in words", change(ttl="2 months"), "invalid", "P2M", ("data.ttl",)),
    Bad("a ttl of too long", change(ttl="P101Y"), "invalid", "100 years", ("data.ttl",)),
    Bad("no key", change(), "invalid", "is missing", ("key",), key=None),
    Bad("a wrong key", change(), "invalid", "must be the user id", ("key",), key=b"u2"),
    Bad("a key that is no text", change(), "invalid", "must be the user id", ("key",), key=b"\xff\xfe"),
    Bad("a header that is no text", b"{}", "malformed", "must be UTF-8", headers=(("ce_id", b"\xff"),)),
    Bad(
        "another content-type",
        event(specversion=None),
        "malformed",
        "application/cloudevents",
        headers=(("content-type", b"a/b"),),
    ),
    Bad("a batch", b"[" + change() + b"]", "malformed", "batches of CloudEvents are not taken"),
    Bad("UTF-16", change().decode().encode("utf-16"), "malformed", "UTF-16"),
    Bad("a registry's frame", b"\0\0\0\0\7" + change(), "malformed", "Schema Registry"),
    Bad("a key as JSON", change(), "invalid", "is that in quotation marks", ("key",), key=b'"u1"'),
    Bad(
        "three decimals",
        event({"segment": "u1", "percent": 1.234}, type=qualified("segment.create")),
        "invalid",
        "two decimals",
        ("data.percent",),
        topic=SEGMENTS,
    ),
    Bad(
        "an exponent",
        event({"segment": "u1", "percent": 1}, type=qualified("segment.create")).replace(b": 1}", b": 1e999999}"),
        "invalid",
        "100",
        ("data.percent",),
        topic=SEGMENTS,
    ),
    Bad("200 KiB of it", b"x" * 200 * 1024, "malformed", "is not JSON"),
    Bad("more than is taken", b"x" * (256 * 1024 + 1), "too_large", "262,145 bytes; at most 262,144"),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.label)
async def test_one_rejection_says_what_to_mend(outside: Line, name: str, bad: Bad) -> None:
    """Between two good records of its partition."""
    before = len(_rejections(outside.said))
    first = await outside.send("user.register", {"user_id": name}, partition=1)
    await outside.send_raw(bad.topic, bad.value, bad.key, bad.headers, partition=1)
    last = await outside.send("user.register", {"user_id": name}, partition=1)
    assert (await outside.outcome(first)).type == (await outside.outcome(last)).type == "membership.changed"
    said = await outside.until(lambda said: len(_rejections(said)) > before)
    found = _rejections(said)[before:]
    assert len(found) == 1, found
    (one,) = found
    hold_envelope(outside, one)
    assert one.data["code"] == bad.code, one.data
    assert bad.message in one.data["message"]
    assert {error["field"] for error in one.data["errors"]} == set(bad.fields)
    assert all(len(error["message"]) > 5 for error in one.data["errors"])
    assert (one.data["topic"], one.data["partition"], one.key) == (outside.topic(bad.topic), 1, bad.key)
    _hold_record(one, bad.value)


async def test_the_place_is_told(outside: Line, name: str) -> None:
    """With topic, partition and offset the record is found again."""
    sent = await outside.producer.send_and_wait(outside.topic(SEGMENTS), name.encode(), partition=2)
    said = await outside.until(lambda said: any(_is_of(one, name.encode()) for one in said))
    one = next(one for one in said if _is_of(one, name.encode()))
    assert (one.data["topic"], one.data["partition"], one.data["offset"]) == (sent.topic, sent.partition, sent.offset)
    assert one.event["subject"] == f"{sent.topic}/{sent.partition}/{sent.offset}"
    assert (one.key, "partitionkey" in one.event) == (None, False)


async def test_a_key_as_large_as_a_record_may_be(outside: Line, name: str) -> None:
    """Of it the event has the beginning: written out, each of its bytes would be six."""
    key, value = b"\x01" * 1_000_000, event({"user_id": name}, id=name)
    await outside.send_raw(MEMBERSHIPS, value, key)
    one = await outside.outcome(name)
    assert (one.data["code"], one.data["message"]) == (
        "too_large",
        "The record key has 1,000,000 bytes; at most 1,024 are taken.",
    )
    assert one.key == key[:1_024]
    assert one.event["partitionkey"] == one.key.decode()
    assert len(json.dumps(one.event)) < 10_000


async def test_much_of_it_at_once(outside: Line, name: str) -> None:
    """Also more than one Kafka batch of rejections with 64 KiB of record each."""
    before = len(_rejections(outside.said))
    for number in range(40):
        await outside.send_raw(MEMBERSHIPS, b"%d " % number + b"x" * 100 * 1024, b"many")
    said = await outside.until(lambda said: len(_rejections(said)) >= before + 40)
    numbers = [base64.b64decode(one.data["record"])[:3].split()[0] for one in _rejections(said)[before:]]
    assert numbers == [b"%d" % number for number in range(40)]


@pytest.mark.parametrize(
    ("codec", "size"),
    [(streams.NONE, 0), (streams.GZIP, 0), (streams.GZIP, 9 * 1024 * 1024)],
    ids=["as it is", "compressed", "large"],
)
async def test_a_header_whose_name_is_no_text(outside: Line, name: str, codec: int, size: int) -> None:
    """The record is one like others, and so are its neighbours; whoever looks at the topic gets on, too."""
    users = [f"{name}-{number}" for number in range(3)]
    records = [
        Raw(event({"user_id": user}, id=user, type=qualified("user.register")), user.encode(), [(Name(header), b"v")])
        for user, header in zip(users, (b"good", b"\xff\xfe", b"\xc3"), strict=True)
    ]
    padding = [Raw(b"x" * size, b"padding")] if size else []
    await send(outside.settings, outside.topic(MEMBERSHIPS), 1, codec, [*records, *padding])
    for user in users:
        assert (await outside.outcome(user)).type == "membership.changed"
    assert all(finding.is_good for finding in await doctor._keys(outside.settings))


async def test_two_streams_in_one_batch(outside: Line, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers let them pass, and Java's clients read them."""

    def in_two(data: bytes) -> bytes:
        return bytes(snappy_encode(data[:100]) + snappy_encode(data[100:]))

    monkeypatch.setattr(default_records, "snappy_encode", in_two)
    users = [f"{name}-{number}" for number in range(2)]
    made = [event({"user_id": user}, id=user, type=qualified("user.register")) for user in users]
    records = [Raw(value, user.encode()) for value, user in zip(made, users, strict=True)]
    await send(outside.settings, outside.topic(MEMBERSHIPS), 1, streams.SNAPPY, records)
    for user in users:
        assert (await outside.outcome(user)).type == "membership.changed"


@pytest.fixture
async def large(settings: Settings, topics: list[str]) -> AsyncIterator[Settings]:
    """A topic for commands that somebody has set to take 6 MiB."""
    name = f"{settings.topic_prefix}.{MEMBERSHIPS.value}"
    async with kafka.admin(settings) as client:
        config = {"max.message.bytes": str(6 * 1024 * 1024)}
        await client.alter_configs([kafka.ConfigResource(kafka.ConfigResourceType.TOPIC, name, config)])
    yield settings


async def test_five_megabytes(large: Settings) -> None:
    """It is more than the worker takes, and is refused without being parsed; of it 64 KiB are kept."""
    async with line(large) as outside, working(large):
        first = await outside.send("user.register", {"user_id": "u"}, partition=1)
        value = b'{"specversion":"1.0","id":"' + b"x" * 5 * 1024 * 1024 + b'"}'
        await outside.send_raw(MEMBERSHIPS, value, KEY, partition=1)
        last = await outside.send("user.register", {"user_id": "u"}, partition=1)
        await outside.outcome(first)
        await outside.outcome(last)
        said = await outside.until(lambda said: len(said) == 3)
        (one,) = _rejections(said)
        assert (one.data["code"], one.data["errors"]) == ("too_large", [])
        _hold_record(one, value)


def _hold_record(one: Said, value: bytes | None) -> None:
    kept = None if value is None else value[:4_096]
    assert (None if one.data["record"] is None else base64.b64decode(one.data["record"])) == kept
    assert one.data["record_bytes"] == len(value or b"")


def _rejections(said: list[Said]) -> list[Said]:
    return [one for one in said if one.type == "command.rejected"]


def _is_of(one: Said, value: bytes) -> bool:
    return one.type == "command.rejected" and base64.b64decode(one.data["record"] or "") == value
