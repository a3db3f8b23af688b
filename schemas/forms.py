"""What the fields of one object together must not be, said in JSON Schema."""

from pydantic import ConfigDict, JsonValue

TEXT: JsonValue = {"type": "string"}
NULL: JsonValue = {"type": "null"}
EMPTY: JsonValue = {"type": ["array", "null"], "maxItems": 0}


def never(*wrong: dict[str, JsonValue]) -> ConfigDict:
    """What the fields together must not be, each given as their schemas; one that is given as text must be there.

    Said by `not` alone, since generators of models make a union of `anyOf`; and with each type, since compilers in
    strict mode want it beside what it is said of.
    """
    listed: list[JsonValue] = [
        {"type": "object", "required": [name for name in fields if fields[name] is TEXT], "properties": fields}
        for fields in wrong
    ]
    return ConfigDict(json_schema_extra={"not": listed[0] if len(listed) == 1 else {"anyOf": listed}})
