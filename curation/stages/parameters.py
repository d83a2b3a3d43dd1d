"""Frozen dataclasses of parameters from the plain values of a recipe, with errors a person can act on.

The dataclass is the only list of its parameters: their names, types and defaults are read from it, never typed again.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from curation.errors import ParameterError, RecipeError
from curation.running.versions import library_version

Parameters = TypeVar("Parameters")


def build(kind: type[Parameters], values: Mapping[str, Any], where: str) -> Parameters:
    """An instance of the dataclass `kind`; `where` (file and table) begins every error message.

    Raises RecipeError for an unknown key, a value of the wrong type, or one that the dataclass itself refuses.
    """
    types_of = _field_types(cast(Hashable, kind))
    converted: dict[str, Any] = {}
    for key, value in values.items():
        if key not in types_of:
            raise RecipeError(f"{where}: unknown key {key!r} (= {value!r}); it has {', '.join(types_of) or 'no keys'}")
        converted[key] = _convert(value, types_of[key], f"{where}: {key}")
    try:
        return kind(**converted)
    except ParameterError as error:
        raise RecipeError(f"{where}: {error}") from error
    except TypeError as error:
        missing = [field.name for field in dataclasses.fields(kind) if _is_required(field) and field.name not in values]  # type: ignore[arg-type]
        raise RecipeError(f"{where}: missing {', '.join(missing)}" if missing else f"{where}: {error}") from error


def parameters(instance: Any) -> dict[str, Any]:
    """All parameters of an instance as plain values that JSON and TOML can hold (tuples become lists)."""
    return {field.name: plain(getattr(instance, field.name)) for field in dataclasses.fields(instance) if field.init}


def plain(value: Any) -> Any:
    """Tuples as lists, all the way down; TypeError for what a recipe cannot hold."""
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"a recipe cannot hold a {type(value).__name__}: {value!r}")


def identity(instance: Any) -> dict[str, Any]:
    """What the answers of a stage or table depend on: version, parameters, assets, library versions.

    Where its class is defined is no part of it: a recipe knows a stage by the name it uses it by.
    """
    kind = type(instance)
    assets = getattr(instance, "assets", None)
    return {
        "version": getattr(kind, "version", 1),
        "parameters": parameters(instance),
        "assets": dict(sorted(assets().items())) if assets is not None else {},
        "libraries": {name: library_version(name) for name in getattr(kind, "libraries", ())},
    }


@cache
def _field_types(kind: Any) -> dict[str, Any]:
    if not dataclasses.is_dataclass(kind):
        raise RecipeError(f"{kind.__module__}:{kind.__qualname__} is no dataclass, so a recipe cannot set it")
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _convert(value: Any, kind: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, arguments, kind, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise RecipeError(f"{where} = {value!r}: must be one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            raise RecipeError(f"{where} = {value!r}: must be a list, such as [{value!r}]")
        inner = arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else None
        kinds = [inner] * len(value) if inner is not None else list(arguments)
        if len(kinds) != len(value):
            raise RecipeError(f"{where} = {value!r}: must have {len(kinds)} values")
        return tuple(_convert(part, part_kind, where) for part, part_kind in zip(value, kinds, strict=True))
    return _convert_scalar(value, kind, where)


def _convert_union(value: Any, choices: tuple[Any, ...], kind: Any, where: str) -> Any:
    if type(None) in choices and (value is None or value == "none"):
        return None
    for choice in choices:
        if choice is not type(None):
            try:
                return _convert(value, choice, where)
            except RecipeError:
                continue
    raise RecipeError(f"{where} = {value!r}: must be {_name(kind)}")


def _convert_scalar(value: Any, kind: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Any or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
        return value
    raise RecipeError(f"{where} = {value!r}: must be {_name(kind)}")


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): '"none"'}


def _name(kind: Any) -> str:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(_name(choice) for choice in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return "a list"
    return _NAMES.get(kind, getattr(kind, "__name__", str(kind)))
