"""The train-tokenizer step: turns the corpus into tokenizer/tokenizer.json.

    corpus/<shard>.parquet ─ count ─ tokenizer/counts/…/<shard>.arrow      (one task per shard)
    runs of counts ─ merge, FAN_IN to one, until FAN_IN are left           (one task per group)
    the rest, merged as they are read ─ merges of pairs ─ tokenizer.json   (here)

`counts/` is removed once the tokenizer is there. A killed run counts and merges only what is missing.
"""

from __future__ import annotations

import io
import json
import shlex
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from curation.dedup.settings import DedupSettings
from curation.errors import StepFailed
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.table import step_named
from curation.jobs.steps.tasks import run_tasks
from curation.running.cluster import Cluster
from curation.running.performance import Meter
from curation.stages.tally import add_counts
from curation.store.bundles import keep_only
from curation.store.folder import Folder
from curation.store.manifest import WHOLE, Manifest, fingerprints, is_done, step_counts
from curation.store.paths import CORPUS, TOKENIZER, TOKENIZER_CONFIG, TOKENIZER_RANKS
from curation.store.shards import Output
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
from curation.tokenize.training.given import rank_file
from curation.tokenize.training.pretokens import Splitter
from curation.tokenize.training.settings import SMALLEST, TokenizerSettings
from curation.tokenize.training.sorted_counts import merge_runs, read_run
from curation.tokenize.training.tokenizer_json import tokenizer_config_json, tokenizer_json
from curation.tokenize.training.train import LearnedVocabulary, learn

if TYPE_CHECKING:
    from curation.jobs.steps.run import Run

STEP = "train-tokenizer"

LOCAL_BYTES = 256 << 20
"""Parquet below which a corpus is counted in this process, in some 10 s: workers would hardly have started by then."""

LOCAL_THREADS = 4
"""Maximum number of threads that count in this process. Each has a table; together they take no more memory than
learning does."""

SUMMED_COUNTS = ("documents", "sampled", "bytes", "pretokens", "cut")
"""Counts of a shard that add up."""

BAR_TOKENS = 1000
"""Tokens per unit of the progress bar."""


def make(run: Run) -> None:
    """Train on the corpus, unless the tokenizer is up to date."""
    folder, fingerprint = run.plan.folder, run.fingerprints.of(STEP)
    if is_done(folder, STEP, WHOLE, fingerprint) is not None:
        with run.progress.step(STEP, 1, 1, unit="tokenizers"):
            return
    (upstream,) = run.fingerprints.upstream(step_named(STEP))
    settings: TokenizerSettings = run.plan.recipe.table("tokenizer")
    if settings.file is not None:
        with run.progress.step(STEP, 1, unit="tokenizers") as bar:
            take_tokenizer(folder, settings, fingerprint)
            bar.advance()
        return
    if (place := earlier_tokenizer(run.plan.recipe.table("dedup"))) is not None:
        run.progress.note(
            f"{STEP}: trains a new tokenizer, with other ids than that of the earlier run; to use that one, run "
            f"again with --update --set {shlex.quote(f'tokenizer.file={place}')}"
        )
    make_tokenizer(folder, run.shards, settings, upstream, fingerprint, run.cluster, run.progress)


def earlier_tokenizer(settings: DedupSettings) -> str | None:
    """The folder of the tokenizer of the last earlier run that has one, among those whose documents count as first."""
    for url in reversed(settings.against if settings.mode != "within" else ()):
        with suppress(Exception):  # the run may not exist any more, after what it was needed for
            folder = Folder(url)
            if folder.exists(TOKENIZER):
                return f"{folder.url}/{TOKENIZER.partition('/')[0]}"
    return None


def make_tokenizer(
    folder: Folder,
    shards: Sequence[str],
    settings: TokenizerSettings,
    upstream: str,
    fingerprint: str,
    cluster: Cluster,
    progress: Progress,
) -> Manifest:
    """Count, merge, learn, write.

    Args:
        folder: The output folder.
        shards: Shards of the corpus.
        settings: The table [tokenizer].
        upstream: Fingerprint of the corpus.
        fingerprint: Fingerprint of the step, for its manifest.
        cluster: Where tasks run.
        progress: Where progress is reported.

    Returns:
        The manifest of the step.

    Raises:
        StepFailed: There is no text to learn from, or a shard cannot be counted.
    """
    meter = Meter()
    counting = PretokenCounts(folder, settings, count_fingerprint(settings, upstream))
    counting.remove_outdated(shards)
    with meter.timed("count"):
        read = counting.count(shards, cluster, progress)
    with meter.timed("merge runs"):
        runs = counting.merge(shards, cluster, progress)
    with meter.timed("learn"):
        trained = _learn(folder, runs, settings, progress)
    if not trained.merges and settings.vocab_size > SMALLEST + len(settings.special_tokens):
        raise StepFailed("train-tokenizer: the corpus has no text to learn merges from")
    shared = [token for token in settings.special_tokens if token in trained.vocabulary]
    if shared:
        raise StepFailed(f"train-tokenizer: texts gave a token that is spelled like the special token {shared[0]!r}")
    outputs = [
        _write(folder, TOKENIZER, tokenizer_json(trained.vocabulary, trained.merges, settings)),
        _write(folder, TOKENIZER_CONFIG, tokenizer_config_json(settings.special_names(), settings.special_in_text)),
    ]
    if (ranks := rank_file(trained.vocabulary, trained.merges)) is not None:
        outputs.append(_write(folder, TOKENIZER_RANKS, ranks))
    else:
        folder.remove(TOKENIZER_RANKS)
        progress.note("no tokenizer.tiktoken: tiktoken would merge other pairs")
    size = len(trained.vocabulary) + len(settings.special_tokens)
    counts = {"vocab_size": size, "vocab_size_wanted": settings.vocab_size, "merges": len(trained.merges), **read}
    manifest = Manifest(STEP, WHOLE, fingerprint, outputs=outputs, counts=counts)
    manifest.write(folder, meter.report())
    folder.remove(COUNTS)
    if size < settings.vocab_size:
        progress.warn(f"the corpus is too small for {settings.vocab_size:,} tokens: the tokenizer has {size:,}")
    if read["cut"]:
        progress.note(f"{read['cut']:,} pre-tokens counted as their first {settings.max_pretoken_bytes:,} bytes")
    return manifest


