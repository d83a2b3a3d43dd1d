"""Exports a token set in the formats of other trainers: the same documents in the same order, without padding.

The parts of a document that `concat` cut at the end of a row are joined again. The parts of a document that `best_fit`
cut because it was longer than a row become separate documents, because other documents may be between them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.arrays import Int64s
from curation.errors import InputError, OutputError, ParameterError
from curation.store.folder import Folder
from curation.store.shards import Output
from curation.tokenize.encoding.token_shards import SPLITS
from curation.tokenize.loading.token_set import TokenSet

FORMATS = ("megatron", "bin", "llmc")

LLMC_TOKENS = 100_000_000
"""Tokens per file for llm.c, which reads files of about this size one after the other."""

_MARKS = {"megatron": "{}.idx", "bin": "{}.documents.npy", "llmc": "{}_000000.bin"}
"""A file of each split that only this format has."""

_MEGATRON_MAGIC = b"MMIDIDX\x00\x00"
_MEGATRON_TYPES = {np.dtype(np.uint8): 1, np.dtype(np.int32): 4, np.dtype(np.uint16): 8}
_LLMC_HEADERS = {np.dtype(np.uint16): (20240520, 1), np.dtype(np.uint32): (20240801, 7)}

_Part = tuple[npt.NDArray[Any], Int64s]
_Written = tuple[list[Output], dict[str, int]]
"""The files of an export, and the numbers of tokens and documents in them."""


def export(source: str, target: str, form: str, split: str = "train", llmc_tokens: int = LLMC_TOKENS) -> list[Output]:
    """Export one split of a run for another trainer.

    Formats:

    - `megatron`: `<split>.bin` and `<split>.idx` for Megatron-LM's IndexedDataset, one sequence per document; int32 if
      ids exceed 65,535.
    - `bin`: `<split>.bin`, bare uint16 or uint32 as in nanoGPT, with `<split>.documents.npy` (int64, where each
      document begins, and the end) and `<split>.json`.
    - `llmc`: `<split>_000000.bin` and so on with `llmc_tokens` tokens each, after llm.c's header of 256 int32.

    Each has `<split>.json` with the type of the ids, the size of the vocabulary, and the ids of the end and of padding.

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
        OutputError: The target holds an export in another format, or of another tokenizer.
        ParameterError: The format is unknown.
    """
    if form not in FORMATS:
        raise ParameterError("form", form, f"one of {', '.join(FORMATS)}")
    tokens, folder = TokenSet(source, split), Folder(target)
    _check_target(folder, form, tokens)
    if form == "megatron":
        outputs, counts = _write_megatron(tokens, folder)
    else:
        outputs, counts = _write_bin(tokens, folder) if form == "bin" else _write_llmc(tokens, folder, llmc_tokens)
    return [*outputs, _write_labels(tokens, folder, form, counts)]


def _check_target(folder: Folder, form: str, tokens: TokenSet) -> None:
    """Raise OutputError if the folder has an export in another format, or a split of another tokenizer.

    Formats have file names in common, so the second export would overwrite parts of the first.
    """
    for split in SPLITS:
        for other, mark in _MARKS.items():
            if other != form and folder.exists(mark.format(split)):
                raise OutputError(f"{folder.url} has an export in the format {other}; choose another folder")
        path, labels = f"{split}.json", None
        if split != tokens.split and folder.exists(path):
            with suppress(ValueError):  # a file of somebody else
                labels = folder.read_json(path)
        made_by = labels.get("tokenizer") if isinstance(labels, dict) else None
        if made_by not in (None, tokens.metadata.get("curation.tokenizer")):
            raise OutputError(f"{folder.url} has the split {split} of another tokenizer; choose another folder")


def _kind(tokens: TokenSet, form: str) -> np.dtype[Any]:
    """The type of the ids in a format."""
    if form == "megatron":
        return np.dtype(np.int32) if tokens.dtype.itemsize == 4 else tokens.dtype
    return np.dtype(np.uint16) if tokens.dtype.itemsize < 4 else tokens.dtype


def _write_labels(tokens: TokenSet, folder: Folder, form: str, counts: Mapping[str, int]) -> Output:
    """Write `<split>.json`: what a training program has to know about the ids."""
    numbers = {name: tokens.number(f"curation.{name}", -1) for name in ("vocabulary", "end_id", "pad_id", "seed")}
    labels = {
        "format": form,
        "dtype": _kind(tokens, form).name,
        **counts,
        **{name: number if number >= 0 else None for name, number in numbers.items()},
        **{name: tokens.metadata.get(f"curation.{name}") for name in ("tokenizer", "packing")},
    }
    path = f"{tokens.split}.json"
    digest = folder.write_json(path, labels)
    return Output(path, folder.size(path), digest, 0)


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


def _write_megatron(tokens: TokenSet, folder: Folder) -> _Written:
    kind = _kind(tokens, "megatron")
    data, bounds = _write_stream(tokens, folder, f"{tokens.split}.bin", kind)
    count = len(bounds) - 1
    with folder.writing(f"{tokens.split}.idx") as file:
        file.write(_MEGATRON_MAGIC + struct.pack("<QBQQ", 1, _MEGATRON_TYPES[kind], count, count + 1))
        file.write(np.diff(bounds).astype("<i4"))
        file.write((bounds[:-1] * kind.itemsize).astype("<i8"))
        file.write(np.arange(count + 1, dtype="<i8"))
    index = Output(f"{tokens.split}.idx", file.size, file.hash, count)
    return [data, index], {"tokens": int(bounds[-1]), "documents": count}


def _write_bin(tokens: TokenSet, folder: Folder) -> _Written:
    data, bounds = _write_stream(tokens, folder, f"{tokens.split}.bin", _kind(tokens, "bin"))
    with folder.writing(f"{tokens.split}.documents.npy") as file:
        np.lib.format.write_array(file, bounds.astype("<i8"), allow_pickle=False)
    index = Output(f"{tokens.split}.documents.npy", file.size, file.hash, data.rows)
    return [data, index], {"tokens": int(bounds[-1]), "documents": data.rows}


def _write_llmc(tokens: TokenSet, folder: Folder, size: int) -> _Written:
    kind = _kind(tokens, "llmc")
    outputs: list[Output] = []
    buffer: list[npt.NDArray[Any]] = []
    counts, buffered = {"tokens": 0, "documents": 0}, 0

    def write(parts: list[npt.NDArray[Any]]) -> None:
        outputs.append(_llmc_file(folder, f"{tokens.split}_{len(outputs):06d}.bin", parts, kind))

    for ids, begins in documents(tokens):
        counts["tokens"] += len(ids)
        counts["documents"] += len(begins)
        while buffered + len(ids) >= size:
            cut = size - buffered
            write([*buffer, ids[:cut]])
            ids, buffer, buffered = ids[cut:], [], 0
        buffer.append(ids)
        buffered += len(ids)
    if buffered:
        write(buffer)
    number = len(outputs)
    while folder.exists(left := f"{tokens.split}_{number:06d}.bin"):  # of a longer export, which this one replaces
        folder.remove(left)
        number += 1
    return outputs, counts


def _llmc_file(folder: Folder, path: str, parts: list[npt.NDArray[Any]], kind: np.dtype[Any]) -> Output:
    header = np.zeros(256, "<i4")
    header[:3] = (*_LLMC_HEADERS[kind], sum(map(len, parts)))
    with folder.writing(path) as file:
        file.write(header)
        for part in parts:
            file.write(np.ascontiguousarray(part, kind))
    return Output(path, file.size, file.hash, 0)
