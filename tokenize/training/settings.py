"""The recipe's table [tokenizer]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from curation.errors import ParameterError
from curation.stages.parameters import Size, checked, require
from curation.tokenize.training.patterns import PATTERNS, split_pattern

SMALLEST = 256
"""The byte alphabet."""

LONGEST = 65_535
"""Of pre-tokens: what counting has 16 bits for."""

LARGEST = 1 << 24
"""Of vocabularies."""


@checked
@dataclass(frozen=True, slots=True)
class TokenizerSettings:
    """Table [tokenizer] of a recipe: a byte-level BPE tokenizer.

    Attributes:
        vocab_size: Entries in all, including bytes and special tokens; a corpus that is too small gives fewer.
        pattern: How text is cut into pre-tokens: "gpt4", "gpt2", "o200k", or a regular expression.
        digits: "groups" as the pattern has them, "single" one by one.
        min_frequency: A pair that occurs less often is not merged.
        max_token_length: A token longer than two bytes has fewer bytes than this; none sets no limit.
        max_pretoken_bytes: Only this many bytes of a longer pre-token are counted.
        sample: Share of the documents to train on, chosen by a hash of their ids and `sample_seed`.
        sample_seed: Seed of that hash.
        end_token: The special token after each document.
        pad_token: The special token for padding.
        reserved: Number of further special tokens, named <|reserved_0|> and so on.
    """

    vocab_size: int = 100_000
    pattern: str = "gpt4"
    digits: Literal["groups", "single"] = "groups"
    min_frequency: Size = 2
    max_token_length: Size | None = None
    max_pretoken_bytes: Annotated[int, Ge(16), Le(LONGEST)] = 16_384
    sample: Annotated[float, Gt(0), Le(1)] = 1.0
    sample_seed: Annotated[int, Ge(0), Lt(2**64)] = 0
    end_token: str = "<|endoftext|>"
    pad_token: str = "<|padding|>"
    reserved: Annotated[int, Ge(0), Le(LARGEST)] = 6

    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("tokenizers",)

    def __post_init__(self) -> None:
        least = SMALLEST + 2 + self.reserved
        allowed = f"from {least} (bytes and special tokens) to {LARGEST}"
        require(least <= self.vocab_size <= LARGEST, "vocab_size", self.vocab_size, allowed)
        differ = bool(self.end_token and self.pad_token) and self.end_token != self.pad_token
        require(differ, "pad_token", self.pad_token, "different from end_token, and neither empty")
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
