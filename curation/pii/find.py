"""Find personal data in a batch of texts: find windows, run recognizers, judge evidence and resolve overlaps."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from curation.pii import accounts, addresses, context, phones, recognizers, secrets, windows
from curation.pii.evidence import Match
from curation.pii.recognizers import Span
from curation.pii.windows import Stretch, email_windows, number_windows
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
        recognize: Finds its spans in a converted window, given the regions of phone numbers and where the window ends.
        judge: Turns a span in a text into a match, or None.
        may_be: Cheap test of a window, given its text, start, end, number of wanted characters, the minimum score and
            the regions. It fails only if no match in the window can reach the minimum score.
        judge_all: Judges simple windows all at once, given the characters of all texts, the windows, a function that
            returns the text of a row, and the regions. Returns their matches with their rows, and the other windows.
        is_slow: Whether to remember in what the recognizer found nothing.
        before: Number of characters before a window that the recognizer also sees.
        after: Returns the position up to which the recognizer sees the text after a window.
    """

    windows: Callable[[views.Characters], list[Stretch]]
    shown: Callable[[str], str]
    recognize: Callable[[str, tuple[str, ...], int], Iterable[Span]]
    judge: Callable[[str, Span, tuple[str, ...]], Match | None]
    may_be: Callable[[str, int, int, int, float, tuple[str, ...]], bool] = lambda *_: True
    judge_all: Callable[
        [views.Characters, list[Stretch], Callable[[int], str], tuple[str, ...]],
        tuple[list[tuple[int, Match]], list[Stretch]],
    ] = lambda _, windows, *__: ([], windows)
    is_slow: bool = False
    before: int = 0
    after: Callable[[str, int], int] = lambda text, end: end


KINDS = {
    "secret": Kind(windows.whole_texts, str, secrets.secrets, lambda text, span, _: secrets.judge_secret(text, span)),
    "email": Kind(
        email_windows,
        windows.shown,
        recognizers.emails,
        lambda text, span, _: addresses.judge_email(text, span),
    ),
    "iban": Kind(
        windows.iban_windows,
        windows.capital,
        recognizers.ibans,
        lambda text, span, _: accounts.judge_iban(text, span),
    ),
    "credit_card": Kind(
        number_windows,
        windows.plain,
        recognizers.cards,
        lambda text, span, _: accounts.judge_card(text, span),
        lambda text, start, end, wanted, *_: wanted >= accounts.MIN_CARD_DIGITS,
        before=1,
        after=lambda text, end: end + 1,
    ),
    "ip": Kind(
        windows.address_windows,
        windows.shown,
        recognizers.ips,
        lambda text, span, _: addresses.judge_ip(text, span),
    ),
    "us_ssn": Kind(
        number_windows,
        windows.plain,
        recognizers.ssns,
        lambda text, span, _: accounts.judge_ssn(text, span),
        lambda text, start, end, wanted, *_: wanted >= accounts.SSN_DIGITS,
        before=1,
        after=lambda text, end: end + 1,
    ),
    "phone": Kind(
        number_windows,
        windows.shown,
        recognizers.phones,
        phones.judge_phone,
        phones.may_be_phone,
        phones.judge_plain,
        is_slow=True,
        before=1,
        after=phones.end_of_context,
    ),
}
"""All kinds, the most certain first: of two overlapping matches, the one of the earlier kind is kept."""


LINE_REACH, AFTER_REACH = 450, 100
"""Characters before an e-mail address on which it may depend, its line; and characters behind any match."""
NEXT_TO, CODE_REACH = 2, 5
"""Characters around a number on which it may depend even if no word is among them; and a country code before it."""
MAX_BARREN = 1 << 16
"""Windows to remember in which slow recognizers found nothing."""
Settled = Mapping[int, Sequence[tuple[int, int]]]
"""The start and end of replacements, by row, in order."""


