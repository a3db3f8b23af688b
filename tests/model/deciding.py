"""The job that decides what is due, in several processes at once, each of which may come to a sudden end."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from tests.model.strategies import Decide
from tests.model.world import TURNS_MAX, World
from worker.errors import Unavailable
from worker.line.due import Due
from worker.postgres.session import Session


async def decide(world: World, step: Decide) -> None:
    """Decide whatever is due; in the end nothing is left."""
    processes = list(zip(world.leading, step.ends, strict=False))
    for session, end in processes:
        session.ends_after = end
    await asyncio.gather(*(_decide(world, session, step.rows) for session, _ in processes))
    for session, _ in processes:
        session.ends_after = None
    await _decide(world, world.looking, step.rows)


async def _decide(world: World, session: Session, rows: int) -> None:
    due = _due(world)
    for _ in range(TURNS_MAX):
        try:
            if await due.turn(session, rows) is None:
                break
        except Unavailable:
            due = _due(world)


def _due(world: World) -> Due:
    return Due(world.settings, clock=lambda: world.now, new_uuid=uuid4)
