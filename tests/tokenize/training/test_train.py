"""Training gives exactly the vocabulary and merges of tokenizers' trainer on the same text."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import psutil
import pyarrow as pa
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenized import make_texts
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from curation.errors import ParameterError, RecipeError, StepFailed
from curation.tokenize.training import merges
from curation.tokenize.training.memory import ShrinkableArray
from curation.tokenize.training.merges import find_merges
from curation.tokenize.training.settings import TokenizerSettings
from curation.tokenize.training.sorted_counts import Counts
from curation.tokenize.training.tokenizer_json import tokenizer_json
from curation.tokenize.training.train import LearnedVocabulary, train, train_tokenizer

TEXTS = [
    *make_texts(60, longest=80),
    "The Dogs' day: THEY'LL run 1234567 times, it's 3.14159!\r\n\r\n\tdef f(x):\n        return x//2\n",
    "Příliš žluťoučký kůň úpěl ďábelské ódy. Größe, straße, ÉCOLE, DŽungla",
    "नमस्ते दुनिया, यह एक परीक्षा है। สวัสดีชาวโลก 안녕하세요 세계 مرحبا بالعالم שלום עולם",
    "東京は夜の七時。我能吞下玻璃而不伤身体。ΑΒΓ αβγ Привет, мир! 👩‍👩‍👧‍👦🇫🇮\u00a0\u2003 ١٢٣ ½ Ⅷ",
]


def by_tokenizers(texts: Sequence[str], chosen: TokenizerSettings) -> LearnedVocabulary:
    """What tokenizers' BpeTrainer learns from the texts."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(chosen.split_pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=chosen.vocab_size - len(chosen.special_tokens),
        min_frequency=chosen.min_frequency,
        max_token_length=chosen.max_token_length,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return LearnedVocabulary(model["vocab"], model["merges"])


def check(texts: Sequence[str], **parameters: Any) -> LearnedVocabulary:
    """Train with both trainers, compare, and return what they learned."""
    chosen = TokenizerSettings(**parameters)
    ours = train(texts, chosen)
    assert ours == by_tokenizers(texts, chosen)
    return ours


@pytest.mark.parametrize("digits", ["groups", "single"])
@pytest.mark.parametrize("pattern", ["gpt2", "gpt4", "o200k", r"\p{Han}|\w+|\s+|[^\w\s]+"])
def test_patterns(pattern: str, digits: str) -> None:
    """Every built-in pattern and a custom one give the same merges, with digits grouped and single."""
    trained = check(TEXTS, vocab_size=700, pattern=pattern, digits=digits)
    assert 150 < len(trained.merges) <= 700 - 256 - 8


@pytest.mark.parametrize("min_frequency", [1, 2, 5])
@pytest.mark.parametrize("max_token_length", [None, 1, 2, 5, 16])
def test_limits(min_frequency: int, max_token_length: int | None) -> None:
    """Minimum frequency and maximum length work as in BpeTrainer until no pair is left."""
    check(TEXTS, vocab_size=5000, min_frequency=min_frequency, max_token_length=max_token_length)


@pytest.mark.parametrize("vocab_size", [1000, 32_000])
@pytest.mark.parametrize("languages", [("de", "en", "fi"), ("ja", "th", "zh"), ("ar", "hi", "ko", "ru", "tr")])
def test_languages(shared_data: Path, languages: tuple[str, ...], vocab_size: int) -> None:
    """Sentences of several languages give the same merges; the larger vocabulary uses up every pair."""
    with gzip.open(shared_data / "language" / "lingua-sentences.tsv.gz", "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    texts = [text for code, text in rows if code in languages]
    assert len(texts) > 500
    check(texts, vocab_size=vocab_size, pattern="o200k", min_frequency=1)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    texts=st.lists(st.text(st.sampled_from("abcä日 "), min_size=1, max_size=60), min_size=1, max_size=12),
    tokens=st.integers(0, 120),
    min_frequency=st.integers(1, 3),
    max_token_length=st.none() | st.integers(1, 9),
)
def test_ties(texts: list[str], tokens: int, min_frequency: int, max_token_length: int | None) -> None:
    """Texts of few letters, where most pairs tie in frequency and tokens overlap themselves, give the same merges."""
    check(
        texts, vocab_size=264 + tokens, pattern="gpt4", min_frequency=min_frequency, max_token_length=max_token_length
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    texts=st.lists(st.text(st.sampled_from("abcä日 "), min_size=1, max_size=60), min_size=1, max_size=12),
    calls=st.integers(1, 9),
)
def test_compacting_words_does_not_change_merges(texts: list[str], calls: int) -> None:
    """The merges do not depend on how often shortened words are compacted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merges, "MERGES_PER_CALL", calls)
        patch.setattr(merges, "COMPACT_BELOW", 1.0)
        check(texts, vocab_size=400, pattern="gpt4", min_frequency=1)


def test_compacting_releases_memory_and_keeps_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that merges free is released during training, and a compacted word keeps its 64-bit count."""
    kept: list[int] = []
    monkeypatch.setattr(merges, "MERGES_PER_CALL", 4)
    monkeypatch.setattr(ShrinkableArray, "keep", lambda _, size: kept.append(size))
    many = {bytes([97 + letter]) * 600: (letter + 3) << 40 for letter in range(8)}
    learned = find_merges([counts_of(many)], 256 + 40, 2)
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < merges.COMPACT_BELOW**2 * 8 * 603
    monkeypatch.setattr(merges, "COMPACT_BELOW", 0.0)
    assert find_merges([counts_of(many)], 256 + 40, 2).tokens == learned.tokens


