"""What becomes of an item: a value, or a failure with its cause; and how a task turns one into the other."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from curation.errors import CredentialsFailed, CurationError, MissingExtra, StageFailed, WriteFailed

_PYTHON = sorted({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})

_INSTALLED = (*_PYTHON, str(Path(__file__).parents[1]), "<")
"""How the names of files with code that is not a user's begin: Python's, that of packages, ours."""

Item = TypeVar("Item")
Value = TypeVar("Value")

RETRIES = 2
"""How often a task is retried after it raised or its worker died, before its item is given up."""

FATAL = (WriteFailed, CredentialsFailed, MissingExtra)
"""Errors of tasks after which no other task would succeed either."""

Kind = Literal["input", "code", "io", "workers", "scheduler"]
"""Why an item was given up: the item itself, code of the user's, I/O errors, dead workers, or a lost scheduler."""


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[Item, Value]):
    """An item and the function's return value for it.

    Attributes:
        item: The item.
        value: The value.
        worker: Address of the worker that made it; empty for this process.
        seconds: How long it took there; 0 if unknown.
    """

    item: Item
    value: Value
    worker: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskFailure(Generic[Item]):
    """An item that was given up.

    Attributes:
        item: The item.
        cause: Why, in one line.
        writing: Whether writing the output failed or credentials are not valid, which is not the item's fault.
        kind: What kind of cause it is.
    """

    item: Item
    cause: str
    writing: bool = False
    kind: Kind = "input"


Result = TaskResult[Item, Value] | TaskFailure[Item]


@dataclass(frozen=True, slots=True)
class TaskAnswer(Generic[Value]):
    """What a task returns: its value, or a cause if its item is bad or cannot be read; these are not raised, so that
    Dask does not retry the task at once.

    Attributes:
        value: The value.
        cause: Why there is none.
        kind: "input", "code" or "io" if there is none.
    """

    value: Value | None = None
    cause: str = ""
    kind: Kind | None = None


def call(function: Callable[[Item], Value], item: Item) -> TaskAnswer[Value]:
    """Call the function with the item. Errors that are neither about the item nor about reading are raised."""
    try:
        return TaskAnswer(function(item))
    except FATAL:  # retried, because a network file system may recover
        raise
    except StageFailed as error:
        return TaskAnswer(cause=str(error), kind="code")
    except CurationError as error:
        return TaskAnswer(cause=str(error), kind="input")
    except OSError as error:
        return TaskAnswer(cause=describe(error), kind="io")
    except Exception as error:
        error.add_note(place(error))
        raise


def place(error: BaseException) -> str:
    """Where an exception was raised: file, line and function; in a user's code if it went through any."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_INSTALLED)]
    last = (own or frames)[-1]
    return f"{Path(last.filename).name}, line {last.lineno}, in {last.name}"


def describe(error: BaseException) -> str:
    """An exception in one line: its type, the first line of its message, and where a task raised it.

    Only the line for a CurationError.
    """
    lines = str(error).strip().splitlines()
    if isinstance(error, CurationError) and lines:
        return lines[0]
    said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return " ".join([said, *(f"({note})" for note in getattr(error, "__notes__", ()))])


def to_result(item: Item, answer: TaskAnswer[Any], worker: str = "", seconds: float = 0.0) -> Result[Item, Any]:
    """The result for an item that was answered."""
    if answer.kind is None:
        return TaskResult(item, answer.value, worker, seconds)
    return TaskFailure(item, answer.cause, kind=answer.kind)


def to_failure(item: Item, error: Exception) -> TaskFailure[Item]:
    """The failure of an item whose task raised."""
    return TaskFailure(item, describe(error), isinstance(error, FATAL))


def label(item: object) -> str:
    """The name of the shard that an item is about; empty if it is about none."""
    if isinstance(item, tuple):
        return next(filter(None, map(label, item)), "")
    shard = getattr(item, "shard", getattr(item, "name", item))
    return shard if isinstance(shard, str) else ""


def name(item: object) -> str:
    """An item in a message: "shard web-00001", or "a task" if it is about no shard."""
    shard = label(item)
    return f"shard {shard}" if shard else "a task"
