"""Which partition a key goes to: as the Java clients say, or as librdkafka does by default.

No maintained package has Kafka's murmur2 in C (those of that name are another variant), so it is written out here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from struct import unpack_from
from typing import Literal
from zlib import crc32

Partitioner = Literal["crc32", "murmur2"]
KEYS_KEPT_MAX = 50_000
"""Keys whose hash is remembered: the events of a user tend to come together."""
_MULTIPLIER, _SEED, _WORD, _POSITIVE = 0x5BD1E995, 0x9747B28C, 0xFFFFFFFF, 0x7FFFFFFF


@lru_cache(KEYS_KEPT_MAX)
def murmur2(key: bytes) -> int:
    """32 bits, as `org.apache.kafka.common.utils.Utils.murmur2` has them, not signed."""
    size = len(key)
    words = size >> 2
    value = _SEED ^ size
    for word in unpack_from(f"<{words}I", key):
        mixed = word * _MULTIPLIER & _WORD
        value = (value * _MULTIPLIER ^ (mixed ^ mixed >> 24) * _MULTIPLIER) & _WORD
    if size & 3:
        value = (value ^ int.from_bytes(key[words << 2 :], "little")) * _MULTIPLIER & _WORD
    value = (value ^ value >> 13) * _MULTIPLIER & _WORD
    return value ^ value >> 15


def _positive_murmur2(key: bytes) -> int:
    return murmur2(key) & _POSITIVE


HASHES: Mapping[Partitioner, Callable[[bytes], int]] = {"crc32": crc32, "murmur2": _positive_murmur2}
"""A key goes to the partition of this number, modulo how many partitions there are."""
