"""Imports as a naive program: lists that commands open, fill and close, and that a job applies as far as it was let."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.model.happened import Event, changed, name_of, rejected

if TYPE_CHECKING:
    from tests.model.naive import Model

ABANDONED_AFTER = timedelta(seconds=100)
COUNTED = ("users", "entered", "exited", "renewed", "unchanged", "registered", "unknown", "too_many_segments")


@dataclass
class Import:
    """One list."""

    name: str
    generation: str
    mode: str
    until: datetime | None
    registers: bool
    began_at: datetime
    users: set[str] = field(default_factory=set)
    received: int = 0
    state: str = "open"
    failure: str | None = None
    commit: str | None = None
    committed_at: datetime | None = None
    reached_user: str = ""
    reached_key: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)
    crowded: list[str] = field(default_factory=list)

    def fail(self, code: str, causation: str | None) -> Event:
        """It ends, and what was applied stays."""
        self.state, self.failure = "failed", code
        return self.event("import.failed", causation, code=code)

    def event(self, event_type: str, causation: str | None, **more: Any) -> Event:
        """Said of it."""
        data = {"import": self.name, "segment": name_of(self.generation)} | more
        return {"type": event_type, "key": self.name, "causation": causation, "data": data}


@dataclass(frozen=True)
class Reached:
    """How far the job has come with a list: the last user of it that was decided, and the last key looked at."""

    state: str
    user: str
    key: int


@dataclass
class Lists:
    """All lists that there ever were."""

    model: Model
    imports: dict[str, Import] = field(default_factory=dict)

    def apply(self, command: dict[str, Any], now: datetime) -> list[Event]:
        """The events that the command gives at once; what a commit changes comes when the job goes on."""
        name, data, causation = command["data"]["import"], command["data"], command["id"]
        kind = command["type"].removeprefix("import.")
        if kind == "begin":
            return [self._begin(command, name, now)]
        one = self.imports.get(name)
        if one is None:
            return [rejected(causation, name, "import_not_found", {"data.import"})]
        if one.state != "open" and not (kind == "cancel" and one.state in ("applying", "leaving")):
            return [rejected(causation, name, "import_closed", {"data.import"})]
        if kind == "cancel":
            in_vain = [] if one.commit is None else [rejected(one.commit, name, "import_closed", {"data.import"})]
            return [one.fail("cancelled", causation), *in_vain]
        if kind == "users":
            one.received += len(data["user_ids"])
            one.users |= set(data["user_ids"])
            told = {"segment_id": one.generation, "mode": one.mode, "received": one.received}
            return [one.event("import.received", causation, **told)]
        return self._commit(one, data.get("users"), causation, now)

    def _begin(self, command: dict[str, Any], name: str, now: datetime) -> Event:
        data, causation = command["data"], command["id"]
        if data["segment"] not in self.model.segments:
            return rejected(causation, name, "segment_not_found", {"data.segment"})
        if name in self.imports:
            return rejected(causation, name, "import_exists", {"data.import"})
        until = data.get("expires_at")
        if "ttl" in data:
            until = (command["time"] or now) + timedelta(seconds=int(data["ttl"].strip("PTS")))
        generation = self.model.segments[data["segment"]].generation
        registers = data.get("unknown_users") == "register"
        self.imports[name] = one = Import(name, generation, data["mode"], until, registers, now)
        return one.event("import.began", causation, segment_id=generation, mode=one.mode)

    def _commit(self, one: Import, users: int | None, causation: str, now: datetime) -> list[Event]:
        one.commit, one.committed_at = causation, now
        if not self._is_alive(one):
            return [one.fail("segment_deleted", causation)]
        if users is not None and users != one.received:
            return [one.fail("count_mismatch", causation)]
        one.state = "applying"
        return []

    def _is_alive(self, one: Import) -> bool:
        return any(segment.generation == one.generation for segment in self.model.segments.values())

    def forget(self, user: str) -> None:
        """Nobody's list has that user any more, also where nobody knew it."""
        for one in self.imports.values():
            one.users.discard(user)

    def go_on(self, name: str, reached: Reached, keys: Mapping[str, int], now: datetime) -> list[Event]:
        """The job has come so far with a list; `keys` are those of the users that are known."""
        one = self.imports[name]
        if one.state == "open":
            assert one.began_at < now - ABANDONED_AFTER
            return [one.fail("abandoned", None)]
        if not self._is_alive(one):
            return [one.fail("segment_deleted", one.commit)]
        events: list[Event] = []
        for user in sorted(one.users):
            if one.reached_user < user <= reached.user:
                events += self._decide(one, user, now)
        one.reached_user = reached.user
        if reached.state != "applying":
            assert all(user <= reached.user for user in one.users)
            for user in [user for user in keys if one.reached_key < keys[user] <= reached.key]:
                events += self._leave(one, user, now)
            one.reached_key = reached.key
        one.state = reached.state
        if one.state == "completed":
            events.append(self._completed(one))
        return events

    def _decide(self, one: Import, user: str, now: datetime) -> list[Event]:
        """As a command would have decided for the user, but that one who changes nothing is not told."""
        events, model = [], self.model
        one.counts["users"] += 1
        if user not in model.users:
            if not one.registers:
                one.counts["unknown"] += 1
                one.unknown.append(user)
                return []
            one.counts["registered"] += 1
            entered = model.register(user, now)
            events += [changed(None, user, "user_registered", entered=entered)] if entered else []
        if one.mode != "remove" and model.is_crowded(user, [one.generation], []):
            one.counts["too_many_segments"] += 1
            one.crowded.append(user)
            return events
        lists: dict[str, list[Any]] = {"lapsed": [], "entered": [], "exited": [], "renewed": [], "unchanged": []}
        if one.mode == "remove":
            model.remove(user, one.generation, now, lists)
        else:
            model.add(user, one.generation, one.until, now, lists)
        lapsed = lists.pop("lapsed")
        (effect,) = [name for name, items in lists.items() if items]
        one.counts[effect] += 1
        events += [changed(None, user, "expiry", exited=lapsed)] if lapsed else []
        return events + ([changed(one.commit, user, "import", **lists)] if effect != "unchanged" else [])

    def _leave(self, one: Import, user: str, now: datetime) -> list[Event]:
        """Of a list that replaces all, who is not on it and was a member by command before."""
        row = self.model.members.get((user, one.generation))
        assert one.mode == "replace"
        assert one.committed_at is not None
        if user in one.users or row is None or not row.included or row.origin != "command":
            return []
        if row.since >= one.committed_at or row.is_over(now):
            return []
        if not self.model.is_inside(one.generation, user):
            del self.model.members[user, one.generation]
            one.counts["exited"] += 1
            return [changed(one.commit, user, "import", exited=[one.generation])]
        self.model.members[user, one.generation] = replace(row, origin="rollout", expires_at=None)
        if row.expires_at is None:
            return []
        one.counts["renewed"] += 1
        return [changed(one.commit, user, "import", renewed=[(one.generation, None)])]

    def _completed(self, one: Import) -> Event:
        told: dict[str, Any] = {"segment_id": one.generation, "mode": one.mode, "received": one.received}
        told |= {name: one.counts[name] for name in COUNTED} | {"began_at": one.began_at}
        told |= {"unknown_sample": one.unknown, "too_many_segments_sample": one.crowded}
        return one.event("import.completed", one.commit, **told)
