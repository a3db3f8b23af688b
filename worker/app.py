"""The only place where the parts are put together; starting and stopping, in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

from schemas.decode import Command
from worker import deployment, waiting
from worker.errors import ConfigurationError, WorkerError
from worker.jobs.deletion import Deletion
from worker.jobs.expiry import Expiry
from worker.jobs.imports import Imports
from worker.jobs.leader import Leader
from worker.jobs.retention import Retention
from worker.jobs.rollout import Rollout
from worker.jobs.schedule import Schedule
from worker.jobs.tally import COUNT_SECONDS_MAX, Tally
from worker.journal.backlog import Backlog
from worker.journal.relay import Relay
from worker.kafka import topics
from worker.kafka.clients import group_consumer, require_compiled_records
from worker.line.apply import Applier, Outcome
from worker.line.assignment import Assignment
from worker.line.batch import Batch
from worker.line.consume import Consumer
from worker.line.due import Due
from worker.line.lanes import Lane, Lanes
from worker.line.mirror import Mirror
from worker.line.replies import Replies
from worker.line.standstill import Standstill
from worker.line.topic_watch import TopicWatch
from worker.observability import metrics
from worker.observability.build import build
from worker.observability.http import Http
from worker.observability.latency import Latency
from worker.observability.libraries import note_strays
from worker.observability.logs import logger
from worker.observability.progress import Progress
from worker.postgres import migrations, needs
from worker.postgres.clock import server_clock
from worker.postgres.session import Database
from worker.postgres.trust import local_time
from worker.reports.reporter import Reporter
from worker.reports.storages import storage_of
from worker.settings import Settings

log = logger(__name__)

GC_THRESHOLDS = (50_000, 20, 50)
"""The line makes and drops many small objects without cycles; the default thresholds cost a fifth of its speed."""
SESSIONS_BESIDE_LANES = 8
"""With PostgreSQL: those of positions, metrics, replies, relay, jobs, the tally, reports, and of a report's rows."""


