"""Text to token ids: gigatoken on Arrow buffers, no Python object a token.

gigatoken always turns the spelling of a special token into the token. The encoder is therefore given the tokenizer
without its special tokens, so that a page which spells `<|endoftext|>` is encoded as text. Split patterns that
gigatoken does not know fall back to tokenizers itself, which is slower and gives the same ids.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s, UInt8s, UnsignedInts
from curation.errors import InputError
from curation.running.compiled import kernel
from curation.tokenize.encoding.token_shards import token_dtype
from curation.tokenize.training.patterns import GPT2

NAMED = 20
"""Special tokens named in an error."""

FALLBACK_DOCUMENTS = 256
"""Documents a call of the fallback, whose results are Python objects until they are copied."""


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """Token ids of some documents, flat; document `i` has `ids[offsets[i]:offsets[i + 1]]`."""

    ids: UnsignedInts
    offsets: Int64s

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int64s:
        """Tokens of each document."""
        return np.diff(self.offsets)


class Encoder:
    """A tokenizer.json as an encoder of Arrow text.

    definition: the file's text. `vocabulary` is one more than the largest id; `dtype` the smallest type that holds it.
    Special tokens are the added tokens, and entries of the vocabulary that no merge makes, as this project's own files
    have them. Text that spells one is encoded as text. Truncation, padding and templates are ignored.
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
        """The id of a special token; InputError if the tokenizer does not have it."""
        found = self.find_special_id(token)
        if found is None:
            known = ", ".join(list(self._special)[:NAMED]) or "none"
            raise InputError(f"the tokenizer has no special token {token!r}; it has {known}")
        return found

    def find_special_id(self, token: str) -> int | None:
        """The id of a special token, or None."""
        return self._special.get(token)

    @cached_property
    def entries(self) -> dict[str, int]:
        """Every token as the file spells it, special and added ones included, with its id."""
        vocabulary = self._values["model"]["vocab"]
        if not isinstance(vocabulary, dict):
            vocabulary = {entry[0]: number for number, entry in enumerate(vocabulary)}
        return {**vocabulary, **self._special}

    @cached_property
    def is_byte_level(self) -> bool:
        """Whether the file spells each byte of a token as one printable character, as GPT-2 does."""
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
            return load_hf_json(_as_gigatoken_knows_it(self._plain))
        except (ValueError, RuntimeError, NotImplementedError):
            return None

    @cached_property
    def _slow(self) -> Any:
        import tokenizers

        return tokenizers.Tokenizer.from_str(self._plain)

    @property
    def engine(self) -> str:
        """`gigatoken`, or `tokenizers` for a split pattern that gigatoken does not know."""
        return "tokenizers" if self._fast is None else "gigatoken"

    def __call__(self, text: pa.StringArray) -> EncodedTexts:
        """Ids of every text, without an end token. A null text is empty."""
        if not len(text):
            return EncodedTexts(np.empty(0, self.dtype), np.zeros(1, np.int64))
        if self._fast is None:
            return _encode_slowly(self._slow, text, self.dtype)
        from gigatoken._parallel import resolve_parallel

        layout = self._fast.encode_batch(_to_awkward(text), parallel=resolve_parallel(None)).layout
        offsets = np.asarray(layout.offsets.data, dtype=np.int64)
        return EncodedTexts(np.asarray(layout.content.data)[offsets[0] : offsets[-1]], offsets - offsets[0])


