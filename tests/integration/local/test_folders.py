"""Where the data are: gone with the owner, or kept in a named folder that has one owner at a time."""

from __future__ import annotations

import os
from pathlib import Path

import asyncpg
import pytest

from worker.errors import ConfigurationError
from worker.kafka.clients import NewTopic, admin
from worker.local.services import embedded
from worker.settings import Settings


async def test_a_named_folder_keeps_the_data_and_the_ports(folder: Path) -> None:
    async with embedded(folder) as first:
        connection = await asyncpg.connect(first.database_url)
        await connection.execute("create table kept as select 42 as answer")
        await connection.close()
        async with admin(Settings(kafka_bootstrap_servers=first.kafka_bootstrap_servers)) as client:
            await client.create_topics([NewTopic("kept", 1, 1)])
        with pytest.raises(ConfigurationError, match=f"use {folder}"):
            async with embedded(folder):
                pass
    async with embedded(folder) as second:
        assert second.database_url == first.database_url
        assert second.kafka_bootstrap_servers == first.kafka_bootstrap_servers
        connection = await asyncpg.connect(second.database_url)
        assert await connection.fetchval("select answer from kept") == 42
        await connection.close()
        async with admin(Settings(kafka_bootstrap_servers=second.kafka_bootstrap_servers)) as client:
            assert "kept" in await client.list_topics()


async def test_a_temporary_folder_is_gone_in_the_end() -> None:
    async with embedded() as services:
        folder = services.kafka.directory.parent
        assert folder.exists()
    assert not folder.exists()


async def test_a_folder_that_is_none_is_refused(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(ConfigurationError, match="can't be used"):
        async with embedded(folder / "file"):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give PostgreSQL to another user")
async def test_root_hears_which_folder_keeps_postgresql_out(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match="closed is closed to others"):
        async with embedded(folder / "closed" / "data"):
            pass
