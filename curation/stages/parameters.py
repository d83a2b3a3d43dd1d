"""Dataclasses of parameters: values from recipes and from Python are validated by the types of the fields.

The dataclass is the only list of its parameters: names, types, bounds and defaults are read from it, never repeated.
pydantic validates in strict mode: "5" is not accepted for 5 or true for 1, but a whole number is for a float.
The classes are the standard library's: pydantic's own would load pydantic with every module that has settings, raise
errors of another kind, and leave plain dataclasses, which recipes may name, to a second way of checking.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from fsspec.core import split_protocol

from curation.errors import ParameterError, RecipeError, require
from curation.running.versions import library_version
from curation.stages.stored import StoredStage

Parameters = TypeVar("Parameters")

Count = Annotated[int, Ge(0)]
Size = Annotated[int, Ge(1)]
Ratio = Annotated[float, Ge(0), Lt(float("inf")), "a number, at least 0"]
Share = Annotated[float, Ge(0), Le(1)]
Text = Annotated[str, MinLen(1), "text that is not empty"]
"""The usual bounds. Errors show a description in words, as in `Ratio`, instead of the bounds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outside:
    """Annotates a parameter whose text may name what is outside of the recipe: code, a file, a folder, a variable.

    Whoever looks at a run uses these only if they trust the run's folder, from which the recipe comes.

    Attributes:
        what: What it names, for messages.
        is_named: Whether a text names it.
    """

    what: str
    is_named: Callable[[str], bool] = bool


@dataclasses.dataclass(frozen=True, slots=True)
class LocalPath:
    """Annotates a parameter whose text is the path of a file or folder, or has one in it.

    A relative one is made absolute when a recipe is read, so that a run can be continued from any folder.

    Attributes:
        pattern: A regular expression for the text, whose group is the path; a text that it does not match has none.
    """

    pattern: str = "(.+)"

    def absolute(self, value: Any) -> Any:
        """The text, or list of texts, with a relative path replaced by the absolute one; URLs are kept."""
        return list(map(self._in_text, value)) if isinstance(value, (list, tuple)) else self._in_text(value)

    def _in_text(self, value: Any) -> Any:
        found = re.fullmatch(self.pattern, value, re.DOTALL) if isinstance(value, str) else None
        if found is None:
            return value
        path, (start, stop) = _absolute(found[1]), found.span(1)
        changed = f"{value[:start]}{path}{value[stop:]}"
        again = re.fullmatch(self.pattern, changed, re.DOTALL)
        is_same = again is not None and again[1] == path  # the working directory may have a "#" or "="
        return changed if is_same else value


def _absolute(path: str) -> str:
    if "::" in path or split_protocol(path)[0] is not None:
        return path
    path = os.path.expanduser(path)  # noqa: PTH111
    return path if os.path.isabs(path) else os.path.abspath(path)  # noqa: PTH100, PTH117


