"""The part of `curate verify` that checks each file by itself: existence, content, columns and fingerprint."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from curation.errors import UnsafePath
from curation.jobs.inspect.verify.faults import Fault
from curation.jobs.steps.table import named, outputs
from curation.recipes.recipe import Recipe
from curation.stages.batch import Batch
from curation.stages.stage import signal_type
from curation.store import schema
from curation.store.folder import Folder
from curation.store.shards import Output, open_parquet, read_table

UNREADABLE = (OSError, pa.ArrowException, ValueError, KeyError, EOFError)
"""Exceptions that reading a damaged file raises."""

ANY = pa.struct([])
"""Stands for any struct."""


@dataclass(frozen=True, slots=True)
class FileTask:
    """One file to check.

    Attributes:
        output: The file as its manifest describes it.
        earlier: The file before a step that is rewriting it, or was when the run stopped.
        columns: Columns that it must have; None for any.
        fingerprint: Fingerprint that its metadata must have; None for any.
        may_be_older: Whether it may lack the columns and signals that earlier versions did not write.
    """

    output: Output
    earlier: Output | None = None
    columns: pa.Schema | None = None
    fingerprint: str | None = None
    may_be_older: bool = False


@dataclass(frozen=True, slots=True)
class FileCheck:
    """The result of checking a file.

    Attributes:
        path: Path of the file.
        faults: What is wrong with it.
        usable: Whether its rows can be read and checked.
        hash: Hash of its content; None if it could not be read.
    """

    path: str
    faults: tuple[Fault, ...]
    usable: bool
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class CheckFile:
    """Checks a file against its manifest; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, task: FileTask) -> FileCheck:
        """Compare size and hash with the manifest, then rows, columns and fingerprint."""
        output, path = task.output, task.output.path
        try:
            size, digest = self.folder.hash(path)
        except FileNotFoundError:
            return FileCheck(path, (Fault(path, "missing", f"a file of {output.bytes:,} bytes"),), False)
        except (OSError, UnsafePath) as error:
            return FileCheck(path, (Fault(path, f"cannot be read ({type(error).__name__}: {error})"),), False)
        faults = []
        if task.earlier is not None and self._is_under_way(task.earlier, size, digest):
            pass
        elif size != output.bytes:
            faults.append(Fault(path, f"{size:,} bytes", f"{output.bytes:,}, as its manifest says"))
        elif digest != output.hash:
            faults.append(Fault(path, f"its content has changed (hash {digest})", f"hash {output.hash}"))
        usable = True
        if path.endswith(".parquet"):
            inner, usable = self._check_content(task)
            faults += inner
        return FileCheck(path, tuple(faults), usable, digest)

    def _is_under_way(self, earlier: Output, size: int, digest: str) -> bool:
        """Whether a corpus file is as before encoding, or has its tokens counted but no manifest of that yet."""
        if (size, digest) == (earlier.bytes, earlier.hash):
            return True
        try:
            counts = read_table(self.folder, earlier.path, ["token_count"])["token_count"]
        except UNREADABLE:
            return False
        return bool(len(counts) and not counts.null_count)

    def _check_content(self, task: FileTask) -> tuple[list[Fault], bool]:
        path = task.output.path
        try:
            with open_parquet(self.folder, path) as parquet:
                rows, columns = parquet.metadata.num_rows, parquet.schema_arrow
                metadata = parquet.metadata.metadata or {}
        except UNREADABLE as error:
            return [Fault(path, f"not a readable Parquet file ({str(error).splitlines()[0]})")], False
        faults = []
        if rows != task.output.rows:
            faults.append(Fault(path, f"{rows:,} rows", f"{task.output.rows:,}, as its manifest says"))
        wanted = task.columns
        if wanted is not None and task.may_be_older:
            parts = [part for part in wanted if part.name in columns.names or part.name not in schema.LATER]
            wanted = pa.schema([part.with_type(ANY) if pa.types.is_struct(part.type) else part for part in parts])
        wrong = None if wanted is None else differing_column(columns, wanted)
        if wrong is not None:
            faults.append(Fault(path, f"wrong columns: {wrong[0]}", wrong[1]))
        own = metadata.get(b"curation.fingerprint", b"").decode(errors="replace")
        if task.fingerprint is not None and own != task.fingerprint:
            faults.append(Fault(path, f"has the fingerprint {own or '(none)'}", f"{task.fingerprint} (manifest)"))
        return faults, wrong is None


def differing_column(found: pa.Schema, wanted: pa.Schema) -> tuple[str, str] | None:
    """The first column that differs, and what was expected; None if the schemas are equal."""
    if found.names != wanted.names:
        missing = [name for name in wanted.names if name not in found.names]
        extra = [name for name in found.names if name not in wanted.names]
        problem = f"no {missing[0]}" if missing else f"unexpected {extra[0]}" if extra else "different order"
        return problem, ", ".join(wanted.names)
    for mine, theirs in zip(found, wanted, strict=True):
        if mine.type != theirs.type and not (theirs.type == ANY and pa.types.is_struct(mine.type)):
            return f"{mine.name} is {mine.type}", str(theirs.type)
    return None


def expected_columns(recipe: Recipe, same_versions: bool) -> dict[str, pa.Schema]:
    """The columns of the Parquet files below each path of the table of steps. An empty struct stands for any.

    Args:
        recipe: the run's.
        same_versions: whether the stages that are installed are those that made the run, and can be asked for signals.
    """
    empty = Batch(pa.RecordBatch.from_pylist([], schema=schema.RECORD))
    can_ask = same_versions and not recipe.without_code()
    signals = signal_type(recipe.stages, empty) if can_ask else ANY
    columns = {}
    for _, output in outputs():
        found = named(output.columns) if output.columns else None
        columns[output.prefix] = found(recipe, signals) if callable(found) else found
    return {prefix: found for prefix, found in columns.items() if found is not None}


def task_of(
    output: Output, earlier: Output | None, columns: dict[str, pa.Schema], fingerprint: str, may_be_older: bool
) -> FileTask:
    """The task to check a file that a manifest with this fingerprint lists; see `FileTask` and `expected_columns`."""
    wanted = next((found for prefix, found in columns.items() if output.path.startswith(prefix)), None)
    stamped = tuple(files.prefix for _, files in outputs() if files.stamped)
    return FileTask(output, earlier, wanted, fingerprint if output.path.startswith(stamped) else None, may_be_older)
