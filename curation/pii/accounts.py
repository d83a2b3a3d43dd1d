"""Evidence for credit card numbers, bank account numbers (IBAN) and US social security numbers."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from curation.arrays import Int64s
from curation.pii.account_kernels import (
    COLUMNS,
    DIGITS,
    DOUBTFUL_FORM,
    END,
    KIND,
    MIN_CARD,
    PRINTED,
    START,
    WINDOW,
    find_cards,
    find_ssns,
)
from curation.pii.context import (
    ANY_NAME,
    NAMED,
    OTHERWISE,
    SearchedTexts,
    has_label,
    in_context,
    is_named_otherwise,
    word_shape,
)
from curation.pii.context_kernels import REACH
from curation.pii.evidence import DOUBTFUL, Match, is_part
from curation.pii.number_characters import values_of_digits
from curation.pii.numbering import digits_of
from curation.pii.recognizers import GROUPED_SSN_SCORE, SSN_SCORE, Span, ibans
from curation.pii.windows import LETTER, are_joined, capital_codes, classes, plain, plain_codes
from curation.text import views

_AROUND, _NAME_REACH, _OTHER_REACH = 5, REACH + 1, 160
"""Characters around a number on which it depends whether it is part of something longer; and before a social security
number, whether words name it, or name it otherwise."""

_ISSUED = re.compile(
    r"4\d{15}|4\d{18}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14}|(?:5[06-9]|6\d)\d{14}"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{12,15}"
)
"""Numbers issued today (ISO/IEC 7812): Visa, Mastercard, American Express, Discover, JCB, UnionPay, Maestro."""
_OTHER_CARD = re.compile(
    r"2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9][0-9]|7[01][0-9]|720)[0-9]{12}|4[0-9]{18}|(?:5[06-9]|6[0-9])[0-9]{10,17}"
)
"""Mastercard's second range, long Visa numbers and Maestro (ISO/IEC 7812), which presidio does not know."""
_ISSUED_IN_GROUPS = re.compile(
    r"(?:5[06-9]|6\d)\d{17}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,9}|3(?:0[0-5]|[689]\d)\d{11}"
)
"""Other numbers of Maestro, and those of Diners Club. Product numbers look the same if they are not grouped."""
_MAESTRO = re.compile(r"(?:5[06-9]|6\d)\d*+")
_PRINTED_CARD = re.compile(
    r"\d{4}([ -])\d{4}\1\d{4}(?:\1\d{4}(?:\1\d{3})?)?|\d{4}([ -])\d{6}\2\d{4,5}|\d{4}([ -])\d{4}\3\d{5}"
)
_PRINTED_SSN = re.compile(r"(?<!\d)\d{3}-\d\d-\d{4}(?!\d)")
_AFTER_COUNTRY_CODE = re.compile(r"\+\d{1,3} \Z")
_NEVER_ISSUED = 900_00_0000
"""Numbers from here on are never issued; 987-65-4320 to 4329 are reserved for advertisements (SSA)."""
_SSN_SIZE = 9
"""Characters of the shortest social security number."""
_AT_ONCE = 1 << 14
"""Numbers around which the text is taken at once, which bounds memory."""

TEST_CARDS = (
    "4111111111111111", "4012888888881881", "4242424242424242", "5555555555554444", "5105105105105100",
    "378282246310005", "371449635398431", "6011111111111117", "6011000990139424", "3530111333300000",
    "3566002020360505",
)  # fmt: skip
"""Published by card networks for tests; no real card has them."""
EXAMPLE_IBANS = (
    "DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "ES9121000418450200051332",
    "IT60X0542811101000000123456", "NL91ABNA0417164300", "BE68539007547034", "AT611904300234573201",
    "CH9300762011623852957", "PL61109010140000071219812874", "SE4550000000058398257466", "NO9386011117947",
)  # fmt: skip
"""The examples in SWIFT's IBAN registry."""