def named_outside(kind: Any, values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Key, text and description of everything outside of the recipe that the values of a recipe name.

    Args:
        kind: The dataclass.
        values: Its parameters by name, as a recipe has them.
    """
    for key, value in values.items():
        hint = _hints(kind).get(key)
        outside = _annotation(hint, Outside)
        if outside is not None:
            texts = _texts(_from_recipe(value, hint))
            yield from ((key, text, outside.what) for text in texts if outside.is_named(text))


def _annotation(hint: Any, kind: type[Parameters]) -> Parameters | None:
    """The annotation of a kind in a type such as `tuple[Annotated[str, Outside(…)], ...] | None`."""
    parts = (*getattr(hint, "__metadata__", ()), *(_annotation(part, kind) for part in typing.get_args(hint)))
    return next((part for part in parts if isinstance(part, kind)), None)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)


def with_absolute_paths(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a recipe with relative paths of parameters that have the annotation `LocalPath` made absolute.

    Args:
        kind: The dataclass.
        values: Its parameters by name, as a recipe has them.
    """
    paths = _paths(kind)
    return {
        key: paths[key].absolute(value)
        if key in paths and _from_recipe(value, _hints(kind)[key]) is not None
        else value
        for key, value in values.items()
    }


@functools.cache
def _paths(kind: Hashable) -> dict[str, LocalPath]:
    """The parameters of a class that have paths; none if it is no dataclass."""
    if not hasattr(kind, "__dataclass_fields__"):
        return {}
    marks = {key: _annotation(hint, LocalPath) for key, hint in _hints(kind).items()}
    return {key: mark for key, mark in marks.items() if mark is not None}


def checked(kind: type[Parameters]) -> type[Parameters]:
    """Class decorator: the dataclass raises ParameterError for values outside the types and bounds of its fields.

    Lists become tuples.

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
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{kind.__name__}: {error}; it has {', '.join(signature.parameters)}") from None
        create(self, **_check(kind, given))

    kind.__init__ = init  # type: ignore[assignment]
    return kind


def build(kind: type[Parameters], values: Mapping[str, Any], where: str) -> Parameters:
    """An instance of the dataclass `kind` from the plain values of a recipe: lists become tuples, "none" becomes None.

    Args:
        kind: The class, `checked` or not.
        values: Its parameters by name.
        where: File and table, with which every error message begins.

    Raises:
        RecipeError: A key is unknown or missing, or a value is not allowed by its type or by the class.
    """
    if not dataclasses.is_dataclass(kind):
        raise RecipeError(f"{kind.__module__}:{kind.__qualname__} is not a dataclass, so a recipe cannot set it")
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    for key, value in values.items():
        if key not in names:
            raise RecipeError(f"{where}: unknown key {key!r} (= {value!r}); it has {', '.join(names) or 'no keys'}")
    given = {key: _from_recipe(value, _hints(kind)[key]) for key, value in values.items()}
    for key, value in given.items():
        table = _table(_hints(kind)[key])
        if table is not None and isinstance(value, Mapping):
            given[key] = build(table, value, f"{where}: {key}")
    for field in dataclasses.fields(kind):
        if field.init and type(field.default) is int:  # of `max_ratio: float = 10`, 10.0 is stored and read again
            given.setdefault(field.name, field.default)
    required = [
        field.name
        for field in dataclasses.fields(kind)
        if field.init and field.default is field.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in given]
    if missing:
        raise RecipeError(f"{where}: needs a value for {' and '.join(missing)}")
    try:
        return kind(**_check(kind, given))
    except (ParameterError, TypeError) as error:
        raise RecipeError(f"{where}: {error}") from error


def parameters(instance: Any) -> dict[str, Any]:
    """All parameters of an instance as plain values that JSON and TOML can hold (tuples become lists)."""
    if isinstance(instance, StoredStage):
        return dict(instance.values)
    return {field.name: plain(getattr(instance, field.name)) for field in dataclasses.fields(instance) if field.init}


def plain(value: Any) -> Any:
    """The value with tuples turned into lists, recursively; TypeError for types that a recipe cannot hold."""
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return parameters(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"a recipe cannot hold a {type(value).__name__}: {value!r}")


def flat_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a table, with those of a table inside it one by one.

    >>> flat_keys({"dump": None, "columns": {"text": "content"}})
    {'dump': None, 'columns.text': 'content'}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= {f"{key}.{name}": part for name, part in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def identity(instance: Any) -> dict[str, Any]:
    """What the output of a stage or table depends on: version, parameters, assets, library versions.

    The module of its class is not part of it: a recipe identifies a stage by the name in `use`. Nor are parameters that
    its class lists in `chooses_inputs`: they decide which inputs there are, not what is made from one.
    """
    if isinstance(instance, StoredStage):
        facts = {name: getattr(instance, name) for name in ("version", "assets", "libraries")}
        return {**facts, "parameters": parameters(instance)}
    kind = type(instance)
    assets = getattr(instance, "assets", None)
    left_out = getattr(kind, "chooses_inputs", ())
    return {
        "version": getattr(kind, "version", 1),
        "parameters": {key: value for key, value in _decisive(instance).items() if key not in left_out},
        "assets": dict(sorted(assets().items())) if assets is not None else {},
        "libraries": {name: library_version(name) for name in getattr(kind, "libraries", ())},
    }


def _decisive(instance: Any) -> dict[str, Any]:
    """The parameters, without those that were added after a release and have their default, which changes nothing."""
    added = getattr(type(instance), "added", ())
    unchanged = {
        each.name
        for each in dataclasses.fields(instance)
        if each.name in added and getattr(instance, each.name) == each.default
    }
    return {name: value for name, value in parameters(instance).items() if name not in unchanged}


def _table(hint: Any) -> Any:
    """The dataclass of a parameter that is a table of its own, or None."""
    kind = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    return kind if dataclasses.is_dataclass(kind) else None


def _from_recipe(value: Any, hint: Any) -> Any:
    """A recipe's value as a Python value: "none" becomes None if the type `hint` allows None."""
    return None if value == "none" and types.NoneType in typing.get_args(hint) else value


def _check(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values converted to the types of their fields, lists to tuples; ParameterError for an invalid one."""
    validated = {}
    for key, value in values.items():
        table = _table(_hints(kind)[key])
        if table is not None:
            require(isinstance(value, table), key, value, _allowed(_hints(kind)[key]))
            validated[key] = value
            continue
        try:
            validated[key] = _adapter(kind, key).validate_python(_without_lists(value))
        except ValueError as error:
            hint = _hints(kind)[key]
            more = f", such as [{value!r}]" if isinstance(value, str) and typing.get_origin(hint) is tuple else ""
            more = "; a set has no order: give a list or tuple" if isinstance(value, (set, frozenset)) else more
            raise ParameterError(key, value, _allowed(hint) + more) from error
    return validated


def _without_lists(value: Any) -> Any:
    return tuple(map(_without_lists, value)) if isinstance(value, (list, tuple)) else value


@functools.cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


@functools.cache
def _adapter(kind: Hashable, key: str) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(_hints(kind)[key], config=ConfigDict(strict=True, arbitrary_types_allowed=True))


def _fixed(arguments: tuple[Any, ...]) -> str:
    return f"a list of {' and '.join(map(_allowed, arguments))}"


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
        wording = [part for part in arguments if isinstance(part, str)]
        return wording[0] if wording else ", ".join(filter(None, [_allowed(arguments[0]), " and ".join(bounds)]))
    if origin in (typing.Union, types.UnionType):
        return ", or ".join(map(_allowed, arguments))
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return f"a list, each item {_allowed(arguments[0])}" if ... in arguments else _fixed(arguments)
    return _NAMES.get(hint, getattr(hint, "__name__", str(hint)))
