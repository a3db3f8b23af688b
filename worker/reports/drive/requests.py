"""Requests to Drive, tried again while what is in their way passes by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.observability import metrics
from worker.observability.logs import logger
from worker.reports.drive.client import Client, Refusal, Unreachable
from worker.reports.drive.refusals import DRIVE_UNAVAILABLE, explained
from worker.reports.storage import StorageError

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long to try; tries count while nothing goes forward."""

    tries_max: int = 8
    pause_seconds_min: float = 1.0
    pause_seconds_max: float = 32.0
    retry_after_seconds_max: float = 120.0

    def pause_seconds(self, failures: int, retry_after_seconds: float | None) -> float:
        """Longer after each failure, by chance a little different for each worker, and as Drive asks for."""
        grown = min(self.pause_seconds_min * 2.0 ** (failures - 1), self.pause_seconds_max) * random.uniform(0.5, 1.0)
        return max(grown, min(retry_after_seconds or 0.0, self.retry_after_seconds_max))


class Tries:
    """Counts the failures in a row, and waits between them."""

    def __init__(self, pace: Pace) -> None:
        self._pace, self._failures = pace, 0

    def forward(self) -> None:
        """Something has gone forward: begin to count again."""
        self._failures = 0

    async def failed(self, error: Refusal | Unreachable) -> None:
        """Wait until the next try; raises StorageError where there is none."""
        failure, retry_after_seconds = translated(error), None
        if isinstance(error, Refusal):
            retry_after_seconds = error.retry_after_seconds
        self._failures += 1
        if failure.is_permanent or self._failures >= self._pace.tries_max:
            raise failure from error
        seconds = self._pace.pause_seconds(self._failures, retry_after_seconds)
        log.warning("will try again", part="drive", error=str(error), seconds=round(seconds, 2))
        metrics.RETRIES.labels("drive").inc()
        await asyncio.sleep(seconds)


class Requests:
    """Drive's methods, each to its end."""

    def __init__(self, client: Client, pace: Pace) -> None:
        self.client, self.pace = client, pace

    async def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Raises StorageError for what does not pass; a method that came through twice must do no harm."""
        tries = Tries(self.pace)
        while True:
            try:
                return await self.client.ask(method, **arguments)
            except (Refusal, Unreachable) as error:
                await tries.failed(error)

    async def find(self, method: str, **arguments: Any) -> dict[str, Any] | None:
        """As `ask`, or None where there is no such thing that the account can see."""
        try:
            return await self.ask(method, **arguments)
        except StorageError as error:
            if status_of(error) == 404:
                return None
            raise

    async def pages(self, method: str, items: str, *, fields: str, **arguments: Any) -> Sequence[dict[str, Any]]:
        """The items of all pages."""
        found: list[dict[str, Any]] = []
        token: str | None = None
        while True:
            page = await self.ask(
                method,
                fields=f"nextPageToken,{items}({fields})",
                **arguments,
                **({"pageToken": token} if token else {}),
            )
            found += page.get(items, [])
            token = page.get("nextPageToken")
            if not token:
                return found


def translated(error: Refusal | Unreachable) -> StorageError:
    """As what the storage raises."""
    if isinstance(error, Refusal):
        return explained(error.status, error.reason, error.detail)
    return StorageError(DRIVE_UNAVAILABLE, error.message, is_permanent=False, detail=error.detail)


def status_of(error: StorageError) -> int | None:
    """The HTTP status behind it, if there was one."""
    return error.__cause__.status if isinstance(error.__cause__, Refusal) else None
