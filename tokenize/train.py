"""Training of the byte-level BPE vocabulary on the text of a corpus."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from curation.tokenize.settings import TokenizerSettings


@dataclass(frozen=True, slots=True)
class Trained:
    """A vocabulary (byte-level spelling → id, without special tokens) and the merges that build it, in order."""

    vocabulary: dict[str, int]
    merges: list[Any]


def train(texts: Iterable[str], settings: TokenizerSettings) -> Trained:
    """The vocabulary of `settings` for these texts; their order does not matter."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(settings.split_pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size - len(settings.special_tokens),
        min_frequency=settings.min_frequency,
        max_token_length=settings.max_token_length,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return Trained(model["vocab"], model["merges"])
