"""Split patterns: how text is cut into pre-tokens, within which merges happen; for counting, training and files alike.

Each is the published pattern of a tokenizer in the syntax that both Oniguruma (tokenizers) and `regex` read.
"""

from __future__ import annotations

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


def split_pattern(name: str, digits: str) -> str:
    """The pattern of a name in PATTERNS, or the one given itself; with digits "single", every digit by itself."""
    pattern = PATTERNS.get(name, name)
    if digits == "single":
        for grouped in (r"\p{N}{1,3}", r"\p{N}+"):
            pattern = pattern.replace(grouped, r"\p{N}")
    return pattern
