"""The job from corpus and tokenizer to token shards: encode, shuffle, pack.

    corpus/<shard>.parquet ─ encode ─┬─ corpus/<shard>.parquet, token_count filled
                                     ├─ encoded/…/<split>/<shard>.arrow, sorted by shuffled key
                                     └─ encoded/…/measured/<shard>.json ─ tokenizer/report.json
    encoded/ ─ plan from token totals ─ one task a token shard ─ tokens/{train,validation}-00000.parquet

`encoded/` is removed once every token shard is there. Each token shard is a range of the shuffled order known before it
is made, so that the tasks are independent and a killed run makes only what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from curation.arrays import Int64s
from curation.jobs.steps.plan import Plan
from curation.jobs.steps.progress import Progress
from curation.running.cluster import Cluster
from curation.running.overlap import overlapped
from curation.running.performance import Meter
from curation.running.versions import library_version
from curation.stages.parameters import identity
from curation.store.folder import Folder
from curation.store.manifest import READERS, WHOLE, Manifest, fingerprint, is_done, read_manifest
from curation.store.shards import Output
from curation.tokenize.encoding import pack_shards
from curation.tokenize.encoding.encode_shards import (
    ENCODED,
    TOKENIZER,
    Corpus,
    EncodeTask,
    Totals,
    count_documents,
    count_tokens,
    encode_shard,
    find_corpora,
    least_split_hash,
    read_encoder,
    read_totals,
)
from curation.tokenize.encoding.measure import no_counts
from curation.tokenize.encoding.pack import plan as plan_ranges
from curation.tokenize.encoding.pack_shards import PackTask, describe, pack_shard, padding_id
from curation.tokenize.encoding.shuffle import slot_count
from curation.tokenize.encoding.token_shards import SPLITS, TokensSettings
from curation.tokenize.encoding.tokenizer_fit import REPORT, describe_fit

ENCODE, TOKENS = "encode", pack_shards.STEP

VERSION = 2
"""Rises when the same corpus, tokenizer and settings give other bytes."""

FEW_DOCUMENTS = 20
"""With fewer documents than this expected in validation, ids are read beforehand so that at least one is in it."""

Shards = Sequence[tuple[Corpus, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be made, where, by which tokenizer (its hash), under which fingerprint."""

    folder: Folder
    settings: TokensSettings
    tokenizer: str
    mark: str


def tokenize(plan: Plan, shards: Sequence[str], upstream: str, cluster: Cluster, progress: Progress) -> str:
    """Make every token shard that is not there yet from the corpus shards named; returns the step's fingerprint."""
    settings: TokensSettings = plan.recipe.table("tokens")
    return make_tokens(plan.folder, shards, settings, upstream, cluster, progress).fingerprint


def make_tokens(
    folder: Folder,
    shards: Sequence[str],
    settings: TokensSettings,
    upstream: str,
    cluster: Cluster,
    progress: Progress,
) -> Manifest:
    """Encode, shuffle and pack `corpus/<shard>.parquet` of `folder` with its tokenizer.

    upstream: fingerprint of the corpus. Returns manifests/tokens/all.json, whose counts say how many documents and
    tokens went where: `corpus_tokens` is the sum of token_count, all other tokens include the end of each document.
    Raises StepFailed if a shard cannot be made.
    """
    _, tokenizer = folder.hash(TOKENIZER)
    corpora = find_corpora(folder, shards, settings)
    engine = [library_version("gigatoken"), library_version("tokenizers")]
    sources = [_corpus_identity(*entry) for entry in corpora]
    mark = fingerprint(TOKENS, VERSION, identity(settings), engine, tokenizer, upstream, sources)
    whole = is_done(folder, TOKENS, WHOLE, mark)
    if whole is None:
        _forget(folder, mark)
        request = Request(folder, settings, tokenizer, mark)
        tasks = _plan_encoding(request, [(corpus, shard) for corpus, names in corpora for shard in names], cluster)
        whole = _pack(request, _encode(tasks, cluster, progress), cluster, progress)
    folder.remove(ENCODED)
    return whole


def _corpus_identity(corpus: Corpus, shards: Sequence[str]) -> list[Any]:
    if corpus.is_own:
        return [corpus.name, list(shards)]
    sizes = [[shard, corpus.folder.size(f"corpus/{shard}.parquet")] for shard in shards]
    made = [read_manifest(corpus.folder, "corpus", shard) for shard in shards]
    return [corpus.name, sizes, [manifest.fingerprint if manifest else "" for manifest in made]]


def _forget(folder: Folder, mark: str) -> None:
    """Remove token shards, manifests, report and intermediate files that belong to another fingerprint."""
    folder.remove(REPORT)
    kept = set()
    for path in folder.list(f"manifests/{TOKENS}", ".json"):
        shard = path.rpartition("/")[2].removesuffix(".json")
        if is_done(folder, TOKENS, shard, mark) is None:
            folder.remove(path)
        else:
            kept.add(f"tokens/{shard}.parquet")
    for path in folder.list("tokens", ".parquet"):
        if path not in kept:
            folder.remove(path)
    for path in folder.list(ENCODED):
        if not path.startswith(f"{ENCODED}/{mark}/"):
            folder.remove(path)


def _plan_encoding(request: Request, shards: Shards, cluster: Cluster) -> list[EncodeTask]:
    """A task for each shard of each corpus."""
    settings = request.settings
    documents = sum(overlapped(count_documents, shards, READERS))
    least = None
    if documents > 1 and 0 < settings.validation_fraction * documents < FEW_DOCUMENTS:
        least = min(found for found in cluster.gather(least_split_hash, shards) if found is not None)
    if settings.mix_as == "weights":
        shards = _weigh(request, shards, cluster)
    slots = slot_count(documents, settings.shard_rows * settings.sequence_length)
    shared = (request.folder, request.tokenizer, settings, slots, least, request.mark)
    return [EncodeTask(corpus, shard, *shared) for corpus, shard in shards]


