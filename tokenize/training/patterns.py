"""Split patterns: how text is cut into pre-tokens, within which merges happen; for counting, training and files alike.

Each is the published pattern of a tokenizer in the syntax that Oniguruma reads, the engine of tokenizers. What a
character class holds differs between engines by the version of Unicode they know (17,144 letters between two of them,
as this is written), so counting takes the classes of the built-in patterns from the installed tokenizers itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from curation.arrays import UInt8s

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2 (openai/gpt-2, encoder.py)."""

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""cl100k_base (openai/tiktoken, tiktoken_ext/openai_public.py): digits in groups of up to three."""

O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""o200k_base (the same file)."""

PATTERNS = {"gpt2": GPT2, "gpt4": GPT4, "o200k": O200K}

LETTER, NUMBER, SPACE, BREAK, UPPER, LOWER = 1, 2, 4, 8, 16, 32
r"""Bits of a character's class: \p{L}, \p{N}, \s, [\r\n], and the two runs of letters and marks of o200k."""

_CLASSES = {
    LETTER: r"\p{L}+",
    NUMBER: r"\p{N}+",
    SPACE: r"\s+",
    BREAK: r"[\r\n]+",
    UPPER: r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+",
    LOWER: r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
}

_CODEPOINTS = 0x110000
_POPULATED = ((0, 0xD800), (0xE000, 0x40000), (0xE0000, 0xE1000))
"""Planes 4 to 13 are empty and 15 and 16 private, so no class holds anything there; surrogates are no characters."""

_PART = 4096
"""Characters asked of the engine at once: its offsets make the time of a call grow faster than its text."""


def split_pattern(name: str, digits: str) -> str:
    """The pattern of a name in PATTERNS, or the one given itself; with digits "single", every digit by itself."""
    pattern = PATTERNS.get(name, name)
    if digits == "single":
        for grouped in (r"\p{N}{1,3}", r"\p{N}+"):
            pattern = pattern.replace(grouped, r"\p{N}")
    return pattern


@cache
def character_classes() -> UInt8s:
    """The class bits of every code point, uint8[0x110000], as the installed tokenizers knows them."""
    table = np.zeros(_CODEPOINTS, np.uint8)
    for bit, expression in _CLASSES.items():
        for begin, end in _matches(expression):
            table[begin:end] |= bit
    return table


def _matches(expression: str) -> Iterator[tuple[int, int]]:
    r"""Ranges of the code points that an expression such as \p{L}+ matches."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    rest = Split(Regex(expression), "removed")
    for first, last in _POPULATED:
        for start in range(first, last, _PART):
            stop = min(start + _PART, last)
            position = start
            for _, (begin, end) in rest.pre_tokenize_str("".join(map(chr, range(start, stop)))):
                yield position, start + begin
                position = start + end
            yield position, stop
