"""Which parts of a removed text decided its removal: the lines, n-grams or symbols that the rule counted.

The spans are for people to look at, and are found with the same words and lines that the filters use. A rule about the
whole document (too few words, a low language score) has no decisive part.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from curation.text import views

Spans = list[tuple[int, int]]

MAX_SPANS = 400
"""Maximum number of highlights in a text; more would only repeat the same."""

_BULLETS = ("•", "-")
_ELLIPSES = ("...", "…")


def decisive(reason: str, text: str, settings: Mapping[str, Any]) -> Spans:
    """The spans of a text that a rule of the built-in filters counted.

    Args:
        reason: The rule as `stage.rule`.
        text: The text.
        settings: Parameters of the stage.

    Returns:
        Spans in code points, ascending and disjoint; none for a rule about the whole text or of another filter.
    """
    stage, _, rule = reason.partition(".")
    match = re.fullmatch(r"max_(top|dup)_([1-9][0-9]?)_gram", rule)
    if stage == "gopher_repetition" and match:
        find = _top_gram if match[1] == "top" else _duplicate_grams
        return merge_spans(find(text, int(match[2])))
    finder = _FINDERS.get(reason)
    return merge_spans(finder(text, settings)) if finder is not None else []


def merge_spans(spans: Iterable[tuple[int, int]]) -> Spans:
    """Sort spans and merge those that overlap or touch, at most MAX_SPANS: [(3, 5), (0, 4)] → [(0, 5)]."""
    merged: Spans = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        elif end > start:
            merged.append((start, end))
    return merged[:MAX_SPANS]


def _words(text: str) -> Spans:
    words = views.words(views.flat([text]))
    return list(zip(words.starts.tolist(), words.ends.tolist(), strict=True))


def _lines(text: str) -> Spans:
    """Lines that are not blank."""
    found = views.lines(views.flat([text]))
    lines = zip(found.starts.tolist(), found.ends.tolist(), strict=True)
    return [(start, end) for start, end in lines if text[start:end].strip()]


def _paragraphs(text: str) -> Spans:
    found = views.paragraphs(views.flat([text]))
    return list(zip(found.starts.tolist(), found.ends.tolist(), strict=True))


def _top_gram(text: str, size: int) -> Spans:
    """Every occurrence of the most frequent n-gram of words; of several, the first in the text."""
    words = _words(text)
    grams = [tuple(text[s:e] for s, e in words[at : at + size]) for at in range(len(words) - size + 1)]
    if not grams:
        return []
    (top, _), *_ = Counter(grams).most_common(1)
    return [(words[at][0], words[at + size - 1][1]) for at, gram in enumerate(grams) if gram == top]


def _duplicate_grams(text: str, size: int) -> Spans:
    """N-grams that occurred before, scanned from the left without overlap."""
    words = _words(text)
    seen: set[str] = set()
    spans, at = [], 0
    while at <= len(words) - size:
        gram = "".join(text[s:e] for s, e in words[at : at + size])
        if gram in seen:
            spans.append((words[at][0], words[at + size - 1][1]))
            at += size
        else:
            seen.add(gram)
            at += 1
    return spans


def _repeated(text: str, spans: Sequence[tuple[int, int]]) -> Spans:
    seen: set[str] = set()
    repeated = []
    for start, end in spans:
        part = text[start:end]
        if part in seen:
            repeated.append((start, end))
        seen.add(part)
    return repeated


def _duplicate_lines(text: str, _: Mapping[str, Any]) -> Spans:
    return _repeated(text, _lines(text))


def _duplicate_paragraphs(text: str, _: Mapping[str, Any]) -> Spans:
    return _repeated(text, _paragraphs(text))


def _lines_where(test: Callable[[str, Mapping[str, Any]], bool]) -> Callable[[str, Mapping[str, Any]], Spans]:
    def find(text: str, settings: Mapping[str, Any]) -> Spans:
        return [(start, end) for start, end in _lines(text) if test(text[start:end], settings)]

    return find


def _not_terminal(line: str, settings: Mapping[str, Any]) -> bool:
    ends = tuple(settings.get("terminal_characters") or ())
    if not ends:
        from datatrove.utils.text import TERMINAL_PUNCTUATION

        ends = tuple(TERMINAL_PUNCTUATION)
    return not line.rstrip().endswith(ends)


def _matches(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> Callable[[str, Mapping[str, Any]], Spans]:
    return lambda text, _: [match.span() for match in re.finditer(pattern, text, flags)]


def _stop_words(text: str, settings: Mapping[str, Any]) -> Spans:
    wanted = set(settings.get("stop_words", ()))
    return [(start, end) for start, end in _words(text) if text[start:end] in wanted]


def _without_letter(text: str, _: Mapping[str, Any]) -> Spans:
    return [(start, end) for start, end in _words(text) if not any(map(str.isalpha, text[start:end]))]


def _long_words(text: str, settings: Mapping[str, Any]) -> Spans:
    limit = settings.get("max_mean_word_length") or 0
    return [(start, end) for start, end in _words(text) if end - start > limit]


_short = _lines_where(lambda line, settings: len(line) <= settings.get("short_line_length", 30))

_FINDERS: dict[str, Callable[[str, Mapping[str, Any]], Spans]] = {
    "gopher_repetition.max_dup_line_fraction": _duplicate_lines,
    "gopher_repetition.max_dup_line_characters": _duplicate_lines,
    "gopher_repetition.max_dup_paragraph_fraction": _duplicate_paragraphs,
    "gopher_repetition.max_dup_paragraph_characters": _duplicate_paragraphs,
    "gopher_quality.max_hash_ratio": _matches("#"),
    "gopher_quality.max_ellipsis_ratio": _matches(r"\.\.\.|…"),
    "gopher_quality.max_bullet_lines": _lines_where(lambda line, _: line.lstrip().startswith(_BULLETS)),
    "gopher_quality.max_ellipsis_lines": _lines_where(lambda line, _: line.rstrip().endswith(_ELLIPSES)),
    "gopher_quality.min_alpha_words": _without_letter,
    "gopher_quality.min_stop_words": _stop_words,
    "gopher_quality.max_mean_word_length": _long_words,
    "c4.curly_bracket": _matches(r"[{]"),
    "c4.lorem_ipsum": _matches("lorem ipsum", re.IGNORECASE),
    "fineweb.min_terminal_lines": _lines_where(_not_terminal),
    "fineweb.max_short_lines": _short,
    "fineweb.max_newlines_per_word": _short,
    "fineweb.max_dup_characters": _duplicate_lines,
}


def shared_lines(text: str, other: str) -> Spans:
    """Lines of `text` that are not blank and also in `other`: what a duplicate has in common with its survivor."""
    other_lines = {line.strip() for line in other.split("\n")}
    return merge_spans((start, end) for start, end in _lines(text) if text[start:end].strip() in other_lines)