def judge_cards(texts: SearchedTexts, windows: Int64s, *_: object) -> tuple[list[tuple[int, Match]], Int64s]:
    """The card numbers in windows; no window is left. Arguments are as in `Kind.judge_all`."""
    numbers = _numbers(find_cards, texts.characters, windows, 2 / MIN_CARD)
    # What has both forms is found twice.
    numbers = numbers[np.unique(numbers[:, [START, END]], axis=0, return_index=True)[1]]
    rows, named = windows[numbers[:, WINDOW]][:, [0, 4]].T
    places = np.column_stack([rows, numbers[:, [START, END]] - texts.characters.first[rows, None]])
    named = texts.narrowed("credit_card", places, named)
    reach, others = np.full(len(rows), _AROUND), np.empty((len(rows), 0), np.int64)
    surroundings = _surroundings(texts.characters, places, reach, others)
    known: dict[bytes, _CardForm] = {}
    matches = []
    for around, (row, start, end), is_other, may_be_named in zip(
        surroundings, places.tolist(), numbers[:, KIND].tolist(), named.tolist(), strict=True
    ):
        text = texts.text(row)
        if is_other and not _OTHER_CARD.fullmatch(digits_of(text[start:end])):
            continue
        if around not in known:
            known[around] = _card_form(*_unpacked(around, 2))
        match = judge_card(text, Span(start, end, 1.0), may_be_named, known[around])
        if match is not None:
            matches.append((row, match))
    return matches, windows[:0]


def _numbers(search: Callable[..., int], text: views.Characters, windows: Int64s, most: float) -> Int64s:
    """The numbers that a kernel finds in windows.

    Args:
        search: The kernel.
        text: The texts.
        windows: The windows.
        most: How many it may find per character of a window.
    """
    rows = windows[:, 0]
    begins, ends = (windows[:, 1:3] + text.first[rows, None]).T
    found = np.empty((int((ends - begins).sum() * most) + 2 * len(windows), COLUMNS), np.int64)
    count = search(text.codepoints, begins, ends, text.first[rows], text.last[rows], plain_codes(), found)
    return found[:count]


class _CardForm(NamedTuple):
    """What is known of card numbers of the same shape with the same characters around them.

    Attributes:
        is_part: Whether they are part of something longer.
        is_labelled_part: Whether they are if a sign before them belongs to a word that names them.
        is_printed: Whether they are grouped as on cards.
        is_plain: Whether they have no groups.
        is_in_series: Whether other groups of digits precede or follow them, as in a table or an account number.
    """

    is_part: bool
    is_labelled_part: bool
    is_printed: bool
    is_plain: bool
    is_in_series: bool


def _card_form(around: str, start: int, end: int) -> _CardForm:
    """What is known of a card number in a text, or of its shape."""
    raw, before, after = (
        plain(around[start:end]),
        plain(around[max(0, start - 2) : start]),
        plain(around[end : end + 2]),
    )
    return _CardForm(
        is_part(around, start, end, plain),
        is_part(around[start:], 0, end - start, plain),
        _PRINTED_CARD.fullmatch(raw) is not None,
        raw.isdecimal(),
        re.search(r"\d[ -]\Z", before) is not None or re.match(r"[ -]\d", after) is not None,
    )


def judge_card(text: str, span: Span, named: int = ANY_NAME, form: _CardForm | None = None) -> Match | None:
    """Judge a card number: doubtful unless an issuer uses its prefix and length and it is grouped as on a card or not.

    Args:
        text: The text.
        span: Span found by the recognizer.
        named: What words may name it, as bits.
        form: What is known of such numbers, if that was asked before.

    Returns:
        The match, or None if the span is part of something longer.
    """
    start, end, score, _ = span
    if form is None:
        begin = max(0, start - _AROUND)
        form = _card_form(text[begin : end + _AROUND], start - begin, end - begin)
    if form.is_part and (form.is_labelled_part or not (named and has_label("credit_card", text, start, end, named))):
        return None
    digits = digits_of(text[start:end])
    is_issued = ((form.is_printed or form.is_plain) and _ISSUED.fullmatch(digits)) or (
        form.is_printed and _ISSUED_IN_GROUPS.fullmatch(digits)
    )
    if is_named_otherwise(text, start, end, named):
        score = DOUBTFUL
    elif not is_issued or (form.is_printed and form.is_in_series and _MAESTRO.fullmatch(digits)):
        score = in_context("credit_card", text, start, end, DOUBTFUL, named)
    return Match("credit_card", start, end, score, digits, digits in TEST_CARDS)


