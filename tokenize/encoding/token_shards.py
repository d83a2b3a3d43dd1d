"""Token shards: their settings, their columns, and how they are written.

`input_ids` is written plain and uncompressed, one page per row group, so that a loader can map the file and read any
row without decoding. Parquet has no 16-bit integers, so a token takes four bytes on disk, whatever its type.
`compression = "zstd"` stores about 1.2 bytes per token instead; a loader then decodes whole row groups (about 240
million tokens per second on one core) instead of copying from the page cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from annotated_types import Ge, Le, Lt

from curation.arrays import Int32s, Int64s, UnsignedInts
from curation.errors import require
from curation.stages.parameters import Count, LocalPath, Outside, Size, Text, checked
from curation.store.folder import Folder
from curation.store.paths import TOKENS
from curation.store.shards import Output
from curation.store.untrusted import is_plain
from curation.tokenize.encoding.parquet.plain_lists import write_plain_lists

SPLITS = ("train", "validation")

PAGE_BYTES = 1 << 30
"""Upper limit of a page. It is never reached, so that each column has one page per row group."""

MAX_ROW_GROUP_ROWS = 16384
"""Below the 20,000 rows after which pyarrow begins a new page."""

MixEntry = Annotated[
    str,
    Outside("a special file system", lambda entry: not is_plain(entry.rpartition("=")[0])),
    LocalPath(r"(?!\.=[^=]*$)(.+)=[^=]*"),
]


@checked
@dataclass(frozen=True, slots=True)
class TokensSettings:
    """Table [tokens] of a recipe.

    Attributes:
        sequence_length: Tokens per row.
        packing: "concat" lays documents end to end and cuts at the end of every row; "best_fit" cuts a document only
            if it is longer than a row.
        tail: What happens to rows that are not full: "pad" fills them, "drop" leaves out the last row of "concat" (a
            row of "best_fit" is always filled).
        validation_fraction: Share of documents kept for validation, chosen by a hash of their near-duplicate cluster;
            above 0, at least one document.
        seed: Seed of the order of documents.
        shard_rows: Rows per file.
        row_group_rows: Rows per row group.
        compression: "none" or "zstd".
        begin: Whether each document begins with the tokenizer's special token for that.
        end_token: The special token after each document; none takes the tokenizer's own.
        pad_token: The special token that fills rows; none takes the tokenizer's own, or else the end token.
        mix: Further corpora, as FOLDER=NUMBER. "." is the corpus of the run itself, which counts 1 unless it is named.
        mix_as: What the numbers of `mix` are: "epochs", or "weights" (shares of the tokens; the corpus that is repeated
            least is taken once).
        cluster_sizes: A document whose near-duplicate cluster had at least `cluster_sizes[i]` documents is taken
            `cluster_repeats[i]` times in training; the largest such size counts.
        cluster_repeats: As many numbers as `cluster_sizes`.
    """

    sequence_length: Annotated[int, Ge(2), Le(1 << 20)] = 2048
    packing: Literal["concat", "best_fit"] = "concat"
    tail: Literal["pad", "drop"] = "pad"
    validation_fraction: Annotated[float, Ge(0), Lt(1)] = 0.005
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    shard_rows: Size = 8192
    row_group_rows: Annotated[int, Ge(1), Le(MAX_ROW_GROUP_ROWS)] = 512
    compression: Literal["none", "zstd"] = "none"
    begin: bool = False
    end_token: Text | None = None
    pad_token: str | None = None
    mix: tuple[MixEntry, ...] = ()
    mix_as: Literal["epochs", "weights"] = "epochs"
    cluster_sizes: tuple[Size, ...] = ()
    cluster_repeats: tuple[Count, ...] = ()

    def __post_init__(self) -> None:
        fits = self.row_group_rows * self.sequence_length * 4 < PAGE_BYTES
        require(fits, "row_group_rows", self.row_group_rows, "so small that rows * sequence_length * 4 is below 1 GiB")
        folders = [parse_mix(entry)[0] for entry in self.mix]
        require(len({*folders}) == len(folders), "mix", self.mix, "different folders")
        same = len(self.cluster_sizes) == len(self.cluster_repeats)
        require(same, "cluster_repeats", self.cluster_repeats, "as many numbers as cluster_sizes")
        rising = list(self.cluster_sizes) == sorted({*self.cluster_sizes})
        require(rising, "cluster_sizes", self.cluster_sizes, "whole numbers from 1, ascending")


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """The ids that are put between documents.

    Attributes:
        end: After each document.
        pad: Fills rows.
        begin: Before each document; None for none.
    """

    end: int
    pad: int
    begin: int | None = None


def parse_mix(entry: str) -> tuple[str, float]:
    """ "/data/wiki=2.5" → ("/data/wiki", 2.5). ParameterError if it is not FOLDER=NUMBER with a number above 0."""
    folder, equals, number = entry.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    require(bool(equals and folder) and 0 < value < float("inf"), "mix", entry, "FOLDER=NUMBER, the number above 0")
    return folder, value


def token_dtype(vocabulary: int) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned type that holds ids below `vocabulary`.

    >>> token_dtype(65536), token_dtype(65537)
    (dtype('uint16'), dtype('uint32'))
    """
    return np.dtype(np.min_scalar_type(max(vocabulary - 1, 0)))


