"""Keys go where other clients would put them."""

from __future__ import annotations

from random import Random
from typing import get_args
from zlib import crc32

import pytest
from aiokafka.partitioner import DefaultPartitioner

from worker.journal.encode import Event
from worker.journal.partitioners import HASHES, Partitioner, murmur2
from worker.journal.publisher import place_of

JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
"""What Kafka's own tests expect of `Utils.murmur2`."""


@pytest.mark.parametrize("key", JAVA)
def test_murmur2_is_that_of_java(key: bytes) -> None:
    assert murmur2(key) == JAVA[key] % 2**32


def test_a_key_is_where_other_clients_put_it() -> None:
    """aiokafka's partitioner is Java's: so `send`, Kafka Streams and the events agree."""
    chance, java = Random(1), DefaultPartitioner()
    for size in range(300):
        key, count = chance.randbytes(size), chance.randrange(1, 50)
        event = Event("t", key, b"v", 0, 1, [])
        assert place_of(event, {"t": count}, HASHES["murmur2"]) == ("t", java(key, list(range(count)), []))
        assert place_of(event, {"t": count}, HASHES["crc32"]) == ("t", crc32(key) % count)


def test_every_partitioner_takes_a_record_without_a_key() -> None:
    assert HASHES.keys() == {*get_args(Partitioner)}
    for hash_of in HASHES.values():
        assert place_of(Event("t", None, b"v", 0, 1, []), {"t": 3}, hash_of)[1] in range(3)
