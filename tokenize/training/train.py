"""Training of the byte-level BPE vocabulary: counts of pre-tokens to merges.

Merges are those of tokenizers' BpeTrainer, one by one, on the same text. It splits and counts in one process and keeps
32 bytes a character of every different pre-token; here kernels count, wherever the text is, and four bytes do. What the
merges cost depends on the different pre-tokens, hardly on the text: they are made in one process.
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
    """A vocabulary (byte-level spelling → id, without special tokens) and the merges that build it, in order."""

    vocabulary: dict[str, int]
    merges: list[list[str]]


def train(texts: Iterable[str], settings: TokenizerSettings) -> LearnedVocabulary:
    """The vocabulary of `settings` for all of these texts; their order does not matter."""
    counter = Counter(Splitter(settings.split_pattern), settings.max_pretoken_bytes)
    for text in texts:
        counter.add(flat_text(pa.array([text], pa.large_string())))
    return learn(counter.runs(), settings)


def learn(
    chunks: Iterable[Counts], settings: TokenizerSettings, report: Callable[[int], None] = lambda size: None
) -> LearnedVocabulary:
    """The vocabulary for counts of pre-tokens, each of which comes once. report: told how many tokens there are."""
    size = settings.vocab_size - len(settings.special_tokens)
    found = find_merges(chunks, size, settings.min_frequency, settings.max_token_length, report)
    spellings = [spell(token) for token in found.tokens]
    merges = [[spellings[first], spellings[second]] for first, second in found.pairs.tolist()]
    return LearnedVocabulary({spelling: number for number, spelling in enumerate(spellings)}, merges)
