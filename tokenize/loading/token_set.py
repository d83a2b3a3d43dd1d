"""One token set on disk: its files, its row groups, and the fastest way to read a row of each.

A row group stored plain and uncompressed in one page of a local file is memory-mapped: its values are the last bytes of
its column chunk, so a row is a slice of the file, shared by all processes through the page cache. Any other row group
(compressed, remote, or written by another tool) is decoded as a whole and kept in memory as long as its window is read.
With a cache folder it is decoded once for all processes and epochs, and mapped from there.
"""

from __future__ import annotations

import hashlib
import mmap
import posixpath
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import IO, Any, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.arrays import Int32s, Int64s
from curation.errors import InputError
from curation.store.folder import Folder
from curation.store.manifest import read_manifests
from curation.store.shards import naming_damage
from curation.tokenize.encoding.parquet.column_pages import single_page

Loaded = TypeVar("Loaded")
Starts = tuple[Int32s, Int64s]

READERS = 4
"""Threads that open files and decode row groups in advance: they wait for storage more than they compute."""

FILES_MAPPED = 120
"""Files that a loader maps at once, each of which is an open file; a process is often allowed no more than 1,024. With
those that READERS and the loader itself read, fewer than 128 are open."""

Place = tuple[str, np.dtype[Any], int]
"""Where a row group is that can be mapped: a local file, the type of its values, and their offset."""


