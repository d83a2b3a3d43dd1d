"""Filter blocks of datatrove as stages: `use = "datatrove:GopherQualityFilter"`, with its arguments as keys.

A block judges one document after another in Python, so it takes many times as long as a stage of this package
(docs/filters.md). Verdict, reason and text are the block's. It is made once per process and asked for a verdict only:
nothing is written, and no statistics are kept. A block whose verdict depends on the documents before it is refused.
"""

from __future__ import annotations

import dataclasses
import inspect
import operator
import threading
import types
import typing
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache, reduce
from typing import Any, ClassVar, Literal

import pyarrow as pa

from curation.errors import RecipeError
from curation.stages.batch import Batch
from curation.stages.parameters import plain
from curation.stages.stage import Outcome

MODULE = "datatrove"
ERROR, REMOVED = "error", "removed"
"""Reasons for a document on which a block raises an exception, and for one that it removes without a reason."""

_LEFT_OUT = ("exclusion_writer", "batch_size", "keep_fraction", "seed")
"""Arguments for what a stage does not do: write what it removes, and keep some of it at random."""
_ORDER_DEPENDENT = ("SamplerFilter",)
_COLUMNS = ("url", "date", "dump", "file_path", "language", "language_score")
"""What a block finds in a document's metadata."""

_PLAIN = "This is a plain text. It has two sentences.\n\nAnd two paragraphs."
_PLAIN_METADATA = {
    "url": "https://example.org/page", "date": "2024-01-01T00:00:00Z", "dump": "dump", "file_path": "file.warc.gz",
    "language": "en", "language_score": 0.9,
}  # fmt: skip

_LOCK = threading.Lock()
"""datatrove's blocks and word tokenizers are loaded at their first use and shared, but not made for threads."""

Value = bool | int | float | str | tuple[Any, ...] | None


