"""Commands that take effect later: how far ahead, and how they are kept until then."""

from datetime import UTC, datetime

from schemas.binding import parse
from schemas.commands import COMMANDS, Change, CommandType, MembershipChange, Payload
from schemas.encode import encode_data
from schemas.envelope import Data
from schemas.rejections import FieldError
from schemas.resolve import Problems, resolve
from schemas.times import expiry, rfc3339

AHEAD_MAX = "P2Y"
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


def too_far(effective_at: datetime, now: datetime) -> FieldError | None:
    """What is wrong with an instant that is too far ahead of the record's own."""
    latest = expiry(AHEAD_MAX, now)
    if effective_at <= latest:
        return None
    said = f"must be at most 2 years ahead, not after {rfc3339(latest)}, is {rfc3339(effective_at)}"
    return FieldError("effectiveat", said)


def kept(data: Payload) -> bytes:
    """The data of a command as JSON, in the contract's form, with each ttl as the instant that it came to."""
    if isinstance(data, Change):
        add = [{"segment": name, "expires_at": at} if at else name for name, at in data.add]
        return encode_data({"user_id": data.user_id, "add": add, "remove": data.remove})
    assert isinstance(data, Data), "import.begin can't be scheduled"
    return encode_data(data.model_dump(exclude_none=True))


def restored(name: CommandType, text: str) -> Payload:
    """The data of a command that was kept. Raises ValueError where this version takes it for none."""
    model = COMMANDS[name].data.model_validate(parse(text.encode()))
    if not isinstance(model, MembershipChange):
        return model  # type: ignore[return-value] # all others are their own payload
    change = resolve(model, _BEGINNING)
    if isinstance(change, Problems):
        raise ValueError("; ".join(f"{error.field} {error.message}" for error in change.errors))  # noqa: TRY004
    return change


def subject(data: Payload) -> dict[str, str]:
    """What a command that can be scheduled is about, as its events have it: the segment, the user or the import."""
    for field, name in (("user_id", "user_id"), ("segment", "segment"), ("import_id", "import")):
        found = getattr(data, field, None)
        if found is not None:
            return {name: found}
    raise TypeError(f"a {type(data).__name__} is about nothing that it could be kept under")
