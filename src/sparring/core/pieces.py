"""The name table: families of interchangeable pieces, found by a short name or by `package.module:Class`.

A family is an abstract subclass of `Piece`; a member is a frozen record registered under a name:

    @piece("hinge")
    class Hinge(Objective):
        margin: Positive = 1.0

In YAML a piece is `hinge`, or `{name: hinge, margin: 0.5}`, or `{name: my_package.my_module:MyObjective}`. An installed
package adds names by entry points of the group `sparring.pieces`, which are imported when a name is not ours.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from abc import ABC
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import Any, ClassVar, TypeVar

from pydantic import GetJsonSchemaHandler, TypeAdapter, ValidationError, model_serializer, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from sparring.core.errors import UsageError
from sparring.core.records import Problem, Record, as_one, nearest, problems_in

REFERENCE = re.compile(r"[^\W\d]\w*(\.\w+)*:[^\W\d]\w*")
"""The pattern of a name of own code: `package.module:attribute`."""
GROUP = "sparring.pieces"
"""The entry points of packages with pieces."""
FAMILIES: dict[str, type[Piece]] = {}
_MEMBERS: dict[str, dict[str, type[Piece]]] = {}


class Piece(Record, ABC):
    """A frozen, validated, named part of a recipe. Subclass a family, not this."""

    family: ClassVar[str]
    name: ClassVar[str]

    def __init_subclass__(cls, *, family: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if family:
            cls.family = family
            FAMILIES[family] = cls
            _MEMBERS[family] = {}
        elif hasattr(cls, "family"):
            cls.name = f"{cls.__module__}:{cls.__qualname__}"

    @model_validator(mode="wrap")
    @classmethod
    def _resolve(cls, value: Any, handler: Callable[[Any], Any]) -> Any:
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict):
            raise as_one([_mistake(value, "should be a name or a mapping with a name", path=())])
        if FAMILIES.get(cls.family) is not cls:
            return handler({key: item for key, item in value.items() if key != "name"})
        if "name" not in value:
            raise as_one([_mistake(value, f"which {cls.family}? `name` is missing")])
        try:
            member = find(cls, value["name"])
        except UnknownPiece as error:
            raise as_one([error.problem]) from None
        try:
            return member.model_validate(value)
        except ValidationError as error:
            raise as_one(problems_in(error)) from None

    @model_serializer(mode="plain")
    def _with_name(self) -> dict[str, Any]:
        return {"name": self.name} | {key: getattr(self, key) for key in type(self).model_fields}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        if FAMILIES.get(cls.family) is cls:
            return {"$family": cls.family}
        schema = handler.resolve_ref_schema(handler(core))
        schema["properties"] = {"name": {"const": cls.name}} | schema.get("properties", {})
        required = ["name", *schema.get("required", ())]
        return schema | {"title": cls.name, "description": summary(cls), "required": required}


class UnknownPiece(UsageError):
    """A name that is neither in the table nor an importable class."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


AnyPiece = TypeVar("AnyPiece", bound=Piece)


def piece(name: str) -> Callable[[type[AnyPiece]], type[AnyPiece]]:
    """Register a member of a family under a short name.

    Raises:
        ValueError: the family has another member of this name.
    """

    def register(cls: type[AnyPiece]) -> type[AnyPiece]:
        table = _MEMBERS[cls.family]
        if name in table:
            raise ValueError(f"{cls.family} {name!r} is already {table[name]}")
        cls.name = name
        table[name] = cls
        return cls

    return register


def import_members(package: str, path: Iterable[str]) -> None:
    """Import every module of a family's package, so that its members register: a new member is one new file.

    Args:
        package: `__name__` of the package.
        path: `__path__` of the package.
    """
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")


def members(family: type[AnyPiece]) -> dict[str, type[AnyPiece]]:
    """The registered members of a family, by name."""
    return {name: cls for name, cls in sorted(_MEMBERS[family.family].items()) if issubclass(cls, family)}


