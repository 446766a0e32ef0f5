"""The JSON schema of recipes, for editors."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

from pydantic import TypeAdapter

from sparring.core.pieces import FAMILIES, members
from sparring.core.records import Record


def json_schema(*records: type[Record]) -> dict[str, Any]:
    """A JSON schema for editors: one of these records, with every family of pieces under `$defs`."""
    definitions: dict[str, Any] = {}
    for name, family in FAMILIES.items():
        short = {"enum": list(members(family)), "description": f"a {name} with its defaults"}
        foreign = {"type": "string", "pattern": ":", "description": "package.module:Class"}
        definitions[name] = {"anyOf": [short, foreign]}
        for member in members(family).values():
            schema = member.model_json_schema()
            definitions |= schema.pop("$defs", {})
            definitions[name]["anyOf"].append(schema)
    schema = TypeAdapter(reduce(operator.or_, records)).json_schema()
    definitions |= schema.pop("$defs", {})
    whole: dict[str, Any] = _refer(schema | {"$defs": definitions})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | whole


def _refer(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_refer(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$family" in schema:
        return {"$ref": f"#/$defs/{schema['$family']}"}
    return {key: _refer(item) for key, item in schema.items()}
