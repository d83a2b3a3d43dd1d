"""The part of `curate verify` that looks at each file by itself: there, whole, of the right columns, of this run."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from curation.jobs.inspect.verify.faults import Fault
from curation.jobs.steps.table import named, outputs
from curation.recipes.recipe import Recipe
from curation.stages.batch import Batch
from curation.stages.stage import signal_type
from curation.store import schema
from curation.store.folder import Folder
from curation.store.shards import Output, read_table

UNREADABLE = (OSError, pa.ArrowException, ValueError, KeyError, EOFError)
"""What reading a damaged file raises."""


@dataclass(frozen=True, slots=True)
class FileTask:
    """One file to look at. columns: those it must have, None if any will do; mark: fingerprint in its metadata.

    earlier: what it was before the step that is at work on it now, or was when the run stopped.
    """

    output: Output
    earlier: Output | None = None
    columns: pa.Schema | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What was seen of a file. usable: its rows can be read and looked into; hash: None if there is no file."""

    path: str
    faults: tuple[Fault, ...]
    usable: bool
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class CheckFile:
    """Whether one file is what its manifest says; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, task: FileTask) -> FileCheck:
        """Size and hash against the manifest, then rows, columns and fingerprint."""
        output, path = task.output, task.output.path
        try:
            size, digest = self.folder.hash(path)
        except FileNotFoundError:
            return FileCheck(path, (Fault(path, "missing", f"a file of {output.bytes:,} bytes"),), False)
        except OSError as error:
            return FileCheck(path, (Fault(path, f"cannot be read ({type(error).__name__}: {error})"),), False)
        faults = []
        if task.earlier is not None and self._is_under_way(task.earlier, size, digest):
            pass
        elif size != output.bytes:
            faults.append(Fault(path, f"{size:,} bytes", f"{output.bytes:,}, as its manifest says"))
        elif digest != output.hash:
            faults.append(Fault(path, f"its content is not what was written (hash {digest})", f"hash {output.hash}"))
        usable = True
        if path.endswith(".parquet"):
            found, usable = self._look_inside(task)
            faults += found
        return FileCheck(path, tuple(faults), usable, digest)

    def _is_under_way(self, earlier: Output, size: int, digest: str) -> bool:
        """Whether a file of the corpus is as before encoding, or has its tokens counted but no manifest of that yet."""
        if (size, digest) == (earlier.bytes, earlier.hash):
            return True
        try:
            counts = read_table(self.folder, earlier.path, ["token_count"])["token_count"]
        except UNREADABLE:
            return False
        return bool(len(counts) and not counts.null_count)

    def _look_inside(self, task: FileTask) -> tuple[list[Fault], bool]:
        path = task.output.path
        try:
            with self.folder.open(path) as file, pq.ParquetFile(file) as parquet:
                rows, columns = parquet.metadata.num_rows, parquet.schema_arrow
                metadata = parquet.metadata.metadata or {}
        except UNREADABLE as error:
            return [Fault(path, f"is no readable Parquet file ({str(error).splitlines()[0]})")], False
        faults = []
        if rows != task.output.rows:
            faults.append(Fault(path, f"{rows:,} rows", f"{task.output.rows:,}, as its manifest says"))
        wrong = None if task.columns is None else differing_column(columns, task.columns)
        if wrong is not None:
            faults.append(Fault(path, f"its columns are not those of the contract: {wrong[0]}", wrong[1]))
        mark = metadata.get(b"curation.fingerprint", b"").decode(errors="replace")
        if task.mark is not None and mark != task.mark:
            faults.append(Fault(path, f"was made under the fingerprint {mark or '(none)'}", f"{task.mark} (manifest)"))
        return faults, wrong is None


def differing_column(found: pa.Schema, wanted: pa.Schema) -> tuple[str, str] | None:
    """The first column that differs, and what it should be; None if there is none."""
    if found.names != wanted.names:
        missing = [name for name in wanted.names if name not in found.names]
        extra = [name for name in found.names if name not in wanted.names]
        told = f"no {missing[0]}" if missing else f"{extra[0]} as well" if extra else "another order"
        return told, ", ".join(wanted.names)
    for mine, theirs in zip(found, wanted, strict=True):
        if mine.type != theirs.type and not (theirs.type == pa.struct([]) and pa.types.is_struct(mine.type)):
            return f"{mine.name} is {mine.type}", str(theirs.type)
    return None


def expected_columns(recipe: Recipe, same_versions: bool) -> dict[str, pa.Schema]:
    """The columns of the Parquet files below each path of the table of steps. An empty struct stands for any.

    Args:
        recipe: the run's.
        same_versions: whether the stages that are installed are those that made the run, and can be asked for signals.
    """
    empty = Batch(pa.RecordBatch.from_pylist([], schema=schema.RECORD))
    signals = signal_type(recipe.stages, empty) if same_versions else pa.struct([])
    columns = {}
    for _, output in outputs():
        found = named(output.columns) if output.columns else None
        columns[output.prefix] = found(recipe, signals) if callable(found) else found
    return {prefix: found for prefix, found in columns.items() if found is not None}


def task_of(output: Output, earlier: Output | None, columns: dict[str, pa.Schema], mark: str) -> FileTask:
    """What to check of a file that a manifest of the fingerprint `mark` names."""
    wanted = next((found for prefix, found in columns.items() if output.path.startswith(prefix)), None)
    stamped = tuple(files.prefix for _, files in outputs() if files.stamped)
    return FileTask(output, earlier, wanted, mark if output.path.startswith(stamped) else None)
