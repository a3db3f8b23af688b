"""A random stream of commands, and garbage between them, that goes on while things are killed.

Three sorts of segments: `s…` take explicit memberships, some of them over long ago; `p…` have a percent that changes;
and `e…`, with users of their own, take memberships that end within seconds, which nothing but the expiry job notes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from schemas.commands import COMMANDS, CommandType
from schemas.producer import new_command
from schemas.topics import Topic
from tests.support.audit import Command
from tests.support.line import SOURCE, Line

USERS, SEGMENTS, PERCENTS, ENDING = 60, 12, 4, 2
ENDS_AFTER_SECONDS = 2
PASSING_USERS_MAX = 100
"""So many users that came and went stay known: each percent is rolled out over all that are, with an event for each."""
PAST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
BURST = 50
REPEATED_SHARE, GARBAGE_SHARE = 0.05, 0.02


@dataclass
class Load:
    """Sends bursts of random commands until told to stop; remembers what it sent, in order."""

    line: Line
    seed: int
    sent: list[Command] = field(default_factory=list)
    sent_at: dict[str, float] = field(default_factory=dict)
    """By command id, in seconds of the monotonic clock."""
    garbage: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._passing = 0

    async def populate(self) -> None:
        """All segments and users, and their outcomes awaited, so that commands have something to meet."""
        for number in range(SEGMENTS):
            await self._send(self._command("segment.create", {"segment": f"s{number}"}))
        for number in range(PERCENTS):
            await self._send(self._command("segment.create", {"segment": f"p{number}", "percent": self._percent()}))
        for number in range(ENDING):
            await self._send(self._command("segment.create", {"segment": f"e{number}"}))
        for number in range(USERS):
            await self._send(self._command("user.register", {"user_id": f"u{number}"}))
        wanted = {command.id for command in self.sent}
        await self.line.until(lambda said: wanted <= {one.cause for one in said})

    async def run(self, stop: asyncio.Event, *, bursts_max: int, pause_seconds: float) -> None:
        """Send until `stop`."""
        for _ in range(bursts_max):
            if stop.is_set():
                return
            await asyncio.gather(*[self._send(command) for command in self._burst()])
            await asyncio.sleep(pause_seconds)

    def _burst(self) -> Iterator[Command]:
        for _ in range(BURST):
            yield self._any()
        yield from self._ending()

    def _ending(self) -> Iterator[Command]:
        """A user that comes, enters for a short time, and is not heard of again, until it is forgotten much later."""
        self._passing += 1
        user, until = f"passing{self._passing}", datetime.now(UTC) + timedelta(seconds=ENDS_AFTER_SECONDS)
        yield self._command("user.register", {"user_id": user})
        segment = f"e{self._random.randrange(ENDING)}"
        yield self._command("membership.change", {"user_id": user, "add": [(segment, until)]})
        if self._passing > PASSING_USERS_MAX:
            yield self._command("user.forget", {"user_id": f"passing{self._passing - PASSING_USERS_MAX}"})

    def _any(self) -> Command:
        chance = self._random
        # the third of all goes to one user, which makes many rounds
        user = "u0" if chance.random() < 0.3 else f"u{chance.randrange(USERS)}"
        kind = chance.random()
        if kind < 0.90:
            return self._change(user)
        if kind < 0.93:
            return self._command("user.register", {"user_id": user})
        if kind < 0.95:
            return self._command("user.forget", {"user_id": user})
        if chance.random() < 0.5:
            return self._segment(f"s{chance.randrange(SEGMENTS)}")
        return self._rolled_out(f"p{chance.randrange(PERCENTS)}")

    def _segment(self, name: str) -> Command:
        kinds: list[CommandType] = ["segment.create", "segment.create", "segment.delete"]
        kind = self._random.choice(kinds)
        return self._command(kind, {"segment": name})

    def _rolled_out(self, name: str) -> Command:
        kind = self._random.random()
        if kind < 0.15:
            return self._command("segment.delete", {"segment": name})
        return self._command(
            "segment.create" if kind < 0.4 else "segment.update", {"segment": name, "percent": self._percent()}
        )

    def _percent(self) -> Decimal:
        return self._random.choice([Decimal(0), Decimal(100), Decimal(self._random.randrange(10_001)) / 100])

    def _change(self, user: str) -> Command:
        known = [f"s{n}" for n in range(SEGMENTS + 1)] + [f"p{n}" for n in range(PERCENTS)]
        names = self._random.sample(known, self._random.randint(1, 4))
        cut = self._random.randint(0, len(names))
        data: dict[str, Any] = {"user_id": user}
        if names[:cut]:
            data["add"] = [(name, self._until(name)) for name in names[:cut]]
        if names[cut:]:
            data["remove"] = names[cut:]
        return self._command("membership.change", data)

    def _until(self, name: str) -> datetime | None:
        """Where a percent takes over an ended membership silently, the events alone do not show it: there is none."""
        return self._random.choice(
            [None, FUTURE] if name.startswith("p") else [None, None, PAST + timedelta(1), FUTURE]
        )

    def _command(self, command_type: CommandType, data: dict[str, Any]) -> Command:
        key = str(data.get("segment") or data.get("user_id"))
        command_id = str(UUID(int=self._random.getrandbits(128)))
        return Command(command_id, command_type, key, data)

    async def _send(self, command: Command) -> None:
        data = dict(command.data)
        if "add" in data:
            data["add"] = [
                {"segment": name} | ({"expires_at": until.isoformat()} if until else {}) for name, until in data["add"]
            ]
        if "percent" in data:
            data["percent"] = float(data["percent"])
        made = new_command(command.type, data, source=SOURCE, id=command.id, time=PAST)
        topic = COMMANDS[command.type].topic
        self.sent.append(command)
        self.sent_at[command.id] = time.monotonic()
        repeated = self._random.random() < REPEATED_SHARE
        spoilt = self._random.random() < GARBAGE_SHARE
        self.garbage += spoilt
        deliveries = [await self._hand_over(topic, made.value, made.key, made.headers)]
        if repeated:
            deliveries.append(await self._hand_over(topic, made.value, made.key, made.headers))
        if spoilt:
            deliveries.append(await self._hand_over(topic, b'{"specversion": "0.3"}', made.key, ()))
        await asyncio.gather(*deliveries)

    async def _hand_over(self, topic: Topic, value: bytes, key: bytes, headers: Any) -> asyncio.Future[Any]:
        delivery: asyncio.Future[Any] = await self.line.producer.send(
            self.line.topic(topic), value, key=key, headers=list(headers)
        )
        return delivery
