"""One database belongs to one deployment: two that share it by mistake would skip each other's commands."""

from __future__ import annotations

from collections.abc import Mapping

from worker.errors import ConfigurationError
from worker.kafka.clients import admin, bounded
from worker.postgres.session import Database, Record
from worker.settings import Settings

LABELS = {
    "cluster_id": "Kafka cluster",
    "topic_prefix": "SEGMENTATION_TOPIC_PREFIX",
    "group_id": "SEGMENTATION_GROUP_ID",
}


async def identity(settings: Settings) -> dict[str, str]:
    """What tells one deployment from another, in the order of deployment_claim.sql; raises Unavailable."""
    async with admin(settings) as client:
        cluster = await bounded(client.describe_cluster(), settings.kafka_seconds_max)
    return {
        "cluster_id": str(cluster.get("cluster_id")),
        "topic_prefix": settings.topic_prefix,
        "group_id": settings.group_id,
    }


async def check(settings: Settings, database: Database) -> None:
    """Note the deployment at the first start; raise ConfigurationError if the database is another one's."""
    mine = await identity(settings)
    session = database.session("start")
    try:
        # where another first start comes in between, the claim waits for it but does not see what it has noted
        (row,) = await session.fetch("deployment_claim", *mine.values()) or await session.fetch("deployment_read")
    finally:
        await session.close()
    _compare(mine, row, database)


async def look(settings: Settings, database: Database) -> bool:
    """Whether the database has its deployment; raises ConfigurationError if that is another one. Nothing is noted."""
    mine = await identity(settings)
    session = database.session("doctor")
    try:
        rows = await session.fetch("deployment_read")
    finally:
        await session.close()
    for row in rows:
        _compare(mine, row, database)
    return bool(rows)


def _compare(mine: Mapping[str, str], row: Record, database: Database) -> None:
    differences = [f"{LABELS[name]} {row[name]} (here: {here})" for name, here in mine.items() if row[name] != here]
    if differences:
        raise ConfigurationError(
            f"The database {database.address} belongs to another deployment: {', '.join(differences)}. Use a database "
            "of its own for each deployment; if this one has moved, run `segmentation reset deployment` and then "
            "`segmentation reset positions` as the next start says"
        )
