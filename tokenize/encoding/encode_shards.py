"""The first pass over the corpora: count, choose the split and the copies of each document, encode, sort by key.

A token set is made of one or more corpora. A document is taken as often as its corpus' epochs and its near-duplicate
cluster's size ask for; a document kept for validation is taken there at most once, and never in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.arrays import Float64s, Int64s
from curation.errors import InputError
from curation.stages.tally import add_counts
from curation.store.folder import Folder
from curation.store.paths import CORPUS, TOKENIZER
from curation.store.shards import Output, count_rows, read_shard, read_table
from curation.tokenize.encoding.cluster_ids import cluster_ids
from curation.tokenize.encoding.encoder import EncodedTexts, Encoder
from curation.tokenize.encoding.measure import COLUMNS, CorpusCounter, CorpusCounts
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
from curation.tokenize.encoding.token_shards import SPLITS, TokensSettings, parse_mix

OWN = "."
"""The corpus of the run itself, in `mix`."""

ENCODED = "encoded"
"""Folder of the intermediate files."""

_COLUMNS = ["text", "id", "minhash_cluster_size", *COLUMNS[1:]]
_BATCH_ROWS = 256
"""Documents encoded at once: what is then counted of them is still in the cache."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """One corpus of a mix: its place in it, its folder (`name` as the settings spell it), its epochs."""

    position: int
    name: str
    folder: Folder
    epochs: float

    @property
    def is_own(self) -> bool:
        """Whether it is the corpus of the run itself, whose `token_count` is to be filled."""
        return self.name == OWN


def find_corpora(own: Folder, shards: Sequence[str], settings: TokensSettings) -> list[tuple[Corpus, tuple[str, ...]]]:
    """The corpora of the token set and their shards, the run's own first; `epochs` as the settings have the number.

    InputError for a further corpus that is empty.
    """
    wanted = {OWN: 1.0, **dict(parse_mix(entry) for entry in settings.mix)}
    corpora = []
    for position, (name, number) in enumerate(wanted.items()):
        folder = own if name == OWN else Folder(name)
        names = tuple(shards) if name == OWN else tuple(CORPUS.shards(folder))
        if name != OWN and not names:
            raise InputError(f"tokens.mix: {name}: no corpus/*.parquet there")
        corpora.append((Corpus(position, name, folder, number), names))
    return corpora


def count_documents(entry: tuple[Corpus, str]) -> int:
    """Documents of a shard, by its footer."""
    corpus, shard = entry
    return count_rows(corpus.folder, CORPUS.path(shard))


def least_split_hash(entry: tuple[Corpus, str]) -> int | None:
    """The least split hash of a shard's documents, None if it has none."""
    corpus, shard = entry
    ids = read_table(corpus.folder, CORPUS.path(shard), ["id"])["id"].combine_chunks()
    return int(split_hashes(cluster_ids(corpus.folder, shard, ids)).min()) if len(ids) else None


@lru_cache(maxsize=2)
def read_encoder(url: str, tokenizer: str) -> Encoder:
    """The encoder of the run in the folder `url`, kept for the life of the process; `tokenizer` is its hash."""
    return Encoder(Folder(url).read(TOKENIZER))


def count_tokens(task: tuple[Corpus, str, Folder, str]) -> int:
    """Tokens of one shard, end tokens included, by the tokenizer of a folder and hash."""
    corpus, shard, out, tokenizer = task
    encoder = read_encoder(out.url, tokenizer)
    batches = read_shard(corpus.folder, CORPUS.path(shard), ["text"], _BATCH_ROWS)
    return sum(len(encoder(batch.column("text")).ids) + batch.num_rows for batch in batches)


@dataclass(frozen=True, slots=True)
class EncodeTask:
    """One shard to encode, and all that its encoding depends on."""

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
        """The shard's name among those of all corpora."""
        return self.shard if self.corpus.is_own else f"{self.shard}-{self.corpus.position}"

    def slots_path(self, split: str) -> str:
        """The intermediate file of one split."""
        return f"{slots_folder(self.fingerprint, split)}/{self.name}.arrow"

    @property
    def measured_path(self) -> str:
        """What was measured of the tokenizer, where the corpus is the run's own."""
        return f"{ENCODED}/{self.fingerprint}/measured/{self.name}.json"