class DatatroveBlock:
    """Base class of the stages that `block_class` makes."""

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = (MODULE,)

    def __post_init__(self) -> None:
        from datatrove.utils.word_tokenizers import load_word_tokenizer

        try:
            _block(self)
            if hasattr(self, "language"):
                load_word_tokenizer(self.language)
        except Exception as error:  # a missing library, or an argument that it does not accept
            raise RecipeError(f"{MODULE}:{type(self).__name__}: {' '.join(str(error).split())}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        """The class is made again where the stage is unpickled."""
        return _rebuild, (type(self).__name__, {field.name: getattr(self, field.name) for field in _fields(self)})

    def __call__(self, batch: Batch, /) -> Outcome:
        """The block's verdict on each document, and the text that it leaves of those that it keeps."""
        reasons, texts = [], []
        with _LOCK:
            block = _block(self)
            for document in _documents(batch):
                text = document.text
                reasons.append(_judge(self, block, document))
                texts.append(document.text if reasons[-1] is None else text)
        new = pa.array(texts, batch.text.type)
        return Outcome(
            batch if new.equals(batch.text) else batch.with_columns(text=new), pa.array(reasons, pa.string())
        )


def _fields(stage: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(stage)


def _judge(stage: Any, block: Any, document: Any) -> str | None:
    """Why a block removes a document; None if it keeps it."""
    try:
        result = block.filter(document)
    except Exception:  # of one document, such as one without words
        _check_works(stage)
        return ERROR
    is_kept, reason = result if isinstance(result, tuple) else (result, None)
    return None if is_kept else str(reason or REMOVED)


@lru_cache(maxsize=32)
def _check_works(stage: Any) -> None:
    """Raise RuntimeError if a block fails on a plain document too."""
    from datatrove.data import Document

    try:
        _block(stage).filter(Document(text=_PLAIN, id="plain", metadata=dict(_PLAIN_METADATA)))
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise RuntimeError(f"{MODULE}:{type(stage).__name__} fails on every document: {cause}") from error


def _documents(batch: Batch) -> Iterator[Any]:
    """The documents of a batch as datatrove's."""
    from datatrove.data import Document

    known = [name for name in _COLUMNS if name in batch.table.schema.names]
    for row in batch.table.select(["id", "text", *known]).to_pylist():
        metadata = {name: row[name] for name in known if row[name] is not None}
        yield Document(text=row["text"] or "", id=row["id"], metadata=metadata)


@lru_cache(maxsize=32)
def _block(stage: Any) -> Any:
    """datatrove's object for a stage, once per process."""
    import importlib.metadata  # noqa: F401  (datatrove expects it to be imported)

    return _filters()[type(stage).__name__](**{field.name: getattr(stage, field.name) for field in _fields(stage)})


def _rebuild(name: str, values: dict[str, Any]) -> Any:
    return block_class(name)(**values)


@cache
def _filters() -> dict[str, type[Any]]:
    """datatrove's filter blocks by name."""
    from datatrove.pipeline import filters
    from datatrove.pipeline.filters.base_filter import BaseFilter

    return {
        name: kind
        for name, kind in vars(filters).items()
        if isinstance(kind, type) and issubclass(kind, BaseFilter) and kind is not BaseFilter
    }


@cache
def block_class(name: str) -> type[Any]:
    """The stage for a filter block: a dataclass whose fields are the block's arguments.

    Args:
        name: Name of the block's class in `datatrove.pipeline.filters`.

    Raises:
        ValueError: There is no such block, or it cannot be a stage.
    """
    blocks = {known: _arguments(known) for known in sorted(_filters()) if known not in _ORDER_DEPENDENT}
    if name in _ORDER_DEPENDENT:
        raise ValueError(f"{name} draws at random, so that its verdict depends on the documents before")
    arguments = blocks.get(name)
    if arguments is None:
        usable = ", ".join(known for known, parts in blocks.items() if parts is not None)
        raise ValueError(f"datatrove has no filter {name} that a recipe can use; it has {usable}")
    block = _filters()[name]
    hints = typing.get_type_hints(block.__init__)
    fields = [
        (key, _type_of(hints.get(key), default), dataclasses.field(default=default, kw_only=True))
        for key, default in arguments.items()
    ]
    doc = inspect.cleandoc(block.__init__.__doc__ or block.__doc__ or name)
    names = {"__module__": MODULE, "__qualname__": name, "__doc__": f"\n{doc}".replace("\nArgs:\n", "\nAttributes:\n")}
    return dataclasses.make_dataclass(name, fields, bases=(DatatroveBlock,), namespace=names, frozen=True)


def _arguments(name: str) -> dict[str, Any] | None:
    """The arguments of a block that a recipe can hold, with their defaults; None if it needs another one."""
    arguments: dict[str, Any] = {}
    for key, argument in list(inspect.signature(_filters()[name].__init__).parameters.items())[1:]:
        if key in _LEFT_OUT:
            continue
        if argument.default is inspect.Parameter.empty:
            if argument.annotation not in (bool, int, float, str):
                return None
            arguments[key] = dataclasses.MISSING
        elif _is_value(argument.default):
            arguments[key] = argument.default
    return arguments


def _type_of(hint: Any, default: Any) -> Any:
    """The type of a stage's parameter for the annotation of a block's argument, which is often narrower than its use.

    >>> _type_of(int, 10), _type_of(list[str], None)
    (int | float, tuple[str, ...] | None)
    """
    kind = _accepted(hint)
    return kind | None if default is None and kind is not Value else kind


def _accepted(hint: Any) -> Any:
    """Whole numbers may be fractions, lists are tuples, and a tuple of one type has any length, as in its defaults."""
    origin, parts = typing.get_origin(hint), tuple(part for part in typing.get_args(hint) if part is not ...)
    if hint in (bool, str, float, types.NoneType) or origin is Literal:
        return hint
    if hint is int:
        return int | float
    if origin is Iterable:
        return tuple[str, ...]
    if origin in (typing.Union, types.UnionType):
        return reduce(operator.or_, map(_accepted, parts))
    if origin in (list, tuple):
        items = tuple(map(_accepted, parts))
        return types.GenericAlias(tuple, items if len(items) > 1 else (*items, ...))
    return Value


def _is_value(default: Any) -> bool:
    """Whether a recipe can hold a default."""
    try:
        plain(default)
    except TypeError:
        return False
    return True
