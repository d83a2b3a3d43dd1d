"""Exports a token set in the formats of other trainers: the same documents in the same order, without padding.

The parts of a document that `concat` cut at the end of a row are joined again. The parts of a document that `best_fit`
cut because it was longer than a row become separate documents, because other documents may be between them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.arrays import Int64s
from curation.errors import InputError, ParameterError
from curation.store.folder import Folder
from curation.store.shards import Output
from curation.tokenize.loading.token_set import TokenSet

FORMATS = ("megatron", "bin", "llmc")

LLMC_TOKENS = 100_000_000
"""Tokens per file for llm.c, which reads files of about this size one after the other."""

_MEGATRON_MAGIC = b"MMIDIDX\x00\x00"
_MEGATRON_TYPES = {np.dtype(np.uint8): 1, np.dtype(np.int32): 4, np.dtype(np.uint16): 8}
_LLMC_HEADERS = {np.dtype(np.uint16): (20240520, 1), np.dtype(np.uint32): (20240801, 7)}

_Part = tuple[npt.NDArray[Any], Int64s]


def export(source: str, target: str, form: str, split: str = "train", llmc_tokens: int = LLMC_TOKENS) -> list[Output]:
    """Export one split of a run for another trainer.

    Formats:

    - `megatron`: `<split>.bin` and `<split>.idx` for Megatron-LM's IndexedDataset, one sequence per document; int32 if
      ids exceed 65,535.
    - `bin`: `<split>.bin`, bare uint16 or uint32 as in nanoGPT, with `<split>.documents.npy` (int64, where each
      document begins, and the end) and `<split>.json`.
    - `llmc`: `<split>_000000.bin` and so on with `llmc_tokens` tokens each, after llm.c's header of 256 int32.

    Args:
        source: Folder of the run, or of its token shards.
        target: Folder to write to.
        form: One of FORMATS.
        split: "train" or "validation".
        llmc_tokens: Tokens per file of `llmc`.

    Returns:
        The files written; their `rows` are documents.

    Raises:
        InputError: There are no tokens.
        ParameterError: The format is unknown.
    """
    if form not in FORMATS:
        raise ParameterError("form", form, f"one of {', '.join(FORMATS)}")
    tokens, folder = TokenSet(source, split), Folder(target)
    if form == "megatron":
        return _write_megatron(tokens, folder)
    return _write_bin(tokens, folder) if form == "bin" else list(_write_llmc(tokens, folder, llmc_tokens))


def documents(tokens: TokenSet) -> Iterator[_Part]:
    """The tokens of each row group without padding, and where documents begin in them."""
    if "curation.end_id" not in tokens.metadata:
        raise InputError(f"{tokens.folder.url}: the metadata does not say which token ends a document")
    end, join = tokens.number("curation.end_id", -1), tokens.metadata.get("curation.packing") == "concat"
    previous = end
    for block in range(len(tokens.blocks)):
        ids, begins = _without_padding(tokens, block)
        if len(ids):
            if join:
                before = np.where(begins > 0, ids[np.maximum(begins - 1, 0)], previous)
                begins = begins[before == end]
            yield ids, begins
            previous = ids[-1]


def _without_padding(tokens: TokenSet, block: int) -> _Part:
    """The ids of a row group and where its pieces begin, without the pieces that have no document id."""
    table = tokens.table(block)
    ids = table.column("input_ids").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    starts = table.column("document_starts").combine_chunks()
    rows = np.repeat(np.arange(table.num_rows), np.diff(starts.offsets.to_numpy()))
    begins = rows * tokens.sequence_length + starts.flatten().to_numpy(zero_copy_only=False)
    real = table.column("document_ids").combine_chunks().flatten().is_valid().to_numpy(zero_copy_only=False)
    lengths = np.diff(np.append(begins, len(ids)))
    if not real.all():
        ids = ids[np.repeat(real, lengths)]
    return ids, np.cumsum(lengths[real]) - lengths[real]


def _write_stream(tokens: TokenSet, folder: Folder, path: str, kind: np.dtype[Any]) -> tuple[Output, Int64s]:
    """Write the bare ids; returns the file, and the token offsets at which documents begin, followed by the end."""
    total, parts = 0, [np.empty(0, np.int64)]
    with folder.writing(path) as file:
        for ids, begins in documents(tokens):
            file.write(np.ascontiguousarray(ids, kind))
            parts.append(begins + total)
            total += len(ids)
    bounds = np.append(np.concatenate(parts), total)
    return Output(path, file.size, file.hash, len(bounds) - 1), bounds


def _write_megatron(tokens: TokenSet, folder: Folder) -> list[Output]:
    kind = np.dtype(np.int32) if tokens.dtype.itemsize == 4 else tokens.dtype
    data, bounds = _write_stream(tokens, folder, f"{tokens.split}.bin", kind)
    count = len(bounds) - 1
    with folder.writing(f"{tokens.split}.idx") as file:
        file.write(_MEGATRON_MAGIC + struct.pack("<QBQQ", 1, _MEGATRON_TYPES[kind], count, count + 1))
        file.write(np.diff(bounds).astype("<i4"))
        file.write((bounds[:-1] * kind.itemsize).astype("<i8"))
        file.write(np.arange(count + 1, dtype="<i8"))
    return [data, Output(f"{tokens.split}.idx", file.size, file.hash, count)]


def _write_bin(tokens: TokenSet, folder: Folder) -> list[Output]:
    kind = np.dtype(np.uint16) if tokens.dtype.itemsize < 4 else tokens.dtype
    data, bounds = _write_stream(tokens, folder, f"{tokens.split}.bin", kind)
    with folder.writing(f"{tokens.split}.documents.npy") as file:
        np.lib.format.write_array(file, bounds.astype("<i8"), allow_pickle=False)
    index = Output(f"{tokens.split}.documents.npy", file.size, file.hash, data.rows)
    labels = {"dtype": kind.name, "tokens": int(bounds[-1]), "documents": data.rows}
    names = ("tokenizer", "vocabulary", "end_id", "packing", "seed")
    labels |= {name: tokens.metadata.get(f"curation.{name}") for name in names}
    digest = folder.write_json(f"{tokens.split}.json", labels)
    return [data, index, Output(f"{tokens.split}.json", folder.size(f"{tokens.split}.json"), digest, 0)]


def _write_llmc(tokens: TokenSet, folder: Folder, size: int) -> Iterator[Output]:
    kind = np.dtype(np.uint16) if tokens.dtype.itemsize < 4 else tokens.dtype
    buffer: list[npt.NDArray[Any]] = []
    buffered = number = 0
    for ids, _ in documents(tokens):
        while buffered + len(ids) >= size:
            cut = size - buffered
            yield _llmc_file(folder, f"{tokens.split}_{number:06d}.bin", [*buffer, ids[:cut]], kind)
            ids, buffer, buffered, number = ids[cut:], [], 0, number + 1
        buffer.append(ids)
        buffered += len(ids)
    if buffered:
        yield _llmc_file(folder, f"{tokens.split}_{number:06d}.bin", buffer, kind)


def _llmc_file(folder: Folder, path: str, parts: list[npt.NDArray[Any]], kind: np.dtype[Any]) -> Output:
    header = np.zeros(256, "<i4")
    header[:3] = (*_LLMC_HEADERS[kind], sum(map(len, parts)))
    with folder.writing(path) as file:
        file.write(header)
        for part in parts:
            file.write(np.ascontiguousarray(part, kind))
    return Output(path, file.size, file.hash, 0)
