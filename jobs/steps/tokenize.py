"""The tokenize step: turns corpus and tokenizer into token shards (encode, shuffle, pack).

    corpus/<shard>.parquet ─ encode ─┬─ corpus/<shard>.parquet, token_count filled
                                     ├─ encoded/…/<split>/<shard>.arrow, sorted by shuffled key
                                     └─ encoded/…/measured/<shard>.json ─ tokenizer/report.json
    encoded/ ─ merge, if there are many shards ─ encoded/…/<split>-<tier>/, the same documents in files of more shards
    encoded/ ─ plan from token totals ─ one task per token shard ─ tokens/{train,validation}-00000.parquet

`encoded/` is removed once every token shard is there. Each token shard is a range of the shuffled order that is known
in advance, so tasks are independent and a killed run makes only what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curation.jobs.steps.fingerprints import shared_fingerprint, step_fingerprint
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.progress import Progress
from curation.jobs.steps.table import step_named
from curation.jobs.steps.tasks import run_tasks
from curation.running.cluster import Cluster
from curation.running.overlap import overlapped
from curation.running.performance import Meter
from curation.running.versions import library_version
from curation.stages.parameters import identity
from curation.stages.tally import add_counts
from curation.store import paths
from curation.store.bundles import keep_only
from curation.store.folder import Folder
from curation.store.manifest import READERS, WHOLE, Manifest, counts_by_shard, fingerprints, is_done, step_counts
from curation.store.paths import TOKENIZER, TOKENIZER_REPORT
from curation.store.shards import Output
from curation.tokenize.encoding import pack_shards
from curation.tokenize.encoding.encode_shards import (
    ADDED_UP,
    ENCODED,
    Corpus,
    EncodeTask,
    Totals,
    add_totals,
    add_up,
    count_documents,
    count_tokens,
    encode_shard,
    find_corpora,
    least_split_hash,
    read_encoder,
    read_totals,
    slots_folder,
    special_ids,
)
from curation.tokenize.encoding.measure import no_counts
from curation.tokenize.encoding.merge_slots import SlotFiles, merge_or_reuse, merge_tasks, plan_tiers
from curation.tokenize.encoding.pack import plan as plan_ranges
from curation.tokenize.encoding.pack_shards import PackTask, describe, pack_shard
from curation.tokenize.encoding.shuffle import slot_count
from curation.tokenize.encoding.token_shards import SPLITS, TokensSettings
from curation.tokenize.encoding.tokenizer_fit import describe_fit

if TYPE_CHECKING:
    from curation.jobs.steps.run import Run

ENCODE, TOKENS = "encode", pack_shards.STEP

FEW_DOCUMENTS = 20
"""If fewer documents than this are expected in validation, ids are read first to ensure that it has at least one."""

Shards = Sequence[tuple[Corpus, str]]

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Request:
    """A set of token shards to make.

    Attributes:
        folder: The output folder.
        settings: The table [tokens].
        tokenizer: Hash of the tokenizer.
        fingerprint: Fingerprint of the token shards.
    """

    folder: Folder
    settings: TokensSettings
    tokenizer: str
    fingerprint: str


def make(run: Run) -> None:
    """Make every token shard that is not up to date."""
    upstream = run.fingerprints.upstream(step_named(TOKENS))
    settings: TokensSettings = run.plan.recipe.table("tokens")
    make_tokens(run.plan.folder, run.shards, settings, upstream, run.cluster, run.progress)


def depends(plan: Plan, shards: Sequence[str]) -> list[Any]:
    """The tokenizer, the encoding libraries, and the corpora of the mix."""
    return _made_from(plan.folder, find_corpora(plan.folder, shards, plan.recipe.table("tokens")))


def make_tokens(
    folder: Folder,
    shards: Sequence[str],
    settings: TokensSettings,
    upstream: Sequence[str],
    cluster: Cluster,
    progress: Progress,
) -> Manifest:
    """Encode, shuffle and pack the corpus of `folder` with its tokenizer.

    Args:
        folder: The output folder.
        shards: Shards of the corpus, in input order.
        settings: The table [tokens].
        upstream: Fingerprints of the corpus and of the step that made the tokenizer.
        cluster: Where tasks run.
        progress: Where progress is reported.

    Returns:
        The content of manifests/tokens/all.json, with counts of documents and tokens. `corpus_tokens` is the sum of
        token_count; all other token counts include the end token of each document.

    Raises:
        StepFailed: A shard could not be made.
    """
    corpora = find_corpora(folder, shards, settings)
    made_from = _made_from(folder, corpora)
    shared = shared_fingerprint({"tokens": identity(settings)}, made_from)
    fingerprint = step_fingerprint(step_named(TOKENS), shared, [*upstream])
    whole = is_done(folder, TOKENS, WHOLE, fingerprint)
    if whole is None:
        _remove_outdated(folder, fingerprint)
        request = Request(folder, settings, made_from[0], fingerprint)
        tasks = _plan_encoding(request, corpora, cluster)
        sources = _encode(tasks, cluster, progress)
        totals = add_totals(
            cluster.each(add_up, [tasks[first : first + ADDED_UP] for first in range(0, len(tasks), ADDED_UP)])
        )
        whole = _pack(request, sources, totals, _merge(request, tasks, cluster, progress), cluster, progress)
    folder.remove(ENCODED)
    return whole


def _made_from(folder: Folder, corpora: Sequence[tuple[Corpus, Sequence[str]]]) -> list[Any]:
    """The hash of the tokenizer, the versions of the encoding libraries, and the identity of each corpus."""
    _, tokenizer = folder.hash(TOKENIZER)
    engines = [library_version("gigatoken"), library_version("tokenizers")]
    return [tokenizer, engines, [_corpus_identity(*entry) for entry in corpora]]


def _corpus_identity(corpus: Corpus, shards: Sequence[str]) -> list[Any]:
    if corpus.is_own:
        return [corpus.name, list(shards)]
    sizes = overlapped(lambda shard: [shard, corpus.folder.size(paths.CORPUS.path(shard))], shards, READERS)
    made = fingerprints(corpus.folder, "corpus")
    return [corpus.name, [*sizes], [made.get(shard, "") for shard in shards]]


def _remove_outdated(folder: Folder, fingerprint: str) -> None:
    """Remove token shards, manifests, report and intermediate files that belong to another fingerprint."""
    folder.remove(TOKENIZER_REPORT)
    kept = {paths.TOKENS.path(shard) for shard in keep_only(folder, TOKENS, lambda _, made: made == fingerprint)}
    for path in folder.list("tokens", ".parquet"):
        if path not in kept:
            folder.remove(path)
    for path in folder.list(ENCODED):
        if not path.startswith(f"{ENCODED}/{fingerprint}/"):
            folder.remove(path)


def _plan_encoding(
    request: Request, corpora: Sequence[tuple[Corpus, Sequence[str]]], cluster: Cluster
) -> list[EncodeTask]:
    """One encoding task per shard of each corpus."""
    settings = request.settings
    shards: Shards = [(corpus, shard) for corpus, names in corpora for shard in names]
    documents = count_documents(corpora)
    smallest_hash = None
    if documents > 1 and 0 < settings.validation_fraction * documents < FEW_DOCUMENTS:
        smallest_hash = min(split for split in cluster.gather(least_split_hash, shards) if split is not None)
    if settings.mix_as == "weights":
        shards = _weigh(request, shards, cluster)
    slots = slot_count(documents, settings.shard_rows * settings.sequence_length)
    shared = (request.folder, request.tokenizer, settings, slots, smallest_hash, request.fingerprint)
    return [EncodeTask(corpus, shard, *shared) for corpus, shard in shards]


def _weigh(request: Request, shards: Shards, cluster: Cluster) -> Shards:
    """The corpora with their weights converted to epochs, the smallest of which is 1."""
    tokens = cluster.gather(count_tokens, [(*entry, request.folder, request.tokenizer) for entry in shards])
    sizes: dict[int, int] = {}
    for (corpus, _), count in zip(shards, tokens, strict=True):
        sizes[corpus.position] = sizes.get(corpus.position, 0) + count
    ratios = {corpus.position: corpus.epochs / max(sizes[corpus.position], 1) for corpus, _ in shards}
    unit = min(ratios.values(), default=1.0)
    return [(replace(corpus, epochs=ratios[corpus.position] / unit), shard) for corpus, shard in shards]


def encode_or_reuse(entry: tuple[EncodeTask, Counts | None]) -> tuple[Corpus, Counts]:
    """The counts of a shard, encoded unless its manifest is up to date and its files can be read.

    Args:
        entry: The shard, and the counts in its manifest if there was an up-to-date one when the step began.
    """
    task, known = entry
    task.out.fs.invalidate_cache()  # clients of object stores cache listings, which may be older than a removal
    if known is None and (manifest := is_done(task.out, ENCODE, task.name, task.fingerprint)) is not None:
        known = manifest.counts  # made by a try whose answer was lost
    if known is not None:
        try:
            read_totals(task)
            return task.corpus, known
        except (OSError, ValueError):  # removed, or torn by a power failure: intermediate files are not synced
            pass
    meter = Meter()
    counts, output = encode_shard(task)
    manifest = Manifest(ENCODE, task.name, task.fingerprint, outputs=[output] if output else [], counts=counts)
    manifest.write(task.out, meter.report())
    return task.corpus, counts


def _encode(tasks: Sequence[EncodeTask], cluster: Cluster, progress: Progress) -> list[tuple[Corpus, Counts]]:
    """Encode all shards; returns the counts of each corpus, in the order of the mix."""
    corpora = {task.corpus.position: task.corpus for task in tasks}
    made = fingerprints(tasks[0].out, ENCODE) if tasks else {}
    done = [task.name for task in tasks if made.get(task.name) == task.fingerprint]
    counted = dict(counts_by_shard(tasks[0].out, ENCODE, done)) if done else {}
    sums: dict[int, Counts] = {position: {} for position in corpora}
    with progress.step(ENCODE, len(tasks)) as bar:
        for corpus, counts in cluster.each(encode_or_reuse, [(task, counted.get(task.name)) for task in tasks]):
            sums[corpus.position] = add_counts(sums[corpus.position], counts)
            bar.advance(counts["documents"], counts["documents"])
    return [(corpora[position], sums[position]) for position in sorted(corpora)]


def _merge(request: Request, tasks: Sequence[EncodeTask], cluster: Cluster, progress: Progress) -> dict[str, SlotFiles]:
    """The files from which token shards are made, by split; those of many shards are merged first."""
    names = tuple(sorted((task.name for task in tasks), key=lambda name: f"{name}.arrow"))
    dtype = read_encoder(request.folder.url, request.tokenizer).dtype
    slots = tasks[0].slots if tasks else 1
    files = {}
    for split in SPLITS:
        source = SlotFiles(slots_folder(request.fingerprint, split), slots, len(names), names=names)
        for target in plan_tiers(source):
            with progress.step(f"merge {split}", source.ranges * target.groups, unit="merges") as bar:
                for _ in cluster.each(merge_or_reuse, merge_tasks(request.folder, source, target, dtype)):
                    bar.advance()
            source = target
        files[split] = source
    return files


def _pack(
    request: Request,
    encoded: Sequence[tuple[Corpus, Counts]],
    totals: Totals,
    files: Mapping[str, SlotFiles],
    cluster: Cluster,
    progress: Progress,
) -> Manifest:
    """Make all token shards, then their common manifest, which is returned."""
    encoder = read_encoder(request.folder.url, request.tokenizer)
    special = special_ids(request.folder, encoder, request.settings)
    sources = [{"corpus": corpus.name, "epochs": corpus.epochs, **counts} for corpus, counts in encoded]
    own: Counts = next((counts for corpus, counts in encoded if corpus.is_own), {})
    between = own.get("documents", 0) + own.get("begin_tokens", 0)
    counts = {"documents": own.get("documents", 0), "corpus_tokens": own.get("tokens", 0) - between}
    tasks = []
    for split in SPLITS:
        ranges, dropped = plan_ranges(totals.tokens.get(split, np.zeros(1, np.int64)), request.settings)
        counts |= {f"{split}_rows": 0, f"{split}_tokens": 0, f"{split}_padding": 0}
        counts |= {f"{split}_dropped": dropped, f"{split}_shards": len(ranges)}
        labels = describe(encoder, special, request.settings, sources, split)
        shared = (request.settings, encoder.dtype, special.pad, labels, request.fingerprint)
        tasks += [
            PackTask(request.folder, split, number, part, files[split], *shared) for number, part in enumerate(ranges)
        ]
    run_tasks(TOKENS, pack_shard, tasks, cluster, progress)
    for task, part in zip(tasks, step_counts(request.folder, TOKENS, [task.shard for task in tasks]), strict=True):
        for name, value in part.items():
            counts[f"{task.split}_{name}"] += value
    sizes = {split: counts[f"{split}_rows"] * request.settings.sequence_length for split in SPLITS}
    shares = {f"{split}_padding_share": round(counts[f"{split}_padding"] / max(sizes[split], 1), 6) for split in SPLITS}
    outputs = [_write_report(request, totals)]
    whole = Manifest(
        TOKENS, WHOLE, request.fingerprint, outputs=outputs, counts={**counts, **shares, "sources": sources}
    )
    whole.write(request.folder)
    return whole


def _write_report(request: Request, totals: Totals) -> Output:
    """Write tokenizer/report.json, which covers the run's own corpus."""
    encoder = read_encoder(request.folder.url, request.tokenizer)
    report = describe_fit(encoder, totals.measured or no_counts(encoder.vocabulary))
    digest = request.folder.write_json(TOKENIZER_REPORT, report)
    return Output(TOKENIZER_REPORT, request.folder.size(TOKENIZER_REPORT), digest, 0)
