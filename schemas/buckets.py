"""Who is inside a percent: a function that any service can copy. It needs nothing but the standard library."""

from decimal import Decimal
from hashlib import sha256

BUCKETS = 10_000
"""A bucket is a hundredth of a percent."""


def bucket(salt: str, user_id: str) -> int:
    """The user's bucket in a segment, 0 to 9,999; `salt` is the segment's, as its events have it."""
    digest = sha256(f"{salt}:{user_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def is_inside(salt: str, user_id: str, percent: Decimal) -> bool:
    """Whether the user falls into the first `percent` (0 to 100, two decimals at most) of all users."""
    return bucket(salt, user_id) < percent * 100
