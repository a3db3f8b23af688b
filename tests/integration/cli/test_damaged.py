"""A batch of records that is damaged where Kafka keeps it: commands that read it say so, and where it is."""

from __future__ import annotations

import pytest
import typer

from schemas.events import EVENTS
from tests.support.batches import Raw, send
from tests.support.line import line, working
from worker.cli import watch as watching
from worker.cli.console import EXIT_FAILED, failing
from worker.kafka import fetched, streams
from worker.settings import Settings

MARK = b"a-byte-of-this-is-lost"


@pytest.fixture
def damaged(settings: Settings, topics: list[str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Whoever reads a batch with the mark finds another byte in its place."""

    class Damaged(fetched.Batches):
        """What a broker tells."""

        def __init__(self, data: bytes) -> None:
            super().__init__(data.replace(MARK, MARK.upper()))

    monkeypatch.setattr("aiokafka.consumer.fetcher.MemoryRecords", Damaged)
    monkeypatch.setattr(watching, "load", lambda: settings)
    return settings


async def test_watch_ends_with_a_sentence(damaged: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """After what could be read, of all topics."""
    name = f"{damaged.topic_prefix}.{EVENTS['membership.changed'].topic.value}"
    async with line(damaged) as outside, working(damaged):
        partition = (await outside.ask("user.register", {"user_id": "u"})).partition
        segment = {"segment": "s", "owner": "o"}
        await outside.ask("segment.create", segment)
    await send(damaged, name, partition, streams.NONE, [Raw(MARK, None)] * 2)
    choice = watching.Choice(None, None, None)
    with pytest.raises(typer.Exit) as ended, failing():
        await watching.watch(choice, from_beginning=True, as_json=True, count=None, seconds_max=60)
    assert ended.value.exit_code == EXIT_FAILED
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2
    (error,) = [text for text in said.err.splitlines() if text.startswith("error: ")]
    assert f"{name}:{partition}: the batch of records with the offsets " in error
    assert " can't be read (Invalid CRC). Try again." in error
    assert "Traceback" not in said.err
