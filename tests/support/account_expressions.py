"""Card and US social security numbers as expressions: what the kernels for them must find.

They are those of presidio's recognizers, and for cards one more for the issuers that presidio does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from curation.pii.accounts import _OTHER_CARD as OTHER_CARD_DIGITS
from curation.pii.recognizers import GROUPED_SSN_SCORE, SSN_SCORE, Span

_CARD = re.compile(
    r"(?<![^\W_])(?!1[0-9]{12}(?![0-9]))(?:[1346][0-9]{3}|5[0-5][0-9][0-9])(?:[- ]?[0-9]{3,4}){2}[- ]?[0-9]{3,5}"
    r"(?![^\W_])"
)
_OTHER_CARD = re.compile(
    r"(?<![^\W_])(?:2[2-7]|4[0-9]|5[06-9]|6[0-9])[0-9][0-9]([- ]?)[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,4})?(?:\1[0-9]{1,3})?"
    r"(?![^\W_])"
)
_DOUBLED = str.maketrans("0123456789", "0246813579")
"""The sum of the digits of twice a digit."""
_SSN = re.compile(
    r"(?<![^\W_])(?:([0-9]{3})([- .])([0-9][0-9])\2([0-9]{4})|[0-9]{5}-[0-9]{4}|[0-9]{3}-[0-9]{6}|[0-9]{9})(?![^\W_])"
)
_SAMPLE_SSNS = ("123456789", "987654320", "078051120")


def cards(text: str, *_: object) -> Iterator[Span]:
    """Card numbers with a valid check digit."""
    for expression, digits_of in ((_CARD, None), (_OTHER_CARD, OTHER_CARD_DIGITS)):
        for match in expression.finditer(text):
            digits = match[0].replace(" ", "").replace("-", "")
            if (digits_of is None or digits_of.fullmatch(digits)) and has_check_digit(digits):
                yield Span(match.start(), match.end(), 1.0)


def has_check_digit(digits: str) -> bool:
    """Whether the last digit is the check digit of the others by Luhn's formula (ISO/IEC 7812)."""
    return sum(map(int, digits[-1::-2] + digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def with_check_digit(digits: str) -> str:
    """The digits with their check digit behind them."""
    return next(number for number in (digits + last for last in "0123456789") if has_check_digit(number))


def ssns(text: str, *_: object) -> Iterator[Span]:
    """US social security numbers that may have been issued."""
    for match in _SSN.finditer(text):
        if span := _ssn(match):
            yield span


def _ssn(match: re.Match[str]) -> Span | None:
    digits = match[0].replace("-", "").replace(" ", "").replace(".", "")
    if (
        digits[:3] in ("000", "666")
        or digits[3:5] == "00"
        or digits[5:] == "0000"
        or digits in _SAMPLE_SSNS
        or digits == digits[0] * 9
    ):
        return None
    return Span(match.start(), match.end(), GROUPED_SSN_SCORE if match[1] else SSN_SCORE)
