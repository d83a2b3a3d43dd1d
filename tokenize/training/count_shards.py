"""The counting tasks: count the pre-tokens of a corpus shard into a sorted run, and merge several runs into one.

Both write to COUNTS in the output folder, where the driver and other tasks can read the runs on any file system; a run
appears only once it is complete. A shard's run has a manifest, whose counts say what was read and how much was cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from curation.arrays import Bools
from curation.running.performance import Meter
from curation.running.versions import library_version
from curation.store.folder import Folder
from curation.store.hashing import hash_strings
from curation.store.manifest import Manifest, fingerprint
from curation.store.paths import CORPUS
from curation.store.shards import open_parquet
from curation.tokenize.training.counter import Counter
from curation.tokenize.training.memory import release_memory
from curation.tokenize.training.pretokens import Splitter, flat_text
from curation.tokenize.training.settings import TokenizerSettings
from curation.tokenize.training.sorted_counts import merge_runs, read_run, write_run

STEP = "count"
COUNTS = "tokenizer/counts"
"""Folder of the intermediate files."""

BATCH_ROWS = 256

FAN_IN = 64
"""Runs merged at once: a task holds one chunk of each, about 50 MB."""


@dataclass(frozen=True, slots=True)
class CountTask:
    """One corpus shard to count.

    Attributes:
        folder: The output folder.
        shard: Name of the corpus shard.
        settings: Recipe table [tokenizer].
        fingerprint: Fingerprint of the counts, see `count_fingerprint`.
    """

    folder: Folder
    shard: str
    settings: TokenizerSettings
    fingerprint: str

    @property
    def path(self) -> str:
        """Path of its run."""
        return f"{COUNTS}/{self.fingerprint}/{self.shard}.arrow"

    def size(self) -> int:
        """Bytes of the shard's Parquet."""
        return self.folder.size(CORPUS.path(self.shard))


@dataclass(frozen=True, slots=True)
class MergeTask:
    """Runs to merge into one.

    Attributes:
        folder: The output folder.
        fingerprint: Fingerprint of the counts.
        runs: Paths of the runs.
    """

    folder: Folder
    fingerprint: str
    runs: tuple[str, ...]

    @property
    def path(self) -> str:
        """Path of the merged run, which is named after the runs in it."""
        return f"{COUNTS}/{self.fingerprint}/merged-{fingerprint(self.runs)}.arrow"


def count_fingerprint(settings: TokenizerSettings, upstream: str) -> str:
    """Fingerprint of the counts: covers the corpus (fingerprint `upstream`) and the settings that affect counting."""
    values = [settings.split_pattern, settings.max_pretoken_bytes, settings.sample, settings.sample_seed]
    return fingerprint(STEP, settings.version, library_version("tokenizers"), values, upstream)


def count_shard(task: CountTask) -> dict[str, int]:
    """Count the pre-tokens of a shard's documents, or of a sample of them; returns documents in and counted."""
    meter = Meter()
    settings, scratch = task.settings, f"{COUNTS}/{task.fingerprint}/{task.shard}"
    counter = Counter(Splitter(settings.split_pattern), settings.max_pretoken_bytes, (task.folder, scratch))
    with meter.timed("count"):
        documents, chosen = _count(task, counter)
    with meter.timed("write"):
        run = write_run(task.folder, task.path, counter.runs())
        counter.clear()
    seen = counter.totals
    counts = {"documents": documents, "sampled": chosen, "bytes": seen.bytes, "pretokens": seen.pretokens}
    counts |= {"distinct": run.rows, "cut": seen.cut, "spilled": counter.spilled}
    Manifest(STEP, task.shard, task.fingerprint, counts=counts).write(task.folder, meter.report())
    release_memory()
    return {"documents_in": documents, "documents_out": chosen}


def _count(task: CountTask, counter: Counter) -> tuple[int, int]:
    """Count the texts of a shard; returns the number of documents and how many of them are in the sample."""
    documents = chosen = 0
    with open_parquet(task.folder, CORPUS.path(task.shard)) as parquet:
        # Decoded in this thread only: Arrow would keep for other threads the memory that they free.
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=["id", "text"], use_threads=False):
            rows = sampled(batch.column("id"), task.settings)
            texts = batch.column("text") if rows.all() else batch.column("text").filter(pa.array(rows))
            documents, chosen = documents + len(rows), chosen + len(texts)
            counter.add(flat_text(texts))
    return documents, chosen


def sampled(ids: pa.StringArray, settings: TokenizerSettings) -> Bools:
    """Which documents are in the training sample, bool[len(ids)]; this depends on the id only, not on the shard."""
    if settings.sample >= 1:
        return np.ones(len(ids), np.bool_)
    return hash_strings(ids, settings.sample_seed) < np.uint64(int(settings.sample * 2**64))


def merge(task: MergeTask) -> str:
    """Merge runs into one unless it exists; returns its path. The runs are kept, so that the task can be run again."""
    if not task.folder.exists(task.path):
        write_run(task.folder, task.path, merge_runs([read_run(task.folder, path) for path in task.runs]))
    return task.path


def groups(paths: Sequence[str], fan_in: int = FAN_IN) -> list[tuple[str, ...]]:
    """Split the paths of runs into groups of at most `fan_in` whose sizes differ by at most one."""
    parts = -(-len(paths) // fan_in)
    bounds = [len(paths) * number // max(parts, 1) for number in range(parts + 1)]
    return [tuple(paths[first:last]) for first, last in pairwise(bounds)]
