"""The contract as a naive program: one command at a time, plain Python objects. Its own words, not the worker's SQL."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

Event = dict[str, Any]
"""`type`, `key`, `causation` (a command's id or None) and `data`; `<segment>#<n>`, the n-th generation, is its id."""


def name_of(generation: str) -> str:
    """The segment that it is a generation of."""
    return generation.rpartition("#")[0]


@dataclass(frozen=True)
class Member:
    """A user's row for a segment; included = False says that a command has removed it."""

    included: bool
    expires_at: datetime | None
    since: datetime

    def active(self, now: datetime) -> bool:
        return self.included and (self.expires_at is None or now < self.expires_at)

    def lapsed(self, now: datetime) -> bool:
        return self.included and not self.active(now)


@dataclass
class Segment:
    name: str
    generation: str
    fields: dict[str, Any]


@dataclass
class Model:
    """The state after the commands so far; `apply` returns the events that a command must give, in order."""

    unknown_users: str = "refused"
    users: set[str] = field(default_factory=set)
    segments: dict[str, Segment] = field(default_factory=dict)
    deleted: dict[str, datetime] = field(default_factory=dict)
    members: dict[tuple[str, str], Member] = field(default_factory=dict)
    names: set[tuple[str, str]] = field(default_factory=set)
    created: Counter[str] = field(default_factory=Counter)

    def apply(self, command: dict[str, Any], now: datetime) -> list[Event]:
        """`command`: source, id, type, data; in `data.add` pairs of segment and expiry."""
        name = (command["source"], command["id"])
        if name in self.names:
            return []
        self.names.add(name)
        method = getattr(self, "_" + command["type"].replace(".", "_"))
        events: list[Event] = method(command["id"], command["data"], now)
        return events

    def _segment_create(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        if data["segment"] in self.segments:
            return [_rejected(causation, data["segment"], "segment_exists", {"data.segment"})]
        fields = {"description": None, "owner": None, "tags": [], "percent": None} | data
        generation = f"{data['segment']}#{self.created[data['segment']]}"
        self.created[data["segment"]] += 1
        self.segments[data["segment"]] = Segment(data["segment"], generation, fields)
        return [self._segment_event("segment.created", causation, data["segment"])]

    def _segment_update(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        if data["segment"] not in self.segments:
            return [_rejected(causation, data["segment"], "segment_not_found", {"data.segment"})]
        self.segments[data["segment"]].fields |= data
        return [self._segment_event("segment.updated", causation, data["segment"])]

    def _segment_delete(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        if data["segment"] not in self.segments:
            return [_rejected(causation, data["segment"], "segment_not_found", {"data.segment"})]
        gone = self.segments.pop(data["segment"])
        self.deleted[gone.generation] = now
        content = {"segment": gone.name, "segment_id": gone.generation}
        return [{"type": "segment.deleted", "key": gone.name, "causation": causation, "data": content}]

    def _segment_event(self, event_type: str, causation: str, name: str) -> Event:
        segment = self.segments[name]
        data = segment.fields | {"segment_id": segment.generation}
        return {"type": event_type, "key": name, "causation": causation, "data": data}

    def _user_register(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        self.users.add(data["user_id"])
        return [self._changed(causation, data["user_id"], "user_registered")]

    def _user_forget(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        user = data["user_id"]
        if user not in self.users:
            return [_rejected(causation, user, "user_not_found", {"data.user_id"})]
        self.users.remove(user)
        rows = {generation: self.members.pop((u, generation)) for u, generation in list(self.members) if u == user}
        lapsed = [generation for generation in rows if rows[generation].lapsed(now)]
        exited = [generation for generation in rows if rows[generation].active(now)]
        events = [self._changed(None, user, "expiry", exited=lapsed)] if lapsed else []
        return [*events, self._changed(causation, user, "user_forgotten", exited=exited)]

    def _membership_change(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        user, add, remove = data["user_id"], data.get("add", []), data.get("remove", [])
        wrong = {f"data.add[{i}]" for i, (name, _) in enumerate(add) if name not in self.segments}
        wrong |= {f"data.remove[{i}]" for i, name in enumerate(remove) if name not in self.segments}
        if user not in self.users and self.unknown_users == "refused":
            return [_rejected(causation, user, "user_not_found", wrong | {"data.user_id"})]
        if wrong:
            return [_rejected(causation, user, "segment_not_found", wrong)]
        self.users.add(user)
        lists: dict[str, list[Any]] = {"lapsed": [], "entered": [], "exited": [], "renewed": [], "unchanged": []}
        for name, until in add:
            self._add(user, self.segments[name].generation, until, now, lists)
        for name in remove:
            self._remove(user, self.segments[name].generation, now, lists)
        lapsed = lists.pop("lapsed")
        events = [self._changed(None, user, "expiry", exited=lapsed)] if lapsed else []
        return [*events, self._changed(causation, user, "command", **lists)]

    def _add(self, user: str, generation: str, until: datetime | None, now: datetime, lists: dict[str, Any]) -> None:
        row = self.members.get((user, generation))
        if row is not None and row.active(now):
            lists["unchanged" if row.expires_at == until else "renewed"].append((generation, until))
            self.members[user, generation] = replace(row, expires_at=until)
            return
        if row is not None and row.lapsed(now):
            lists["lapsed"].append(generation)
        lists["entered"].append((generation, until))
        self.members[user, generation] = Member(included=True, expires_at=until, since=now)

    def _remove(self, user: str, generation: str, now: datetime, lists: dict[str, Any]) -> None:
        row = self.members.get((user, generation))
        if row is not None and row.active(now):
            lists["exited"].append(generation)
        else:
            lists["unchanged"].append((generation, None))
        if row is not None and row.lapsed(now):
            lists["lapsed"].append(generation)
        if row is None or row.included:
            self.members[user, generation] = Member(included=False, expires_at=None, since=now)

    def _changed(
        self,
        causation: str | None,
        user: str,
        reason: str,
        entered: list[Any] = [],  # noqa: B006 - never changed
        exited: list[Any] = [],  # noqa: B006
        renewed: list[Any] = [],  # noqa: B006
        unchanged: list[Any] = [],  # noqa: B006
    ) -> Event:
        def until(items: list[tuple[str, datetime | None]]) -> list[dict[str, Any]]:
            return [{"segment": name_of(g), "segment_id": g, "expires_at": at} for g, at in items]

        data = {
            "user_id": user,
            "reason": reason,
            "entered": until(entered),
            "exited": [{"segment": name_of(g), "segment_id": g} for g in exited],
            "renewed": until(renewed),
            "unchanged": [name_of(g) for g, _ in unchanged],
        }
        return {"type": "membership.changed", "key": user, "causation": causation, "data": data}

    def sweep_deleted(self) -> list[Event]:
        """The memberships of deleted segments end: an event for each of them, in no particular order."""
        events = []
        counts = dict.fromkeys(self.deleted, 0)
        for user, generation in sorted(self.members):
            if generation not in self.deleted:
                continue
            row = self.members.pop((user, generation))
            if row.included:
                reason = "segment_deleted" if row.active(self.deleted[generation]) else "expiry"
                counts[generation] += reason == "segment_deleted"
                events.append(self._changed(None, user, reason, exited=[generation]))
        self.deleted = {}
        return events + [self._populated(generation, exited) for generation, exited in counts.items()]

    def _populated(self, generation: str, exited: int) -> Event:
        name = name_of(generation)
        data = {"segment": name, "segment_id": generation, "cause": "segment_deleted", "percent": None}
        return {
            "type": "segment.populated",
            "key": name,
            "causation": None,
            "data": data | {"entered": 0, "exited": exited},
        }

    def active(self, user: str, now: datetime) -> dict[str, tuple[str, datetime, datetime | None]]:
        """The user's active segments by name: generation, since, expiry."""
        return {
            name_of(generation): (generation, row.since, row.expires_at)
            for (member, generation), row in self.members.items()
            if member == user and row.active(now) and generation not in self.deleted
        }


def _rejected(causation: str, key: str, code: str, fields: set[str]) -> Event:
    data = {"code": code, "fields": sorted(fields)}
    return {"type": "command.rejected", "key": key, "causation": causation, "data": data}