def _members(sequence: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a `Sequence` of pre-tokenizers, decoders or normalizers; of anything else, none."""
    return next((sequence[name] for name in ("pretokenizers", "decoders", "normalizers") if name in sequence), [])


def _without_special_tokens(values: dict[str, Any]) -> str:
    """The definition without special tokens, and without what would let the model itself make one of its merges."""
    special = {token["content"] for token in values.get("added_tokens") or () if token.get("special")}
    special |= _unreachable(values["model"]).keys()
    special -= {values["model"].get("unk_token")}  # models refuse to do without
    kept = [token for token in values.get("added_tokens") or () if not token.get("special")]
    model = dict(values["model"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {token: number for token, number in model["vocab"].items() if token not in special}
        model["merges"] = [merge for merge in model.get("merges") or () if not special & {*_parts(merge)}]
    plain = {**values, "added_tokens": kept, "model": model, "truncation": None, "padding": None}
    return json.dumps({**plain, "post_processor": None}, ensure_ascii=False)


def _as_gigatoken_knows_it(plain: str) -> str:
    """The same definition with GPT-2's pattern, where it is spelled out, named by its other name, which is known."""
    values = json.loads(plain)
    parts = (values.get("pre_tokenizer") or {}).get("pretokenizers") or [{}]
    split, rest = parts[0], parts[1:]
    isolated = {"type": "Split", "pattern": {"Regex": GPT2}, "behavior": "Isolated", "invert": False}
    if split == isolated and [part["type"] for part in rest] == ["ByteLevel"] and not rest[0]["use_regex"]:
        return json.dumps({**values, "pre_tokenizer": {**rest[0], "use_regex": True}}, ensure_ascii=False)
    return plain


def _unreachable(model: dict[str, Any]) -> dict[str, int]:
    """Entries of a BPE vocabulary that encoding cannot give: of several characters, and made by no merge."""
    if not isinstance(model["vocab"], dict) or model.get("ignore_merges") or "merges" not in model:
        return {}
    prefix, suffix = model.get("continuing_subword_prefix"), model.get("end_of_word_suffix")
    if model.get("byte_fallback") or prefix or suffix:  # then entries are given without a merge
        return {}
    made = {_parts(merge)[2] for merge in model.get("merges") or ()}
    return {token: number for token, number in model["vocab"].items() if len(token) > 1 and token not in made}


def _parts(merge: str | list[str]) -> tuple[str, str, str]:
    """What a merge, in either spelling of the format, joins and makes: "a b" → ("a", "b", "ab")."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right, left + right


def text_buffers(text: pa.StringArray) -> tuple[UInt8s, Int64s]:
    """The UTF-8 of all texts, without a copy, and where each begins in it and the last ends. A null text is empty."""
    if not len(text):
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    array = text.fill_null("") if text.null_count else text
    wide = pa.types.is_large_string(array.type)
    _, ends, data = array.buffers()
    offsets = np.frombuffer(ends, np.int64 if wide else np.int32)[array.offset : array.offset + len(array) + 1]
    octets = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return octets, offsets.astype(np.int64)


def _to_awkward(text: pa.StringArray) -> Any:
    """The same buffers as an awkward array of strings, with the 64-bit offsets that gigatoken asks for."""
    import awkward
    from awkward.contents import ListOffsetArray, NumpyArray
    from awkward.index import Index64

    octets, offsets = text_buffers(text)
    characters = NumpyArray(octets, parameters={"__array__": "char"})
    return awkward.Array(ListOffsetArray(Index64(offsets), characters, parameters={"__array__": "string"}))


def _encode_slowly(tokenizer: Any, text: pa.StringArray, dtype: np.dtype[np.unsignedinteger]) -> EncodedTexts:
    parts, lengths = [], []
    for first in range(0, len(text), FALLBACK_DOCUMENTS):
        texts = [value or "" for value in text.slice(first, FALLBACK_DOCUMENTS).to_pylist()]
        for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            parts.append(np.array(encoding.ids, dtype=dtype))
            lengths.append(len(parts[-1]))
    return EncodedTexts(np.concatenate(parts), np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))))


def take(encoded: EncodedTexts, rows: Int64s, dtype: np.dtype[Any], end: int | None = None) -> EncodedTexts:
    """The documents `rows` in that order, as `dtype`, each followed by the token `end` if there is one.

    take([a][b][c], [2, 0], end=E) → [c E][a E]
    """
    lengths = encoded.lengths[rows] + (0 if end is None else 1)
    offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    ids = np.empty(offsets[-1], dtype)
    if end is not None:
        ids[offsets[1:] - 1] = end
    _gather(encoded.ids, encoded.offsets[:-1][rows], encoded.lengths[rows], offsets, ids)
    return EncodedTexts(ids, offsets)


@kernel
def _gather(source: UnsignedInts, starts: Int64s, lengths: Int64s, offsets: Int64s, target: UnsignedInts) -> None:
    for row in range(len(starts)):
        length = lengths[row]
        part, place = source[starts[row] : starts[row] + length], target[offsets[row] : offsets[row] + length]
        for position in range(length):
            place[position] = part[position]
