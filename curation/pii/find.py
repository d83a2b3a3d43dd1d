"""Find personal data in a batch of texts: find windows, run recognizers, judge evidence and resolve overlaps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from curation.pii import accounts, addresses, phones, windows
from curation.pii.evidence import Match
from curation.pii.recognizers import Span, recognize
from curation.pii.windows import Window
from curation.text import views


@dataclass(frozen=True, slots=True)
class Search:
    """What to search for.

    Attributes:
        minimums: Kinds with the lowest score that counts.
        regions: Regions (ISO 3166) of national phone numbers.
    """

    minimums: tuple[tuple[str, float], ...]
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """How to find one kind of personal data.

    Attributes:
        windows: Finds the windows of text that may contain it.
        shown: Converts a window to the form that the recognizer expects, character by character.
        judge: Turns a recognizer's span into a match, or None.
        may_be: Cheap test of a window that fails only if no match in it can reach the minimum score.
        before: Number of characters before a window that the recognizer also sees.
        after: Returns the position up to which the recognizer sees the text after a window.
    """

    windows: Callable[[views.Characters], list[Window]]
    shown: Callable[[str], str]
    judge: Callable[[str, Span, tuple[str, ...]], Match | None]
    may_be: Callable[[str, Window, float], bool] = lambda text, window, minimum: True
    before: int = 0
    after: Callable[[str, int], int] = lambda text, end: end


KINDS = {
    "email": Kind(windows.email_windows, windows.shown, lambda text, span, _: addresses.judge_email(text, span)),
    "iban": Kind(windows.iban_windows, windows.capital, lambda text, span, _: accounts.judge_iban(text, span)),
    "credit_card": Kind(
        windows.number_windows,
        windows.plain,
        lambda text, span, _: accounts.judge_card(text, span),
        accounts.may_be_card,
        before=1,
        after=lambda text, end: end + 1,
    ),
    "ip": Kind(
        windows.address_windows,
        windows.shown,
        lambda text, span, _: addresses.judge_ip(text, span),
        addresses.may_be_ip,
    ),
    "us_ssn": Kind(
        windows.number_windows,
        windows.plain,
        lambda text, span, _: accounts.judge_ssn(text, span),
        accounts.may_be_ssn,
        before=1,
        after=lambda text, end: end + 1,
    ),
    "phone": Kind(
        windows.number_windows,
        windows.shown,
        phones.judge_phone,
        phones.may_be_phone,
        before=1,
        after=phones.end_of_context,
    ),
}
"""All kinds, the most certain first: of two overlapping matches, the one of the earlier kind is kept."""


def find(texts: pa.StringArray, search: Search) -> dict[int, list[Match]]:
    """Find personal data in texts.

    Args:
        texts: A column of texts; a null has no matches.
        search: What to search for.

    Returns:
        The matches of each row that has any, in order of position, without overlaps.
    """
    characters = views.characters(texts)
    text_of = cache(lambda row: str(texts[row].as_py()))
    windows_of = cache(lambda search_windows: search_windows(characters))
    matches: dict[int, list[Match]] = {}
    for name, minimum in search.minimums:
        kind = KINDS[name]
        chosen = [w for w in windows_of(kind.windows) if kind.may_be(text_of(w.row), w, minimum)]
        begins = [max(0, window.start - kind.before) for window in chosen]
        shown = [
            kind.shown(text_of(window.row)[begin : kind.after(text_of(window.row), window.end)])
            for window, begin in zip(chosen, begins, strict=True)
        ]
        for window, begin, spans in zip(chosen, begins, recognize(name, shown, search.regions), strict=True):
            for span in spans:
                # A span that begins after the window belongs to another window, or is cut off here.
                if begin + span.start < window.end:
                    moved = Span(begin + span.start, begin + span.end, span.score)
                    match = kind.judge(text_of(window.row), moved, search.regions)
                    if match is not None and match.score >= minimum:
                        matches.setdefault(window.row, []).append(match)
    return {row: without_overlaps(matches[row]) for row in sorted(matches)}


def without_overlaps(matches: Iterable[Match]) -> list[Match]:
    """Matches by position. Of overlapping ones the more certain kind wins, then the higher score, then the first."""
    order = {name: place for place, name in enumerate(KINDS)}
    chosen: list[Match] = []
    for match in sorted(matches, key=lambda m: (order[m.kind], -m.score, m.start, -m.end)):
        place = bisect_left(chosen, match.start, key=lambda other: other.start)
        before, after = chosen[place - 1 : place], chosen[place : place + 1]
        if all(other.end <= match.start for other in before) and all(match.end <= other.start for other in after):
            chosen.insert(place, match)
    return chosen
