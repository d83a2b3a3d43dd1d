"""The train-tokenizer step: corpus to tokenizer/tokenizer.json.

    corpus/<shard>.parquet ─ count ─ tokenizer/counts/…/<shard>.arrow      (a task a shard)
    runs of counts ─ merge, FAN_IN to one, until FAN_IN are left           (a task a group)
    the rest, merged as they are read ─ merges of pairs ─ tokenizer.json   (here)

`counts/` is removed once the tokenizer is there. A killed run counts and merges only what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curation.errors import StepFailed
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.progress import Progress
from curation.running.cluster import Cluster
from curation.running.performance import Meter
from curation.stages.tally import add_counts
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, Manifest, is_done, manifest_path
from curation.store.shards import Output
from curation.tokenize.encoding.encode_shards import TOKENIZER
from curation.tokenize.training import count_shards
from curation.tokenize.training.count_shards import (
    COUNTS,
    FAN_IN,
    CountTask,
    MergeTask,
    count_fingerprint,
    count_shard,
    groups,
    merge,
)
from curation.tokenize.training.pretokens import Splitter
from curation.tokenize.training.settings import SMALLEST, TokenizerSettings
from curation.tokenize.training.sorted_counts import merge_runs, read_run
from curation.tokenize.training.tokenizer_json import tokenizer_config_json, tokenizer_json
from curation.tokenize.training.train import LearnedVocabulary, learn

STEP = "train-tokenizer"
CONFIG = "tokenizer/tokenizer_config.json"

LOCAL_BYTES = 256 << 20
"""Parquet below which a corpus is counted in this process: some 10 s, in which workers would hardly have started."""

LOCAL_THREADS = 4
"""Threads that count in this process at most: a table each, so that they take no more memory than learning does."""

BAR_TOKENS = 1000
"""Tokens that progress counts as one."""


def train_tokenizer(plan: Plan, shards: Sequence[str], upstream: str, cluster: Cluster, progress: Progress) -> str:
    """Train on corpus/<shard>.parquet of the shards named, unless that is done; returns the step's fingerprint."""
    settings: TokenizerSettings = plan.recipe.table("tokenizer")
    mark = plan.table_fingerprint(STEP, "tokenizer", upstream=[upstream])
    if is_done(plan.folder, STEP, WHOLE, mark) is not None:
        with progress.step(STEP, 1, 1):
            return mark
    make_tokenizer(plan.folder, shards, settings, upstream, mark, cluster, progress)
    return mark


def make_tokenizer(
    folder: Folder,
    shards: Sequence[str],
    settings: TokenizerSettings,
    upstream: str,
    mark: str,
    cluster: Cluster,
    progress: Progress,
) -> Manifest:
    """Count, merge, learn, write. upstream: fingerprint of the corpus; mark: of the step, for its manifest.

    Raises StepFailed if there is no text to learn from, or a shard cannot be counted.
    """
    meter = Meter()
    counting = PretokenCounts(folder, settings, count_fingerprint(settings, upstream))
    counting.forget_others(shards)
    with meter.timed("count"):
        read = counting.count(shards, cluster, progress)
    with meter.timed("merge runs"):
        runs = counting.merge(shards, cluster, progress)
    with meter.timed("learn"):
        trained = _learn(folder, runs, settings, progress)
    if not trained.merges and settings.vocab_size > SMALLEST + len(settings.special_tokens):
        raise StepFailed("train-tokenizer: the corpus has no text to learn merges from")
    outputs = [
        _write(folder, TOKENIZER, tokenizer_json(trained.vocabulary, trained.merges, settings)),
        _write(folder, CONFIG, tokenizer_config_json(settings)),
    ]
    size = len(trained.vocabulary) + len(settings.special_tokens)
    counts = {"vocab_size": size, "vocab_size_wanted": settings.vocab_size, "merges": len(trained.merges), **read}
    manifest = Manifest(STEP, WHOLE, mark, outputs=outputs, counts=counts)
    manifest.write(folder, meter.report())
    folder.remove(COUNTS)
    if size < settings.vocab_size:
        progress.warn(f"the corpus is too small for {settings.vocab_size:,} tokens: the tokenizer has {size:,}")
    if read["cut"]:
        progress.note(f"{read['cut']:,} pre-tokens counted as their first {settings.max_pretoken_bytes:,} bytes")
    return manifest


