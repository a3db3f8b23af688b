"""Records for the tests: a good one of each command, and the short way to judge a changed one."""

import json
from typing import Any

from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command, Refusal, decode
from schemas.envelope import qualified
from schemas.topics import Topic

TIME = "2025-01-31T10:00:00Z"
TIMESTAMP_MS = 1_738_317_600_000  # the same instant
RECORD_BYTES_MAX = 262_144

GOOD: dict[CommandType, dict[str, Any]] = {
    "segment.create": {"segment": "beta", "description": "Early", "owner": "ann", "tags": ["a"], "percent": 12.5},
    "segment.update": {"segment": "beta", "percent": 20, "on_decrease": "keep"},
    "segment.delete": {"segment": "beta"},
    "user.register": {"user_id": "u1"},
    "user.forget": {"user_id": "u1"},
    "membership.change": {"user_id": "u1", "add": ["a", {"segment": "b", "ttl": "P2M"}], "remove": ["c"]},
    "membership.query": {"user_id": "u1"},
    "import.begin": {"import": "i1", "segment": "beta", "mode": "add", "ttl": "P1D", "unknown_users": "register"},
    "import.users": {"import": "i1", "user_ids": ["u1", 2]},
    "import.commit": {"import": "i1", "users": 2},
    "import.cancel": {"import": "i1"},
    "schedule.cancel": {"command_id": "c0", "command_source": "/tests"},
    "report.request": {"year": 2025, "month": 1},
}

MISSING = object()


def event(name: CommandType, data: Any = MISSING, **attributes: Any) -> dict[str, Any]:
    """A command's CloudEvent; an attribute given as MISSING is left out."""
    made: dict[str, Any] = {"specversion": "1.0", "id": "c1", "source": "/tests", "type": qualified(name), "time": TIME}
    made |= {"data": GOOD[name] if data is MISSING else data, **attributes}
    return {attribute: value for attribute, value in made.items() if value is not MISSING}


def key_of(data: Any) -> bytes | None:
    """The key that the contract asks for, as far as the data says one; a cancelling command may have any."""
    if not isinstance(data, dict):
        return None
    if "command_source" in data:
        return b"any"
    key = data.get("import", data.get("segment", data.get("user_id")))
    return None if key is None else str(key).encode(errors="replace")


def judge(
    value: bytes | None,
    topic: Topic,
    key: bytes | None,
    headers: tuple[tuple[str, bytes], ...] = (),
    timestamp_ms: int = TIMESTAMP_MS,
) -> Command | Refusal:
    return decode(value, headers, key, topic, timestamp_ms, RECORD_BYTES_MAX)


def judged(name: CommandType, data: Any = MISSING, **attributes: Any) -> Command | Refusal:
    """What becomes of the command on its own topic with the right key."""
    made = event(name, data, **attributes)
    return judge(json.dumps(made).encode(), COMMANDS[name].topic, key_of(made.get("data")))


def accepted(name: CommandType, data: Any = MISSING, **attributes: Any) -> Command:
    command = judged(name, data, **attributes)
    assert isinstance(command, Command), command
    return command


def refused(name: CommandType, data: Any = MISSING, **attributes: Any) -> Refusal:
    refusal = judged(name, data, **attributes)
    assert isinstance(refusal, Refusal), refusal
    return refusal


def errors_of(refusal: Refusal) -> dict[str, str]:
    return {error["field"]: error["message"] for error in refusal.errors}
