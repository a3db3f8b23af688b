"""The rules of a command that span several of its fields, its time and its record key."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from schemas.commands import Addition, Change, MembershipChange
from schemas.imports import ImportBegin, Opening
from schemas.rejections import FieldError
from schemas.schedule_cancel import ScheduleCancel
from schemas.times import expiry, rfc3339
from schemas.topics import Topic
from schemas.values import SEGMENTS_PER_COMMAND_MAX, shown

_MEMBERSHIP_COMMANDS = Topic.MEMBERSHIP_COMMANDS
_SEGMENT_COMMANDS = Topic.SEGMENT_COMMANDS
_IMPORT_COMMANDS = Topic.IMPORT_COMMANDS


@dataclass(slots=True)
class Problems:
    """What is wrong with a change; `timely` says that another time would make all of it right."""

    errors: list[FieldError] = field(default_factory=list)
    timely: bool = True
    counted_from: str = "the command's time"
    """What the time is that durations are counted from."""

    def add(self, error: FieldError, *, timely: bool = False) -> None:
        """Note one more."""
        self.errors.append(error)
        self.timely = self.timely and timely


def resolve(change: MembershipChange, time: datetime, problems: Problems | None = None) -> Change | Problems:
    """The change with each expiry as an instant counted from `time`, in UTC, or what is wrong with it.

    `problems`, which are none yet, know what `time` is.
    """
    add, remove = change.add or (), change.remove or ()
    has_expiry = change.ttl is not None or change.expires_at is not None
    problems = problems or Problems()
    names = [item if isinstance(item, str) else item.segment for item in add]
    names.extend(remove)
    if not (len(names) <= SEGMENTS_PER_COMMAND_MAX and len(set(names)) == len(names) and len(add) > 0):
        for error in _structure_errors(change, names):
            problems.add(error)
    expires_at = _expiry(change, time, "data", problems) if has_expiry else None
    resolved = [
        (item, expires_at) if isinstance(item, str) else (item.segment, _own(item, expires_at, time, i, problems))
        for i, item in enumerate(add)
    ]
    return problems if problems.errors else Change(change.user_id, resolved, list(remove))


def resolve_opening(begin: ImportBegin, time: datetime) -> Opening | Problems:
    """The beginning of an import with its expiry as an instant counted from `time`, or what is wrong with it."""
    problems = Problems()
    if begin.mode == "remove":
        for name in ("ttl", "expires_at"):
            if getattr(begin, name) is not None:
                problems.add(FieldError(f"data.{name}", "must not stand with the mode remove"))
    expires_at = None if problems.errors else _expiry(begin, time, "data", problems)
    if problems.errors:
        return problems
    return Opening(begin.import_id, begin.segment, begin.mode, expires_at, begin.unknown_users == "register")


def _structure_errors(change: MembershipChange, names: list[str]) -> Iterator[FieldError]:
    added = len(change.add or ())
    if not names:
        yield FieldError("data", "must name a segment in add or in remove, names none")
    if len(names) > SEGMENTS_PER_COMMAND_MAX:
        limit = f"{SEGMENTS_PER_COMMAND_MAX:,}"
        yield FieldError("data", f"must name at most {limit} segments in add and remove together, names {len(names):,}")
    seen: dict[str, str] = {}
    for i, name in enumerate(names):
        place = f"data.add[{i}]" if i < added else f"data.remove[{i - added}]"
        if name in seen:
            yield FieldError(place, f"must be a segment that stands once, {shown(name)} stands in {seen[name]} too")
        seen.setdefault(name, place)
    for name in ("ttl", "expires_at"):
        if getattr(change, name) is not None and not added:
            yield FieldError(f"data.{name}", "must not stand without a segment in add")


def _expiry(
    source: MembershipChange | Addition | ImportBegin, time: datetime, at: str, problems: Problems
) -> datetime | None:
    """The expiry that stands at `at`, or None; what is wrong with it is noted."""
    if source.ttl is not None and source.expires_at is not None:
        problems.add(FieldError(f"{at}.expires_at", "must not stand beside a ttl"))
    elif source.ttl is not None:
        try:
            return expiry(source.ttl, time)
        except ValueError as error:
            problems.add(FieldError(f"{at}.ttl", str(error)), timely=True)
    elif source.expires_at is not None:
        if source.expires_at > time:
            return source.expires_at
        must_be = f"later than {problems.counted_from}, {rfc3339(time)}"
        message = f"must be {must_be}, is {rfc3339(source.expires_at)}"
        problems.add(FieldError(f"{at}.expires_at", message), timely=True)
    return None


def _own(item: Addition, common: datetime | None, time: datetime, index: int, problems: Problems) -> datetime | None:
    """The expiry of an addition: its own, else the command's."""
    if item.ttl is None and item.expires_at is None:
        return common
    return _expiry(item, time, f"data.add[{index}]", problems)


def key_error(topic: Topic, data: object, key: bytes | None) -> FieldError | None:
    """What is wrong with the record key: it keeps the order of what belongs together. `data` has the validated ids."""
    if isinstance(data, ScheduleCancel):
        return None if key else FieldError("key", "must be that of the command that it cancels, is missing")
    if topic is _MEMBERSHIP_COMMANDS:
        what, expected = "user id", getattr(data, "user_id", None)
    elif topic is _SEGMENT_COMMANDS:
        what, expected = "segment", getattr(data, "segment", None)
    elif topic is _IMPORT_COMMANDS:
        what, expected = "import's id", getattr(data, "import_id", None)
    else:
        return None
    if expected is None or key == expected.encode():
        return None
    return FieldError("key", f"must be the {what}, {shown(expected)}, is {_shown_key(key, expected)}")


def _shown_key(key: bytes | None, expected: str) -> str:
    """The key that came, and what has made it so, as far as that can be told."""
    if key is None:
        return "missing"
    text = shown(key.decode(errors="backslashreplace"))
    if key == f'"{expected}"'.encode():
        return "that in quotation marks: it must be plain text, not JSON (a string serializer, not a JSON one)"
    if key[:1] == b"\0" and key.strip(b'"').endswith(expected.encode()):
        return "that in a Schema Registry's frame: it must be plain text (a string serializer, not an Avro or JSON one)"
    return text
