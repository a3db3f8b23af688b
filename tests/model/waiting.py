"""Commands that take effect later as a naive program: a list, out of which those are taken that are due."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.model.happened import Event, key_of, rejected

if TYPE_CHECKING:
    from tests.model.naive import Model


class Waiting:
    """What is yet to come, as it came."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.commands: list[dict[str, Any]] = []

    def keep(self, command: dict[str, Any]) -> Event:
        """It waits for its instant, and its name is remembered from then on."""
        self.commands.append(command)
        self._model.names.remember(command, command["at"])
        return _said("command.scheduled", command["id"], command)

    def cancel(self, command: dict[str, Any], now: datetime) -> Event:
        """The one of that name is taken out, if it was sent where this one was."""
        name, place = (command["data"]["command_source"], command["data"]["command_id"]), command["place"]
        for one in self.commands:
            at_place = (_topic(one), key_of(one)) == (place.topic.value, place.key.decode())
            if (one["source"], one["id"]) == name and at_place:
                self.commands.remove(one)
                self._model.names.remember(one, now)
                return _said("command.unscheduled", command["id"], one)
        return rejected(command["id"], place.key.decode(), "not_scheduled", {"data.command_id"})

    def decide(self, now: datetime) -> list[Event]:
        """Whatever is due, by its instants; of one instant the segments' first."""
        due = [one for one in self.commands if one["at"] <= now]
        self.commands = [one for one in self.commands if one["at"] > now]
        due.sort(key=lambda one: (one["at"], _topic(one) != "segment-commands"))  # stable: then as they came
        return [event for one in due for event in self._model.decide(one, now)]


def _topic(command: dict[str, Any]) -> str:
    return "segment-commands" if command["type"].startswith("segment.") else "membership-commands"


def _said(event_type: str, causation: str, command: dict[str, Any]) -> Event:
    about = "segment" if command["type"].startswith("segment.") else "user_id"
    data = {
        "command_id": command["id"],
        "command_source": command["source"],
        "command_type": f"segmentation.{command['type']}.v1",
        "effective_at": command["at"],
        about: command["data"][about],
    }
    return {"type": event_type, "key": command["data"][about], "causation": causation, "data": data}
