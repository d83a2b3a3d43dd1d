"""Find personal data in a batch of texts: find windows, run recognizers, judge evidence and resolve overlaps."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from operator import attrgetter

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Int64s
from curation.pii import accounts, addresses, context, extensions, phones, recognizers, secrets, windows
from curation.pii.evidence import Match
from curation.pii.extension_kernels import MAX_EXTENSION
from curation.pii.recognizers import Span
from curation.pii.window_kernels import have_outside
from curation.pii.windows import (
    DIGIT,
    LETTER,
    MIN_PHONE_DIGITS,
    Stretches,
    address_windows,
    email_windows,
    number_windows,
)
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


Windows = Int64s
"""Windows as in `windows.Stretches`, shape (windows, 5): at last, what words may name a match in it, as bits."""
AROUND = 4
"""Characters that a match may have before its window, or depend on behind its window or extension."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How to find one kind of personal data.

    Attributes:
        windows: Finds the windows of text that may contain it.
        shown: Converts a window to the form that the recognizer expects, character by character.
        recognize: Finds its spans in a converted window, given the regions of phone numbers and where the window ends.
        judge: Turns a span in a text into a match, or None, given the regions, and whether a word that names a number
            may be near.
        judge_all: Judges simple windows all at once, given the texts, the windows, the minimum score, the regions, and
            whether replacements need not be found.
            Returns their matches with their rows, and the other windows that may have one.
        is_slow: Whether its recognizer is slow: it is remembered in what it found nothing, and it does not look at
            numbers in matches of more certain kinds.
        before: Number of characters before a window that the recognizer also sees.
        after: Returns the position up to which the recognizer sees the text after a window.
    """

    windows: Callable[[views.Characters], Stretches]
    shown: Callable[[str], str]
    recognize: Callable[[str, tuple[str, ...], int], Iterable[Span]]
    judge: Callable[..., Match | None]
    judge_all: Callable[
        [context.SearchedTexts, Windows, float, tuple[str, ...], bool],
        tuple[list[tuple[int, Match]], Windows],
    ] = lambda _, windows, *__: ([], windows)
    is_slow: bool = False
    before: int = 0
    after: Callable[[str, int], int] = lambda text, end: end


def _nothing(*_: object) -> tuple[Span, ...]:
    """No spans: the recognizer of kinds whose windows are all judged at once."""
    return ()


KINDS = {
    "secret": Kind(windows.whole_texts, str, secrets.secrets, lambda text, span, *_: secrets.judge_secret(text, span)),
    "email": Kind(
        email_windows,
        windows.shown,
        recognizers.emails,
        lambda text, span, *_: addresses.judge_email(text, span),
        judge_all=addresses.judge_emails,
    ),
    "iban": Kind(
        windows.iban_windows,
        windows.capital,
        _nothing,
        lambda text, span, *_: accounts.judge_iban(text, span),
        judge_all=accounts.judge_ibans,
    ),
    "credit_card": Kind(
        number_windows,
        windows.plain,
        _nothing,
        lambda text, span, _, named=context.ANY_NAME: accounts.judge_card(text, span, named),
        judge_all=accounts.judge_cards,
    ),
    "ip": Kind(
        address_windows,
        windows.shown,
        recognizers.ips,
        lambda text, span, _, named=context.ANY_NAME: addresses.judge_ip(text, span, named),
        judge_all=addresses.judge_addresses,
    ),
    "us_ssn": Kind(
        number_windows,
        windows.plain,
        _nothing,
        lambda text, span, _, named=context.ANY_NAME: accounts.judge_ssn(text, span, named),
        judge_all=accounts.judge_ssns,
    ),
    "phone": Kind(
        number_windows,
        windows.shown,
        recognizers.phones,
        phones.judge_phone,
        judge_all=phones.judge_windows,
        is_slow=True,
        before=1,
        after=extensions.end_of_context,
    ),
}
"""All kinds, the most certain first: of two overlapping matches, the one of the earlier kind is kept."""
_ORDER = {name: place for place, name in enumerate(KINDS)}


LINE_REACH, AFTER_REACH = 450, 100
"""Characters before an e-mail address on which it may depend, its line; and characters behind any match."""
NEXT_TO, CODE_REACH = 2, 5
"""Characters around a number on which it may depend even if no word is among them; and a country code before it."""
MAX_BARREN = 1 << 16
"""Windows to remember in which slow recognizers found nothing."""
Settled = Mapping[int, Sequence[tuple[int, int]]]
"""The start and end of replacements, by row, in order."""
_FAR = 1 << 40
"""Further than any text is long."""


@contextmanager
def without_collections() -> Iterator[None]:
    """No garbage collection meanwhile: looking through tens of thousands of matches, again and again as they are made,
    took a third of the time, and none of them is in a reference cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@without_collections()
