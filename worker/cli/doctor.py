"""`doctor`: looks at everything that a worker needs, before it needs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rich.text import Text

from worker import app, deployment
from worker.cli import unread
from worker.cli.console import counted, out, plain
from worker.cli.left_open import left_open
from worker.errors import WorkerError
from worker.journal.backlog import unpublished
from worker.kafka import groups, keys, topics
from worker.kafka.clients import TopicPartition
from worker.kafka.undecided import Span
from worker.postgres import migrations, needs
from worker.postgres.clock import difference_seconds, difference_text, server_clock
from worker.postgres.session import Database
from worker.reports.storage import Finding
from worker.reports.storages import storage_of
from worker.settings import Settings, load

KEYS_NAMED_MAX = 3
KEY_CHARACTERS_MAX = 60
UNPUBLISHED_SECONDS_MAX = UNREAD_SECONDS_MAX = 60.0
Check = Callable[[Settings], Awaitable[Sequence[Finding]]]


async def doctor() -> bool:
    """Print what was found, good and bad; False where something would fail."""
    settings = load()
    is_well = True
    for what, check in CHECKS.items():
        try:
            findings = await check(settings)
        except WorkerError as error:
            findings = [Finding(what, False, text) for text in str(error).splitlines()]
        for finding in findings:
            is_well = is_well and finding.is_good
            mark = ("✓ ", "green") if finding.is_good else ("✗ ", "bold red")
            mark = ("! ", "bold yellow") if finding.is_warning else mark
            out.print(Text.assemble(mark, (f"{finding.what}  ", "bold"), plain(finding.message)))
    return is_well


async def _postgresql(settings: Settings) -> list[Finding]:
    database = Database(settings)
    needed = app.sessions_needed(settings)
    found = await needs.look(database, needed)
    if found.problems:
        return [Finding("PostgreSQL", False, problem) for problem in found.problems]
    owns = (
        "owns the schema; deploy/roles.sql makes one with fewer rights" if found.is_owner else "has the rights it needs"
    )
    room = found.sessions
    sessions = f"a worker needs {needed}; {room.limit} allows {room.possible}, of which {room.taken} are taken now"
    findings = [
        Finding("PostgreSQL", True, f"{database.address}, version {found.version}"),
        Finding("role", True, f"{found.role} {owns}"),
        Finding("sessions", True, sessions),
    ]
    if not found.is_durable:
        text = "fsync or full_page_writes is off: a power cut can lose what was published, or the whole database"
        findings.append(Finding("durability", False, text))
    return findings


async def _schema(settings: Settings) -> list[Finding]:
    await migrations.check(settings)
    return [Finding("schema", True, "of this version")]


async def _clocks(settings: Settings) -> list[Finding]:
    session = Database(settings).session("doctor")
    try:
        seconds = await difference_seconds(session)
    finally:
        await session.close()
    if abs(seconds) > settings.clock_difference_seconds_max:
        return [Finding("clocks", False, difference_text(seconds))]
    return [Finding("clocks", True, "this machine's and PostgreSQL's agree")]


async def _topics(settings: Settings) -> list[Finding]:
    await topics.check(settings)
    return [Finding("topics", True, f"all are there, as they must be, at {settings.kafka_bootstrap_servers}")]


async def _keys(settings: Settings) -> list[Finding]:
    """Order holds within a partition: producers with different partitioners lose that of a user."""
    findings = []
    for spread in await keys.spreads(settings):
        keys_read, records_read = counted(spread.keys, "keys"), counted(spread.records, "records")
        read = f"of {keys_read} in the newest {records_read} of {spread.topic}"
        if not spread.scattered:
            findings.append(Finding("keys", True, f"{read} none comes on two partitions"))
            continue
        named = ", ".join(
            key.decode(errors="replace")[:KEY_CHARACTERS_MAX] for key in spread.scattered[:KEYS_NAMED_MAX]
        )
        message = (
            f"{read} {len(spread.scattered):,} come on two partitions or more, such as {named}: the order of what is "
            "sent about each of them is lost. Producers need the same partitioner, murmur2 as Java's clients and "
            "`segmentation send` have it (librdkafka and kcat: partitioner=murmur2_random). Where partitions were "
            "added, this passes with time"
        )
        findings.append(Finding("keys", True, message, is_warning=True))
    return findings


async def _commands(settings: Settings) -> list[Finding]:
    """Nobody notices by itself that commands wait while no worker runs: there is no /readyz then."""
    waiting = await unread.waiting(settings, with_age=False)
    if not waiting:
        return [Finding("commands", True, "none waits")]
    if workers := await groups.members(settings):
        records = sum(one.records for one in waiting)
        return [Finding("commands", True, f"records that wait: {records:,}; workers in the group: {workers:,}")]
    found = [
        one
        for one in await unread.waiting(settings, with_age=True)
        if one.seconds is not None and one.seconds > UNREAD_SECONDS_MAX
    ]
    return [Finding("commands", True, _unread(one, settings.group_id), is_warning=True) for one in found] or [
        Finding("commands", True, f"none has waited for more than {UNREAD_SECONDS_MAX:.0f} s")
    ]


def _unread(found: unread.Unread, group: str) -> str:
    return (
        f"{found.topic} has about {counted(found.records, 'records')} that wait, the first for {found.seconds:,.0f} s, "
        f"and no worker is in the group {group}: start one with `segmentation run`; where one runs, its log says why "
        "it is not in the group"
    )


async def _transactions(settings: Settings) -> list[Finding]:
    """Nobody can read on behind a transaction that its producer does not end, neither a worker nor anyone else."""
    found = [Finding("transactions", False, _left_open(*one)) for one in await left_open(settings)]
    return found or [Finding("transactions", True, "none was left open on a topic of commands")]


def _left_open(found: TopicPartition, span: Span) -> str:
    topic, partition = found
    place, records = f"--topic {topic} --partition {partition}", span.end - span.stable
    return (
        f"a producer has left a transaction open on {topic}:{partition}, from offset {span.stable} on; records that "
        f"wait for its end, its own among them: {records:,}. Find the producer (`kafka-transactions.sh … "
        f"describe-producers {place}`, or `find-hanging {place}`), and have it commit, abort, or start again with its "
        f"transactional.id. Or end the transaction: `kafka-transactions.sh … abort {place} --start-offset "
        f"{span.stable}`. Kafka ends it at the producer's transaction.timeout.ms at the latest"
    )


async def _deployment(settings: Settings) -> list[Finding]:
    is_noted = await deployment.look(settings, Database(settings))
    message = "the database belongs to this cluster, prefix and group" if is_noted else "the first worker will note it"
    return [Finding("deployment", True, message)]


async def _journal(settings: Settings) -> list[Finding]:
    session = Database(settings).session("doctor")
    try:
        found = await unpublished(session, server_clock)
    finally:
        await session.close()
    seconds = found.oldest_seconds or 0.0
    if seconds > UNPUBLISHED_SECONDS_MAX:
        message = (
            f"unpublished rows: {found.rows:,}; the first, {found.published_sequence + 1}, has waited for "
            f"{seconds:,.0f} s: if a worker runs, its log says why, in lines with role=relay"
        )
        return [Finding("journal", False, message)]
    return [Finding("journal", True, f"published up to {found.published_sequence:,}")]


async def _states(settings: Settings) -> list[Finding]:
    if settings.state_topic == "off":
        return [Finding("states", True, "SEGMENTATION_STATE_TOPIC is off")]
    session = Database(settings).session("doctor")
    try:
        rows = await session.fetch("snapshot_last", None)
    finally:
        await session.close()
    if not rows or not rows[0]["began_at"]:
        message = (
            "no snapshot has begun yet: the worker that is the relay begins one within seconds, if its setting is on"
        )
        return [Finding("states", True, message, is_warning=True)]
    done = f"snapshot {rows[0]['snapshot']} has {rows[0]['users']:,} users"
    message = f"{done}, and more to come" if rows[0]["finished_at"] is None else f"kept up to date; {done}"
    return [Finding("states", True, message)]


async def _reports(settings: Settings) -> Sequence[Finding]:
    storage = storage_of(settings)
    try:
        return await storage.check(with_trial=True)
    finally:
        await storage.close()


CHECKS: dict[str, Check] = {
    "PostgreSQL": _postgresql,
    "schema": _schema,
    "clocks": _clocks,
    "topics": _topics,
    "keys": _keys,
    "deployment": _deployment,
    "commands": _commands,
    "transactions": _transactions,
    "journal": _journal,
    "states": _states,
    "reports": _reports,
}
"""In the order in which one needs the other."""
