"""The percent's formula, against published vectors that other implementations use as well."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from schemas.buckets import BUCKETS, bucket, is_inside

VECTORS = json.loads((Path(__file__).parents[3] / "docs" / "percent-vectors.json").read_text(encoding="utf-8"))
SALT = "6f1f9c5e-8f3b-4d0a-9a55-0c7b7a1f2e3d"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['salt'][:4]}:{vector['user_id'][:8]}")
def test_vectors(vector: dict[str, str | int]) -> None:
    assert bucket(str(vector["salt"]), str(vector["user_id"])) == vector["bucket"]


def test_the_separator_counts() -> None:
    assert bucket("a", "b:c") == bucket("a:b", "c")
    assert bucket("a", "bc") != bucket("ab", "c")


def test_nobody_and_everybody() -> None:
    users = [f"user-{number}" for number in range(2_000)]
    assert not any(is_inside(SALT, user, Decimal(0)) for user in users)
    assert all(is_inside(SALT, user, Decimal(100)) for user in users)
    assert {bucket(SALT, user) < BUCKETS for user in users} == {True}


def test_a_larger_percent_only_adds() -> None:
    users = [f"user-{number}" for number in range(2_000)]
    percents = [Decimal("0.01"), Decimal("12.5"), Decimal(50), Decimal("99.99")]
    inside = [{user for user in users if is_inside(SALT, user, percent)} for percent in percents]
    assert all(small <= large for small, large in pairwise(inside))
    assert [len(some) for some in inside] == sorted(len(some) for some in inside)
