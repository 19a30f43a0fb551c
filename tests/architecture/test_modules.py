"""Schedule, health and each adapter are modules of their own, and each has tests of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADAPTERS = [f"infrastructure.{path.parent.name}" for path in sorted(ROOT.glob("src/infrastructure/*/__init__.py"))]


def imports(tree: ast.Module) -> set[str]:
    """Every module that a file names in an import."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def functions_that_test(tree: ast.Module) -> list[str]:
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@pytest.mark.proves("S000-9")
@pytest.mark.parametrize("module", ["celeriac.schedule", "core.health", *ADAPTERS])
def test_each_component_is_a_module_with_tests_of_its_own(module):
    package = ROOT / "src" / module.replace(".", "/")
    assert [path.name for path in package.glob("*.py") if path.name != "__init__.py"]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "tests/unit").rglob("test_*.py")]
    own = [tree for tree in trees if any(f"{name}.".startswith(f"{module}.") for name in imports(tree))]
    assert sum(len(functions_that_test(tree)) for tree in own) > 0


def test_there_is_an_adapter():
    assert ADAPTERS