def slots_folder(fingerprint: str, split: str) -> str:
    """Where the intermediate files of a split are, for a step with this fingerprint."""
    return f"{ENCODED}/{fingerprint}/{split}"


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over shards: counts by name, tokens by slot for each split, shape (slots,), and what was measured."""

    counts: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, Int64s] = field(default_factory=dict)
    measured: CorpusCounts | None = None

    def __add__(self, other: Totals) -> Totals:
        tokens = {split: self.tokens.get(split, 0) + counts for split, counts in other.tokens.items()}
        both = self.measured + other.measured if self.measured and other.measured else None
        measured = both or self.measured or other.measured
        return Totals(add_counts(self.counts, other.counts), {**self.tokens, **tokens}, measured)


def read_totals(task: EncodeTask, counts: Mapping[str, int]) -> Totals:
    """The totals of an encoded shard. OSError or ValueError if an intermediate file is not there or not whole."""
    tokens = {split: slot_tokens(task.out, task.slots_path(split), task.slots) for split in SPLITS}
    measured = CorpusCounts.from_json(task.out.read_json(task.measured_path)) if task.corpus.is_own else None
    return Totals(counts, tokens, measured)


def encode_shard(task: EncodeTask) -> tuple[dict[str, int], Output | None]:
    """Encode one shard: fills `token_count` if the corpus is the run's own, and writes both splits' slots.

    Returns counts of documents, copies and tokens (end tokens included), and the corpus file as rewritten.
    """
    encoder = read_encoder(task.out.url, task.tokenizer)
    data = task.corpus.folder.read(task.path)
    encoded, ids, sizes, measured = _encode(task, data, encoder)
    with ThreadPoolExecutor(1) as pool:  # storage is waited for while the documents are sorted
        filled = pool.submit(_fill, task, data, encoded.lengths, measured) if task.corpus.is_own else None
        counts = _write_sorted(task, encoder, encoded, ids, sizes)
        return counts, filled.result() if filled else None


def _encode(
    task: EncodeTask, data: bytes, encoder: Encoder
) -> tuple[EncodedTexts, pa.StringArray, Int64s, CorpusCounts]:
    """All documents of a shard, with ids and cluster sizes; measures the tokenizer if the corpus is the run's own."""
    parts: list[EncodedTexts] = []
    ids: list[pa.Array] = [pa.array([], pa.string())]
    sizes: list[Int64s] = [np.empty(0, np.int64)]
    measuring = CorpusCounter(encoder.vocabulary)
    with pq.ParquetFile(pa.BufferReader(data)) as parquet:
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=_COLUMNS):
            encoded = encoder(batch.column("text"))
            parts.append(EncodedTexts(encoded.ids.astype(encoder.dtype, copy=False), encoded.offsets))
            ids.append(batch.column("id"))
            if task.corpus.is_own:
                measuring.add(batch, parts[-1])
            sizes.append(batch.column("minhash_cluster_size").fill_null(1).to_numpy())
    lengths = np.concatenate([np.empty(0, np.int64), *(part.lengths for part in parts)])
    flat = np.concatenate([part.ids for part in parts] or [np.empty(0, encoder.dtype)])
    encoded = EncodedTexts(flat, np.concatenate(([0], np.cumsum(lengths))))
    return encoded, pa.concat_arrays(ids), np.concatenate(sizes), measuring.total()


def _fill(task: EncodeTask, data: bytes, lengths: Int64s, measured: CorpusCounts) -> Output:
    """Write what was measured, and the shard again with `token_count`: the text's tokens without the end token."""
    task.out.write_json(task.measured_path, measured.to_json(), sync=False)
    with task.out.writing(task.path) as file:
        for part in replace_column(data, "token_count", pa.array(lengths, pa.int64())):
            file.write(part)
    return Output(task.path, file.size, file.hash, len(lengths))


def _write_sorted(
    task: EncodeTask, encoder: Encoder, encoded: EncodedTexts, ids: pa.StringArray, sizes: Int64s
) -> dict[str, int]:
    """Write the slots of both splits; the counts of `encode_shard`."""
    end = encoder.special_id(task.settings.end_token)
    counts = {"documents": len(ids), "tokens": len(encoded.ids) + len(ids)}
    for split, copies in zip(SPLITS, _copies(task, ids, sizes), strict=True):
        rows = np.repeat(np.arange(len(ids)), copies)
        number = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
        keys = document_keys(ids.take(pa.array(rows)), number, task.settings.seed, task.corpus.position)
        documents = in_key_order(encoded, ids, keys, rows, encoder.dtype, end)
        write_slots(task.out, task.slots_path(split), documents, task.slots)
        counts[f"{split}_documents"] = int((copies > 0).sum())
        counts[f"{split}_copies"] = len(documents)
        counts[f"{split}_tokens"] = len(documents.encoded.ids)
    return counts


def _copies(task: EncodeTask, ids: pa.StringArray, sizes: Int64s) -> tuple[Int64s, Int64s]:
    """How often each document is taken for training and for validation."""
    settings = task.settings
    times = task.corpus.epochs * cluster_repeats(sizes, settings)
    copies = repeats(ids, times)
    held = np.zeros(len(ids), np.bool_)
    if settings.validation_fraction > 0:
        clusters = cluster_ids(task.corpus.folder, task.shard, ids)
        held = is_validation(split_hashes(clusters), settings.validation_fraction, task.least)
    return np.where(held, 0, copies), np.where(held, np.minimum(copies, 1), 0)


def cluster_repeats(sizes: Int64s, settings: TokensSettings) -> Float64s:
    """Repeats by near-duplicate cluster size, 1 where the settings say nothing of a size."""
    steps = np.array([1.0, *settings.cluster_repeats])
    return steps[np.searchsorted(np.array(settings.cluster_sizes, np.int64), sizes, side="right")]
