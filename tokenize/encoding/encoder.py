"""Text to token ids: gigatoken on Arrow buffers, without a Python object per token.

gigatoken always encodes the spelling of a special token as that token. It is therefore given the tokenizer without its
special tokens, so that a page that spells `<|endoftext|>` is encoded as text. Split patterns that gigatoken does not
know fall back to tokenizers, which is slower and gives the same ids.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s, UnsignedInts
from curation.errors import InputError
from curation.running.compiled import kernel
from curation.tokenize.encoding.token_shards import token_dtype
from curation.tokenize.training.patterns import GPT2
from curation.tokenize.training.pretokens import flat_text

UNSPELLED = "\U0010fffd"
"""A character that no text has (a private one, the last but two of all), before the spelling of a special piece."""

NAMED = 20
"""Special tokens listed in an error message."""

FALLBACK_DOCUMENTS = 256
"""Documents per call of the fallback, whose results are Python objects until they are copied."""


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """Token ids of several documents in one flat array.

    Attributes:
        ids: Unsigned integers; document `i` has `ids[offsets[i]:offsets[i + 1]]`.
        offsets: int64[documents + 1].
    """

    ids: UnsignedInts
    offsets: Int64s

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int64s:
        """Number of tokens of each document, int64[documents]."""
        return np.diff(self.offsets)


class Encoder:
    """Encodes Arrow text with a tokenizer.json.

    Special tokens are the added tokens, and vocabulary entries that no merge produces (as in the files that this
    project writes). Text that spells one is encoded as text. Truncation, padding and templates are ignored.

    Args:
        definition: Content of tokenizer.json.

    Attributes:
        hash: blake2b-128 of the definition, in hex.
        vocabulary: The largest id plus one.
        dtype: The smallest unsigned type that holds every id.
        special_ids: Ids of the special tokens.
    """

    def __init__(self, definition: bytes | str) -> None:
        data = definition.encode() if isinstance(definition, str) else definition
        self.hash = hashlib.blake2b(data, digest_size=16).hexdigest()
        values = json.loads(data)
        added = {token["content"]: int(token["id"]) for token in values.get("added_tokens") or ()}
        vocabulary = values["model"]["vocab"]
        ids = [*added.values(), *(vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary)))]
        self.vocabulary = max(ids) + 1
        self.dtype = token_dtype(self.vocabulary)
        unreachable = _unreachable(values["model"])
        self._special = {**unreachable, **added}
        ordinary = {token["content"] for token in values.get("added_tokens") or () if not token.get("special")}
        self.special_ids = {number for token, number in self._special.items() if token not in ordinary}
        self._values = values

    def special_id(self, token: str) -> int:
        """The id of a special token.

        Raises:
            InputError: The tokenizer does not have it.
        """
        number = self.find_special_id(token)
        if number is None:
            known = ", ".join(list(self._special)[:NAMED]) or "none"
            raise InputError(f"the tokenizer has no special token {token!r}; it has {known}")
        return number

    def find_special_id(self, token: str) -> int | None:
        """The id of a special token, or None."""
        return self._special.get(token)

    @cached_property
    def entries(self) -> dict[str, int]:
        """Id of every token by its spelling in the file, special and added tokens included."""
        vocabulary = self._values["model"]["vocab"]
        if not isinstance(vocabulary, dict):
            vocabulary = {entry[0]: number for number, entry in enumerate(vocabulary)}
        return {**vocabulary, **self._special}

    @cached_property
    def is_byte_level(self) -> bool:
        """Whether the file spells each byte of a token as one printable character, like GPT-2."""
        parts = [self._values.get(name) or {} for name in ("pre_tokenizer", "decoder", "normalizer")]
        kinds = [part.get("type") for whole in parts for part in [whole, *_members(whole)]]
        return "ByteLevel" in kinds

    @cached_property
    def _plain(self) -> str:
        return _without_special_tokens(self._values)

    @cached_property
    def _fast(self) -> Any | None:
        from gigatoken.gigatoken_rs import load_hf_json

        try:
            return load_hf_json(_name_gpt2_pattern(self._plain))
        except (ValueError, RuntimeError, NotImplementedError):
            return None

    @cached_property
    def _slow(self) -> Any:
        import tokenizers

        return tokenizers.Tokenizer.from_str(self._plain)

    @property
    def engine(self) -> str:
        """ "gigatoken", or "tokenizers" for a split pattern that gigatoken does not know."""
        return "tokenizers" if self._fast is None else "gigatoken"

    def __call__(self, text: pa.StringArray) -> EncodedTexts:
        """Encode every text, without an end token. A null is encoded as an empty text."""
        if not len(text):
            return EncodedTexts(np.empty(0, self.dtype), np.zeros(1, np.int64))
        if self._fast is None:
            return _encode_slowly(self._slow, text, self.dtype)
        from gigatoken._parallel import resolve_parallel

        layout = self._fast.encode_batch(_to_awkward(text), parallel=resolve_parallel(None)).layout
        offsets = np.asarray(layout.offsets.data, dtype=np.int64)
        return EncodedTexts(np.asarray(layout.content.data)[offsets[0] : offsets[-1]], offsets - offsets[0])


def _members(sequence: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a `Sequence` of pre-tokenizers, decoders or normalizers; [] for anything else."""
    return next((sequence[name] for name in ("pretokenizers", "decoders", "normalizers") if name in sequence), [])


