"""An independent subscriber: reads events `read_committed` until it has so many, then says when it had the last one.

`python -m benchmarks.reader COUNT [verify]`; with `verify` it holds every event's cause against the others'.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from uuid import UUID

from schemas.topics import Topic, topic_name
from worker.kafka import clients as kafka
from worker.kafka import topics
from worker.settings import load


async def main(count: int, *, verify: bool) -> None:
    """Print a JSON line: count, distinct causes, time of the first and last event (s since the epoch), CPU s."""
    settings = load()
    name = topic_name(settings.topic_prefix, Topic.MEMBERSHIP_EVENTS)
    partitions = (await topics.partitions(settings))[name]
    consumer = kafka.reader(settings, check_crcs=False, max_partition_fetch_bytes=4 * 1024 * 1024)
    await consumer.start()
    places = [kafka.TopicPartition(name, number) for number in range(partitions)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    seen, causes, first, last = 0, set(), 0.0, 0.0
    while seen < count:
        polled = await consumer.getmany(timeout_ms=1000)
        for records in polled.values():
            last = time.time()
            first = first or last
            seen += len(records)
            if verify:
                causes |= {UUID(json.loads(record.value)["causationid"]).int for record in records}
    print(json.dumps({"count": seen, "causes": len(causes), "first": first, "last": last, "cpu": time.process_time()}))
    await consumer.stop()


asyncio.run(main(int(sys.argv[1]), verify="verify" in sys.argv))