def find(
    column: pa.StringArray, search: Search, settled: Settled | None = None, barren: set[str] | None = None
) -> dict[int, list[Match]]:
    """Find personal data in texts.

    Args:
        column: Texts; a null has no matches.
        search: What to search for.
        settled: Replacements in texts that were searched before. Only what is near one of them is searched again, and
            not what consists of them alone: it belongs to nobody.
        barren: In what slow recognizers found nothing. It is added to, for another pass over nearly the same texts.

    Returns:
        The matches of each row that has any, in order of position, without overlaps.
    """
    texts = context.SearchedTexts(column)
    windows_of = cache(lambda search: _windows(search, texts, settled))
    matches: dict[int, list[Match]] = {}
    barren = set() if barren is None else barren
    for name, minimum in sorted(search.minimums, key=lambda one: _ORDER[one[0]]):
        kind = KINDS[name]
        chosen = windows_of(kind.windows)
        if kind.is_slow:
            chosen = _outside(chosen, texts.characters, matches)
        chosen = np.column_stack([chosen[:, :-1], chosen[:, -1] & (context.NAMED.get(name, 0) | context.OTHERWISE)])
        judged, others = kind.judge_all(texts, chosen, minimum, search.regions, settled is not None)
        for row, one in judged:
            if one.score >= minimum:
                matches.setdefault(row, []).append(one)
        shown, recognize, judge, before, after = kind.shown, kind.recognize, kind.judge, kind.before, kind.after
        for row, start, end, _, named in others.tolist():
            text, begin = texts.text(row), max(0, start - before)
            window = shown(text[begin : after(text, end)])
            if kind.is_slow and (key := f"{end - begin} {window}") in barren:
                continue
            spans = recognize(window, search.regions, end - begin)
            if kind.is_slow and not spans and len(barren) < MAX_BARREN:
                barren.add(key)
            for first, last, score, numbers in spans:
                # A span that begins after the window belongs to another window, or is cut off here.
                if begin + first < end:
                    match = judge(text, Span(begin + first, begin + last, score, numbers), search.regions, named)
                    if match is not None and match.score >= minimum:
                        matches.setdefault(row, []).append(match)
    return {row: without_overlaps(matches[row]) for row in sorted(matches)}


def _windows(
    search: Callable[[views.Characters], Stretches],
    texts: context.SearchedTexts,
    settled: Settled | None,
) -> Windows:
    """The windows that a search finds, each with what words may name a match in it.

    Args:
        search: Finds the windows.
        texts: The texts.
        settled: The replacements near which to search; None if all windows are to be searched.
    """
    text = texts.characters
    found = search(text)
    if not len(found):
        return _with_words(found, np.zeros(0, np.int64))
    is_number, near = search is number_windows, None
    if settled is not None:
        is_near, near = _near(found, text, settled, search)
        found, near = found[is_near], near[:, is_near]
    if not is_number and search is not address_windows:
        return _with_words(found, np.zeros(len(found), np.int64))
    rows, starts, ends, _ = found.T
    extension = np.where(extensions.go_on(text, found), MAX_EXTENSION, 0)
    wider = np.stack([rows, starts - AROUND, ends + extension + AROUND], axis=1)
    found = _with_words(found, context.may_be_named(texts, wider))
    if near is None or not is_number:
        return found
    # Most windows have a replacement in them.
    is_affected = (found[:, -1] != 0) | (near[1] < found[:, 2] + NEXT_TO)
    others = np.flatnonzero(~is_affected)
    columns = (one[others].tolist() for one in (*found[:, :3].T, *near))
    for one, row, start, end, before, first in zip(others.tolist(), *columns, strict=True):
        is_affected[one] = _is_affected(start, end, before, first, texts.text(row))
    affected: Windows = found[is_affected]
    return affected


def _with_words(windows: Stretches, named: Int64s) -> Windows:
    """The windows with what words may name a match in each."""
    return np.column_stack([windows, named])


