"""The contract as a naive program: one command at a time, plain Python objects. Its own words, not the worker's SQL."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tests.model.happened import Event, changed, cleared, key_of, name_of, rejected
from tests.model.lists import Lists
from tests.model.names import Names
from tests.model.rows import Member, Rollout, Segment
from tests.model.waiting import Waiting


@dataclass
class Model:
    """The state after the commands so far; `apply` returns the events that a command must give, in order."""

    salts: Mapping[str, str]
    unknown_users: str = "refused"
    segments_of_user_max: int = 5_000
    users: set[str] = field(default_factory=set)
    rollouts: dict[str, Rollout] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    deleted: dict[str, datetime] = field(default_factory=dict)
    ended: list[Segment] = field(default_factory=list)
    members: dict[tuple[str, str], Member] = field(default_factory=dict)
    ended_early: Counter[str] = field(default_factory=Counter)
    names: Names = field(default_factory=Names)
    created: Counter[str] = field(default_factory=Counter)
    counted: dict[str, set[str]] = field(default_factory=dict)
    """What a decision under way has counted as its user's segments, where a job has changed them since."""

    def __post_init__(self) -> None:
        self.lists = Lists(self)
        self.waiting = Waiting(self)

    def apply(self, command: dict[str, Any], now: datetime) -> list[Event]:
        """`command`: source, id, type, data, time (None: its delivery); in `data.add` pairs of segment and expiry."""
        by_name = self.names.take(command, now)
        if by_name != "fresh":
            reused = rejected(command["id"], key_of(command), "id_reused", {"id"})
            return [reused] if by_name == "reused" else []
        expiries = [at for _, at in command["data"].get("add", [])]
        late = {f"data.add[{i}].expires_at" for i, at in enumerate(expiries) if at and at <= now}
        late |= (
            {"data.expires_at"} if "expires_at" in command["data"] and command["data"]["expires_at"] <= now else set()
        )
        if late and not command.get("timed", True):
            return [rejected(command["id"], key_of(command), "invalid", late)]
        if command["type"] == "schedule.cancel":
            return [self.waiting.cancel(command, now)]
        if command.get("at") and command["at"] > now:
            return [self.waiting.keep(command)]
        return self.decide(command, now)

    def decide(self, command: dict[str, Any], now: datetime) -> list[Event]:
        """… of a command whose name was taken before."""
        if command["type"].startswith("import."):
            return self.lists.apply(command, now)
        method = getattr(self, "_" + command["type"].replace(".", "_"))
        events: list[Event] = method(command["id"], command["data"], now)
        return events

    def _segment_create(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        if data["segment"] in self.segments:
            return [rejected(causation, data["segment"], "segment_exists", {"data.segment"})]
        fields = {"description": None, "owner": None, "tags": [], "percent": None} | cleared(data)
        policy = fields.pop("on_decrease", "release")
        generation = f"{data['segment']}#{self.created[data['segment']]}"
        self.created[data["segment"]] += 1
        self.segments[data["segment"]] = Segment(data["segment"], generation, fields)
        if "percent" in data:
            self.rollouts[generation] = Rollout(data["percent"], policy)
        return [self._segment_event("segment.created", causation, data["segment"])]

    def _segment_update(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        if data["segment"] not in self.segments:
            return [rejected(causation, data["segment"], "segment_not_found", {"data.segment"})]
        segment = self.segments[data["segment"]]
        segment.fields |= cleared(data)
        policy = segment.fields.pop("on_decrease", "release")
        if "percent" in data:
            self.rollouts[segment.generation] = Rollout(data["percent"], policy)
        return [self._segment_event("segment.updated", causation, data["segment"])]

    def _segment_delete(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        if data["segment"] not in self.segments:
            return [rejected(causation, data["segment"], "segment_not_found", {"data.segment"})]
        gone = self.segments.pop(data["segment"])
        self.deleted[gone.generation] = now
        self.ended.append(gone)
        self.rollouts.pop(gone.generation, None)
        data = {"segment": gone.name, "segment_id": gone.generation}
        return [{"type": "segment.deleted", "key": gone.name, "causation": causation, "data": data}]

    def _segment_event(self, event_type: str, causation: str, name: str) -> Event:
        data = self.segments[name].fields | {"segment_id": self.segments[name].generation}
        return {"type": event_type, "key": name, "causation": causation, "data": data}

    def _user_register(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        entered = self.register(data["user_id"], now)
        return [changed(causation, data["user_id"], "user_registered", entered=entered)]

    def register(self, user: str, now: datetime) -> list[Any]:
        """What a user enters by becoming known."""
        if user in self.users:
            return []
        self.users.add(user)
        entered = [one.generation for one in self.segments.values() if self.is_inside(one.generation, user)]
        for generation in entered:
            self.members[user, generation] = Member(included=True, expires_at=None, since=now, origin="rollout")
        return [(generation, None) for generation in entered]

    def is_inside(self, generation: str, user: str) -> bool:
        """The contract's formula; for a deleted segment with the percent that it had at its end."""
        every = [*self.segments.values(), *self.ended]
        percent = next((segment.fields["percent"] for segment in every if segment.generation == generation), None)
        return percent is not None and self._bucket(generation, user) < percent * 100

    def has_lapsed(self, generation: str, user: str, row: Member, now: datetime) -> bool:
        """Whether its time is over and no percent carries it on; what counted at its segment's end no longer lapses."""
        return row.is_over(min(now, self.deleted.get(generation, now))) and not self.is_inside(generation, user)

    def _bucket(self, generation: str, user: str) -> int:
        digest = hashlib.sha256((self.salts[generation] + ":" + user).encode()).hexdigest()
        return int(digest[:16], 16) % 10_000

    def _now(self, user: str, generation: str, now: datetime) -> Member | None:
        """The row as it counts now: what is over goes on as a rollout membership if the user is inside."""
        row = self.members.get((user, generation))
        if row is not None and row.included and row.is_over(now) and self.is_inside(generation, user):
            return replace(row, expires_at=None, origin="rollout")
        return row

    def _user_forget(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        user = data["user_id"]
        self.lists.forget(user)
        self.waiting.forget(user)
        if user not in self.users:
            return [rejected(causation, user, "user_not_found", {"data.user_id"})]
        self.users.remove(user)
        rows = {generation: self.members.pop((u, generation)) for u, generation in list(self.members) if u == user}
        included = [generation for generation in rows if rows[generation].included]
        lapsed = [g for g in included if self.has_lapsed(g, user, rows[g], now)]
        exited = [g for g in included if g not in lapsed]
        events = [changed(None, user, "expiry", exited=lapsed)] if lapsed else []
        return [*events, changed(causation, user, "user_forgotten", exited=exited)]

    def _membership_change(self, causation: str, data: dict[str, Any], now: datetime) -> list[Event]:
        user, add, remove = data["user_id"], data.get("add", []), data.get("remove", [])
        wrong = {f"data.add[{i}]" for i, (name, _) in enumerate(add) if name not in self.segments}
        wrong |= {f"data.remove[{i}]" for i, name in enumerate(remove) if name not in self.segments}
        if self.is_refused_as_crowded(data):
            return [rejected(causation, user, "too_many_segments", {"data.add"})]
        if user not in self.users and self.unknown_users == "refused":
            return [rejected(causation, user, "user_not_found", wrong | {"data.user_id"})]
        if wrong:
            return [rejected(causation, user, "segment_not_found", wrong)]
        known = self.register(user, now)
        before = [changed(None, user, "user_registered", entered=known)] if known else []
        lists: dict[str, list[Any]] = {"lapsed": [], "entered": [], "exited": [], "renewed": [], "unchanged": []}
        for name, until in add:
            self.add(user, self.segments[name].generation, until, now, lists)
        for name in remove:
            self.remove(user, self.segments[name].generation, now, lists)
        lapsed = lists.pop("lapsed")
        events = [changed(None, user, "expiry", exited=lapsed)] if lapsed else []
        return [*before, *events, changed(causation, user, "command", **lists)]

    def is_refused_as_crowded(self, data: dict[str, Any]) -> bool:
        """Whether a change would leave its user in too many segments."""
        add, remove = (
            [self.segments[name].generation for name in names if name in self.segments]
            for names in (dict(data.get("add", [])), data.get("remove", []))
        )
        return self.is_crowded(data["user_id"], add, remove)

    def is_crowded(self, user: str, add: list[str], remove: list[str]) -> bool:
        """Whether the user would be in more segments than before, and in more than there may be."""
        if sum(self.created.values()) <= self.segments_of_user_max:
            return False
        held = self.held(user)
        after = (held | set(add)) - set(remove)
        return len(after) > max(len(held), self.segments_of_user_max)

    def held(self, user: str) -> set[str]:
        """What the user is in, with what is over and has not been ended yet."""
        if user in self.counted:
            return self.counted[user]
        return {generation for (member, generation), row in self.members.items() if member == user and row.included}

    def add(self, user: str, generation: str, until: datetime | None, now: datetime, lists: dict[str, Any]) -> None:
        """A user is to be a member; what that does is noted in the lists."""
        row = self._now(user, generation, now)
        if row is not None and row.included and not row.is_over(now):
            said = self.members[user, generation].expires_at
            lists["unchanged" if said == until else "renewed"].append((generation, until))
            self.members[user, generation] = replace(row, expires_at=until, origin="command")
            return
        if row is not None and row.included:
            lists["lapsed"].append(generation)
        lists["entered"].append((generation, until))
        self.members[user, generation] = Member(included=True, expires_at=until, since=now)

    def remove(self, user: str, generation: str, now: datetime, lists: dict[str, Any]) -> None:
        """A user is to be kept out; what that does is noted in the lists."""
        row = self._now(user, generation, now)
        if row is not None and row.included and not row.is_over(now):
            lists["exited"].append(generation)
        else:
            lists["unchanged"].append((generation, None))
            if row is not None and row.included:
                lists["lapsed"].append(generation)
        if row is None or row.included:
            self.members[user, generation] = Member(included=False, expires_at=None, since=now)

    def roll_out(self, generation: str, users: list[str], now: datetime, *, is_done: bool) -> list[Event]:
        """These users are decided, as the percent says; at the end that is said."""
        rollout, events = self.rollouts[generation], []
        for user in users:
            row, is_inside = self.members.get((user, generation)), self.is_inside(generation, user)
            if is_inside and row is None:
                self.members[user, generation] = Member(True, None, now, "rollout")
                rollout.counts["entered"] += 1
                events.append(changed(None, user, "rollout", entered=[(generation, None)]))
            elif not is_inside and row is not None and row.included and row.origin == "rollout":
                if rollout.on_decrease == "keep":
                    continue
                del self.members[user, generation]
                rollout.counts["exited"] += 1
                events.append(changed(None, user, "rollout", exited=[generation]))
        if is_done:
            del self.rollouts[generation]
            counts = rollout.counts
            end = self._populated(generation, counts["exited"])
            end["data"] |= {"cause": "rollout", "percent": rollout.percent, "entered": counts["entered"]}
            events.append(end)
        return events

    def expire(self, now: datetime) -> list[Event]:
        """Whatever is over ends, or goes on as a rollout membership; an event for each user and reason."""
        exited: dict[tuple[str, str], list[str]] = {}
        renewed: dict[tuple[str, str], list[Any]] = {}
        for (user, generation), row in sorted(self.members.items()):
            if not row.included or not row.is_over(now):
                continue
            if generation not in self.deleted and self.is_inside(generation, user):
                self.members[user, generation] = replace(row, expires_at=None, origin="rollout")
                renewed.setdefault((user, "expiry"), []).append((generation, None))
                continue
            del self.members[user, generation]
            has_lapsed = self.has_lapsed(generation, user, row, now)
            if not has_lapsed:
                self.ended_early[generation] += 1
            exited.setdefault((user, "expiry" if has_lapsed else "segment_deleted"), []).append(generation)
        places = sorted(exited.keys() | renewed.keys())
        return [changed(None, *p, exited=exited.get(p, []), renewed=renewed.get(p, [])) for p in places]

    def sweep_deleted(self) -> list[Event]:
        """The memberships of deleted segments end: an event for each of them, in no particular order."""
        events = []
        counts = {generation: self.ended_early.pop(generation, 0) for generation in self.deleted}
        for user, generation in sorted(self.members):
            if generation not in self.deleted:
                continue
            row = self.members.pop((user, generation))
            if row.included:
                reason = (
                    "expiry" if self.has_lapsed(generation, user, row, self.deleted[generation]) else "segment_deleted"
                )
                counts[generation] += reason == "segment_deleted"
                events.append(changed(None, user, reason, exited=[generation]))
        self.deleted = {}
        return events + [self._populated(generation, exited) for generation, exited in counts.items()]

    def _populated(self, generation: str, exited: int) -> Event:
        name = name_of(generation)
        data: dict[str, Any] = {"segment": name, "segment_id": generation, "percent": None, "cause": "segment_deleted"}
        data |= {"entered": 0, "exited": exited}
        return {"type": "segment.populated", "key": name, "causation": None, "data": data}

    def active(self, user: str, now: datetime) -> dict[str, tuple[str, str, datetime, datetime | None]]:
        """The user's active segments by name: generation, origin, since, expiry."""
        found = {}
        for member, generation in self.members:
            row = self._now(member, generation, now)
            if row is None or not row.included or row.is_over(now):
                continue
            if member == user and generation not in self.deleted:
                found[name_of(generation)] = (generation, row.origin, row.since, row.expires_at)
        return found
