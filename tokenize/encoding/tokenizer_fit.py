"""How well a tokenizer fits a corpus: bytes a token, tokens a word, what of the vocabulary is never used.

Words are runs of characters that are not white space: for languages that put none between words, such as Chinese,
Japanese or Thai, look at characters a token instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.tokenize.encoding.encoder import Encoder
from curation.tokenize.encoding.measure import COUNTS, CorpusCounts, Group
from curation.tokenize.training.alphabet import spell

WORDS = "runs of characters other than white space"

RARE = 10
"""An id that occurs less often has had too little text for an embedding of any use."""

DOMAINS, LONGEST, EXAMPLES = 50, 20, 20
"""Domains, longest tokens and unused tokens shown."""

_BYTES = {spell(bytes([byte])): byte for byte in range(256)}


def describe_fit(encoder: Encoder, measured: CorpusCounts) -> dict[str, Any]:
    """The report as tokenizer/report.json has it; docs/tokens.md describes it key by key."""
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
    """`COUNTS` by name, and what they make; None where there is nothing to divide by."""
    found: dict[str, Any] = dict(zip(COUNTS, counts, strict=True))
    tokens, words = found["tokens"], found["words"]
    found["bytes_per_token"] = round(found["bytes"] / tokens, 4) if tokens else None
    found["characters_per_token"] = round(found["characters"] / tokens, 4) if tokens else None
    found["tokens_per_word"] = round(tokens / words, 4) if words else None
    return found


def _ranked(group: Group, shown: int | None = None) -> dict[str, dict[str, Any]]:
    """The groups with most bytes first."""
    names = sorted(group, key=lambda name: (-group[name][1], name))
    return {name: _ratios(group[name]) for name in names[:shown]}


def _usage(encoder: Encoder, spelled: dict[int, str], measured: CorpusCounts) -> dict[str, Any]:
    """What of the vocabulary the corpus uses; special tokens are counted apart, since text never gives them."""
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
    """The tokens of most bytes; a byte-level spelling has as many characters as the token has bytes."""
    tokens = spelled.values()
    sizes = np.array([*map(len, tokens if encoder.is_byte_level else map(str.encode, tokens))], np.int64)
    longest = np.array([*spelled], np.int64)[np.argsort(-sizes, kind="stable")[:LONGEST]].tolist()
    return [_entry(encoder, number, spelled[number], int(measured.used[number])) for number in longest]


def _ordinary(encoder: Encoder) -> dict[int, str]:
    """Tokens that text may give, as the file spells them, by id in rising order."""
    found = {number: token for token, number in encoder.entries.items() if number not in encoder.special_ids}
    return {number: found[number] for number in sorted(found)}


def _entry(encoder: Encoder, number: int, spelled: str, times: int) -> dict[str, Any]:
    text = _unspell(spelled) if encoder.is_byte_level else spelled.encode()
    return {"id": number, "text": text.decode("utf-8", "replace"), "bytes": len(text), "count": times}


def _unspell(token: str) -> bytes:
    """The bytes that a byte-level token spells; an added token, which spells itself, may hold other characters."""
    if all(character in _BYTES for character in token):
        return bytes(_BYTES[character] for character in token)
    return token.encode()
