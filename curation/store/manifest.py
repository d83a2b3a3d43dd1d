"""Manifests: the record of one finished shard of one step. Written last, so no manifest means not done.

On resume, a shard is done if its manifest exists and has the fingerprint that this run would write. The fingerprint
covers the parameters, versions and models of the step, the identity of its input and, through the fingerprints of
earlier steps, everything upstream. Time and memory are not in a manifest: they differ between runs and are stored in
performance/, the only place whose bytes may differ between equal runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import pyarrow as pa

from curation.errors import DamagedManifest
from curation.running.overlap import overlapped
from curation.store import bundles
from curation.store.bundles import (
    MANIFESTS,
    READERS,
    SIGNALS,
    WHOLE,
    bundle_of,
    bundle_path,
    list_step,
    manifest_path,
    naming,
    read_bundle,
    read_values,
    times_path,
    values_of,
)
from curation.store.folder import Folder
from curation.store.shards import Output

__all__ = [
    "READERS",
    "WHOLE",
    "Manifest",
    "counts_by_shard",
    "fingerprint",
    "fingerprints",
    "histogram_sums",
    "is_done",
    "manifest_path",
    "manifest_steps",
    "read_manifest",
    "read_manifests",
    "read_single",
    "read_times",
    "step_counts",
    "step_times",
]


def fingerprint(*parts: Any) -> str:
    """Hexadecimal blake2b-128 of plain values (strings, numbers, booleans, None, and lists or mappings of them).

    Raises:
        TypeError: A value is of another type: an object whose `repr` contains its address would never match again.
    """
    return hashlib.blake2b(_canonical(parts).encode(), digest_size=16).hexdigest()


def _refuse(other: object) -> None:
    raise TypeError(f"cannot fingerprint a {type(other).__name__}: {other!r}")


_canonical = json.JSONEncoder(sort_keys=True, default=_refuse, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Manifest:
    """The record of one finished shard of one step.

    Attributes:
        step: Name of the step.
        shard: Name of the shard, or `WHOLE`.
        fingerprint: Fingerprint of everything the outputs depend on.
        inputs: Description of each input.
        outputs: Files that were written.
        counts: Counts by name, equal for equal runs.
    """

    step: str
    shard: str
    fingerprint: str
    inputs: Sequence[Mapping[str, Any]] = ()
    outputs: Sequence[Output] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Folder, performance: Mapping[str, Any] | None = None) -> None:
        """Write performance/<step>/<shard>.json, if given, then manifests/<step>/<shard>.json: the shard is done."""
        if performance is not None:
            folder.write_json(times_path(self.step, self.shard), performance, sync=False)
        values = {each.name: getattr(self, each.name) for each in fields(self)}  # copying all counts would take longer
        values["outputs"] = [asdict(output) for output in self.outputs]
        folder.write_json(manifest_path(self.step, self.shard), values, indent=None)  # histograms are long


def read_manifest(folder: Folder, step: str, shard: str) -> Manifest | None:
    """The manifest of a shard, or None if the shard is not done. For many shards, use a function that reads them all.

    The counts have no histograms if the manifest is in a bundle.
    """
    if (single := read_single(folder, step, shard)) is not None:
        return single
    try:
        rows = read_bundle(folder, bundle_path(step, bundle_of(shard)), shard=shard).to_pylist()
    except FileNotFoundError:
        return None
    return _manifest(values_of(folder, step, rows[0])) if rows else None


def read_single(folder: Folder, step: str, shard: str) -> Manifest | None:
    """The manifest of a shard that has a file of its own, or None if it has not."""
    values = read_values(folder, step, shard)
    if values is None:
        return None
    with naming(folder, manifest_path(step, shard)):
        return _manifest(values)


def is_done(folder: Folder, step: str, shard: str, expected: str) -> Manifest | None:
    """The manifest if it exists and has the expected fingerprint, else None."""
    manifest = read_manifest(folder, step, shard)
    return manifest if manifest is not None and manifest.fingerprint == expected else None


def _manifest(values: Mapping[str, Any]) -> Manifest:
    return Manifest(**{**values, "outputs": [Output(**output) for output in values["outputs"]]})


def read_manifests(folder: Folder, step: str) -> Iterator[Manifest]:
    """All manifests of a step, in no particular order and without counts."""
    single: set[str] = set()
    for manifest in _singles(folder, step, files := list_step(folder, step)):
        single.add(manifest.shard)
        yield replace(manifest, counts={})
    columns = [name for name in MANIFESTS.names if name != "counts"]
    for table in bundles.read_tables(folder, step, files.bundles, columns):
        for row in table.to_pylist():
            if row["shard"] not in single:
                yield _manifest(values_of(folder, step, {**row, "counts": "{}"}))


def fingerprints(folder: Folder, step: str) -> dict[str, str]:
    """The fingerprint of every manifest of a step, by shard."""
    files = list_step(folder, step)
    found: dict[str, str] = {}
    for table in bundles.read_tables(folder, step, files.bundles, ["shard", "fingerprint"]):
        found.update(zip(table["shard"].to_pylist(), table["fingerprint"].to_pylist(), strict=True))
    return found | {manifest.shard: manifest.fingerprint for manifest in _singles(folder, step, files)}


def step_counts(folder: Folder, step: str, shards: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """The counts of a step in the order of the shards, without the shards that are not done.

    Those of bundled manifests have no histograms, which `histogram_sums` adds up.
    """
    return (counts for _, counts in counts_by_shard(folder, step, shards))


def counts_by_shard(folder: Folder, step: str, shards: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Like `step_counts`, each with the name of its shard."""
    files = list_step(folder, step)
    single = set(files.single)
    texts: dict[str, pa.StringScalar] = {}
    for table in bundles.read_tables(folder, step, files.bundles, ["shard", "counts"]):
        texts |= zip(table["shard"].to_pylist(), table["counts"], strict=True)

    def read(shard: str) -> Mapping[str, Any] | None:
        if shard in single and (manifest := read_manifest(folder, step, shard)) is not None:
            return manifest.counts
        if shard not in texts:
            return None
        with naming(folder, bundle_path(step, bundle_of(shard))):
            return dict(json.loads(texts[shard].as_py()))

    wanted = [shard for shard in shards if shard in single or shard in texts]
    counted = overlapped(read, wanted, READERS) if single else map(read, wanted)
    yield from ((shard, counts) for shard, counts in zip(wanted, counted, strict=True) if counts is not None)


