"""Finds documents in an output folder by id or URL, exact or similar, and inputs by path.

Files are scanned, not indexed: reading two columns takes a second for a hundred thousand documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow.fs import FSSpecHandler, PyFileSystem

from curation.errors import InputError
from curation.jobs.steps.plan import RUN, Plan
from curation.report.excerpts import harmless
from curation.store.folder import Folder
from curation.store.manifest import read_manifest
from curation.store.shards import shard_name

PLACES = ("corpus", "removed/filter", "removed/dedup", "documents")
"""Folders in which a document may be, the most informative first; documents/ only until the corpus is written."""

SUGGESTIONS = 5

_TRIMS = (
    ("^<?(urn:uuid:)?", ""),
    ("^[A-Za-z][A-Za-z0-9+.-]*://", ""),
    ("^(?i:www\\.)", ""),
    ("#.*$", ""),
    ("/*>?$", ""),
)
"""Allowed differences between two spellings of an address or id: scheme, www, fragment, trailing slashes, brackets."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LocatedDocument:
    """A document and where it is.

    Attributes:
        place: The folder of the output that has it.
        row: Its row there.
        requested: The requested key, if the document's id or URL is spelled differently.
    """

    place: str
    row: Row
    requested: str | None = None


def find_documents(plan: Plan, key: str) -> list[LocatedDocument]:
    """Find the documents with an id or URL, or else those of the only address that differs from it just in spelling.

    Raises:
        InputError: There are none; the message lists similar addresses.
    """
    documents = [LocatedDocument(place, row) for place, row in _rows(plan.folder, key)]
    if documents:
        return documents
    spellings, near = _near(plan.folder, key)
    if len(spellings) == 1:
        return [LocatedDocument(place, row, key) for place, row in _rows(plan.folder, spellings[0])]
    raise InputError(f"{key}: no document with this id or URL in {plan.folder.url}{_hint(plan, spellings or near)}")


def _hint(plan: Plan, near: Sequence[str]) -> str:
    listed = "; similar: " + ", ".join(map(harmless, near)) if near else ""
    return f"{listed}. Records skipped while reading have no row; explain their archive to see what was skipped."


def _open(folder: Folder, paths: Sequence[str]) -> Any | None:
    files = PyFileSystem(FSSpecHandler(folder.fs))
    return ds.dataset(list(map(folder.path, paths)), format="parquet", filesystem=files) if paths else None


def _matching(folder: Folder, place: str, wanted: Any) -> list[Row]:
    """Matching rows of a folder. Only files with such a row are read in full, because texts are most of a file."""
    dataset = _open(folder, folder.list(place, ".parquet"))
    if dataset is None:
        return []
    archives = dataset.to_table(columns=["file_path"], filter=wanted)["file_path"].unique().to_pylist()
    files = _open(folder, [f"{place}/{shard_name(archive)}.parquet" for archive in archives])
    rows: list[Row] = files.to_table(filter=wanted).to_pylist() if files is not None else []
    return rows


def _rows(folder: Folder, key: str) -> Iterator[tuple[str, Row]]:
    """Rows with this id or URL and their folders; a document is returned only from the first folder that has it."""
    wanted = (ds.field("id") == key) | (ds.field("url") == key)
    seen: set[tuple[str, str, int | None]] = set()
    for place in PLACES:
        rows = _matching(folder, place, wanted)
        new = [row for row in rows if (row["file_path"], row["id"], row["warc_offset"]) not in seen]
        seen.update((row["file_path"], row["id"], row["warc_offset"]) for row in new)
        yield from ((place, row) for row in new)


def simplified(keys: pa.Array) -> pa.Array:
    """Normalize the spelling of addresses or ids: "https://www.a.org/b/" and "a.org/b" → "a.org/b"."""
    keys = pc.utf8_lower(pc.fill_null(keys, ""))
    for pattern, replacement in _TRIMS:
        keys = pc.replace_substring_regex(keys, pattern, replacement)
    return keys


def _near(folder: Folder, key: str) -> tuple[list[str], list[str]]:
    """Up to SUGGESTIONS ids and addresses that differ only in spelling, and as many with the key's host in them."""
    wanted = simplified(pa.array([key], pa.string()))[0].as_py()
    if not wanted:
        return [], []
    host = re.split(r"[/?]", wanted)[0]
    same: set[str] = set()
    near: set[tuple[bool, int, str]] = set()
    for place in PLACES:
        dataset = _open(folder, folder.list(place, ".parquet"))
        for batch in dataset.to_batches(columns=["id", "url"]) if dataset is not None else ():
            for column in ("id", "url"):
                values = pc.fill_null(batch[column], "")
                simple = simplified(values)
                same.update(values.filter(pc.equal(simple, wanted)).to_pylist())
                begun = pc.match_substring(simple, host)
                pairs = zip(simple.filter(begun).to_pylist(), values.filter(begun).to_pylist(), strict=True)
                near.update((wanted not in other, -_common(wanted, other), value) for other, value in pairs)
                near = set(sorted(near)[:SUGGESTIONS])
    return sorted(same)[:SUGGESTIONS], [value for *_, value in sorted(near)]


def _common(left: str, right: str) -> int:
    """Length of the common prefix of two texts."""
    return next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


@dataclass(frozen=True, slots=True)
class InputFacts:
    """An input of the run.

    Attributes:
        path: Path of the input.
        shard: Name of its shard.
        done: Whether the filter step is done with it.
        cause: Why it was quarantined, if it was.
        read: Counts of what was read and skipped.
    """

    path: str
    shard: str
    done: bool
    cause: str | None
    read: dict[str, int]


def find_inputs(plan: Plan, key: str) -> list[InputFacts]:
    """Find the inputs whose path, last parts of the path, or shard is `key`."""
    causes = {entry["path"]: entry["cause"] for entry in plan.folder.read_json(RUN)["quarantined"]}
    inputs = []
    for source in plan.inputs:
        if key and (key in (source.path, source.shard) or source.path.endswith(f"/{key}")):
            manifest = read_manifest(plan.folder, "filter", source.shard)
            read = dict(manifest.counts["read"]) if manifest is not None else {}
            inputs.append(InputFacts(source.path, source.shard, manifest is not None, causes.get(source.path), read))
    return inputs
