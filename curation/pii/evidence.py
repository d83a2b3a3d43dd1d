"""What counts as evidence: matches with a score, words that name a kind, and signs that a match is part of more.

presidio's scores say how much an expression and its checksum prove. On web text that is not enough: dates pass for
German phone numbers, version numbers for IP addresses, identifiers for American numbers. What is added here and in the
modules of the kinds is what a reader goes by: the words before a match, how a number is grouped, what it is a part of.
All scores are on presidio's scale of 0 to 1, and a match counts from the minimum of its kind on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from curation.pii.windows import shown

CONTEXT = 0.35
"""Added by a word that names the kind, as presidio's context enhancer does; the sum is at least LEAST_IN_CONTEXT."""
LEAST_IN_CONTEXT = 0.4
DOUBTFUL = 0.2
"""The score of what is more often something else; a context word makes up for it."""
CONTEXT_REACH = 50
"""Characters before a match in which the last CONTEXT_WORDS words are looked at."""
CONTEXT_WORDS = 5

_WORDS = {
    "ip": ("ip", "ipv4", "ipv6", "ipaddress", "ip-address", "ip-adresse"),
    "phone": (
        *(
            "phone",
            "phones",
            "telephone",
            "telephones",
            "cellphone",
            "tel",
            "ph",
            "cell",
            "mobile",
            "mob",
            "call",
            "calls",
        ),
        *("calling", "dial", "fax", "sms", "whatsapp", "hotline", "helpline", "telefon", "telefono", "teléfono", "tél"),
        *(
            "téléphone",
            "telefone",
            "telefax",
            "fon",
            "handy",
            "mobil",
            "móvil",
            "celular",
            "rufnummer",
            "телефон",
            "тел",
        ),
    ),
    "credit_card": (
        *("card", "cards", "credit", "debit", "visa", "mastercard", "amex", "discover", "jcb", "diners", "maestro"),
        *("cc", "pan"),
    ),
    "us_ssn": ("ssn", "ssns", "social security", "soc sec", "soc. sec"),
}
_JOINED_WORDS = {"phone": ("电话", "電話", "手机", "手機", "热线", "传真", "전화", "휴대폰", "โทร")}
"""Words of scripts without spaces count inside of other letters too."""
_NOT_AFTER = {"phone": "(?! last)"}
""""most recent call last": traces of programs are full of numbers."""


def _names_kind(kind: str) -> re.Pattern[str]:
    words, joined = "|".join(map(re.escape, _WORDS[kind])), _JOINED_WORDS.get(kind, ())
    return re.compile("|".join([rf"(?<![^\W_])(?:{words})(?![^\W\d_]){_NOT_AFTER.get(kind, '')}", *joined]))


_NAMES_KIND = {kind: _names_kind(kind) for kind in _WORDS}
_STEMS = {
    kind: [
        word
        for word in (*words, *_JOINED_WORDS.get(kind, ()))
        if not any(other in word and other != word for other in words)
    ]
    for kind, words in _WORDS.items()
}
"""Of the words of each kind those that have no other in them: without one of them in a text, none is."""
_LABEL_REACH = 12
_LABEL_AFTER = {
    "phone": re.compile(
        r"[^\w\n]{0,3}(?:fax|tel|phone|mobile|mob|cell|landline|office|direct|hotline|whatsapp)(?![^\W_])",
        re.IGNORECASE,
    ),
}
"""What a list of numbers puts behind each: "(978) 645-9740 mobile"."""
_PART_BEFORE = re.compile(r"(?:[\w=#&@%$€£¥\\]|\d[.,:/+-]|\w[/-])\Z")
_PART_AFTER = re.compile(r"[\w=@%$€£¥\\]|[.,:+-]\d")


@dataclass(frozen=True, slots=True)
class Match:
    """Personal data of one kind at `text[start:end]`, offsets in code points.

    value: normalized, so that two ways to write one number are one value. kept: left as it is, because the value
    belongs to nobody (example.com, a private network, a number reserved for fiction), yet nothing else matches there.
    """

    kind: str
    start: int
    end: int
    score: float
    value: str
    kept: bool = False


def has_context(kind: str, text: str, start: int, end: int) -> bool:
    """Whether one of the last words before `start` names the kind, or a label right after `end` does."""
    label = _LABEL_AFTER.get(kind)
    if label is not None and label.match(text[end : end + _LABEL_REACH]):
        return True
    begin = max(0, start - CONTEXT_REACH)
    words = text[begin:start].split()
    if begin and words and not text[begin - 1].isspace() and not text[begin].isspace():
        del words[0]
    return _names(kind, words[-CONTEXT_WORDS:])


def may_have_context(kind: str, text: str, start: int, end: int) -> bool:
    """Whether `has_context` can hold for a match in `text[start:end]`."""
    label = _LABEL_AFTER.get(kind)
    if label is not None and label.search(text, start, end + _LABEL_REACH):
        return True
    return _names(kind, text[max(0, start - CONTEXT_REACH - 1) : end].split())


def _names(kind: str, words: list[str]) -> bool:
    text = " ".join(words).lower()
    return any(stem in text for stem in _STEMS[kind]) and _NAMES_KIND[kind].search(text) is not None


def in_context(kind: str, text: str, start: int, end: int, score: float) -> float:
    """The score of a match, raised if a word beside it names the kind."""
    if not has_context(kind, text, start, end):
        return score
    return min(1.0, max(score + CONTEXT, LEAST_IN_CONTEXT))


def is_part(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` is part of something longer: an identifier, a path, a decimal, a series of numbers."""
    before, after = shown(text[max(0, start - 2) : start]), shown(text[end : end + 2])
    return _PART_BEFORE.search(before) is not None or _PART_AFTER.match(after) is not None
