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

from curation.errors import InputError
from curation.jobs.steps.plan import Plan
from curation.running.terminal import one_line
from curation.store.folder import Folder
from curation.store.manifest import read_manifest
from curation.store.paths import RUN
from curation.store.shards import read_numbered, read_shard, rows_at, shard_of

PLACES = ("corpus", "removed/filter", "removed/dedup", "documents")
"""Folders in which a document may be, the most informative first; documents/ only until the corpus is written."""

SCAN_ROWS = 16_384
"""Documents scanned at once."""

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
        shard: The name of the file there, which is that of its shard.
        row: Its row there.
        requested: The requested key, if the document's id or URL is spelled differently.
    """

    place: str
    shard: str
    row: Row
    requested: str | None = None


def find_documents(plan: Plan, key: str) -> list[LocatedDocument]:
    """Find the documents with an id or URL, or else those of the only address that differs from it just in spelling.

    Raises:
        InputError: There are none; the message lists similar addresses.
    """
    documents = [LocatedDocument(*found) for found in _rows(plan.folder, key)]
    if documents:
        return documents
    spellings, near = _near(plan.folder, key)
    if len(spellings) == 1:
        return [LocatedDocument(*found, key) for found in _rows(plan.folder, spellings[0])]
    raise InputError(f"{key}: no document with this id or URL in {plan.folder.url}{_hint(spellings or near)}")


def _hint(near: Sequence[str]) -> str:
    listed = "; similar: " + ", ".join(map(one_line, near)) if near else ""
    return f"{listed}. Records skipped while reading have no row; explain their archive to see what was skipped."


def _matching(folder: Folder, place: str, key: str) -> Iterator[tuple[str, Row]]:
    """Shards and rows of a folder with this id or URL. Only row groups with such a row are read in full."""
    for path in folder.list(place, ".parquet"):
        found: list[int] = []
        for numbers, batch in read_numbered(folder, path, ["id", "url"], SCAN_ROWS):
            wanted = pc.or_kleene(pc.equal(batch["id"], key), pc.equal(batch["url"], key)).fill_null(False)
            found += numbers[wanted.to_numpy(zero_copy_only=False)].tolist()
        if found:
            shard = path.removeprefix(f"{place}/").removesuffix(".parquet")
            yield from ((shard, row) for row in rows_at(folder, path, found).to_pylist())


def _rows(folder: Folder, key: str) -> Iterator[tuple[str, str, Row]]:
    """Folder, shard and row of each document with this id or URL, only from the first folder that has it."""
    seen: set[tuple[Any, ...]] = set()
    for place in PLACES:
        keyed = [(_key(row), shard, row) for shard, row in _matching(folder, place, key)]
        yield from ((place, shard, row) for known, shard, row in keyed if known not in seen)
        seen.update(known for known, _, _ in keyed)


def _key(row: Row) -> tuple[Any, ...]:
    """What tells a document from all others; runs of earlier versions have no column `row`."""
    return row["file_path"], row["id"], row["warc_offset"], row.get("row")


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
        paths = folder.list(place, ".parquet")
        for batch in (batch for path in paths for batch in read_shard(folder, path, ["id", "url"], SCAN_ROWS)):
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
    causes = {shard_of(entry): entry["cause"] for entry in plan.folder.read_json(RUN)["quarantined"]}
    inputs = []
    for source in plan.inputs:
        if key and (key in (source.path, source.shard) or source.path.endswith(f"/{key}")):
            manifest = read_manifest(plan.folder, "filter", source.shard)
            read = dict(manifest.counts["read"]) if manifest is not None else {}
            inputs.append(InputFacts(source.path, source.shard, manifest is not None, causes.get(source.shard), read))
    return inputs
