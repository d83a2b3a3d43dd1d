"""The first pass over the corpora: encode each document, choose its split and number of copies, sort by key.

A token set is made from one or more corpora. How often a document is used for training depends on the epochs of its
corpus and the size of its near-duplicate cluster. A document held out for validation is used there at most once, and
never for training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.arrays import Float64s, Int64s
from curation.errors import InputError
from curation.running.overlap import overlapped
from curation.store.folder import Folder
from curation.store.manifest import READERS, read_manifests
from curation.store.paths import CORPUS, TOKENIZER, TOKENIZER_CONFIG
from curation.store.shards import Output, count_rows, read_shard, read_table
from curation.tokenize.encoding.cluster_ids import cluster_ids
from curation.tokenize.encoding.encoder import EncodedTexts, Encoder
from curation.tokenize.encoding.measure import COLUMNS, CorpusCounter, CorpusCounts
from curation.tokenize.encoding.measure import total as sum_measured
from curation.tokenize.encoding.parquet.column_pages import replace_column
from curation.tokenize.encoding.shuffle import (
    document_keys,
    in_key_order,
    is_validation,
    repeats,
    slot_tokens,
    split_hashes,
    write_slots,
)
from curation.tokenize.encoding.token_shards import SPLITS, SpecialIds, TokensSettings, parse_mix
from curation.tokenize.training.given import END, PAD

OWN = "."
"""Name of the run's own corpus in `mix`."""

ENCODED = "encoded"
"""Folder of the intermediate files."""

ADDED_UP, DOMAINS_ADDED_UP = 512, 10_000
"""Encoded shards whose totals one task adds up, and domains in the result of one: some 4 MB, mostly tokens per slot and
uses of each id. From every shard of a dump that would be several hundred gigabytes through the scheduler."""

_COLUMNS = ["text", "id", "minhash_cluster_size", *COLUMNS[1:]]
_BATCH_ROWS = 256
"""Documents encoded at once, so that their text is still in the CPU cache when it is counted."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """One corpus of a mix.

    Attributes:
        position: Index in the mix; 0 is the run's own corpus.
        name: The folder as the settings spell it.
        folder: The output folder of the run that wrote the corpus.
        epochs: How often each document is used, on average.
    """

    position: int
    name: str
    folder: Folder
    epochs: float

    @property
    def is_own(self) -> bool:
        """Whether it is the run's own corpus, whose column `token_count` is filled."""
        return self.name == OWN


def find_corpora(own: Folder, shards: Sequence[str], settings: TokensSettings) -> list[tuple[Corpus, tuple[str, ...]]]:
    """Find the corpora of the token set and the names of their shards.

    Args:
        own: The output folder of the run.
        shards: Names of the run's own corpus shards.
        settings: Recipe table [tokens].

    Returns:
        The corpora with their shards, the run's own first. `epochs` is the number of `mix`, also if it is a weight.

    Raises:
        InputError: A corpus of `mix` has no shards.
    """
    wanted = {OWN: 1.0, **dict(parse_mix(entry) for entry in settings.mix)}
    corpora = []
    for position, (name, number) in enumerate(wanted.items()):
        folder = own if name == OWN else Folder(name)
        names = tuple(shards) if name == OWN else tuple(CORPUS.shards(folder))
        if name != OWN and not names:
            raise InputError(f"tokens.mix: {name}: contains no corpus/*.parquet")
        corpora.append((Corpus(position, name, folder, number), names))
    return corpora


def count_documents(corpora: Sequence[tuple[Corpus, Sequence[str]]]) -> int:
    """Number of documents in shards of the corpora, from their manifests, or from the footers where there are none."""
    number, places = 0, []
    for corpus, shards in corpora:
        made = (output for manifest in read_manifests(corpus.folder, "corpus") for output in manifest.outputs)
        rows = {output.path: output.rows for output in made if output.path.startswith(f"{CORPUS.folder}/")}
        for path in map(CORPUS.path, shards):
            if path in rows:
                number += rows[path]
            else:
                places.append((corpus.folder, path))
    return number + sum(overlapped(lambda place: count_rows(*place), places, READERS))


def least_split_hash(entry: tuple[Corpus, str]) -> int | None:
    """The smallest split hash of a shard's documents, or None if it has no documents."""
    corpus, shard = entry
    ids = read_table(corpus.folder, CORPUS.path(shard), ["id"])["id"].combine_chunks()
    return int(split_hashes(cluster_ids(corpus.folder, shard, ids)).min()) if len(ids) else None


@lru_cache(maxsize=2)
def read_encoder(url: str, tokenizer: str) -> Encoder:
    """The encoder of the run in the folder `url`, cached in the process; `tokenizer` is its hash."""
    return Encoder(Folder(url).read(TOKENIZER))