def judge_ibans(texts: SearchedTexts, windows: Int64s, *_: object) -> tuple[list[tuple[int, Match]], Int64s]:
    """The account numbers in windows; no window is left. Arguments are as in `Kind.judge_all`."""
    characters, rows = texts.characters, windows[:, 0]
    begins, ends = (windows[:, 1:3] + characters.first[rows, None]).T
    codepoints, edges = characters.between(begins, ends)
    written = capital_codes()[codepoints].tobytes().decode("ascii")
    matches = []
    for row, begin, (first, last) in zip(rows.tolist(), windows[:, 1].tolist(), pairwise(edges.tolist()), strict=True):
        for one in ibans(written[first:last]):
            span = Span(begin + one.start, begin + one.end, one.score)
            matches.append((row, judge_iban(texts.text(row), span)))
    return matches, windows[:0]


def judge_iban(text: str, span: Span) -> Match:
    """Judge an IBAN, whose check digits, country and length are verified."""
    value = re.sub(r"[ -]", "", plain(text[span.start : span.end])).upper()
    return Match("iban", span.start, span.end, span.score, value, value in EXAMPLE_IBANS)


def judge_ssns(
    texts: SearchedTexts, windows: Int64s, minimum: float, *_: object
) -> tuple[list[tuple[int, Match]], Int64s]:
    """The social security numbers in windows; no window is left. Arguments are as in `Kind.judge_all`."""
    numbers = _numbers(find_ssns, texts.characters, windows, 1 / _SSN_SIZE)
    rows, named = windows[numbers[:, WINDOW]][:, [0, 4]].T
    places = np.column_stack([rows, numbers[:, [START, END]] - texts.characters.first[rows, None]])
    named = texts.narrowed("us_ssn", places, named)
    may_count = (numbers[:, KIND] == PRINTED) | (named & ~OTHERWISE != 0) | (minimum <= DOUBTFUL)
    numbers, places, named = numbers[may_count], places[may_count], named[may_count]
    are_grouped = numbers[:, KIND] != DOUBTFUL_FORM
    reach, others = np.where(named & NAMED["us_ssn"], _NAME_REACH, _AROUND), np.column_stack([are_grouped, named])
    surroundings = _surroundings(texts.characters, places, reach, others)
    columns = (one.tolist() for one in (places, numbers[:, DIGITS], are_grouped, named))
    known: dict[bytes, float | None] = {}
    counts = np.bincount(places[:, 0]).tolist()
    matches = []
    for around, (row, start, end), digits, is_grouped, may_be_named in zip(surroundings, *columns, strict=True):
        if may_be_named & OTHERWISE:
            whole = texts.shape(row, counts[row])
            if minimum > DOUBTFUL and is_named_otherwise(texts.text(row), start, end, may_be_named, whole):
                continue
            span = Span(start, end, GROUPED_SSN_SCORE if is_grouped else SSN_SCORE)
            match = judge_ssn(texts.text(row), span, may_be_named, whole)
        else:
            if around not in known:
                text, first, last, grouped, near = _unpacked(around, 4)
                known[around] = _ssn_score(text, first, last, GROUPED_SSN_SCORE if grouped else SSN_SCORE, near)
            score = known[around]
            if score is None or score < minimum:
                continue
            match = Match("us_ssn", start, end, score, f"{digits:09}", digits >= _NEVER_ISSUED)
        if match is not None:
            matches.append((row, match))
    return matches, windows[:0]