class FileMaps:
    """Local files mapped into memory: the last `FILES_MAPPED` that were not mapped yet when they were needed."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, tuple[mmap.mmap, dict[int, npt.NDArray[Any]]]] = OrderedDict()
        self._lock = Lock()

    def bytes_of(self, path: str) -> mmap.mmap:
        """The bytes of a file. It stays open while the result or an array on it is in use."""
        return self._open(path)[0]

    def array(self, place: Place, rows: int, length: int) -> npt.NDArray[Any]:
        """The values at a place, shape (rows, length)."""
        path, dtype, offset = place
        mapped, arrays = self._files.get(path) or self._open(path)
        array = arrays.get(offset)
        if array is None:
            array = arrays[offset] = np.ndarray((rows, length), dtype, mapped, offset)
        return array

    def _open(self, path: str) -> tuple[mmap.mmap, dict[int, npt.NDArray[Any]]]:
        with self._lock:
            if path not in self._files:
                if len(self._files) >= FILES_MAPPED:
                    self._files.popitem(last=False)
                with open(path, "rb") as raw:  # noqa: PTH123
                    self._files[path] = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ), {}
            return self._files[path]


class TokenSet:
    """The token shards of one split of a run, as one array of rows.

    Args:
        source: Folder of a run, or of its token shards; local or any fsspec URL.
        split: "train" or "validation".
        cache: Local folder for decoded row groups.
        kept: Number of row groups to keep in memory.
        maps: The mapped files, if several sets share them.

    Attributes:
        folder: Folder of the token shards.
        metadata: The `curation.` entries of the shards' Parquet metadata.
        sequence_length: Tokens per row.
        dtype: Type in which the tokens are stored.
        blocks: int64[row groups]. Number of rows in each row group, through all files.
        identity: Hash of the files' footers; the same for a copy of the set.

    Raises:
        InputError: There are no shards or no rows, or shards differ in sequence length or tokenizer.
        DamagedShard: A file cannot be read.
    """

    def __init__(
        self,
        source: str,
        split: str = "train",
        cache: str | None = None,
        kept: int = 64,
        maps: FileMaps | None = None,
    ) -> None:
        self.split = split
        self.folder, self._paths = _find(source, split)
        self._local = self.folder.is_local
        with ThreadPoolExecutor(READERS) as pool:
            footers = list(pool.map(self._footer, self._paths))
        with naming_damage(self.folder, self._paths[0]):
            self.metadata = _common(source, [footer.metadata or {} for footer in footers])
            schema = footers[0].schema.to_arrow_schema()
        kind = schema.field("input_ids").type if "input_ids" in schema.names else None
        if kind is None or not pa.types.is_fixed_size_list(kind) or not pa.types.is_integer(kind.value_type):
            raise InputError(f"{source}: {self._paths[0]} has no input_ids, lists of whole numbers of one length")
        self.sequence_length, self.dtype = int(kind.list_size), np.dtype(kind.value_type.to_pandas_dtype())
        groups = np.array([group for file, footer in enumerate(footers) for group in _groups(file, footer)], np.int64)
        self._file, self._group, self.blocks, self._page, self._end = groups.reshape(-1, len(_GROUP)).T
        self._first = np.concatenate(([0], np.cumsum(self.blocks)))
        if not len(self):
            raise InputError(f"{source}: the files of {split} have no rows")
        self.identity = _identity(footers)
        self._cache = Path(cache) / self.identity if cache is not None else None
        self._maps = maps or FileMaps()
        self._ids = _LoadCache(kept, self._load_ids)
        self._starts = _LoadCache(kept, self._load_starts)

    def __len__(self) -> int:
        return int(self._first[-1])

    @property
    def vocabulary(self) -> int:
        """Number of tokens of the tokenizer, special ones included; -1 if the files do not say."""
        return self.number("curation.vocabulary", -1)

    @property
    def end_id(self) -> int:
        """The id after each document; -1 if the files do not say."""
        return self.number("curation.end_id", -1)

    @property
    def pad_id(self) -> int:
        """The id that fills rows; -1 if the files do not say."""
        return self.number("curation.pad_id", -1)

    def number(self, key: str, default: int) -> int:
        """A whole number in the files' metadata, or the default; InputError if it is something else."""
        text = self.metadata.get(key, str(default))
        if not re.fullmatch("-?[0-9]{1,18}", text):
            raise InputError(f"{self.folder.url}: the metadata has {key} = {text[:40]!r}, which is no whole number")
        return int(text)

    def ids(self, rows: Int64s, out: npt.NDArray[Any], targets: Int64s) -> None:
        """Copy rows of tokens to an array.

        Args:
            rows: int64[n]. Numbers of the rows in the set.
            out: Integer array to copy to, shape (at least n, sequence_length).
            targets: int64[n]. Row of `out` for each row.
        """
        blocks = np.searchsorted(self._first, rows, side="right") - 1
        within, into = (rows - self._first[blocks]).tolist(), targets.tolist()
        order, owners, current = np.argsort(blocks, kind="stable").tolist(), blocks.tolist(), -1
        loaded = dict(zip(owners, self._ids.get(owners), strict=True))
        for at in order:  # by row group, so that one mapped file is in use at a time
            if owners[at] != current:
                current = owners[at]
                found = loaded[current]
                if isinstance(found, tuple):
                    found = self._maps.array(found, int(self.blocks[current]), self.sequence_length)
                group = found
            out[into[at]] = group[within[at]]

    def check_ids(self, ids: npt.NDArray[Any], block: int) -> None:
        """Raise InputError if a row group has an id that is not in the vocabulary: the file is damaged."""
        if 0 <= self.vocabulary <= ids.max(initial=0):
            row, column = divmod(int(np.argmax(ids >= self.vocabulary)), self.sequence_length)
            raise self.damaged(int(self._first[block]) + row, column, int(ids[row * self.sequence_length + column]))

    def damaged(self, row: int, position: int, token: int) -> InputError:
        """The error for an id that is not in the vocabulary, with its place as `curate explain --token` takes it."""
        place = f"{self.folder.url}/{self.place(row)}:{position}"
        return InputError(
            f"{place}: id {token} is not in the vocabulary of {self.vocabulary} tokens; the file is damaged"
        )

    def place(self, row: int) -> str:
        """File and row of a row of the set: "train-00003:17"."""
        file = self._file[np.searchsorted(self._first, row, side="right") - 1]
        first = self._first[np.searchsorted(self._file, file)]
        return f"{self._paths[file].removesuffix('.parquet')}:{row - first}"

    def pieces(self, row: int) -> list[tuple[str | None, int]]:
        """Document id, or None for padding, and number of tokens of each piece of a row."""
        block = int(np.searchsorted(self._first, row, side="right")) - 1
        table = self.table(block, ["document_starts", "document_ids"]).slice(row - self._first[block], 1)
        bounds = [*table["document_starts"][0].as_py(), self.sequence_length]
        return list(zip(table["document_ids"][0].as_py(), np.diff(bounds).tolist(), strict=True))

    def rows_of(self, ids: Sequence[str]) -> Iterator[int]:
        """The rows that have tokens of these documents, ascending. Reads the ids of all documents."""
        wanted = pa.array(ids, pa.string())
        for block, first in enumerate(self._first[:-1].tolist()):
            lists = self.table(block, ["document_ids"]).column(0).combine_chunks()
            found = pc.is_in(lists.flatten(), wanted).to_numpy(zero_copy_only=False)
            rows = np.repeat(np.arange(len(lists)), np.diff(lists.offsets.to_numpy()))
            yield from (first + np.unique(rows[found])).tolist()

    def check_hashes(self) -> None:
        """Compare the files of the split with the hashes in the manifests of the run, which are next to the folder.

        Raises:
            InputError: A file has other bytes, is missing, or has no manifest.
        """
        run = Folder(posixpath.dirname(self.folder.url))
        expected = {
            posixpath.basename(output.path): output.hash
            for manifest in read_manifests(run, "tokens")
            for output in manifest.outputs
            if posixpath.basename(output.path).startswith(f"{self.split}-")
        }
        for path in self._paths:
            if path not in expected:
                raise InputError(f"{run.url}/manifests/tokens: no hash of {path} to compare with")
        if missing := sorted(expected.keys() - {*self._paths}):
            raise InputError(f"{self.folder.url}: {missing[0]} is missing")
        with ThreadPoolExecutor(READERS) as pool:
            for path, (_, digest) in zip(self._paths, pool.map(self.folder.hash, self._paths), strict=True):
                if digest != expected[path]:
                    raise InputError(f"{self.folder.url}/{path}: was changed after the run wrote it")

    def starts(self, rows: Int64s) -> Starts:
        """Document starts of all rows in one flat array, and the int64[n + 1] offsets of each row's starts."""
        parts: list[Int32s] = [np.empty(0, np.int32)]
        blocks = np.searchsorted(self._first, rows, side="right") - 1
        groups = self._starts.get(blocks.tolist())
        for row, (values, offsets) in zip((rows - self._first[blocks]).tolist(), groups, strict=True):
            parts.append(values[offsets[row] : offsets[row + 1]])
        return np.concatenate(parts), np.cumsum([len(part) for part in parts], dtype=np.int64)

    def prepare(self, blocks: Sequence[int], starts: bool = False) -> None:
        """Load row groups that will be read soon in the background, unless the files are mapped.

        Args:
            blocks: Numbers of the row groups.
            starts: Whether document starts will be read too.
        """
        if self._local and self._page[0] >= 0:
            return
        self._ids.begin(blocks)
        if starts:
            self._starts.begin(blocks)

    def _footer(self, path: str) -> pq.FileMetaData:
        with naming_damage(self.folder, path), self._open(path) as file:
            return pq.read_metadata(file)

    def _open(self, path: str) -> IO[bytes]:
        """Open a file to read parts of it, without the megabytes of read-ahead that remote files get by default."""
        if self._local:
            return cast("IO[bytes]", pa.OSFile(self.folder.readable(path)))  # see open_parquet
        return cast("IO[bytes]", self.folder.fs.open(self.folder.path(path), "rb", cache_type="none"))

    def _load_ids(self, block: int) -> npt.NDArray[Any] | Place:
        values = int(self.blocks[block]) * self.sequence_length
        if self._local and self._page[block] >= 0:
            path = self.folder.readable(self._paths[self._file[block]])
            page, first = int(self._page[block]), int(self._end[block]) - values * 4
            if page < first and single_page(self._maps.bytes_of(path), page, values):
                return path, np.dtype("<u4"), first
        if self._cache is None:
            return self._decode(block).reshape(-1, self.sequence_length)
        cached = self._cache / f"{block}.bin"
        if not cached.exists():
            decoded = np.ascontiguousarray(self._decode(block))
            Folder(str(self._cache)).write(cached.name, decoded.data, sync=False)
        return str(cached), self.dtype, 0

    def table(self, block: int, columns: list[str] | None = None) -> pa.Table:
        """Read a row group as a table: all columns, or `columns`."""
        path = self._paths[self._file[block]]
        with naming_damage(self.folder, path), self._open(path) as raw:
            parquet = pq.ParquetFile(raw, pre_buffer=True)
            return parquet.read_row_group(int(self._group[block]), columns=columns, use_threads=False)

    def _decode(self, block: int) -> npt.NDArray[Any]:
        ids = self.table(block, ["input_ids"]).column(0).combine_chunks()
        return np.asarray(ids.flatten().to_numpy(zero_copy_only=False))

    def _load_starts(self, block: int) -> Starts:
        lists = self.table(block, ["document_starts"]).column(0).combine_chunks()
        offsets = lists.offsets.to_numpy().astype(np.int64)
        return lists.values.to_numpy(zero_copy_only=False), offsets


