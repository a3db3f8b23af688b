"""The commands of one import on their way: each has to be decided as it was sent before the next step is taken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from schemas.commands import CommandType
from schemas.envelope import qualified
from worker.cli.console import err
from worker.cli.decided import APPLIED, REUSED, Decided
from worker.cli.render import line
from worker.cli.sender import Prepared, Sender, make
from worker.cli.silence import NO_WORKER, Silence
from worker.cli.tail import Tail
from worker.errors import WorkerError
from worker.line.names import command_name
from worker.settings import Settings

SOURCE = "/segmentation/import"
WAIT_SECONDS = 30.0
NAMES_MAX = 500
"""Names looked up at once."""
HEARING_SECONDS_MAX = 5.0
UNSEEN_MAX = 100
"""After so many commands more it is looked whether they were taken: of a list that is refused, little is sent."""


class Rejected(WorkerError):
    """A command of the import was not applied; `code` says why, and `is_told` whether a person has read it."""

    def __init__(self, command_id: str, code: str, *, is_told: bool = False) -> None:
        super().__init__(f"{command_id} was rejected, {code}")
        self.command_id, self.code, self.is_told = command_id, code, is_told


class Pieces:
    """Sends an import's commands, named by its id, and keeps of each that was not decided yet its name and content."""

    def __init__(
        self, settings: Settings, sender: Sender, reading: Tail, decided: Decided, wait_seconds: float | None
    ) -> None:
        self._settings, self._sender, self._reading, self._decided = settings, sender, reading, decided
        self._wait_seconds = WAIT_SECONDS if wait_seconds is None else wait_seconds
        self._waiting: dict[bytes, tuple[str, int]] = {}
        self._looked_at = 0

    def make(self, kind: CommandType, data: Mapping[str, Any], label: str) -> Prepared:
        """A command of the import whose id ends in `label`."""
        command = {"type": kind, "data": data, "id": f"{data['import']}:{label}"}
        return make(command, SOURCE, self._settings.record_bytes_max)

    async def before(self, command: Prepared) -> str | None:
        """What became of it in an earlier run; None: nothing yet."""
        name = command_name(command.command)
        return (await self._decided.outcomes({name: command.command.content})).get(name)

    async def send(self, command: Prepared) -> None:
        """Send it; raises Rejected where one that was sent earlier is found to have been."""
        await self._sender.send(command)
        self._waiting[command_name(command.command)] = (command.id, command.command.content)
        if len(self._waiting) >= self._looked_at + UNSEEN_MAX:
            await self._look()

    async def settle(self) -> None:
        """Wait until all that was sent is decided; raises Rejected, or Unavailable where no answer comes for long."""
        await self._sender.flush()
        silence = Silence("answer", NO_WORKER, self._wait_seconds)
        while self._waiting:
            await self._listen({command_id for command_id, _ in self._waiting.values()})
            count = len(self._waiting)
            try:
                await self._look()
            except Rejected as rejected:
                await self._hear(rejected)
                raise
            if len(self._waiting) < count:
                silence.heard()
            silence.check()

    async def _hear(self, rejected: Rejected) -> None:
        """The rejection says more than its code, and comes a little later; of a name that was used, it may never."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if rejected.code == REUSED else HEARING_SECONDS_MAX):
                while True:
                    await self._listen({rejected.command_id})

    async def _listen(self, ids: Collection[str]) -> None:
        """Tell of a rejection of one of these; some leave nothing that could be looked up. Raises Rejected."""
        for event in await self._reading.poll():
            is_ours = event.get("causationid") in ids and event.get("causationsource", SOURCE) == SOURCE
            if is_ours and event.get("type") == qualified("command.rejected"):
                err.print(line(event))
                raise Rejected(str(event["causationid"]), str(event["data"]["code"]), is_told=True)

    async def _look(self) -> None:
        names = iter(list(self._waiting))
        while some := list(islice(names, NAMES_MAX)):
            found = await self._decided.outcomes({name: self._waiting[name][1] for name in some})
            for name, outcome in found.items():
                command_id, _ = self._waiting.pop(name)
                if outcome != APPLIED:
                    raise Rejected(command_id, outcome)
        self._looked_at = len(self._waiting)