def import_installed() -> None:
    """Import the pieces of installed packages, so that they register.

    Raises:
        UsageError: one cannot be imported, or has the name of another.
    """
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # any code may run on import
            raise UsageError(
                f"{GROUP}: {point.value} cannot be imported: {type(error).__name__}: {error}",
                "repair or uninstall the package that it is of",
            ) from None


def find(family: type[AnyPiece], name: object) -> type[AnyPiece]:
    """The member of a family with this short name, or the class at `package.module:Class`.

    Raises:
        UnknownPiece: there is none.
    """
    if isinstance(name, str) and ":" in name:
        return _import(family, name)
    if isinstance(name, str) and name not in _MEMBERS[family.family]:
        import_installed()
    table = members(family)
    if isinstance(name, str) and name in table:
        return table[name]
    raise UnknownPiece(_mistake(name, f"no such {family.family}", known=tuple(table)))


def import_object(reference: str) -> Any:
    """The object at `package.module:attribute`.

    Raises:
        ImportError: it cannot be imported, for any reason.
    """
    if not REFERENCE.fullmatch(reference):
        raise ImportError("it does not read package.module:attribute")
    module, _, attribute = reference.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise ImportError(f"{module} imports {error.name}, which is not installed here") from None
        raise ImportError(f"module {error.name} is not importable from here") from None
    except ImportError as error:
        raise ImportError(str(error)) from None
    except (Exception, SystemExit) as error:  # any code may run on import
        raise ImportError(f"{type(error).__name__}: {error}") from None
    if not hasattr(found, attribute):
        close = nearest(attribute, vars(found))
        raise ImportError(f"module {module} has no {attribute}" + (f"; did you mean {close}?" if close else ""))
    return getattr(found, attribute)


def json_schema(recipes: Any) -> dict[str, Any]:
    """A JSON schema for editors: a record or a union of records, with every family of pieces under `$defs`."""
    import_installed()
    definitions: dict[str, Any] = {}
    for name, family in FAMILIES.items():
        short = {"enum": list(members(family)), "description": f"a {name} with its defaults"}
        foreign = {"type": "string", "pattern": ":", "description": "package.module:Class"}
        definitions[name] = {"anyOf": [short, foreign]}
        for member in members(family).values():
            schema = member.model_json_schema()
            definitions |= schema.pop("$defs", {})
            definitions[name]["anyOf"].append(schema)
    schema = TypeAdapter(recipes).json_schema()
    definitions |= schema.pop("$defs", {})
    whole: dict[str, Any] = _refer(schema | {"$defs": definitions})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | whole


def summary(cls: type[Any]) -> str:
    """The first line of a class's docstring."""
    return (cls.__doc__ or "").strip().split("\n")[0]


def _import(family: type[AnyPiece], reference: str) -> type[AnyPiece]:
    try:
        attribute = import_object(reference)
    except ImportError as error:
        raise UnknownPiece(_mistake(reference, f"cannot be imported: {error}")) from None
    if not (isinstance(attribute, type) and issubclass(attribute, family)):
        wanted = f"{family.__module__}.{family.__qualname__}"
        raise UnknownPiece(_mistake(reference, f"is not a subclass of {wanted}"))
    if inspect.isabstract(attribute):
        missing = ", ".join(sorted(attribute.__abstractmethods__))
        raise UnknownPiece(_mistake(reference, f"is abstract: it does not define {missing}"))
    return attribute


def _refer(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_refer(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$family" in schema:
        return {"$ref": f"#/$defs/{schema['$family']}"}
    return {key: _refer(item) for key, item in schema.items()}


def _mistake(
    value: object,
    message: str,
    known: tuple[str, ...] = (),
    path: tuple[str, ...] = ("name",),
) -> Problem:
    close = nearest(value, known) if isinstance(value, str) else ""
    return Problem(path=path, value=repr(value), message=message, nearest=close, allowed=known)
