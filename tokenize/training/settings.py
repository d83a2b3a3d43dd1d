"""The recipe's table [tokenizer]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from curation.errors import InputError, ParameterError, require
from curation.stages.parameters import LocalPath, Outside, Size, Text, checked
from curation.tokenize.training.alphabet import BYTE_SPELLINGS
from curation.tokenize.training.given import END, PAD, GivenTokenizer, read_tokenizer
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
    """Table [tokenizer] of a recipe: a byte-level BPE tokenizer, or one that is given.

    Attributes:
        file: A tokenizer to use instead of training one: tokenizer.json, a tiktoken file, or a folder of transformers.
        vocab_size: Entries in all, including bytes and special tokens; a corpus that is too small gives fewer.
        pattern: How text is cut into pre-tokens: "gpt4", "gpt2", "o200k", or a regular expression.
        digits: "groups" as the pattern has them, "single" one by one.
        min_frequency: A pair that occurs less often is not merged.
        max_token_length: A token longer than two bytes has fewer bytes than this; none sets no limit.
        max_pretoken_bytes: Only this many bytes of a longer pre-token are counted.
        sample: Share of the documents to train on, chosen by a hash of their ids and `sample_seed`.
        sample_seed: Seed of that hash.
        end_token: The special token after each document. A given tokenizer says its own unless another is named.
        pad_token: The special token for padding, as above.
        begin_token: A special token to begin documents with (see `tokens.begin`); none adds none.
        reserved: Number of further special tokens, named <|reserved_0|> and so on.
        special_in_text: What other programs do with the spelling of a special token in a text: "split" it like other
            text, or "parse" it as the token, as chat templates need. The corpus is always encoded as text.
    """

    file: Annotated[str, Outside("a tokenizer"), LocalPath()] | None = None
    vocab_size: int = 100_000
    pattern: str = "gpt4"
    digits: Literal["groups", "single"] = "groups"
    min_frequency: Size = 2
    max_token_length: Size | None = None
    max_pretoken_bytes: Annotated[int, Ge(16), Le(LONGEST)] = 16_384
    sample: Annotated[float, Gt(0), Le(1)] = 1.0
    sample_seed: Annotated[int, Ge(0), Lt(2**64)] = 0
    end_token: str = END
    pad_token: str = PAD
    begin_token: Text | None = None
    reserved: Annotated[int, Ge(0), Le(LARGEST)] = 6
    special_in_text: Literal["split", "parse"] = "split"

    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("tokenizers",)

    def __post_init__(self) -> None:
        least = SMALLEST + len(self.special_tokens)
        allowed = f"from {least} (bytes and special tokens) to {LARGEST}"
        require(least <= self.vocab_size <= LARGEST, "vocab_size", self.vocab_size, allowed)
        differ = bool(self.end_token and self.pad_token) and self.end_token != self.pad_token
        require(differ, "pad_token", self.pad_token, "different from end_token, and neither empty")
        self._check_pattern()
        if self.file is not None:
            try:
                self.special_names()
            except InputError as error:
                raise ParameterError("file", self.file, f"a tokenizer that can be used ({error})") from error
        else:
            self._check_special_tokens()

    def _check_special_tokens(self) -> None:
        """Raise ParameterError for a special token that would share its id with another token."""
        from tokenizers import Regex
        from tokenizers.pre_tokenizers import Split

        split = Split(Regex(self.split_pattern), "isolated")
        named = {"end_token": self.end_token, "pad_token": self.pad_token, "begin_token": self.begin_token}
        for key, token in named.items():
            if token is not None:
                is_text = not any("\ud800" <= character <= "\udfff" for character in token)
                require(is_text, key, token, "valid Unicode")
                require(self.special_tokens.count(token) == 1, key, token, "different from all other special tokens")
                require(token not in BYTE_SPELLINGS, key, token, "more than the spelling of a single byte")
                allowed = "divided by the pattern, or training could learn it as a token of texts"
                require(len(split.pre_tokenize_str(token)) > 1, key, token, allowed)
        for token in self.special_tokens[-self.reserved :] if self.reserved else ():
            allowed = f"0 with this pattern, which does not divide {token}: training could learn it as a token of texts"
            require(len(split.pre_tokenize_str(token)) > 1, "reserved", self.reserved, allowed)

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
        begin = () if self.begin_token is None else (self.begin_token,)
        reserved = (f"<|reserved_{number}|>" for number in range(self.reserved))
        return (self.end_token, self.pad_token, *begin, *reserved)

    @property
    def split_pattern(self) -> str:
        """The regular expression that cuts text into pre-tokens."""
        return split_pattern(self.pattern, self.digits)

    def given(self) -> GivenTokenizer:
        """The tokenizer in `file`; InputError if it cannot be used."""
        return read_tokenizer(self.file or "", self.split_pattern, self.special_tokens)

    def special_names(self) -> dict[str, str | None]:
        """The special tokens as tokenizer_config.json has them: `eos_token`, `pad_token` and `bos_token`.

        Raises:
            InputError: The given tokenizer cannot be used, or does not have those that are named here.
        """
        if self.file is None:
            return {"bos_token": self.begin_token, "eos_token": self.end_token, "pad_token": self.pad_token}
        wanted = {
            "bos_token": self.begin_token,
            "eos_token": None if self.end_token == END else self.end_token,
            "pad_token": None if self.pad_token == PAD else self.pad_token,
        }
        return self.given().special_names(wanted)

    def assets(self) -> dict[str, str]:
        """Hash of the given tokenizer."""
        return {} if self.file is None else {"file": self.given().hash}