def compile_kernels() -> None:
    """Compile the kernels of this step by training on two words, in a folder in memory.

    It takes some seconds where nothing is in the cache, in which this process otherwise waits for workers.
    """
    texts, shard = ["curation curation", "curate curation"], io.BytesIO()
    pq.write_table(pa.table({"id": texts, "text": texts}), shard)
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    folder.write(CORPUS.path("words"), shard.getbuffer())
    make_tokenizer(folder, ["words"], TokenizerSettings(vocab_size=300), "", "", Cluster(), Progress("silent"))


def take_tokenizer(folder: Folder, settings: TokenizerSettings, fingerprint: str) -> Manifest:
    """Write the tokenizer that the recipe gives; the arguments are those of `make_tokenizer`."""
    meter = Meter()
    given = settings.given()
    values = json.loads(given.definition)
    outputs = [
        _write(folder, TOKENIZER, given.definition),
        _write(folder, TOKENIZER_CONFIG, tokenizer_config_json(settings.special_names(), given=given.config)),
    ]
    folder.remove(TOKENIZER_RANKS)
    size = Tokenizer.from_str(given.definition.decode()).get_vocab_size(with_added_tokens=True)
    counts = {"vocab_size": size, "merges": len(values["model"].get("merges") or ()), "given": 1}
    manifest = Manifest(STEP, WHOLE, fingerprint, outputs=outputs, counts=counts)
    manifest.write(folder, meter.report())
    folder.remove(COUNTS)
    return manifest


@dataclass(frozen=True, slots=True)
class PretokenCounts:
    """The counts of a corpus under one fingerprint."""

    folder: Folder
    settings: TokenizerSettings
    fingerprint: str

    def remove_outdated(self, shards: Sequence[str]) -> None:
        """Remove counts that have another fingerprint, or are of shards that no longer exist."""
        for path in self.folder.list(COUNTS):
            if not path.startswith(f"{COUNTS}/{self.fingerprint}/"):
                self.folder.remove(path)
        current = set(shards)
        keep_only(self.folder, count_shards.STEP, lambda shard, _: shard in current)

    def count(self, shards: Sequence[str], cluster: Cluster, progress: Progress) -> dict[str, int]:
        """Count every shard that is not counted yet; returns the sums of SUMMED_COUNTS over all shards."""
        tasks = [CountTask(self.folder, shard, self.settings, self.fingerprint) for shard in shards]
        current, written = fingerprints(self.folder, count_shards.STEP), set(self.folder.list(COUNTS))
        done = {shard for shard, made in current.items() if made == self.fingerprint}
        finished = {task.shard for task in tasks if task.shard in done and task.path in written}
        if self._is_small([task for task in tasks if task.shard not in finished]):
            cluster = Cluster(threads=min(cluster.cores, LOCAL_THREADS))
        run_tasks(count_shards.STEP, count_shard, tasks, cluster, progress, lambda task: task.shard in finished)
        total: dict[str, int] = {}
        for counts in step_counts(self.folder, count_shards.STEP, shards):
            total = add_counts(total, {name: counts[name] for name in SUMMED_COUNTS})
        return total

    def _is_small(self, tasks: Sequence[CountTask]) -> bool:
        """Whether there is too little to count to start workers; a pattern without a kernel is always slow to count."""
        if Splitter(self.settings.split_pattern).engine != "kernel" or len(tasks) > FAN_IN:
            return False
        return sum(task.size() for task in tasks) < LOCAL_BYTES

    def merge(self, shards: Sequence[str], cluster: Cluster, progress: Progress) -> list[str]:
        """Paths of at most FAN_IN runs with the counts of all shards, merged in a tree of tasks if there are more."""
        runs = [CountTask(self.folder, shard, self.settings, self.fingerprint).path for shard in sorted(shards)]
        while len(runs) > FAN_IN:
            tasks = [MergeTask(self.folder, self.fingerprint, group) for group in groups(runs, FAN_IN)]
            with progress.step("merge-counts", len(tasks), unit="groups") as bar:
                for _ in cluster.each(merge, tasks):
                    bar.advance()
            runs = [task.path for task in tasks]
        return runs


def _learn(folder: Folder, runs: Sequence[str], settings: TokenizerSettings, progress: Progress) -> LearnedVocabulary:
    total = -(-settings.vocab_size // BAR_TOKENS)
    with progress.step(STEP, total, unit="thousand tokens") as bar:

        def report(size: int) -> None:
            while bar.done < min(size // BAR_TOKENS, total):
                bar.advance()

        trained = learn(merge_runs([read_run(folder, path) for path in runs]), settings, report)
        report(len(trained.vocabulary) + BAR_TOKENS)
    return trained


def _write(folder: Folder, path: str, data: bytes) -> Output:
    return Output(path, len(data), folder.write(path, data), 0)
