"""Events as the worker writes them, in the naive model's form."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.model.happened import Event


class Reader:
    """Reads events; a segment's generations are numbered as their `segment.created` come."""

    def __init__(self) -> None:
        self._generations: dict[str, str] = {}
        self._created: Counter[str] = Counter()
        self.salts: dict[str, str] = {}

    def learn(self, values: Iterable[bytes]) -> None:
        """Number the segments that these events create."""
        for value in values:
            event = json.loads(value)
            if event["type"] == "segmentation.segment.created.v1":
                name = event["data"]["segment"]
                self._generations[event["data"]["segment_id"]] = f"{name}#{self._created[name]}"
                self._created[name] += 1
                self.salts[self._generations[event["data"]["segment_id"]]] = event["data"]["salt"]

    def read(self, value: bytes, key: bytes | None) -> Event:
        """One event in the model's form."""
        event = json.loads(value)
        name = event["type"].removeprefix("segmentation.").removesuffix(".v1")
        if key is not None:
            assert event["partitionkey"] == key.decode()
        data = self._rejection(event["data"]) if name == "command.rejected" else self._data(event["data"])
        if name == "import.failed":
            data.pop("message")
        if name.startswith("segment.") and "salt" in data:
            data.pop("salt")
        return {
            "type": name,
            "key": None if key is None else key.decode(),
            "causation": event.get("causationid"),
            "data": data,
        }

    def state(self, value: bytes | None) -> State:
        """A record of the topic of states; nothing of a user who was forgotten."""
        found = json.loads(value)["segments"] if value else []
        return {
            self._generations[item["segment_id"]]: (
                self._value("expires_at", item["expires_at"]),
                item["origin"],
                datetime.fromisoformat(item["since"]),
            )
            for item in found
        }

    def generation(self, segment_id: str) -> str:
        """The generation of a segment that was seen to be created."""
        return self._generations[segment_id]

    def _rejection(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"code": data["code"], "fields": sorted(error["field"] for error in data["errors"])}

    def _data(self, data: Any) -> Any:
        match data:
            case dict():
                return {name: self._value(name, item) for name, item in data.items()}
            case list():
                return [self._data(item) for item in data]
            case _:
                return data

    def _value(self, name: str, item: Any) -> Any:
        if name == "segment_id":
            return self._generations[item]
        if name == "percent" and item is not None:
            return Decimal(str(item))
        if name in ("expires_at", "began_at", "effective_at") and item is not None:
            return datetime.fromisoformat(item)
        return self._data(item)


def by_key(events: Iterable[Event]) -> dict[str | None, list[Event]]:
    """Each key's events in order; order between keys means nothing."""
    groups: dict[str | None, list[Event]] = {}
    for event in events:
        groups.setdefault(event["key"], []).append(event)
    return groups


def replayed(events: Iterable[Event]) -> set[tuple[str, str, datetime | None]]:
    """Who is in which segment until when, from nothing but the events; raises where they contradict each other."""
    members: dict[tuple[str, str], datetime | None] = {}
    for event in events:
        if event["type"] != "membership.changed":
            continue
        user, data = event["key"], event["data"]
        for item in data["exited"]:
            del members[user, item["segment_id"]]
        for item in data["entered"]:
            assert (user, item["segment_id"]) not in members, event
            members[user, item["segment_id"]] = item["expires_at"]
        for item in data["renewed"]:
            assert members[user, item["segment_id"]] != item["expires_at"], event
            members[user, item["segment_id"]] = item["expires_at"]
    return {(user, generation, until) for (user, generation), until in members.items()}


State = dict[str, tuple[datetime | None, str, datetime]]
"""A user's segments by generation: expiry, origin and since."""


def followed(begin: State, events: Iterable[Event]) -> dict[str, datetime | None]:
    """A user's segments and their expiries, from a state and from the user's events that came after it."""
    members = {generation: until for generation, (until, _, _) in begin.items()}
    for event in events:
        for item in event["data"]["exited"]:
            members.pop(item["segment_id"], None)
        for item in (*event["data"]["entered"], *event["data"]["renewed"]):
            members[item["segment_id"]] = item["expires_at"]
    return members


def ordered(event: Event) -> Event:
    """Where no command gives the order of the lists, none is promised."""
    data = event["data"]
    if data.get("reason") in (None, "command"):
        return event
    lists = {name: sorted(data[name], key=lambda item: item["segment_id"]) for name in ("entered", "exited", "renewed")}
    return event | {"data": data | lists}