class App:
    """One worker: every part of it, wired."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings, self._progress = settings, progress
        self._database = database = Database(settings)
        self._assignment = Assignment(settings.apply_connections)
        standstill = Standstill(self._assignment, seconds_max=settings.progress_seconds_max)
        progress.ask(standstill.stuck)
        consumer = group_consumer(settings)
        self._backlog = Backlog()
        self._latency = Latency(local_time)
        self.relay = Relay(settings, database, progress, clock=server_clock, latency=self._latency)
        retention = Retention(server_clock, settings.deduplication_window, settings.journal_retention)
        tally = Tally(database.session("tally", statement_seconds_max=COUNT_SECONDS_MAX))
        abandoned_after = timedelta(seconds=settings.import_seconds_max)
        imports = Imports(server_clock, abandoned_after, settings.segments_of_user_max)
        schedule = Schedule(server_clock, Due(settings, clock=server_clock, new_uuid=uuid4))
        jobs = [
            schedule,
            Expiry(server_clock),
            Rollout(server_clock),
            imports,
            Deletion(server_clock),
            tally,
            retention,
        ]
        self.jobs = Leader(database, progress, jobs, clock=server_clock, journaled=self.relay.notify)
        self.reporter = Reporter(
            settings, database, progress, storage_of(settings), clock=server_clock, journaled=self.relay.notify
        )
        answering = progress.watch("replies")
        self.replies = Replies(
            settings, database.session("replies", answering.beat), clock=server_clock, watch=answering
        )
        reading = progress.watch("consume")
        self.lanes = [self._lane(number) for number in range(settings.apply_connections)]
        lanes = Lanes(self.lanes, reading.beat)
        self.consumer = Consumer(settings, consumer, database.session("positions"), lanes, self._assignment, reading)
        self.topics = TopicWatch(settings, consumer, self._assignment, self.consumer.topics)
        self.mirror = Mirror(
            settings,
            consumer,
            self._assignment,
            database.session("metrics"),
            clock=server_clock,
            watch=progress.watch("mirror"),
            standstill=standstill,
            lanes_are_well=lambda: not lanes.wait_for_database(),
            backlog=self._backlog,
        )

    def _lane(self, number: int) -> Lane:
        watch = self._progress.watch(f"apply {number}")
        session = self._database.session(f"apply {number}", watch.beat)
        applier = Applier(session, self._settings, clock=server_clock, new_uuid=uuid4)
        return Lane(
            applier,
            session,
            watch=watch,
            applied=self._applied,
            fenced=self._unsettle,
            current=self._assignment.is_current,
        )

    def _unsettle(self, batch: Batch) -> None:
        self.consumer.unsettle(batch)  # it is made after the lanes

    def _applied(self, batch: Batch, outcome: Outcome) -> None:
        self._assignment.settled(batch)
        if outcome.last_sequence is not None:
            self.relay.notify()
            ends = (batch.records[0].what, batch.records[-1].what)
            self._latency.journaled(outcome.last_sequence, (end.time for end in ends if isinstance(end, Command)))
        if outcome.queries:
            self.replies.ask(outcome.queries)

    def unready(self) -> list[str]:
        """Why /readyz says no; nothing if the worker is ready."""
        problems = list(self._assignment.halted.values())
        if not self._assignment.joined:
            problems.append("the consumer group has not given this worker its partitions yet")
        if self._assignment.missing:
            problems.append(
                f"Kafka lacks the topics {', '.join(self._assignment.missing)}: run `segmentation topics`, and then "
                "`segmentation reset positions` for each"
            )
        if self._assignment.wanted:
            problems.append(f"{len(self._assignment.wanted)} partitions wait for their positions")
        problems += sorted({trouble for lane in self.lanes if (trouble := lane.trouble()) is not None})
        return problems + self._backlog.problems(self.relay.trouble)

    async def run(self, stop: asyncio.Event, started: Callable[[], None]) -> None:
        """Work until `stop` is set, then end in the line's order, so that nothing waits for the next start.

        Calls `started` when all parts are under way.
        """
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(_ending(name, part)) for name, part in self._parts().items()}
            started()
            stopping = group.create_task(self._stop(stop, tasks))
            tasks["stop"] = stopping

    def _parts(self) -> dict[str, Coroutine[Any, Any, None]]:
        parts: dict[str, Coroutine[Any, Any, None]] = {
            f"apply {number}": lane.run() for number, lane in enumerate(self.lanes)
        }
        parts |= {
            "consume": self.consumer.run(),
            "replies": self.replies.run(),
            "relay": self.relay.run(),
            "jobs": self.jobs.run(),
            "reports": self.reporter.run(),
            "mirror": self.mirror.run(),
            "topics": self.topics.run(),
        }
        return parts

    async def _stop(self, stop: asyncio.Event, tasks: dict[str, asyncio.Task[None]]) -> None:
        """Stop polling, finish what is in hand, relay what is journaled; what takes too long is cut off."""
        await stop.wait()
        log.info("stopping")
        try:
            async with asyncio.timeout(self._settings.shutdown_seconds_max):
                self.consumer.stopping.set()
                self.jobs.stopping.set()
                self.reporter.stopping.set()
                await asyncio.wait([tasks["consume"], tasks["jobs"]])
                await self.replies.settled()
                self.relay.stopping.set()
                self.relay.notify()
                await asyncio.wait([tasks["relay"], tasks["reports"]])
        except TimeoutError:
            log.warning("not everything was finished in time; nothing is lost, the next start goes on with it")
        for task in tasks.values():
            task.cancel()


async def _ending(name: str, part: Coroutine[Any, Any, None]) -> None:
    """A part that dies says so; its error ends the process."""
    try:
        await part
    except WorkerError as error:
        log.error("a part of the worker has ended", part=name, error=str(error))
        raise


async def check(settings: Settings) -> None:
    """Refuse to start on what would go wrong later; raises ConfigurationError or Unavailable."""
    require_compiled_records()
    database = Database(settings)
    await needs.check(database, sessions_needed(settings))
    await migrations.check(settings)
    await topics.check(settings)
    await deployment.check(settings, database)


def sessions_needed(settings: Settings) -> int:
    """How many sessions with PostgreSQL one worker opens."""
    return settings.apply_connections + SESSIONS_BESIDE_LANES


async def run(settings: Settings, *, ready: asyncio.Event | None = None, stop: asyncio.Event | None = None) -> None:
    """Run one worker until SIGTERM, SIGINT or `stop`; a second signal ends the process at once.

    Waits for Kafka and PostgreSQL as long as they are away, with its pages up already, and ends on what only a person
    can mend: raises ConfigurationError or NotLetIn. Sets `ready` when it has started.
    """
    version = build()
    metrics.BUILD.info(version)
    stop = stop or asyncio.Event()
    note_strays(asyncio.get_running_loop(), log)

    def started() -> None:
        log.info("worker started", group=settings.group_id, http=settings.http_address, **version)
        if ready is not None:
            ready.set()

    progress, readiness = Progress(settings.progress_seconds_max), waiting.Readiness()
    pages = Http(settings, progress, readiness.problems)
    with _signals(stop.set):
        await pages.start()
        try:
            if not await waiting.until_done(lambda: check(settings), stop, readiness.waits_for):
                return
            app = App(settings, progress)
            readiness.follow(app.unready)
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            await app.run(stop, started)
        except* WorkerError as errors:
            raise _first(errors) from errors
        finally:
            await pages.stop()
    log.info("worker stopped")


def _first(errors: BaseExceptionGroup[WorkerError]) -> WorkerError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, WorkerError) else ConfigurationError(str(error))


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """The first SIGTERM or SIGINT stops gracefully, the second takes its default effect."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def first(_: signal.Signals) -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
        stop()

    try:
        for number in numbers:
            loop.add_signal_handler(number, first, number)
    except (NotImplementedError, ValueError, RuntimeError):  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
