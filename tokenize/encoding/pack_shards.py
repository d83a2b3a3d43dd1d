"""The second pass: make token shards from the sorted documents of all corpus shards, one task per token shard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.running.performance import Meter
from curation.store.folder import Folder
from curation.store.manifest import Manifest
from curation.tokenize.encoding.encoder import Encoder
from curation.tokenize.encoding.merge_slots import SlotFiles
from curation.tokenize.encoding.pack import Range, best_fit, concat
from curation.tokenize.encoding.shuffle import read_slots
from curation.tokenize.encoding.token_shards import (
    SpecialIds,
    TokensSettings,
    shard_path,
    token_schema,
    write_token_shard,
)

STEP = "tokens"


@dataclass(frozen=True, slots=True)
class PackTask:
    """One token shard to make.

    Attributes:
        folder: Output folder.
        split: "train" or "validation".
        number: Number of the shard in its split.
        part: The part of the split's documents to pack.
        files: The files that hold the split's documents.
        settings: Recipe table [tokens].
        dtype: Type of the token ids.
        pad: Token that fills rows.
        metadata: Parquet metadata, see `describe`.
        fingerprint: Fingerprint of the tokens step.
    """

    folder: Folder
    split: str
    number: int
    part: Range
    files: SlotFiles
    settings: TokensSettings
    dtype: np.dtype[np.unsignedinteger]
    pad: int
    metadata: Mapping[str, str]
    fingerprint: str

    @property
    def shard(self) -> str:
        """Name of the shard in manifests/tokens/."""
        return f"{self.split}-{self.number:05d}"


def pack_shard(task: PackTask) -> dict[str, int]:
    """Make one token shard, its manifest last. Returns nothing that progress counts."""
    meter, settings, part = Meter(), task.settings, task.part
    task.folder.fs.invalidate_cache()  # fsspec caches listings, perhaps one from before the files were written
    documents = read_slots(task.folder, task.files.paths(part.first, part.last), part.first, part.last, task.dtype)
    if settings.packing == "concat":
        rows = concat(documents.encoded, settings.sequence_length, part.skip, part.tokens, task.pad)
    else:
        rows = best_fit(documents.encoded, settings.sequence_length, task.pad, settings.seed + task.number)
    table = rows.to_arrow(documents.ids, token_schema(task.dtype, settings.sequence_length))
    output = write_token_shard(task.folder, shard_path(task.split, task.number), table, task.metadata, settings)
    counts = {"rows": len(rows), "tokens": part.tokens, "padding": rows.padding}
    Manifest(STEP, task.shard, task.fingerprint, outputs=[output], counts=counts).write(task.folder, meter.report())
    return {}


def describe(
    encoder: Encoder, special: SpecialIds, settings: TokensSettings, sources: list[dict[str, Any]], split: str
) -> dict[str, str]:
    """The Parquet metadata of every token shard of a split; `sources` describes the corpora of the mix."""
    values = {
        "tokenizer": encoder.hash,
        "vocabulary": encoder.vocabulary,
        "sequence_length": settings.sequence_length,
        "packing": settings.packing,
        "tail": settings.tail,
        "seed": settings.seed,
        "end_id": special.end,
        "pad_id": special.pad,
        **({} if special.begin is None else {"begin_id": special.begin}),
        "sources": json.dumps(sources),
        "repeats": json.dumps(
            [list(pair) for pair in zip(settings.cluster_sizes, settings.cluster_repeats, strict=True)]
        ),
        "split": split,
    }
    return {f"curation.{name}": str(value) for name, value in values.items()}
