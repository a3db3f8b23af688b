"""A statement is a file: none stands in a Python string, none is dead, and each says what it returns."""

from __future__ import annotations

import ast
import re
from collections import Counter

from tests.tidy.sources import ROOT, SQL, files, name, texts, tree

STATEMENT = re.compile(
    r"\s*(select\b|insert\s+into\b|update\s+\S+\s+set\b|delete\s+from\b|with\s+\w+\s+as\b|merge\s+into\b|copy\s+\w+"
    r"|(create|alter|drop|truncate|lock)\s+(table|index|database|type|view|function)\b|listen\s|notify\s|set\s+\w+\s*=)",
    re.IGNORECASE,
)
LOCK_OF_MIGRATIONS = "select pg_advisory_xact_lock(:key)"
STATEMENTS = sorted(path for path in SQL.glob("*/*.sql") if path.parent.name != "migrations")
SAID_BY = ("fetch", "row", "copy", "statement")


def test_no_statement_stands_in_python() -> None:
    found = [(name(path), text) for path in files("worker") for text in texts(path) if STATEMENT.match(text)]
    assert found == [("worker/postgres/migrations.py", LOCK_OF_MIGRATIONS)]


def test_the_readers_statements_are_files_and_used() -> None:
    """It has a store of its own, and the same order."""
    folder = ROOT / "schemas" / "reader" / "sql"
    assert [(name(path), text) for path in files("schemas") for text in texts(path) if STATEMENT.match(text)] == []
    used = {text for path in files("schemas") for text in _used(tree(path))}
    assert {path.stem for path in folder.glob("*.sql")} == used
    first = {path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in folder.glob("*.sql")}
    assert {file: line for file, line in first.items() if not re.match(r"-- returns \S", line)} == {}


def test_every_statement_lies_in_the_folder_of_a_room() -> None:
    """Where `statement` finds it, and whoever looks for it: rooms without a folder of code have one of SQL too."""
    rooms = {path.stem for path in (ROOT / "worker").iterdir()} - {"sql"}
    assert sorted(path.name for path in SQL.glob("*.sql")) == []
    assert {path.parent.name for path in STATEMENTS} - rooms == set()


def test_no_two_rooms_have_a_statement_of_one_name() -> None:
    assert [stem for stem, count in Counter(path.stem for path in STATEMENTS).items() if count > 1] == []


def test_every_statement_is_used_and_there() -> None:
    """Used is what a session is told to run; a name that stands as text elsewhere is no use."""
    used = {text for path in files("worker") for text in _used(tree(path))}
    assert len(used) > 20
    assert {path.stem for path in STATEMENTS} - used == set()
    assert used - {path.stem for path in STATEMENTS} == set()


def test_the_first_line_says_what_comes_back() -> None:
    first = {path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in STATEMENTS}
    assert len(first) > 20
    assert {file: line for file, line in first.items() if not re.match(r"-- returns \S", line)} == {}


def test_a_file_holds_one_statement() -> None:
    """asyncpg prepares one; what follows a semicolon would be refused at run time only."""
    bodies = {path.name: re.sub(r"--.*", "", path.read_text(encoding="utf-8")) for path in STATEMENTS}
    assert [file for file, body in bodies.items() if ";" in body] == []


def test_every_migration_is_run_by_its_revision() -> None:
    folder = SQL / "migrations"
    scripts = sorted(path.name for path in folder.glob("*.sql"))
    run = sorted(text for path in files("worker/sql/migrations") for text in texts(path) if text.endswith(".sql"))
    assert scripts
    assert run == scripts


def test_the_migrations_are_one_chain() -> None:
    """Each revision has the number of its file and follows the one before: two of one number would apply by chance."""
    chain = []
    for path in files("worker/sql/migrations/versions"):
        named = {
            node.targets[0].id: node.value.value
            for node in tree(path).body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        chain.append((path.name[:4], named["revision"], named["down_revision"]))
    numbers = [f"{number:04}" for number in range(1, len(chain) + 1)]
    assert chain == list(zip(numbers, numbers, [None, *numbers[:-1]], strict=True))


def test_statements_are_packed() -> None:
    packed = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"sql/**/*.sql"' in packed
    assert '"reader/sql/*.sql"' in packed


def _used(module: ast.Module) -> set[str]:
    """What `.fetch(…)`, `.row(…)`, `.copy(…)` and `statement(…)` are given first, as far as it stands there as text."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and node.args and _called(node) in SAID_BY:
            given = node.args[0]
            choices = [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]
            found |= {item.value for item in choices if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    return found


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Attribute(attr=called) | ast.Name(id=called):
            return called
    return ""
