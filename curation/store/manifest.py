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
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from curation.running.overlap import overlapped
from curation.store.folder import Folder
from curation.store.shards import Output

WHOLE = "all"
"""The shard name in the manifest of a step that runs once for all shards (dedup, tokenizer)."""

READERS = 16
"""Number of small files to read concurrently: an object store is slow per request, but serves many at once."""


def fingerprint(*parts: Any) -> str:
    """Hexadecimal blake2b-128 of plain values (strings, numbers, booleans, None, and lists or mappings of them).

    Raises:
        TypeError: A value is of another type: an object whose `repr` contains its address would never match again.
    """
    return hashlib.blake2b(_canonical(parts).encode(), digest_size=16).hexdigest()


def _canonical(value: Any) -> str:
    def refuse(other: object) -> None:
        raise TypeError(f"cannot fingerprint a {type(other).__name__}: {other!r}")

    return json.dumps(value, sort_keys=True, default=refuse, separators=(",", ":"))


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
            folder.write_json(f"performance/{self.step}/{self.shard}.json", performance, sync=False)
        folder.write_json(manifest_path(self.step, self.shard), asdict(self), indent=None)  # histograms are long


def manifest_path(step: str, shard: str) -> str:
    """Path of a manifest in the output folder."""
    return f"manifests/{step}/{shard}.json"


def read_manifest(folder: Folder, step: str, shard: str) -> Manifest | None:
    """The manifest of a shard, or None if the shard is not done."""
    try:
        values = folder.read_json(manifest_path(step, shard))
    except FileNotFoundError:
        return None
    return Manifest(**{**values, "outputs": [Output(**output) for output in values["outputs"]]})


def step_counts(folder: Folder, step: str, shards: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """The counts of a step in the order of the shards, without the shards that are not done."""
    manifests = overlapped(partial(read_manifest, folder, step), shards, READERS)
    return (manifest.counts for manifest in manifests if manifest is not None)


def is_done(folder: Folder, step: str, shard: str, expected: str) -> Manifest | None:
    """The manifest if it exists and has the expected fingerprint, else None."""
    manifest = read_manifest(folder, step, shard)
    return manifest if manifest is not None and manifest.fingerprint == expected else None