def _without_special_tokens(values: dict[str, Any]) -> str:
    """The definition without its special tokens and without the merges that lead to one."""
    special = {token["content"] for token in values.get("added_tokens") or () if token.get("special")}
    special |= _unreachable(values["model"]).keys()
    special -= {values["model"].get("unk_token")}  # models do not load without it
    kept = [token for token in values.get("added_tokens") or () if not token.get("special")]
    model = dict(values["model"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {token: number for token, number in model["vocab"].items() if token not in special}
        if "merges" in model:
            model["merges"] = [merge for merge in model["merges"] or () if not special & {*_parts(merge)}]
    else:  # pieces whose ids are their places, so that none can be left out
        model["vocab"] = [
            [f"{UNSPELLED}{piece}" if piece in special else piece, score] for piece, score in model["vocab"]
        ]
    plain = {**values, "added_tokens": kept, "model": model, "truncation": None, "padding": None}
    return json.dumps({**plain, "post_processor": None}, ensure_ascii=False)


def _name_gpt2_pattern(plain: str) -> str:
    """Replace GPT-2's pattern, where it is spelled out, by `use_regex`, its other name, which gigatoken knows."""
    values = json.loads(plain)
    parts = (values.get("pre_tokenizer") or {}).get("pretokenizers") or [{}]
    split, rest = parts[0], parts[1:]
    isolated = {"type": "Split", "pattern": {"Regex": GPT2}, "behavior": "Isolated", "invert": False}
    if split == isolated and [part["type"] for part in rest] == ["ByteLevel"] and not rest[0]["use_regex"]:
        return json.dumps({**values, "pre_tokenizer": {**rest[0], "use_regex": True}}, ensure_ascii=False)
    return plain


def _unreachable(model: dict[str, Any]) -> dict[str, int]:
    """Entries of a BPE vocabulary that encoding cannot produce: several characters long and the result of no merge."""
    if not isinstance(model["vocab"], dict) or model.get("ignore_merges") or "merges" not in model:
        return {}
    prefix, suffix = model.get("continuing_subword_prefix"), model.get("end_of_word_suffix")
    if model.get("byte_fallback") or prefix or suffix:  # then encoding can produce entries without a merge
        return {}
    merged = {_parts(merge)[2] for merge in model.get("merges") or ()}
    return {token: number for token, number in model["vocab"].items() if len(token) > 1 and token not in merged}


def _parts(merge: str | list[str]) -> tuple[str, str, str]:
    """Both parts of a merge, in either spelling of the format, and its result: "a b" → ("a", "b", "ab")."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right, left + right


def _to_awkward(text: pa.StringArray) -> Any:
    """The texts as an awkward array of strings, without a copy, with the 64-bit offsets that gigatoken requires."""
    import awkward
    from awkward.contents import ListOffsetArray, NumpyArray
    from awkward.index import Index64

    flat = flat_text(text)
    characters = NumpyArray(flat.data, parameters={"__array__": "char"})
    return awkward.Array(ListOffsetArray(Index64(flat.offsets), characters, parameters={"__array__": "string"}))


def _encode_slowly(tokenizer: Any, text: pa.StringArray, dtype: np.dtype[np.unsignedinteger]) -> EncodedTexts:
    parts, lengths = [], []
    for first in range(0, len(text), FALLBACK_DOCUMENTS):
        texts = [value or "" for value in text.slice(first, FALLBACK_DOCUMENTS).to_pylist()]
        for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            parts.append(np.array(encoding.ids, dtype=dtype))
            lengths.append(len(parts[-1]))
    return EncodedTexts(np.concatenate(parts), np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))))


def take(
    encoded: EncodedTexts, rows: Int64s, dtype: np.dtype[Any], end: int | None = None, begin: int | None = None
) -> EncodedTexts:
    """Pick documents in a given order: take([a][b][c], [2, 0], end=E) → [c E][a E].

    Args:
        encoded: The documents.
        rows: Indexes of the documents to take; may repeat.
        dtype: Type of the resulting ids.
        end: Token to append to each document, if any.
        begin: Token to put before each document, if any.
    """
    before = 0 if begin is None else 1
    lengths = encoded.lengths[rows] + before + (0 if end is None else 1)
    offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    ids = np.empty(offsets[-1], dtype)
    if end is not None:
        ids[offsets[1:] - 1] = end
    if begin is not None:
        ids[offsets[:-1]] = begin
    _gather(encoded.ids, encoded.offsets[:-1][rows], encoded.lengths[rows], offsets + before, ids)
    return EncodedTexts(ids, offsets)


@kernel
def _gather(source: UnsignedInts, starts: Int64s, lengths: Int64s, offsets: Int64s, target: UnsignedInts) -> None:
    for row in range(len(starts)):
        length = lengths[row]
        part, space = source[starts[row] : starts[row] + length], target[offsets[row] : offsets[row] + length]
        for position in range(length):
            space[position] = part[position]
