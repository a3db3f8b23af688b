"""Commands that take effect later as a naive program: a list, out of which those are taken that are due."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.model.happened import Event, key_of, rejected

if TYPE_CHECKING:
    from tests.model.naive import Model

TOPICS = {"segment": "segment-commands", "import": "import-commands"}
ABOUT = {"segment": "segment", "import": "import"}


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

    def forget(self, user: str) -> None:
        """Whatever waits for the user by now waits in vain, and is told so as soon as it is looked at."""
        for one in self.commands:
            one["is_in_vain"] = one.get("is_in_vain") or one["data"].get("user_id") == user

    def decide(self, now: datetime) -> list[Event]:
        """Whatever is due, by its instants; of one instant the segments' first; then whatever waits in vain."""
        events = []
        while due := [one for one in self.commands if one["at"] <= now or one.get("is_in_vain")]:
            first = min(due, key=lambda one: (one["at"], _topic(one) != "segment-commands"))  # then as they came
            self.commands.remove(first)
            if first.get("is_in_vain"):
                events.append(rejected(first["id"], key_of(first), "user_not_found", {"data.user_id"}))
            else:
                events += self._model.decide(first, now)
        return events


def _topic(command: dict[str, Any]) -> str:
    return TOPICS.get(command["type"].partition(".")[0], "membership-commands")


def _said(event_type: str, causation: str, command: dict[str, Any]) -> Event:
    about = ABOUT.get(command["type"].partition(".")[0], "user_id")
    data = {
        "command_id": command["id"],
        "command_source": command["source"],
        "command_type": f"segmentation.{command['type']}.v1",
        "effective_at": command["at"],
        about: command["data"][about],
    }
    return {"type": event_type, "key": command["data"][about], "causation": causation, "data": data}
