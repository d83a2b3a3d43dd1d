from __future__ import annotations

import json
from random import Random
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenized import END, PAD, make_texts, train_tokenizer

from curation.errors import InputError
from curation.tokenize.encoding.encoder import EncodedTexts, Encoder, take
from curation.tokenize.training.patterns import PATTERNS
from curation.tokenize.training.settings import TokenizerSettings
from curation.tokenize.training.tokenizer_json import tokenizer_json
from curation.tokenize.training.train import train

TEXTS = make_texts(200)
CUSTOM_PATTERN = r"\w+|\s+|[^\w\s]+"


@pytest.fixture(scope="module")
def reference() -> tokenizers.Tokenizer:
    tokenizer = train_tokenizer(TEXTS)
    tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.fixture(scope="module")
def encoder(reference: tokenizers.Tokenizer) -> Encoder:
    return Encoder(reference.to_str())


def to_lists(encoded: EncodedTexts) -> list[list[int]]:
    return [encoded.ids[a:b].tolist() for a, b in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)]


def test_equals_tokenizers(reference: tokenizers.Tokenizer, encoder: Encoder) -> None:
    """Each document gets the ids of tokenizers, with special tokens encoded as text."""
    assert encoder.engine == "gigatoken"
    expected = [encoding.ids for encoding in reference.encode_batch_fast(TEXTS, add_special_tokens=False)]
    assert to_lists(encoder(pa.array(TEXTS))) == expected


@settings(max_examples=200, deadline=None, derandomize=True)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=5))
def test_round_trip_over_unicode(reference: tokenizers.Tokenizer, encoder: Encoder, texts: list[str]) -> None:
    """decode(encode(x)) == x for any string, and the ids are those of tokenizers."""
    encoded = to_lists(encoder(pa.array(texts, pa.string())))
    assert [reference.decode(ids, skip_special_tokens=False) for ids in encoded] == texts
    assert encoded == [reference.encode(text, add_special_tokens=False).ids for text in texts]


def trained_settings(pattern: str, digits: Literal["groups", "single"]) -> TokenizerSettings:
    """Settings for END and PAD with a built-in pattern, and for tokens with a space where a pattern needs that."""
    tokens: dict[str, Any] = (
        {} if pattern in PATTERNS else {"end_token": "< end >", "pad_token": "< pad >", "reserved": 0}
    )
    return TokenizerSettings(vocab_size=700, pattern=pattern, digits=digits, **tokens)


@pytest.fixture(
    scope="module", params=[("gpt2", "groups"), ("gpt4", "single"), ("o200k", "groups"), (r"\S+|\s+", "groups")]
)
def trained_here(request: pytest.FixtureRequest) -> tuple[Encoder, tokenizers.Tokenizer]:
    """The encoder of a tokenizer that this project trained, and tokenizers with the same file."""
    options = trained_settings(request.param[0], request.param[1])
    trained = train((text for text in TEXTS if END not in text and PAD not in text), options)
    definition = tokenizer_json(trained.vocabulary, trained.merges, options)
    return Encoder(definition), tokenizers.Tokenizer.from_str(definition.decode())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=4))
def test_round_trip_of_the_projects_own_file(
    trained_here: tuple[Encoder, tokenizers.Tokenizer], texts: list[str]
) -> None:
    """decode(encode(x)) == x for any string and every split pattern."""
    encoded = to_lists(trained_here[0](pa.array(texts, pa.string())))
    assert [trained_here[1].decode(ids, skip_special_tokens=False) for ids in encoded] == texts


def test_round_trip_of_every_code_point(trained_here: tuple[Encoder, tokenizers.Tokenizer]) -> None:
    """Each of the 1,112,064 Unicode characters that text can contain round-trips, next to its neighbors."""
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    texts = [everything[first : first + 4096] for first in range(0, len(everything), 4096)]
    encoded = to_lists(trained_here[0](pa.array(texts)))
    assert trained_here[1].decode_batch(encoded, skip_special_tokens=False) == texts


def test_spelled_special_tokens_are_text(reference: tokenizers.Tokenizer, encoder: Encoder) -> None:
    """Text that spells special tokens, in any context, gives no special id and decodes to itself."""
    texts = [END, f"a{END}b", f"{PAD}{PAD}", f" {END} ", f"<{END}>", END * 50]
    encoded = to_lists(encoder(pa.array(texts)))
    special = {encoder.special_id(END), encoder.special_id(PAD)}
    assert not special & {token for ids in encoded for token in ids}
    assert [reference.decode(ids, skip_special_tokens=False) for ids in encoded] == texts


