"""Trains the byte-level BPE vocabulary: from counts of pre-tokens to merges.

The merges are exactly those of tokenizers' BpeTrainer on the same text. That trainer splits and counts in one process
and keeps 32 bytes per character of every distinct pre-token; here kernels count wherever the text is, and four bytes
are enough. Learning the merges depends on the number of distinct pre-tokens and hardly on the amount of text, so one
process does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curation.errors import ParameterError
from curation.stages.parameters import build
from curation.text.valid import valid_text
from curation.tokenize.training.alphabet import spell
from curation.tokenize.training.counter import Counter
from curation.tokenize.training.merges import find_merges
from curation.tokenize.training.pretokens import Splitter, flat_text
from curation.tokenize.training.settings import SMALLEST, TokenizerSettings
from curation.tokenize.training.sorted_counts import Counts
from curation.tokenize.training.tokenizer_json import tokenizer_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH_TEXTS = 256
"""Texts that become one column to count."""


@dataclass(frozen=True, slots=True)
class LearnedVocabulary:
    """A trained vocabulary.

    Attributes:
        vocabulary: Byte-level spelling → id, without special tokens.
        merges: The pairs of spellings that were merged, in order.
    """

    vocabulary: dict[str, int]
    merges: list[list[str]]


def train(texts: Iterable[str], settings: TokenizerSettings) -> LearnedVocabulary:
    """Train a vocabulary on texts in memory. Their order does not matter."""
    counter = Counter(Splitter(settings.split_pattern), settings.max_pretoken_bytes)
    waiting = iter(texts)
    while part := list(islice(waiting, BATCH_TEXTS)):
        counter.add(flat_text(_column(part)))
    return learn(counter.runs(), settings)


def _column(texts: list[str]) -> pa.LargeStringArray:
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        return pa.array([text and valid_text(text) for text in texts], pa.large_string())


def _plain(text: Any) -> Any:
    """A scalar of Arrow as its value, pandas' NaN as None."""
    value = text.as_py() if isinstance(text, pa.Scalar) else text
    if isinstance(value, (bytes, bytearray)):
        raise TypeError("texts: must be strings, not bytes")
    return None if isinstance(value, float) and value != value else value


def train_tokenizer(texts: Iterable[str], vocab_size: int = 100_000, **settings: Any) -> Tokenizer:
    """A byte-level BPE tokenizer trained on texts, with the merges that a run makes of a corpus of the same texts.

    Args:
        texts: Any iterable of strings, such as a list, a generator, or a column of a table. They are read once, a few
            at a time; their order does not matter.
        vocab_size: Entries in all, the 256 bytes and the special tokens included. Few texts give fewer.
        **settings: Keys of the recipe's table [tokenizer] (docs/tokenizer.md): `pattern` ("gpt4", "gpt2", "o200k", or a
            regular expression), `digits`, `min_frequency`, `max_token_length`, `end_token`, `pad_token`, `reserved`.

    Returns:
        A `tokenizers.Tokenizer`; `tokenizer.save("tokenizer.json")` writes it where `tokenizers`, and what is built on
        it, reads it.

    Raises:
        ValueError: There is no text to learn from, or only one string was given.
        RecipeError: There is no such setting, or it cannot have this value.
        TypeError: A text is no string, or a whole table was given instead of a column.

    Example:
        >>> from curation import train_tokenizer
        >>> tokenizer = train_tokenizer(["the ferry leaves, the ferry comes back"] * 9, vocab_size=270)
        >>> tokenizer.encode("the ferry").tokens
        ['the', 'Ġ', 'fer', 'ry']
    """
    from tokenizers import Tokenizer

    if isinstance(texts, (str, bytes)):
        raise ValueError("texts: must be an iterable of strings; one string alone is an iterable of its characters")
    if isinstance(texts, Mapping) or any(hasattr(type(texts), name) for name in ("columns", "column_names")):
        raise TypeError(f"texts: a {type(texts).__name__} is a table: give a column, such as df['text']")
    wanted = build(TokenizerSettings, {"vocab_size": vocab_size, **settings}, "train_tokenizer()")
    if wanted.sample < 1:
        raise ParameterError("sample", wanted.sample, "left out here: give the texts to train on")
    try:
        trained = train(map(_plain, texts), wanted)
    except pa.ArrowException as error:
        raise TypeError(f"texts: must be strings: {error}") from error
    if not trained.merges and vocab_size > SMALLEST + len(wanted.special_tokens):
        raise ValueError("texts: there is no text to learn merges from")
    return Tokenizer.from_buffer(tokenizer_json(trained.vocabulary, trained.merges, wanted))


def learn(
    chunks: Iterable[Counts], settings: TokenizerSettings, report: Callable[[int], None] = lambda size: None
) -> LearnedVocabulary:
    """Learn a vocabulary from counts of pre-tokens.

    Args:
        chunks: Counts of pre-tokens; each pre-token must occur only once in all chunks.
        settings: Recipe table [tokenizer].
        report: Called with the number of tokens so far.
    """
    size = settings.vocab_size - len(settings.special_tokens)
    learned = find_merges(chunks, size, settings.min_frequency, settings.max_token_length, report)
    spellings = [spell(token) for token in learned.tokens]
    merges = [[spellings[first], spellings[second]] for first, second in learned.pairs.tolist()]
    return LearnedVocabulary({spelling: number for number, spelling in enumerate(spellings)}, merges)
