"""The rules of a command that span several of its fields, its time and its record key."""

from collections.abc import Iterator
from datetime import datetime

from schemas.commands import Addition, Change, MembershipChange
from schemas.rejections import FieldError
from schemas.times import expiry
from schemas.topics import Topic
from schemas.values import SEGMENTS_PER_COMMAND_MAX, shown

_MEMBERSHIP_COMMANDS = Topic.MEMBERSHIP_COMMANDS
_SEGMENT_COMMANDS = Topic.SEGMENT_COMMANDS


def resolve(change: MembershipChange, time: datetime) -> Change | list[FieldError]:
    """The change with each expiry as an instant counted from `time`, in UTC, or what is wrong with it."""
    add, remove = change.add, change.remove
    count = len(add) + len(remove)
    has_expiry = change.ttl is not None or change.expires_at is not None
    if 0 < count <= SEGMENTS_PER_COMMAND_MAX and not has_expiry:  # the common command: names, and no more
        plain: list[tuple[str, datetime | None]] = [(item, None) for item in add if type(item) is str]
        if len(plain) == len(add) and (count == 1 or len({*add, *remove}) == count):
            return Change(change.user_id, plain, list(remove))
    return _resolve_each(change, time, has_expiry=has_expiry)


def _resolve_each(change: MembershipChange, time: datetime, *, has_expiry: bool) -> Change | list[FieldError]:
    names = [item if isinstance(item, str) else item.segment for item in change.add]
    names.extend(change.remove)
    is_sound = len(names) <= SEGMENTS_PER_COMMAND_MAX and len(set(names)) == len(names) and len(change.add) > 0
    errors = [] if is_sound else [*_structure_errors(change, names)]
    expires_at = _expiry(change, time, "data", errors) if has_expiry else None
    add = [
        (item, expires_at) if isinstance(item, str) else (item.segment, _own(item, expires_at, time, i, errors))
        for i, item in enumerate(change.add)
    ]
    return errors or Change(change.user_id, add, list(change.remove))


def _structure_errors(change: MembershipChange, names: list[str]) -> Iterator[FieldError]:
    if not names:
        yield FieldError("data", "must name a segment in add or in remove, names none")
    if len(names) > SEGMENTS_PER_COMMAND_MAX:
        limit = f"{SEGMENTS_PER_COMMAND_MAX:,}"
        yield FieldError("data", f"must name at most {limit} segments in add and remove together, names {len(names):,}")
    seen: dict[str, str] = {}
    for i, name in enumerate(names):
        place = f"data.add[{i}]" if i < len(change.add) else f"data.remove[{i - len(change.add)}]"
        if name in seen:
            yield FieldError(place, f"must be a segment that stands once, {shown(name)} stands in {seen[name]} too")
        seen.setdefault(name, place)
    for field in ("ttl", "expires_at"):
        if getattr(change, field) is not None and not change.add:
            yield FieldError(f"data.{field}", "must not stand without a segment in add")


def _expiry(source: MembershipChange | Addition, time: datetime, at: str, errors: list[FieldError]) -> datetime | None:
    """The expiry that stands at `at`, or None; what is wrong with it goes to `errors`."""
    if source.ttl is not None and source.expires_at is not None:
        errors.append(FieldError(f"{at}.expires_at", "must not stand beside a ttl"))
    elif source.ttl is not None:
        try:
            return expiry(source.ttl, time)
        except ValueError as error:
            errors.append(FieldError(f"{at}.ttl", str(error)))
    elif source.expires_at is not None:
        if source.expires_at > time:
            return source.expires_at
        must_be = f"later than the command's time, {_rfc3339(time)}"
        errors.append(FieldError(f"{at}.expires_at", f"must be {must_be}, is {_rfc3339(source.expires_at)}"))
    return None


def _rfc3339(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _own(
    item: Addition, common: datetime | None, time: datetime, index: int, errors: list[FieldError]
) -> datetime | None:
    """The expiry of an addition: its own, else the command's."""
    if item.ttl is None and item.expires_at is None:
        return common
    return _expiry(item, time, f"data.add[{index}]", errors)


def key_error(topic: Topic, data: object, key: bytes | None) -> FieldError | None:
    """What is wrong with the record key: it keeps the order of what belongs together. `data` has the validated ids."""
    if topic is _MEMBERSHIP_COMMANDS:
        what, expected = "user id", getattr(data, "user_id", None)
    elif topic is _SEGMENT_COMMANDS:
        what, expected = "segment", getattr(data, "segment", None)
    else:
        return None
    if expected is None or key == expected.encode():
        return None
    found = "missing" if key is None else shown(key.decode(errors="backslashreplace"))
    return FieldError("key", f"must be the {what}, {shown(expected)}, is {found}")
