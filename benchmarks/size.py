"""Does a large table slow the line down?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.drain import preloaded
from benchmarks.world import SEGMENTS, USERS, World

SIZES = {"small": 100_000, "large": 10_000_000}
FILL = f"""
insert into memberships (user_key, segment_key, included, origin, since)
select 1 + n %% {USERS}, 1 + (n / {USERS} * 97 + n) %% {SEGMENTS}, true, 'command', now()
from generate_series(0, %d - 1) n
order by 1, 2
"""


async def size(world: World, commands: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Commands/s with each number of memberships in the table, the best of the rounds, measured in turn."""
    for name, rows in SIZES.items():
        say(f"filling {rows:,} memberships")
        await world.execute(f"create database {name} template filled strategy file_copy")
        await world.execute(FILL % rows, name)
        await world.execute("vacuum analyze memberships", name)
    rates: dict[str, list[int]] = {name: [] for name in SIZES}
    for number in range(rounds):
        for name in SIZES:
            say(f"size, round {number + 1} of {rounds}: {name}")
            result = await preloaded(world, commands, number, template=name)
            rates[name].append(result["commands_per_second"])
    for name in SIZES:
        await world.execute(f"drop database {name} with (force)")
    return {name: sorted(values)[len(values) // 2] for name, values in rates.items()} | {"rounds": rates}
