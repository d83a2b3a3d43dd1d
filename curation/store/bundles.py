"""Bundles: the manifests of many shards of a step in one file, so that a run over a dump does not have millions.

    manifests/<step>/<shard>.json          one manifest, until it is in a bundle
    manifests/<step>/bundle-07.parquet     manifests of many shards: one row each, sorted by shard
    manifests/<step>/signals-07.parquet    their histograms: one row per signal and shard
    performance/<step>/bundle-07.parquet   their times

A shard belongs to the bundle that its name gives, so the files depend only on which shards are done, not on when or in
how many attempts. A bundle is complete before the manifests in it are removed; until then the single manifest counts,
which is also how a shard that is made again replaces its row. Steps of fewer than BUNDLED_FROM shards are not bundled.

Histograms are 90 % of a manifest and only their sums are of interest, so they have files of their own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.errors import CurationError, DamagedManifest
from curation.running.overlap import overlapped
from curation.store.folder import Folder
from curation.store.shards import open_arrow

BUNDLES = 64
"""Bundles of a step: 1,400 manifests each for the 90,000 archives of a crawl."""

BUNDLED_FROM = 256
"""Shards of a step from which its manifests are bundled: four per bundle."""

ROW_GROUP = 128
"""Manifests per row group, which is what reading a single one costs."""

READERS = 16
"""Number of small files to read concurrently: an object store is slow per request, but serves many at once."""

WHOLE = "all"
"""The shard name in the manifest of a step that runs once for all shards (dedup, tokenizer)."""

LARGE = 1 << 20
"""Bytes from which such a manifest is in a bundle too: as JSON, the one of dedup has 300 bytes for each input."""

SIGNALS = "signals"
"""The key of the histograms in the counts of a manifest."""

_OUTPUT = pa.struct([("path", pa.string()), ("bytes", pa.int64()), ("hash", pa.string()), ("rows", pa.int64())])

MANIFESTS = pa.schema(
    [
        ("shard", pa.string()),
        ("fingerprint", pa.string()),
        ("outputs", pa.list_(_OUTPUT)),
        ("inputs", pa.string()),
        ("counts", pa.string()),
        ("signals", pa.int32()),
    ]
)
"""Columns of a bundle; inputs and counts are JSON, counts without histograms, of which there are `signals`."""

HISTOGRAMS = pa.schema(
    [
        ("signal", pa.string()),
        ("shard", pa.string()),
        ("edges", pa.string()),
        ("counts", pa.list_(pa.int64())),
        ("nulls", pa.int64()),
    ]
)
"""Columns of the histograms of a bundle; edges are JSON, which tells integers from other numbers."""

TIMES = pa.schema([("shard", pa.string()), ("values", pa.string())])

Values = Mapping[str, Any]


def bundle_of(shard: str) -> int:
    """The number of the bundle that a shard belongs to.

    >>> bundle_of("CC-MAIN-00001-b0e29c2a5c")
    17
    """
    return hashlib.blake2b(shard.encode(), digest_size=1).digest()[0] % BUNDLES


def manifest_path(step: str, shard: str) -> str:
    """Path of a single manifest in the output folder."""
    return f"manifests/{step}/{shard}.json"


def times_path(step: str, shard: str) -> str:
    """Path of the time and memory of a single shard in the output folder."""
    return f"performance/{step}/{shard}.json"


def bundle_path(step: str, number: int, kind: str = "bundle", top: str = "manifests") -> str:
    """Path of a bundle, or of its histograms (`kind` SIGNALS) or times (`top` "performance")."""
    return f"{top}/{step}/{kind}-{number:02x}.parquet"


def bundle_number(path: str, kind: str = "bundle") -> int | None:
    """The number of the bundle at a path in the output folder; None if it is no bundle, or not of this `kind`.

    >>> bundle_number("manifests/filter/bundle-1f.parquet"), bundle_number("manifests/filter/bundle-of.parquet")
    (31, None)
    """
    found = re.fullmatch(rf"(manifests|performance)/[^/]+/{kind}-([0-9a-f]{{2}})\.parquet", path)
    number = int(found[2], 16) if found else BUNDLES
    return number if number < BUNDLES else None


@dataclass(frozen=True, slots=True)
class StepFiles:
    """The manifests of a step as one listing shows them.

    Attributes:
        single: Shards with a manifest of their own, WHOLE included.
        bundles: Numbers of the bundles.
    """

    single: tuple[str, ...] = ()
    bundles: tuple[int, ...] = ()


def read_values(folder: Folder, step: str, shard: str) -> dict[str, Any] | None:
    """The content of a single manifest, or None if there is none (any more).

    Raises:
        DamagedManifest: It is no JSON object.
    """
    path = manifest_path(step, shard)
    with naming(folder, path):
        try:
            return {**folder.read_json(path)}
        except FileNotFoundError:
            return None


def list_step(folder: Folder, step: str, top: str = "manifests") -> StepFiles:
    """List the manifests of a step, or its times (`top` "performance")."""
    names = [path.removeprefix(f"{top}/{step}/") for path in folder.list(f"{top}/{step}")]
    single = tuple(name.removesuffix(".json") for name in names if name.endswith(".json") and "/" not in name)
    numbers = [bundle_number(f"{top}/{step}/{name}") for name in names]
    return StepFiles(single, tuple(number for number in numbers if number is not None))


@contextmanager
def naming(folder: Folder, path: str) -> Iterator[None]:
    """Turn errors about the content of a file into DamagedManifest, which names it and says what to do."""
    try:
        yield
    except CurationError:
        raise
    except (pa.ArrowException, ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise  # of the storage, while Arrow raises a plain OSError for what it cannot decode
        cause = f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]
        number = bundle_number(path, SIGNALS)
        what = "it" if number is None else f"it and bundle-{number:02x}.parquet"
        remedy = f"delete {what}, and the next run makes its shards again"
        raise DamagedManifest(f"{folder.url}/{path} is damaged ({cause}); {remedy}") from error


def _schema_of(path: str) -> pa.Schema:
    if path.startswith("performance/"):
        return TIMES
    return MANIFESTS if bundle_number(path, SIGNALS) is None else HISTOGRAMS


def read_bundle(folder: Folder, path: str, columns: Sequence[str] | None = None, shard: str | None = None) -> pa.Table:
    """Read a bundle: all columns or the named ones, of all shards or of one.

    Raises:
        DamagedManifest: It is no such file.
    """
    kind = _schema_of(path)
    schema = pa.schema([kind.field(name) for name in columns or kind.names])
    with naming(folder, path):
        # Not `pq.read_table`: what is wrong in the footer can make it wait forever.
        with open_arrow(folder, path) as file, pq.ParquetFile(file) as parquet:
            groups = [group for group in range(parquet.num_row_groups) if _has(parquet, group, shard)]
            table = parquet.read_row_groups(groups, list({*schema.names, "shard"}))
        if shard is not None:
            table = table.filter(pc.field("shard") == shard)
        table = table.select(schema.names).cast(schema)
        if any(column.null_count for column in table.columns):
            raise ValueError("a value is missing")
    return table


def _has(parquet: pq.ParquetFile, group: int, shard: str | None) -> bool:
    """Whether a row group has rows of a shard, or of any."""
    return shard is None or shard in parquet.read_row_group(group, ["shard"])["shard"].to_pylist()


def read_tables(folder: Folder, step: str, numbers: Iterable[int], columns: Sequence[str]) -> Iterator[pa.Table]:
    """These columns of the bundles of a step, one after another."""
    yield from overlapped(lambda number: read_bundle(folder, bundle_path(step, number), columns), numbers, 2)


def values_of(folder: Folder, step: str, row: Values) -> dict[str, Any]:
    """A row of a bundle as the JSON value of the manifest, without histograms."""
    with naming(folder, bundle_path(step, bundle_of(row["shard"]))):
        values = {"step": step, "inputs": json.loads(row["inputs"]), "counts": json.loads(row["counts"])}
    return {**values, **{name: row[name] for name in ("shard", "fingerprint", "outputs")}}


@dataclass(frozen=True, slots=True)
class BundleTask:
    """Single manifests to move into a bundle.

    Attributes:
        folder: The output folder.
        step: Name of the step.
        number: Number of the bundle.
        shards: The shards whose manifests are moved.
    """

    folder: Folder
    step: str
    number: int
    shards: tuple[str, ...]


def plan_bundles(folder: Folder, step: str) -> list[BundleTask]:
    """One task for each bundle of the step that single manifests belong to; none if there are few.

    Nothing else may write manifests of the step before the tasks have run.
    """
    files = list_step(folder, step)
    single = [shard for shard in files.single if shard != WHOLE]
    if not files.bundles and len(single) < BUNDLED_FROM:
        single = []
    if WHOLE in files.single and folder.size(manifest_path(step, WHOLE)) >= LARGE:
        single.append(WHOLE)
    by_number: dict[int, list[str]] = {}
    for shard in single:
        by_number.setdefault(bundle_of(shard), []).append(shard)
    return [BundleTask(folder, step, number, tuple(shards)) for number, shards in sorted(by_number.items())]


def bundle(task: BundleTask) -> int:
    """Write a bundle with the manifests that it has and the single ones, then remove those; returns their number."""
    folder, step = task.folder, task.step
    singles = [values for values in overlapped(partial(read_values, folder, step), task.shards, READERS) if values]
    rows = _NewRows(frozenset(values["shard"] for values in singles))
    for values in singles:
        rows.add(values)
    path = bundle_path(step, task.number)
    signals, times = bundle_path(step, task.number, SIGNALS), bundle_path(step, task.number, top="performance")
    measured = _times(folder, step, task.shards)
    before: list[pa.Table] = []
    with suppress(DamagedManifest):  # times are lost without harm
        before = _old(folder, times, measured["shard"].to_pylist())
    _write(folder, times, _sorted([*before, measured], TIMES, "shard"))
    _write(folder, signals, rows.histograms(_old(folder, signals, rows.shards)))
    _write(folder, path, _sorted([*_old(folder, path, rows.shards), rows.manifests()], MANIFESTS, "shard"))
    folder.remove_all([manifest_path(step, shard) for shard in task.shards])
    folder.remove_all([times_path(step, shard) for shard in measured["shard"].to_pylist()])
    return len(singles)


def keep_only(folder: Folder, step: str, keep: Callable[[str, str], bool]) -> set[str]:
    """Remove the manifests of a step, single or bundled, for which `keep(shard, fingerprint)` is false.

    Returns:
        The shards whose manifests were kept.
    """
    files = list_step(folder, step)
    kept: set[str] = set()
    outdated: list[str] = []
    for shard, values in zip(
        files.single, overlapped(partial(read_values, folder, step), files.single, READERS), strict=True
    ):
        if values and keep(shard, str(values.get("fingerprint"))):
            kept.add(shard)
        else:
            outdated.append(manifest_path(step, shard))
    folder.remove_all(outdated)
    for number in files.bundles:
        path, signals = bundle_path(step, number), bundle_path(step, number, SIGNALS)
        table = read_bundle(folder, path)
        pairs = zip(table["shard"].to_pylist(), table["fingerprint"].to_pylist(), strict=True)
        good = [keep(shard, current) for shard, current in pairs]
        shards = table["shard"].filter(pa.array(good, pa.bool_()))
        kept.update(shards.to_pylist())
        if len(shards) < len(table):
            gone = table["shard"].filter(pa.array([not each for each in good], pa.bool_())).to_pylist()
            _write(folder, path, table.filter(pa.array(good, pa.bool_())))
            _write(folder, signals, _concat(_old(folder, signals, gone), HISTOGRAMS))
    return kept


def read_signals(folder: Folder, step: str, number: int, columns: Sequence[str] | None = None) -> pa.Table:
    """The histograms of a bundle: all columns or the named ones, "shard" among them.

    Raises:
        DamagedManifest: They are not those of its shards.
    """
    path, signals = bundle_path(step, number), bundle_path(step, number, SIGNALS)
    expected = read_bundle(folder, path, ["shard", "signals"]).filter(pc.field("signals") > 0)
    table = read_bundle(folder, signals, columns) if folder.exists(signals) else HISTOGRAMS.empty_table()
    with naming(folder, signals):
        found = {each["values"]: each["counts"] for each in pc.value_counts(table["shard"]).to_pylist()}
        if found != dict(zip(*(column.to_pylist() for column in expected.columns), strict=True)):
            raise ValueError("histograms are missing, or of other shards")
    return table


def add_up(table: pa.Table, wanted: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """The sums of histograms over the shards in `wanted`, by signal; several if their edges differ."""
    table = table.filter(pc.is_in(table["shard"], value_set=pa.array(list(wanted), pa.string())))
    sums: dict[str, list[dict[str, Any]]] = {}
    names, edges = table["signal"].to_pylist(), table["edges"].to_pylist()
    first = 0
    for (signal, edge), rows in groupby(zip(names, edges, strict=True)):
        part = table.slice(first, length := sum(1 for _ in rows))
        first += length
        counts = part["counts"].combine_chunks().flatten().to_numpy().reshape(length, -1).sum(axis=0)
        nulls = int(pc.sum(part["nulls"]).as_py())
        sums.setdefault(signal, []).append({"edges": json.loads(edge), "counts": counts.tolist(), "nulls": nulls})
    return sums


@dataclass
class _NewRows:
    """The manifests to add to a bundle, as columns."""

    shards: frozenset[str]
    _columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in MANIFESTS.names})
    _histograms: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in HISTOGRAMS.names})

    def add(self, values: Values) -> None:
        counts = {name: value for name, value in values["counts"].items() if name != SIGNALS}
        histograms = values["counts"].get(SIGNALS, {})
        row = {**values, "inputs": _text(values["inputs"]), "counts": _text(counts), "signals": len(histograms)}
        for name, column in self._columns.items():
            column.append(row[name])
        for signal, histogram in histograms.items():
            row = {**histogram, "signal": signal, "shard": values["shard"], "edges": _text(histogram["edges"])}
            row["counts"] = np.asarray(histogram["counts"], np.int64)
            for name, column in self._histograms.items():
                column.append(row[name])

    def manifests(self) -> pa.Table:
        return pa.table(self._columns, schema=MANIFESTS)

    def histograms(self, old: Sequence[pa.Table]) -> pa.Table:
        """With the old ones: by signal, in the order in which the shards, sorted by name, have them."""
        table = _concat([*old, pa.table(self._histograms, schema=HISTOGRAMS)], HISTOGRAMS)
        names = table["signal"].to_pylist()
        order = sorted(range(len(names)), key=table["shard"].to_pylist().__getitem__)
        rank = {name: number for number, name in enumerate(dict.fromkeys(names[at] for at in order))}
        return table.take(pa.array(sorted(order, key=lambda at: rank[names[at]]), pa.int64()))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _times(folder: Folder, step: str, shards: Sequence[str]) -> pa.Table:
    def read(shard: str) -> str | None:
        with suppress(FileNotFoundError, ValueError):  # not synced: a power failure may have truncated it
            return _text(folder.read_json(times_path(step, shard)))
        return None

    texts = list(overlapped(read, shards, READERS))
    return pa.table({"shard": list(shards), "values": texts}, schema=TIMES).filter(pc.field("values").is_valid())


def _old(folder: Folder, path: str, without: Collection[str]) -> list[pa.Table]:
    """What a bundle has, except of these shards."""
    if not folder.exists(path):
        return []
    table = read_bundle(folder, path)
    return [table.filter(pc.invert(pc.is_in(table["shard"], value_set=pa.array(list(without), pa.string()))))]


def _concat(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([table.cast(schema) for table in tables] or [schema.empty_table()])


def _sorted(tables: Sequence[pa.Table], schema: pa.Schema, key: str) -> pa.Table:
    return _concat(tables, schema).sort_by(key)


def _write(folder: Folder, path: str, table: pa.Table) -> None:
    """Write a table atomically, or remove the file if it has no rows."""
    if not table.num_rows:
        folder.remove(path)
        return
    is_long = "signal" in table.schema.names
    with (
        folder.writing(path) as file,
        pq.ParquetWriter(
            pa.PythonFile(file, mode="w"),
            table.schema,
            compression="zstd",
            use_dictionary=["signal", "shard", "edges"] if is_long else False,
            column_encoding={"counts.list.element": "DELTA_BINARY_PACKED"} if is_long else None,
        ) as writer,
    ):
        writer.write_table(table.combine_chunks(), row_group_size=len(table) if is_long else ROW_GROUP)