def _surroundings(text: views.Characters, numbers: Int64s, reach: Int64s, others: Int64s) -> Iterator[bytes]:
    """The text around each number with zeros for digits, as UTF-32; behind it, where the number starts and ends in it.

    Where no words are seen, letters are "a", or line ends as in `plain`, so that few numbers have other text around.

    Args:
        text: The texts.
        numbers: Shape (numbers, 3): the row of each number, where it starts and where it ends.
        reach: How many characters before each number belong to it: more than _AROUND if words do.
        others: Shape (numbers, columns): what else is written for each behind where it ends.
    """
    rows, starts, ends = numbers.T
    starts, ends = starts + text.first[rows], ends + text.first[rows]
    lows, highs = np.maximum(text.first[rows], starts - reach), np.minimum(text.last[rows], ends + _AROUND)
    columns = np.column_stack([starts - lows, ends - lows, others])
    for first in range(0, len(numbers), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        sizes = highs[part] - lows[part] + columns.shape[1]
        edges = np.append(0, np.cumsum(sizes))
        places = np.repeat(lows[part] - edges[:-1], sizes) + np.arange(edges[-1])
        around = text.codepoints[np.minimum(places, len(text.codepoints) - 1)]
        has_no_words = np.repeat(reach[part] == _AROUND, sizes)
        is_digit = values_of_digits()[around] <= 9
        is_joined = are_joined()[around]
        around[has_no_words & (classes()[around] & LETTER != 0)] = ord("a")
        around[has_no_words & is_joined] = ord("\n")
        around[is_digit] = ord("0")
        around[edges[1:, None] - np.arange(columns.shape[1], 0, -1)] = columns[part]
        written = around.tobytes()
        yield from (written[at:end] for at, end in pairwise((edges * around.itemsize).tolist()))


def _unpacked(around: bytes, columns: int) -> tuple[Any, ...]:
    """The text in what `_surroundings` writes, and the numbers behind it."""
    size = 4 * columns
    return around[:-size].decode("utf-32-le"), *struct.unpack(f"<{columns}I", around[-size:])


def judge_ssn(text: str, span: Span, named: int = ANY_NAME, whole: str = "") -> Match | None:
    """Judge a social security number: doubtful unless it has hyphens; None if it is part of something longer.

    Args:
        text: The text.
        span: Span found by the recognizer.
        named: What words may name it, as bits.
        whole: The `word_shape` of the text, if it is known.
    """
    start, end = span.start, span.end
    may_be_other = named & OTHERWISE
    begin = max(0, start - (_OTHER_REACH if may_be_other else _NAME_REACH if named & NAMED["us_ssn"] else _AROUND))
    around = (whole or text)[begin : end + _AROUND]
    # Long texts that are not ASCII hardly ever have the same shape.
    form = word_shape(around) if not whole and (around.isascii() or not named) else around
    score = _ssn_score(form, start - begin, end - begin, span.score, named)
    if score is None:
        return None
    digits = digits_of(text[start:end])
    return Match("us_ssn", start, end, score, digits, int(digits) >= _NEVER_ISSUED)


@lru_cache(maxsize=1 << 12)
def _ssn_score(around: str, start: int, end: int, score: float, named: int) -> float | None:
    """The score of a number by its shape and that around it, None if it is part of something longer.

    Args:
        around: The number and what it depends on, with zeros for digits if no other digit could change the result.
        start: Where the number starts.
        end: Where it ends.
        score: The recognizer's score.
        named: What words may name it, as bits.
    """
    begin = start if named and has_label("us_ssn", around, start, end, named) else max(0, start - _AROUND)
    if is_part(around[begin:], start - begin, end - begin, plain):
        return None
    if _AFTER_COUNTRY_CODE.search(plain(around[max(0, start - _AROUND) : start])):
        return None
    score = score if _PRINTED_SSN.fullmatch(plain(around[start:end])) else min(score, DOUBTFUL)
    if is_named_otherwise(around, start, end, named):
        return min(score, DOUBTFUL)
    return in_context("us_ssn", around, start, end, score, named)