def test_the_end_of_an_array_is_released() -> None:
    """The kept part is unchanged, and the memory pages after it are released."""
    numbers = ShrinkableArray(1 << 22)
    numbers.array[:] = 7
    before = resident()
    numbers.keep(1000)
    assert (numbers.array[:1000] == 7).all()
    if sys.platform == "linux":
        assert before - resident() > 14 << 20
    for size in (0, 1 << 22):
        numbers.keep(size)
    assert len(ShrinkableArray(0).array) == 0


def resident() -> int:
    return psutil.Process().memory_info().rss


def test_a_small_corpus_gives_fewer_tokens() -> None:
    """Merging ends when no pair is frequent enough, even if the vocabulary is not full."""
    assert check(["ab ab ab"], vocab_size=1000).merges == [["a", "b"], ["Ġ", "ab"]]


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["a", "b c"], ["é"] * 3])
def test_nearly_empty_input(texts: list[str]) -> None:
    """Inputs without text, without pairs, or with a single pair are handled."""
    check(texts, vocab_size=300)


def counts_of(counts: dict[bytes, int]) -> Counts:
    offsets = np.cumsum([0, *map(len, counts)])
    return Counts(np.frombuffer(b"".join(counts), np.uint8), offsets, np.array(list(counts.values())))


def test_counts_have_64_bits() -> None:
    """Counts beyond 32 bits do not overflow: their order is kept."""
    many = {b"ab": 3 << 40, b"cd": 5 << 40, b"ef": (5 << 40) + 1, b"gh": 7}
    learned = find_merges([counts_of(many)], 259, 2)
    assert [learned.tokens[number] for number in range(256, 259)] == [b"ef", b"cd", b"ab"]


def test_progress_is_reported() -> None:
    """Progress reports grow to the size of the vocabulary."""
    sizes: list[int] = []
    words = {f"{number:04x}".encode(): 10_000 - number for number in range(5000)}
    learned = find_merges([counts_of(words)], 2000, 1, report=sizes.append)
    assert sizes == sorted(sizes)
    assert len(sizes) > 1
    assert sizes[-1] == len(learned.tokens) == 2000


@pytest.mark.parametrize(
    ("key", "value"), [("sample", 0.0), ("sample", 1.5), ("max_pretoken_bytes", 4), ("max_pretoken_bytes", 1 << 20)]
)
def test_bad_settings_are_named(key: str, value: float) -> None:
    """The error for an invalid value names the key and the value."""
    with pytest.raises(ParameterError, match=f"{key}.*{value}"):
        TokenizerSettings(**{key: value})  # type: ignore[arg-type]


def test_too_many_words_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """More words than 32-bit positions can address are an error that suggests tokenizer.sample."""
    monkeypatch.setattr(merges, "MAX_CELLS", 10)
    find_merges([counts_of({b"abc": 1})], 259, 2)
    with pytest.raises(StepFailed, match=r"tokenizer\.sample"):
        find_merges([counts_of({b"abc": 1}), counts_of({b"abcd": 1})], 259, 2)


def test_a_tokenizer_from_any_texts(tmp_path: Path) -> None:
    """A generator, a column and a series give the tokenizer of a run's settings, which a file holds."""
    settings = TokenizerSettings(vocab_size=420, pattern="gpt2", reserved=2)
    trained = train(TEXTS, settings)
    expected = json.loads(tokenizer_json(trained.vocabulary, trained.merges, settings))
    for texts in (
        (text for text in TEXTS),
        pa.chunked_array([TEXTS[:9], TEXTS[9:]]),
        pd.Series(TEXTS),
        [None, float("nan"), *TEXTS],
    ):
        tokenizer = train_tokenizer(texts, 420, pattern="gpt2", reserved=2)  # type: ignore[arg-type]
        assert json.loads(tokenizer.to_str())["model"] == expected["model"]
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert again.encode(TEXTS[0]).ids == tokenizer.encode(TEXTS[0]).ids
    assert again.decode(again.encode(TEXTS[-1]).ids) == TEXTS[-1]
    assert again.get_vocab_size() == 420


def test_texts_that_no_tokenizer_comes_of() -> None:
    """One string, no text, numbers, a setting that is none, and one that is a run's; a lone surrogate does no harm."""
    with pytest.raises(ValueError, match="one string alone"):
        train_tokenizer("text")
    for texts in ([], [""]):
        with pytest.raises(ValueError, match="no text to learn merges from"):
            train_tokenizer(texts)
    with pytest.raises(TypeError, match="must be strings"):
        train_tokenizer([1, 2])  # type: ignore[list-item]
    for text in ([b"text"], pa.array([b"text"])):
        with pytest.raises(TypeError, match="must be strings, not bytes"):
            train_tokenizer(text)
    table = {"text": TEXTS}
    for kind in (dict, pa.table, pd.DataFrame, pl.DataFrame, pl.LazyFrame, Dataset.from_dict):
        with pytest.raises(TypeError, match=r"is a table: give a column, such as df\['text'\]"):
            train_tokenizer(kind(table))
    with pytest.raises(RecipeError, match=r"train_tokenizer\(\): unknown key 'size'"):
        train_tokenizer(TEXTS, size=3)
    with pytest.raises(ParameterError, match=r"sample = 0\.5"):
        train_tokenizer(TEXTS, sample=0.5)
    broken, whole = (train_tokenizer([f"the {mark} ferry the ferry"] * 9, 270) for mark in ("\ud800", "\ufffd"))
    assert broken.to_str() == whole.to_str()
