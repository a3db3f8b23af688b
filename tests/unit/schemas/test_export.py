"""What is generated under `docs/`: fresh, sound and complete."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas import asyncapi, export, jsonschemas, reference
from schemas.commands import COMMANDS
from schemas.envelope import qualified
from schemas.events import EVENTS
from schemas.rejections import RejectionCode
from schemas.state import SPEC as STATE_SPEC
from schemas.state import STATE
from schemas.topics import Topic

ROOT = Path(__file__).parents[3]


def test_the_files_in_the_repository_are_fresh() -> None:
    assert [*export.stale(ROOT / "docs")] == []


def test_writing_and_checking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main(["--check", "--directory", str(tmp_path)]) == 1
    assert export.main(["--directory", str(tmp_path)]) == 0
    assert export.main(["--check", "--directory", str(tmp_path)]) == 0
    (tmp_path / "schemas" / "user.register.json").write_text("{}")
    (tmp_path / "schemas" / "gone.json").write_text("{}")
    (tmp_path / "asyncapi.json").unlink()
    capsys.readouterr()
    assert export.main(["--check", "--directory", str(tmp_path)]) == 1
    told = capsys.readouterr().err.splitlines()
    stale = {line.removeprefix(f"stale: {tmp_path}/").partition(";")[0] for line in told}
    assert stale == {"schemas/user.register.json", "schemas/gone.json", "asyncapi.json"}
    assert export.main(["--directory", str(tmp_path)]) == 0
    assert [*export.stale(tmp_path)] == []


def test_the_command_line() -> None:
    command = [sys.executable, "-m", "schemas.export", "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 0
    assert subprocess.run([*command, "--what"], cwd=ROOT, check=False, capture_output=True).returncode == 2


def test_another_process_generates_the_same() -> None:
    code = "import json; from schemas import export; print(json.dumps(export.generated()))"
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed}
        made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, env=environment)
        assert json.loads(made.stdout) == export.generated()


@pytest.mark.parametrize("name", [*jsonschemas.SPECS])
def test_a_schema_is_a_schema(name: str) -> None:
    schema = jsonschemas.json_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschemas.DIALECT
    assert schema["properties"]["type"]["const"] == qualified(name)
    assert schema["properties"]["data"] == {"$ref": f"#/$defs/{jsonschemas.SPECS[name].data.__name__}"}


def test_the_schema_of_a_state() -> None:
    """Of the value alone, as its attributes are headers."""
    schema = jsonschemas.state_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschemas.DIALECT
    assert set(schema["properties"]) == set(STATE_SPEC.data.model_fields)


def nodes(node: Any) -> Iterator[Any]:
    yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(inner)


def test_patterns_are_portable() -> None:
    for node in nodes([jsonschemas.json_schema(name) for name in jsonschemas.SPECS]):
        if isinstance(node, dict) and isinstance(pattern := node.get("pattern"), str):
            assert not re.search(r"\(\?[^:]|\\[upPzAZ]", pattern), pattern


def test_asyncapi_has_every_topic_and_every_message() -> None:
    document = asyncapi.document()
    assert set(document["channels"]) == {topic.value for topic in Topic}
    assert set(document["components"]["messages"]) == {*COMMANDS, *EVENTS, STATE}
    received = sum(len(spec.topics) for spec in COMMANDS.values())
    sent = sum(len(spec.topics) for spec in EVENTS.values()) + 1
    assert len(document["operations"]) == received + sent
    actions = [operation["action"] for operation in document["operations"].values()]
    assert (actions.count("receive"), actions.count("send")) == (received, sent)


def test_every_reference_in_asyncapi_resolves() -> None:
    document = asyncapi.document()
    for node in nodes(document):
        if isinstance(node, dict) and "$ref" in node:
            target: Any = document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]


def test_the_reference_names_everything() -> None:
    page = reference.document()
    for name in (*COMMANDS, *EVENTS):
        assert f"`{qualified(name)}`" in page
    for text in (*RejectionCode, *(f"segmentation.{topic}" for topic in Topic)):
        assert f"`{text}`" in page
    for spec in (*jsonschemas.SPECS.values(), STATE_SPEC):
        for field in spec.data.model_fields:
            assert f"| `{field}` |" in page
