"""The two small languages of the API: `q` selects files, `fields` parts of an answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.support.drive.errors import bad_request
from tests.support.drive.world import File, World

TOKEN = re.compile(r"\s*(?:'((?:[^'\\]|\\.)*)'|([A-Za-z]+)|(=)|$)")
Condition = Callable[[World, File], bool]


def condition(query: str) -> Condition:
    """Terms joined by `and`: a parent, a name, a type, whether it is in the trash. Drive knows more; this does not."""
    tokens = _tokens(query)
    terms: list[Condition] = []
    while True:
        terms.append(_term(tokens[:3]))
        if len(tokens) == 3:
            return lambda world, file: all(term(world, file) for term in terms)
        if tokens[3] != ("word", "and"):
            raise bad_request("Invalid Value", parameter="q")
        tokens = tokens[4:]


def _tokens(query: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(query.rstrip()):
        match = TOKEN.match(query, place)
        if match is None or match.end() == place:
            raise bad_request("Invalid Value", parameter="q")
        text, word, sign = match.groups()
        if text is not None:
            found.append(("text", re.sub(r"\\(.)", r"\1", text)))
        else:
            found.append(("word", word) if word else ("sign", sign))
        place = match.end()
    return found


def _term(tokens: list[tuple[str, str]]) -> Condition:
    match tokens:
        case [("text", parent), ("word", "in"), ("word", "parents")]:
            return lambda _, file: parent in file.parents
        case [("word", "name"), ("sign", "="), ("text", name)]:
            return lambda _, file: file.name == name
        case [("word", "mimeType"), ("sign", "="), ("text", mime_type)]:
            return lambda _, file: file.mime_type == mime_type
        case [("word", "trashed"), ("sign", "="), ("word", "true" | "false" as value)]:
            return lambda world, file: world.is_trashed(file) == (value == "true")
    raise bad_request("Invalid Value", parameter="q")


Tree = dict[str, "Tree"]


def selection(fields: str) -> Tree:
    """`a,b(c,d),e/f` as a tree."""
    tree, rest = _list(fields)
    if rest or not tree:
        raise bad_request(f"Invalid field selection {fields}", parameter="fields")
    return tree


def _list(text: str) -> tuple[Tree, str]:
    tree: Tree = {}
    while True:
        match = re.match(r"[A-Za-z0-9]+|\*", text)
        if match is None:
            raise bad_request(f"Invalid field selection {text}", parameter="fields")
        inner: Tree = {}
        text = text[match.end() :]
        if text.startswith("("):
            inner, text = _list(text[1:])
            if not text.startswith(")"):
                raise bad_request(f"Invalid field selection {text}", parameter="fields")
            text = text[1:]
        tree[match[0]] = inner
        if not text.startswith(","):
            return tree, text
        text = text[1:]


def selected(value: Any, tree: Tree, schema: str, schemas: dict[str, Any]) -> Any:
    """The parts of an answer that were asked for; Drive refuses to select what a resource can't have."""
    if isinstance(value, list):
        return [selected(item, tree, schema, schemas) for item in value]
    if not tree or "*" in tree:
        return value
    properties = schemas.get(schema, {}).get("properties", {})
    for name in tree:
        if properties and name not in properties:
            raise bad_request(f"Invalid field selection {name}", parameter="fields")
    parts = {name: value[name] for name in tree if name in value}
    return {name: selected(part, tree[name], _inner(properties.get(name, {})), schemas) for name, part in parts.items()}


def _inner(described: dict[str, Any]) -> str:
    return str(described.get("$ref") or described.get("items", {}).get("$ref") or "")
