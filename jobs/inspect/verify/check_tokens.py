"""The part of `curate verify` that checks token shards: ids are in the vocabulary, document starts are valid.

Shards are read row group by row group. The document ids of each row are sent on to be compared (send_ids.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.arrays import Int64s
from curation.errors import CurationError
from curation.jobs.inspect.verify.check_files import UNREADABLE, differing_column
from curation.jobs.inspect.verify.completion import manifest_of
from curation.jobs.inspect.verify.faults import Fault, in_rows
from curation.jobs.inspect.verify.send_ids import TRAIN, VALIDATION, Ids, send_ids
from curation.store.exchange import Exchange, Sender
from curation.store.folder import Folder
from curation.store.paths import TOKENIZER, TOKENIZER_CONFIG, TOKENS
from curation.store.shards import open_parquet
from curation.tokenize.encoding.encoder import Encoder
from curation.tokenize.encoding.token_shards import token_schema


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """What token shards must agree with.

    Attributes:
        size: The largest token id plus one.
        tokenizer: Hash of the tokenizer.
        sequence_length: Tokens per row.
    """

    size: int
    tokenizer: str
    sequence_length: int

    @property
    def columns(self) -> pa.Schema:
        """The columns of token shards."""
        return token_schema(np.dtype(np.min_scalar_type(max(self.size - 1, 0))), self.sequence_length)


def read_vocabulary(
    folder: Folder, sequence_length: int, wanted: int | None, is_given: bool
) -> tuple[TokenizerFacts | None, list[Fault]]:
    """Load the tokenizer with the library and with the encoder, and compare them.

    Args:
        folder: Output folder of the run.
        sequence_length: Tokens per row, from the recipe.
        wanted: Size of the vocabulary in the manifest; None if unknown.
        is_given: Whether it was not trained here, so that its ids may have gaps.

    Returns:
        What token shards must agree with (None if the tokenizer cannot be loaded), and faults.
    """
    import tokenizers

    try:
        data = folder.read(TOKENIZER)
        loaded = tokenizers.Tokenizer.from_str(data.decode())
        encoder = Encoder(data)
    except Exception as error:  # the library raises bare Exception for a file that it cannot use
        return None, [Fault(TOKENIZER, f"cannot be loaded ({str(error).splitlines()[0]})", "a tokenizer")]
    faults = []
    size = loaded.get_vocab_size(with_added_tokens=True)
    if size != encoder.vocabulary and not is_given:
        faults.append(Fault(TOKENIZER, f"{size:,} tokens, the largest id is {encoder.vocabulary - 1:,}", "no gaps"))
    if wanted is not None and size != wanted:
        faults.append(Fault(TOKENIZER, f"{size:,} tokens", f"{wanted:,}, as its manifest says"))
    try:
        folder.read_json(TOKENIZER_CONFIG)
    except (OSError, ValueError) as error:
        faults.append(Fault(TOKENIZER_CONFIG, f"cannot be read ({error})", "JSON"))
    return TokenizerFacts(encoder.vocabulary, encoder.hash, sequence_length), faults


@dataclass(frozen=True, slots=True)
class TokenFile:
    """One token shard: its number among all files, and its path."""

    number: int
    path: str


@dataclass(frozen=True, slots=True)
class CheckTokens:
    """Checks the content of a token shard; a picklable task for the cluster."""

    folder: Folder
    vocabulary: TokenizerFacts
    exchange: Exchange

    def __call__(self, file: TokenFile) -> list[Fault]:
        """Check the shard, and send on its document ids."""
        try:
            with open_parquet(self.folder, file.path) as parquet:
                faults = list(self._check_head(file, parquet.schema_arrow, parquet.metadata.metadata or {}))
                if not faults:
                    with self.exchange.sender(f"tokens-{file.number:06d}", Ids) as sender:
                        faults += self._check_groups(file, parquet, sender)
        except (*UNREADABLE, CurationError) as error:
            return [Fault(file.path, f"cannot be read ({str(error).splitlines()[0]})")]
        return faults

    def _check_head(self, file: TokenFile, columns: pa.Schema, metadata: Mapping[bytes, bytes]) -> Iterator[Fault]:
        wrong = differing_column(columns, self.vocabulary.columns)
        if wrong is not None:
            yield Fault(file.path, f"wrong columns: {wrong[0]}", wrong[1])
        made_by = metadata.get(b"curation.tokenizer", b"").decode(errors="replace")
        if made_by != self.vocabulary.tokenizer:
            yield Fault(file.path, f"was made with tokenizer {made_by or '(none)'}", self.vocabulary.tokenizer)

    def _check_groups(self, file: TokenFile, parquet: pq.ParquetFile, sender: Sender) -> Iterator[Fault]:
        first = padding = 0
        pad = int((parquet.metadata.metadata or {}).get(b"curation.pad_id", b"-1"))
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group)
            rows = _RowGroup(table, self.vocabulary.sequence_length)
            yield from rows.check(file.path, first, self.vocabulary.size, pad)
            padding += rows.padding
            rows.send(sender, file, first)
            first += table.num_rows
        manifest = manifest_of(self.folder, "tokens", TOKENS.shard(file.path))
        if manifest is None:
            return
        tokens = first * self.vocabulary.sequence_length - padding
        for name, actual in (("rows", first), ("padding", padding), ("tokens", tokens)):
            if manifest.counts[name] != actual:
                yield Fault(file.path, f"{actual:,} {name}", f"{manifest.counts[name]:,}, as its manifest says")


class _RowGroup:
    """The rows of a row group as flat arrays.

    Attributes:
        rows: Number of rows.
        length: Tokens per row.
        ids: Tokens, shape (rows, length).
        starts: Document starts of all rows.
        offsets: Where each row's starts begin in `starts`.
        named: Where each row's document ids begin in `names`.
        names: Document ids of all rows.
        owner: Row of each start.
        is_padding: Which document ids are null.
        sound: Whether every start has a document id.
    """

    def __init__(self, table: pa.Table, length: int) -> None:
        whole = [table[name].combine_chunks() for name in ("input_ids", "document_starts", "document_ids")]
        self.rows, self.length = table.num_rows, length
        self.ids = whole[0].flatten().to_numpy().reshape(self.rows, length)
        self.starts = whole[1].flatten().to_numpy()
        self.offsets, self.named = np.asarray(whole[1].offsets), np.asarray(whole[2].offsets)
        self.offsets, self.named = self.offsets - self.offsets[0], self.named - self.named[0]
        self.names = whole[2].flatten()
        self.owner = np.repeat(np.arange(self.rows), np.diff(self.offsets))
        self.is_padding = self.names.is_null().to_numpy(zero_copy_only=False)
        self.sound = bool((self.offsets == self.named).all())

    @property
    def lengths(self) -> Int64s:
        """Number of tokens of each piece, int64[pieces]."""
        last = np.zeros(len(self.starts), np.bool_)
        last[self.offsets[1:][np.diff(self.offsets) > 0] - 1] = True
        following = np.append(self.starts[1:], 0)
        return np.asarray(np.where(last, self.length, following) - self.starts, np.int64)

    @property
    def padding(self) -> int:
        """Number of padding tokens."""
        return int(self.lengths[self.is_padding].sum()) if self.sound and len(self.starts) else 0

    def check(self, path: str, first: int, vocabulary: int, pad: int) -> Iterator[Fault]:
        """Check the rows, which begin at row `first` of the file; `vocabulary` is the largest id plus one."""
        high = np.flatnonzero(self.ids.max(axis=1, initial=0) >= vocabulary)
        for row in high[:1].tolist():
            worst = int(self.ids[row].max())
            yield Fault(path, f"token id {worst:,} is not in the vocabulary", f"below {vocabulary:,}", first + row)
        yield from in_rows(path, (high[1:] + first).tolist(), "a token id is not in the vocabulary", "a known id")
        empty = np.flatnonzero(np.diff(self.offsets) == 0) + first
        yield from in_rows(path, empty.tolist(), "document_starts is empty", "at least a 0")
        unequal = np.flatnonzero(np.diff(self.offsets) != np.diff(self.named)) + first
        yield from in_rows(
            path, unequal.tolist(), "document_starts and document_ids differ in length", "one id per start"
        )
        heads = np.zeros(len(self.starts), np.bool_)
        heads[self.offsets[:-1][np.diff(self.offsets) > 0]] = True
        late = self.owner[heads & (self.starts != 0)] + first
        yield from in_rows(path, late.tolist(), "document_starts does not begin at 0", "0")
        falls = np.append(False, np.diff(self.starts) <= 0) & ~heads if len(self.starts) else heads
        wrong = falls | (self.starts < 0) | (self.starts >= self.length)
        rows = np.unique(self.owner[wrong]) + first
        yield from in_rows(path, rows.tolist(), "document_starts is not ascending", f"below {self.length}")
        if self.sound and not len(rows):
            yield from self._check_padding(path, first, pad)

    def _check_padding(self, path: str, first: int, pad: int) -> Iterator[Fault]:
        last = np.append(self.owner[1:] != self.owner[:-1], True) if len(self.owner) else np.empty(0, np.bool_)
        inside = np.unique(self.owner[self.is_padding & ~last]) + first
        yield from in_rows(path, inside.tolist(), "a document without an id", "padding at the end of a row only")
        for row, start in zip(self.owner[self.is_padding].tolist(), self.starts[self.is_padding].tolist(), strict=True):
            if pad >= 0 and (self.ids[row, start:] != pad).any():
                yield Fault(path, "padding holds another token", f"{pad} throughout", first + row)
                return

    def send(self, sender: Sender, file: TokenFile, first: int) -> None:
        """Send the document ids of the rows, with the number of tokens of each."""
        if not self.sound:
            return
        real = ~self.is_padding
        kind = TRAIN if file.path.startswith("tokens/train-") else VALIDATION
        names = self.names.filter(pa.array(real))
        send_ids(sender, names, kind, file.number, self.owner[real] + first, counts=self.lengths[real])
