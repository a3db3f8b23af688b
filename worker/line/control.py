"""Tells a command's own fault from the database's state: harmless commands are decided, and nothing of it is kept.

Where the database refuses those as well (a table is missing, a right was taken away, a disk is full, a sequence gives
numbers out twice), it would refuse any command, and no command may be rejected for it.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Any, Literal, NamedTuple
from uuid import UUID

from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command, decode
from schemas.producer import RECORD_BYTES_MAX, Outgoing, Place, new_command
from schemas.topics import Topic
from worker.errors import Denied, Refused, WorkerError
from worker.journal import rows as journal
from worker.line import names
from worker.line.batch import Batch, Received, ReceivedCommand, sort
from worker.line.handlers import HANDLERS, Context
from worker.line.rounds import LATER, decide
from worker.line.trials import FAULTS, UNDECIDED
from worker.observability.logs import logger
from worker.observability.mistakes import contained
from worker.postgres.clock import Clock, moment
from worker.postgres.session import Session

log = logger(__name__)

SOURCE = "/segmentation/control"
Kinds = set[CommandType | Literal["later"]]
"""Types of commands, and whether some take effect later."""
AHEAD_DAYS = 2
"""How long until a harmless command takes effect that is put off: longer than any two clocks differ."""
PEERS_MAX = 3
"""So many other commands of the same batch are asked, too, where the database does not take the names of ours."""
LIKENESSES_MAX = 10
"""So often names like those that the database has are made up, until one is free."""
KINDS = (
    string.digits,
    "abcdef",
    string.ascii_lowercase.removeprefix("abcdef"),
    "ABCDEF",
    string.ascii_uppercase.removeprefix("ABCDEF"),
)
"""Characters that stand for each other in a name of the same form."""


class Names(NamedTuple):
    """A user and a segment that there are not."""

    user: str
    segment: str


class Control:
    """Asks the database about commands that are not to blame."""

    def __init__(
        self, session: Session, clock: Clock, context: Callable[[datetime], Context], new_uuid: Callable[[], UUID]
    ) -> None:
        self._session, self._clock, self._context, self._new_uuid = session, clock, context, new_uuid

    async def goes_through(self, batch: Batch, whole: Batch) -> bool:
        """Whether the database takes commands like those of the batch; `whole` is the batch that it is a part of."""
        suspects = [record.what for record in batch.records if isinstance(record.what, Command)]
        types: Kinds = {suspect.type for suspect in suspects}
        if any(suspect.effective_at for suspect in suspects):
            types.add(LATER)
        name = f"control-{self._new_uuid().hex}"
        fault = await self._try(list(_harmless(types, Names(name, name))))
        if fault is None:
            return True
        log.warning("the database refuses harmless commands, too", error=str(fault))
        if not isinstance(fault, Refused | Denied) or len(batch.records) != 1:
            return False
        likely = await self._likely_names()
        if likely is not None and await self._try(list(_harmless(types, likely))) is None:
            return True
        for peer in _peers(batch, whole):
            if await self._try([peer]) is None:
                return True
        return False

    async def _likely_names(self) -> Names | None:
        """Names of the form of those that the database took last, in case that it minds the form."""
        chance = Random(self._new_uuid().int)
        try:
            last = await self._session.row("names_last")
            for _ in range(LIKENESSES_MAX if last["user_id"] else 0):
                found = Names(like(last["user_id"], chance), like(last["segment"] or "control", chance))
                if (await self._session.row("names_are_free", *found))["are_free"]:
                    return found
        except FAULTS:
            pass
        return None

    async def _try(self, commands: list[ReceivedCommand[Any]]) -> WorkerError | None:
        """What keeps them from being decided and journaled, if anything does."""
        session = self._session
        try:
            async with session.transaction(is_kept=False):
                context = self._context(await moment(session, self._clock))
                with contained(UNDECIDED):
                    await names.take(session, commands, context.now)
                    await decide(context, commands)
                    await journal.append(session, context.rows, context.now)
                await session.fetch("constraints_immediate")
        except FAULTS as error:
            return error
        return None


def like(name: str, chance: Random) -> str:
    """Another name of the same form, as far as that shows: digits for digits, letters for letters."""
    return "".join(next((chance.choice(kind) for kind in KINDS if one in kind), one) for one in name)


def _harmless(types: Kinds, about: Names) -> Iterator[ReceivedCommand[Any]]:
    """One command after the other, about a segment and a user that nobody else knows."""
    user, segment = about
    now = datetime.now(UTC)
    steps: list[tuple[CommandType, dict[str, Any]]] = [
        ("segment.create", {"segment": segment, "percent": 100}),
        ("segment.update", {"segment": segment, "percent": 50}),
        ("user.register", {"user_id": user}),
        ("membership.change", {"user_id": user, "add": [segment]}),
        ("membership.change", {"user_id": user, "remove": [segment]}),
        ("user.forget", {"user_id": user}),
    ]
    if "segment.delete" in types:
        steps = [("segment.create", {"segment": segment}), ("segment.delete", {"segment": segment})]
    if "report.request" in types:
        steps.append(("report.request", {"year": now.year, "month": now.month}))
    for number, (command_type, data) in enumerate(steps):
        made = new_command(command_type, data, source=SOURCE, id=_id(number, segment))
        yield _received(number, made, COMMANDS[command_type].topic, now)
    if LATER in types or "schedule.cancel" in types:
        number, place = len(steps), Place(Topic.MEMBERSHIP_COMMANDS, user.encode())
        ahead, command_id = now + timedelta(days=AHEAD_DAYS), _id(number, segment)
        made = new_command("user.forget", {"user_id": user}, source=SOURCE, id=command_id, effectiveat=ahead)
        yield _received(number, made, place.topic, now)
        target = {"command_id": command_id, "command_source": SOURCE}
        made = new_command("schedule.cancel", target, source=SOURCE, id=_id(number + 1, segment), place=place)
        yield _received(number + 1, made, place.topic, now)


def _id(number: int, segment: str) -> str:
    return f"control-{number}-{segment}"[:128]


def _received(number: int, made: Outgoing, topic: Topic, now: datetime) -> ReceivedCommand[Any]:
    what = decode(made.value, made.headers, made.key, topic, int(now.timestamp() * 1000), RECORD_BYTES_MAX)
    assert isinstance(what, Command)
    return Received(topic.value, 0, number, made.key, made.value, len(made.value), what)


def _peers(batch: Batch, whole: Batch) -> Iterator[ReceivedCommand[Any]]:
    """Some commands of the same type as the batch's one, about others."""
    for suspect in sort(batch.records).commands:
        command_type, subject = suspect.what.type, HANDLERS[suspect.what.type].subject
        about = subject(suspect)
        others = (
            record
            for record in sort(whole.records).commands
            if record.what.type == command_type and subject(record) != about
        )
        yield from islice(others, PEERS_MAX)
