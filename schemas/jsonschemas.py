"""The JSON Schemas (draft 2020-12) of commands and events, made from their models."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from schemas.commands import COMMANDS, CommandSpec
from schemas.events import EVENTS, EventSpec
from schemas.state import SPEC as STATE_SPEC
from schemas.state import STATE

DIALECT = "https://json-schema.org/draft/2020-12/schema"

SPECS: dict[str, CommandSpec | EventSpec] = {name: spec for specs in (COMMANDS, EVENTS) for name, spec in specs.items()}
"""Every command and event by its name."""

INEXPRESSIBLE = (
    "A user id holds no white space, no noncharacter, and no character of the Unicode categories Cc, Cf, Cs, Co, Zs, "
    "Zl and Zp, as of Unicode 16, whatever Unicode a worker's Python knows; characters that were assigned since are "
    "taken. As an integer it has at most 128 characters and is written without fraction and exponent, like every whole "
    "number here.",
    "A percent has at most two decimals, judged on the digits as they were written.",
    "A date and time must exist in the calendar (`format` asserts it only where a validator is told to).",
    "A ttl is positive and at most 100 years; counted from the command's time it ends before the year 10000.",
    "An `expires_at` is later than the command's time, and than its `effectiveat`.",
    "An `effectiveat` is at most 2 years after the record's timestamp.",
    "No segment stands twice over `add` and `remove`, as a name or within an object, and both together have at most "
    "1,000.",
    "No text holds U+0000 or half of a surrogate pair.",
    "The record key is the command's segment, user id or import; of `schedule.cancel` it is that of the command "
    "that it cancels.",
)
"""What a valid command must meet besides its JSON Schema."""


class Generator(GenerateJsonSchema):
    """Without titles made from names, and without defaults of null, which most fields do not take."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if "default" in made and made["default"] is None:
            del made["default"]
        return made


def definitions(ref_template: str) -> dict[str, Any]:
    """The schemas of all records and of what they are made of, by their models' names."""
    _, made = models_json_schema(
        [*((spec.record, "validation") for spec in SPECS.values()), (STATE_SPEC.data, "validation")],
        ref_template=ref_template,
        schema_generator=Generator,
    )
    described: dict[str, Any] = made["$defs"]
    for spec in SPECS.values():
        described[spec.record.__name__]["description"] = (spec.data.__doc__ or "").strip()
    return dict(sorted(described.items()))


def json_schema(name: str) -> dict[str, Any]:
    """The schema of the whole CloudEvent, with its data, of the command or event of that name."""
    spec = SPECS[name]
    schema = spec.record.model_json_schema(schema_generator=Generator)
    schema["description"] = (spec.data.__doc__ or "").strip()
    return _named(name, schema)


def state_schema() -> dict[str, Any]:
    """The schema of the value of a user's state, which is no whole CloudEvent: its attributes are headers."""
    return _named(STATE, STATE_SPEC.data.model_json_schema(schema_generator=Generator))


def _named(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": f"urn:segmentation:schema:{name}:v1", **schema}
