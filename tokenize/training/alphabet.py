"""The byte-level alphabet of GPT-2: one printable character per byte, so that any bytes can be written as text.

Bytes that are printable in Latin-1 are written as themselves, the other 68 as the characters from U+0100 on. The first
256 ids are the bytes in the order of these characters, as in tokenizers' trainer.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s

_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))

BYTES = (*_PRINTABLE, *(byte for byte in range(256) if byte not in _PRINTABLE))
"""The byte of each of the first 256 ids."""

_SPELLING = {
    byte: chr(byte if byte in _PRINTABLE else 0x100 + number - len(_PRINTABLE)) for number, byte in enumerate(BYTES)
}


_BYTES = {ord(character): byte for byte, character in _SPELLING.items()}

BYTE_SPELLINGS = frozenset(_SPELLING.values())
"""The characters that spell single bytes."""


def spell(token: bytes) -> str:
    """Bytes as tokenizer.json spells them: b" the" → "Ġthe"."""
    return token.decode("latin-1").translate(_SPELLING)


def unspell(spelling: str) -> bytes:
    """The inverse of `spell`: "Ġthe" → b" the"."""
    return spelling.translate(_BYTES).encode("latin-1")


def ids_of_bytes() -> Int64s:
    """The id of each byte, int64[256]."""
    ids = np.empty(256, np.int64)
    ids[list(BYTES)] = np.arange(256)
    return ids
