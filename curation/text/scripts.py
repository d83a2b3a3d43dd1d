"""The script of each character, and the script that most letters of a text are in."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from curation.arrays import Float64s, UInt8s
from curation.store.machine_cache import versions
from curation.text.kernels.characters import CODEPOINTS, all_characters, cached_table
from curation.text.views import Characters

SCRIPTS = (
    "", "Adlm", "Aghb", "Ahom", "Arab", "Armi", "Armn", "Avst", "Bali", "Bamu", "Bass", "Batk", "Beng", "Bhks", "Bopo",
    "Brah", "Brai", "Bugi", "Buhd", "Cakm", "Cans", "Cari", "Cham", "Cher", "Chrs", "Copt", "Cpmn", "Cprt", "Cyrl",
    "Deva", "Diak", "Dogr", "Dsrt", "Dupl", "Egyp", "Elba", "Elym", "Ethi", "Geor", "Glag", "Gong", "Gonm", "Goth",
    "Gran", "Grek", "Gujr", "Guru", "Hang", "Hani", "Hano", "Hatr", "Hebr", "Hira", "Hluw", "Hmng", "Hmnp", "Hung",
    "Ital", "Java", "Kali", "Kana", "Kawi", "Khar", "Khmr", "Khoj", "Kits", "Knda", "Kthi", "Lana", "Laoo", "Latn",
    "Lepc", "Limb", "Lina", "Linb", "Lisu", "Lyci", "Lydi", "Mahj", "Maka", "Mand", "Mani", "Marc", "Medf", "Mend",
    "Merc", "Mero", "Mlym", "Modi", "Mong", "Mroo", "Mtei", "Mult", "Mymr", "Nagm", "Nand", "Narb", "Nbat", "Newa",
    "Nkoo", "Nshu", "Ogam", "Olck", "Orkh", "Orya", "Osge", "Osma", "Ougr", "Palm", "Pauc", "Perm", "Phag", "Phli",
    "Phlp", "Phnx", "Plrd", "Prti", "Rjng", "Rohg", "Runr", "Samr", "Sarb", "Saur", "Sgnw", "Shaw", "Shrd", "Sidd",
    "Sind", "Sinh", "Sogd", "Sogo", "Sora", "Soyo", "Sund", "Sylo", "Syrc", "Tagb", "Takr", "Tale", "Talu", "Taml",
    "Tang", "Tavt", "Telu", "Tfng", "Tglg", "Thaa", "Thai", "Tibt", "Tirh", "Tnsa", "Toto", "Ugar", "Vaii", "Vith",
    "Wara", "Wcho", "Xpeo", "Xsux", "Yezi", "Yiii", "Zanb",
)  # fmt: skip
"""ISO 15924, without scripts that are only inherited or common; "" is for characters that are in none."""


@cache
def letter_scripts() -> UInt8s:
    """By code point: the position in `SCRIPTS` of a letter's or mark's script, 0 for other characters."""
    return cached_table(f"scripts-v1-{versions('regex')}", _make_table)


def _make_table() -> UInt8s:
    import regex

    table = np.zeros(CODEPOINTS, dtype=np.uint8)
    letters = "".join(regex.findall(r"[\p{L}\p{M}]", all_characters()))
    for number, name in enumerate(SCRIPTS[1:], start=1):
        try:
            found = regex.findall(rf"\p{{Script={name}}}", letters)
        except regex.error:
            continue  # a script that this version of Unicode does not have yet
        table[[ord(letter) for letter in found]] = number
    return table


def main_scripts(text: Characters) -> tuple[pa.StringArray, Float64s]:
    """The script that most letters of each text are in, None without letters, and its share of them (NaN).

    Of equally frequent scripts it is the first in the alphabet.
    """
    table, rows = letter_scripts(), len(text.first)
    counts = np.zeros((rows, len(SCRIPTS)), dtype=np.int64)
    for row, (first, last) in enumerate(zip(text.first.tolist(), text.last.tolist(), strict=True)):
        counts[row] = np.bincount(table[text.codepoints[first:last]], minlength=len(SCRIPTS))
    counts[:, 0] = 0
    best, letters = counts.argmax(axis=1), counts.sum(axis=1)
    share = counts.max(axis=1) / np.where(letters == 0, np.nan, letters)
    return pa.array(SCRIPTS, pa.string()).take(pa.array(best, mask=letters == 0)), share
