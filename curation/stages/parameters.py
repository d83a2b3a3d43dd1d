"""Dataclasses of parameters: their types say what is allowed, and values from recipes and from Python are held to them.

The dataclass is the only list of its parameters: names, types, bounds and defaults are read from it, never typed again.
pydantic checks the values in strict mode: no "5" for 5, no true for 1, but a whole number where a fraction is meant.
The classes stay the standard library's: pydantic's own would load pydantic with every module that has settings, raise
errors of another kind, and leave the plain dataclasses that recipes may name to a second way of checking.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from curation.errors import ParameterError, RecipeError
from curation.running.versions import library_version

Parameters = TypeVar("Parameters")

Count = Annotated[int, Ge(0)]
Size = Annotated[int, Ge(1)]
Ratio = Annotated[float, Ge(0), Lt(float("inf")), "a number, at least 0"]
Share = Annotated[float, Ge(0), Le(1)]
Text = Annotated[str, MinLen(1), "text that is not empty"]
"""The usual bounds. A description in words, as in `Ratio`, is shown in errors in place of the bounds themselves."""


def checked(kind: type[Parameters]) -> type[Parameters]:
    """The dataclass, which then raises ParameterError for values outside the types and bounds of its fields.

    >>> @checked
    ... @dataclasses.dataclass(frozen=True)
    ... class Lines:
    ...     max_words: Count | None = None
    >>> Lines(max_words=-1)
    Traceback (most recent call last):
        ...
    curation.errors.ParameterError: max_words = -1: must be a whole number, at least 0, or "none"
    """
    create, signature = kind.__init__, inspect.signature(kind)

    @functools.wraps(create)
    def init(self: Parameters, *args: Any, **kwargs: Any) -> None:
        create(self, **_check(kind, signature.bind(*args, **kwargs).arguments))

    kind.__init__ = init  # type: ignore[assignment]
    return kind


def require(holds: bool, key: str, value: object, allowed: str) -> None:
    """ParameterError unless `holds`: for what no annotation can state, such as how two values fit together."""
    if not holds:
        raise ParameterError(key, value, allowed)


def build(kind: type[Parameters], values: Mapping[str, Any], where: str) -> Parameters:
    """An instance of the dataclass `kind` from the plain values of a recipe, where lists are tuples and "none" is None.

    Args:
        kind: the class, `checked` or not.
        values: its parameters by name.
        where: file and table, with which every error message begins.

    Raises:
        RecipeError: for an unknown or missing key, or a value that its type or the class itself refuses.
    """
    if not dataclasses.is_dataclass(kind):
        raise RecipeError(f"{kind.__module__}:{kind.__qualname__} is no dataclass, so a recipe cannot set it")
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    for key, value in values.items():
        if key not in names:
            raise RecipeError(f"{where}: unknown key {key!r} (= {value!r}); it has {', '.join(names) or 'no keys'}")
    try:
        return kind(**_check(kind, {key: _from_recipe(value, _hints(kind)[key]) for key, value in values.items()}))
    except (ParameterError, TypeError) as error:
        raise RecipeError(f"{where}: {error}") from error


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


def _from_recipe(value: Any, hint: Any) -> Any:
    """A recipe's value as Python has it: `hint` tells whether the text "none" is None."""
    if isinstance(value, list):
        return tuple(_from_recipe(part, None) for part in value)
    return None if value == "none" and types.NoneType in typing.get_args(hint) else value


def _check(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in the types of the fields they are for; ParameterError for one that its field cannot hold."""
    found = {}
    for key, value in values.items():
        try:
            found[key] = _adapter(kind, key).validate_python(value)
        except ValueError as error:
            hint = _hints(kind)[key]
            example = f", such as [{value!r}]" if isinstance(value, str) and typing.get_origin(hint) is tuple else ""
            raise ParameterError(key, value, _allowed(hint) + example) from error
    return found


@functools.cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


@functools.cache
def _adapter(kind: Hashable, key: str) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(_hints(kind)[key], config=ConfigDict(strict=True, arbitrary_types_allowed=True))


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", types.NoneType: '"none"'}
_BOUNDS: dict[type[Any], str] = {
    Ge: "at least", Gt: "above", Le: "at most", Lt: "below", MinLen: "length at least", MaxLen: "length at most"
}  # fmt: skip


def _allowed(hint: Any) -> str:
    """What a type allows: `Annotated[int, Ge(1)] | None` → 'a whole number, at least 1, or "none"'."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        bounds = [
            f"{_BOUNDS[type(part)]} {dataclasses.astuple(part)[0]}" for part in arguments if type(part) in _BOUNDS
        ]
        told = [part for part in arguments if isinstance(part, str)]
        return told[0] if told else ", ".join(filter(None, [_allowed(arguments[0]), " and ".join(bounds)]))
    if origin in (typing.Union, types.UnionType):
        return ", or ".join(map(_allowed, arguments))
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return f"a list, each item {_allowed(arguments[0])}"
    return _NAMES.get(hint, getattr(hint, "__name__", str(hint)))