def _outside(numbers: Windows, text: views.Characters, matches: Mapping[int, Sequence[Match]]) -> Windows:
    """The windows with enough digits for a phone number between matches of more certain kinds: others overlap them.

    Args:
        numbers: The windows.
        text: The characters of all texts.
        matches: All matches of more certain kinds, by row.
    """
    if not matches or not len(numbers):
        return numbers
    kept = [(int(text.first[row]), without_overlaps(found)) for row, found in sorted(matches.items())]
    firsts = np.array([at + one.start for at, found in kept for one in found])
    lasts = np.array([at + one.end for at, found in kept for one in found])
    rows, starts, ends = numbers[:, :3].T
    starts, ends = starts + text.first[rows], ends + text.first[rows]
    outside: Windows = numbers[_have_outside(text, starts, ends, (firsts, lasts), DIGIT, MIN_PHONE_DIGITS)]
    return outside


def _have_outside(
    text: views.Characters, starts: Int64s, ends: Int64s, matches: tuple[Int64s, Int64s], wanted: int, minimum: int
) -> Bools:
    """Which windows have some characters side by side outside of matches. Arguments are as in `have_outside`."""
    found = np.zeros(len(starts), np.bool_)
    have_outside(text.codepoints, starts, ends, *matches, windows.classes(), wanted, minimum, found)
    return found


def _near(
    windows: Stretches,
    text: views.Characters,
    settled: Settled,
    search: Callable[[views.Characters], Stretches],
) -> tuple[Bools, Int64s]:
    """Which windows are near a replacement and contain letters or digits that are in none.

    Args:
        windows: All windows, in order.
        text: The characters of all texts.
        settled: The replacements.
        search: What found the windows.

    Returns:
        Besides, shape (2, windows): where the replacement before each window ends, and where the one in it or behind it
        begins.
    """
    rows, starts, ends, _ = windows.T
    sizes = [len(places) for places in settled.values()]
    of_row = np.repeat(np.fromiter(settled, np.int64, len(sizes)), sizes)
    places = np.fromiter(chain.from_iterable(chain.from_iterable(settled.values())), np.int64, 2 * len(of_row))
    firsts, lasts = places.reshape(-1, 2).T + text.first[of_row]
    offsets = text.first[rows]
    # The replacement behind each window or in it, and the one before it.
    place = np.searchsorted(lasts, starts + offsets, "right")
    of_row, firsts, lasts = np.append(of_row, -1), np.append(firsts, 0), np.append(lasts, 0)
    before = np.where(of_row[place - 1] == rows, lasts[place - 1] - offsets, -_FAR)
    first = np.where(of_row[place] == rows, firsts[place] - offsets, ends + AFTER_REACH)
    reach = LINE_REACH if search is email_windows else context.reach_before(ends - starts)
    is_inside = first < ends
    is_near = is_inside | (first - ends < AFTER_REACH) | (starts - before < reach)
    # An extension may follow what is in replacements.
    others = np.flatnonzero(is_inside)
    others = others[~extensions.go_on(text, windows[others])]
    begins, stops = (windows[others, 1:3] + offsets[others, None]).T
    is_near[others] = _have_outside(text, begins, stops, (firsts[:-1], lasts[:-1]), LETTER, 1)
    return is_near, np.stack([before, first])


def _is_affected(start: int, end: int, before: int, after: int, text: str) -> bool:
    """Whether a number without a word near it may be another one because of a replacement close to it.

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
    return after < extensions.end_of_extension(text, end) + (len(":00") if text[end : end + 1] == ":" else NEXT_TO)


def without_overlaps(matches: Iterable[Match]) -> list[Match]:
    """Matches by position. Of overlapping ones the more certain kind wins, then the higher score, then the first."""
    matches = sorted(matches, key=attrgetter("start"))
    if all(one.end <= following.start for one, following in pairwise(matches)):
        return matches
    chosen: list[Match] = []
    group: list[Match] = []
    end = 0
    for match in matches:
        if match.start >= end:
            chosen += _best(group)
            group = []
        group.append(match)
        end = max(end, match.end)
    return chosen + _best(group)


def _best(matches: list[Match]) -> list[Match]:
    """The matches that are left of some that overlap, by position."""
    if len(matches) < 2:
        return matches
    begin, end = matches[0].start, max(match.end for match in matches)
    taken, chosen = bytearray(end - begin), []
    for match in sorted(matches, key=lambda m: (_ORDER[m.kind], -m.score, m.start, -m.end)):
        place = slice(match.start - begin, match.end - begin)
        if 1 not in taken[place]:
            taken[place] = b"\1" * (match.end - match.start)
            chosen.append(match)
    return sorted(chosen, key=attrgetter("start"))
