"""Trains the byte-level BPE vocabulary: from counts of pre-tokens to merges.

The merges are exactly those of tokenizers' BpeTrainer on the same text. That trainer splits and counts in one process
and keeps 32 bytes per character of every distinct pre-token; here kernels count wherever the text is, and four bytes
are enough. Learning the merges depends on the number of distinct pre-tokens and hardly on the amount of text, so one
process does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa

from curation.tokenize.training.alphabet import spell
from curation.tokenize.training.counter import Counter
from curation.tokenize.training.merges import find_merges
from curation.tokenize.training.pretokens import Splitter, flat_text
from curation.tokenize.training.settings import TokenizerSettings
from curation.tokenize.training.sorted_counts import Counts


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
    for text in texts:
        counter.add(flat_text(pa.array([text], pa.large_string())))
    return learn(counter.runs(), settings)


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
