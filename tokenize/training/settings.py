"""The recipe's table [tokenizer]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from curation.errors import ParameterError
from curation.tokenize.training.patterns import PATTERNS, split_pattern

SMALLEST = 256
"""The byte alphabet."""

LONGEST = (16, 65_535)
"""Bounds of max_pretoken_bytes: a few characters, and what counting has 16 bits for."""


@dataclass(frozen=True, slots=True)
class TokenizerSettings:
    """A byte-level BPE tokenizer.

    vocab_size: entries in all, bytes and special tokens included; a corpus too small for it gives fewer. pattern: gpt4,
    gpt2, o200k, or a regular expression of one's own. digits: `groups` as the pattern has them, `single` one by one.
    min_frequency: a pair that occurs less often is not merged. max_token_length: a token longer than two bytes has
    fewer bytes than this; none for no limit. max_pretoken_bytes: of a longer pre-token only its first bytes count.
    sample: share of the documents to train on, chosen by a hash of their ids and sample_seed. end_token, pad_token,
    reserved: special tokens; `reserved` of them are named <|reserved_0|> and so on.
    """

    vocab_size: int = 100_000
    pattern: str = "gpt4"
    digits: Literal["groups", "single"] = "groups"
    min_frequency: int = 2
    max_token_length: int | None = None
    max_pretoken_bytes: int = 16_384
    sample: float = 1.0
    sample_seed: int = 0
    end_token: str = "<|endoftext|>"
    pad_token: str = "<|padding|>"
    reserved: int = 6

    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("tokenizers",)

    def __post_init__(self) -> None:
        if self.reserved < 0:
            raise ParameterError("reserved", self.reserved, "at least 0")
        least = SMALLEST + len(self.special_tokens)
        if not least <= self.vocab_size <= 1 << 24:
            raise ParameterError("vocab_size", self.vocab_size, f"from {least} (bytes and special tokens) to {1 << 24}")
        if self.min_frequency < 1:
            raise ParameterError("min_frequency", self.min_frequency, "at least 1")
        if self.max_token_length is not None and self.max_token_length < 1:
            raise ParameterError("max_token_length", self.max_token_length, "at least 1, or none")
        if not LONGEST[0] <= self.max_pretoken_bytes <= LONGEST[1]:
            allowed = f"from {LONGEST[0]} to {LONGEST[1]}"
            raise ParameterError("max_pretoken_bytes", self.max_pretoken_bytes, allowed)
        if not 0 < self.sample <= 1:
            raise ParameterError("sample", self.sample, "above 0, at most 1")
        if not 0 <= self.sample_seed < 1 << 64:
            raise ParameterError("sample_seed", self.sample_seed, "from 0 to 2^64 - 1")
        if not self.end_token or not self.pad_token or self.end_token == self.pad_token:
            raise ParameterError("pad_token", self.pad_token, "other than end_token, and neither empty")
        self._check_pattern()

    def _check_pattern(self) -> None:
        from tokenizers import Regex

        try:
            Regex(self.split_pattern)
        except Exception as error:  # tokenizers raises a bare Exception for a pattern it cannot compile
            known = ", ".join(PATTERNS)
            raise ParameterError("pattern", self.pattern, f"{known} or a regular expression ({error})") from error

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Special tokens in the order of their ids."""
        return (self.end_token, self.pad_token, *(f"<|reserved_{number}|>" for number in range(self.reserved)))

    @property
    def split_pattern(self) -> str:
        """The regular expression that cuts text into pre-tokens."""
        return split_pattern(self.pattern, self.digits)