def special_ids(folder: Folder, encoder: Encoder, settings: TokensSettings) -> SpecialIds:
    """The ids between documents: those that the recipe names, else the ones in the run's tokenizer_config.json.

    Raises:
        InputError: The tokenizer does not have a token that is named or needed.
    """
    names: dict[str, Any] = folder.read_json(TOKENIZER_CONFIG) if folder.exists(TOKENIZER_CONFIG) else {}
    end = encoder.special_id(settings.end_token or names.get("eos_token") or END)
    pad = encoder.find_special_id(settings.pad_token or names.get("pad_token") or PAD)
    begin = None
    if settings.begin:
        if names.get("bos_token") is None:
            raise InputError(
                "tokens.begin: the tokenizer has no token that begins a document; set tokenizer.begin_token"
            )
        begin = encoder.special_id(names["bos_token"])
    return SpecialIds(end, end if pad is None else pad, begin)


def count_tokens(task: tuple[Corpus, str, Folder, str]) -> int:
    """Number of tokens in one shard, end tokens included. `task`: corpus, shard, output folder, tokenizer hash."""
    corpus, shard, out, tokenizer = task
    encoder = read_encoder(out.url, tokenizer)
    batches = read_shard(corpus.folder, CORPUS.path(shard), ["text"], _BATCH_ROWS)
    return sum(len(encoder(batch.column("text")).ids) + batch.num_rows for batch in batches)


@dataclass(frozen=True, slots=True)
class EncodeTask:
    """One shard to encode.

    Attributes:
        corpus: The corpus of the shard.
        shard: Name of the shard.
        out: The output folder of the run.
        tokenizer: Hash of the tokenizer in `out`.
        settings: Recipe table [tokens].
        slots: Number of slots, see `shuffle`.
        least: Documents whose split hash is at most this are in validation; None for no such bound.
        fingerprint: Fingerprint of the tokens step.
    """

    corpus: Corpus
    shard: str
    out: Folder
    tokenizer: str
    settings: TokensSettings
    slots: int
    least: int | None
    fingerprint: str

    @property
    def path(self) -> str:
        """The shard in its corpus."""
        return CORPUS.path(self.shard)

    @property
    def name(self) -> str:
        """Name of the shard, unique across corpora."""
        return self.shard if self.corpus.is_own else f"{self.shard}-{self.corpus.position}"

    def slots_path(self, split: str) -> str:
        """Path of the intermediate file of one split."""
        return f"{slots_folder(self.fingerprint, split)}/{self.name}.arrow"

    @property
    def measured_path(self) -> str:
        """Path of the counts for the tokenizer report; only for the run's own corpus."""
        return f"{ENCODED}/{self.fingerprint}/measured/{self.name}.json"


def slots_folder(fingerprint: str, split: str) -> str:
    """Folder of the intermediate files of a split, for a tokens step with this fingerprint."""
    return f"{ENCODED}/{fingerprint}/{split}"


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over encoded shards.

    Attributes:
        tokens: For each split the tokens in every slot, int64[slots].
        measured: Counts for the tokenizer report; None without a shard of the run's own corpus.
    """

    tokens: Mapping[str, Int64s] = field(default_factory=dict)
    measured: CorpusCounts | None = None


def read_totals(task: EncodeTask) -> tuple[dict[str, tuple[Int64s, Int64s]], CorpusCounts | None]:
    """The non-empty slots of an encoded shard and the tokens in them, by split, and its counts for the report.

    Raises:
        OSError, ValueError: An intermediate file is missing or damaged.
    """
    tokens = {split: slot_tokens(task.out, task.slots_path(split)) for split in SPLITS}
    return tokens, CorpusCounts.from_json(task.out.read_json(task.measured_path)) if task.corpus.is_own else None


def add_up(tasks: Sequence[EncodeTask]) -> Totals:
    """The totals of up to ADDED_UP encoded shards, with the domains that have the most tokens in them."""
    tokens = {split: np.zeros(tasks[0].slots, np.int64) for split in SPLITS}

    def measured() -> Iterator[CorpusCounts]:
        for made, counts in overlapped(read_totals, tasks, READERS):
            for split, (slots, numbers) in made.items():
                tokens[split][slots] += numbers
            if counts is not None:
                yield counts

    return Totals(tokens, sum_measured(measured(), DOMAINS_ADDED_UP))


def add_totals(parts: Iterable[Totals]) -> Totals:
    """The sum of totals."""
    tokens: dict[str, Int64s] = {}

    def measured() -> Iterator[CorpusCounts]:
        for part in parts:
            for split, counts in part.tokens.items():
                tokens[split] = counts + tokens.get(split, 0)
            if part.measured is not None:
                yield part.measured

    return Totals(tokens, sum_measured(measured()))


def encode_shard(task: EncodeTask) -> tuple[dict[str, int], Output | None]:
    """Encode one shard: write the slots of both splits, and fill `token_count` in the run's own corpus.

    Returns:
        Counts of documents, copies and tokens (end tokens included), and the rewritten corpus file if there is one.
    """
    encoder = read_encoder(task.out.url, task.tokenizer)
    data = task.corpus.folder.read(task.path)
    encoded, ids, sizes, measured = _encode(task, data, encoder)
    with ThreadPoolExecutor(1) as pool:  # sort the documents while waiting for storage
        filled = pool.submit(_fill, task, data, encoded.lengths, measured) if task.corpus.is_own else None
        counts = _write_sorted(task, encoder, encoded, ids, sizes)
        return counts, filled.result() if filled else None


def _encode(
    task: EncodeTask, data: bytes, encoder: Encoder
) -> tuple[EncodedTexts, pa.StringArray, Int64s, CorpusCounts]:
    """Encode all documents of a shard; returns them with ids, cluster sizes and, for the run's own corpus, counts."""
    parts: list[EncodedTexts] = []
    ids: list[pa.Array] = [pa.array([], pa.string())]
    sizes: list[Int64s] = [np.empty(0, np.int64)]
    counter = CorpusCounter(encoder.vocabulary)
    with pq.ParquetFile(pa.BufferReader(data)) as parquet:
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=_COLUMNS):
            encoded = encoder(batch.column("text"))
            parts.append(EncodedTexts(encoded.ids.astype(encoder.dtype, copy=False), encoded.offsets))
            ids.append(batch.column("id"))
            if task.corpus.is_own:
                counter.add(batch, parts[-1])
            sizes.append(batch.column("minhash_cluster_size").fill_null(1).to_numpy())
    lengths = np.concatenate([np.empty(0, np.int64), *(part.lengths for part in parts)])
    flat = np.concatenate([part.ids for part in parts] or [np.empty(0, encoder.dtype)])
    encoded = EncodedTexts(flat, np.concatenate(([0], np.cumsum(lengths))))
    return encoded, pa.concat_arrays(ids), np.concatenate(sizes), counter.total()


