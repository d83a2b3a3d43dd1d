"""The job from corpus and tokenizer to token shards: encode, shuffle, pack.

    corpus/<shard>.parquet ─ encode ─┬─ corpus/<shard>.parquet, token_count filled
                                     └─ encoded/<split>/<shard>.arrow, sorted by shuffled key
    encoded/ ─ plan from token totals ─ one task a token shard ─ tokens/{train,validation}-00000.parquet

`encoded/` is removed once every token shard is there. Each token shard is a range of the shuffled order known before it
is made, so that the tasks are independent and a killed run makes only what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.cluster import Cluster
from curation.jobs.plan import Plan
from curation.jobs.progress import Progress
from curation.manifest import WHOLE, Manifest, fingerprint, is_done, read_manifest
from curation.parameters import identity, library_version
from curation.performance import Meter
from curation.storage import Folder
from curation.tokenize.corpora import Corpus, EncodeTask, Totals, count_tokens, encode_shard, find_corpora, survey
from curation.tokenize.encode import Encoder, load_encoder
from curation.tokenize.pack import Range, best_fit, concat, plan
from curation.tokenize.shuffle import read_slots, slot_count, slot_tokens
from curation.tokenize.tokens import SPLITS, Integers, TokensSettings, shard_path, token_schema, write_token_shard

ENCODE, TOKENS = "encode", "tokens"
TOKENIZER = "tokenizer/tokenizer.json"

VERSION = 1
"""Rises when the same corpus, tokenizer and settings give other bytes."""

FEW_DOCUMENTS = 20
"""With fewer documents than this expected in validation, ids are read beforehand so that at least one is in it."""


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

    upstream: fingerprint of the corpus and the tokenizer. Returns manifests/tokens/all.json, whose counts say how many
    documents and tokens went where: `corpus_tokens` is the sum of token_count, all other tokens include the end of
    each document. Raises StepFailed if a shard cannot be made.
    """
    definition = folder.read(TOKENIZER)
    corpora = find_corpora(folder, shards, settings)
    mark = fingerprint(TOKENS, VERSION, upstream, [_corpus_identity(corpus) for corpus in corpora], _engine(settings))
    whole = is_done(folder, TOKENS, WHOLE, mark)
    if whole is None:
        _forget(folder, mark)
        tasks, epochs = _encode_tasks(folder, corpora, settings, definition, cluster)
        totals = _encode(tasks, mark, cluster, progress)
        whole = _pack(tasks, epochs, totals, mark, cluster, progress)
    folder.remove("encoded")
    return whole


def _engine(settings: TokensSettings) -> list[Any]:
    return [identity(settings), library_version("gigatoken"), library_version("tokenizers")]


def _corpus_identity(corpus: Corpus) -> list[Any]:
    if corpus.is_own:
        return [corpus.name, list(corpus.shards)]
    sizes = [[shard, corpus.folder.size(f"corpus/{shard}.parquet")] for shard in corpus.shards]
    made = [read_manifest(corpus.folder, "corpus", shard) for shard in corpus.shards]
    return [corpus.name, sizes, [manifest.fingerprint if manifest else "" for manifest in made]]


def _forget(folder: Folder, mark: str) -> None:
    """Remove token shards, and their manifests, that belong to another fingerprint."""
    for path in folder.list(f"manifests/{TOKENS}", ".json"):
        shard = path.rpartition("/")[2].removesuffix(".json")
        if is_done(folder, TOKENS, shard, mark) is None:
            folder.remove(path)
    kept = {path.rpartition("/")[2].removesuffix(".json") for path in folder.list(f"manifests/{TOKENS}", ".json")}
    for path in folder.list("tokens"):
        if path.rpartition("/")[2].removesuffix(".parquet") not in kept:
            folder.remove(path)


def _encode_tasks(
    folder: Folder, corpora: Sequence[Corpus], settings: TokensSettings, definition: bytes, cluster: Cluster
) -> tuple[list[EncodeTask], list[float]]:
    """A task for each shard of each corpus, and the epochs of each corpus."""
    pairs = [(corpus, shard) for corpus in corpora for shard in corpus.shards]
    documents = [found.documents for found in cluster.gather(survey, [(*pair, False) for pair in pairs])]
    fraction, least = settings.validation_fraction, None
    if 0 < fraction * sum(documents) < FEW_DOCUMENTS and sum(documents) > 1:
        found = [survey.least for survey in cluster.gather(survey, [(*pair, True) for pair in pairs])]
        least = min(value for value in found if value is not None)
    epochs = [corpus.number for corpus in corpora]
    if settings.mix_as == "weights" and len(corpora) > 1:
        tokens = cluster.gather(count_tokens, [(*pair, definition) for pair in pairs])
        sizes = [sum(n for n, (of, _) in zip(tokens, pairs, strict=True) if of is corpus) for corpus in corpora]
        ratios = [corpus.number / max(size, 1) for corpus, size in zip(corpora, sizes, strict=True)]
        epochs = [ratio / min(ratios) for ratio in ratios]
    slots = slot_count(sum(documents), settings.shard_rows * settings.sequence_length)
    tasks = [
        EncodeTask(corpus, shard, folder, definition, settings, epochs[corpus.position], slots, least)
        for corpus, shard in pairs
    ]
    return tasks, epochs