@pytest.mark.parametrize("ignore_merges", [False, True])
def test_special_token_that_merges_spell(ignore_merges: bool) -> None:
    """A model whose merges lead to a special token's spelling, as here, never gives its id."""
    tokenizer = train_tokenizer([END] * 9, pattern=r"\S+|\s+")
    tokenizer.encode_special_tokens = True
    assert tokenizer.encode(END).ids == [tokenizer.token_to_id(END)]
    values = json.loads(tokenizer.to_str())
    values["model"]["ignore_merges"] = ignore_merges
    encoder = Encoder(json.dumps(values))
    ids = encoder(pa.array([END])).ids
    assert encoder.special_id(END) not in ids
    assert tokenizer.decode(ids.tolist(), skip_special_tokens=False) == END


@pytest.mark.parametrize("pattern", ["gpt2", "gpt4", "o200k", r"\S+|\s+"])
@pytest.mark.parametrize("digits", ["groups", "single"])
def test_the_projects_own_file(pattern: str, digits: Literal["groups", "single"]) -> None:
    """Special tokens that are only vocabulary entries are found but never encoded to; all other ids are equal."""
    options = trained_settings(pattern, digits)
    trained = train((text for text in TEXTS if END not in text and PAD not in text), options)
    definition = tokenizer_json(trained.vocabulary, trained.merges, options)
    encoder, reference = Encoder(definition), tokenizers.Tokenizer.from_str(definition.decode())
    special = {encoder.special_id(token) for token in options.special_tokens}
    assert special == {reference.token_to_id(token) for token in options.special_tokens}
    texts = [*TEXTS, END, f"{END}{END}", f" {PAD} x"]
    encoded = encoder(pa.array(texts))
    assert to_lists(encoded) == [encoding.ids for encoding in reference.encode_batch_fast(texts)]
    assert not special & {*encoded.ids.tolist()}


def test_unknown_pattern_falls_back() -> None:
    """With a split pattern that gigatoken does not know, tokenizers encodes, with the same ids."""
    tokenizer = train_tokenizer(TEXTS, pattern=CUSTOM_PATTERN)
    tokenizer.encode_special_tokens = True
    encoder = Encoder(tokenizer.to_str())
    assert encoder.engine == "tokenizers"
    expected = [encoding.ids for encoding in tokenizer.encode_batch_fast(TEXTS, add_special_tokens=False)]
    assert to_lists(encoder(pa.array(TEXTS))) == expected


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_slices_nulls_and_empty_arrays(encoder: Encoder, kind: pa.DataType) -> None:
    """Slices of larger arrays are encoded correctly, nulls as empty texts, and empty arrays to nothing."""
    texts = pa.array(["lost", "river stone", None, "", "garden", "lost"], kind)
    whole = to_lists(encoder(pa.array(["river stone", "", "", "garden"], kind)))
    assert to_lists(encoder(texts.slice(1, 4))) == whole
    assert whole[1] == []
    assert len(encoder(pa.array([], kind))) == 0
    assert to_lists(encoder(pa.array([None, None], kind))) == [[], []]


def test_missing_special_token_is_named(encoder: Encoder) -> None:
    """The error for a missing special token names it and the existing ones."""
    with pytest.raises(InputError, match=r"<\|no\|>.*<\|endoftext\|>"):
        encoder.special_id("<|no|>")


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(1, 60000), max_size=6), max_size=8), st.randoms(use_true_random=False))
def test_take(documents: list[list[int]], random: Random) -> None:
    """take picks documents in any order, with repeats, in the requested type, and appends one token to each."""
    flat = np.array([token for ids in documents for token in ids], np.uint32)
    offsets = np.cumsum([0, *(len(ids) for ids in documents)])
    rows = [random.randrange(len(documents)) for _ in range(5)] if documents else []
    for end in (None, 0):
        taken = take(EncodedTexts(flat, offsets), np.array(rows, np.int64), np.dtype(np.uint16), end)
        assert taken.ids.dtype == np.uint16
        assert to_lists(taken) == [[*documents[row], *([] if end is None else [end])] for row in rows]
