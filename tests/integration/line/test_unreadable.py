"""A batch of records that can't be read stops its partition alone, and a person can go on behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException

from schemas.commands import COMMANDS
from schemas.producer import new_command
from tests.support.batches import Raw, send
from tests.support.events import rows
from tests.support.line import line, working
from tests.support.pages import get, shows, value, with_pages
from worker import reset
from worker.kafka import fetched, streams
from worker.line import consume
from worker.settings import Settings

TOPIC = COMMANDS["user.register"].topic
MARK = b"nobody-reads-this"


@pytest.fixture
def unreadable(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A worker with pages that can read of a batch with the mark no more than the first record."""
    whole = fetched.Batch._whole

    def first(batch: fetched.Batch) -> Iterator[Any]:
        records = whole(batch)
        if MARK in bytes(batch._data):
            yield next(records)
            raise CorruptRecordException("it is broken")
        yield from records

    monkeypatch.setattr(fetched.Batch, "_whole", first)
    monkeypatch.setattr(consume, "HALTED_SECONDS", 0.1)
    return with_pages(settings)


def _register(user: str) -> Raw:
    made = new_command("user.register", {"user_id": user}, source="/tests", id=user)
    return Raw(made.value, made.key, made.headers)


async def test_the_worker_goes_on_behind_it(unreadable: Settings) -> None:
    """All before it is applied, the others go on, and the worker takes notice of the new position by itself."""
    name = f"{unreadable.topic_prefix}.{TOPIC.value}"
    batches = (["before"], ["first", MARK.decode(), "third"], ["after"])
    async with line(unreadable) as outside:
        for users in batches:
            await send(unreadable, name, 0, streams.NONE, [_register(user) for user in users])
        async with working(unreadable):
            for user in ("before", "first"):
                assert (await outside.outcome(user)).type == "membership.changed"
            problem = await shows(unreadable, "/readyz", lambda status, text: status == 503 and "can't be read" in text)
            assert f"{name}:0: the batch of records with the offsets 2 to 3 can't be read (" in problem
            assert f"`segmentation reset positions {name}:0 --to 4`" in problem
            await outside.ask("user.register", {"user_id": "neighbour"}, partition=1)
            text = (await get(unreadable, "/metrics"))[1]
            assert value(text, "segmentation_partition_halted", topic=name, partition=0) == 1
            assert (await get(unreadable, "/livez"))[0] == 200
            await reset.positions(unreadable, name, 0, "4")
            assert (await outside.outcome("after")).type == "membership.changed"
            await shows(unreadable, "/readyz", lambda status, _: status == 200)
    found = await rows(unreadable, "select user_id from users order by 1")
    assert [row["user_id"] for row in found] == ["after", "before", "first", "neighbour"]
