"""Functions stay under 50 lines and modules under 300."""

from __future__ import annotations

import ast

from tests.tidy.sources import PACKAGES, files, name, tree

FUNCTION_LINES_MAX = 49
MODULE_LINES_MAX = 299


def test_functions_are_short() -> None:
    functions = [
        (f"{name(path)}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for path in files(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 300
    assert [(place, lines) for place, lines in functions if lines > FUNCTION_LINES_MAX] == []


def test_modules_are_short() -> None:
    modules = [(name(path), len(path.read_text(encoding="utf-8").splitlines())) for path in files(*PACKAGES)]
    assert len(modules) > 50
    assert [(place, lines) for place, lines in modules if lines > MODULE_LINES_MAX] == []
