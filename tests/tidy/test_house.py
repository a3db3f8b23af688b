"""ARCHITECTURE.md draws the house as it is: the same rooms, in the order of the import contract."""

from __future__ import annotations

import ast
import re
import tomllib

from tests.tidy.sources import ROOT, tree

WORKER = ROOT / "worker"
NO_ROOMS = {"__init__", "__main__", "py", "sql"}


def floors() -> list[set[str]]:
    """The rooms of the import contract, from the door down."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (plan,) = [one for one in contracts if one["type"] == "layers" and "containers" not in one]
    return [{room.strip().removeprefix("worker.") for room in layer.split("|")} for layer in plan["layers"]]


def test_every_room_has_its_place_in_the_contract() -> None:
    rooms = {
        path.stem for path in WORKER.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    } - NO_ROOMS
    assert set.union(*floors()) - {"__main__"} == rooms


def test_the_table_of_rooms_is_the_contract() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("| room | holds |")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    drawn = [floor for floor in floors() if floor != {"__main__"}]
    assert sorted(room for row in rows for room in row) == sorted(set.union(*drawn))
    level = {room: number for number, floor in enumerate(drawn) for room in floor}
    levels = [level[room] for row in rows for room in row]
    assert levels == sorted(levels)


def test_the_picture_of_rooms_is_the_code() -> None:
    """Whatever a room imports, it reaches by the arrows, and nothing else."""
    drawn: dict[str, set[str]] = {}
    for begins, ends in re.findall(r"^    ([\w &]+) --> ([\w &]+)$", text_of_the_picture(), re.MULTILINE):
        for room in begins.split(" & "):
            drawn.setdefault(room, set()).update(ends.split(" & "))
    imported = imports()
    assert {room: reached(drawn, room) for room in imported} == {room: reached(imported, room) for room in imported}


def text_of_the_picture() -> str:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return text.partition("flowchart TB\n")[2].partition("```")[0]


def imports() -> dict[str, set[str]]:
    """What each room imports: other rooms, and `schemas`."""
    found: dict[str, set[str]] = {room: set() for room in set.union(*floors()) - {"__main__"}}
    for path in WORKER.rglob("*.py"):
        room = path.relative_to(WORKER).parts[0].removesuffix(".py")
        for node in ast.walk(tree(path)) if room in found else ():
            if isinstance(node, ast.ImportFrom) and node.module:
                package, _, rest = node.module.partition(".")
                names = {rest.partition(".")[0]} if rest else {alias.name for alias in node.names}
                found[room] |= {"schemas"} if package == "schemas" else names if package == "worker" else set()
    return {room: others - {room} for room, others in found.items()}


def reached(arrows: dict[str, set[str]], room: str) -> set[str]:
    """All that can be reached from the room; the house has no circle."""
    return set().union(*({other} | reached(arrows, other) for other in arrows.get(room, ())))


def test_a_room_says_in_a_sentence_what_it_is() -> None:
    packages = [path for path in WORKER.rglob("__init__.py") if path.parent != WORKER]
    said = {str(path.relative_to(ROOT)): getattr(tree(path).body[0], "value", None) for path in packages}
    assert len(said) > 10
    assert [place for place, docstring in said.items() if docstring is None] == []


def test_tests_have_the_rooms_of_the_house() -> None:
    rooms = set.union(*floors()) | {"schemas", "sql"}
    folders = [path.parent for path in (ROOT / "tests").glob("*/*/__init__.py")]
    assert [
        str(path) for path in folders if path.parent.name in ("unit", "integration") and path.name not in rooms
    ] == []