def histogram_sums(folder: Folder, step: str, shards: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """Histograms by signal, in parts that add up to those of these shards; there are fewer parts than shards."""
    files, wanted = list_step(folder, step), dict.fromkeys(shards)
    listed = set(files.single)
    single = [shard for shard in wanted if shard in listed]
    for manifest in overlapped(lambda shard: read_manifest(folder, step, shard), single, READERS):
        if manifest is not None:
            yield manifest.counts.get(SIGNALS, {})
    bundled = wanted.keys() - set(single)
    for number in files.bundles:
        table = bundles.read_signals(folder, step, number)
        with naming(folder, bundle_path(step, number, SIGNALS)):
            parts = bundles.add_up(table, bundled)
        for signal, sums in parts.items():
            yield from ({signal: histogram} for histogram in sums)


def manifest_steps(folder: Folder, top: str = "manifests") -> list[str]:
    """The steps that have manifests, or times (`top` "performance")."""
    return sorted({path.split("/")[1] for path in folder.list(top) if path.count("/") == 2})


def step_times(folder: Folder, step: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Shard, and time and memory of its task, of every task that was measured; empty if a crash truncated them."""
    files = list_step(folder, step, "performance")
    single = set(files.single)
    values = overlapped(lambda shard: _single_times(folder, step, shard), files.single, READERS)
    yield from zip(files.single, values, strict=True)
    for number in files.bundles:
        path = bundle_path(step, number, top="performance")
        with suppress(DamagedManifest), naming(folder, path):
            for row in read_bundle(folder, path).to_pylist():
                if row["shard"] not in single:
                    yield row["shard"], json.loads(row["values"])


def read_times(folder: Folder, step: str, shard: str) -> Mapping[str, Any]:
    """Time and memory of the task that made a shard; empty if they are missing. `step_times` reads all."""
    path = bundle_path(step, bundle_of(shard), top="performance")
    if not folder.exists(times_path(step, shard)) and folder.exists(path):
        with suppress(DamagedManifest), naming(folder, path):
            return dict(json.loads(read_bundle(folder, path, shard=shard)["values"].to_pylist()[0]))
    return _single_times(folder, step, shard)


def _single_times(folder: Folder, step: str, shard: str) -> Mapping[str, Any]:
    try:
        values: Mapping[str, Any] = folder.read_json(times_path(step, shard))
    except (ValueError, FileNotFoundError):
        return {}
    return values


def _singles(folder: Folder, step: str, files: bundles.StepFiles) -> Iterator[Manifest]:
    """The manifests that were single when they were listed."""
    found = overlapped(lambda shard: read_manifest(folder, step, shard), files.single, READERS)
    return (manifest for manifest in found if manifest is not None)
