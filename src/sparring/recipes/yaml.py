"""Recipes as text: the YAML that they are written in, which is read without surprises, and the files that hold it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from sparring.core.errors import UsageError
from sparring.recipes.common import TrainingRecipe

LARGEST = 65_536
"""Bytes of a recipe, at most; a whole one has about 3,000."""
DEEPEST = 32
"""Levels of nesting, at most."""

_NUMBER = r"[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)"
_WORDS = {
    "null": (r"~|null|", ["~", "n", ""]),
    "bool": (r"true|false", ["t", "f"]),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", [*"-+0123456789"]),
    "float": (rf"{_NUMBER}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", [*"-+0123456789."]),
}
"""What is no text, and how it may begin: 1e-4 is a number, and 010, 1_000, 1:30, no and 2026-01-01 are text."""


class _Loader(yaml.SafeLoader):
    """Safe YAML of numbers, words, lists and mappings, without what makes much of little or something else of it."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        for mark, what in (("anchor", "anchors and aliases"), ("tag", "tags")):
            if getattr(event, mark, None) is not None:
                raise ComposerError(None, None, f"recipes have no {what}: write the value out", event.start_mark)
        if self._depth == DEEPEST:
            raise ComposerError(None, None, f"nested more than {DEEPEST} deep", event.start_mark)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes what the loader would otherwise read as something else than text."""


for _class in (_Loader, _Dumper):
    _class.yaml_implicit_resolvers = {}
    for _tag, (_pattern, _first) in _WORDS.items():
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

    Raises:
        UsageError: it is not YAML, gives a key twice, or is no plain value; names the line.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{what}{line}: {error.problem}", "correct the YAML there") from None
    except (yaml.YAMLError, ValueError) as error:  # a number of more digits than Python reads is a ValueError
        raise UsageError(f"{what}: not YAML ({error})".replace("\n", " "), "correct the YAML") from None


def to_yaml(recipe: TrainingRecipe) -> str:
    """The recipe with every key written out; `load` reads it back to an equal record."""
    return dump_yaml(recipe.model_dump(mode="json"))


def dump_yaml(values: Any) -> str:
    """Plain values as YAML that `parse_yaml` reads back to equal ones."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    is_plain = all(letter.isprintable() or letter == "\n" for letter in text)
    return text if is_plain else str(yaml.dump(values, Dumper=_Dumper, sort_keys=False))  # escapes what hides


def read_text(path: Path) -> str:
    """The text of a file that holds a recipe.

    Raises:
        UsageError: it is no file, cannot be read, is too large, or is not UTF-8.
    """
    remedy = "a recipe is a YAML file of a few lines; `sparring show RECIPE` prints one"
    try:
        if not path.is_file():
            raise UsageError(f"{path}: {'not a file' if path.exists() else 'no such file'}", remedy)
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", remedy) from None
    if len(content) > LARGEST:
        raise UsageError(f"{path}: more than {LARGEST:,} bytes, which is no recipe", remedy)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start:,})", "save it as UTF-8") from None
