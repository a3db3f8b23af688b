"""What may be imported where, and that importing does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, files, imported, name, tree

HOMES = {
    "asyncpg": {"worker/postgres/connect.py", "worker/postgres/session.py"},
    "aiokafka": {
        "worker/kafka/" + part + ".py"
        for part in (
            "clients",
            "closing",
            "facts",
            "fetched",
            "groups",
            "oauth",
            "probe",
            "refusals",
            "silence",
            "wire",
        )
    },
    "cramjam": {"worker/kafka/streams.py"},
    "alembic": {"worker/postgres/migrations.py", "worker/sql/migrations/env.py"},
    "sqlalchemy": {"worker/postgres/migrations.py"},
    "prometheus_client": {"worker/observability/metrics.py", "worker/observability/http.py"},
    "aiohttp": {"worker/kafka/oauth.py", "worker/observability/http.py", "worker/cli/demo.py"},
    "jinja2": {"worker/reports/page/render.py"},
    "matplotlib": {"worker/reports/page/charts.py"},
    "structlog": {"worker/observability/logs.py", "worker/observability/libraries.py"},
    "pydantic_settings": {"worker/settings.py"},
}
IMPORT_ALL = """
import importlib, os, pkgutil, sys

FORBIDDEN = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.fork"}

def forbid(event, arguments):
    if event in FORBIDDEN:
        raise RuntimeError(f"{event} at import")

def read(environment, name, get=os._Environ.__getitem__):
    here = sys._getframe(1)
    while here.f_globals["__name__"] in ("os", "collections.abc"):
        here = here.f_back
    if here.f_globals["__name__"].partition(".")[0] in ("schemas", "worker"):
        raise RuntimeError(f"{name} was read at import")
    return get(environment, name)

sys.addaudithook(forbid)
os._Environ.__getitem__ = read
count = 0
for package in ("schemas", "worker"):
    for module in pkgutil.walk_packages([package], f"{package}."):
        importlib.import_module(module.name)
        count += 1
print(count)
"""


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    used = {name(path) for path in files("worker", "schemas") if library in imported(path)}
    versions = {place for place in used if place.startswith("worker/sql/migrations/versions/")}
    used -= versions if library == "alembic" else set()
    assert used
    assert used <= HOMES[library]


def test_there_is_one_way_to_connect() -> None:
    """A connection string means the same in every command."""
    connecting = {name(path) for path in files("worker") if "asyncpg.connect(" in path.read_text(encoding="utf-8")}
    assert connecting == {"worker/postgres/connect.py"}


def test_schemas_need_no_worker() -> None:
    """Producers install them alone."""
    assert {name(path): imported(path) & {"worker", "tests"} for path in files("schemas")} == {
        name(path): set() for path in files("schemas")
    }


def test_nothing_reaches_into_anothers_private_names() -> None:
    """Neither imports such a name from a module of ours, nor takes it from one."""
    reached = {name(path): _reached(path) for path in files("worker", "schemas")}
    assert {place: names for place, names in reached.items() if names} == {}


def _reached(path: Path) -> list[str]:
    nodes = list(ast.walk(tree(path)))
    ours = [node for node in nodes if isinstance(node, ast.ImportFrom) and _is_ours(node)]
    modules = {alias.asname or alias.name for node in ours for alias in node.names}
    taken = [
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules
    ]
    imported_names = [alias.name for node in ours for alias in node.names]
    return [word for word in imported_names + taken if word.startswith("_") and not word.startswith("__")]


def _is_ours(node: ast.ImportFrom) -> bool:
    return (node.module or "").partition(".")[0] in ("worker", "schemas")


def test_importing_opens_and_reads_nothing() -> None:
    """A setting that is wrong for sure is in the environment, so that reading settings would fail, too."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        cwd=ROOT,
        env={"SEGMENTATION_LOG_LEVEL": "none such"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40
