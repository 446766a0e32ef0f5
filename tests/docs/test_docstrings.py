"""Every public name has a docstring, and the examples in docstrings are true."""

from __future__ import annotations

import ast
import doctest
import importlib
from collections import Counter
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
FILES = {
    ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
    for path in sorted(SOURCES.rglob("*.py"))
}
"""The text of every module, by name."""


def test_every_public_name_has_a_docstring() -> None:
    kinds = ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    bare = [
        f"{module}.{node.name}"
        for module, text in FILES.items()
        for node in ast.parse(text).body
        if isinstance(node, kinds) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert bare == []


@pytest.mark.parametrize("module", [module for module, text in FILES.items() if ">>> " in text])
def test_examples_are_true(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.attempted and not result.failed


def test_class_names_are_unique_in_the_package() -> None:
    """A signature names a class without its module; the reference finds it by this name."""
    nodes = [node for text in FILES.values() for node in ast.parse(text).body]
    names = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))
    assert [name for name, count in names.items() if count > 1] == []