@dataclass(frozen=True, slots=True)
class _Encode:
    """`encode_shard` with its manifest, unless it is done: counts by name, and tokens by slot and split."""

    mark: str

    def __call__(self, task: EncodeTask) -> tuple[int, Totals]:
        paths = {split: task.slots_path(split) for split in SPLITS}
        manifest = is_done(task.out, ENCODE, task.name, self.mark)
        if manifest is None or not all(task.out.exists(path) for path in paths.values()):
            meter = Meter()
            counts, output = encode_shard(task)
            manifest = Manifest(ENCODE, task.name, self.mark, outputs=[output] if output else [], counts=counts)
            manifest.write(task.out, meter.report())
        tokens = {split: slot_tokens(task.out, path, task.slots) for split, path in paths.items()}
        return task.corpus.position, Totals(manifest.counts, tokens)


def _encode(tasks: Sequence[EncodeTask], mark: str, cluster: Cluster, progress: Progress) -> dict[int, Totals]:
    """Totals by the position of the corpus."""
    totals = {task.corpus.position: Totals() for task in tasks}
    with progress.step(ENCODE, len(tasks)) as bar:
        for position, made in cluster.each(_Encode(mark), tasks):
            totals[position] = totals[position] + made
            bar.advance(made.counts["documents"], made.counts["documents"])
    return totals


@dataclass(frozen=True, slots=True)
class PackTask:
    """One token shard to make, from all slots files of its split."""

    folder: Folder
    split: str
    number: int
    part: Range
    sources: tuple[str, ...]
    pad: int
    dtype: np.dtype[np.unsignedinteger]
    metadata: Mapping[str, str]
    settings: TokensSettings
    mark: str

    @property
    def shard(self) -> str:
        """Its name in manifests/tokens/."""
        return f"{self.split}-{self.number:05d}"


def pack_shard(task: PackTask) -> Manifest:
    """Make one token shard, its manifest last."""
    meter, settings = Meter(), task.settings
    documents = read_slots(task.folder, task.sources, task.part.first, task.part.last, task.dtype)
    length = settings.sequence_length
    if settings.packing == "concat":
        rows = concat(documents.encoded, length, task.part.skip, task.part.tokens, task.pad)
    else:
        rows = best_fit(documents.encoded, length, task.pad, settings.seed + task.number)
    table = rows.to_arrow(documents.ids, token_schema(task.dtype, length))
    output = write_token_shard(task.folder, shard_path(task.split, task.number), table, task.metadata, settings)
    counts = {"rows": len(rows), "tokens": task.part.tokens, "padding": rows.padding}
    manifest = Manifest(TOKENS, task.shard, task.mark, outputs=[output], counts=counts)
    manifest.write(task.folder, meter.report())
    return manifest


def _pack(
    tasks: Sequence[EncodeTask],
    epochs: Sequence[float],
    totals: Mapping[int, Totals],
    mark: str,
    cluster: Cluster,
    progress: Progress,
) -> Manifest:
    """Make all token shards, then the manifest of the whole."""
    folder, settings, encoder = tasks[0].out, tasks[0].settings, load_encoder(tasks[0].definition)
    end = encoder.special_id(settings.end_token)
    pad = encoder.find_special_id(settings.pad_token)
    pad = end if pad is None else pad
    sources = _sources(tasks, epochs, totals)
    own = totals[0].counts
    counts: dict[str, Any] = {"documents": own["documents"], "corpus_tokens": own["tokens"] - own["documents"]}
    metadata = _metadata(encoder, settings, end, pad, sources)
    packing = []
    for split in SPLITS:
        paths = tuple(task.slots_path(split) for task in tasks)
        slots: Integers = sum((made.tokens[split] for made in totals.values()), np.zeros(tasks[0].slots, np.int64))
        ranges, dropped = plan(slots, settings)
        counts |= {f"{split}_rows": 0, f"{split}_tokens": 0, f"{split}_padding": 0}
        counts |= {f"{split}_dropped": dropped, f"{split}_shards": len(ranges)}
        labels = {**metadata, "curation.split": split}
        for number, part in enumerate(ranges):
            packing.append(PackTask(folder, split, number, part, paths, pad, encoder.dtype, labels, settings, mark))
    done = {task.shard: is_done(folder, TOKENS, task.shard, mark) for task in packing}
    waiting = [task for task in packing if done[task.shard] is None]
    with progress.step(TOKENS, len(packing), len(packing) - len(waiting)) as bar:
        for manifest in cluster.each(pack_shard, waiting):
            done[manifest.shard] = manifest
            bar.advance()
    for task in packing:
        packed = done[task.shard]
        for name, value in packed.counts.items() if packed is not None else ():
            counts[f"{task.split}_{name}"] += value
    whole = Manifest(TOKENS, WHOLE, mark, counts={**counts, "sources": sources})
    whole.write(folder)
    return whole


def _sources(
    tasks: Sequence[EncodeTask], epochs: Sequence[float], totals: Mapping[int, Totals]
) -> list[dict[str, Any]]:
    """Each corpus with what was taken of it, and how often."""
    corpora = {task.corpus.position: task.corpus for task in tasks}
    return [
        {"corpus": corpora[position].name, "epochs": epochs[position], **made.counts}
        for position, made in sorted(totals.items())
    ]


def _metadata(
    encoder: Encoder, settings: TokensSettings, end: int, pad: int, sources: list[dict[str, Any]]
) -> dict[str, str]:
    """What every token shard says of itself."""
    repeated = {"cluster_sizes": settings.cluster_sizes, "cluster_repeats": settings.cluster_repeats}
    values = {
        "tokenizer": encoder.hash,
        "vocabulary": encoder.vocabulary,
        "sequence_length": settings.sequence_length,
        "packing": settings.packing,
        "tail": settings.tail,
        "seed": settings.seed,
        "end_id": end,
        "pad_id": pad,
        "sources": json.dumps(sources),
        "repeats": json.dumps(repeated),
    }
    return {f"curation.{name}": str(value) for name, value in values.items()}
