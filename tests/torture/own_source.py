"""What the package's own source says it would run of data: nothing, but for what is named here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import sparring

ALLOWED = {
    # One published file, whose SHA-256 is known and checked before a byte of it is read, by torch's allow-list reader.
    "networks/extractors.py": {"torch.load"},
    # Processes of our own hand recipes and errors to each other.
    "engine/workers.py": {"multiprocessing"},
}
"""By file, what is there for a reason."""
_MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "multiprocessing"}
_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "torch.load",
    "torch.hub.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "np.fromstring",
}
_METHODS = {"read_pickle"}
PLANTED = (
    "import pickle",
    "from dill import loads",
    "import multiprocessing.reduction",
    "torch.load(path)",
    "np.load(path)",
    "np.load(path, allow_pickle=True)",
    "yaml.load(text)",
    "yaml.load(text, Loader=yaml.FullLoader)",
    "eval(text)",
    "exec(text)",
    "os.system(text)",
    "subprocess.run(text, shell=True)",
    "pandas.read_pickle(path)",
)
"""Lines that must be found."""


def violations() -> list[str]:
    """Every place of the package that could run data, as `FILE: WHAT`."""
    root = Path(sparring.__file__).parent
    sources = {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*.py"))}
    return [
        f"{name}: {what}"
        for name, source in sources.items()
        for what in found_in(source)
        if what not in ALLOWED.get(name, ())
    ]


def found_in(source: str) -> Iterator[str]:
    """What a source text imports and calls that could run data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (top for name in node.names if (top := name.name.partition(".")[0]) in _MODULES)
        elif isinstance(node, ast.ImportFrom) and (top := (node.module or "").partition(".")[0]) in _MODULES:
            yield top
        elif isinstance(node, ast.Call):
            yield from _called(node)


def _called(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    given = {each.arg: ast.unparse(each.value) for each in node.keywords}
    if name in _CALLS or name.rpartition(".")[2] in _METHODS:
        yield name
    if name in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
        yield f"{name} without allow_pickle=False"
    if name == "yaml.load" and given.get("Loader") not in ("_Loader", "yaml.SafeLoader"):
        yield f"{name} with {given.get('Loader', 'no loader')}"
    if given.get("shell") not in (None, "False"):
        yield f"{name} with a shell"