def token_schema(dtype: np.dtype[np.unsignedinteger], sequence_length: int) -> pa.Schema:
    """The columns of tokens/.

    - `input_ids`: the tokens of the row.
    - `document_starts`: positions in the row at which a document, or the rest of one, begins; the first is 0.
    - `document_ids`: id of each of these documents; null for padding at the end of a row, which counts as a document.
    """
    element = pa.field("element", pa.from_numpy_dtype(dtype), nullable=False)
    return pa.schema(
        [
            pa.field("input_ids", pa.list_(element, sequence_length), nullable=False),
            pa.field("document_starts", pa.list_(pa.field("element", pa.int32(), nullable=False)), nullable=False),
            pa.field("document_ids", pa.list_(pa.field("element", pa.string())), nullable=False),
        ]
    )


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Packed sequences.

    Attributes:
        ids: Tokens, shape (rows, sequence_length).
        starts: int32[pieces]. Position in its row at which each piece begins, for all rows in one array.
        pieces: int64[pieces]. Index of each piece's document, -1 for padding.
        offsets: int64[rows + 1]. Row `i` has the pieces `offsets[i]` to `offsets[i + 1]` (exclusive).
        padding: Number of padding tokens in all rows.
    """

    ids: UnsignedInts
    starts: Int32s
    pieces: Int64s
    offsets: Int64s
    padding: int

    def __len__(self) -> int:
        return len(self.ids)

    def to_arrow(self, documents: pa.StringArray, schema: pa.Schema) -> pa.Table:
        """Convert to a table with `schema`; `documents` are the document ids that `pieces` index."""
        ids = pa.FixedSizeListArray.from_arrays(pa.array(self.ids.reshape(-1)), type=schema.field("input_ids").type)
        names = documents.take(pa.array(self.pieces, mask=self.pieces < 0))
        offsets = pa.array(self.offsets.astype(np.int32))
        starts = pa.ListArray.from_arrays(offsets, pa.array(self.starts), type=schema.field("document_starts").type)
        names = pa.ListArray.from_arrays(offsets, names, type=schema.field("document_ids").type)
        return pa.Table.from_arrays([ids, starts, names], schema=schema)


def write_token_shard(
    folder: Folder, path: str, table: pa.Table, metadata: Mapping[str, str], settings: TokensSettings
) -> Output:
    """Write one token shard atomically.

    Args:
        folder: Output folder.
        path: Path of the shard in the folder.
        table: Its rows, with the columns of `token_schema`.
        metadata: Parquet metadata.
        settings: Recipe table [tokens]: compression and rows per row group.
    """
    table = table.replace_schema_metadata(dict(metadata))
    rows, dictionaries = settings.row_group_rows, ["document_ids.list.element"]
    with folder.writing(path) as file:
        if settings.compression == "none":
            write_plain_lists(file, table, rows, dictionaries)
        else:
            pq.write_table(
                table,
                pa.PythonFile(file, mode="w"),
                row_group_size=rows,
                compression="zstd",
                use_dictionary=dictionaries,
                use_byte_stream_split=["input_ids.list.element"],
                data_page_size=PAGE_BYTES,
                write_statistics=False,
            )
    return Output(path, file.size, file.hash, table.num_rows)


def shard_path(split: str, number: int) -> str:
    """("train", 3) → "tokens/train-00003.parquet"."""
    return TOKENS.path(f"{split}-{number:05d}")
