"""The hot statements' plans on filled tables, planned with their parameters as the worker's sessions do.

A scan of a whole table would turn a batch's cost from its own size to the table's.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.conftest import beside
from tests.services import Provided
from worker.jobs.expiry import BEGINNING
from worker.postgres.connect import SESSION_SETTINGS
from worker.postgres.statements import statement

NOW = datetime(2025, 1, 31, tzinfo=UTC)
USERS, SEGMENTS, NAMES, ROWS, PARTITIONS = 200_000, 200, 20_000, 20_000, 2_000
FILL = f"""
insert into users (user_id, registered_at) select 'u' || n, now() from generate_series(1, {USERS}) n;
insert into segments (segment, segment_id, salt, created_at, updated_at)
select 's' || n, gen_random_uuid(), gen_random_uuid(), now(), now() from generate_series(1, {SEGMENTS}) n;
insert into memberships (user_key, segment_key, since, origin, included)
select u, s, now(), 'command', true from generate_series(1, {USERS}) u, generate_series(1, 2) s;
insert into inbox (name, seen_at) select gen_random_uuid(), now() from generate_series(1, {NAMES});
insert into journal (sequence, time, type) select n, now(), 'membership.changed' from generate_series(1, {ROWS}) n;
insert into memberships (user_key, segment_key, since, expires_at, origin, included)
select u, 3, now(), '2025-01-01Z', 'command', true from generate_series(1, {USERS} / 10) u;
update segments set percent = 50 where segment_key = 1;
insert into rollouts (segment_key, percent, on_decrease, last_user_key, requested_at)
values (1, 50, 'release', {USERS}, now());
update journal_head set sequence = {ROWS}, time = now();
insert into imports (import, segment_key, mode, state, registers, began_at, committed_at)
select 'i' || n, 1, 'replace', case n when 1 then 'leaving' else 'applying' end::import_state, true, now(), now()
from generate_series(1, 2) n;
insert into import_users (import_key, user_id)
select i, 'u' || n from generate_series(1, 2) i, generate_series(1, {USERS}) n;
insert into schedule (effective_at, scheduled_at, time, name, record_offset, partition, record_bytes, rank,
    command_type, command_id, command_source, topic, record_key, user_id, segments, data)
select '2025-01-01Z', now(), now(), gen_random_uuid(), n, 0, 100, 1, 'user.forget', n::text, '/s', 't', 'k', 'u' || n,
    '{{}}', '{{}}'
from generate_series(1, {NAMES}) n;
insert into positions (topic, partition, next_offset) select 't', n, 0 from generate_series(1, {PARTITIONS}) n;
"""
UNATTENDED = """
alter table memberships set (autovacuum_enabled = off);
alter table users set (autovacuum_enabled = off);
alter table import_users set (autovacuum_enabled = off);
alter table schedule set (autovacuum_enabled = off);
do $$ begin
    execute format(
        'alter table journal_%s set (autovacuum_enabled = off)', to_char(now() at time zone 'UTC', 'YYYYMM')
    );
end $$
"""
BIG = {"users", "memberships", "inbox", "journal", "positions", "import_users", "schedule"}


@pytest.fixture(scope="module")
async def filled(services: Provided, template: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection with the worker's settings to a database that has been in use."""
    async with _database(services, template, [FILL, "analyze"]) as connection:
        yield connection


@pytest.fixture(scope="module")
async def outgrown(services: Provided, template: str) -> AsyncIterator[asyncpg.Connection]:
    """… to one whose statistics are of the time before it was filled."""
    async with _database(services, template, [UNATTENDED, "vacuum analyze", FILL]) as connection:
        yield connection


@asynccontextmanager
async def _database(services: Provided, template: str, steps: Sequence[str]) -> AsyncIterator[asyncpg.Connection]:
    server = await asyncpg.connect(services.database_url)
    name = f"plans_{uuid4().hex[:8]}"
    await server.execute(f"create database {name} template {template}")
    connection = await asyncpg.connect(beside(services.database_url, name), server_settings=SESSION_SETTINGS)
    for step in steps:
        await connection.execute(step)
    yield connection
    await connection.close()
    await server.execute(f"drop database {name} with (force)")
    await server.close()


def users(count: int) -> list[str]:
    return [f"u{number}" for number in range(1, count + 1)]


def change(count: int) -> tuple[Any, ...]:
    """The parameters of memberships_change.sql for so many commands of one item."""
    segments = [f"s{number % SEGMENTS + 1}" for number in range(count)]
    return users(count), segments, list(range(count)), [True] * count, [None] * count, NOW


