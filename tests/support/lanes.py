"""Lanes whose database a test controls: each batch is applied when the test says so."""

from __future__ import annotations

import asyncio
from typing import cast

from worker.line.apply import Applier, Outcome
from worker.line.batch import Batch
from worker.line.lanes import Lane, Lanes
from worker.observability.progress import Progress
from worker.postgres.session import Session

EMPTY = Batch((), ())


class Controlled:
    """Stands for an applier and its session."""

    def __init__(self) -> None:
        self.is_retrying = False
        self.trouble: str | None = None
        self.applied: list[Batch] = []
        self.gate = asyncio.Event()

    async def apply(self, batch: Batch) -> Outcome:
        await self.gate.wait()
        self.applied.append(batch)
        return Outcome()

    async def close(self) -> None:
        """Nothing is open."""


def lane_of(applier: Controlled, dropped: list[Batch], *, is_current: bool = True) -> Lane:
    """A lane over it."""
    return Lane(
        cast("Applier", applier),
        cast("Session", applier),
        watch=Progress(60).watch("lane"),
        applied=lambda batch, outcome: None,
        fenced=dropped.append,
        current=lambda batch: is_current,
    )


def lanes_of(count: int) -> Lanes:
    """Lanes that nobody runs: each takes one batch."""
    return Lanes([lane_of(Controlled(), []) for _ in range(count)], lambda: None)
