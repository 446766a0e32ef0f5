"""A page of the reference for every package: what it exports, then what else is public in its modules.

A name is public if it does not begin with an underscore and is a class or a function of the module, or exported by the
package. The pages lie in docs/api, are written anew by every build, and are not committed.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

from plain_docstrings import restructured
from sphinx.application import Sphinx

import sparring

GROUPS = {
    "Runs and classifiers": ("sparring",),
    "Pieces": (
        "objectives", "feedback", "attacks", "regimes", "lipschitz", "networks", "data", "metrics", "classifier_losses",
        "optimizers", "weight_perturbations", "testing",
    ),
    "The game and the theory": ("gan", "classifier", "theory", "recipes", "training"),
    "What is measured": ("monitoring", "evaluation", "robustness", "claims", "report"),
    "Taken elsewhere": ("export", "citations", "loggers"),
    "Files, processes, the command line": ("runs", "sweeps", "live", "cli", "core"),
}  # fmt: skip
"""The packages below `sparring` by chapter, in reading order; the last chapter ends with those that are in none."""


def packages() -> list[str]:
    """The packages and modules that have a page, by full name."""
    below = {f"sparring.{module.name}" for module in pkgutil.iter_modules(sparring.__path__)}
    return ["sparring", *sorted(below - {"sparring.__main__", "sparring.run", "sparring.own_classifiers"})]


def modules(package: str) -> list[ModuleType]:
    """A package and all modules below it."""
    top = importlib.import_module(package)
    if package == "sparring":
        return [top, importlib.import_module("sparring.run"), importlib.import_module("sparring.own_classifiers")]
    walked = pkgutil.walk_packages(getattr(top, "__path__", []), f"{package}.")
    return [top, *(importlib.import_module(module.name) for module in walked)]


def exported(package: str) -> dict[str, Any]:
    """What a package exports, by name."""
    module = importlib.import_module(package)
    return {name: getattr(module, name) for name in getattr(module, "__all__", [])}


def public(module: ModuleType) -> dict[str, Any]:
    """The classes and functions of a module whose names do not begin with an underscore."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(inspect.unwrap(value) if callable(value) else value))
        and value.__module__ == module.__name__
    }


def constants(module: ModuleType) -> dict[str, str]:
    """The entries of the constants and aliases of a module that have a text of their own, by name."""
    found = {}
    for each, after in itertools.pairwise(ast.parse(inspect.getsource(module)).body):
        target = each.targets[0] if isinstance(each, ast.Assign) else getattr(each, "target", None)
        if not isinstance(target, ast.Name) or target.id.startswith("_") or not isinstance(after, ast.Expr):
            continue
        if isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            written, text = ast.unparse(each.value), restructured(inspect.cleandoc(after.value.value).split("\n"))  # type: ignore[attr-defined]
            value = f"   :value: {written}\n" if len(written) <= 80 else ""
            found[target.id] = f".. py:data:: {module.__name__}.{target.id}\n{value}\n" + indent("\n".join(text), "   ")
    return found


def entries(package: str) -> dict[ModuleType, dict[str, str]]:
    """The entry of every public name of a package, by defining module and by the name as it is imported."""
    # A function that has the name of its module is listed below the module.
    taken = {module.__name__ for module in modules(package)}
    shown = {f"{package}.{name}": value for name, value in exported(package).items()}
    paths = {id(value): path for path, value in shown.items() if callable(value) and path not in taken}
    found: dict[ModuleType, dict[str, str]] = {}
    for module in modules(package):
        found[module] = {f"{module.__name__}.{name}": text for name, text in constants(module).items()}
        for name, value in public(module).items():
            path = paths.get(id(value), f"{module.__name__}.{name}")
            found[module][path] = f".. {'autoclass' if inspect.isclass(value) else 'autofunction'}:: {path}"
    return found


def page(package: str) -> str:
    """The page of a package: a section for every module, with its text and its names."""
    lines: list[str] = []
    for module, names in entries(package).items():
        title = _title(module.__name__, "-" if lines else "=")
        lines += [title, f".. automodule:: {module.__name__}\n   :no-members:\n"]
        lines += [f"{text}\n" for text in names.values()]
    return "\n".join(lines)


def index() -> str:
    """The first page of the reference."""
    lines = [_title("API", "="), _INTRODUCTION]
    chapters = {title: [_full(name) for name in names] for title, names in GROUPS.items()}
    placed = {name for names in chapters.values() for name in names}
    chapters[list(GROUPS)[-1]] += [name for name in packages() if name not in placed]
    for title, pages in chapters.items():
        lines += [f".. toctree::\n   :caption: {title}\n   :maxdepth: 1\n", *(f"   {name}" for name in pages), ""]
    return "\n".join(lines)


_INTRODUCTION = """Every public name of the package, from its docstring: what it is, its formula, shapes and units of
its arguments, the errors that it raises, and its source. ``[source]`` leads to the code. Names are written as they are
imported, ``from sparring.objectives import Hinge``.
"""


def _full(name: str) -> str:
    return name if name == "sparring" else f"sparring.{name}"


def _title(text: str, sign: str) -> str:
    return f"{text}\n{sign * len(text)}\n"


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    pages = {"index": index()} | {package: page(package) for package in packages()}
    for old in set(folder.glob("*.rst")) - {folder / f"{name}.rst" for name in pages}:
        old.unlink()
    for name, text in pages.items():
        file = folder / f"{name}.rst"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def _skip_borrowed(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    # A method that a class takes from another package has the text and the markup of that package.
    return True if inspect.isfunction(obj) and not obj.__module__.startswith("sparring") else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before the sources are looked for; leave methods of other packages out."""
    app.connect("builder-inited", _write)
    app.connect("autodoc-skip-member", _skip_borrowed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
