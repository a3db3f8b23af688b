"""What `doctor` says, in whole sentences."""

from __future__ import annotations

import pytest

from worker.cli import doctor
from worker.kafka import keys
from worker.kafka.keys import Spread
from worker.settings import Settings


async def test_one_key_is_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    async def spreads(_: Settings) -> list[Spread]:
        return [Spread("t", 1, 1, []), Spread("t", 2_000, 1_500, [b"k"])]

    monkeypatch.setattr(keys, "spreads", spreads)
    one, many = [finding.message for finding in await doctor._keys(Settings())]
    assert one == "of 1 key in the newest 1 record of t none comes on two partitions"
    assert many.startswith("of 1,500 keys in the newest 2,000 records of t 1 come on two")
