"""The entry that a name of Python means, found by the last part of the name.

Sphinx compares a name that is not written in full with the end of every entry, `Rng` with thousands.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.python import ObjectEntry, PythonDomain
from sphinx.environment import BuildEnvironment


@cache
def _by_last_part(env: BuildEnvironment) -> dict[str, dict[str, ObjectEntry]]:
    found: dict[str, dict[str, ObjectEntry]] = {}
    for name, entry in env.get_domain("py").objects.items():  # type: ignore[attr-defined]
        found.setdefault(name.rpartition(".")[2], {})[name] = entry
    return found


class Python(PythonDomain):
    """Sphinx's search, among the entries whose last part is that of the name."""

    def find_obj(self, env: BuildEnvironment, modname: Any, classname: Any, name: str, *rest: Any) -> Any:
        """The entries that a name may mean, once all documents are read."""
        few = copy(self)
        few.data = {"objects": _by_last_part(env).get(name.removesuffix("()").rpartition(".")[2], {})}
        return super(Python, few).find_obj(env, modname, classname, name, *rest)


def setup(app: Sphinx) -> dict[str, Any]:
    """Take the place of Sphinx's domain."""
    app.add_domain(Python, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
