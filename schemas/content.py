"""What a command says, as a number: so that a retry can be told from another command under the same name.

It stands for the type and the data as they are meant, not as they were written: the order of fields, null for what is
absent, an integer for a user id's text, `12.50` for `12.5`, `PT24H` for `P1D`, another zone for the same instant, and
an expiry for all of `add` instead of one for each make no difference. `time` and the other attributes are left out:
a producer that makes the CloudEvent anew for a retry sets another time. But `effectiveat` is meant: the same at another
instant is another command.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Any

import isodate
import orjson

from schemas.commands import COMMANDS, Addition, CommandType, MembershipChange
from schemas.envelope import Data
from schemas.times import duration

_FIELDS = {spec.data: tuple(spec.data.model_fields) for spec in COMMANDS.values()}
_SIGNED = Struct(">q")
_Expiry = datetime | list[int] | None


def content_of(name: CommandType, data: Data, effective_at: datetime | None = None) -> int:
    """64 bits of a hash of the command's type and data, and of when it is to take effect if it says so; signed."""
    said: Any
    if isinstance(data, MembershipChange):
        said = (data.user_id, _additions(data), data.remove or ())
    else:
        said = [_plain(getattr(data, field)) for field in _FIELDS[type(data)]]
    return _hashed((name, said) if effective_at is None else (name, said, effective_at))


def content_of_names(user_id: str, add: Sequence[str], remove: Sequence[str]) -> int:
    """The same of a `membership.change` that names segments and no expiry, and takes effect at once."""
    return _hashed(("membership.change", (user_id, add, remove)))


def _hashed(said: object) -> int:
    (number,) = _SIGNED.unpack(blake2b(orjson.dumps(said, str), digest_size=_SIGNED.size).digest())
    return number  # type: ignore[no-any-return] # struct gives what its format says


def _additions(change: MembershipChange) -> Any:
    """Each segment with the expiry that it gets; names alone where there is none."""
    add, common = change.add or (), _expiry(change)
    if common is None and len(names := [item for item in add if type(item) is str]) == len(add):
        return names
    expiries = [(item, common) if isinstance(item, str) else (item.segment, _expiry(item) or common) for item in add]
    return expiries if any(expiry for _, expiry in expiries) else [segment for segment, _ in expiries]


def _expiry(source: MembershipChange | Addition) -> _Expiry:
    return source.expires_at if source.ttl is None else _ttl(source.ttl)


@lru_cache(maxsize=4_096)
def _ttl(text: str) -> list[int]:
    """Months and microseconds: these two can't be converted into each other, all else can."""
    found = duration(text)
    assert not isinstance(found, str), "the model has checked it"
    if isinstance(found, isodate.Duration):
        return [int(found.years * 12 + found.months), found.tdelta // timedelta(microseconds=1)]
    return [0, found // timedelta(microseconds=1)]


def _plain(value: object) -> object:
    """An absent value and its default are the same."""
    return None if value in ("release", "skip", ()) else value
