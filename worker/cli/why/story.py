"""A user and a segment in time: the journal's changes, and the beginnings and ends that the tables know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.cli.render import REASONS
from worker.cli.why.answer import by
from worker.cli.why.facts import Change, Facts

CHANGES_MAX = 10_000
"""So many of the newest rows are read."""
WORDS = REASONS | {
    "user_registered": "by its percent, as the user was registered",
    "user_forgotten": "as the user was forgotten",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A line of the story; without a change it is about the segment or the user alone."""

    time: datetime
    what: str
    change: Change | None = None
    segment_id: str | None = None


def story(facts: Facts) -> list[Told]:
    """All of it, oldest first."""
    told: list[Told] = []
    for one in facts.generations:
        told.append(Told(one.created_at, "segment created", segment_id=one.segment_id))
        if one.deleted_at:
            told.append(Told(one.deleted_at, "segment deleted", segment_id=one.segment_id))
    if facts.registered_at:
        told.append(Told(facts.registered_at, "user registered"))
    told += [Told(change.time, change.what, change) for change in facts.changes]
    return sorted(told, key=lambda one: (one.time, one.change.sequence if one.change else 0))


def reason(told: Told) -> str:
    """Why it came about, with the command that did it."""
    if told.change is None:
        return ""
    change = told.change
    said = WORDS.get(change.reason, change.reason)
    if (change.what, change.reason) == ("renewed", "expiry"):
        said = "its own time was over, and it goes on by its percent"
    parts = [said] if said else []
    if change.command_id is not None:
        parts.append(by(change))
    return ", ".join(parts)
