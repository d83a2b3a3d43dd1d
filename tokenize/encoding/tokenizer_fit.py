"""How well a tokenizer fits a corpus: bytes per token, tokens per word, how much of the vocabulary is never used.

Words are runs of characters that are not white space. For languages that do not separate words by spaces, such as
Chinese, Japanese or Thai, use characters per token instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.tokenize.encoding.encoder import Encoder
from curation.tokenize.encoding.measure import COUNTS, CorpusCounts, Group
from curation.tokenize.training.alphabet import spell

WORDS = "runs of characters other than white space"

RARE = 10
"""An id that occurs less often than this has too little text to learn a useful embedding."""

DOMAINS, LONGEST, EXAMPLES = 50, 20, 20
"""Numbers of domains, longest tokens and unused tokens in the report."""

_BYTES = {spell(bytes([byte])): byte for byte in range(256)}


def describe_fit(encoder: Encoder, measured: CorpusCounts) -> dict[str, Any]:
    """The content of tokenizer/report.json; docs/tokens.md describes its keys."""
    ordinary = _ordinary(encoder)
    return {
        "tokenizer": encoder.hash,
        "words": WORDS,
        "corpus": _ratios(measured.groups.get("all", {}).get("all", (0,) * len(COUNTS))),
        "languages": _ranked(measured.groups.get("language", {})),
        "domains": _ranked(measured.groups.get("domain", {}), DOMAINS),
        "vocabulary": _usage(encoder, ordinary, measured),
        "longest_tokens": _longest(encoder, ordinary, measured),
    }


def _ratios(counts: tuple[int, ...]) -> dict[str, Any]:
    """`COUNTS` by name with their ratios; a ratio is None where it would divide by zero."""
    values: dict[str, Any] = dict(zip(COUNTS, counts, strict=True))
    tokens, words = values["tokens"], values["words"]
    values["bytes_per_token"] = round(values["bytes"] / tokens, 4) if tokens else None
    values["characters_per_token"] = round(values["characters"] / tokens, 4) if tokens else None
    values["tokens_per_word"] = round(tokens / words, 4) if words else None
    return values


def _ranked(group: Group, limit: int | None = None) -> dict[str, dict[str, Any]]:
    """The ratios of the `limit` groups with the most bytes, largest first."""
    names = sorted(group, key=lambda name: (-group[name][1], name))
    return {name: _ratios(group[name]) for name in names[:limit]}


def _usage(encoder: Encoder, spelled: dict[int, str], measured: CorpusCounts) -> dict[str, Any]:
    """How much of the vocabulary the corpus uses, without the special tokens, which text never produces."""
    used = measured.used[[*spelled]] if spelled else np.zeros(0, np.int64)
    unused = [number for number, times in zip(spelled, used.tolist(), strict=True) if not times]
    rare = int((used < RARE).sum())
    return {
        "size": len({*encoder.entries.values()}),
        "special": len(encoder.special_ids),
        "unused": len(unused),
        "unused_share": round(len(unused) / max(len(spelled), 1), 6),
        f"used_under_{RARE}": rare,
        f"used_under_{RARE}_share": round(rare / max(len(spelled), 1), 6),
        "unused_single_bytes": sum(len(spelled[number]) == 1 for number in unused) if encoder.is_byte_level else 0,
        "unused_examples": [_entry(encoder, number, spelled[number], 0) for number in unused[-EXAMPLES:]],
    }


def _longest(encoder: Encoder, spelled: dict[int, str], measured: CorpusCounts) -> list[dict[str, Any]]:
    """The tokens with the most bytes. A byte-level spelling has one character per byte of the token."""
    tokens = spelled.values()
    sizes = np.array([*map(len, tokens if encoder.is_byte_level else map(str.encode, tokens))], np.int64)
    longest = np.array([*spelled], np.int64)[np.argsort(-sizes, kind="stable")[:LONGEST]].tolist()
    return [_entry(encoder, number, spelled[number], int(measured.used[number])) for number in longest]


def _ordinary(encoder: Encoder) -> dict[int, str]:
    """Spellings in the file, by ascending id, of the tokens that text can produce."""
    tokens = {number: token for token, number in encoder.entries.items() if number not in encoder.special_ids}
    return {number: tokens[number] for number in sorted(tokens)}


def _entry(encoder: Encoder, number: int, spelled: str, times: int) -> dict[str, Any]:
    text = _unspell(spelled) if encoder.is_byte_level else spelled.encode()
    return {"id": number, "text": text.decode("utf-8", "replace"), "bytes": len(text), "count": times}


def _unspell(token: str) -> bytes:
    """The bytes of a byte-level token. An added token is not byte-level and may contain any characters."""
    if all(character in _BYTES for character in token):
        return bytes(_BYTES[character] for character in token)
    return token.encode()
