"""The contract's values as types: segment, user id, percent and the CloudEvents attributes' texts.

Each type says in its own words what is wrong, in the form "must be …, is …"; `schemas.sentences` words the rest.
"""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

USER_ID_CHARACTERS_MAX = 128
SEGMENT_CHARACTERS_MAX = 255
ID_CHARACTERS_MAX = 128
SOURCE_CHARACTERS_MAX = 255
CORRELATIONID_CHARACTERS_MAX = 255
DESCRIPTION_CHARACTERS_MAX = 4_096
OWNER_CHARACTERS_MAX = 255
TAG_CHARACTERS_MAX = 255
TAGS_MAX = 64
SEGMENTS_PER_COMMAND_MAX = 1_000
IMPORT_USERS_MAX = 5_000
COUNT_MAX = 2**53 - 1
"""The largest count; all programs that read JSON have integers up to here."""
RECORD_KEY_BYTES_MAX = 1_024
SHOWN_CHARACTERS_MAX = 60

# The patterns stand in the JSON Schemas too, so they keep to what ECMA-262, Python, Rust and RE2 have in common.
SEGMENT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,254}$"
ATTRIBUTE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"
TRACEPARENT_PATTERN = r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
REPLYTO_PATTERN = r"^[A-Za-z0-9._-]{1,249}$"

_TRACEPARENT = re.compile(TRACEPARENT_PATTERN[1:-1])
_HUNDREDTH = Decimal("0.01")


def shown(value: object) -> str:  # noqa: PLR0911
    """The value for a message: one printable line of at most SHOWN_CHARACTERS_MAX characters."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            text = (
                f"{value:f}"
                if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 400
                else str(value)
            )
            return text if len(text) <= SHOWN_CHARACTERS_MAX else f"a number of {len(text)} characters"
        case str():
            cut = value if len(value) <= SHOWN_CHARACTERS_MAX else value[:SHOWN_CHARACTERS_MAX] + "…"
            return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in cut) + '"'
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case _:
            return f"a {type(value).__name__}"


def wrong(must_be: str, value: object) -> PydanticCustomError:
    """The error "must be …, is …" about a value."""
    return PydanticCustomError("wrong", "{sentence}", {"sentence": f"must be {must_be}, is {shown(value)}"})


# --- user id -------------------------------------------------------------------------------------------------------

_USER_ID = f"text of 1–{USER_ID_CHARACTERS_MAX} printable characters without white space, or an integer"
_HIDDEN = (
    r"\x00-\x20\x7f-\xa0"  # controls (Cc) and the ASCII and no-break spaces
    r"\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # separators (Zs, Zl, Zp)
    r"\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064"
    r"\u2066-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"  # format characters (Cf), as of Unicode 16
    r"\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff"  # surrogates (Cs) and private use (Co)
    "\\ufdd0-\\ufdef" + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(15))  # noncharacters
)
"""What a user id must not hold, as a class of a regular expression. It is written down, since Python's own tables
grow with its version: two workers of different versions would disagree about newer characters."""
_hidden = re.compile(f"[{_HIDDEN}]").search


def user_id(value: object) -> str:
    """The user id as text; an integer becomes its decimal text. Booleans and fractions are refused."""
    if type(value) is int:
        value = str(value)
    if type(value) is str and 0 < len(value) <= USER_ID_CHARACTERS_MAX:
        if value.isascii():  # the frequent case, without the class of all that is hidden
            if value.isprintable() and " " not in value:
                return value
        elif _hidden(value) is None:
            return value
    raise wrong(_USER_ID, value)


UserId = Annotated[
    str,
    PlainValidator(user_id),
    WithJsonSchema(
        {
            "title": "User id",
            "description": "No white space, controls, format characters, surrogates, private use or noncharacters; "
            "compared code point by code point, not normalised. An integer is taken as its decimal text.",
            "anyOf": [
                {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": USER_ID_CHARACTERS_MAX,
                    "pattern": r"^[^\s\x00-\x1f\x7f-\x9f]+$",
                },
                {"type": "integer"},
            ],
        }
    ),
]

# --- texts ---------------------------------------------------------------------------------------------------------

Segment = Annotated[str, StringConstraints(strict=True, pattern=SEGMENT_PATTERN), Field(title="Segment's name")]


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("wrong", "must not hold the character U+0000")
    return text


def _limited(characters_max: int, characters_min: int = 0) -> Any:
    return StringConstraints(strict=True, min_length=characters_min, max_length=characters_max)


Description = Annotated[str, _limited(DESCRIPTION_CHARACTERS_MAX), AfterValidator(_without_nul)]
Owner = Annotated[str, _limited(OWNER_CHARACTERS_MAX), AfterValidator(_without_nul)]
Tag = Annotated[str, _limited(TAG_CHARACTERS_MAX, 1), AfterValidator(_without_nul)]


def _distinct(tags: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((tag for i, tag in enumerate(tags) if tag in tags[:i]), None)
    if twice is not None:
        sentence = f"must hold no tag twice, holds {shown(twice)} twice"
        raise PydanticCustomError("wrong", "{sentence}", {"sentence": sentence})
    return tags


Tags = Annotated[
    tuple[Tag, ...],
    Field(max_length=TAGS_MAX, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_distinct),
]


# --- percent -------------------------------------------------------------------------------------------------------


def percent(value: object) -> Decimal:
    """The percent, exact, with two decimals, of an int, a Decimal or a float (by its shortest text)."""
    must_be = "a number from 0 to 100 with at most two decimals"
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise wrong(must_be, value)
    exact = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if not (exact.is_finite() and 0 <= exact <= 100):
        raise wrong(must_be, value)
    rounded = abs(exact.quantize(_HUNDREDTH))
    if rounded != exact:
        raise wrong(must_be, value)
    return rounded


Percent = Annotated[
    Decimal,
    PlainValidator(percent),
    WithJsonSchema(
        {"title": "Percent", "description": "At most two decimals.", "type": "number", "minimum": 0, "maximum": 100}
    ),
]

# --- CloudEvents attributes ------------------------------------------------------------------------------------------


def _attribute(characters_max: int) -> Any:
    return StringConstraints(strict=True, min_length=1, max_length=characters_max, pattern=ATTRIBUTE_PATTERN)


EventId = Annotated[str, _attribute(ID_CHARACTERS_MAX)]
EventSource = Annotated[str, _attribute(SOURCE_CHARACTERS_MAX)]
CorrelationId = Annotated[str, _attribute(CORRELATIONID_CHARACTERS_MAX)]


def _reply_topic(name: str) -> str:
    if name in (".", "..") or name.startswith("__"):
        raise wrong("a Kafka topic's name, and none of Kafka's own", name)
    return name


ReplyTo = Annotated[
    str,
    StringConstraints(strict=True, pattern=REPLYTO_PATTERN),
    AfterValidator(_reply_topic),
    Field(title="Topic's name", json_schema_extra={"not": {"pattern": r"^(?:\.{1,2}$|__)"}}),
]


def traceparent(value: object) -> str | None:
    """The W3C trace context; what is not of that form counts as absent, as usual in tracing, and is never an error."""
    if not isinstance(value, str) or not _TRACEPARENT.fullmatch(value):
        return None
    nothing = value.startswith("ff") or value[3:35] == "0" * 32 or value[36:52] == "0" * 16
    return None if nothing else value


TraceParent = Annotated[
    str | None,
    PlainValidator(traceparent),
    WithJsonSchema({"anyOf": [{"title": "W3C trace context", "type": "string"}, {"type": "null"}]}),
]
