"""The files of other trainers: one function per format, which writes one split of a token set.

The formats are those of the readers: Megatron-LM's IndexedDataset, nanoGPT's train.py, llm.c's dataloader.h, the numpy
datasets of OLMo-core, the shards of mosaicml-streaming and the chunks of litdata. No such package is needed to write.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.arrays import Int64s
from curation.errors import InputError
from curation.store.folder import Folder
from curation.store.shards import Output, writing_zstd
from curation.tokenize.loading.document_stream import stream_parts, whole_documents
from curation.tokenize.loading.token_set import TokenSet

LLMC_TOKENS = 100_000_000
"""Tokens per file for llm.c, which reads files of about this size one after the other."""

OLMO_TOKENS = 1 << 30
"""Tokens per file for OLMo-core, which leaves out what does not fill a sequence at the end of each file."""

LITDATA_TOKENS = 1 << 24
"""Tokens per chunk of litdata, about: a chunk is downloaded as a whole, and what does not fill a block is left out."""

MDS_BYTES = 1 << 26
"""Bytes per shard of mosaicml-streaming, its own default."""

Counts = dict[str, int]
Written = tuple[list[Output], Counts]
"""The files of an export, and what `<split>.json` says about them besides the ids."""

_MEGATRON_MAGIC = b"MMIDIDX\x00\x00"
_MEGATRON_TYPES = {np.dtype(np.uint8): 1, np.dtype(np.int32): 4, np.dtype(np.uint16): 8}
_LLMC_MAGIC, _LLMC_VERSION = 20240520, 1
_LITDATA_INT32 = "no_header_tensor:16"
_LITDATA_TENSOR = json.dumps([1, {"type": None, "context": None, "children_spec": []}])
"""How litdata describes that an item is one tensor, not a dict or list of several."""


def id_type(tokens: TokenSet, form: str) -> np.dtype[Any]:
    """The type of the ids in a format."""
    if form == "litdata":
        return np.dtype(np.int32)
    if form in ("megatron", "olmo"):
        return np.dtype(np.int32) if form == "megatron" and tokens.dtype.itemsize == 4 else tokens.dtype
    return np.dtype(np.uint16) if tokens.dtype.itemsize < 4 else tokens.dtype


def write_megatron(tokens: TokenSet, folder: Folder, kind: np.dtype[Any], size: int | None) -> Written:
    """`<split>.bin` and `<split>.idx`: one sequence per document."""
    data, bounds = _write_stream(tokens, folder, f"{tokens.split}.bin", kind)
    count = len(bounds) - 1
    with folder.writing(f"{tokens.split}.idx") as file:
        file.write(_MEGATRON_MAGIC + struct.pack("<QBQQ", 1, _MEGATRON_TYPES[kind], count, count + 1))
        file.write(np.diff(bounds).astype("<i4"))
        file.write((bounds[:-1] * kind.itemsize).astype("<i8"))
        file.write(np.arange(count + 1, dtype="<i8"))
    index = Output(f"{tokens.split}.idx", file.size, file.hash, count)
    return [data, index], {"tokens": int(bounds[-1]), "documents": count}


def write_bin(tokens: TokenSet, folder: Folder, kind: np.dtype[Any], size: int | None) -> Written:
    """`<split>.bin` with bare ids, and `<split>.documents.npy` with the place of each document."""
    data, bounds = _write_stream(tokens, folder, f"{tokens.split}.bin", kind)
    with folder.writing(f"{tokens.split}.documents.npy") as file:
        np.lib.format.write_array(file, bounds.astype("<i8"), allow_pickle=False)
    index = Output(f"{tokens.split}.documents.npy", file.size, file.hash, data.rows)
    return [data, index], {"tokens": int(bounds[-1]), "documents": data.rows}


def write_nanogpt(tokens: TokenSet, folder: Folder, kind: np.dtype[Any], size: int | None) -> Written:
    """`train.bin` or `val.bin` with bare ids, and `meta.pkl` with the size of the vocabulary."""
    _refuse_large(tokens, "nanoGPT")
    data, bounds = _write_stream(tokens, folder, f"{'train' if tokens.split == 'train' else 'val'}.bin", kind)
    with folder.writing("meta.pkl") as file:
        file.write(pickle.dumps({"vocab_size": tokens.vocabulary}, protocol=4))
    meta = Output("meta.pkl", file.size, file.hash, 0)
    return [data, meta], {"tokens": int(bounds[-1]), "documents": data.rows}


def write_llmc(tokens: TokenSet, folder: Folder, kind: np.dtype[Any], size: int | None) -> Written:
    """`<split>_000000.bin` and so on, each with a header of 256 int32."""
    _refuse_large(tokens, "llm.c")

    def write(number: int, ids: npt.NDArray[Any]) -> Output:
        header = np.zeros(256, "<i4")
        header[:3] = _LLMC_MAGIC, _LLMC_VERSION, len(ids)
        with folder.writing(path := f"{tokens.split}_{number:06d}.bin") as file:
            file.write(header)
            file.write(ids)
        return Output(path, file.size, file.hash, 0)

    outputs, counts = _write_pieces(tokens, kind, size or LLMC_TOKENS, write)
    _remove_rest(folder, f"{tokens.split}_{{:06d}}.bin", len(outputs))
    return outputs, counts


def write_olmo(tokens: TokenSet, folder: Folder, kind: np.dtype[Any], size: int | None) -> Written:
    """`<split>-00000.npy` and so on: bare ids; `<split>-00000.csv.gz`: begin, end and id of each document in it."""
    outputs: list[Output] = []
    counts = {"tokens": 0, "documents": 0}
    documents = whole_documents(tokens)
    following = next(documents, None)
    while following is not None:
        stem, table, begin, rows = f"{tokens.split}-{len(outputs) // 2:05d}", io.StringIO(), 0, 0
        lines = csv.writer(table, lineterminator="\n")
        with folder.writing(f"{stem}.npy") as file:
            while following is not None and begin < (size or OLMO_TOKENS):
                name, ids = following
                file.write(np.ascontiguousarray(ids, kind))
                lines.writerow([begin, begin + len(ids), " ".join(name.splitlines())])  # it reads line by line
                begin, rows = begin + len(ids), rows + 1
                following = next(documents, None)
        with folder.writing(f"{stem}.csv.gz") as places:
            places.write(gzip.compress(table.getvalue().encode(), mtime=0))
        outputs.append(Output(f"{stem}.npy", file.size, file.hash, rows))
        outputs.append(Output(f"{stem}.csv.gz", places.size, places.hash, rows))
        counts["tokens"] += begin
        counts["documents"] += rows
    for suffix in ("npy", "csv.gz"):
        _remove_rest(folder, f"{tokens.split}-{{:05d}}.{suffix}", len(outputs) // 2)
    return outputs, counts


def write_litdata(tokens: TokenSet, folder: Folder, kind: np.dtype[Any], size: int | None) -> Written:
    """`<split>/chunk-0-0.bin` and so on, and `<split>/index.json`, for litdata's TokensLoader.

    A chunk is one item, a stretch of the stream of documents, of whole rows if a block is as long as a row of ours.
    """
    chunks: list[dict[str, Any]] = []
    piece = max((size or LITDATA_TOKENS) // tokens.sequence_length, 1) * tokens.sequence_length

    def write(number: int, ids: npt.NDArray[Any]) -> Output:
        name = f"chunk-0-{number}.bin"
        with folder.writing(f"{tokens.split}/{name}") as file:
            file.write(np.array([1, 12, 12 + ids.nbytes], "<u4"))  # one item, and where it begins and ends
            file.write(ids)
        chunks.append({"chunk_bytes": file.size, "chunk_size": 1, "dim": len(ids), "filename": name})
        return Output(f"{tokens.split}/{name}", file.size, file.hash, 0)

    outputs, counts = _write_pieces(tokens, kind, piece, write)
    nothing = (
        "compression",
        "compression_level",
        "compression_batch_size",
        "ipc_compression",
        "chunk_bytes",
        "encryption",
    )
    config = {
        **dict.fromkeys(nothing),
        "chunk_size": piece,
        "data_format": [_LITDATA_INT32],
        "data_spec": _LITDATA_TENSOR,
        "item_loader": "TokensLoader",
        "types": "tensor",
    }
    index = _write_index(folder, f"{tokens.split}/index.json", {"chunks": chunks, "config": config})
    _remove_rest(folder, f"{tokens.split}/chunk-0-{{}}.bin", len(chunks))
    return [*outputs, index], counts


def write_mds(tokens: TokenSet, folder: Folder, kind: np.dtype[Any], size: int | None) -> Written:
    """`<split>/shard.00000.mds` and so on, and `<split>/index.json`: one sample per row, as it is packed and padded."""
    length = tokens.sequence_length
    config = {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": [],
        "size_limit": MDS_BYTES,
        "column_names": ["tokens"],
        "column_encodings": [f"ndarray:{kind.name}:{length}"],
        "column_sizes": [length * kind.itemsize],
    }
    described = json.dumps(config, sort_keys=True).encode()
    limit = MDS_BYTES if size is None else size * kind.itemsize
    rows = max((limit - 8 - len(described)) // (length * kind.itemsize + 4), 1)
    outputs: list[Output] = []
    shards: list[dict[str, Any]] = []

    def write(samples: npt.NDArray[Any]) -> None:
        name = f"shard.{len(shards):05d}.mds"
        first = 4 + 4 * (len(samples) + 1) + len(described)
        with folder.writing(f"{tokens.split}/{name}") as file:
            file.write(np.array([len(samples)], "<u4"))
            file.write((first + np.arange(len(samples) + 1) * length * kind.itemsize).astype("<u4"))
            file.write(described)
            file.write(samples)
        raw = {"basename": name, "bytes": file.size, "hashes": {}}
        shards.append({**config, "raw_data": raw, "samples": len(samples), "zip_data": None})
        outputs.append(Output(f"{tokens.split}/{name}", file.size, file.hash, 0))

    counts = {"tokens": 0, "documents": 0, "rows": len(tokens)}
    buffer = np.empty((0, length), kind)
    for part in stream_parts(tokens):
        counts["tokens"] += len(part.ids)
        counts["documents"] += len(part.begins)
        buffer = np.concatenate([buffer, part.packed.astype(kind)])
        while len(buffer) >= rows:
            write(buffer[:rows])
            buffer = buffer[rows:]
    if len(buffer):
        write(buffer)
    index = _write_index(folder, f"{tokens.split}/index.json", {"version": 2, "shards": shards})
    _remove_rest(folder, f"{tokens.split}/shard.{{:05d}}.mds", len(shards))
    return [*outputs, index], counts


def write_jsonl(tokens: TokenSet, folder: Folder, kind: np.dtype[Any], size: int | None) -> Written:
    """`<split>.jsonl.zst`: a line for each document, with `id` and `input_ids`."""
    counts = {"tokens": 0, "documents": 0}
    with writing_zstd(folder, path := f"{tokens.split}.jsonl.zst") as (packed, file):
        for name, ids in whole_documents(tokens):
            packed.write(f'{{"id": {json.dumps(name)}, "input_ids": {ids.tolist()}}}\n'.encode())
            counts["tokens"] += len(ids)
            counts["documents"] += 1
    return [Output(path, file.size, file.hash, counts["documents"])], counts


Writer = Callable[[TokenSet, Folder, np.dtype[Any], int | None], Written]

WRITERS: dict[str, Writer] = {
    "megatron": write_megatron,
    "bin": write_bin,
    "nanogpt": write_nanogpt,
    "llmc": write_llmc,
    "olmo": write_olmo,
    "mds": write_mds,
    "litdata": write_litdata,
    "jsonl": write_jsonl,
}

OWN_FILES = {
    "megatron": "{}.idx",
    "bin": "{}.documents.npy",
    "nanogpt": "meta.pkl",
    "llmc": "{}_000000.bin",
    "olmo": "{}-00000.npy",
    "mds": "{}/shard.00000.mds",
    "litdata": "{}/chunk-0-0.bin",
    "jsonl": "{}.jsonl.zst",
}
"""A file of each split that only this format has."""


def _refuse_large(tokens: TokenSet, reader: str) -> None:
    if tokens.dtype.itemsize > 2:
        raise InputError(
            f"{reader} reads ids below 65,536 only, and the vocabulary has {tokens.vocabulary:,} tokens; `curate run "
            "--update --set tokenizer.vocab_size=65536` trains a smaller one, --format bin writes ids in four bytes"
        )


def _write_stream(tokens: TokenSet, folder: Folder, path: str, kind: np.dtype[Any]) -> tuple[Output, Int64s]:
    """Write the bare ids; returns the file, and the token offsets at which documents begin, followed by the end."""
    total, parts = 0, [np.empty(0, np.int64)]
    with folder.writing(path) as file:
        for part in stream_parts(tokens):
            file.write(np.ascontiguousarray(part.ids, kind))
            parts.append(part.begins + total)
            total += len(part.ids)
    bounds = np.append(np.concatenate(parts), total)
    return Output(path, file.size, file.hash, len(bounds) - 1), bounds


def _write_pieces(
    tokens: TokenSet, kind: np.dtype[Any], size: int, write: Callable[[int, npt.NDArray[Any]], Output]
) -> Written:
    """Write the stream of documents in pieces of `size` tokens; the last one may be shorter.

    Args:
        tokens: The token set.
        kind: Type of the ids.
        size: Tokens per piece.
        write: Writes a piece, given its number and tokens.
    """
    outputs: list[Output] = []
    counts = {"tokens": 0, "documents": 0}
    buffer, buffered = list[npt.NDArray[Any]](), 0
    for part in stream_parts(tokens):
        ids = np.ascontiguousarray(part.ids, kind)
        counts["tokens"] += len(ids)
        counts["documents"] += len(part.begins)
        while buffered + len(ids) >= size:
            cut = size - buffered
            outputs.append(write(len(outputs), np.concatenate([*buffer, ids[:cut]])))
            ids, buffer, buffered = ids[cut:], [], 0
        buffer.append(ids)
        buffered += len(ids)
    if buffered:
        outputs.append(write(len(outputs), np.concatenate(buffer)))
    return outputs, counts


def _write_index(folder: Folder, path: str, value: Any) -> Output:
    """Write a reader's index, formatted as its own writer does."""
    digest = folder.write(path, json.dumps(value, sort_keys=True).encode())
    return Output(path, folder.size(path), digest, 0)


def _remove_rest(folder: Folder, pattern: str, number: int) -> None:
    """Remove the files of a longer export that this one replaces, from `number` on."""
    while folder.exists(left := pattern.format(number)):
        folder.remove(left)
        number += 1
