"""Kafka Streams reads the topic of states as a table, and joins a user's events with it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from benchmarks import streams
from benchmarks.streams.__main__ import command, compiler
from tests.support.line import line, working
from worker.kafka import topics as kafka_topics
from worker.settings import Settings

SECONDS_MAX = 120.0
Table = dict[str, dict[str, Any]]


@pytest.mark.slow  # Kafka Streams is 94 MB, and takes ten seconds to get going
async def test_kafka_streams_reads_states_as_a_table(settings: Settings, topics: list[str]) -> None:
    java = compiler()
    if java is None:
        pytest.skip("there is no JDK")
    assert streams.__doc__
    on = settings.model_copy(update={"state_topic": "on", "event_partitioner": "murmur2"})
    await kafka_topics.ensure(on)
    async with line(on) as outside, working(on):
        await outside.ask("segment.create", {"segment": "beta"})
        for user in ("ada", "bob", "eve"):
            await outside.ask("user.register", {"user_id": user})
            await outside.ask("membership.change", {"user_id": user, "add": ["beta"]})
        program = await asyncio.create_subprocess_exec(
            *await asyncio.to_thread(command, java, on.kafka_bootstrap_servers, on.topic_prefix),
            stdout=asyncio.subprocess.PIPE,
        )
        last: Table = {}
        try:
            await _until(program, last, {"ada": ["beta"], "bob": ["beta"], "eve": ["beta"]})
            left = await outside.ask("membership.change", {"user_id": "ada", "remove": ["beta"]})
            await outside.ask("user.forget", {"user_id": "bob"})
            await _until(program, last, {"ada": [], "bob": None, "eve": ["beta"]})
        finally:
            program.terminate()
            await program.wait()
    assert last["ada"]["sequence"] >= int(left.event["sequence"])


async def _until(program: asyncio.subprocess.Process, last: Table, wanted: dict[str, Any]) -> None:
    """Read on until the table's last changes say so; events stand between them."""
    assert program.stdout is not None
    async with asyncio.timeout(SECONDS_MAX):
        while {user: one.get("segments") for user, one in last.items()} != wanted:
            one = json.loads(await program.stdout.readline())
            if one["what"] == "state":
                last[one["user_id"]] = one
