"""Signatures as they are written in the source, and where their names lead.

A name of this package leads to its entry in the reference; a name of another package, an alias and a private name lead
nowhere. What is none of these is a mistake, which nitpicky reports.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from functools import cache
from typing import Any

from docutils import nodes
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature


def _written(app: Sphinx, what: str, name: str, obj: Any, options: Any, arguments: str, returned: str) -> Any:
    if what not in ("class", "exception", "function", "method"):
        return None
    if inspect.isclass(obj) and issubclass(obj, BaseModel):
        keys = [_key(obj, key) for key in obj.model_fields]
        return f"({', '.join(['*', *keys] if keys else [])})", None
    try:
        signature = inspect.signature(obj)
    except (TypeError, ValueError):
        return None
    parameters = list(signature.parameters.values())
    if what == "method" and parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    parameters = [
        each.replace(annotation=_unconstrained(each.annotation), default=_Default.of(each.default))
        for each in parameters
    ]
    written = stringify_signature(signature.replace(parameters=parameters), show_return_annotation=False)
    result = signature.return_annotation
    return written, result if isinstance(result, str) else None


class _Default:
    """A default that has no literal, such as a function, with its name in place of an address."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    @classmethod
    def of(cls, default: Any) -> Any:
        """The default, or its name."""
        if default is inspect.Parameter.empty or not repr(default).startswith("<"):
            return default
        name = getattr(default, "__name__", "...")
        return cls(name if name.isidentifier() else "...")


def _key(record: type[BaseModel], key: str) -> str:
    """A key of a record with its type and default; constraints are in the text."""
    declared = next(
        base.__annotations__[key] for base in record.__mro__ if key in vars(base).get("__annotations__", {})
    )
    field = record.model_fields[key]
    default = (
        ""
        if field.is_required()
        else " = ..."
        if field.default is PydanticUndefined
        else f" = {_Default.of(field.default)!r}"
    )
    return f"{key}: {_unconstrained(declared)}{default}"


def _unconstrained(annotation: Any) -> Any:
    """`Annotated[float, Field(gt=0)]` as `float`."""
    if not isinstance(annotation, str):
        return annotation
    tree = ast.parse(annotation, mode="eval").body
    if isinstance(tree, ast.Subscript) and ast.unparse(tree.value) == "Annotated":
        return ast.unparse(tree.slice.elts[0])  # type: ignore[attr-defined]
    return annotation


def _found(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element) -> nodes.Node | None:
    """The entry that a name in a signature means, or the name itself if it has none and needs none."""
    if node.get("refdomain") != "py" or node.get("reftype") not in ("class", "obj", "exc", "data"):
        return None
    target, module = node["reftarget"], node.get("py:module")
    if target.partition(".")[0] not in ("sparring", *([] if module else [target])) and "." in target:
        return text
    value = _value(target, module)
    names = [f"{value.__module__}.{value.__qualname__}"] if inspect.isclass(value) or inspect.isfunction(value) else []
    domain = env.get_domain("py")
    for name in [*names, *([target] if value is _UNKNOWN else [])]:
        entries = domain.find_obj(env, "", "", name, None, 1)  # type: ignore[attr-defined]
        for _, entry in entries[:1]:
            builder = app.builder
            uri = builder.get_relative_uri(node.get("refdoc", ""), entry.docname)
            return nodes.reference("", "", text, internal=True, refuri=f"{uri}#{entry.node_id}")
    private = any(part.startswith("_") for part in target.split("."))
    return text if private or value is not _UNKNOWN else None


_UNKNOWN = object()


def _value(target: str, module: str | None) -> Any:
    """What a name means: in the module that is part of it, in Python, or in this package, where it is unique."""
    head, _, rest = target.rpartition(".")
    if head in sys.modules:
        return getattr(sys.modules[head], rest, _UNKNOWN)
    if module is None:
        return _UNKNOWN
    return getattr(builtins, target, _names().get(target, _UNKNOWN))


@cache
def _names() -> dict[str, Any]:
    """What the names in the modules of this package mean; a class or function of the package goes before an alias."""
    spaces = [vars(module) for name, module in sorted(sys.modules.items()) if name.partition(".")[0] == "sparring"]
    own = [(name, value) for space in spaces for name, value in space.items() if _is_own(value)]
    return {name: value for space in spaces for name, value in space.items()} | dict(own)


def _is_own(value: Any) -> bool:
    return (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__.startswith("sparring.")


def setup(app: Sphinx) -> dict[str, Any]:
    """Write signatures, and find their names."""
    app.connect("autodoc-process-signature", _written)
    app.connect("missing-reference", _found)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
