"""The commands that bring a list of users for a segment, piece by piece."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field, JsonValue, create_model

from schemas.envelope import Data
from schemas.forms import TEXT, never
from schemas.times import Timestamp, Ttl
from schemas.values import COUNT_MAX, IMPORT_USERS_MAX, Segment, UserId

_REMOVE: dict[str, JsonValue] = {"type": "string", "const": "remove"}
ImportId = Annotated[UserId, Field(description="Names the import; of the same form as a user id.")]

if TYPE_CHECKING:

    class Named(Data):
        """What names an import; its field is `import`, which no attribute can be called in Python."""

        @property
        def import_id(self) -> str:
            """The import's id."""

else:

    class Named(create_model("Named", __base__=Data, **{"import": (ImportId, ...)})):
        """What names an import; its field is `import`, which no attribute can be called in Python."""

        @property
        def import_id(self) -> str:
            """The import's id."""
            return getattr(self, "import")


class ImportBegin(Named):
    """Opens a list of users for a segment."""

    model_config = never(
        {"ttl": TEXT, "expires_at": TEXT}, {"mode": _REMOVE, "ttl": TEXT}, {"mode": _REMOVE, "expires_at": TEXT}
    )

    segment: Segment
    mode: Literal["add", "remove", "replace"] = Field(
        description="`add` and `remove` do so with the users on the list; `replace` adds them, and removes everyone "
        "else who is a member by command."
    )
    ttl: Ttl | None = Field(default=None, description="For how long they are members; not with `remove`.")
    expires_at: Timestamp | None = Field(default=None, description="Until when; not with `remove`.")
    unknown_users: Literal["skip", "register"] | None = Field(
        default=None, description="What becomes of users whom nobody has registered; `skip` if absent."
    )


class ImportUsers(Named):
    """Adds users to a list; the same user twice counts once."""

    user_ids: Annotated[tuple[UserId, ...], Field(min_length=1, max_length=IMPORT_USERS_MAX)]


class ImportCommit(Named):
    """Closes a list and applies it."""

    users: int | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=COUNT_MAX,
        description="How many user ids were sent in all, repeats included; where it differs nothing is applied.",
    )


class ImportCancel(Named):
    """Drops a list; memberships that were already changed stay."""


class Opening(NamedTuple):
    """`import.begin` as it is applied: the expiry resolved to an instant in UTC, None for none."""

    import_id: str
    segment: str
    mode: str
    expires_at: datetime | None
    registers: bool
