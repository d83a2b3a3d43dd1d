"""A token set in the formats that other trainers read: the same documents in the same order, without padding.

Where `concat` cut a document at a row's end its parts stand together again; where `best_fit` cut one that was longer
than a row, each part is a document of its own, since others may stand between them.
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
"""Tokens a file of llm.c, which reads files of about this size in turn."""

_MEGATRON_MAGIC = b"MMIDIDX\x00\x00"
_MEGATRON_TYPES = {np.dtype(np.uint8): 1, np.dtype(np.int32): 4, np.dtype(np.uint16): 8}
_LLMC_HEADERS = {np.dtype(np.uint16): (20240520, 1), np.dtype(np.uint32): (20240801, 7)}

_Part = tuple[npt.NDArray[Any], Int64s]


def export(source: str, target: str, form: str, split: str = "train", llmc_tokens: int = LLMC_TOKENS) -> list[Output]:
    """Write one split of the run in `source` to the folder `target`; returns the files, whose rows are documents.

    form: `megatron` gives `<split>.bin` and `<split>.idx` as Megatron-LM's IndexedDataset reads them, one sequence a
    document (ids above 65,535 make it int32). `bin` gives `<split>.bin`, bare uint16 or uint32 as nanoGPT reads them,
    with `<split>.documents.npy` (int64, where each document begins, and the end) and `<split>.json`. `llmc` gives
    `<split>_000000.bin` and so on of `llmc_tokens` tokens, with llm.c's header of 256 int32. Raises InputError if there
    are no tokens, ParameterError for an unknown format.
    """
    if form not in FORMATS:
        raise ParameterError("form", form, f"one of {', '.join(FORMATS)}")
    tokens, folder = TokenSet(source, split), Folder(target)
    if form == "megatron":
        return _write_megatron(tokens, folder)
    return _write_bin(tokens, folder) if form == "bin" else list(_write_llmc(tokens, folder, llmc_tokens))


def documents(tokens: TokenSet) -> Iterator[_Part]:
    """The tokens of the set, row group by row group, padding left out, and where in each part documents begin."""
    if "curation.end_id" not in tokens.metadata:
        raise InputError(f"{tokens.folder.url}: the metadata does not say which token ends a document")
    end, whole = int(tokens.metadata["curation.end_id"]), tokens.metadata.get("curation.packing") == "concat"
    previous = end
    for block in range(len(tokens.blocks)):
        ids, places = _without_padding(tokens, block)
        if len(ids):
            if whole:
                before = np.where(places > 0, ids[np.maximum(places - 1, 0)], previous)
                places = places[before == end]
            yield ids, places
            previous = ids[-1]


def _without_padding(tokens: TokenSet, block: int) -> _Part:
    """The ids of a row group and where its pieces begin, without the pieces that no document names."""
    table = tokens.table(block)
    ids = table.column("input_ids").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    starts = table.column("document_starts").combine_chunks()
    rows = np.repeat(np.arange(table.num_rows), np.diff(starts.offsets.to_numpy()))
    places = rows * tokens.sequence_length + starts.flatten().to_numpy(zero_copy_only=False)
    real = table.column("document_ids").combine_chunks().flatten().is_valid().to_numpy(zero_copy_only=False)
    lengths = np.diff(np.append(places, len(ids)))
    if not real.all():
        ids = ids[np.repeat(real, lengths)]
    return ids, np.cumsum(lengths[real]) - lengths[real]


def _write_stream(tokens: TokenSet, folder: Folder, path: str, kind: np.dtype[Any]) -> tuple[Output, Int64s]:
    """Write the bare ids; returns the file and where each document begins, and the end, in tokens."""
    total, begins = 0, [np.empty(0, np.int64)]
    with folder.writing(path) as file:
        for ids, places in documents(tokens):
            file.write(np.ascontiguousarray(ids, kind))
            begins.append(places + total)
            total += len(ids)
    bounds = np.append(np.concatenate(begins), total)
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
    waiting: list[npt.NDArray[Any]] = []
    held = number = 0
    for ids, _ in documents(tokens):
        while held + len(ids) >= size:
            cut = size - held
            yield _llmc_file(folder, f"{tokens.split}_{number:06d}.bin", [*waiting, ids[:cut]], kind)
            ids, waiting, held, number = ids[cut:], [], 0, number + 1
        waiting.append(ids)
        held += len(ids)
    if held:
        yield _llmc_file(folder, f"{tokens.split}_{number:06d}.bin", waiting, kind)


def _llmc_file(folder: Folder, path: str, parts: list[npt.NDArray[Any]], kind: np.dtype[Any]) -> Output:
    header = np.zeros(256, "<i4")
    header[:3] = (*_LLMC_HEADERS[kind], sum(map(len, parts)))
    with folder.writing(path) as file:
        file.write(header)
        for part in parts:
            file.write(np.ascontiguousarray(part, kind))
    return Output(path, file.size, file.hash, 0)
