"""Events of rows that say the same of many users: byte by byte those that each row has alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from worker.journal import encode
from worker.journal.alike import VARIES, Shape, bounds
from worker.journal.encode import EVENT_ITEMS_MAX, Encoder
from worker.settings import Settings

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
COLUMNS: dict[str, tuple[Any, Any]] = {
    "sequence": (7, 8),
    "time": (NOW, NOW + timedelta(microseconds=1)),
    "type": ("membership.changed", "segment.deleted"),
    "reason": ("import", "expiry"),
    "segment_key": (None, 1),
    "user_id": ("ada", "bob"),
    "entered": ([1], [1, 2]),
    "exited": (None, [1]),
    "renewed": (None, [1]),
    "unchanged": (None, [1]),
    "expires_at": (None, [NOW]),
    "command_id": ("c1", "c2"),
    "command_source": ("/lists", "/others"),
    "correlation_id": (None, "k"),
    "traceparent": (None, "t"),
    "record_key": (None, b"k"),
    "detail": (None, "{}"),
}
OTHERS = [name for name in COLUMNS if name not in ("sequence", "user_id")]
USERS = ["ada", 'q"uote', "back\\slash", "Ада", "😀", r"\u0000", r'"\u0000"', '"', "x" * 128]
TRICKY = [r"\u0000", r'"\u0000"', r"\"\u0000\"", '"', '","subject":"', "-", "%d", "Ж"]


class Row(tuple[Any, ...]):
    """As the driver has rows: by place and by name."""

    def keys(self) -> list[str]:
        return list(COLUMNS)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(list(COLUMNS).index(key) if isinstance(key, str) else key)


def row(**columns: Any) -> Row:
    return Row(columns.get(name, first) for name, (first, _) in COLUMNS.items())


class Names:
    """A session that knows every segment by a name that needs escapes."""

    async def fetch(self, _: str, keys: list[int]) -> list[dict[str, object]]:
        return [{"segment_key": key, "segment": f's"\\u0000"{key}', "segment_id": "i"} for key in keys]


async def encoded(rows: list[Row]) -> list[encode.Event]:
    encoder = Encoder(Names(), Settings(), "journal")  # type: ignore[arg-type] # in a session's place
    return await encoder.encode(rows, NOW)  # type: ignore[arg-type] # in records' place


def about_all(**columns: Any) -> list[Row]:
    return [row(sequence=number, user_id=user, **columns) for number, user in enumerate(USERS, 99_998)]


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {name: second for name, (_, second) in COLUMNS.items() if name in OTHERS and name != "type"},
        {"time": NOW + timedelta(hours=1), "entered": [1, 2], "renewed": [3], "expires_at": [NOW, None, NOW]},
        {"entered": [*range(EVENT_ITEMS_MAX + 3)]},
        *({"command_id": text, "command_source": text, "correlation_id": text, "traceparent": text} for text in TRICKY),
        {"type": "segment.deleted", "segment_key": 1, "detail": "{}"},
    ],
)
async def test_they_are_those_that_each_row_has_alone(columns: dict[str, Any]) -> None:
    rows = about_all(**columns)
    assert await encoded(rows) == [event for one in rows for event in await encoded([one])]


async def test_runs_of_several_kinds() -> None:
    rows = [*about_all(), row(), *about_all(reason="expiry"), *about_all(command_id=None), row(user_id="bob")]
    assert bounds(rows) == [0, 10, 19, 28, 29]  # type: ignore[arg-type] # in records' place
    assert await encoded(rows) == [event for one in rows for event in await encoded([one])]


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_column_tells_rows_apart(name: str) -> None:
    rows = [row(), row(**{name: COLUMNS[name][1]}), row()]
    assert bounds(rows) == [0, 1, 2, 3]  # type: ignore[arg-type] # in records' place


def test_few_rows() -> None:
    assert bounds([]) == [0]
    assert bounds([row()]) == [0, 1]  # type: ignore[list-item] # in a record's place
    assert bounds([row(), row(sequence=8, user_id="bob")]) == [0, 2]  # type: ignore[list-item] # as above


async def test_what_they_share_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their number: the speed of rollouts, imports and expiries depends on it."""
    models: list[bytes] = []

    def noted(model: bytes) -> Shape:
        models.append(model)
        return Shape(model)

    monkeypatch.setattr(encode, "Shape", noted)
    events = await encoded([row(sequence=n, user_id=f"user-{n}") for n in range(1_000)])
    assert [orjson.loads(event.value)["data"]["user_id"] for event in events] == [f"user-{n}" for n in range(1_000)]
    (model,) = models
    assert orjson.loads(model)["subject"] == VARIES
