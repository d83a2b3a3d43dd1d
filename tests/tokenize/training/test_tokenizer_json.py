"""The written tokenizer behaves the same in tokenizers and in transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from curation.tokenize.encoding.encoder import Encoder
from curation.tokenize.training.patterns import PATTERNS
from curation.tokenize.training.settings import TokenizerSettings
from curation.tokenize.training.tokenizer_json import tokenizer_config_json, tokenizer_json
from curation.tokenize.training.train import train

TEXTS = [
    "The end of text is <|endoftext|> here, 12345 and 678.",
    "Der Fluss fließt; 東京は夜。 Привет, мир!",
    "it's they'll\n\n  x",
] * 20
WITH_SPECIALS = "before <|endoftext|> middle <|padding|><|reserved_0|> after"


def definition(**parameters: Any) -> bytes:
    chosen = TokenizerSettings(vocab_size=400, **parameters)
    trained = train(TEXTS, chosen)
    return tokenizer_json(trained.vocabulary, trained.merges, chosen)


DEFINITION = definition()
TOKENIZER = Tokenizer.from_buffer(DEFINITION)
SPECIALS = TokenizerSettings().special_tokens
SPECIAL_IDS = {TOKENIZER.token_to_id(token) for token in SPECIALS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    (path / "tokenizer.json").write_bytes(DEFINITION)
    (path / "tokenizer_config.json").write_bytes(
        tokenizer_config_json(TokenizerSettings(vocab_size=400).special_names())
    )
    return path


def test_special_tokens_have_the_highest_ids() -> None:
    """The special tokens have distinct ids after all others, and the ids have no gaps."""
    size = TOKENIZER.get_vocab_size()
    assert sorted(SPECIAL_IDS) == list(range(size - len(SPECIALS), size))
    assert sorted(TOKENIZER.get_vocab().values()) == list(range(size))
    assert size <= 400


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text())
def test_any_text_round_trips(text: str) -> None:
    """decode(encode(x)) == x for any text, and the ids contain no special token."""
    ids = TOKENIZER.encode(text).ids
    assert TOKENIZER.decode(ids) == text
    assert not SPECIAL_IDS & set(ids)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.sampled_from([*SPECIALS, " ", "a", "<|", "|>", "\n"]), max_size=8).map("".join))
def test_spelled_special_tokens_are_text(text: str) -> None:
    """Text that spells special tokens, completely or in part, is encoded as plain text."""
    ids = TOKENIZER.encode(text).ids
    assert TOKENIZER.decode(ids) == text
    assert not SPECIAL_IDS & set(ids)


def test_transformers_loads_the_folder(folder: Path) -> None:
    """AutoTokenizer gives the same ids, knows the end and padding tokens, and treats spelled special tokens as text."""
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(folder)
    assert loaded(WITH_SPECIALS)["input_ids"] == TOKENIZER.encode(WITH_SPECIALS).ids
    assert loaded.eos_token_id == TOKENIZER.token_to_id("<|endoftext|>")
    assert loaded.pad_token_id == TOKENIZER.token_to_id("<|padding|>")
    assert len(loaded) == TOKENIZER.get_vocab_size()
    assert loaded.decode(loaded(WITH_SPECIALS)["input_ids"]) == WITH_SPECIALS
    end = loaded.eos_token_id
    assert loaded.decode([end, *TOKENIZER.encode("x").ids], skip_special_tokens=True) == "x"


def digits_of(tokenizer: Tokenizer, text: str) -> list[str]:
    return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_digits_singly(pattern: str) -> None:
    """With digits = "single" no pre-token holds two digits, for any pattern."""
    single = Tokenizer.from_buffer(definition(pattern=pattern, digits="single"))
    pieces = [piece.strip("Ġ") for piece in digits_of(single, "year 2024")]
    assert [piece for piece in pieces if piece.isdigit()] == list("2024")


def test_digits_in_groups_by_default() -> None:
    """By default digits are grouped by up to three, as in cl100k."""
    assert digits_of(TOKENIZER, "12345678") == ["123", "456", "78"]


def test_a_custom_pattern_is_used() -> None:
    """Any regular expression can be the split pattern."""
    tokens = {"end_token": "<end of text>", "pad_token": "< pad >", "reserved": 0}
    custom = Tokenizer.from_buffer(definition(pattern=r"\S+|\s+", **tokens))
    assert digits_of(custom, "a.b c1") == ["a.b", "Ġ", "c1"]


def test_special_tokens_may_be_parsed(tmp_path: Path) -> None:
    """With special_in_text = "parse", ids are the same, and a spelled special token is its id, also after saving."""
    from transformers import AutoTokenizer

    chosen = TokenizerSettings(vocab_size=400, special_in_text="parse")
    parsed = definition(special_in_text="parse")
    assert Tokenizer.from_buffer(parsed).get_vocab() == TOKENIZER.get_vocab()
    (tmp_path / "tokenizer.json").write_bytes(parsed)
    config = tokenizer_config_json(chosen.special_names(), chosen.special_in_text)
    (tmp_path / "tokenizer_config.json").write_bytes(config)
    loaded = AutoTokenizer.from_pretrained(str(tmp_path))
    loaded.save_pretrained(str(tmp_path / "saved"))
    for tokenizer in (loaded, AutoTokenizer.from_pretrained(str(tmp_path / "saved"))):
        ids = tokenizer(WITH_SPECIALS).input_ids
        assert [number for number in ids if number in SPECIAL_IDS] == [
            TOKENIZER.token_to_id(token) for token in ("<|endoftext|>", "<|padding|>", "<|reserved_0|>")
        ]
    texts = pa.array([*TEXTS, WITH_SPECIALS])
    assert Encoder(parsed)(texts).ids.tolist() == Encoder(DEFINITION)(texts).ids.tolist()