@dataclass(frozen=True, slots=True)
class PretokenCounts:
    """The counts of a corpus under one fingerprint."""

    folder: Folder
    settings: TokenizerSettings
    mark: str

    def forget_others(self, shards: Sequence[str]) -> None:
        """Remove what was counted under another fingerprint, or of shards that are no longer there."""
        for path in self.folder.list(COUNTS):
            if not path.startswith(f"{COUNTS}/{self.mark}/"):
                self.folder.remove(path)
        current = {manifest_path(count_shards.STEP, shard) for shard in shards}
        for path in self.folder.list(f"manifests/{count_shards.STEP}", ".json"):
            if path not in current:
                self.folder.remove(path)

    def count(self, shards: Sequence[str], cluster: Cluster, progress: Progress) -> dict[str, int]:
        """Count every shard that is not counted yet; returns what was read of all of them."""
        tasks = [CountTask(self.folder, shard, self.settings, self.mark) for shard in shards]
        done = [(task, task.finished()) for task in tasks]
        total: dict[str, int] = {}
        for _, manifest in done:
            total = add_counts(total, _read(manifest)) if manifest else total
        left = [task for task, manifest in done if manifest is None]
        if self._are_few(left):
            cluster = Cluster(threads=min(cluster.cores, LOCAL_THREADS))
        with progress.step(count_shards.STEP, len(tasks), len(tasks) - len(left)) as bar:
            for manifest in cluster.each(count_shard, left):
                total = add_counts(total, _read(manifest))
                bar.advance(manifest.counts["documents"], manifest.counts["sampled"])
        return total

    def _are_few(self, tasks: Sequence[CountTask]) -> bool:
        """Whether there is too little to count to start workers for; a pattern without a kernel is slow to count."""
        if Splitter(self.settings.split_pattern).engine != "kernel" or len(tasks) > FAN_IN:
            return False
        return sum(task.size() for task in tasks) < LOCAL_BYTES

    def merge(self, shards: Sequence[str], cluster: Cluster, progress: Progress) -> list[str]:
        """At most FAN_IN runs with the counts of all shards, in a tree of tasks if there are more shards."""
        runs = [CountTask(self.folder, shard, self.settings, self.mark).path for shard in sorted(shards)]
        while len(runs) > FAN_IN:
            tasks = [MergeTask(self.folder, self.mark, group) for group in groups(runs, FAN_IN)]
            with progress.step("merge-counts", len(tasks), unit="groups") as bar:
                for _ in cluster.each(merge, tasks):
                    bar.advance()
            runs = [task.path for task in tasks]
        return runs


def _read(manifest: Manifest) -> dict[str, int]:
    """The counts of a shard that add up."""
    return {name: manifest.counts[name] for name in ("documents", "sampled", "bytes", "pretokens", "cut")}


def _learn(folder: Folder, runs: Sequence[str], settings: TokenizerSettings, progress: Progress) -> LearnedVocabulary:
    wanted = -(-settings.vocab_size // BAR_TOKENS)
    with progress.step(STEP, wanted, unit="thousand tokens") as bar:

        def report(size: int) -> None:
            while bar.done < min(size // BAR_TOKENS, wanted):
                bar.advance()

        trained = learn(merge_runs([read_run(folder, path) for path in runs]), settings, report)
        report(settings.vocab_size + BAR_TOKENS)
    return trained


def _write(folder: Folder, path: str, data: bytes) -> Output:
    return Output(path, len(data), folder.write(path, data), 0)
