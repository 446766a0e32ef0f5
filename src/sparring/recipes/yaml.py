"""YAML without surprises: 1e-4 is a number; 010, 1_000, 1:30, no and 2026-01-01 are text; keys are unique words."""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from sparring.core.errors import UsageError
from sparring.core.records import Record

_NUMBER = r"[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)"
_SCALARS = {
    "null": (r"~|null|", ["~", "n", ""]),
    "bool": (r"true|false", ["t", "f"]),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", [*"-+0123456789"]),
    "float": (rf"{_NUMBER}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", [*"-+0123456789."]),
}
"""The scalars that are not text: their pattern, and the characters that they may begin with."""


class _Loader(yaml.CSafeLoader):
    """Numbers, text, lists and mappings."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node in self.constructed_objects:
            # Dotted keys are set in place: a value that is shared would change in both places.
            problem = "no anchors and aliases in recipes: write the value out in both places"
            raise ConstructorError(None, None, problem, node.start_mark)
        return super().construct_object(node, deep=deep)


class _Dumper(yaml.CSafeDumper):
    """Quotes text that the loader would read as something else."""


for _class in (_Loader, _Dumper):
    _class.yaml_implicit_resolvers = {}
    for _tag, (_pattern, _first) in _SCALARS.items():
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise ConstructorError(None, None, f"a key should be a word, and is {key!r}", key_node.start_mark)
        if key in found:
            raise ConstructorError(None, None, f"key given twice: {key}", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse_yaml(text: str, what: str) -> Any:
    """Plain values from YAML.

    Args:
        text: the YAML.
        what: name of the text in errors.

    Raises:
        UsageError: it is not YAML, or a key is given twice; names the line.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{what}{line}: {error.problem}", "correct the YAML there") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{what}: not YAML ({error})".replace("\n", " "), "correct the YAML") from None


def to_yaml(recipe: Record) -> str:
    """The recipe with every key; `load` reads it back to an equal record."""
    return dump_yaml(recipe.model_dump(mode="json"))


def dump_yaml(values: Any) -> str:
    """Plain values as YAML that `parse_yaml` reads back to equal ones."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text
