"""Split patterns: how text is cut into pre-tokens. Merges never cross a pre-token boundary.

Counting, training and the written tokenizer use the same patterns. Each is the published pattern of a tokenizer, in
the syntax of Oniguruma, the engine of tokenizers. Engines disagree on what a character class holds, because they
implement different versions of Unicode (two of them currently differ by 17,144 letters). Counting therefore reads the
classes of the built-in patterns from the installed tokenizers.
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
"""cl100k_base (openai/tiktoken, tiktoken_ext/openai_public.py): digits in groups of up to three.

Llama 3 has the same; Qwen 2 and 3 have it with single digits, `split_pattern("gpt4", "single")`."""

O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""o200k_base (the same file)."""

PATTERNS = {"gpt2": GPT2, "gpt4": GPT4, "o200k": O200K}

LETTER, NUMBER, SPACE, BREAK, UPPER, LOWER = 1, 2, 4, 8, 16, 32
r"""Bits of a character's class: \p{L}, \p{N}, \s, [\r\n], and the two runs of letters and combining marks in o200k."""

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
"""Planes 4 to 13 are empty, 15 and 16 are private, and surrogates are not characters: no class has members there."""

_PART = 4096
"""Characters per call of the engine: because of its offsets, the time of a call grows faster than its text."""


def split_pattern(name: str, digits: str) -> str:
    """The split pattern as a regular expression.

    Args:
        name: A name in PATTERNS, or a regular expression.
        digits: "single" makes every digit a pre-token of its own; "groups" leaves the pattern unchanged.
    """
    pattern = PATTERNS.get(name, name)
    if digits == "single":
        for grouped in (r"\p{N}{1,3}", r"\p{N}+"):
            pattern = pattern.replace(grouped, r"\p{N}")
    return pattern


@cache
def character_classes() -> UInt8s:
    """The class bits of every code point according to the installed tokenizers, uint8[0x110000]."""
    table = np.zeros(_CODEPOINTS, np.uint8)
    for bit, expression in _CLASSES.items():
        for begin, end in _matches(expression):
            table[begin:end] |= bit
    return table


def _matches(expression: str) -> Iterator[tuple[int, int]]:
    r"""Ranges of code points (begin, end) that an expression such as \p{L}+ matches."""
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