JOURNAL_ROWS = [["membership.changed"], ["command"], *([[None]] * 13)]
SMALL: dict[str, tuple[Any, ...]] = {
    "inbox_claim": ([UUID(int=number) for number in range(100)], [*range(100)], NOW),
    "inbox_read": ([UUID(int=number) for number in range(100)],),
    "inbox_refuse": ([UUID(int=number) for number in range(100)], "user_not_found"),
    "memberships_change": change(100),
    "memberships_over": (users(100), ["s1"] * 100, list(range(100)), [True] * 100, 1),
    "segments_last": (),
    "memberships_of_users": (users(100), NOW, 40_001),
    "states_read": (users(100), 20_000),
    "snapshot_users": (0, 100),
    "states_left": (users(100), [True, False] * 50),
    "why": ("u5", "s1"),
    "journal_reach": ("u5",),
    "users_admit": (users(100), ["s1"] * 100, list(range(100))),
    "users_register": (users(100), NOW),
    "users_forget": (users(3), NOW),
    "segments_by_key": ([1, 2, 3],),
    "journal_append": (NOW, *JOURNAL_ROWS, NOW),
    "journal_read": (ROWS - 100, NOW, 1_000, 8_000_000),
    "tally_chunk": (ROWS - 100, NOW, 1_000),
    "journal_time": (ROWS - 100,),
    "positions_claim": (["t"] * 3, [1, 2, 3], [0] * 3, [0] * 3, [1] * 3, NOW),
    "deletion_chunk": ([1], 0, 1_024, NOW),
    "expiry_chunk": (NOW, 500, BEGINNING, None, None),
    "expiry_first": (NOW,),
    "rollout_chunk": (1, 500, NOW),
    "import_chunk": (2, 500, NOW, 1),
    "import_register": (2, 500, NOW),
    "import_leave_chunk": (1, 1_000, NOW),
    "imports_clear": (500,),
    "schedule_next": (NOW, 500),
    "schedule_take": (NOW, 500, 8_000_000),
    "schedule_remove": ([*range(500)], ["u1"]),
    "schedule_cancel": ([UUID(int=number) for number in range(100)], ["t"] * 100, [b"k"] * 100, NOW),
}


@pytest.mark.parametrize("name", SMALL)
async def test_a_batch_costs_by_its_own_size(filled: asyncpg.Connection, name: str) -> None:
    nodes = await _plan(filled, name, SMALL[name])
    assert _scanned(nodes) == set()


@pytest.mark.parametrize(
    "name",
    [
        *("expiry_chunk", "rollout_chunk", "deletion_chunk", "memberships_change", "users_register", "users_forget"),
        *("import_chunk", "import_register", "import_leave_chunk", "imports_clear"),
        *("states_read", "snapshot_users", "states_left"),
        *("journal_read", "tally_chunk", "schedule_next", "schedule_take", "schedule_cancel"),
    ],
)
async def test_it_does_before_statistics_are_taken(outgrown: asyncpg.Connection, name: str) -> None:
    """An import, or the first rollout, comes before autovacuum does; a wrong estimate must not multiply tables."""
    nodes = await _plan(outgrown, name, SMALL[name])
    assert _scanned(nodes) == set()


@pytest.mark.parametrize("count", [1, 10, 1_000])
async def test_changes_find_their_rows_by_key(filled: asyncpg.Connection, count: int) -> None:
    """Of a batch that is small beside the tables, whatever its size."""
    nodes = await _plan(filled, "memberships_change", change(count))
    assert _scanned(nodes) == set()
    assert {node.get("Conflict Arbiter Indexes", [None])[0] for node in nodes} >= {"memberships_pkey"}
    assert "users_user_id" in {node.get("Index Name") for node in nodes}


@pytest.mark.parametrize("name", ["memberships_of_users", "users_forget", "deletion_chunk", "expiry_chunk", "why"])
async def test_the_rules_functions_become_part_of_the_statement(filled: asyncpg.Connection, name: str) -> None:
    """Called row by row they would be planned row by row."""
    found = await filled.fetchval(f"explain (format json, verbose) {statement(name)}", *SMALL[name])
    assert re.findall(r"(?:is_inside|is_lapsed|active_as)\(", found) == []
    assert "sha256" in found


async def test_a_users_month_reads_no_other(filled: asyncpg.Connection) -> None:
    begins = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    ends = (begins + timedelta(days=32)).replace(day=1)
    nodes = await _plan(filled, "journal_of_user", ("u5", begins, ends, ROWS, 20, None, "t"))
    assert {node["Relation Name"] for node in nodes if "Relation Name" in node} == {f"journal_{begins:%Y%m}"}


async def test_a_chunk_of_a_deletion_reads_its_blocks_alone(filled: asyncpg.Connection) -> None:
    nodes = await _plan(filled, "deletion_chunk", SMALL["deletion_chunk"])
    assert {node["Node Type"] for node in nodes if node.get("Relation Name") == "memberships"} >= {"Tid Range Scan"}
    above_users = [
        node for node in nodes if any(part.get("Relation Name") == "users" for part in node.get("Plans", []))
    ]
    assert [node["Node Type"] for node in above_users] == ["Limit"]  # nothing that the planner could join otherwise


async def _plan(connection: asyncpg.Connection, name: str, arguments: Sequence[Any]) -> list[dict[str, Any]]:
    """The nodes of the statement's plan; nothing is done."""
    found = await connection.fetchval(f"explain (format json) {statement(name)}", *arguments)
    return list(_nodes(json.loads(found)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)


def _scanned(nodes: list[dict[str, Any]]) -> set[str]:
    """The big tables that the plan reads from end to end."""
    scanned = {str(node["Relation Name"]) for node in nodes if node["Node Type"] == "Seq Scan"}
    return scanned & {*BIG, f"journal_{datetime.now(UTC):%Y%m}"}  # the other months are empty