class _LoadCache(Generic[Loaded]):
    """Caches the values used last: `count`, or more if more are needed at once. Values can be loaded in advance."""

    def __init__(self, count: int, load: Callable[[int], Loaded]) -> None:
        self._count, self._load, self._lock = count, load, Lock()
        self._kept: OrderedDict[int, Future[Loaded]] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None

    def begin(self, keys: Sequence[int]) -> None:
        """Load missing values in the background; present ones count as just used."""
        with self._lock:
            self._count = max(self._count, len(keys))
            for key in keys:
                if key in self._kept:
                    self._kept.move_to_end(key)
                else:
                    self._pool = self._pool or ThreadPoolExecutor(READERS, thread_name_prefix="row-group")
                    self._add(key, self._pool.submit(self._load, key))

    def get(self, keys: Sequence[int]) -> list[Loaded]:
        """The value of each key, loaded now if it is missing."""
        with self._lock:
            kept = {key: self._kept.get(key) for key in keys}
            for key, future in kept.items():
                if future is not None:
                    self._kept.move_to_end(key)
        loaded = {key: self._load_now(key) if future is None else future.result() for key, future in kept.items()}
        return [loaded[key] for key in keys]

    def _load_now(self, key: int) -> Loaded:
        future: Future[Loaded] = Future()
        future.set_result(self._load(key))
        with self._lock:
            self._add(key, future)
        return future.result()

    def _add(self, key: int, value: Future[Loaded]) -> None:
        self._kept[key] = value
        if len(self._kept) > self._count:
            self._kept.popitem(last=False)


