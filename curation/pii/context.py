"""Context: words next to a match that name its kind, like presidio's context enhancer but without its tokens.

presidio compares the lemmas of the five words before a match with its recognizers' lists, in English and as parts of
words ("cell" in "excellent"). Here only complete words count, in the languages whose numbers are found by default and a
few more; "number" and "security", which say little by themselves, do not count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

REACH = 50
"""Number of characters before a match in which to look at the last WORDS words."""
WORDS = 5
BONUS = 0.35
"""Added to the score in context, as in presidio; the sum is at least MIN_SCORE."""
MIN_SCORE = 0.4
_LABEL_REACH = 12


@dataclass(frozen=True, slots=True)
class _Clues:
    """Context words of a kind, as expressions for lower-case text.

    Attributes:
        before: A word before a match.
        after: A label after a match.
        parts: Substrings of which every word and label contains one, to rule out both quickly.
    """

    before: re.Pattern[str]
    after: re.Pattern[str] | None
    parts: tuple[str, ...]


def _clues(words: str, labels: str = "", joined: str = "", not_followed_by: str = "") -> _Clues:
    """Build clues from words given as "a|b|c".

    Args:
        words: Words before a match.
        labels: Words that a list may put after each number.
        joined: Words of scripts without spaces, which also count next to other letters.
        not_followed_by: A lookahead that a word must satisfy.
    """
    plain = [word for group in (words, labels, joined) for word in group.split("|") if word]
    parts = {word.split()[0] for word in plain}
    expressions = [rf"(?<![^\W_])(?:{words})(?![^\W\d_]){not_followed_by}", *filter(None, [joined])]
    return _Clues(
        re.compile("|".join(expressions)),
        re.compile(rf"[^\w\n]{{0,3}}(?:{labels})(?![^\W_])") if labels else None,
        tuple(part for part in sorted(parts) if not any(other in part and other != part for other in parts)),
    )


_CLUES = {
    "ip": _clues("ip|ipv4|ipv6|ipaddress|ip-address|ip-adresse"),
    "phone": _clues(
        "phone|phones|telephone|telephones|cellphone|tel|ph|cell|mobile|mob|call|calls|calling|dial|fax|sms|whatsapp"
        "|hotline|helpline|telefon|telefono|teléfono|tél|téléphone|telefone|telefax|fon|handy|mobil|móvil|celular"
        "|rufnummer|телефон|тел",
        labels="fax|tel|phone|mobile|mob|cell|landline|office|direct|hotline|whatsapp",
        joined="电话|電話|手机|手機|热线|传真|전화|휴대폰|โทร",
        # Stack traces ("most recent call last") are full of numbers.
        not_followed_by="(?! last)",
    ),
    "credit_card": _clues("card|cards|credit|debit|visa|mastercard|amex|discover|jcb|diners|maestro|cc|pan"),
    "us_ssn": _clues("ssn|ssns|social security|soc sec|soc. sec"),
}


def in_context(kind: str, text: str, start: int, end: int, score: float) -> float:
    """The score of a match at `text[start:end]`, raised if a word next to it names the kind."""
    return min(1.0, max(score + BONUS, MIN_SCORE)) if _has_context(kind, text, start, end) else score


def may_be_in_context(kind: str, text: str, start: int, end: int) -> bool:
    """Whether any match in `text[start:end]` can be next to a word that names the kind."""
    clues = _CLUES[kind]
    around = text[max(0, start - REACH - 1) : end + _LABEL_REACH].lower()
    if not any(part in around for part in clues.parts):
        return False
    if clues.after is not None and clues.after.search(around):
        return True
    return _has_word(clues, text[max(0, start - REACH - 1) : end].split())


def _has_context(kind: str, text: str, start: int, end: int) -> bool:
    clues = _CLUES[kind]
    if clues.after is not None and clues.after.match(text[end : end + _LABEL_REACH].lower()):
        return True
    begin = max(0, start - REACH)
    words = text[begin:start].split()
    if begin and words and not text[begin - 1].isspace() and not text[begin].isspace():
        del words[0]
    return _has_word(clues, words[-WORDS:])


def _has_word(clues: _Clues, words: Sequence[str]) -> bool:
    text = " ".join(words).lower()
    return any(part in text for part in clues.parts) and clues.before.search(text) is not None
