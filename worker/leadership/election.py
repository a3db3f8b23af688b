"""Elects one process by a PostgreSQL advisory lock; it works over the session that holds the lock."""

from __future__ import annotations

import abc
import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from worker.errors import Fenced, Unavailable
from worker.observability import metrics
from worker.observability.logs import logger
from worker.observability.progress import Progress
from worker.postgres import locks
from worker.postgres.session import Database, Session

log = logger(__name__)
T = TypeVar("T")
Ping = Callable[[], Awaitable[object]]
"""Says something over the leader's session, which then is not idle."""

ELECTION_SECONDS = 1.0
LEADER_IDLE_SECONDS_MAX = 10
"""A leader that is frozen or cut off loses its lock after this time."""
PING_SECONDS = 2.0
WAITING_SECONDS, WAITING_SECONDS_AGAIN = 30.0, 3_600.0
"""After so long a wait the log says who leads; and again, as long as the wait lasts."""
RETRY_SECONDS_MAX = 5.0
CANCEL_SECONDS_MAX = 10.0
"""So long what was done as the leader may take to end, once the lock is lost."""


class Waiting:
    """How long a lock has been waited for, and whether it is time to say so: once, then rarely."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since = monotonic()
        self._say_at = self._since + WAITING_SECONDS

    def seconds(self) -> float:
        """Since when, s."""
        return self._monotonic() - self._since

    def is_long(self) -> bool:
        """Whether to say so now."""
        if self._monotonic() < self._say_at:
            return False
        self._say_at = self._monotonic() + WAITING_SECONDS_AGAIN
        return True


class Elected(abc.ABC):
    """A service that works in one process at a time and waits in all others.

    The lock lives as long as the session: whatever `lead` does over that session it does as the leader. What else it
    does (in Kafka) must be fenced there as well.
    """

    name: str
    role: locks.Role

    def __init__(self, database: Database, progress: Progress) -> None:
        self._beat = progress.watch(self.name).beat
        self._session = database.session(self.name, self._beat)
        self.stopping = asyncio.Event()
        self.trouble: str | None = None
        """What ended its leadership last, or kept it from trying; None while another process leads."""
        self._waiting = Waiting()

    @abc.abstractmethod
    async def lead(self, session: Session) -> None:
        """Work until `stopping` is set; raises Unavailable or Fenced to be elected anew."""

    async def run(self) -> None:
        """Be elected, lead, and begin again after every fault, until `stopping` is set."""
        failures = 0
        try:
            while not self.stopping.is_set():
                self._beat()
                try:
                    await self._lead_if_elected()
                    failures, pause = 0, ELECTION_SECONDS
                except (Unavailable, Fenced) as error:
                    self._session.drop()
                    failures += 1
                    self.trouble = str(error)
                    pause = min(0.1 * 2 ** min(failures, 10), RETRY_SECONDS_MAX) * random.uniform(0.5, 1.0)
                    log.warning("will try again", role=self.name, error=str(error), seconds=round(pause, 2))
                    metrics.RETRIES.labels(self.name).inc()
                await self.wait(pause)
        finally:
            self._session.drop()

    async def _lead_if_elected(self) -> None:
        """Try the lock over a session that stays open while another process has it; lead where it is had."""
        if not await locks.lead(self._session, self.role):
            self.trouble = None
            if self._waiting.is_long():
                await self._say_who_leads()
            return
        self._waiting = Waiting()
        try:
            await self._session.pin(LEADER_IDLE_SECONDS_MAX)
            log.info("elected", role=self.name)
            await self.lead(self._session)
        finally:
            self._session.drop()

    async def _say_who_leads(self) -> None:
        """Mostly another worker, and all is well; a lock that somebody else holds by mistake shows here."""
        holder = await locks.leader(self._session, self.role)
        if holder is not None:
            seconds = round(self._waiting.seconds())
            log.info("another session leads, this worker waits", role=self.name, holder=holder, seconds=seconds)

    async def leading(self, work: Coroutine[Any, Any, T], ping: Ping | None = None) -> T:
        """Do work outside of the session and keep the lock meanwhile; raises Unavailable if the lock is lost.

        `ping` may say something useful over the leader's session now and then.
        """
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=PING_SECONDS))[0]:
                await (ping() if ping else self._session.fetch("session_ping"))
        except BaseException:
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_SECONDS_MAX)  # a client that hangs is left behind
            raise
        return task.result()

    async def wait(self, seconds: float) -> None:
        """Sleep, or less if the service is told to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            self._beat()