def _fill(task: EncodeTask, data: bytes, lengths: Int64s, measured: CorpusCounts) -> Output:
    """Write the counts, and rewrite the shard with `token_count`: tokens of the text without the end token."""
    task.out.write_json(task.measured_path, measured.to_json(), sync=False)
    with task.out.writing(task.path) as file:
        for part in replace_column(data, "token_count", pa.array(lengths, pa.int64())):
            file.write(part)
    return Output(task.path, file.size, file.hash, len(lengths))


def _write_sorted(
    task: EncodeTask, encoder: Encoder, encoded: EncodedTexts, ids: pa.StringArray, sizes: Int64s
) -> dict[str, int]:
    """Write the slots of both splits; returns the counts of `encode_shard`."""
    special = special_ids(task.out, encoder, task.settings)
    counts = {"documents": len(ids), "tokens": len(encoded.ids) + len(ids)}
    if special.begin is not None:
        counts |= {"tokens": counts["tokens"] + len(ids), "begin_tokens": len(ids)}
    for split, copies in zip(SPLITS, _copies(task, ids, sizes), strict=True):
        rows = np.repeat(np.arange(len(ids)), copies)
        number = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
        keys = document_keys(ids.take(pa.array(rows)), number, task.settings.seed, task.corpus.position)
        documents = in_key_order(encoded, ids, keys, rows, encoder.dtype, special.end, special.begin)
        write_slots(task.out, task.slots_path(split), documents, task.slots)
        counts[f"{split}_documents"] = int((copies > 0).sum())
        counts[f"{split}_copies"] = len(documents)
        counts[f"{split}_tokens"] = len(documents.encoded.ids)
    return counts


def _copies(task: EncodeTask, ids: pa.StringArray, sizes: Int64s) -> tuple[Int64s, Int64s]:
    """How often each document is used for training and for validation, int64[documents] each."""
    settings = task.settings
    times = task.corpus.epochs * cluster_repeats(sizes, settings)
    copies = repeats(ids, times)
    validation = np.zeros(len(ids), np.bool_)
    if settings.validation_fraction > 0:
        clusters = cluster_ids(task.corpus.folder, task.shard, ids)
        validation = is_validation(split_hashes(clusters), settings.validation_fraction, task.least)
    return np.where(validation, 0, copies), np.where(validation, np.minimum(copies, 1), 0)


def cluster_repeats(sizes: Int64s, settings: TokensSettings) -> Float64s:
    """Repeats of documents by the size of their near-duplicate clusters; 1 below the smallest of `cluster_sizes`."""
    steps = np.array([1.0, *settings.cluster_repeats])
    return steps[np.searchsorted(np.array(settings.cluster_sizes, np.int64), sizes, side="right")]
