"""What others generate from the JSON Schemas: models that write null for what is absent, and strict compilers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas import jsonschemas
from schemas.commands import COMMANDS, CommandType
from schemas.decode import Command
from schemas.events import EVENTS
from schemas.rejections import RejectionCode
from tests.unit.schemas.records import GOOD, event, judge, key_of

TYPED = {
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
    "array": {"items", "minItems", "maxItems", "uniqueItems", "prefixItems", "contains"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
"""The keywords that say nothing of a value of another type; compilers in strict mode want the type beside them."""


def full(schema: dict[str, Any], root: dict[str, Any], known: Any) -> Any:
    """The value with null for each field that it leaves out, as a generated model writes it."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", ()):
        if "$ref" in choice and isinstance(known, dict):
            return full(choice, root, known)
        if choice.get("type") == "array" and isinstance(known, list):
            return full(choice, root, known)
    if isinstance(known, list) and "items" in schema:
        return [full(schema["items"], root, item) for item in known]
    if isinstance(known, dict) and "properties" in schema:
        return {name: full(field, root, known.get(name)) for name, field in schema["properties"].items()}
    return known


@pytest.mark.parametrize("name", [*COMMANDS])
def test_null_for_all_that_is_absent(name: CommandType) -> None:
    schema = jsonschemas.json_schema(name)
    needed = {field for field, spec in COMMANDS[name].data.model_fields.items() if spec.is_required()}
    least = {field: value for field, value in GOOD[name].items() if field in needed | {"percent", "add"}}
    if "add" in least:
        least["add"] = [{"segment": "a"}, "b"]
    made = full(schema, schema, event(name, least))
    assert made.keys() == COMMANDS[name].record.model_fields.keys()
    assert made["data"].keys() == COMMANDS[name].data.model_fields.keys()
    Draft202012Validator(schema).validate(made)
    command = judge(json.dumps(made).encode(), COMMANDS[name].topic, key_of(least))
    plain = judge(json.dumps(event(name, least)).encode(), COMMANDS[name].topic, key_of(least))
    assert isinstance(command, Command), command
    assert isinstance(plain, Command)
    assert command.content == plain.content


def untyped(schema: Any, given: frozenset[str] = frozenset()) -> Iterator[str]:
    """The keywords without their type beside them, in a schema and in what it says of the same value or its parts."""
    if not isinstance(schema, dict):
        return
    types = schema.get("type", [])
    here = frozenset([types] if isinstance(types, str) else types) or given
    here |= {"number"} if "integer" in here else set()
    for kind, keywords in TYPED.items():
        yield from (f"{keyword} in {schema}" for keyword in keywords & schema.keys() if kind not in here)
    for keyword in ("not", "if", "then", "else"):
        yield from untyped(schema.get(keyword), here)
    for keyword in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(keyword, ()):
            yield from untyped(one, here)
    for part in (*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), schema.get("items")):
        yield from untyped(part)


def undefined(schema: Any, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """The required fields that no schema around them describes."""
    if not isinstance(schema, dict):
        return
    known |= schema.get("properties", {}).keys()
    yield from (name for name in schema.get("required", ()) if name not in known)
    for keyword in ("not", "if", "then", "else"):
        yield from undefined(schema.get(keyword), known)
    for keyword in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(keyword, ()):
            yield from undefined(one, known)
    for part in (*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), schema.get("items")):
        yield from undefined(part)


@pytest.mark.parametrize("name", [*jsonschemas.SPECS])
def test_a_strict_compiler_takes_it(name: str) -> None:
    schema = jsonschemas.json_schema(name)
    assert [*untyped(schema)] == []
    assert [*undefined(schema)] == []


def test_the_walk_finds_what_strict_compilers_find() -> None:
    loose = {"type": "object", "anyOf": [{"required": ["a"], "properties": {"b": {"minItems": 1}}}]}
    assert len([*untyped(loose)]) == 1
    assert [*undefined(loose)] == ["a"]


@pytest.mark.parametrize("name", [*EVENTS])
def test_what_grows_is_open(name: str) -> None:
    """A code or a reason that a subscriber's generated model does not know must not break it."""
    schema = jsonschemas.json_schema(name)
    assert "enum" not in json.dumps(schema)


def test_the_known_codes_are_listed() -> None:
    code = jsonschemas.json_schema("command.rejected")["$defs"]["CommandRejected"]["properties"]["code"]
    assert code["type"] == "string"
    assert code["examples"] == [*RejectionCode]
    assert all(f"`{known}`" in code["description"] for known in RejectionCode)


@pytest.mark.parametrize("name", [*jsonschemas.SPECS])
def test_every_field_has_a_type(name: str) -> None:
    schema = jsonschemas.json_schema(name)
    for part in (schema, *schema["$defs"].values()):
        for field in part.get("properties", {}).values():
            assert field.keys() & {"type", "anyOf", "$ref", "const"}, field