def _weigh(request: Request, shards: Shards, cluster: Cluster) -> Shards:
    """The corpora with their weights turned into epochs, the least of which is 1."""
    tokens = cluster.gather(count_tokens, [(*entry, request.folder, request.tokenizer) for entry in shards])
    sizes: dict[int, int] = {}
    for (corpus, _), count in zip(shards, tokens, strict=True):
        sizes[corpus.position] = sizes.get(corpus.position, 0) + count
    ratios = {corpus.position: corpus.epochs / max(sizes[corpus.position], 1) for corpus, _ in shards}
    unit = min(ratios.values(), default=1.0)
    return [(replace(corpus, epochs=ratios[corpus.position] / unit), shard) for corpus, shard in shards]


def encode_or_reuse(task: EncodeTask) -> tuple[Corpus, Totals]:
    """`encode_shard` with its manifest, unless that is done and what it made can be read; the totals of the shard."""
    task.out.fs.invalidate_cache()  # object stores remember listings, here maybe one from before a removal
    manifest = is_done(task.out, ENCODE, task.name, task.fingerprint)
    if manifest is not None:
        try:
            return task.corpus, read_totals(task, manifest.counts)
        except (OSError, ValueError):  # removed, or torn by a power failure: intermediate files are not synced
            pass
    meter = Meter()
    counts, output = encode_shard(task)
    manifest = Manifest(ENCODE, task.name, task.fingerprint, outputs=[output] if output else [], counts=counts)
    manifest.write(task.out, meter.report())
    return task.corpus, read_totals(task, counts)


def _encode(tasks: Sequence[EncodeTask], cluster: Cluster, progress: Progress) -> list[tuple[Corpus, Totals]]:
    """The totals of each corpus, in the order of the mix."""
    totals = {task.corpus.position: (task.corpus, Totals()) for task in tasks}
    with progress.step(ENCODE, len(tasks)) as bar:
        for corpus, made in cluster.each(encode_or_reuse, tasks):
            totals[corpus.position] = (corpus, totals[corpus.position][1] + made)
            bar.advance(made.counts["documents"], made.counts["documents"])
    return [totals[position] for position in sorted(totals)]


def _pack(request: Request, totals: Sequence[tuple[Corpus, Totals]], cluster: Cluster, progress: Progress) -> Manifest:
    """Make all token shards, then the manifest of the whole."""
    encoder = read_encoder(request.folder.url, request.tokenizer)
    sources = [{"corpus": corpus.name, "epochs": corpus.epochs, **made.counts} for corpus, made in totals]
    own = sum((made for corpus, made in totals if corpus.is_own), Totals()).counts
    counts = {"documents": own.get("documents", 0), "corpus_tokens": own.get("tokens", 0) - own.get("documents", 0)}
    tasks = []
    for split in SPLITS:
        slots: Int64s = sum((made.tokens[split] for _, made in totals), np.zeros(1, np.int64))
        ranges, dropped = plan_ranges(slots, request.settings)
        counts |= {f"{split}_rows": 0, f"{split}_tokens": 0, f"{split}_padding": 0}
        counts |= {f"{split}_dropped": dropped, f"{split}_shards": len(ranges)}
        labels = describe(encoder, request.settings, sources, split)
        shared = (request.settings, encoder.dtype, padding_id(encoder, request.settings), labels, request.mark)
        tasks += [PackTask(request.folder, split, number, part, *shared) for number, part in enumerate(ranges)]
    for task, manifest in _pack_all(request, tasks, cluster, progress):
        for name, value in manifest.counts.items():
            counts[f"{task.split}_{name}"] += value
    places = {split: counts[f"{split}_rows"] * request.settings.sequence_length for split in SPLITS}
    shares = {
        f"{split}_padding_share": round(counts[f"{split}_padding"] / max(places[split], 1), 6) for split in SPLITS
    }
    outputs = [_write_report(request, totals)]
    whole = Manifest(TOKENS, WHOLE, request.mark, outputs=outputs, counts={**counts, **shares, "sources": sources})
    whole.write(request.folder)
    return whole


def _write_report(request: Request, totals: Sequence[tuple[Corpus, Totals]]) -> Output:
    """Write tokenizer/report.json, of the run's own corpus."""
    encoder = read_encoder(request.folder.url, request.tokenizer)
    found = (made.measured for corpus, made in totals if corpus.is_own and made.measured is not None)
    report = describe_fit(encoder, next(found, no_counts(encoder.vocabulary)))
    digest = request.folder.write_json(REPORT, report)
    return Output(REPORT, request.folder.size(REPORT), digest, 0)


def _pack_all(
    request: Request, tasks: Sequence[PackTask], cluster: Cluster, progress: Progress
) -> list[tuple[PackTask, Manifest]]:
    """Every token shard's manifest, made now or before."""
    found = {task.shard: is_done(request.folder, TOKENS, task.shard, request.mark) for task in tasks}
    done: dict[str, Manifest] = {shard: manifest for shard, manifest in found.items() if manifest is not None}
    with progress.step(TOKENS, len(tasks), len(done)) as bar:
        for manifest in cluster.each(pack_shard, [task for task in tasks if task.shard not in done]):
            done[manifest.shard] = manifest
            bar.advance()
    return [(task, done[task.shard]) for task in tasks]
