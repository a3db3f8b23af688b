"""Tells a command's own fault from the database's state: harmless commands are decided, and nothing of it is kept.

Where the database refuses those as well (a table is missing, a right was taken away, a disk is full, a sequence gives
numbers out twice), it would refuse any command, and no command may be rejected for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command, decode
from schemas.producer import RECORD_BYTES_MAX, new_command
from worker.errors import Denied, Refused, WorkerError
from worker.journal import rows as journal
from worker.line import names
from worker.line.batch import Batch, Received, ReceivedCommand, sort
from worker.line.handlers import HANDLERS, Context
from worker.line.rounds import decide
from worker.line.trials import FAULTS
from worker.observability.logs import logger
from worker.postgres.clock import Clock, moment
from worker.postgres.session import Session

log = logger(__name__)

SOURCE = "/segmentation/control"
PEERS_MAX = 3
"""So many other commands of the same batch are asked, too, where the database does not take the names of ours."""


class Control:
    """Asks the database about commands that are not to blame."""

    def __init__(
        self, session: Session, clock: Clock, context: Callable[[datetime], Context], new_uuid: Callable[[], UUID]
    ) -> None:
        self._session, self._clock, self._context, self._new_uuid = session, clock, context, new_uuid

    async def goes_through(self, batch: Batch, whole: Batch) -> bool:
        """Whether the database takes commands like those of the batch; `whole` is the batch that it is a part of."""
        types = {record.what.type for record in batch.records if isinstance(record.what, Command)}
        fault = await self._try(list(self._harmless(types)))
        if fault is None:
            return True
        log.warning("the database refuses harmless commands, too", error=str(fault))
        if not isinstance(fault, Refused | Denied) or len(batch.records) != 1:
            return False
        for peer in _peers(batch, whole):
            if await self._try([peer]) is None:
                return True
        return False

    async def _try(self, commands: list[ReceivedCommand[Any]]) -> WorkerError | None:
        """What keeps them from being decided and journaled, if anything does."""
        session = self._session
        try:
            async with session.transaction(is_kept=False):
                context = self._context(await moment(session, self._clock))
                await names.take(session, commands, context.now)
                await decide(context, commands)
                await journal.append(session, context.rows, context.now)
                await session.fetch("constraints_immediate")
        except FAULTS as error:
            return error
        return None

    def _harmless(self, types: set[CommandType]) -> Iterator[ReceivedCommand[Any]]:
        """One command after the other, about a segment and a user that nobody else knows."""
        name = f"control-{self._new_uuid().hex}"
        steps: list[tuple[CommandType, dict[str, Any]]] = [
            ("segment.create", {"segment": name, "percent": 100}),
            ("segment.update", {"segment": name, "percent": 50}),
            ("user.register", {"user_id": name}),
            ("membership.change", {"user_id": name, "add": [name]}),
            ("membership.change", {"user_id": name, "remove": [name]}),
            ("user.forget", {"user_id": name}),
        ]
        if "segment.delete" in types:
            steps = [("segment.create", {"segment": name}), ("segment.delete", {"segment": name})]
        if "report.request" in types:
            today = datetime.now(UTC)
            steps.append(("report.request", {"year": today.year, "month": today.month}))
        for number, (command_type, data) in enumerate(steps):
            made = new_command(command_type, data, source=SOURCE, id=f"{name}-{number}")
            topic = COMMANDS[command_type].topic
            what = decode(made.value, made.headers, made.key, topic, 0, RECORD_BYTES_MAX)
            assert isinstance(what, Command)
            yield Received(topic.value, 0, number, made.key, made.value, len(made.value), what)


def _peers(batch: Batch, whole: Batch) -> Iterator[ReceivedCommand[Any]]:
    """Some commands of the same type as the batch's one, about others."""
    for suspect in sort(batch.records).commands:
        command_type, subject = suspect.what.type, HANDLERS[suspect.what.type].subject
        about = subject(suspect.what.data)
        others = (
            record
            for record in sort(whole.records).commands
            if record.what.type == command_type and subject(record.what.data) != about
        )
        yield from islice(others, PEERS_MAX)
