"""`curate verify`: proves that an output folder is complete and intact, and names the first thing that is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.parquet as pq

from curation import schema
from curation.cluster import Cluster
from curation.jobs.plan import RUN, Plan
from curation.manifest import read_manifest
from curation.shards import Output, read_table
from curation.storage import Folder

STEP_ORDER = ("filter", "dedup", "corpus", "train-tokenizer", "encode", "tokens")
"""A later step may rewrite a file of an earlier one (encoding fills token_count); the last to name it holds."""


@dataclass(frozen=True, slots=True)
class CheckFile:
    """Whether one file is what its manifest says; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, output: Output) -> str | None:
        """What is wrong with the file, or None."""
        try:
            size, digest = self.folder.hash(output.path)
        except FileNotFoundError:
            return f"{output.path}: missing"
        if size != output.bytes:
            return f"{output.path}: {size} bytes, its manifest says {output.bytes}"
        if digest != output.hash:
            return f"{output.path}: its content is not what was written (hash {digest}, manifest {output.hash})"
        return self._check_table(output) if output.path.endswith(".parquet") else None

    def _check_table(self, output: Output) -> str | None:
        with self.folder.open(output.path) as file:
            parquet = pq.ParquetFile(file)
            rows, columns = parquet.metadata.num_rows, parquet.schema_arrow
        if rows != output.rows:
            return f"{output.path}: {rows} rows, its manifest says {output.rows}"
        if output.path.startswith(("documents/", "corpus/")) and not columns.equals(schema.DOCUMENT):
            return f"{output.path}: columns differ from the schema of documents"
        return None


def expected_outputs(folder: Folder) -> dict[str, Output]:
    """Every file that the manifests name, by path, as the last step that wrote it describes it."""
    found: dict[str, Output] = {}
    manifests = folder.list("manifests", ".json")
    for step in STEP_ORDER:
        for path in manifests:
            if path.startswith(f"manifests/{step}/"):
                manifest = read_manifest(folder, step, path.removeprefix(f"manifests/{step}/").removesuffix(".json"))
                if manifest is not None:
                    found |= {output.path: output for output in manifest.outputs}
    return found


def verify(plan: Plan, cluster: Cluster) -> Iterator[str]:
    """Everything wrong with the run, in order; nothing if it is complete and intact."""
    for check in (_check_shards, _check_files, _check_accounts):
        yield from check(plan, cluster)


def _check_shards(plan: Plan, cluster: Cluster) -> Iterator[str]:
    quarantined = {entry["path"] for entry in plan.folder.read_json(RUN)["quarantined"]}
    for source in plan.inputs:
        if source.path in quarantined:
            continue
        for step in ("filter", "corpus", "encode"):
            if read_manifest(plan.folder, step, source.shard) is None:
                yield f"{source.path}: no manifest of step {step}, so it is not done"
    for step in ("dedup", "train-tokenizer", "tokens"):
        if read_manifest(plan.folder, step, "all") is None:
            yield f"step {step}: no manifest, so it is not done"


def _check_files(plan: Plan, cluster: Cluster) -> Iterator[str]:
    outputs = expected_outputs(plan.folder)
    for wrong in cluster.gather(CheckFile(plan.folder), list(outputs.values())):
        if wrong is not None:
            yield wrong
    for path in plan.folder.list("", ".parquet"):
        if path not in outputs:
            yield f"{path}: no manifest names it"


def _check_accounts(plan: Plan, cluster: Cluster) -> Iterator[str]:
    """Every document read is in exactly one of corpus/ and removed/, under an id that no other has."""
    shards = [source.shard for source in plan.inputs if read_manifest(plan.folder, "corpus", source.shard) is not None]
    yield from (wrong for wrong in cluster.gather(CheckAccount(plan.folder), shards) if wrong is not None)


@dataclass(frozen=True, slots=True)
class CheckAccount:
    """Whether a shard's documents add up; a picklable task for the cluster."""

    folder: Folder

    def __call__(self, shard: str) -> str | None:
        """What does not add up in the shard, or None."""
        filtered = read_manifest(self.folder, "filter", shard)
        if filtered is None:
            return f"{shard}: no manifest of step filter"
        entered = next(iter(filtered.counts["stages"].values()), {"documents_in": 0})["documents_in"]
        seen: set[tuple[str, int]] = set()
        total = 0
        for path in (f"corpus/{shard}.parquet", f"removed/filter/{shard}.parquet", f"removed/dedup/{shard}.parquet"):
            if not self.folder.exists(path):
                return f"{path}: missing"
            table = read_table(self.folder, path, ["id", "warc_offset"])
            total += table.num_rows
            seen.update(zip(table["id"].to_pylist(), table["warc_offset"].to_pylist(), strict=True))
        if total != entered:
            return f"{shard}: {entered} documents read, {total} kept or removed"
        if len(seen) != total:
            return f"{shard}: {total - len(seen)} documents are there twice, kept and removed or under one id"
        return None