_GROUP = ("file", "group", "rows", "page", "end")


def _groups(file: int, footer: pq.FileMetaData) -> Iterator[tuple[int, int, int, int, int]]:
    """`_GROUP` of each row group of a file; `page`, the offset of its page, is -1 if the column is not plain."""
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        chunk = group.column(0)
        plain = chunk.compression == "UNCOMPRESSED" and chunk.physical_type == "INT32"
        plain = plain and not chunk.has_dictionary_page and set(chunk.encodings) <= {"PLAIN", "RLE", "BIT_PACKED"}
        page = chunk.data_page_offset
        yield file, number, group.num_rows, page if plain else -1, page + chunk.total_compressed_size


def _find(source: str, split: str) -> tuple[Folder, list[str]]:
    url = Folder(source).url
    for folder in (Folder(f"{url}/tokens"), Folder(url)):
        paths = [path for path in folder.list("", ".parquet") if path.startswith(f"{split}-")]
        if paths:
            return folder, paths
    raise InputError(f"{source}: no {split}-*.parquet in this folder or its folder tokens")


def _common(source: str, metadata: list[dict[bytes, bytes]]) -> dict[str, str]:
    """The metadata of the first file; InputError if the files differ in tokenizer or sequence length."""
    for key in (b"curation.tokenizer", b"curation.sequence_length"):
        values = {entry.get(key) for entry in metadata}
        if len(values) > 1:
            listed = ", ".join(sorted(str(value) for value in values))
            raise InputError(f"{source}: files with different {key.decode()}: {listed}")
    return {key.decode(): value.decode() for key, value in metadata[0].items() if key.startswith(b"curation.")}


def _identity(footers: list[pq.FileMetaData]) -> str:
    """A hash of the files' footers; the same for a copy of the set."""
    digest = hashlib.blake2b(digest_size=16)
    for footer in footers:
        sizes = [footer.row_group(group).column(0).total_compressed_size for group in range(footer.num_row_groups)]
        labels = {key: value for key, value in (footer.metadata or {}).items() if key.startswith(b"curation.")}
        digest.update(repr((footer.num_rows, sizes, sorted(labels.items()))).encode())
    return digest.hexdigest()
