"""Small corpora, tokenizers and token sets for tests, generated from seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from curation.jobs.steps.progress import Progress
from curation.jobs.steps.tokenize import make_tokens
from curation.running.cluster import Cluster
from curation.store import schema
from curation.store.folder import Folder
from curation.store.manifest import Manifest
from curation.store.shards import ShardWriter
from curation.tokenize.encoding.token_shards import (
    PackedRows,
    TokensSettings,
    shard_path,
    token_schema,
    write_token_shard,
)

END, PAD = "<|endoftext|>", "<|padding|>"

GPT4_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

WORDS = [
    "river",
    "stone",
    "window",
    "letter",
    "garden",
    "silver",
    "morning",
    "quiet",
    "bridge",
    "paper",
    "winter",
    "market",
    "under",
    "little",
    "across",
    "train",
    "house",
    "water",
    "light",
    "story",
    "between",
    "corner",
    "village",
    "1914",
    "2024",
    "it's",
    "they'll",
    "über",
    "naïve",
    "東京",
    "Привет",
    "🙂",
]


def make_texts(count: int, seed: int = 0, longest: int = 400) -> list[str]:
    """Random texts of 0 to `longest` words; some are empty, some contain special tokens as text."""
    random = np.random.default_rng(seed)
    texts = []
    for number in range(count):
        words = [WORDS[pick] for pick in random.integers(0, len(WORDS), random.integers(0, longest))]
        if number % 17 == 3:
            words.insert(len(words) // 2, END)
        if number % 23 == 5:
            words.append(PAD)
        texts.append(" ".join(words) + ("\n" if number % 5 == 0 else ""))
    return texts


def train_tokenizer(texts: Sequence[str], vocabulary: int = 600, pattern: str = GPT4_PATTERN) -> tokenizers.Tokenizer:
    """A byte-level BPE tokenizer with an end and a padding token."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    split = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END, PAD], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_corpus(folder: Folder, shards: dict[str, Sequence[str]], sizes: dict[str, int] | None = None) -> None:
    """Write corpus/<shard>.parquet for each list of texts; ids are `<shard>/<row>`, cluster sizes by id, else 1."""
    for shard, texts in shards.items():
        ids = [f"{shard}/{row}" for row in range(len(texts))]
        columns = {
            "text": list(texts),
            "id": ids,
            "dump": ["test"] * len(texts),
            "url": [f"https://example.org/{identity}" for identity in ids],
            "date": ["2024-01-01T00:00:00Z"] * len(texts),
            "file_path": [f"{shard}.warc.gz"] * len(texts),
            "language": ["en"] * len(texts),
            "language_score": [0.9] * len(texts),
            "token_count": [None] * len(texts),
            "minhash_cluster_size": [(sizes or {}).get(identity, 1) for identity in ids],
            "warc_offset": list(range(len(texts))),
            "row": [None] * len(texts),
        }
        with ShardWriter(
            folder, f"corpus/{shard}.parquet", schema.DOCUMENT, {"curation.fingerprint": "test"}
        ) as writer:
            writer.write(pa.table(columns, schema=schema.DOCUMENT))


def make_run(
    path: Path | str, texts: Sequence[str], settings: TokensSettings, shards: int = 3
) -> tuple[Folder, Manifest, tokenizers.Tokenizer]:
    """An output folder with corpus, tokenizer and tokens made from `texts`."""
    folder = Folder(str(path))
    names = {f"shard-{number}": texts[number::shards] for number in range(shards)}
    write_corpus(folder, names)
    tokenizer = train_tokenizer([text for text in texts if text] or ["none"])
    folder.write("tokenizer/tokenizer.json", tokenizer.to_str().encode())
    manifest = make_tokens(folder, list(names), settings, ["test"], Cluster(None), Progress("silent"))
    return folder, manifest, tokenizer


def make_fixed_tokens(path: Path, length: int = 16) -> list[list[int]]:
    """Token shards whose ids follow from arithmetic alone, in two files of two row groups; returns the documents."""
    documents = [[(31 * i + 17 * j) % 997 + 2 for j in range(7 * i % 40)] + [0] for i in range(40)]
    flat = [token for document in documents for token in document]
    starts = np.cumsum([0, *map(len, documents)])
    rows = -(-len(flat) // length)
    ids = np.array([*flat, *[1] * (rows * length - len(flat))], np.uint16).reshape(rows, length)
    begins = np.union1d(np.arange(rows) * length, starts)
    begins = begins[begins < ids.size]
    pieces = np.where(begins < len(flat), np.searchsorted(starts, begins, side="right") - 1, -1)
    labels = {"tokenizer": "fixed", "vocabulary": 999, "sequence_length": length, "packing": "concat", "end_id": 0}
    metadata = {f"curation.{key}": str(value) for key, value in {**labels, "pad_id": 1, "seed": 0}.items()}
    names = pa.array([f"document {number}" for number in range(len(documents))])
    half = rows // 2
    for number, (first, last) in enumerate(((0, half), (half, rows))):
        inside = (begins >= first * length) & (begins < last * length)
        offsets = np.searchsorted(begins[inside], np.arange(first, last + 1) * length)
        packed = PackedRows(ids[first:last], (begins[inside] % length).astype(np.int32), pieces[inside], offsets, 0)
        table = packed.to_arrow(names, token_schema(np.dtype(np.uint16), length))
        settings = TokensSettings(row_group_rows=-(-half // 2))
        write_token_shard(Folder(str(path)), shard_path("train", number), table, metadata, settings)
    return documents
