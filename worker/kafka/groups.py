"""Consumer groups as Kafka's coordinators know them."""

from __future__ import annotations

from aiokafka.errors import GroupCoordinatorNotAvailableError, NoError, for_code

from worker.kafka.clients import admin, bounded
from worker.settings import Settings


async def members(settings: Settings) -> int:
    """How many workers are in the deployment's group. Raises Unavailable.

    None is where the cluster has had no group yet, and so no coordinator for one.
    """
    async with admin(settings) as client:
        try:
            asked = client.describe_consumer_groups([settings.group_id])
            (answer,) = await bounded(asked, settings.kafka_seconds_max)
        except GroupCoordinatorNotAvailableError:
            return 0
        (group,) = answer.to_object()["groups"]
        if (error := for_code(group["error_code"])) is not NoError:
            raise error(settings.group_id)
        return len(group["members"])
