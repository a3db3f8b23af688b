"""What is wrong with a record, in sentences for the person who sent it: pydantic's errors reworded, values cut."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails, ValidationError

from schemas import envelope, times, values
from schemas.rejections import FieldError
from schemas.values import shown

ERRORS_MAX = 100
"""So many errors a refusal lists; its message says how many more there are."""

_PATTERNS = {
    values.SEGMENT_PATTERN: "a segment's name: 1–255 of A–Z a–z 0–9 _ - . : starting with a letter or digit",
    times.TIMESTAMP_PATTERN: "a date and time with a zone (RFC 3339), such as 2025-01-31T10:00:00Z",
    values.ATTRIBUTE_PATTERN: "text without control characters",
    values.REPLYTO_PATTERN: "a Kafka topic's name: 1–249 of A–Z a–z 0–9 . _ -",
    envelope.JSON_MEDIA_TYPE_PATTERN: "a JSON media type such as application/json",
}

_SEGMENT_OR_ADDITION = 'a segment\'s name, or an object such as {"segment": "beta", "ttl": "P2M"}'


def _is(must_be: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"must be {must_be}, is {shown(error['input'])}"


def _literal(error: ErrorDetails) -> str:
    expected = error["ctx"]["expected"].replace("'", '"')
    return f"must be {expected}, is {shown(error['input'])}"


_NOT_TAKEN: Mapping[int | str, str] = {
    "data_base64": "is not taken; data must be JSON, in `data`",
    "effectiveat": "is not taken with this command: only segment commands, membership.change, user.forget and "
    "import.commit can take effect later",
}

_SENTENCES: Mapping[str, Callable[[ErrorDetails], str]] = {
    "wrong": lambda error: error["msg"],
    "missing": lambda error: "is missing",
    "extra_forbidden": lambda error: "is not a known field here",
    "model_type": _is("an object"),
    "tuple_type": _is("a list"),
    "string_type": _is("text"),
    "string_pattern_mismatch": lambda error: _is(_PATTERNS[error["ctx"]["pattern"]])(error),
    "string_too_short": lambda error: "must not be empty",
    "string_too_long": lambda error: (
        f"must be at most {error['ctx']['max_length']:,} characters long, has {len(error['input']):,}"
    ),
    "too_short": lambda error: "must not be empty",
    "too_long": lambda error: f"must have at most {error['ctx']['max_length']:,} items, has {len(error['input']):,}",
    "int_type": _is("a whole number"),
    "greater_than_equal": lambda error: f"must be at least {error['ctx']['ge']}, is {shown(error['input'])}",
    "less_than_equal": lambda error: f"must be at most {error['ctx']['le']}, is {shown(error['input'])}",
    "literal_error": _literal,
    "none_required": lambda error: _NOT_TAKEN[error["loc"][0]],
}
"""Pydantic's error types that the models can give. Another one is a defect, which the tests look for."""


def path(parts: Iterable[str | int]) -> str:
    """The path of a field, such as `data.add[0].ttl`; names are made printable and short."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{shown(part)[1:-1]}"
    return text.removeprefix(".")


def _is_other_branch(error: ErrorDetails, record: Mapping[str, Any]) -> bool:
    """An item of `add` is judged as a name and as an object; only one of both is what the sender meant."""
    loc = error["loc"]
    if loc[:2] != ("data", "add") or len(loc) < 4:
        return False
    return isinstance(record["data"]["add"][loc[2]], dict) != (loc[3] == "Addition")


def _reworded(error: ErrorDetails) -> FieldError:
    loc = error["loc"]
    if loc[:2] == ("data", "add") and len(loc) >= 4:
        loc = loc[:3] + loc[4:]
        if error["type"] == "string_type" and len(loc) == 3:
            return FieldError(path(loc), _is(_SEGMENT_OR_ADDITION)(error))
    return FieldError(path(loc), _SENTENCES[error["type"]](error))


def field_errors(found: ValidationError, record: Mapping[str, Any]) -> list[FieldError]:
    """The errors that pydantic found in a record, each with its field's path and a sentence."""
    errors = found.errors(include_url=False)
    return [_reworded(error) for error in errors if not _is_other_branch(error, record)]


def summary(errors: Sequence[FieldError]) -> str:
    """One sentence for all errors: the first of them, and how many there are besides."""
    field, message = errors[0]
    more = len(errors) - 1
    if not more:
        return f"{field} {message}."
    listed = f"; errors lists the first {ERRORS_MAX}" if more >= ERRORS_MAX else ""
    return f"{field} {message}; and {more:,} more {'error' if more == 1 else 'errors'}{listed}."