@contextmanager
def _without_collections() -> Iterator[None]:
    """No garbage collection meanwhile: looking through tens of thousands of matches, again and again as they are made,
    took a third of the time, and none of them is in a reference cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_without_collections()
def find(
    texts: pa.StringArray, search: Search, settled: Settled | None = None, barren: set[str] | None = None
) -> dict[int, list[Match]]:
    """Find personal data in texts.

    Args:
        texts: A column of texts; a null has no matches.
        search: What to search for.
        settled: Replacements in texts that were searched before. Only what is near one of them is searched again, and
            not what consists of one of them alone: it belongs to nobody.
        barren: In what slow recognizers found nothing. It is added to, for another pass over nearly the same texts.

    Returns:
        The matches of each row that has any, in order of position, without overlaps.
    """
    characters = views.characters(texts)
    text_of = cache(lambda row: str(texts[row].as_py()))
    windows_of = cache(lambda search: _unsettled(search(characters), settled, text_of, search))
    matches: dict[int, list[Match]] = {}
    barren = set() if barren is None else barren
    for name, minimum in search.minimums:
        kind = KINDS[name]
        chosen = [
            window
            for window in windows_of(kind.windows)
            if kind.may_be(text_of(window[0]), *window[1:], minimum, search.regions)
        ]
        judged, others = kind.judge_all(characters, chosen, text_of, search.regions)
        for row, one in judged:
            if one.score >= minimum:
                matches.setdefault(row, []).append(one)
        for row, start, end, _ in others:
            text = text_of(row)
            begin = max(0, start - kind.before)
            shown = kind.shown(text[begin : kind.after(text, end)])
            key = f"{end - begin} {shown}" if kind.is_slow else ""
            if key in barren:
                continue
            spans = kind.recognize(shown, search.regions, end - begin)
            if key and not spans and len(barren) < MAX_BARREN:
                barren.add(key)
            for span in spans:
                # A span that begins after the window belongs to another window, or is cut off here.
                if begin + span.start < end:
                    moved = Span(begin + span.start, begin + span.end, span.score, span.numbers)
                    match = kind.judge(text, moved, search.regions)
                    if match is not None and match.score >= minimum:
                        matches.setdefault(row, []).append(match)
    return {row: without_overlaps(matches[row]) for row in sorted(matches)}


def _unsettled(
    windows: list[Stretch],
    settled: Settled | None,
    text_of: Callable[[int], str],
    search: Callable[[views.Characters], list[Stretch]],
) -> list[Stretch]:
    """The windows near a replacement, without those that contain letters or digits of one replacement only.

    Args:
        windows: All windows, in order.
        settled: The replacements, or None if all windows are to be searched.
        text_of: Returns the text of a row.
        search: What found the windows.
    """
    if settled is None:
        return windows
    by_line, is_number = search == email_windows, search == number_windows
    chosen: list[Stretch] = []
    row, place = -1, 0
    spans: Sequence[tuple[int, int]] = ()
    for window in windows:
        if window[0] != row:
            row, place = window[0], 0
            spans = settled.get(row, ())
        _, start, end, _ = window
        while place < len(spans) and spans[place][1] <= start:
            place += 1
        before = spans[place - 1][1] if place else -(1 << 30)
        after = spans[place] if place < len(spans) else (end + AFTER_REACH, 0)
        if after[0] < end:
            if _is_within(start, end, *after, text_of(row)):
                continue
        elif after[0] - end >= AFTER_REACH:
            reach = LINE_REACH if by_line else context.reach_before(end - start)
            if start - before >= reach:
                continue
        if not is_number or _is_affected(start, end, before, after[0], text_of(row)):
            chosen.append(window)
    return chosen


def _is_affected(start: int, end: int, before: int, after: int, text: str) -> bool:
    """Whether a number may be another one because of replacements before and behind it: if close, or if named.

    Args:
        start: Where the window starts.
        end: Where it ends.
        before: Where the replacement before it ends.
        after: Where the replacement in it or behind it starts.
        text: The text.
    """
    if before > start - CODE_REACH:
        # No number begins with a space.
        gap = len(text[before:end]) - len(text[start:end].lstrip())
        if gap < NEXT_TO or (gap < CODE_REACH and text[before : before + gap].isspace()):
            return True
    if after < phones.end_of_extension(text, end) + (len(":00") if text[end : end + 1] == ":" else NEXT_TO):
        return True
    return context.may_be_named(text, start, end)


def _is_within(start: int, end: int, first: int, last: int, text: str) -> bool:
    """Whether all letters and digits of a window are between two places, and no extension of a number follows.

    Args:
        start: Where the window starts.
        end: Where it ends.
        first: The first place.
        last: The second place.
        text: The text.
    """
    if start < first and any(map(str.isalnum, text[start:first])):
        return False
    if end > last and any(map(str.isalnum, text[last:end])):
        return False
    return phones.end_of_context(text, end) <= end + len(":00")


def without_overlaps(matches: Iterable[Match]) -> list[Match]:
    """Matches by position. Of overlapping ones the more certain kind wins, then the higher score, then the first."""
    order = {name: place for place, name in enumerate(KINDS)}
    ranked = sorted(matches, key=lambda m: (order[m.kind], -m.score, m.start, -m.end))
    taken = bytearray(max((match.end for match in ranked), default=0))
    chosen = []
    for match in ranked:
        if 1 not in taken[match.start : match.end]:
            taken[match.start : match.end] = b"\1" * (match.end - match.start)
            chosen.append(match)
    return sorted(chosen, key=lambda match: match.start)
